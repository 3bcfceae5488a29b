// The names that PyTorch's `state_dict` gives to the parameters of nn.RNN, nn.LSTM and nn.GRU. For layer k:
//
//     W    weight_ih_l<k>  [G·H, I], later layers [G·H, H]      b    bias_ih_l<k>  [G·H]
//     U    weight_hh_l<k>  [G·H, H]                             b_h  bias_hh_l<k>  see below
//
// and `<name>_l<k>` [H] for a unit parameter, which PyTorch has not. Its bias_hh is [G·H] for every cell: of a gate whose
// parts are summed only the sum of the two biases matters, and b is that sum; of a gate whose recurrent part is apart
// bias_hh is b_h.

extension ParameterLayout.Tensor {
  /// The name under which files hold it.
  var fileName: String {
    let names = ["W": "weight_ih", "U": "weight_hh", "b": "bias_ih", "b_h": "bias_hh"]
    if names.values.contains(name) {
      fatalError("unitParameters: expected names that files have no other use for, got \(name)")
    }
    return "\(names[name] ?? name)_l\(layer)"
  }

  /// Vectors have one dimension.
  var fileShape: [Int] { ["W", "U"].contains(name) ? [rows, columns] : [rows] }
}

/// A tensor's name, taken apart: `weight_ih_l0`, `weight_ih_l0_reverse`.
struct StateDictName {
  let stem: Substring
  let layer: Int
  let isReverse: Bool

  /// Nil where the name does not end in a layer.
  init?(_ name: Substring) {
    let forward = name.hasSuffix("_reverse") ? name.dropLast("_reverse".count) : name
    guard let end = forward.lastIndex(of: "_"), forward[end...].hasPrefix("_l"),
      let layer = Int(forward[end...].dropFirst(2)), forward[end...] == "_l\(layer)", layer >= 0
    else { return nil }
    stem = forward[..<end]
    self.layer = layer
    isReverse = forward.count != name.count
  }

  /// Of a tensor that no stack here has: what was expected, and what came.
  var unsupported: (expected: String, actual: String)? {
    if isReverse { return ("layers of one direction", "a reversed one") }
    return stem == "weight_hr" ? ("layers without projection", "one that has it") : nil
  }
}

extension Safetensors {
  /// The names that begin with `prefix`, without it, in the file's order.
  func names(after prefix: String) -> [Substring] {
    tensors.lazy.map(\.name).filter { $0.utf8.starts(with: prefix.utf8) }.map { name in
      name[name.utf8.index(name.startIndex, offsetBy: prefix.utf8.count)...]
    }
  }

  /// Throws where a tensor has the prefix and none of the names: what nobody reads must not be there unnoticed.
  func checkNames(
    after prefix: String, _ expected: Set<String>, layers: Int? = nil
  ) throws(FormatError) {
    for name in names(after: prefix) where !expected.contains(String(name)) {
      let parts = StateDictName(name)
      var sentence = parts?.unsupported
      if sentence == nil, let layers, let layer = parts?.layer, layer >= layers {
        sentence = ("layers below \(layers)", "layer \(layer)")
      }
      let shape = self[prefix + name].map { "one of shape \(FormatError.describe($0.shape))" } ?? "one"
      throw error(
        prefix + name, expected: sentence?.expected ?? "no such tensor", actual: sentence?.actual ?? shape)
    }
  }
}
