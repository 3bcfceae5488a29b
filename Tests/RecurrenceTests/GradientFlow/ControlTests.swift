import Recurrence
import RecurrenceTesting
import Testing

/// Clipping inside the backward loop, and Ω.
@Suite("Control inside the backward loop")
struct ControlTests {
  static let shapes = [
    ProblemShape(steps: 6, batch: 5, inputs: 3, units: 7, layers: 2),
    ProblemShape(steps: 5, batch: 3, inputs: 2, units: 32),
    ProblemShape(steps: 7, batch: 6, inputs: 4, units: 5, layers: 2, lengths: [3, 7, 0, 7, 1, 2]),
  ]

  private static func solve<C: Cell, S: TestScalar>(
    _ stack: RecurrentStack<C, S>, _ problem: SequenceProblem, _ control: BackpropagationControl,
    _ path: SequencePath = SequencePath()
  ) throws -> (result: SequenceResult<S>, outcome: BackpropagationOutcome?) {
    let shape = problem.shape
    var tape = stack.makeTape(
      steps: shape.steps, batch: shape.batch, threads: path.threads, ragged: shape.lengths != nil,
      keeping: path.keeping, smallestSplit: 0)
    tape.control = control
    let result = try stack.solve(problem, tape: &tape)
    return (result, tape.controlOutcome)
  }

  // MARK: Clipping

  struct Idle: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      for (index, shape) in ControlTests.shapes.enumerated() {
        var random = SeededRandom(stream: index)
        let problem = SequenceProblem(shape, states: C.states.count, random: &random)
        let stack = RecurrentStack<C, Float>(
          cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 4)
        let plain = try stack.solve(problem)
        for control in [
          BackpropagationControl(stepClipping: .value(1e20)), BackpropagationControl(stepClipping: .norm(1e20)),
        ] {
          let (result, outcome) = try solve(stack, problem, control)
          #expect(result.differences(from: plain) == [], "\(C.self) \(shape)")
          #expect(outcome?.clippedSteps == 0)
        }
        for control in [
          BackpropagationControl(stepClipping: .value(0.02)), BackpropagationControl(stepClipping: .norm(0.05)),
        ] {
          let (result, outcome) = try solve(stack, problem, control)
          let lengths = shape.lengths ?? Array(repeating: shape.steps, count: shape.batch)
          #expect(outcome!.steps == lengths.reduce(0, +) * shape.layers)
          #expect(outcome!.clippedSteps > 0 && outcome!.clippedSteps <= outcome!.steps, "\(C.self) \(shape)")
          for path in [SequencePath(threads: 3), SequencePath(threads: 2, keeping: 2), SequencePath(poison: true)] {
            let (other, same) = try solve(stack, problem, control, path)
            #expect(other.differences(from: result) == [], "\(C.self) \(shape) \(path)")
            #expect(same == outcome, "\(C.self) \(shape) \(path)")
          }
        }
      }
    }
  }

  @Test("limits that nothing exceeds change no bit; threads and segments do not show, for every cell")
  func everyCell() throws {
    var visitor = Idle()
    try forEachCell(&visitor)
  }

  /// One step: db is δa of all sequences summed, and with one sequence it is δa itself.
  @Test("δa is limited: direction kept, norm at most θ", arguments: [0.01, 0.3, 2])
  func limits(_ limit: Double) throws {
    for kernels in Kernels<Float>.supported { try expectLimits(Float(limit), kernels, 1e-6) }
    for kernels in Kernels<Double>.supported { try expectLimits(limit, kernels, 1e-14) }
  }

  private func expectLimits<S: TestScalar>(_ limit: S, _ kernels: Kernels<S>, _ rounding: Double) throws {
    let shape = ProblemShape(steps: 1, batch: 1, inputs: 3, units: 37)
    var random = SeededRandom(stream: 6)
    let problem = SequenceProblem(shape, states: 2, random: &random)
    let stack = RecurrentStack<LSTM, S>(LSTM(), inputs: 3, units: 37, seed: 4, kernels: kernels)
    let b = stack.layout.tensor("b")!.range
    let δ = Array(try stack.solve(problem).gradient[b])
    let bound = Double(limit)
    let byValue = Array(try Self.solve(stack, problem, .init(stepClipping: .value(bound))).result.gradient[b])
    #expect(byValue == δ.map { Swift.min(Swift.max($0, -limit), limit) }, "\(kernels.label)")
    let (result, outcome) = try Self.solve(stack, problem, .init(stepClipping: .norm(bound)))
    let byNorm = result.gradient[b].map { Double($0) }
    let norm = δ.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    let scale = norm > bound ? bound / norm : 1
    #expect(outcome!.clippedSteps == (norm > bound ? 1 : 0))
    for (value, original) in zip(byNorm, δ) {
      #expect(abs(value - Double(original) * scale) <= rounding * abs(Double(original)), "\(kernels.label)")
    }
    let after = byNorm.reduce(0) { $0 + $1 * $1 }.squareRoot()
    #expect(after <= bound * (1 + rounding) || norm <= bound, "\(kernels.label)")
  }

  /// h_t = 2 h_{t−1}: without a limit the gradient is 2^T, with one it is T steps of at most v.
  @Test("what is clipped is what goes on")
  func goesOn() throws {
    var stack = RecurrentStack<LinearCell, Double>(LinearCell(), inputs: 1, units: 1)
    (stack.parameters["W"], stack.parameters["U"], stack.parameters["b"]) = ([1], [2], [0])
    let shape = ProblemShape(steps: 10, batch: 1, inputs: 1, units: 1)
    let problem = SequenceProblem(
      shape, states: 1, x: [Double](repeating: 0, count: 10), initial: [0],
      outputGradients: [Double](repeating: 0, count: 9) + [1], finalGradients: [0])
    #expect(try stack.solve(problem).initialGradients == [1024])
    for clipping in [BackpropagationControl.StepClipping.value(4), .norm(4)] {
      let (result, outcome) = try Self.solve(stack, problem, BackpropagationControl(stepClipping: clipping))
      // 1, 2, 4, then 4 at every step; db sums them.
      #expect(result.gradient[2] == 1 + 2 + 8 * 4)
      #expect(result.initialGradients == [8])
      #expect(result.inputGradients == [4, 4, 4, 4, 4, 4, 4, 4, 2, 1])
      #expect(outcome == BackpropagationOutcome(clippedSteps: 7, steps: 10, normPenalties: []))
    }
  }

  // MARK: Ω

  /// Ω from its definition, and ∂Ω/∂U by differences: δ_t, φ′ and the states as they are, U moved where it multiplies δa.
  @Test("∂Ω/∂U is that of finite differences of its definition")
  func differences() throws {
    let (steps, batch, units) = (6, 3, 5)
    let shape = ProblemShape(steps: steps, batch: batch, inputs: 2, units: units)
    for index in 0..<4 {
      var random = SeededRandom(stream: 40 + index)
      let problem = SequenceProblem(shape, states: 1, random: &random)
      let stack = RecurrentStack<RNN<Activation>, Double>(
        RNN(), inputs: 2, units: units, initialization: .orthogonal(gain: 1.2), seed: UInt64(index))
      let plain = try stack.solve(problem)
      let α = 0.7
      let (result, outcome) = try Self.solve(stack, problem, BackpropagationControl(normPreservation: α))
      let u = stack.layout.tensor("U")!.range
      let reference = try Reference(stack, problem, plain.outputs)
      let expected = reference.penalty(stack.parameters["U"])
      #expect(abs(outcome!.normPenalties[0] - expected) <= 1e-12 * expected)
      var largest = 0.0
      var worst = 0.0
      for place in 0..<(units * units) {
        let ε = 1e-6
        var (up, down) = (stack.parameters["U"], stack.parameters["U"])
        up[place] += ε
        down[place] -= ε
        let difference = (reference.penalty(up) - reference.penalty(down)) / (2 * ε)
        let own = (result.gradient[u.lowerBound + place] - plain.gradient[u.lowerBound + place]) / α
        largest = max(largest, abs(difference))
        worst = max(worst, abs(own - difference))
      }
      #expect(worst <= 1e-8 * largest, "seed \(SuiteSettings.seed), case \(index)")
      // Only U has a gradient of Ω.
      for other in plain.gradient.indices where !u.contains(other) {
        #expect(result.gradient[other] == plain.gradient[other])
      }
      #expect(result.inputGradients == plain.inputGradients && result.initialGradients == plain.initialGradients)
    }
  }

  /// δ_t = ∂L/∂h_t by plain loops over a tanh RNN.
  private struct Reference {
    let shape: ProblemShape
    /// δ_t and δa_t, [T, B, H].
    var δh: [[[Double]]]
    var δa: [[[Double]]]

    init(
      _ stack: RecurrentStack<RNN<Activation>, Double>, _ problem: SequenceProblem, _ outputs: [Double]
    ) throws {
      shape = problem.shape
      let (steps, batch, units) = (shape.steps, shape.batch, shape.units)
      let u = stack.parameters["U"]
      δh = Array(repeating: Array(repeating: [], count: batch), count: steps)
      δa = δh
      for b in 0..<batch {
        var carried = Array(problem.finalGradients[(b * units)..<((b + 1) * units)])
        for t in (0..<steps).reversed() {
          let place = (t * batch + b) * units
          let total = (0..<units).map { carried[$0] + problem.outputGradients[place + $0] }
          δh[t][b] = total
          δa[t][b] = (0..<units).map { total[$0] * (1 - outputs[place + $0] * outputs[place + $0]) }
          carried = Self.pull(u, δa[t][b])
        }
      }
    }

    /// Uᵀ δa.
    private static func pull(_ u: [Double], _ δa: [Double]) -> [Double] {
      let units = δa.count
      return (0..<units).map { j in (0..<units).reduce(0) { $0 + u[$1 * units + j] * δa[$1] } }
    }

    func penalty(_ u: [Double]) -> Double {
      func square(_ v: [Double]) -> Double { v.reduce(0) { $0 + $1 * $1 } }
      var sum = 0.0
      for t in 0..<shape.steps {
        for b in 0..<shape.batch {
          let excess = square(Self.pull(u, δa[t][b])) / square(δh[t][b]) - 1
          sum += excess * excess
        }
      }
      return sum / Double(shape.steps * shape.batch)
    }
  }

  struct Regularized: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      if C.gates.contains(where: { $0.stage > 0 }) { return }
      for (index, shape) in ControlTests.shapes.enumerated() {
        var random = SeededRandom(stream: index)
        let problem = SequenceProblem(shape, states: C.states.count, random: &random)
        let stack = RecurrentStack<C, Double>(
          cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 4)
        let control = BackpropagationControl(normPreservation: 0.5)
        let (result, outcome) = try solve(stack, problem, control)
        #expect(outcome!.normPenalties.count == shape.layers)
        #expect(outcome!.normPenalties.allSatisfy { $0.isFinite && $0 >= 0 }, "\(C.self) \(shape)")
        for path in [SequencePath(threads: 3), SequencePath(threads: 2, keeping: 2), SequencePath(poison: true)] {
          let (other, same) = try solve(stack, problem, control, path)
          #expect(other.differences(from: result) == [], "\(C.self) \(shape) \(path)")
          #expect(same == outcome, "\(C.self) \(shape) \(path)")
        }
      }
    }
  }

  @Test("threads and segments do not show in Ω or its gradient, for every cell of one stage")
  func regularized() throws {
    var visitor = Regularized()
    try forEachCell(&visitor)
  }

  /// With an orthogonal U and the identity as activation, the gradient keeps its norm: Ω is 0, and so is its gradient.
  @Test func orthogonal() throws {
    let shape = ProblemShape(steps: 8, batch: 2, inputs: 2, units: 9)
    let stack = RecurrentStack<LinearCell, Double>(
      LinearCell(), inputs: 2, units: 9, initialization: .orthogonal(), seed: 2)
    var random = SeededRandom(stream: 1)
    let problem = SequenceProblem(shape, states: 1, random: &random)
    let plain = try stack.solve(problem)
    let (result, outcome) = try Self.solve(stack, problem, BackpropagationControl(normPreservation: 3))
    #expect(outcome!.normPenalties[0] <= 1e-28)
    #expect(relativeError(result.gradient, plain.gradient) <= 1e-13)
  }

  @Test("a trainer passes its control on")
  func trainer() throws {
    let network = SequenceNetwork<RNN<Activation>, Float>(RNN(), inputs: 2, units: 8, outputs: 1, seed: 1)
    var random = SeededRandom(stream: 2)
    let x: [Float] = random.array(10 * 4 * 2, .uniform)
    let y: [Float] = random.array(4, .uniform)
    func gradient(_ control: BackpropagationControl) throws -> [Float] {
      var trainer = SequenceTrainer(network, .sgd, steps: 10, batch: 4, readout: .lastStep)
      trainer.control = control
      #expect(trainer.control == control)
      var states = network.recurrent.makeStates(batch: 4)
      _ = try trainer.computeGradient(.vectors(x), targets: .values(y), steps: 10, batch: 4, states: &states)
      #expect((trainer.controlOutcome == nil) == (control == BackpropagationControl()))
      return trainer.gradient
    }
    let plain = try gradient(BackpropagationControl())
    #expect(try gradient(BackpropagationControl(stepClipping: .value(1e-3))) != plain)
    #expect(try gradient(BackpropagationControl(normPreservation: 1)) != plain)
  }
}
