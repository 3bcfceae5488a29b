import CProcessor
import Recurrence
import RecurrenceTesting
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// One sequence alone, whose steps have kernels of their own where units are few, gives the bits that it has among others,
/// and that a stream gives: every cell, both scalar types, every instruction set.
@Suite("Steps of one sequence")
struct RowStepsTests {
  /// Around the vectors of all instruction sets: whole ones, pairs of them, parts, and what is neither.
  private static let units = [1, 2, 4, 6, 8, 10, 16, 24, 32, 34, 64]
  /// Of one step alone, the input is projected by the kernel, too.
  private static let steps = [1, 5]

  private struct Alone: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      let sets = SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported
      for kernels in sets {
        for units in RowStepsTests.units {
          for steps in RowStepsTests.steps {
            let shape = ProblemShape(steps: steps, batch: 3, inputs: 1 + units % 7, units: units, layers: 1 + units % 4 / 2)
            let stack = RecurrentStack<C, S>(
              cell, inputs: shape.inputs, units: units, layers: shape.layers, seed: 21, kernels: kernels)
            try check(stack, shape, states: C.states.count)
          }
        }
      }
    }

    private func check<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, _ shape: ProblemShape, states: Int
    ) throws {
      var random = SeededRandom(stream: 91_000 + shape.units)
      let problem = SequenceProblem(shape, states: states, random: &random)
      let label = "\(C.self) \(S.self) \(stack.shape.kernels.instructionSet) \(shape), seed \(SuiteSettings.seed)"
      let together = try stack.solve(problem)
      for b in 0..<shape.batch {
        let own = problem.row(b)
        let alone = try stack.solve(own)
        let differences = alone.differences(from: together.row(b, of: problem, gradient: alone.gradient))
        #expect(differences == [], "\(label): sequence \(b) alone")
        let untaped = try stack.run(own)
        #expect(untaped == alone.outputs.map(\.wideBits) + alone.final.map(\.wideBits), "\(label): without a tape")
        let streamed = try stack.stream(own)
        #expect(streamed == untaped, "\(label): sequence \(b) as a stream")
      }
    }
  }

  @Test("the bits of a sequence alone, among others, and in a stream")
  func alone() throws {
    var visitor = Alone()
    try forEachCell(&visitor)
  }

  /// Some processors take 60 ns to raise a flag that the step before had cleared.
  private struct Flags: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for kernels in Kernels<S>.supported {
        for units in [8, 16, 40] {
          let layer = RecurrentStack<C, S>(cell, inputs: 3, units: units, seed: 22, kernels: kernels)
          var stream = layer.makeStream(batch: 1)
          var outputs = [S](repeating: 0, count: units)
          let raised = try flagsRaised {
            for _ in 0..<3 { try layer.step([0.5, -0.25, 0.125], into: &outputs, stream: &stream) }
          }
          #expect(raised == 0, "\(C.self) \(S.self) \(kernels.instructionSet), \(units) units")
        }
      }
    }

    /// Exception flags that `body` raises, but for that of inexact results.
    private func flagsRaised(_ body: () throws -> Void) rethrows -> UInt64 {
      #if canImport(Glibc) && arch(x86_64)
      // Flushing already, the caller keeps the flags that a step raises.
      let mode = recurrence_flush_subnormals()
      defer { recurrence_restore_subnormals(mode) }
      feclearexcept(0x3d)
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
    for activation in Activation.standard { try visitor.visit(RNN(activation)) }
  }
}

extension SequenceProblem {
  /// One of the sequences.
  fileprivate func row(_ b: Int) -> SequenceProblem {
    var one = shape
    one.batch = 1
    let units = shape.units
    return SequenceProblem(
      one, states: states, x: x.row(b, of: shape.batch, shape.inputs),
      initial: initial.row(b, of: shape.batch, units),
      outputGradients: outputGradients.row(b, of: shape.batch, units),
      finalGradients: finalGradients.row(b, of: shape.batch, units))
  }
}

extension SequenceResult {
  /// What belongs to one of the sequences; of the sum over all of them, the gradient given.
  fileprivate func row(_ b: Int, of problem: SequenceProblem, gradient: [Scalar]) -> SequenceResult {
    let shape = problem.shape
    return SequenceResult(
      outputs: outputs.row(b, of: shape.batch, shape.units), final: final.row(b, of: shape.batch, shape.units),
      gradient: gradient, inputGradients: inputGradients.row(b, of: shape.batch, shape.inputs),
      initialGradients: initialGradients.row(b, of: shape.batch, shape.units))
  }
}

extension Array {
  /// Row b of each of the matrices [rows, width] that follow each other.
  fileprivate func row(_ b: Int, of rows: Int, _ width: Int) -> [Element] {
    stride(from: b * width, to: count, by: rows * width).flatMap { self[$0..<($0 + width)] }
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
