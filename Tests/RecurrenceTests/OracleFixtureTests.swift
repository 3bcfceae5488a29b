import Testing

/// The naive cells against PyTorch, which shares neither code nor author with them.
///
/// Both compute in `Double`: sums of some ten terms over five steps and two layers differ by a few units of 10⁻¹⁶.
/// 10⁻¹² of a tensor's largest value leaves room for the conditioning of the network, and none for a wrong term.
@Suite struct OracleFixtureTests {
  static let tolerance = 1e-12

  static let networks = ["rnn-tanh", "rnn-relu", "lstm", "gru"]
  static let pytorchNames = networks.flatMap { network in
    ["1layer-bias", "1layer-nobias", "2layers-bias", "2layers-nobias", "lengths"].map { "\(network)-\($0)" }
  }
  static let formulaNames = ["lstm-peephole", "gru-reset-before"]

  /// Were a file added that no test reads, or lost, this would say so.
  @Test func everyFixtureIsRead() {
    #expect(Set(Fixture.names) == Set(Self.pytorchNames + Self.formulaNames), "in \(Fixture.folder.path)")
  }

  @Test(arguments: pytorchNames) func stackEqualsPyTorch(_ name: String) throws {
    let fixture = try Fixture(name)
    let candidateApart = name.hasPrefix("gru")
    let layers = try fixture.shape("h0")[0]
    let cells = try (0..<layers).map { layer in
      let inputs = try fixture.shape("weight_ih_l\(layer)")[1]
      return try Self.cell(name, inputs: inputs, hidden: fixture.shape("h0")[2])
    }
    let parameters = try cells.indices.map { try fixture.parameters(layer: $0, candidateApart: candidateApart) }
    let dParameters = try check(fixture, cells, parameters)
    var judged = 0
    for layer in cells.indices {
      let named = try fixture.namedGradients(dParameters[layer], layer: layer, candidateApart: candidateApart)
      for (key, gradient) in named { try expect(gradient, "grad." + key, fixture) }
      judged += named.count
    }
    #expect(judged == fixture.tensors.keys.filter { $0.hasPrefix("grad.weight") || $0.hasPrefix("grad.bias") }.count)
  }

  @Test func resetBeforeEqualsFormula() throws {
    let fixture = try Fixture("gru-reset-before")
    let parameters = try fixture("W") + fixture("U") + fixture("b")
    let gradients = try fixture("grad.W") + fixture("grad.U") + fixture("grad.b")
    let cell = try NaiveGRUResetBefore(inputs: fixture.shape("W")[1], hidden: fixture.shape("U")[1])
    #expect(largestError(try check(fixture, [cell], [parameters])[0], gradients) <= Self.tolerance)
  }

  @Test func peepholesEqualFormula() throws {
    let fixture = try Fixture("lstm-peephole")
    let names = ["W", "U", "b", "p_i", "p_f", "p_o"]
    let parameters = try names.flatMap { try fixture($0) }
    let gradients = try names.flatMap { try fixture("grad." + $0) }
    let cell = try NaiveLSTM(inputs: fixture.shape("W")[1], hidden: fixture.shape("U")[1], hasPeepholes: true)
    #expect(largestError(try check(fixture, [cell], [parameters])[0], gradients) <= Self.tolerance)
  }

  @Test func missingFixtureIsNamed() {
    let failure = #expect(throws: Fixture.Failure.self) { try Fixture("no-such-case") }
    #expect(failure?.description.contains("Fixtures/no-such-case.txt") == true)
  }

  /// The reader refuses what would make tests pass for want of data.
  @Test(arguments: [
    ("tensor a 2 2\n1 2\n3", "\"a\" has 3 values, expected 4"),
    ("tensor a 2\n1 2 3\ntensor b 1\n1", "\"a\" has 3 values, expected 2"),
    ("tensor a 1\n1\ntensor a 1\n1", "a second \"a\""),
    ("tensor a 1\nx", "\"x\" is not a value"),
    ("1", "\"1\" is not a value"),
    ("tensor a", "expected a name and dimensions"),
    ("tensor", "expected a name and dimensions"),
    ("tensor a 0", "expected a name and dimensions"),
  ])
  func malformedFixtures(_ text: String, _ complaint: String) throws {
    let failure = #expect(throws: Fixture.Failure.self) { try Fixture("broken", text: text) }
    #expect(failure?.description.contains(complaint) == true, "\(failure?.description ?? "")")
    let sound = try Fixture("sound", text: "# a\ntensor a 2 1\n1.5\n-2e-3\n")
    #expect(sound.tensors == ["a": Fixture.Tensor(shape: [2, 1], values: [1.5, -2e-3])])
  }

  private static func cell(_ name: String, inputs: Int, hidden: Int) -> any NaiveCell {
    switch name {
    case let name where name.hasPrefix("rnn-tanh"): NaiveRNN(inputs: inputs, hidden: hidden, activation: .tanh)
    case let name where name.hasPrefix("rnn-relu"): NaiveRNN(inputs: inputs, hidden: hidden, activation: .relu)
    case let name where name.hasPrefix("lstm"): NaiveLSTM(inputs: inputs, hidden: hidden)
    default: NaiveGRUResetAfter(inputs: inputs, hidden: hidden)
    }
  }

  /// Compares outputs, final states, and gradients of x and initial states; returns those of the parameters.
  private func check(_ fixture: Fixture, _ cells: [any NaiveCell], _ parameters: [[Double]]) throws -> [[Double]] {
    let (T, B) = try (fixture.shape("x")[0], fixture.shape("x")[1])
    let lengths = try fixture.tensors["lengths"] == nil ? nil : fixture("lengths", shape: [B]).map { Int($0) }
    let planes = cells[0].statePlanes
    /// [plane][layer] of the file as [layer][plane].
    func states(_ names: [String]) throws -> [[[Double]]] {
      let byPlane = try names.prefix(planes).map { try fixture.planes($0) }
      return cells.indices.map { layer in byPlane.map { $0[layer] } }
    }
    let (x, initialStates) = try (fixture("x"), states(["h0", "c0"]))
    let result = naiveStackForward(
      cells, parameters, x: x, T: T, B: B, initialStates: initialStates, lengths: lengths)
    let gradients = naiveStackBackward(
      cells, parameters, x: x, T: T, B: B, initialStates: initialStates, lengths: lengths,
      cotangents: try NaiveStackCotangents(
        dOutputs: fixture("d_outputs"), dFinalStates: states(["d_h_n", "d_c_n"])))
    try expect(result.outputs, "outputs", fixture)
    try expect(gradients.dx, "grad.x", fixture)
    for (plane, letter) in ["h", "c"].prefix(planes).enumerated() {
      try expect(result.finalStates.flatMap { $0[plane] }, letter + "_n", fixture)
      try expect(gradients.dInitialStates.flatMap { $0[plane] }, "grad.\(letter)0", fixture)
    }
    return gradients.dParameters
  }

  private func expect(_ values: [Double], _ tensor: String, _ fixture: Fixture) throws {
    let error = largestError(values, try fixture(tensor))
    #expect(error <= Self.tolerance, "\(fixture.name), \(tensor): off by \(error) of its largest value")
  }
}
