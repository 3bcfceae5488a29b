import Recurrence
import RecurrenceTesting
import Testing

@Suite("Recorded cells against built-in kernels")
struct RecordedCellTests {
  static let shapes = [
    ProblemShape(steps: 4, batch: 3, inputs: 5, units: 7),
    ProblemShape(steps: 3, batch: 13, inputs: 9, units: 32, layers: 2),
    ProblemShape(steps: 5, batch: 4, inputs: 3, units: 67, lengths: [5, 0, 3, 5]),
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
        let derived = try RecurrentStack<DerivedCell<C>, Double>(
          DerivedCell(cell), inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 3,
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
