// PyTorch's state_dict of nn.RNN, nn.LSTM and nn.GRU: see StateDict.swift for the names.

extension RecurrentStack {
  /// A stack of the sizes that the file has, with its parameters.
  ///
  ///     let lstm = try RecurrentLayer<LSTM, Float>(LSTM(), loading: Safetensors(path: "lstm.safetensors"))
  ///
  /// Throws `FormatError` as `RecurrentShape` and `load` do, and where the number of gates is not the cell's. The same
  /// number may belong to two cells, for example to both kinds of GRU: the caller knows which.
  public init(_ cell: C, loading file: Safetensors, prefix: String = "") throws(FormatError) {
    let shape = try RecurrentShape(file, prefix: prefix)
    guard shape.gates == C.gates.count else {
      throw file.error(
        prefix + "weight_ih_l0", expected: "\(C.gates.count) gates of \(shape.units) units for \(C.self)",
        actual: "\(shape.gates)")
    }
    self.init(cell, inputs: shape.inputs, units: shape.units, layers: shape.layers)
    try load(file, prefix: prefix)
  }

  /// Takes all parameters from a file: weights and biases under PyTorch's names, unit parameters under `<name>_l<k>`.
  ///
  /// b is `bias_ih` + `bias_hh`, and the very bits of `bias_ih` where `bias_hh` is zero. Of a gate whose recurrent part is
  /// apart (n of `GRU`) b is `bias_ih` and b_h is `bias_hh`. A file without any bias sets all of them to zero.
  ///
  /// - Parameter prefix: what the names begin with, for example `"rnn."`.
  ///
  /// Throws `FormatError` where a tensor is missing, has another shape, or holds what `Scalar` would have to round, and
  /// where any other tensor has the prefix: one of a reversed direction, of a projection, of a layer that the stack has
  /// not. Nothing has changed then.
  public mutating func load(_ file: Safetensors, prefix: String = "") throws(FormatError) {
    let names = fileNames()
    try file.checkNames(after: prefix, names.all, layers: layers)
    let hasBiases = names.biases.contains { file[prefix + $0] != nil }
    var loaded = Parameters<Scalar>(layout)
    func values(_ stem: String, _ layer: Int, _ shape: [Int]) throws(FormatError) -> [Scalar] {
      try file.values("\(prefix)\(stem)_l\(layer)", shape: shape)
    }
    for tensor in layout.tensors where tensor.name != "b" && tensor.name != "b_h" {
      loaded[tensor.name, layer: tensor.layer] = try file.values(prefix + tensor.fileName, shape: tensor.fileShape)
    }
    for layer in 0..<layers where hasBiases {
      let rows = shape.plan.gates * units
      let input = try values("bias_ih", layer, [rows])
      let recurrent = try values("bias_hh", layer, [rows])
      var own: [Scalar] = []
      var b = zip(input, recurrent).map { $1 == 0 ? $0 : $0 + $1 }
      for range in apartRanges {
        b.replaceSubrange(range, with: input[range])
        own += recurrent[range]
      }
      loaded["b", layer: layer] = b
      if !own.isEmpty { loaded["b_h", layer: layer] = own }
    }
    parameters = loaded
  }

  /// Sets a file's tensors to the parameters, so that PyTorch's `load_state_dict` takes them for the same network, and
  /// `load` for the same bits. `bias_hh` is zero except for gates whose recurrent part is apart.
  ///
  /// - Parameters:
  ///   - prefix: what the names begin with, for example `"rnn."`.
  ///   - biases: false writes none, as PyTorch's `bias=False`.
  ///
  /// Throws `FormatError` where none are to be written and one is not zero. The file has not changed then.
  public func store(
    into file: inout Safetensors, prefix: String = "", biases: Bool = true
  ) throws(FormatError) {
    if biases {
      store(parameters, into: &file, prefix: prefix) { [Scalar](repeating: 0, count: $0.count) }
      return
    }
    for tensor in layout.tensors where ["b", "b_h"].contains(tensor.name) {
      if let index = parameters.values[tensor.range].firstIndex(where: { $0 != 0 }) {
        throw FormatError(
          FormatError.tensor(prefix + tensor.fileName), expected: "zeros, for a file without biases",
          actual: "\(parameters.values[index]) in \(tensor.name) of layer \(tensor.layer)")
      }
    }
    for tensor in layout.tensors where !["b", "b_h"].contains(tensor.name) {
      parameters.store(tensor, into: &file, prefix: prefix)
    }
    for name in fileNames().biases { file.remove(prefix + name) }
  }

  /// Sets a file's tensors to a gradient with respect to the parameters, as PyTorch has it: the gradient of `bias_ih` and
  /// that of `bias_hh` are both that of b, except that of a gate whose recurrent part is apart, whose `bias_hh` has that
  /// of b_h.
  ///
  /// Traps where the gradient is not one of this stack's.
  public func store(gradient: Parameters<Scalar>, into file: inout Safetensors, prefix: String = "") {
    if gradient.layout != layout { fatalError("gradient: expected the layout of this stack, got that of another") }
    store(gradient, into: &file, prefix: prefix) { $0 }
  }

  /// - Parameter summed: bias_hh of a layer, from b; what belongs to apart gates is then replaced.
  private func store(
    _ vector: Parameters<Scalar>, into file: inout Safetensors, prefix: String, summed: ([Scalar]) -> [Scalar]
  ) {
    for tensor in layout.tensors where tensor.name != "b_h" {
      vector.store(tensor, into: &file, prefix: prefix)
      guard tensor.name == "b" else { continue }
      var recurrent = summed(vector["b", layer: tensor.layer])
      for (index, range) in apartRanges.enumerated() {
        let own = vector["b_h", layer: tensor.layer][(index * units)..<((index + 1) * units)]
        recurrent.replaceSubrange(range, with: own)
      }
      file.set("\(prefix)bias_hh_l\(tensor.layer)", shape: tensor.fileShape, recurrent)
    }
  }

  /// Rows of each gate whose recurrent part is apart.
  private var apartRanges: [Range<Int>] { shape.plan.apartGates.map { ($0 * units)..<(($0 + 1) * units) } }

  private func fileNames() -> (all: Set<String>, biases: [String]) {
    let biases = (0..<layers).flatMap { ["bias_ih_l\($0)", "bias_hh_l\($0)"] }
    return (Set(layout.tensors.map(\.fileName) + biases), biases)
  }
}
