import Recurrence
import RecurrenceTesting
import Testing

/// Outputs that are read from the tape: the bits that the pass hands out, for as long as the pass is on it.
@Suite("Outputs on a tape")
struct TapeOutputsTests {
  /// T and B of passes over one tape, one after the other.
  private static let sizes = [(6, 9), (3, 2), (0, 4), (8, 10), (5, 0), (1, 1), (8, 1), (6, 9)]

  private struct Kept: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for layers in 1...2 {
        for threads in 1...2 {
          // Whole panels, so that threads share the units of a batch of one sequence.
          for (batch, units) in [(10, 7), (1, 96)] {
            let stack = RecurrentStack<C, S>(cell, inputs: 5, units: units, layers: layers, seed: 15)
            let problems = problems(stack, most: batch, states: C.states.count)
            try check(stack, problems, batch: batch, threads: threads)
          }
        }
      }
    }

    private func problems<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, most batch: Int, states: Int
    ) -> [SequenceProblem] {
      var random = SeededRandom(stream: 87_000)
      return TapeOutputsTests.sizes.filter { $0.1 <= batch }.map { steps, batch in
        var shape = ProblemShape(steps: 1, batch: 1, inputs: stack.inputs, units: stack.units, layers: stack.layers)
        (shape.steps, shape.batch) = (steps, batch)
        return SequenceProblem(shape, states: states, random: &random)
      }
    }

    private func check<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, _ problems: [SequenceProblem], batch: Int, threads: Int
    ) throws {
      // With room for lengths, which no pass gives.
      var tape = stack.makeTape(
        steps: 8, batch: batch, threads: threads, ragged: true, keeping: nil, smallestSplit: 0)
      for problem in problems {
        let shape = problem.shape
        let label = "\(C.self) \(S.self) \(shape) threads \(threads), seed \(SuiteSettings.seed)"
        let x = problem.x.map { S($0) }
        let initial = problem.initial.map { S($0) }
        unsafe x.withUnsafeBufferPointer { x in
          unsafe initial.withUnsafeBufferPointer { initial in
            unsafe stack.forward(x, steps: shape.steps, batch: shape.batch, initialStates: initial, tape: &tape)
          }
        }
        let alone = keptBits(tape)
        var states = stack.makeStates(batch: shape.batch)
        states.values = initial
        var outputs = [S](repeating: .nan, count: shape.steps * shape.batch * shape.units)
        try stack.forward(
          x, steps: shape.steps, batch: shape.batch, states: &states, outputs: &outputs, tape: &tape)
        let expected = outputs.map(\.wideBits)
        let beside = keptBits(tape)
        #expect(alone == expected, "\(label): after a pass that hands out nothing")
        #expect(beside == expected, "\(label): after a pass that hands outputs out")
        states.values = problem.finalGradients.map { S($0) }
        var gradient = stack.makeGradient()
        var inputGradients = [S](repeating: .nan, count: x.count)
        try stack.backward(
          x, outputGradients: .everyStep(problem.outputGradients.map { S($0) }), stateGradients: &states,
          gradient: &gradient, inputGradients: &inputGradients, tape: &tape)
        let left = keptBits(tape)
        #expect(left == expected, "\(label): after the way back")
      }
    }
  }

  @Test("the bits of outputs, before and after the way back, of pass after pass: every cell")
  func outputs() throws {
    var visitor = Kept()
    try forEachCell(&visitor)
  }

  @Test("a tape that keeps some of its steps has the outputs of a pass that is no longer")
  func shortPass() throws {
    let stack = RecurrentStack<GRU, Float>(GRU(), inputs: 3, units: 17, layers: 2, seed: 16)
    var tape = stack.makeTape(steps: 9, batch: 4, keeping: 4)
    for steps in [4, 9, 2] {
      var random = SeededRandom(stream: 88_000)
      let problem = SequenceProblem(
        ProblemShape(steps: steps, batch: 4, inputs: 3, units: 17, layers: 2), states: 1, random: &random)
      let result = try stack.solve(problem, tape: &tape)
      if steps > 4 { continue }
      let left = keptBits(tape)
      #expect(left == result.outputs.map(\.wideBits), "\(steps) steps, seed \(SuiteSettings.seed)")
    }
  }

  @Test("what the body returns and throws comes through")
  func body() throws {
    let stack = RecurrentStack<RNN<Activation>, Float>(RNN(), inputs: 2, units: 3)
    var tape = stack.makeTape(steps: 0, batch: 0)
    var (states, outputs) = (stack.makeStates(batch: 0), [Float]())
    try stack.forward([], steps: 0, batch: 0, states: &states, outputs: &outputs, tape: &tape)
    let count = unsafe tape.withUnsafeOutputs { $0.count }
    #expect(count == 0)
    var isThrown = false
    do { unsafe try tape.withUnsafeOutputs { _ in throw CancellationError() } } catch { isThrown = true }
    #expect(isThrown)
  }
}

/// The bits of the outputs on a tape.
private func keptBits<S: TestScalar>(_ tape: borrowing Tape<S>) -> [UInt64] {
  unsafe tape.withUnsafeOutputs { unsafe $0.map(\.wideBits) }
}

@Suite(
  "Outputs that are not on a tape",
  .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct TapeOutputsMisuseTests {
  @Test(arguments: TapeOutputsMisuse.allCases) func traps(_ misuse: TapeOutputsMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as TapeOutputsMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }
}

/// Tapes that are asked for outputs that they do not have, or not in order. T = 5, B = 2, I = 3, H = 4.
enum TapeOutputsMisuse: String, Misuse {
  case nothingYet, poisoned, keepsFewer, lengths, equalLengths

  var words: [String] {
    switch self {
    case .nothingYet, .poisoned: ["outputs: expected a tape that holds a forward pass"]
    case .keepsFewer: ["outputs: expected a tape that keeps all 5 steps, got one that keeps 2"]
    case .lengths, .equalLengths: ["outputs: expected a pass without lengths"]
    }
  }

  func commit() {
    let stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: 4)
    var tape = stack.makeTape(steps: 5, batch: 2, ragged: true, keeping: self == .keepsFewer ? 2 : nil)
    if self != .nothingYet {
      let lengths: [Int]? = self == .lengths ? [5, 3] : self == .equalLengths ? [5, 5] : nil
      var states = stack.makeStates(batch: 2)
      var outputs = [Float](repeating: 0, count: 40)
      try! stack.forward(
        [Float](repeating: 0, count: 30), steps: 5, batch: 2, lengths: lengths, states: &states, outputs: &outputs,
        tape: &tape)
    }
    if self == .poisoned { tape.poison() }
    let count = unsafe tape.withUnsafeOutputs { $0.count }
    print(count)
  }
}
