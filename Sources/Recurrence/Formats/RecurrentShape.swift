/// What a file says about the stack of recurrent layers in it, from names and shapes alone: enough to make one.
///
/// The number of gates tells the cell as far as it can be told: 1 an `RNN`, 4 an `LSTM`, 3 a `GRU` of either kind.
/// `PeepholeLSTM` has unit parameters besides. Which kind, and which activation, only `cell` can say.
public struct RecurrentShape: Hashable, Sendable {
  public let layers: Int
  /// I, features of an input.
  public let inputs: Int
  /// H.
  public let units: Int
  /// G.
  public let gates: Int
  public let hasBiases: Bool
  /// Names of the unit parameters, sorted.
  public let unitParameters: [String]
  /// The metadata's `cell`, by convention one of `rnn`, `rnn-relu`, `lstm`, `gru`, `gru-before`; nil where the file does
  /// not say.
  public let cell: String?

  /// Reads names, types and shapes, not values.
  ///
  /// Throws `FormatError` where there are no recurrent layers under the prefix, layers are missing or do not fit
  /// together, one is bidirectional or has a projection, or a tensor that is no layer's has the prefix; and where
  /// elements are not floating-point numbers, so that a file holds all that its shapes claim.
  public init(_ file: Safetensors, prefix: String = "") throws(FormatError) {
    let names = file.names(after: prefix)
    for name in names {
      guard let unsupported = StateDictName(name)?.unsupported else { continue }
      throw file.error(prefix + name, expected: unsupported.expected, actual: unsupported.actual)
    }
    let (rows, inputs) = try file.matrixShape(prefix + "weight_ih_l0")
    let units = try file.matrixShape(prefix + "weight_hh_l0").columns
    guard rows % units == 0 else {
      throw file.error(
        prefix + "weight_ih_l0", expected: "rows in whole gates of \(units) units", actual: "\(rows) rows")
    }
    let parts = names.map { (name: $0, parts: StateDictName($0)) }
    let last = parts.compactMap(\.parts?.layer).max() ?? 0
    hasBiases = parts.contains { $0.parts?.stem == "bias_ih" || $0.parts?.stem == "bias_hh" }
    let stems: Set<Substring> = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    let unitStems = Set(parts.compactMap(\.parts?.stem)).subtracting(stems)
    for (name, parts) in parts {
      guard let parts else {
        throw file.error(prefix + name, expected: "tensors of recurrent layers", actual: "another")
      }
      let shape =
        switch parts.stem {
        case "weight_ih": [rows, parts.layer == 0 ? inputs : units]
        case "weight_hh": [rows, units]
        case "bias_ih", "bias_hh": [rows]
        default: [units]
        }
      try file.checkShape(prefix + name, shape)
      if let tensor = file[prefix + name] { try file.encoding(of: tensor) }
    }
    // Every layer has what one has. The first that is missing ends this, whatever number the last one claims.
    for layer in 0...last {
      for stem in ["weight_ih", "weight_hh"] + (hasBiases ? ["bias_ih", "bias_hh"] : []) + unitStems.sorted() {
        let name = "\(prefix)\(stem)_l\(layer)"
        if file[name] == nil { throw file.error(name, expected: "one, as other layers have", actual: "none") }
      }
    }
    layers = last + 1
    self.inputs = inputs
    self.units = units
    gates = rows / units
    unitParameters = unitStems.map(String.init).sorted()
    cell = file.metadata["cell"]
  }

  /// The prefixes under which a file has recurrent layers, sorted: `[""]` for the state_dict of an nn.LSTM, `["rnn."]` for
  /// that of a module that keeps one as `rnn`.
  public static func prefixes(in file: Safetensors) -> [String] {
    let first = "weight_ih_l0"
    return file.tensors.map(\.name).filter { $0.hasSuffix(first) }.map { String($0.dropLast(first.count)) }.sorted()
  }
}

extension Safetensors {
  func checkShape(_ name: String, _ expected: [Int]) throws(FormatError) {
    guard let shape = self[name]?.shape, shape != expected else { return }
    throw error(
      name, expected: "shape \(FormatError.describe(expected))", actual: "\(FormatError.describe(shape))")
  }
}
