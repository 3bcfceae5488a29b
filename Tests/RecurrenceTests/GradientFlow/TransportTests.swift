import Foundation
import Recurrence
import Testing

/// Transport, singular values and Lyapunov exponents against dense ones from NumPy, and against what is known in closed
/// form.
@Suite("Transport through time")
struct TransportTests {
  // MARK: Against NumPy

  @Test("σ_max is the dense SVD's, δ is autograd's", arguments: ["rnn", "lstm", "gru"])
  func dense(_ name: String) throws {
    switch name {
    case "rnn": try checkDense(name, RNN())
    case "lstm": try checkDense(name, LSTM())
    default: try checkDense(name, GRU())
    }
  }

  private func checkDense<C: Cell>(_ name: String, _ cell: C) throws {
    let fixture = try FlowFixture("transport-\(name)")
    let (steps, batch) = try fixture.size()
    for kernels in Kernels<Double>.supported {
      let stack = try fixture.stack(cell, Double.self, kernels: kernels)
      var transport = try GradientTransport(
        stack, input: fixture("x"), steps: steps, batch: batch, initialStates: fixture.states(of: stack))
      let values = transport.largestSingularValues()
      #expect(
        difference("σ_max", values, try fixture("sigma_max"), within: 1e-10) == nil, "\(name) \(kernels.label)")
      // Any cotangent and tangent, through the dense Jacobian [B, H, H].
      let jacobian = try fixture("jacobian")
      var random = SeededRandom(stream: 5)
      let u: [Double] = random.array(batch * stack.units, .uniform)
      let h = stack.units
      func product(_ transposed: Bool) -> [Double] {
        (0..<(batch * h)).map { place in
          (0..<h).reduce(0) { sum, k in
            let (i, j) = transposed ? (k, place % h) : (place % h, k)
            return sum + jacobian[(place / h * h + i) * h + j] * u[place / h * h + k]
          }
        }
      }
      #expect(difference("Jᵀu", transport.pullBack(u), product(true), within: 1e-12) == nil, "\(name)")
      #expect(difference("Jv", transport.pushForward(u), product(false), within: 1e-12) == nil, "\(name)")

      // The report's default: a unit cotangent with all elements alike.
      let report = try stack.gradientFlowReport(
        fixture("x"), steps: steps, batch: batch, initialStates: fixture.states(of: stack))
      let states = report.layers[0].record.states
      #expect(difference("δh", states[0].gradientNorms, try fixture("transport_h"), within: 1e-12) == nil, "\(name)")
      if states.count > 1 {
        #expect(difference("δc", states[1].gradientNorms, try fixture("transport_c"), within: 1e-12) == nil)
      }
      let largest = try fixture("sigma_max").max()!
      #expect(abs(report.layers[0].largestSingularValue - largest) <= 1e-6 * largest)
    }
    let stack = try fixture.stack(cell, Float.self)
    var transport = try GradientTransport(
      stack, input: fixture("x").map { Float($0) }, steps: steps, batch: batch,
      initialStates: fixture.states(of: stack))
    let values = transport.largestSingularValues()
    #expect(difference("σ_max", values, try fixture("sigma_max"), within: 1e-5) == nil, "\(name) Float")
  }

  @Test("Lyapunov exponents of a tanh network are NumPy's")
  func lyapunov() throws {
    let fixture = try FlowFixture("lyapunov")
    let (steps, batch) = try fixture.size()
    func check<S: TestScalar>(_: S.Type) throws {
      let stack = try fixture.stack(RNN(), S.self)
      let transport = try GradientTransport(
        stack, input: fixture("x").map { S($0) }, steps: steps, batch: batch)
      let exponents = transport.lyapunovExponents(count: 4, discarding: try Int(fixture("discarded")[0]), seed: 1)
      for (value, expected) in zip(exponents[0], try fixture("exponents")) {
        #expect(abs(value - expected) <= 1e-3, "\(S.self): \(exponents[0])")
      }
    }
    try check(Double.self)
    try check(Float.self)
  }

  @Test("Lyapunov exponents of a chaotic network lie among those of NumPy's runs")
  func chaos() throws {
    let fixture = try FlowFixture("lyapunov")
    let (steps, batch) = try fixture.size()
    var stack = try fixture.stack(RNN(), Double.self)
    stack.parameters["U"] = try fixture("chaotic.weight_hh_l0")
    let transport = try GradientTransport(stack, input: fixture("x"), steps: steps, batch: batch)
    let exponents = transport.lyapunovExponents(count: 4, discarding: 400)[0]
    let (means, spreads) = try (fixture("chaotic.exponents"), fixture("chaotic.spread"))
    for (value, (mean, spread)) in zip(exponents, zip(means, spreads)) {
      #expect(abs(value - mean) <= 5 * spread, "\(exponents) against \(means)")
    }
  }

  @Test("Lyapunov exponents of a linear cell are ln of its singular growth")
  func linearExponents() throws {
    let fixture = try FlowFixture("lyapunov")
    let units = try fixture.shape("linear.A")[0]
    var stack = RecurrentStack<LinearCell, Double>(LinearCell(), inputs: 1, units: units)
    stack.withParameters { $0 = $0.map { _ in 0 } }
    stack.parameters["U"] = try fixture("linear.A")
    let steps = 400
    let transport = try GradientTransport(
      stack, input: [Double](repeating: 0, count: steps), steps: steps, batch: 1)
    let exponents = transport.lyapunovExponents(count: units)[0]
    for (value, expected) in zip(exponents, try fixture("linear.exponents")) {
      #expect(abs(value - expected) <= 1e-3, "\(exponents)")
    }
  }

  // MARK: In closed form

  /// An LSTM without weights: c_t = f c_{t−1} + …, so that ∂c_T/∂c_0 = σ(b_f)^T.
  @Test("∂c_T/∂c_0 = σ(b_f)^T", arguments: [0.0, 1, 2, 5], [20, 100, 500])
  func forgetGate(_ bias: Double, _ steps: Int) throws {
    let units = 3
    for kernels in Kernels<Double>.supported {
      var stack = RecurrentStack<LSTM, Double>(LSTM(), inputs: 1, units: units, kernels: kernels)
      let f = stack.layout.range("b", gate: "f")!
      stack.withParameters { values in
        values = values.map { _ in 0 }
        for index in f { values[index] = bias }
      }
      var tape = stack.makeTape(steps: steps, batch: 1)
      tape.recordsGradientFlow = true
      let x = [Double](repeating: 0, count: steps)
      var states = stack.makeStates(batch: 1)
      var outputs = [Double](repeating: 0, count: steps * units)
      try stack.forward(x, steps: steps, batch: 1, states: &states, outputs: &outputs, tape: &tape)
      var gradients = stack.makeStates(batch: 1)
      gradients["c"] = [1, 0, 0]
      var gradient = stack.makeGradient()
      var inputGradients = x
      try stack.backward(
        x, outputGradients: .none, stateGradients: &gradients, gradient: &gradient, inputGradients: &inputGradients,
        tape: &tape)
      let gate = 1 / (1 + exp(-bias))
      let expected = pow(gate, Double(steps))
      #expect(abs(gradients["c"][0] - expected) <= 1e-10 * expected, "\(kernels.label)")
      let flow = tape.gradientFlow().layers[0]
      #expect(abs(flow.state("c")!.gradientNorms[0] - expected) <= 1e-10 * expected)
      #expect(abs(flow.gate("f")!.mean - gate) <= 1e-12)
      #expect(abs(flow.gate("f")!.impliedMemory - 1 / (1 - gate)) <= 1e-9 / (1 - gate))
    }
  }

  /// W = g·Q with Q orthogonal and φ the identity: every singular value of T steps is g^T, whatever the direction.
  @Test("g·Q: every singular value is g^T", arguments: [0.5, 0.9, 1.0, 1.1])
  func orthogonal(_ gain: Double) throws {
    let (steps, batch, units) = (40, 2, 12)
    let stack = RecurrentStack<LinearCell, Double>(
      LinearCell(), inputs: 2, units: units, initialization: .orthogonal(gain: gain), seed: 9)
    var random = SeededRandom(stream: 2)
    var transport = try GradientTransport(
      stack, input: random.array(steps * batch * 2, .uniform), steps: steps, batch: batch)
    let expected = pow(gain, Double(steps))
    for value in transport.largestSingularValues() { #expect(abs(value - expected) <= 1e-10 * expected) }
    let profile = transport.profile(seed: 7)
    for time in 0...steps {
      let expected = pow(gain, Double(steps - time))
      #expect(abs(profile[time] - expected) <= 1e-12 * expected)
    }
    for exponent in transport.lyapunovExponents(count: 3).flatMap({ $0 }) {
      #expect(abs(exponent - log(gain)) <= 1e-12)
    }
    // Every direction: the whole Jacobian's columns are orthogonal and of length g^T.
    var columns: [[Double]] = []
    for unit in 0..<units {
      var v = [Double](repeating: 0, count: batch * units)
      v[unit] = 1
      columns.append(Array(transport.pushForward(v).prefix(units)))
    }
    for (i, a) in columns.enumerated() {
      for (j, b) in columns.enumerated() {
        let product = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } / (expected * expected)
        #expect(abs(product - (i == j ? 1 : 0)) <= 1e-12)
      }
    }
  }

  /// Pascanu's wall: x_t = w σ(x_{t−1}) + b, whose gradient is t w^{t−1}… in the linear case, and a product of slopes here.
  @Test func wall() throws {
    struct Wall: Cell {
      static let gates: [Gate] = ["a"]
      // h is σ(x): then x_t = w h_{t−1} + b is the pre-activation.
      func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(sigmoid(input.gates[0])) }
    }
    let steps = 50
    for (w, b) in [(4.0, -2.0), (5.2, -2.6), (6.0, -3.2), (3.0, 1.0)] {
      var stack = RecurrentStack<Wall, Double>(Wall(), inputs: 1, units: 1)
      stack.parameters["W"] = [0]
      stack.parameters["U"] = [w]
      stack.parameters["b"] = [b]
      func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
      var (h, dw, db) = (sigmoid(0.5), 0.0, 0.0)
      for _ in 0..<steps {
        let next = sigmoid(w * h + b)
        (dw, db) = (next * (1 - next) * (h + w * dw), next * (1 - next) * (1 + w * db))
        h = next
      }
      let error = 2 * (h - 0.7)
      var tape = stack.makeTape(steps: steps, batch: 1)
      let x = [Double](repeating: 0, count: steps)
      var states = stack.makeStates(batch: 1)
      states.values = [sigmoid(0.5)]
      var outputs = x
      try stack.forward(x, steps: steps, batch: 1, states: &states, outputs: &outputs, tape: &tape)
      var gradients = stack.makeStates(batch: 1)
      gradients.values = [2 * (outputs[steps - 1] - 0.7)]
      var gradient = stack.makeGradient()
      var inputGradients = x
      try stack.backward(
        x, outputGradients: .none, stateGradients: &gradients, gradient: &gradient, inputGradients: &inputGradients,
        tape: &tape)
      #expect(abs(gradient["U"][0] - error * dw) <= 1e-11 * abs(error * dw), "w = \(w)")
      #expect(abs(gradient["b"][0] - error * db) <= 1e-11 * abs(error * db), "w = \(w)")
    }
  }

  /// The layer of a stack, with its own inputs, is looked at alone.
  @Test func layers() throws {
    let (steps, batch, units) = (12, 3, 7)
    let stack = RecurrentStack<LSTM, Double>(LSTM(), inputs: 4, units: units, layers: 2, seed: 3)
    var random = SeededRandom(stream: 8)
    let x: [Double] = random.array(steps * batch * 4, .uniform)
    var states = stack.makeStates(batch: batch)
    states.values = random.array(states.values.count, .uniform)
    for layer in 0..<2 {
      var transport = try GradientTransport(
        stack, layer: layer, input: x, steps: steps, batch: batch, initialStates: states)
      // The way back through the whole stack, from this layer's h_T to its own h_0.
      let u: [Double] = random.array(batch * units, .uniform)
      let pulled = transport.pullBack(u)
      var tape = stack.makeTape(steps: steps, batch: batch)
      var final = states
      var outputs = [Double](repeating: 0, count: steps * batch * units)
      try stack.forward(x, steps: steps, batch: batch, states: &final, outputs: &outputs, tape: &tape)
      var gradients = stack.makeStates(batch: batch)
      let range = (layer * batch * units)..<((layer + 1) * batch * units)
      gradients.values.replaceSubrange(range, with: u)
      var gradient = stack.makeGradient()
      var inputGradients = x
      try stack.backward(
        x, outputGradients: .none, stateGradients: &gradients, gradient: &gradient, inputGradients: &inputGradients,
        tape: &tape)
      #expect(relativeError(pulled, Array(gradients.values[range])) <= 1e-13, "layer \(layer)")
    }
  }
}
