// From PyTorch's parameters to the flat arrays of `NaiveCell`, and gradients back.
//
// PyTorch has two biases for every gate, b_ih beside W and b_hh beside U. Where W x and U h are summed, only their sum
// matters: b = b_ih + b_hh, and both have the gradient of b. The candidate of PyTorch's GRU, n = tanh(W_n x + b_n +
// r ⊙ (U_n h + b_hn)), keeps them apart: b_n is b_ih's part, b_hn is b_hh's, each with a gradient of its own.

extension Fixture {
  /// A layer's parameters, [parameterCount] of the naive cell.
  ///
  /// - Parameters:
  ///   - layer: from 0.
  ///   - candidateApart: reset-after GRU: b_hn follows b.
  func parameters(layer: Int, candidateApart: Bool) throws(Failure) -> [Double] {
    let weights = try self("weight_ih_l\(layer)") + self("weight_hh_l\(layer)")
    let rows = try shape("weight_ih_l\(layer)")[0]
    let hidden = try shape("weight_hh_l\(layer)")[1]
    let none = [Double](repeating: 0, count: rows)
    let input = try hasBiases ? self("bias_ih_l\(layer)", shape: [rows]) : none
    let recurrent = try hasBiases ? self("bias_hh_l\(layer)", shape: [rows]) : none
    let summed = candidateApart ? rows - hidden : rows
    let b = (0..<rows).map { $0 < summed ? input[$0] + recurrent[$0] : input[$0] }
    return weights + b + recurrent[summed...]
  }

  /// A layer's gradients under PyTorch's names, from ∂L/∂ the above. The inverse convention: see the head of the file.
  func namedGradients(
    _ dParameters: [Double], layer: Int, candidateApart: Bool
  ) throws(Failure) -> [String: [Double]] {
    let rows = try shape("weight_ih_l\(layer)")[0]
    let hidden = try shape("weight_hh_l\(layer)")[1]
    let weightCount = try self("weight_ih_l\(layer)").count
    var rest = dParameters[...]
    func take(_ count: Int) -> [Double] {
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
    var named = ["weight_ih_l\(layer)": take(weightCount), "weight_hh_l\(layer)": take(rows * hidden)]
    if hasBiases {
      let db = take(rows)
      named["bias_ih_l\(layer)"] = db
      named["bias_hh_l\(layer)"] = candidateApart ? db.dropLast(hidden) + take(hidden) : db
    }
    return named
  }

  /// Whether PyTorch's network has biases; without them those of the naive cell are 0, and their gradients unjudged.
  var hasBiases: Bool { tensors["bias_ih_l0"] != nil }
}
