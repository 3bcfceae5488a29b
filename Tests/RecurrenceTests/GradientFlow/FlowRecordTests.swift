import Foundation
import Recurrence
import RecurrenceTesting
import Testing

/// What passes record, against PyTorch's autograd over an unrolled network (Fixtures/GradientFlow/reference.py).
@Suite("The record of the gradient flow")
struct FlowRecordTests {
  @Test(
    "norms, means and saturation are PyTorch's",
    arguments: ["profile-rnn", "profile-rnn-relu", "profile-lstm", "profile-gru", "profile-lstm-2layers"])
  func profiles(_ name: String) throws {
    switch name {
    case "profile-rnn": try check(name, RNN())
    case "profile-rnn-relu": try check(name, RNN.relu)
    case "profile-gru": try check(name, GRU())
    default: try check(name, LSTM())
    }
  }

  private func check<C: Cell>(_ name: String, _ cell: C) throws {
    for kernels in Kernels<Double>.supported { try check(name, cell, kernels, 1e-12) }
    for kernels in Kernels<Float>.supported { try check(name, cell, kernels, 1e-5) }
  }

  private func check<C: Cell, S: TestScalar>(
    _ name: String, _ cell: C, _ kernels: Kernels<S>, _ tolerance: Double
  ) throws {
    let fixture = try FlowFixture(name)
    let stack = try fixture.stack(cell, S.self, kernels: kernels)
    var complaints: [String?] = []
    for prefix in ["", "last."] {
      let record = try record(stack, fixture, lastStepOnly: prefix == "last.")
      for (layer, flow) in record.layers.enumerated() {
        for state in flow.states {
          let place = "\(prefix)\(state.name)_l\(layer)"
          complaints.append(
            difference(
              "delta_\(place)", state.gradientNorms, try fixture("\(prefix)delta_\(state.name)_l\(layer)"),
              within: tolerance))
          complaints.append(
            difference("norm_\(place)", state.norms, try fixture("norm_\(state.name)_l\(layer)"), within: tolerance))
        }
        for gate in flow.gates {
          let place = "\(gate.name)_l\(layer)"
          complaints.append(
            difference("mean_\(place)", gate.means, try fixture("mean_\(place)"), within: tolerance))
          complaints.append(
            difference("saturation_\(place)", gate.saturations, try fixture("saturation_\(place)"), within: 1e-12))
        }
        #expect(flow.gates.count == (C.self == GRU.self ? 3 : C.gates.count))
        #expect(flow.firstNonFinite == nil)
      }
    }
    for complaint in complaints.compactMap({ $0 }) { Issue.record("\(name) \(kernels.label): \(complaint)") }
  }

  private func record<C: Cell, S: TestScalar>(
    _ stack: RecurrentStack<C, S>, _ fixture: FlowFixture, lastStepOnly: Bool
  ) throws -> GradientFlowRecord {
    let (steps, batch) = try fixture.size()
    var tape = stack.makeTape(steps: steps, batch: batch)
    tape.recordsGradientFlow = true
    let x = try fixture("x").map { S($0) }
    var states = try fixture.states(of: stack)
    var outputs = [S](repeating: 0, count: steps * batch * stack.units)
    try stack.forward(x, steps: steps, batch: batch, states: &states, outputs: &outputs, tape: &tape)
    var gradients = stack.makeStates(batch: batch)
    var outputGradients = try fixture("d_outputs").map { S($0) }
    if lastStepOnly {
      for index in 0..<((steps - 1) * batch * stack.units) { outputGradients[index] = 0 }
    } else {
      gradients = try fixture.states(of: stack, ["d_h_n", "d_c_n"])
    }
    var gradient = stack.makeGradient()
    var inputGradients = x
    try stack.backward(
      x, outputGradients: .everyStep(outputGradients), stateGradients: &gradients, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
    return tape.gradientFlow()
  }

  // MARK: Laws

  struct Threads: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for (index, shape) in GradientTraceTests.shapes.enumerated() {
        let stack = RecurrentStack<C, S>(
          cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 3)
        var random = SeededRandom(stream: index)
        let problem = SequenceProblem(shape, states: C.states.count, random: &random)
        var records: [GradientFlowRecord] = []
        for path in [SequencePath(), SequencePath(threads: 3), SequencePath(threads: 2, keeping: 2)] {
          var tape = stack.makeTape(
            steps: shape.steps, batch: shape.batch, threads: path.threads, ragged: shape.lengths != nil,
            keeping: path.keeping, smallestSplit: 0)
          tape.recordsGradientFlow = true
          _ = try stack.solve(problem, tape: &tape)
          // What an earlier pass left must not show.
          _ = try stack.solve(problem, tape: &tape)
          records.append(tape.gradientFlow())
        }
        #expect(
          records.allSatisfy { $0 == records[0] }, "\(C.self) \(S.self) \(shape), seed \(SuiteSettings.seed)")
        for state in records[0].layers.flatMap(\.states) {
          #expect(state.norms.count == shape.steps + 1 && state.gradientNorms.count == shape.steps + 1)
          #expect(state.nonFiniteShares.allSatisfy { $0 == 0 })
        }
      }
    }
  }

  @Test("threads and segments do not show in any number, for every cell")
  func threads() throws {
    var visitor = Threads()
    try forEachCell(&visitor)
  }

  /// The total derivative with respect to c_t of a user's LSTM, whose backward is derived, is that of the built-in one.
  @Test func usersCell() throws {
    let shape = ProblemShape(steps: 7, batch: 3, inputs: 4, units: 21)
    var random = SeededRandom(stream: 4)
    let problem = SequenceProblem(shape, states: 2, random: &random)
    let builtIn = RecurrentStack<LSTM, Double>(LSTM(), inputs: 4, units: 21, seed: 8)
    var own = RecurrentStack<UsersLSTM, Double>(UsersLSTM(), inputs: 4, units: 21)
    own.withParameters { $0 = builtIn.parameters.values }
    func record<C: Cell>(_ stack: RecurrentStack<C, Double>) throws -> GradientFlowRecord.Layer {
      var tape = stack.makeTape(steps: 7, batch: 3)
      tape.recordsGradientFlow = true
      _ = try stack.solve(problem, tape: &tape)
      return tape.gradientFlow().layers[0]
    }
    let (expected, actual) = try (record(builtIn), record(own))
    for (a, e) in zip(actual.states, expected.states) {
      #expect(relativeError(a.gradientNorms, e.gradientNorms) <= 1e-13, "\(a.name)")
      #expect(relativeError(a.norms, e.norms) <= 1e-13, "\(a.name)")
    }
    #expect(actual.gates.map(\.name) == ["i", "f", "g", "o"])
    for (a, e) in zip(actual.gates, expected.gates) {
      #expect(relativeError(a.means, e.means) <= 1e-13 && a.saturations == e.saturations, "\(a.name)")
    }
  }

  private struct UsersLSTM: Cell {
    static let gates: [Gate] = ["i", "f", "g", "o"]
    static let states = ["h", "c"]
    func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
      let a = input.gates
      let c = sigmoid(a[1]) * input.states[1] + sigmoid(a[0]) * tanh(a[2])
      return Planes(sigmoid(a[3]) * tanh(c), c)
    }
  }

  /// h_t = h_{t−1}/4: the gradient passes 2⁻¹⁰⁰ after 50 steps and is zero when it is subnormal no longer.
  @Test func tinyAndZero() throws {
    let (steps, units) = (80, 3)
    var stack = RecurrentStack<LinearCell, Float>(LinearCell(), inputs: 1, units: units)
    var parameters = Parameters<Float>(stack.layout)
    for unit in 0..<units { parameters["U", unit, unit] = 0.25 }
    stack.parameters = parameters
    var tape = stack.makeTape(steps: steps, batch: 2)
    tape.recordsGradientFlow = true
    let x = [Float](repeating: 0, count: steps * 2)
    var states = stack.makeStates(batch: 2)
    var outputs = [Float](repeating: 0, count: steps * 2 * units)
    try stack.forward(x, steps: steps, batch: 2, states: &states, outputs: &outputs, tape: &tape)
    var gradients = stack.makeStates(batch: 2)
    // One unit of three has a gradient.
    gradients.values[0] = 1
    gradients.values[units] = 1
    var gradient = stack.makeGradient()
    var inputGradients = x
    try stack.backward(
      x, outputGradients: .none, stateGradients: &gradients, gradient: &gradient, inputGradients: &inputGradients,
      tape: &tape)
    let h = tape.gradientFlow().layers[0].states[0]
    for time in 0...steps {
      let lag = steps - time
      // 4⁻⁶³ is the smallest normal Float.
      let isZero = lag > 63
      let isTiny = lag > 50
      #expect(h.zeroShares[time] == (isZero ? 1 : 2.0 / 3), "lag \(lag)")
      #expect(h.tinyShares[time] == (isTiny ? 1 : 2.0 / 3), "lag \(lag)")
      #expect(h.gradientNorms[time] == (isZero ? 0 : pow(0.25, Double(lag)) * 2.0.squareRoot()), "lag \(lag)")
    }
  }

  @Test("norms neither overflow nor underflow", arguments: [1e30, 1e-30, 1e300, 1e-300])
  func extremes(_ size: Double) throws {
    try expectNorm(size, Double.self)
    if size > 1e-38 && size < 1e38 { try expectNorm(size, Float.self) }
  }

  private func expectNorm<S: TestScalar>(_ size: Double, _: S.Type) throws {
    var stack = RecurrentStack<LinearCell, S>(LinearCell(), inputs: 1, units: 5)
    stack.withParameters { $0 = $0.map { _ in 0 } }
    var tape = stack.makeTape(steps: 1, batch: 2)
    tape.recordsGradientFlow = true
    var states = stack.makeStates(batch: 2)
    states.values = [S](repeating: S(size), count: 10)
    var outputs = [S](repeating: 0, count: 10)
    try stack.forward([0, 0], steps: 1, batch: 2, states: &states, outputs: &outputs, tape: &tape)
    var gradients = stack.makeStates(batch: 2)
    gradients.values = [S](repeating: S(size), count: 10)
    var gradient = stack.makeGradient()
    var inputGradients: [S] = [0, 0]
    try stack.backward(
      [0, 0], outputGradients: .none, stateGradients: &gradients, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
    let h = tape.gradientFlow().layers[0].states[0]
    let expected = Double(S(size)) * 10.0.squareRoot()
    #expect(abs(h.gradientNorms[1] - expected) <= 1e-14 * expected)
    #expect(abs(h.norms[0] - expected) <= 1e-14 * expected)
  }
}
