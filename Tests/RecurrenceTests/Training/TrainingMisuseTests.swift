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
    expectWords(misuse, result)
  }

  @Test(arguments: ScheduleMisuse.allCases) func schedulesCheckTheirParameters(_ misuse: ScheduleMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as ScheduleMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }

  @Test(arguments: TruncationMisuse.allCases) func truncationChecksItsParameters(_ misuse: TruncationMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as TruncationMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
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

enum ScheduleMisuse: String, Misuse {
  case negativeRate, infiniteRate, negativeStep, every, stepFactor, exponentialFactor, warmup, total, finalFraction
  case plateauFactor, patience, threshold, cooldown, minimum

  var words: [String] {
    switch self {
    case .negativeRate: ["rate: expected a finite number from 0 on, got -1.0"]
    case .infiniteRate: ["rate: expected a finite number from 0 on, got inf"]
    case .negativeStep: ["step: expected at least 0, got -1"]
    case .every: ["every: expected at least 1 step, got 0"]
    case .stepFactor: ["factor: expected a finite number above 0, got 0.0"]
    case .exponentialFactor: ["factor: expected a finite number above 0, got nan"]
    case .warmup: ["warmup: expected at least 0 steps, got -1"]
    case .total: ["total: expected more than the 5 steps of the warm-up, got 5"]
    case .finalFraction: ["finalFraction: expected a number from 0 to 1, got 1.5"]
    case .plateauFactor: ["factor: expected a number between 0 and 1, got 1.0"]
    case .patience: ["patience: expected at least 0, got -1"]
    case .threshold: ["threshold: expected a number from 0, less than 1, got 1.0"]
    case .cooldown: ["cooldown: expected at least 0, got -2"]
    case .minimum: ["minimum: expected a number from 0 to the rate, 0.1, got 0.2"]
    }
  }

  func commit() {
    let schedule: LearningRateSchedule =
      switch self {
      case .negativeRate: .constant(-1)
      case .infiniteRate: .constant(.infinity)
      case .negativeStep: .constant(1)
      case .every: .step(1, every: 0, factor: 0.5)
      case .stepFactor: .step(1, every: 1, factor: 0)
      case .exponentialFactor: .exponential(1, factor: .nan)
      case .warmup: .cosine(1, warmup: -1, total: 5)
      case .total: .cosine(1, warmup: 5, total: 5)
      case .finalFraction: .cosine(1, total: 5, finalFraction: 1.5)
      case .plateauFactor: .reduceOnPlateau(1, factor: 1)
      case .patience: .reduceOnPlateau(1, patience: -1)
      case .threshold: .reduceOnPlateau(1, threshold: 1)
      case .cooldown: .reduceOnPlateau(1, cooldown: -2)
      case .minimum: .reduceOnPlateau(0.1, minimum: 0.2)
      }
    print(schedule.rate(at: -1))
  }
}

/// Truncated backpropagation over two inputs and three units, windows of two steps, a batch of two.
enum TruncationMisuse: String, Misuse {
  case noWindow, shortReach, unevenReach, negativeBatch, row, states, inputBuffer, gradientBuffer, noForward

  var words: [String] {
    switch self {
    case .noWindow: ["window: expected at least 1 step, got 0"]
    case .shortReach: ["reach: expected a multiple of the window, 2 steps, got 1"]
    case .unevenReach: ["reach: expected a multiple of the window, 2 steps, got 5"]
    case .negativeBatch: ["batch: expected at least 0, got -1"]
    case .row: ["rows: expected 0 to 1, got 2"]
    case .states: ["states: expected h, c of L = 1, B = 2, H = 3, got h, c of L = 1, B = 1, H = 3"]
    case .inputBuffer: ["input: expected 8 elements (T = 2, B = 2, I = 2), got 7"]
    case .gradientBuffer: ["outputGradients: expected 12 elements (T = 2, B = 2, H = 3), got 11"]
    case .noForward: ["truncated backpropagation: expected a forward pass before this, got none"]
    }
  }

  func commit() {
    let stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 2, units: 3)
    var truncated = TruncatedBackpropagation(stack, window: 2, batch: 2)
    var outputs = [Float](repeating: 0, count: 12)
    var gradient = stack.makeGradient()
    switch self {
    case .noWindow: _ = TruncatedBackpropagation(stack, window: 0, batch: 2)
    case .shortReach: _ = TruncatedBackpropagation(stack, window: 2, reach: 1, batch: 2)
    case .unevenReach: _ = TruncatedBackpropagation(stack, window: 2, reach: 5, batch: 2)
    case .negativeBatch: _ = TruncatedBackpropagation(stack, window: 2, batch: -1)
    case .row: truncated.reset(rows: [0, 2])
    case .states: truncated.currentStates = stack.makeStates(batch: 1)
    case .inputBuffer:
      unsafe [Float](repeating: 0, count: 7).withUnsafeBufferPointer { input in
        unsafe outputs.withUnsafeMutableBufferPointer { unsafe truncated.forward(stack, input, outputs: $0) }
      }
    case .gradientBuffer, .noForward:
      if self == .gradientBuffer { try! truncated.forward(stack, [Float](repeating: 0, count: 8), outputs: &outputs) }
      let count = self == .gradientBuffer ? 11 : 12
      unsafe outputs.withUnsafeBufferPointer { outputs in
        unsafe gradient.values.withUnsafeMutableBufferPointer {
          unsafe truncated.backward(
            stack, outputGradients: UnsafeBufferPointer(rebasing: outputs[..<count]), parameterGradients: $0)
        }
      }
    }
  }
}
