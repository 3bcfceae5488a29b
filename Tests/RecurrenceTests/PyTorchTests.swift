import Recurrence
import RecurrenceTesting
import Testing

/// Stacks against PyTorch's numbers: outputs, final states and all gradients, in Double.
@Suite("Stacks against PyTorch")
struct PyTorchTests {
  @Test(arguments: OracleFixtureTests.pytorchNames)
  func stackEqualsPyTorch(_ name: String) throws {
    switch name {
    case let name where name.hasPrefix("rnn-tanh"): try check(name, RNN())
    case let name where name.hasPrefix("rnn-relu"): try check(name, RNN.relu)
    case let name where name.hasPrefix("lstm"): try check(name, LSTM())
    default: try check(name, GRU())
    }
  }

  @Test("the reset-before GRU equals its formula, differentiated by PyTorch")
  func resetBefore() throws { try checkFormula("gru-reset-before", GRUResetBefore()) }

  @Test("the LSTM with peepholes equals its formula, differentiated by PyTorch")
  func peepholes() throws { try checkFormula("lstm-peephole", PeepholeLSTM()) }

  private func check<C: Cell>(_ name: String, _ cell: C) throws {
    let fixture = try Fixture(name)
    let layers = try fixture.shape("h0")[0]
    let parameters = try (0..<layers).flatMap { layer in
      try fixture.parameters(layer: layer, candidateApart: C.self == GRU.self)
    }
    try check(fixture, cell, layers: layers, inputs: fixture.shape("weight_ih_l0")[1], parameters) { gradient, layout in
      var judged = 0
      for layer in 0..<layers {
        let tensors = layout.tensors.filter { $0.layer == layer }
        let own = Array(gradient[tensors.first!.range.lowerBound..<tensors.last!.range.upperBound])
        let named = try fixture.namedGradients(own, layer: layer, candidateApart: C.self == GRU.self)
        for (key, values) in named { try expect(values, "grad." + key, fixture) }
        judged += named.count
      }
      #expect(judged == fixture.tensors.keys.filter { $0.hasPrefix("grad.weight") || $0.hasPrefix("grad.bias") }.count)
    }
  }

  private func checkFormula<C: Cell>(_ name: String, _ cell: C) throws {
    let fixture = try Fixture(name)
    let names = ["W", "U", "b"] + C.unitParameters
    let parameters = try names.flatMap { try fixture($0) }
    try check(fixture, cell, layers: 1, inputs: fixture.shape("W")[1], parameters) { gradient, layout in
      for tensor in layout.tensors { try expect(Array(gradient[tensor.range]), "grad." + tensor.name, fixture) }
    }
  }

  private func check<C: Cell>(
    _ fixture: Fixture, _ cell: C, layers: Int, inputs: Int, _ parameters: [Double],
    gradient check: ([Double], ParameterLayout) throws -> Void
  ) throws {
    let (steps, batch) = try (fixture.shape("x")[0], fixture.shape("x")[1])
    let units = try fixture.shape("h0")[2]
    let lengths = try fixture.tensors["lengths"] == nil ? nil : fixture("lengths").map { Int($0) }
    let letters = C.states
    func states(_ names: [String]) throws -> [Double] { try names.prefix(letters.count).flatMap { try fixture($0) } }
    let problem = try SequenceProblem(
      ProblemShape(steps: steps, batch: batch, inputs: inputs, units: units, layers: layers, lengths: lengths),
      states: letters.count, x: fixture("x"), initial: states(["h0", "c0"]), outputGradients: fixture("d_outputs"),
      finalGradients: states(["d_h_n", "d_c_n"]))
    for kernels in Kernels<Double>.supported {
      var stack = RecurrentStack<C, Double>(cell, inputs: inputs, units: units, layers: layers, kernels: kernels)
      stack.parameters.values = parameters
      let result = try stack.solve(problem)
      try expect(result.outputs, "outputs", fixture)
      try expect(result.inputGradients, "grad.x", fixture)
      let size = layers * batch * units
      for (index, letter) in letters.enumerated() {
        try expect(Array(result.final[(index * size)..<((index + 1) * size)]), letter + "_n", fixture)
        try expect(Array(result.initialGradients[(index * size)..<((index + 1) * size)]), "grad.\(letter)0", fixture)
      }
      try check(result.gradient, stack.layout)
    }
  }

  private func expect(_ values: [Double], _ tensor: String, _ fixture: Fixture) throws {
    let error = largestError(values, try fixture(tensor))
    #expect(error <= 1e-12, "\(fixture.name), \(tensor): off by \(error) of its largest value")
  }
}
