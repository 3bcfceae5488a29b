import Recurrence
import Testing

/// A cell with its own backward hidden: what is left is derived.
struct Underived<Base: Cell>: Cell {
  let base: Base
  static var gates: [Gate] { Base.gates }
  static var states: [String] { Base.states }
  static var unitParameters: [String] { Base.unitParameters }
  static var forgetGate: ForgetGate? { Base.forgetGate }
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { base.step(input) }
  func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { base.operand(input) }
}

@Suite("Recorded cells against built-in kernels")
struct RecordedCellTests {
  static let shapes = [
    SequenceShape(steps: 4, batch: 3, inputs: 5, units: 7),
    SequenceShape(steps: 3, batch: 13, inputs: 9, units: 32, layers: 2),
    SequenceShape(steps: 5, batch: 4, inputs: 3, units: 67, lengths: [5, 0, 3, 5]),
  ]

  @Test("the same program, compiled or replayed, gives the same values; a derived backward the same gradient")
  func recordedAgrees() throws {
    try check(LSTM())
    try check(PeepholeLSTM())
    try check(GRU())
    try check(GRUResetBefore())
    try check(RNN())
    try check(RNN.relu)
    try check(RNN(Activation.elu))
  }

  private func check<C: Cell>(_ cell: C) throws {
    for kernels in Kernels<Double>.supported {
      for (index, shape) in Self.shapes.enumerated() {
        var random = SeededRandom(stream: index)
        let stack = RecurrentStack<C, Double>(
          cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 3, kernels: kernels)
        let problem = SequenceProblem(shape, states: C.states.count, random: &random)
        let fused = try stack.solve(problem)
        let recorded = try RecurrentStack<C, Double>(
          cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 3, kernels: kernels,
          isRecorded: true
        ).solve(problem)
        let derived = try RecurrentStack<Underived<C>, Double>(
          Underived(base: cell), inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 3,
          kernels: kernels
        ).solve(problem)
        for other in [recorded, derived] {
          for (mine, theirs) in zip(fused.tensors, other.tensors) {
            let error = relativeError(theirs.values, mine.values)
            #expect(
              error <= 1e-12,
              "\(C.self) \(kernels.instructionSet) \(shape) \(mine.name): \(error), seed \(SuiteSettings.seed)")
          }
        }
        #expect(fused.outputs == recorded.outputs)
        #expect(fused.outputs == derived.outputs)
      }
    }
  }
}
