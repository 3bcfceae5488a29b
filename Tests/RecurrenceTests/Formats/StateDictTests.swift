import Recurrence
import RecurrenceTesting
import Testing

/// PyTorch's names and shapes. `.ci/check-pytorch-files` asks PyTorch itself.
@Suite("state_dict")
struct StateDictTests {
  /// Weights under PyTorch's names give PyTorch's outputs and gradients: the fixtures hold both.
  @Test(arguments: OracleFixtureTests.pytorchNames.filter { !$0.hasSuffix("lengths") })
  func loadedStacksAreWhatPyTorchSaved(_ name: String) throws {
    switch name {
    case let name where name.hasPrefix("rnn-tanh"): try check(name, RNN())
    case let name where name.hasPrefix("rnn-relu"): try check(name, RNN.relu)
    case let name where name.hasPrefix("lstm"): try check(name, LSTM())
    default: try check(name, GRU())
    }
  }

  private func check<C: Cell>(_ name: String, _ cell: C) throws {
    let fixture = try Fixture(name)
    let saved = fixture.tensors.filter { $0.key.hasPrefix("weight_") || $0.key.hasPrefix("bias_") }
    var file = Safetensors()
    for (name, tensor) in saved { file.set("net.rnn." + name, shape: tensor.shape, tensor.values) }
    file.set("net.fc.weight", shape: [1, 1], [1] as [Double])
    let shape = try RecurrentShape(file, prefix: "net.rnn.")
    #expect(shape.gates == C.gates.count && shape.hasBiases == fixture.hasBiases && shape.cell == nil)
    let stack = try RecurrentStack<C, Double>(cell, loading: file, prefix: "net.rnn.")

    let sizes = try ProblemShape(
      steps: fixture.shape("x")[0], batch: fixture.shape("x")[1], inputs: shape.inputs, units: shape.units,
      layers: shape.layers)
    func states(_ names: [String]) throws -> [Double] { try names.prefix(C.states.count).flatMap { try fixture($0) } }
    let problem = try SequenceProblem(
      sizes, states: C.states.count, x: fixture("x"), initial: states(["h0", "c0"]),
      outputGradients: fixture("d_outputs"), finalGradients: states(["d_h_n", "d_c_n"]))
    let result = try stack.solve(problem)
    #expect(try largestError(result.outputs, fixture("outputs")) <= 1e-12)
    var (gradient, gradients) = (stack.makeGradient(), Safetensors())
    gradient.values = result.gradient
    stack.store(gradient: gradient, into: &gradients, prefix: "grad.")
    for (name, tensor) in saved {
      let values = try gradients.values("grad." + name, shape: tensor.shape, as: Double.self)
      #expect(try largestError(values, fixture("grad." + name)) <= 1e-12, "\(fixture.name), gradient of \(name)")
    }

    var written = Safetensors()
    try stack.store(into: &written, biases: fixture.hasBiases)
    #expect(Set(written.tensors.map(\.name)) == Set(saved.keys))
    for tensor in written.tensors { #expect(tensor.shape == saved[tensor.name]?.shape) }
    #expect(try RecurrentStack<C, Double>(cell, loading: written).parameters == stack.parameters)
  }

  /// Every cell, NaNs and negative zeros included; a vector of the same layout too, tensor by tensor.
  @Test func bitsReturn() throws {
    struct Visitor: CellVisitor {
      mutating func visit<C: Cell>(_ cell: C) throws {
        var random = SeededRandom(stream: 4)
        var stack = RecurrentStack<C, Float>(cell, inputs: 3, units: 5, layers: 2, seed: 1)
        let specials: [Float] = [-0.0, 0, .infinity, .leastNonzeroMagnitude, Float(bitPattern: 0xffc0_1234)]
        stack.withParameters { for i in $0.indices { $0[i] = i % 3 == 0 ? random.pick(specials) : $0[i] } }
        var (file, vector) = (Safetensors(), Safetensors())
        try stack.store(into: &file, prefix: "p.")
        var loaded = RecurrentStack<C, Float>(cell, inputs: 3, units: 5, layers: 2, seed: 2)
        try loaded.load(Safetensors(bytes: file.encoded()), prefix: "p.")
        #expect(bits(loaded.parameters) == bits(stack.parameters), "\(C.self)")

        stack.parameters.store(into: &vector, prefix: "m.")
        #expect(vector.tensors.count == stack.layout.tensors.count)
        var read = stack.makeGradient()
        try read.load(Safetensors(bytes: vector.encoded()), prefix: "m.")
        #expect(bits(read) == bits(stack.parameters), "\(C.self)")
      }

      private func bits(_ parameters: Parameters<Float>) -> [UInt32] { parameters.values.map(\.bitPattern) }
    }
    var visitor = Visitor()
    try forEachCell(&visitor)
  }

  @Test func vectorsHaveTheNamesOfTheParameters() {
    var file = Safetensors()
    RecurrentStack<GRU, Float>(GRU(), inputs: 3, units: 5).makeGradient().store(into: &file, prefix: "adam.m.")
    let expected = [
      "weight_ih_l0": [15, 3], "weight_hh_l0": [15, 5], "bias_ih_l0": [15], "bias_hh_l0": [5],
    ]
    #expect(Dictionary(uniqueKeysWithValues: file.tensors.map { (String($0.name.dropFirst(7)), $0.shape) }) == expected)
  }

  @Test(
    arguments: [
      ("bias_hh_l0", [10], "expected shape [5], got [10]"),
      ("bias_ih_l1", [15], "expected layers below 1, got layer 1"),
      ("step", [1], "expected no such tensor, got one of shape [1]"),
      ("weight_ih_l0_reverse", [15, 3], "expected layers of one direction, got a reversed one"),
      ("weight_hh_l0", [], "expected one of shape [15, 5], got none"),
    ] as [(String, [Int], String)])
  func vectorsThatDoNotFitAreNamed(_ name: String, _ shape: [Int], _ sentence: String) throws {
    var vector = RecurrentLayer<GRU, Float>(GRU(), inputs: 3, units: 5, seed: 1).parameters
    let before = vector
    var file = Safetensors()
    RecurrentLayer<GRU, Float>(GRU(), inputs: 3, units: 5, seed: 2).parameters.store(into: &file, prefix: "m.")
    if shape.isEmpty {
      file.remove("m." + name)
    } else {
      file.set("m." + name, shape: shape, [Float](repeating: 1, count: shape.reduce(1, *)))
    }
    let error = try #require(throws: FormatError.self) { try vector.load(file, prefix: "m.") }
    #expect(error.description == "tensor \"m.\(name)\": \(sentence)")
    #expect(vector == before)
  }

  /// b is the sum of PyTorch's biases, and the bits of bias_ih where bias_hh is either zero; n of a GRU keeps both.
  @Test func biasesAreSummedExceptApartOnes() throws {
    var file = Safetensors()
    let (input, recurrent): ([Float], [Float]) = ([1, -0.0, -0.0, 5, 6, -0.0], [0.5, 0, -0.0, -5, 60, 0])
    file.set("weight_ih_l0", shape: [6, 1], [Float](repeating: 1, count: 6))
    file.set("weight_hh_l0", shape: [6, 2], [Float](repeating: 2, count: 12))
    file.set("bias_ih_l0", shape: [6], input)
    file.set("bias_hh_l0", shape: [6], recurrent)
    let gru = try RecurrentLayer<GRU, Float>(GRU(), loading: file)
    #expect(gru.parameters["b"].map(\.bitPattern) == ([1.5, -0.0, -0.0, 0, 6, -0.0] as [Float]).map(\.bitPattern))
    #expect(gru.parameters["b_h"] == [60, 0])
    let before = try RecurrentLayer<GRUResetBefore, Float>(GRUResetBefore(), loading: file)
    #expect(before.parameters["b"].map(\.bitPattern) == ([1.5, -0.0, -0.0, 0, 66, -0.0] as [Float]).map(\.bitPattern))
  }

  @Test func filesWithoutBiasesSetThemToZero() throws {
    var lstm = RecurrentLayer<LSTM, Float>(LSTM(), inputs: 2, units: 3, seed: 1)
    var file = Safetensors()
    try lstm.store(into: &file)
    let message = try #require(throws: FormatError.self) { try lstm.store(into: &file, biases: false) }
    #expect(message.description.hasPrefix(#"tensor "bias_ih_l0": expected zeros, for a file without biases, got"#))
    #expect(file.tensors.count == 4)

    var empty = Safetensors()
    var silent = lstm
    silent.parameters["b"] = [Float](repeating: -0.0, count: 12)
    // What an earlier call left must not be taken for the biases of this one.
    try lstm.store(into: &empty)
    try silent.store(into: &empty, biases: false)
    #expect(Set(empty.tensors.map(\.name)) == ["weight_ih_l0", "weight_hh_l0"])
    try lstm.load(empty)
    #expect(lstm.parameters["b"] == [Float](repeating: 0, count: 12))
    #expect(lstm.parameters["W"] == silent.parameters["W"])
  }

  @Test(arguments: StateDictMistake.allCases) func mistakesAreNamedAndChangeNothing(_ mistake: StateDictMistake) throws
  {
    var lstm = RecurrentStack<LSTM, Float>(LSTM(), inputs: 2, units: 3, layers: 2, seed: 1)
    var file = Safetensors()
    let other = RecurrentStack<LSTM, Float>(LSTM(), inputs: 2, units: 3, layers: 2, seed: 2)
    try other.store(into: &file, prefix: "rnn.")
    mistake.commit(&file)
    let named = try Safetensors(bytes: file.encoded(), file: "m.safetensors")
    let before = lstm
    let error = try #require(throws: FormatError.self) { try lstm.load(named, prefix: "rnn.") }
    #expect(error.description == "m.safetensors: tensor \"rnn.\(mistake.says.tensor)\": \(mistake.says.sentence)")
    #expect(lstm.parameters == before.parameters)
    let x: [Float] = [1, 2]
    #expect(try lstm.forward(x, steps: 1, batch: 1).outputs == before.forward(x, steps: 1, batch: 1).outputs)
  }

  @Test func unitParametersHaveTheirOwnNames() throws {
    let stack = RecurrentStack<PeepholeLSTM, Double>(PeepholeLSTM(), inputs: 2, units: 3, layers: 2, seed: 3)
    var file = Safetensors()
    try stack.store(into: &file)
    #expect(try file.values("p_f_l1", shape: [3]) == stack.parameters["p_f", layer: 1])
    #expect(try RecurrentShape(file).unitParameters == ["p_f", "p_i", "p_o"])
    file.remove("p_o_l0")
    let error = try #require(throws: FormatError.self) {
      try RecurrentStack<PeepholeLSTM, Double>(PeepholeLSTM(), loading: file)
    }
    #expect(error.description == #"tensor "p_o_l0": expected one, as other layers have, got none"#)
  }

  @Test func denseAndEmbeddingReturn() throws {
    var file = Safetensors()
    let dense = Dense<Float>(inputs: 3, outputs: 2, seed: 1)
    let embedding = Embedding<Float>(symbols: 5, width: 4, seed: 1)
    try dense.store(into: &file, prefix: "fc.")
    embedding.store(into: &file, prefix: "embedding.")
    #expect(file["fc.weight"]?.shape == [2, 3] && file["fc.bias"]?.shape == [2])
    #expect(file["embedding.weight"]?.shape == [5, 4])
    var loaded = try Dense<Float>(loading: file, prefix: "fc.")
    #expect(loaded.parameters == dense.parameters)
    #expect(try loaded([1, 2, 3]) == dense([1, 2, 3]))
    #expect(try Embedding<Float>(loading: file, prefix: "embedding.") == embedding)

    #expect(throws: FormatError.self) { try dense.store(into: &file, prefix: "fc.", biases: false) }
    file.remove("fc.bias")
    try loaded.load(file, prefix: "fc.")
    #expect(loaded.parameters == dense.parameters.prefix(6) + [0, 0])
    try loaded.store(into: &file, prefix: "fc.", biases: false)
    #expect(file["fc.bias"] == nil)

    let before = loaded
    for (name, shape, words) in [
      ("fc.weight", [3, 2], "expected shape [2, 3], got [3, 2]"), ("fc.bias", [3], "expected shape [2], got [3]"),
      ("fc.scale", [1], "expected no such tensor, got one of shape [1]"),
    ] {
      var broken = file
      broken.set(name, shape: shape, [Float](repeating: 1, count: shape.reduce(1, *)))
      let error = try #require(throws: FormatError.self) { try loaded.load(broken, prefix: "fc.") }
      #expect(error.description == "tensor \"\(name)\": \(words)")
      #expect(loaded.parameters == before.parameters)
    }
    var table = embedding
    #expect(throws: FormatError.self) { try table.load(file, prefix: "fc.") }
    #expect(throws: FormatError.self) { try Dense<Float>(loading: file, prefix: "nothing.") }
    file.set("e.weight", shape: [0, 4], [] as [Float])
    #expect(throws: FormatError.self) { try Embedding<Float>(loading: file, prefix: "e.") }
    #expect(table == embedding)
  }

  /// Float into Double widens; Double into Float would round.
  @Test func scalarsMayWidenNotRound() throws {
    let narrow = RecurrentLayer<RNN<Activation>, Float>(RNN(), inputs: 2, units: 2, seed: 1)
    let wide = RecurrentLayer<RNN<Activation>, Double>(RNN(), inputs: 2, units: 2, seed: 1)
    var (narrowFile, wideFile) = (Safetensors(), Safetensors())
    try narrow.store(into: &narrowFile)
    try wide.store(into: &wideFile)
    let widened = try RecurrentLayer<RNN<Activation>, Double>(RNN(), loading: narrowFile)
    #expect(widened.parameters.values == narrow.parameters.values.map(Double.init))
    let error = try #require(throws: FormatError.self) {
      try RecurrentLayer<RNN<Activation>, Float>(RNN(), loading: wideFile)
    }
    #expect(error.description.contains("expected elements that Float holds without rounding, got F64"))
  }
}

/// Ways in which a file is not that of an LSTM of I = 2, H = 3, L = 2 under `rnn.`.
enum StateDictMistake: String, CaseIterable, CustomTestStringConvertible {
  case noWeight, noBias, onlyInputBiases, wrongInputs, wrongUnits, wrongBias, flatWeight, integers, rounding
  case reverse, projection, layerBeyond, unknown, unitParameter

  var testDescription: String { rawValue }

  var says: (tensor: String, sentence: String) {
    switch self {
    case .noWeight: ("weight_hh_l1", "expected one of shape [12, 3], got none")
    case .noBias: ("bias_hh_l1", "expected one of shape [12], got none")
    case .onlyInputBiases: ("bias_hh_l0", "expected one of shape [12], got none")
    case .wrongInputs: ("weight_ih_l0", "expected shape [12, 2], got [12, 3]")
    case .wrongUnits: ("weight_hh_l0", "expected shape [12, 3], got [9, 3]")
    case .wrongBias: ("bias_ih_l1", "expected shape [12], got [12, 1]")
    case .flatWeight: ("weight_ih_l0", "expected shape [12, 2], got [24]")
    case .integers: ("bias_ih_l0", #"expected elements of type F32, F64, F16 or BF16, got "I32""#)
    case .rounding: ("weight_ih_l1", "expected elements that Float holds without rounding, got F64")
    case .reverse: ("weight_ih_l0_reverse", "expected layers of one direction, got a reversed one")
    case .projection: ("weight_hr_l0", "expected layers without projection, got one that has it")
    case .layerBeyond: ("weight_ih_l2", "expected layers below 2, got layer 2")
    case .unknown: ("gamma", "expected no such tensor, got one of shape [1]")
    case .unitParameter: ("p_i_l0", "expected no such tensor, got one of shape [3]")
    }
  }

  func commit(_ file: inout Safetensors) {
    func set(_ shape: Int...) {
      file.set("rnn." + says.tensor, shape: shape, [Float](repeating: 1, count: shape.reduce(1, *)))
    }
    switch self {
    case .noWeight, .noBias: file.remove("rnn." + says.tensor)
    case .onlyInputBiases: for layer in 0..<2 { file.remove("rnn.bias_hh_l\(layer)") }
    case .wrongInputs: set(12, 3)
    case .wrongUnits: set(9, 3)
    case .wrongBias: set(12, 1)
    case .flatWeight: set(24)
    case .integers:
      file.set("rnn.bias_ih_l0", .init(rawValue: "I32"), shape: [12], bytes: [UInt8](repeating: 0, count: 48)[...])
    case .rounding: file.set("rnn.weight_ih_l1", shape: [12, 3], [Double](repeating: 0.1, count: 36))
    case .reverse: set(12, 2)
    case .projection: set(2, 3)
    case .layerBeyond: set(12, 3)
    case .unknown: set(1)
    case .unitParameter: set(3)
    }
  }
}
