// A vector of a stack's layout as named tensors, one for each of the layout's: for state that PyTorch's modules know
// nothing of, such as an optimiser's.

extension Parameters {
  /// Sets a file's tensors to this vector, bit for bit: `weight_ih_l<k>`, `weight_hh_l<k>`, `bias_ih_l<k>` [G·H] for b,
  /// `bias_hh_l<k>` [A·H] for b_h (where A gates have one), `<name>_l<k>` for unit parameters.
  ///
  /// `RecurrentStack.store` writes what PyTorch reads; this writes nothing that is not in the vector.
  public func store(into file: inout Safetensors, prefix: String = "") {
    for tensor in layout.tensors { store(tensor, into: &file, prefix: prefix) }
  }

  /// Takes the vector from a file, bit for bit what `store` put there.
  ///
  /// Throws `FormatError` where a tensor is missing, has another shape, or holds what `Scalar` would have to round, and
  /// where any other tensor has the prefix. Nothing has changed then.
  public mutating func load(_ file: Safetensors, prefix: String = "") throws(FormatError) {
    let layers = (layout.tensors.last?.layer ?? -1) + 1
    try file.checkNames(after: prefix, Set(layout.tensors.map(\.fileName)), layers: layers)
    var loaded = [Scalar](repeating: 0, count: layout.count)
    for tensor in layout.tensors {
      let part: [Scalar] = try file.values(prefix + tensor.fileName, shape: tensor.fileShape)
      loaded.replaceSubrange(tensor.range, with: part)
    }
    values = loaded
  }

  func store(_ tensor: ParameterLayout.Tensor, into file: inout Safetensors, prefix: String) {
    file.set(prefix + tensor.fileName, shape: tensor.fileShape, Array(values[tensor.range]))
  }
}
