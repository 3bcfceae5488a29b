import Recurrence
import Testing

/// What must not reach the gradient of a whole network. That it is the gradient is proven in `GradientCheckTests`.
@Suite("Gradients of networks")
struct TrainerGradientTests {
  @Test("padded steps and rows of weight 0, full of NaN, reach nothing")
  func masks() throws {
    var floats = MaskVisitor<Float>()
    try forEachSmoothCell(&floats)
    var doubles = MaskVisitor<Double>()
    try forEachSmoothCell(&doubles)
  }

  private struct MaskVisitor<Scalar: TestScalar>: CellVisitor {
    func visit<C: Cell>(_ cell: C) throws {
      for kernels in Kernels<Scalar>.supported {
        for shape in NetworkShape.all where shape.lengths != nil {
          var random = SeededRandom()
          let whole = NetworkProblem<Scalar>(shape, states: C.states.count, &random)
          var trainer = SequenceTrainer(
            shape.network(cell, kernels), .sgd, steps: shape.steps, batch: shape.batch, readout: shape.readout,
            ragged: true)
          let expected = try trainer.solve(whole)
          #expect(expected.loss > 0 && expected.gradient.contains { $0 != 0 })
          for value: Scalar in [.nan, .infinity] {
            let difference = try trainer.solve(masked(whole, value)).difference(from: expected)
            #expect(difference == nil, "\(C.self), \(shape), \(value), \(kernels.label)")
          }
        }
      }
    }

    /// The problem with `value` wherever nothing is read.
    private func masked(_ problem: NetworkProblem<Scalar>, _ value: Scalar) -> NetworkProblem<Scalar> {
      let shape = problem.shape
      var masked = problem
      func isPadded(_ row: Int) -> Bool { row / shape.batch >= shape.lengths![row % shape.batch] }
      if case .vectors(var x) = problem.input {
        for index in x.indices where isPadded(index / shape.inputs) { x[index] = value }
        masked.input = .vectors(x)
      }
      func spoiled(_ targets: [Scalar]) -> [Scalar] {
        targets.enumerated().map { index, target in
          let row = index / shape.outputs
          let isUnread = problem.weights![row] == 0 || (shape.readout == .everyStep && isPadded(row))
          return isUnread ? value : target
        }
      }
      switch problem.targets {
      case .classes: break
      case .probabilities(let y): masked.targets = .probabilities(spoiled(y))
      case .values(let y): masked.targets = .values(spoiled(y))
      }
      // Weights of padded steps do not count, whatever they are.
      if shape.readout == .everyStep {
        for row in 0..<shape.rows where isPadded(row) { masked.weights![row] = 7 }
      }
      return masked
    }
  }
}
