import Recurrence
import Testing

/// Numbers outside their ranges, and vectors that do not fit, stop with a sentence. See `BadInputTests`.
@Suite(
  "Misuse of percentile and unit-wise clipping",
  .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct ClippingMisuseTests {
  @Test(arguments: ClippingMisuse.allCases) func clipping(_ misuse: ClippingMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as ClippingMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }
}

enum ClippingMisuse: String, Misuse {
  case noWindow, largeWindow, negativeNorm, percentileBelow, percentileAbove, percentileNotANumber
  case zeroPercentile, percentileOf101, percentileSet
  case zeroFactor, infiniteFactor, epsilonNotANumber, factorSet, epsilonSet, layout, columns, wholeRows, parameters

  var words: [String] {
    switch self {
    case .noWindow: ["window: expected 1 to 1048576 norms, got 0"]
    case .largeWindow: ["window: expected 1 to 1048576 norms, got 1048577"]
    case .negativeNorm: ["norm: expected a finite number of at least 0, got -1.0"]
    case .percentileBelow: ["percentile: expected 0 to 100, got -1.0"]
    case .percentileAbove: ["percentile: expected 0 to 100, got 100.5"]
    case .percentileNotANumber: ["percentile: expected 0 to 100, got nan"]
    case .zeroPercentile: ["percentile: expected more than 0 and at most 100, got 0.0"]
    case .percentileOf101: ["percentile: expected more than 0 and at most 100, got 101.0"]
    case .percentileSet: ["percentile: expected more than 0 and at most 100, got nan"]
    case .zeroFactor: ["factor: expected a finite number greater than 0, got 0.0"]
    case .infiniteFactor: ["factor: expected a finite number greater than 0, got inf"]
    case .epsilonNotANumber: ["epsilon: expected a finite number greater than 0, got nan"]
    case .factorSet: ["factor: expected a finite number greater than 0, got -1.0"]
    case .epsilonSet: ["epsilon: expected a finite number greater than 0, got 0.0"]
    case .layout:
      ["parameters: expected the layout of the gradient (48 parameters), got another (160 parameters)"]
    case .columns: ["columns: expected at least 1, got 0"]
    case .wholeRows: ["gradient: expected whole rows of 2 elements, got 3 elements"]
    case .parameters: ["parameters: expected 4 elements, as the gradient has, got 2"]
    }
  }

  func commit() {
    var history = NormHistory()
    var percentile = PercentileClipping()
    var unitwise = UnitwiseClipping()
    var gradient: [Float] = [1, 2, 3, 4]
    switch self {
    case .noWindow: _ = PercentileClipping(window: 0)
    case .largeWindow: _ = NormHistory(window: 1 << 20 + 1)
    case .negativeNorm: history.add(-1)
    case .percentileBelow: _ = history.percentile(-1)
    case .percentileAbove: _ = history.percentile(100.5)
    case .percentileNotANumber: _ = history.percentile(.nan)
    case .zeroPercentile: _ = PercentileClipping(percentile: 0)
    case .percentileOf101: _ = PercentileClipping(percentile: 101)
    case .percentileSet: percentile.percentile = .nan
    case .zeroFactor: _ = UnitwiseClipping(factor: 0)
    case .infiniteFactor: _ = UnitwiseClipping(factor: .infinity)
    case .epsilonNotANumber: _ = UnitwiseClipping(epsilon: .nan)
    case .factorSet: unitwise.factor = -1
    case .epsilonSet: unitwise.epsilon = 0
    case .layout:
      // 4 · (7 + 4 + 1) parameters, and 16 · (5 + 4 + 1).
      var gradient = RecurrentStack<RNN<Activation>, Float>(RNN(), inputs: 7, units: 4).makeGradient()
      unitwise.clip(&gradient, parameters: RecurrentStack<LSTM, Float>(LSTM(), inputs: 5, units: 4).parameters)
    case .columns: unitwise.clip(&gradient, parameters: [1, 2, 3, 4], columns: 0)
    case .wholeRows:
      gradient = [1, 2, 3]
      unitwise.clip(&gradient, parameters: [1, 2, 3], columns: 2)
    case .parameters: unitwise.clip(&gradient, parameters: [1, 2], columns: 2)
    }
  }
}
