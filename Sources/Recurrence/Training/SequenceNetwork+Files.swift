import RecurrenceKernels

// A network as files: each what PyTorch's `load_state_dict` takes for one module.
//
//   embedding.safetensors    nn.Embedding, where the network has one
//   recurrent.safetensors    nn.RNN, nn.LSTM, nn.GRU
//   output.safetensors       nn.Linear
//
// And what training goes on from:
//
//   optimizer.safetensors    the optimiser's slots, exp_avg.recurrent.weight_ih_l0 and so on; its steps as metadata
//   states.safetensors       h, and c of an LSTM, [L, B, H]: the states carried into the next window

extension SequenceNetwork {
  /// The network's files.
  public func files() throws(FormatError) -> [(name: String, bytes: [UInt8])] {
    var files: [(name: String, bytes: [UInt8])] = []
    if let embedding {
      var file = Safetensors()
      embedding.store(into: &file)
      files.append(("embedding.safetensors", file.encoded()))
    }
    var file = Safetensors()
    // Gates alone do not tell an RNN of ReLU, or a GRU that resets before the product.
    if let kind = CellKind(recurrent.cell) { file.metadata["cell"] = kind.rawValue }
    try recurrent.store(into: &file)
    files.append(("recurrent.safetensors", file.encoded()))
    file = Safetensors()
    try output.store(into: &file)
    files.append(("output.safetensors", file.encoded()))
    return files
  }

  /// A network of the sizes that the files have, with their parameters.
  ///
  /// - Parameter contents: the bytes of the file of a name.
  ///
  /// Throws what `contents` throws, and `FormatError` where a file does not hold what it should, or the sizes of
  /// neighbours differ.
  public init(
    _ cell: C, hasEmbedding: Bool, loading contents: (String) throws(FormatError) -> [UInt8]
  ) throws(FormatError) {
    func file(_ name: String) throws(FormatError) -> Safetensors {
      try Safetensors(bytes: contents(name), file: name)
    }
    let embedding: Embedding<Scalar>? = hasEmbedding ? try Embedding(loading: file("embedding.safetensors")) : nil
    let recurrent = try RecurrentStack<C, Scalar>(cell, loading: file("recurrent.safetensors"))
    let output = try Dense<Scalar>(loading: file("output.safetensors"))
    if let embedding, embedding.width != recurrent.inputs {
      throw FormatError(
        file: "recurrent.safetensors", "inputs", expected: "\(embedding.width), the embedding's width",
        actual: "\(recurrent.inputs)")
    }
    if output.inputs != recurrent.units {
      throw FormatError(
        file: "output.safetensors", "inputs", expected: "\(recurrent.units), the recurrent layer's units",
        actual: "\(output.inputs)")
    }
    self.init(embedding: embedding, recurrent: recurrent, output: output)
  }
}

extension SequenceTrainer {
  /// Everything that training goes on from: the network, the optimiser, and the states carried into the next window.
  public func files(states: RecurrentStates<Scalar>) throws(FormatError) -> [(name: String, bytes: [UInt8])] {
    var file = Safetensors()
    file.metadata = ["steps": "\(optimizer.steps)"]
    let ranges = network.parameterRanges
    for (slot, values) in zip(optimizer.rule.slotNames, optimizer.slots) {
      if let embedding = network.embedding {
        file.set(
          "\(slot).embedding.weight", shape: [embedding.symbols, embedding.width], Array(values[ranges.embedding]))
      }
      var recurrent = Parameters<Scalar>(network.recurrent.layout)
      recurrent.values = Array(values[ranges.recurrent])
      recurrent.store(into: &file, prefix: "\(slot).recurrent.")
      let output = values[ranges.output]
      let (outputs, inputs) = (network.output.outputs, network.output.inputs)
      file.set("\(slot).output.weight", shape: [outputs, inputs], Array(output.prefix(outputs * inputs)))
      file.set("\(slot).output.bias", shape: [outputs], Array(output.suffix(outputs)))
    }
    var carried = Safetensors()
    for name in states.names {
      carried.set(name, shape: [states.layers, states.batch, states.units], states[name])
    }
    return try network.files() + [
      ("optimizer.safetensors", file.encoded()), ("states.safetensors", carried.encoded()),
    ]
  }

  /// Goes on from what `files` returned: a trainer of the same network and rule then has the same bits in every later
  /// update.
  ///
  /// Throws what `contents` throws, and `FormatError` where a file does not fit this trainer. Nothing has changed then.
  public mutating func restore(
    states: inout RecurrentStates<Scalar>, loading contents: (String) throws(FormatError) -> [UInt8]
  ) throws(FormatError) {
    func file(_ name: String) throws(FormatError) -> Safetensors {
      try Safetensors(bytes: contents(name), file: name)
    }
    var restored = network
    if restored.embedding != nil { try restored.embedding!.load(file("embedding.safetensors")) }
    try restored.recurrent.load(file("recurrent.safetensors"))
    try restored.output.load(file("output.safetensors"))

    let slotFile = try file("optimizer.safetensors")
    // Counted on from there, they must not overflow.
    guard let text = slotFile.metadata["steps"], let steps = Int(text), (0...(1 << 53)).contains(steps) else {
      throw FormatError(
        file: "optimizer.safetensors", "steps", expected: "a number from 0 to 2⁵³ among its metadata",
        actual: slotFile.metadata["steps"].map(FormatError.quote) ?? "none")
    }
    var slots: [[Scalar]] = []
    for slot in optimizer.rule.slotNames {
      var values: [Scalar] = []
      if let embedding = network.embedding {
        values += try slotFile.values("\(slot).embedding.weight", shape: [embedding.symbols, embedding.width])
      }
      var recurrent = Parameters<Scalar>(network.recurrent.layout)
      try recurrent.load(slotFile, prefix: "\(slot).recurrent.")
      values += recurrent.values
      values += try slotFile.values("\(slot).output.weight", shape: [network.output.outputs, network.output.inputs])
      values += try slotFile.values("\(slot).output.bias", shape: [network.output.outputs])
      slots.append(values)
    }

    let stateFile = try file("states.safetensors")
    var carried = states
    for name in states.names {
      carried[name] = try stateFile.values(name, shape: [states.layers, states.batch, states.units])
    }

    network = restored
    optimizer.restore(steps: steps, slots: slots)
    states = carried
  }
}
