import Recurrence
import RecurrenceTesting
import Testing

/// Passes of several chunks of steps, whose states go from one to the next in rows that stay, or in a copy: the bits of passes
/// of one step each.
@Suite("Chunks of steps")
struct ChunkTests {
  // Pre-activations of a chunk take 256 KiB: these are of two chunks at least, the last one of its own length.
  static let shapes = [
    ProblemShape(steps: 190, batch: 3, inputs: 5, units: 128),
    ProblemShape(steps: 180, batch: 3, inputs: 4, units: 128, layers: 2),
    ProblemShape(steps: 190, batch: 3, inputs: 5, units: 128, lengths: [60, 190, 175]),
  ]

  private struct SameBits: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for kernels in SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported {
        for (index, shape) in ChunkTests.shapes.enumerated() {
          let stack = RecurrentStack<C, S>(
            cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 7, kernels: kernels)
          var random = SeededRandom(stream: index)
          let problem = SequenceProblem(shape, states: C.states.count, random: &random)
          let label = "\(C.self) \(S.self) \(kernels.instructionSet) \(shape), seed \(SuiteSettings.seed)"
          let (outputs, states) = try infer(stack, problem)
          let taped = try stack.solve(problem)
          #expect(taped.outputs.map(\.wideBits) == outputs, "outputs on a tape, \(label)")
          #expect(taped.final.map(\.wideBits) == states, "final states on a tape, \(label)")
          if shape.lengths != nil { continue }
          let alone = try stepByStep(stack, problem)
          #expect(alone.outputs == outputs, "outputs, \(label)")
          #expect(alone.states == states, "final states, \(label)")
        }
      }
    }

    /// Bits of outputs and final states of one pass without a tape.
    private func infer<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, _ problem: SequenceProblem
    ) throws -> (outputs: [UInt64], states: [UInt64]) {
      let shape = problem.shape
      var states = stack.makeStates(batch: shape.batch)
      states.values = problem.initial.map { S($0) }
      let result = try stack.forward(
        problem.x.map { S($0) }, steps: shape.steps, batch: shape.batch, lengths: shape.lengths, initialStates: states)
      return (result.outputs.map(\.wideBits), result.states.values.map(\.wideBits))
    }

    /// The same of a pass for each step.
    private func stepByStep<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, _ problem: SequenceProblem
    ) throws -> (outputs: [UInt64], states: [UInt64]) {
      let shape = problem.shape
      var workspace = stack.makeWorkspace(steps: 1, batch: shape.batch, threads: 1, ragged: false)
      var states = stack.makeStates(batch: shape.batch)
      states.values = problem.initial.map { S($0) }
      var outputs: [UInt64] = []
      var row = [S](repeating: .nan, count: shape.batch * stack.units)
      let width = shape.batch * shape.inputs
      for t in 0..<shape.steps {
        try stack.forward(
          problem.x[(t * width)..<((t + 1) * width)].map { S($0) }, steps: 1, batch: shape.batch, states: &states,
          outputs: &row, workspace: &workspace)
        outputs += row.map(\.wideBits)
      }
      return (outputs, states.values.map(\.wideBits))
    }
  }

  @Test("outputs and states have the bits of steps taken one by one, with a tape and without")
  func sameBits() throws {
    var visitor = SameBits()
    try forEachCell(&visitor)
  }
}
