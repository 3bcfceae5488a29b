// PyTorch's state_dict of nn.Linear and nn.Embedding.

extension Dense {
  /// A layer of the size that the file has, with its parameters. Throws `FormatError` as `load` does.
  public init(loading file: Safetensors, prefix: String = "") throws(FormatError) {
    let (outputs, inputs) = try file.matrixShape(prefix + "weight")
    self.init(inputs: inputs, outputs: outputs)
    try load(file, prefix: prefix)
  }

  /// Takes the parameters from a file: `weight` [O, I] and `bias` [O], which is zero where the file has none.
  ///
  /// - Parameter prefix: what the names begin with, for example `"fc."`.
  ///
  /// Throws `FormatError` where the weight is missing, a shape differs, or a tensor holds what `Scalar` would have to
  /// round, and where any other tensor has the prefix. Nothing has changed then.
  public mutating func load(_ file: Safetensors, prefix: String = "") throws(FormatError) {
    try file.checkNames(after: prefix, ["weight", "bias"])
    let weight: [Scalar] = try file.values(prefix + "weight", shape: [outputs, inputs])
    let bias: [Scalar] =
      file[prefix + "bias"] == nil
      ? [Scalar](repeating: 0, count: outputs) : try file.values(prefix + "bias", shape: [outputs])
    parameters = weight + bias
  }

  /// Sets a file's tensors to the parameters.
  ///
  /// - Parameter biases: false writes none, as PyTorch's `bias=False`.
  ///
  /// Throws `FormatError` where none are to be written and one is not zero. The file has not changed then.
  public func store(
    into file: inout Safetensors, prefix: String = "", biases: Bool = true
  ) throws(FormatError) {
    let bias = Array(parameters[(outputs * inputs)...])
    if !biases, let value = bias.first(where: { $0 != 0 }) {
      throw FormatError(
        FormatError.tensor(prefix + "bias"), expected: "zeros, for a file without biases", actual: "\(value)")
    }
    file.set(prefix + "weight", shape: [outputs, inputs], Array(parameters[..<(outputs * inputs)]))
    if biases { file.set(prefix + "bias", shape: [outputs], bias) } else { file.remove(prefix + "bias") }
  }
}

extension Embedding {
  /// A table of the size that the file has, with its vectors. Throws `FormatError` as `load` does.
  public init(loading file: Safetensors, prefix: String = "") throws(FormatError) {
    let (symbols, width) = try file.matrixShape(prefix + "weight")
    self.init(symbols: symbols, width: width)
    try load(file, prefix: prefix)
  }

  /// Takes the vectors from a file: `weight` [V, D].
  ///
  /// - Parameter prefix: what the name begins with, for example `"embedding."`.
  ///
  /// Throws `FormatError` where the weight is missing, has another shape, or holds what `Scalar` would have to round, and
  /// where any other tensor has the prefix. Nothing has changed then.
  public mutating func load(_ file: Safetensors, prefix: String = "") throws(FormatError) {
    try file.checkNames(after: prefix, ["weight"])
    parameters = try file.values(prefix + "weight", shape: [symbols, width])
  }

  /// Sets a file's tensor to the vectors.
  public func store(into file: inout Safetensors, prefix: String = "") {
    file.set(prefix + "weight", shape: [symbols, width], parameters)
  }
}

extension Safetensors {
  /// The shape of a matrix of numbers that is not empty.
  func matrixShape(_ name: String) throws(FormatError) -> (rows: Int, columns: Int) {
    guard let tensor = self[name] else { throw error(name, expected: "a matrix", actual: "none") }
    try encoding(of: tensor)
    let shape = tensor.shape
    guard shape.count == 2, shape.allSatisfy({ $0 > 0 }) else {
      throw error(name, expected: "a matrix that is not empty", actual: "shape \(FormatError.describe(shape))")
    }
    return (shape[0], shape[1])
  }
}
