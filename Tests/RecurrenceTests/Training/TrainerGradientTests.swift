import Recurrence
import Testing

/// The gradient of a whole network, from the loss through output layer, stack and embedding.
@Suite("Gradients of networks")
struct TrainerGradientTests {
  /// Along random directions, against differences of the loss that `SequenceEvaluator` gives.
  @Test("gradients equal differences of the loss: every cell, input, readout and loss")
  func differences() throws {
    var visitor = DifferenceVisitor()
    try forEachSmoothCell(&visitor)
    // Cells × shapes × instruction sets × (all parameters, stack, output; embedding where there is one).
    #expect(visitor.checks == 6 * 36 * Kernels<Double>.supported.count * 7 / 2)
  }

  /// Central differences at 2⁻⁹ and 2⁻¹⁰ with Richardson's step, for which `OracleGradientTests` derives the tolerance.
  private struct DifferenceVisitor: CellVisitor {
    private(set) var checks = 0

    mutating func visit<C: Cell>(_ cell: C) throws {
      for kernels in Kernels<Double>.supported {
        for (stream, shape) in NetworkShape.all.enumerated() {
          var random = SeededRandom(stream: stream)
          let network: SequenceNetwork<C, Double> = shape.network(cell, kernels)
          let problem = NetworkProblem<Double>(shape, states: C.states.count, &random)
          var trainer = SequenceTrainer(
            network, .sgd, steps: shape.steps, batch: shape.batch, readout: shape.readout,
            ragged: shape.lengths != nil)
          let gradient = try trainer.solve(problem).gradient
          let ranges = network.parameterRanges
          var blocks = [("all", 0..<network.parameterCount), ("stack", ranges.recurrent), ("output", ranges.output)]
          if !ranges.embedding.isEmpty { blocks.append(("embedding", ranges.embedding)) }
          for (name, range) in blocks {
            let (direction, slope) = try slope(network, problem, range, &random)
            let terms = zip(gradient, direction).map { $0 * $1 }
            let size = terms.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let error = (terms.reduce(0, +) - slope).magnitude
            checks += 1
            #expect(size > 0)
            #expect(error <= 1e-7 * size, "\(C.self), \(shape), \(name), \(kernels.label): \(error) of \(size)")
          }
        }
      }
    }

    private func slope<C: Cell>(
      _ network: SequenceNetwork<C, Double>, _ problem: NetworkProblem<Double>, _ range: Range<Int>,
      _ random: inout SeededRandom
    ) throws -> (direction: [Double], slope: Double) {
      let shape = problem.shape
      let point = network.parameters
      var direction = [Double](repeating: 0, count: point.count)
      for i in range { direction[i] = random.uniform(Double.self) }
      let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      direction = direction.map { $0 / length }
      var evaluator = SequenceEvaluator(
        network, steps: shape.steps, batch: shape.batch, readout: shape.readout, ragged: shape.lengths != nil)
      var moved = network
      func loss(_ distance: Double) throws -> Double {
        moved.parameters = zip(point, direction).map { $0 + distance * $1 }
        return try evaluator.solve(moved, problem).loss
      }
      let s = 0x1p-9
      let wide = try (loss(s) - loss(-s)) / (2 * s)
      let narrow = try (loss(s / 2) - loss(-s / 2)) / s
      return (direction, (4 * narrow - wide) / 3)
    }
  }

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
