import Recurrence
import RecurrenceTesting
import Testing

/// `pushForward` against dual numbers through plain loops, and against the backward pass.
@Suite("Forward mode")
struct ForwardModeTests {
  static let shapes = [
    ProblemShape(steps: 5, batch: 3, inputs: 4, units: 5),
    ProblemShape(steps: 4, batch: 2, inputs: 3, units: 33, layers: 2),
    ProblemShape(steps: 9, batch: 5, inputs: 2, units: 16, layers: 3),
    ProblemShape(steps: 0, batch: 2, inputs: 2, units: 3),
    ProblemShape(steps: 20, batch: 1, inputs: 1, units: 3),
  ]

  struct Check: CellVisitor {
    let index: Int
    let shape: ProblemShape

    mutating func visit<C: Cell>(_ cell: C) throws {
      for kernels in Kernels<Double>.supported { try visit(cell, kernels, 1e-12) }
      for kernels in Kernels<Float>.supported { try visit(cell, kernels, 2e-5) }
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _ kernels: Kernels<S>, _ tolerance: Double) throws {
      let stack = RecurrentStack<C, S>(
        cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 5, kernels: kernels)
      var random = SeededRandom(stream: index)
      let problem = SequenceProblem(shape, states: C.states.count, random: &random)
      let plain = try stack.solve(problem)
      var parameters = stack.makeGradient()
      parameters.values = random.array(parameters.values.count, .uniform)
      let x: [S] = random.array(problem.x.count, .uniform)
      let initial: [S] = random.array(problem.initial.count, .uniform)
      for direction in 0..<4 {
        // All at once, then each alone: what is left out is zero.
        let (hasInput, hasParameters) = (direction == 0 || direction == 1, direction == 0 || direction == 2)
        var tangents = RecurrentTangents(
          states: stack.makeStates(batch: shape.batch), input: hasInput ? x : nil,
          parameters: hasParameters ? parameters : nil)
        let hasStates = direction == 0 || direction == 3
        if hasStates { tangents.states.values = initial }
        var states = stack.makeStates(batch: shape.batch)
        states.values = problem.initial.map { S($0) }
        var outputs: [S] = []
        var workspace = stack.makeTangentWorkspace(
          steps: shape.steps, batch: shape.batch, threads: direction == 0 ? 1 : 3)
        try stack.pushForward(
          problem.x.map { S($0) }, steps: shape.steps, batch: shape.batch, states: &states, tangents: &tangents,
          outputs: &outputs, workspace: &workspace)
        let place = "\(C.self) \(kernels.label) \(shape), direction \(direction)"
        #expect(outputs == plain.outputs && states.values == plain.final, "values of \(place)")

        func dual(_ values: [Double], _ direction: [S]?) -> [Dual<PlainNumber>] {
          values.enumerated().map { index, value in
            Dual(PlainNumber(value), tangent: PlainNumber(direction.map { Double($0[index]) } ?? 0))
          }
        }
        let run = NaiveDriver(cell, shape, layout: stack.layout).run(
          parameters: dual(stack.parameters.values.map { Double($0) }, hasParameters ? parameters.values : nil),
          x: dual(problem.x, hasInput ? x : nil), initial: dual(problem.initial, hasStates ? initial : nil))
        #expect(
          relativeError(tangents.outputs, run.outputs.map(\.tangent.value)) <= tolerance,
          "outputs' tangents of \(place)")
        #expect(
          relativeError(tangents.states.values, run.final.map(\.tangent.value)) <= tolerance,
          "final states' tangents of \(place)")
      }
    }
  }

  @Test("derivatives in a direction are those of dual numbers through plain loops", arguments: shapes.indices)
  func everyCell(_ index: Int) throws {
    var visitor = Check(index: index, shape: Self.shapes[index])
    try forEachCell(&visitor)
  }

  /// ⟨J v, u⟩ = ⟨v, Jᵀ u⟩ with both sides from this library.
  @Test func adjoint() throws {
    let shape = ProblemShape(steps: 30, batch: 4, inputs: 5, units: 24, layers: 2)
    var random = SeededRandom(stream: 21)
    let stack = RecurrentStack<GRUResetBefore, Double>(GRUResetBefore(), inputs: 5, units: 24, layers: 2, seed: 2)
    let problem = SequenceProblem(shape, states: 1, random: &random)
    let solved = try stack.solve(problem)
    var parameters = stack.makeGradient()
    parameters.values = random.array(parameters.values.count, .uniform)
    var tangents = RecurrentTangents(
      states: stack.makeStates(batch: 4), input: random.array(problem.x.count, .uniform), parameters: parameters)
    tangents.states.values = random.array(problem.initial.count, .uniform)
    let direction = tangents
    var states = stack.makeStates(batch: 4)
    states.values = problem.initial
    var outputs: [Double] = []
    var workspace = stack.makeTangentWorkspace(steps: 30, batch: 4)
    try stack.pushForward(
      problem.x, steps: 30, batch: 4, states: &states, tangents: &tangents, outputs: &outputs, workspace: &workspace)
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let left = dot(tangents.outputs, problem.outputGradients) + dot(tangents.states.values, problem.finalGradients)
    let right =
      dot(direction.input!, solved.inputGradients) + dot(parameters.values, solved.gradient)
      + dot(direction.states.values, solved.initialGradients)
    #expect(abs(left - right) <= 1e-12 * abs(left), "⟨Jv, u⟩ = \(left), ⟨v, Jᵀu⟩ = \(right)")
  }

  @Test func refusals() throws {
    let stack = RecurrentStack<RNN<Activation>, Float>(RNN(), inputs: 2, units: 3)
    var workspace = stack.makeTangentWorkspace(steps: 4, batch: 2)
    var states = stack.makeStates(batch: 2)
    var outputs: [Float] = []
    func refusal(_ change: (inout RecurrentTangents<Float>) -> Void, x: Int = 16) -> String? {
      var tangents = RecurrentTangents(states: stack.makeStates(batch: 2))
      change(&tangents)
      do throws(ShapeError) {
        try stack.pushForward(
          [Float](repeating: 0, count: x), steps: 4, batch: 2, states: &states, tangents: &tangents,
          outputs: &outputs, workspace: &workspace)
        return nil
      } catch { return error.parameter }
    }
    #expect(refusal { _ in } == nil)
    #expect(refusal({ _ in }, x: 15) == "input")
    #expect(refusal { $0.input = [1] } == "tangents.input")
    #expect(
      refusal { $0.parameters = RecurrentStack<LSTM, Float>(LSTM(), inputs: 2, units: 3).makeGradient() }
        == "tangents.parameters")
    #expect(refusal { $0.states = stack.makeStates(batch: 1) } == "tangents.states")
  }
}
