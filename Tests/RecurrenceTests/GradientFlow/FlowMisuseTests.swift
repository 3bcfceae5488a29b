import Recurrence
import Testing

/// Controls that cannot be.
enum FlowMisuse: String, Misuse {
  case negativeValue, zeroNorm, negativeWeight, twoStages, noRecord

  var words: [String] {
    switch self {
    case .negativeValue: ["stepClipping", "at least 0", "-1"]
    case .zeroNorm: ["stepClipping", "greater than 0", "0.0"]
    case .negativeWeight: ["normPreservation", "at least 0", "-2"]
    case .twoStages: ["normPreservation", "one stage"]
    case .noRecord: ["gradientFlow", "expected a tape that records"]
    }
  }

  func commit() {
    switch self {
    case .negativeValue: _ = BackpropagationControl(stepClipping: .value(-1))
    case .zeroNorm: _ = BackpropagationControl(stepClipping: .norm(0))
    case .negativeWeight: _ = BackpropagationControl(normPreservation: -2)
    case .twoStages:
      let stack = RecurrentStack<GRUResetBefore, Float>(GRUResetBefore(), inputs: 1, units: 2)
      var tape = stack.makeTape(steps: 1, batch: 1)
      tape.control = BackpropagationControl(normPreservation: 1)
    case .noRecord:
      let stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 1, units: 2)
      _ = stack.makeTape(steps: 1, batch: 1).gradientFlow()
    }
  }
}

@Suite(
  "Misuse of the gradient flow",
  .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct FlowMisuseTests {
  @Test(arguments: FlowMisuse.allCases)
  func traps(_ misuse: FlowMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as FlowMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }
}
