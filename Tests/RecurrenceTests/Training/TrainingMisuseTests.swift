import Recurrence
import Testing

/// What cannot be drawn or scheduled stops with a sentence. See `BadInputTests`.
@Suite(
  "Misuse of training",
  .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct TrainingMisuseTests {
  @Test(arguments: DrawingMisuse.allCases) func drawingChecksItsParameters(_ misuse: DrawingMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as DrawingMisuse] in misuse.commit()
    }
    guard let result else { return }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    for word in misuse.words where !text.contains(word) {
      Issue.record("\(misuse.rawValue): \"\(word)\" is missing from \"\(text)\"")
    }
  }
}

enum DrawingMisuse: String, Misuse {
  case noIndices, infiniteRange, overflowingRange, negativePower
  case negativeDeviation, infiniteDeviation, gain, scale, forgetGateBias, longestLag

  var words: [String] {
    switch self {
    case .noIndices: ["bound: expected at least 1, got 0"]
    case .infiniteRange: ["range: expected one of finite width, got 0.0...inf"]
    case .overflowingRange: ["range: expected one of finite width, got -1e+308...1e+308"]
    case .negativePower: ["exponent: expected at least 0, got -1"]
    case .negativeDeviation: ["deviation: expected a finite number from 0 on, got -0.5"]
    case .infiniteDeviation: ["deviation: expected a finite number from 0 on, got inf"]
    case .gain: ["gain: expected a finite number, got nan"]
    case .scale: ["scale: expected a finite number, got inf"]
    case .forgetGateBias: ["forgetGateBias: expected a finite number, got nan"]
    case .longestLag: ["longestLag: expected at least 2 steps, got 1"]
    }
  }

  func commit() {
    var generator = SeededGenerator(seed: 1)
    switch self {
    case .noIndices: print(generator.index(below: 0))
    case .infiniteRange: print(generator.uniform(in: 0...Double.infinity))
    case .overflowingRange: print(generator.uniform(in: -1e308...1e308))
    case .negativePower: print(DeterministicMath.power(2, -1))
    case .negativeDeviation: make(Initialization(inputWeights: .normal(deviation: -0.5)))
    case .infiniteDeviation: make(Initialization(recurrentWeights: .normal(deviation: .infinity)))
    case .gain: make(.orthogonal(gain: .nan))
    case .scale: make(.identity(scale: .infinity))
    case .forgetGateBias: make(Initialization(forgetGateBias: .constant(.nan)))
    case .longestLag: make(.chrono(longestLag: 1))
    }
  }

  private func make(_ initialization: Initialization) {
    _ = RecurrentStack<LSTM, Float>(LSTM(), inputs: 2, units: 3, initialization: initialization)
  }
}
