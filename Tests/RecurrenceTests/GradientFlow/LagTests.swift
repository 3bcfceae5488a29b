import Recurrence
import RecurrenceTesting
import Testing

/// Shares by lag against gradients of U that are formed, one for each pair of a loss step and a use step.
@Suite("Lag attribution")
struct LagTests {
  struct Check: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      let shape = ProblemShape(steps: 7, batch: 3, inputs: 2, units: 5, layers: 2)
      var random = SeededRandom(stream: 3)
      var problem = SequenceProblem(shape, states: C.states.count, random: &random)
      problem.finalGradients = problem.finalGradients.map { _ in 0 }
      let stack = RecurrentStack<C, Double>(cell, inputs: 2, units: 5, layers: 2, seed: 9)
      for layer in 0..<2 {
        var states = stack.makeStates(batch: 3)
        states.values = problem.initial
        let attribution = try stack.lagAttribution(
          problem.x, steps: 7, batch: 3, outputGradients: problem.outputGradients, layer: layer,
          initialStates: states)
        let expected = try naive(stack, problem, layer)
        let place = "\(C.self), layer \(layer), seed \(SuiteSettings.seed)"
        if attribution.norm == 0 {
          // Of a cell in which U reaches no output.
          #expect(attribution.shares.allSatisfy { $0 == 0 }, "\(place)")
          continue
        }
        #expect(relativeError(attribution.shares, expected) <= 1e-11, "\(place): \(attribution.shares), \(expected)")
        #expect(abs(attribution.shares.reduce(0, +) - 1) <= 1e-12, "\(place)")
        #expect(
          abs(attribution.share(0...2) + attribution.share(3...) - attribution.share(0...)) <= 1e-14, "\(place)")
      }
    }

    /// ⟨dU_lag, dU⟩/‖dU‖², where dU(s, t), the loss of step s and the use of step t, is the difference of two gradients: from
    /// step s back to t, and back to t + 1, the gradient ending at the state before.
    private func naive<C: Cell>(
      _ stack: RecurrentStack<C, Double>, _ problem: SequenceProblem, _ layer: Int
    ) throws -> [Double] {
      let shape = problem.shape
      let width = shape.batch * shape.units
      let range = stack.layout.tensor("U", layer: layer)!.range
      // The states before each step.
      var states = [problem.initial]
      for t in 0..<shape.steps {
        var current = stack.makeStates(batch: shape.batch)
        current.values = states[t]
        let x = Array(problem.x[(t * shape.batch * shape.inputs)..<((t + 1) * shape.batch * shape.inputs)])
        states.append(try stack.forward(x, steps: 1, batch: shape.batch, initialStates: current).states.values)
      }
      /// dU of the loss of step s by uses in steps t…s.
      func gradient(_ s: Int, from t: Int) throws -> [Double] {
        if t > s { return [Double](repeating: 0, count: range.count) }
        var some = problem
        var size = shape
        size.steps = s - t + 1
        let inputs = shape.batch * shape.inputs
        var outputGradients = [Double](repeating: 0, count: size.steps * width)
        outputGradients.replaceSubrange(
          ((size.steps - 1) * width)..., with: problem.outputGradients[(s * width)..<((s + 1) * width)])
        some = SequenceProblem(
          size, states: problem.states, x: Array(problem.x[(t * inputs)..<((s + 1) * inputs)]), initial: states[t],
          outputGradients: outputGradients, finalGradients: problem.finalGradients)
        return Array(try stack.solve(some).gradient[range])
      }
      var byLag = [[Double]](repeating: [Double](repeating: 0, count: range.count), count: shape.steps)
      for s in 0..<shape.steps {
        for t in 0...s {
          let (whole, rest) = try (gradient(s, from: t), gradient(s, from: t + 1))
          for index in whole.indices { byLag[s - t][index] += whole[index] - rest[index] }
        }
      }
      var all = [Double](repeating: 0, count: range.count)
      for part in byLag { for index in part.indices { all[index] += part[index] } }
      let square = all.reduce(0) { $0 + $1 * $1 }
      return byLag.map { part in zip(part, all).reduce(0) { $0 + $1.0 * $1.1 } / square }
    }
  }

  @Test("shares are projections of the parts, for every cell")
  func everyCell() throws {
    var visitor = Check()
    try forEachCell(&visitor)
  }

  /// A loss at the last step alone: each lag has one use, and the linear cell's shares are powers.
  @Test func lastStep() throws {
    let steps = 12
    var stack = RecurrentStack<LinearCell, Double>(LinearCell(), inputs: 1, units: 1)
    (stack.parameters["W"], stack.parameters["U"], stack.parameters["b"]) = ([1], [0.5], [0])
    // x = 1, 0, 0, …: h_t = 2⁻ᵗ, so that every use gives 2^(1 − T).
    var x = [Double](repeating: 0, count: steps)
    x[0] = 1
    var outputGradients = [Double](repeating: 0, count: steps)
    outputGradients[steps - 1] = 1
    let attribution = try stack.lagAttribution(x, steps: steps, batch: 1, outputGradients: outputGradients)
    for lag in 0..<(steps - 1) { #expect(abs(attribution.shares[lag] - 1.0 / Double(steps - 1)) <= 1e-15) }
    // Before the first step h is 0.
    #expect(attribution.shares[steps - 1] == 0)
  }
}
