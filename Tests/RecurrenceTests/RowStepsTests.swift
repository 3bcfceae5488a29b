import CProcessor
import Recurrence
import RecurrenceTesting
import Testing

/// Few sequences, whose steps have kernels of their own where units are few, give the bits that they have among others, and
/// that a stream gives: every cell, both scalar types, every instruction set.
@Suite("Steps of few sequences")
struct RowStepsTests {
  /// Around the vectors of all instruction sets: whole ones, pairs of them, parts, and what is neither.
  private static let units = [1, 2, 4, 6, 8, 10, 16, 24, 32, 34, 64]
  /// Of one step alone, the input of one sequence is projected by the kernel, too.
  private static let steps = [1, 5]
  /// Of so many that there are tiles.
  private static let few = [0..<1, 8..<9, 2..<5]

  private struct Few: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      let sets = SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported
      for kernels in sets {
        for units in RowStepsTests.units {
          for steps in RowStepsTests.steps {
            let shape = ProblemShape(
              steps: steps, batch: 9, inputs: 1 + units % 7, units: units, layers: 1 + units % 4 / 2)
            let stack = RecurrentStack<C, S>(
              cell, inputs: shape.inputs, units: units, layers: shape.layers, seed: 21, kernels: kernels)
            try check(stack, shape, states: C.states.count, kernels.instructionSet)
          }
        }
      }
    }

    private func check<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, _ shape: ProblemShape, states: Int, _ instructionSet: InstructionSet
    ) throws {
      var random = SeededRandom(stream: 91_000 + shape.units)
      let problem = SequenceProblem(shape, states: states, random: &random)
      let label = "\(C.self) \(S.self) \(instructionSet) \(shape), seed \(SuiteSettings.seed)"
      let together = try stack.solve(problem)
      for rows in RowStepsTests.few {
        let own = problem.sequences(rows)
        let few = try stack.solve(own)
        let differences = few.differences(from: together.sequences(rows, of: problem, gradient: few.gradient))
        #expect(differences == [], "\(label): sequences \(rows) apart")
        let untaped = try stack.run(own)
        #expect(untaped == few.outputs.map(\.wideBits) + few.final.map(\.wideBits), "\(label): \(rows) without a tape")
        let streamed = try stack.stream(own)
        #expect(streamed == untaped, "\(label): \(rows) as a stream")
      }
    }
  }

  @Test("the bits of few sequences, among others, and in a stream")
  func few() throws {
    var visitor = Few()
    try forEachCell(&visitor)
  }

  /// Some processors take 60 ns to raise a flag that the step before had cleared.
  private struct Flags: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      // On the baseline, softplus raises the flag of invalid operations.
      for kernels in Kernels<S>.supported where kernels.geometry.isFused {
        for units in [8, 16, 40] {
          let layer = RecurrentStack<C, S>(cell, inputs: 3, units: units, seed: 22, kernels: kernels)
          var stream = layer.makeStream(batch: 1)
          var outputs = [S](repeating: 0, count: units)
          let raised = try flagsRaised {
            for _ in 0..<3 { try layer.step([0.5, -0.25, 0.125], into: &outputs, stream: &stream) }
          }
          #expect(raised == 0, "\(cell) \(S.self) \(kernels.instructionSet), \(units) units")
        }
      }
    }

    /// Exception flags that `body` raises, but for that of inexact results.
    private func flagsRaised(_ body: () throws -> Void) rethrows -> UInt64 {
      #if arch(x86_64)
      let mode = recurrence_flush_subnormals()
      defer { recurrence_restore_subnormals(mode) }
      // Without a flag; and flushing, so that the caller keeps those that a step raises.
      recurrence_restore_subnormals(mode & ~0x807f)
      _ = recurrence_flush_subnormals()
      try body()
      return recurrence_flush_subnormals() & 0x1f
      #else
      try body()
      return 0
      #endif
    }
  }

  @Test("a step of ordinary numbers raises no flag of the processor's but that of inexact results")
  func flags() throws {
    var visitor = Flags()
    try forEachCell(&visitor)
    // Parameters of one function may be divided for another.
    let more: [Activation] = [
      .hardTanh(minimum: 0, maximum: 1), .hardTanh(minimum: 0, maximum: 6), .leakyReLU(slope: 0),
    ]
    for activation in Activation.standard + more { try visitor.visit(RNN(activation)) }
  }
}

extension SequenceProblem {
  /// Some of the sequences.
  fileprivate func sequences(_ rows: Range<Int>) -> SequenceProblem {
    var some = shape
    some.batch = rows.count
    let (batch, units) = (shape.batch, shape.units)
    return SequenceProblem(
      some, states: states, x: x.rows(rows, of: batch, shape.inputs), initial: initial.rows(rows, of: batch, units),
      outputGradients: outputGradients.rows(rows, of: batch, units),
      finalGradients: finalGradients.rows(rows, of: batch, units))
  }
}

extension SequenceResult {
  /// What belongs to some of the sequences; of the sum over all of them, the gradient given.
  fileprivate func sequences(_ rows: Range<Int>, of problem: SequenceProblem, gradient: [Scalar]) -> SequenceResult {
    let (batch, units) = (problem.shape.batch, problem.shape.units)
    return SequenceResult(
      outputs: outputs.rows(rows, of: batch, units), final: final.rows(rows, of: batch, units), gradient: gradient,
      inputGradients: inputGradients.rows(rows, of: batch, problem.shape.inputs),
      initialGradients: initialGradients.rows(rows, of: batch, units))
  }
}

extension Array {
  /// Some rows of each of the matrices [count, width] that follow each other.
  fileprivate func rows(_ rows: Range<Int>, of count: Int, _ width: Int) -> [Element] {
    stride(from: 0, to: self.count, by: count * width).flatMap { matrix in
      self[(matrix + rows.lowerBound * width)..<(matrix + rows.upperBound * width)]
    }
  }
}

extension RecurrentStack where Scalar: TestScalar {
  /// Bits of outputs and final states of a pass that keeps no tape.
  fileprivate func run(_ problem: SequenceProblem) throws -> [UInt64] {
    let shape = problem.shape
    var workspace = makeWorkspace(steps: shape.steps, batch: shape.batch)
    var states = makeStates(batch: shape.batch)
    states.values = problem.initial.map { Scalar($0) }
    var outputs = [Scalar](repeating: .nan, count: shape.steps * shape.batch * units)
    try forward(
      problem.x.map { Scalar($0) }, steps: shape.steps, batch: shape.batch, states: &states, outputs: &outputs,
      workspace: &workspace)
    return outputs.map(\.wideBits) + states.values.map(\.wideBits)
  }

  /// The same of a stream.
  fileprivate func stream(_ problem: SequenceProblem) throws -> [UInt64] {
    let shape = problem.shape
    var stream = makeStream(batch: shape.batch)
    var states = makeStates(batch: shape.batch)
    states.values = problem.initial.map { Scalar($0) }
    stream.states = states
    var bits: [UInt64] = []
    var outputs = [Scalar](repeating: .nan, count: shape.batch * units)
    let width = shape.batch * inputs
    for t in 0..<shape.steps {
      try step(problem.x[(t * width)..<((t + 1) * width)].map { Scalar($0) }, into: &outputs, stream: &stream)
      bits += outputs.map(\.wideBits)
    }
    return bits + stream.states.values.map(\.wideBits)
  }
}
