/// A table of vectors, one for each symbol: x = E[symbol].
///
/// A value. E [V, D], one row a symbol.
public struct Embedding<Scalar: RecurrenceScalar>: Hashable, Sendable {
  /// V.
  public let symbols: Int
  /// D.
  public let width: Int
  /// E, V·D elements. Setting a different number of elements traps.
  public var parameters: [Scalar] {
    didSet {
      if parameters.count != symbols * width {
        fatalError("parameters: expected \(symbols * width) elements, got \(parameters.count)")
      }
    }
  }

  /// Elements drawn from N(0, 1), PyTorch's default, unless `weights` says otherwise.
  ///
  /// - Parameters:
  ///   - symbols: V, at least 1.
  ///   - width: D, at least 1.
  ///   - weights: how E is drawn, one matrix of V rows and D columns.
  ///   - seed: the same seed gives the same parameters on every platform.
  public init(
    symbols: Int, width: Int, weights: Initialization.Matrix = .normal(deviation: 1), seed: UInt64 = 0
  ) {
    guard symbols > 0 else { fatalError("symbols: expected at least 1, got \(symbols)") }
    guard width > 0 else { fatalError("width: expected at least 1, got \(width)") }
    self.symbols = symbols
    self.width = width
    parameters = [Scalar](repeating: 0, count: symbols * width)
    var generator = SeededGenerator(seed: seed)
    initialize(weights, using: &generator)
  }

  /// Draws all parameters anew; see `init`.
  public mutating func initialize(
    _ weights: Initialization.Matrix = .normal(deviation: 1), using generator: inout SeededGenerator
  ) {
    weights.draw(into: &parameters, at: 0, rows: symbols, columns: width, n: width, using: &generator)
  }

  /// The vectors of `indices`, [N, D] in `output`.
  ///
  /// Throws `ShapeError` where an index is not a symbol, or `output` has not N·D elements; nothing is written then.
  public func forward(_ indices: [Int], into output: inout [Scalar]) throws(ShapeError) {
    try check(indices)
    try ShapeError.check("output", output.count, is: ("N", indices.count), ("D", width))
    for (row, symbol) in indices.enumerated() {
      for column in 0..<width { output[row * width + column] = parameters[symbol * width + column] }
    }
  }

  /// Adds the gradient of the rows that were used, ∂L/∂E[s] = Σ ∂L/∂output over the uses of s, in descending order.
  ///
  /// Throws `ShapeError` where sizes do not fit; nothing is written then.
  public func backward(
    _ indices: [Int], outputGradient: [Scalar], gradient: inout EmbeddingGradient<Scalar>
  ) throws(ShapeError) {
    try check(indices)
    try ShapeError.check("outputGradient", outputGradient.count, is: ("N", indices.count), ("D", width))
    if gradient.width != width || gradient.place.count != symbols {
      throw ShapeError(
        "gradient", expected: "one of V = \(symbols), D = \(width)",
        actual: "V = \(gradient.place.count), D = \(gradient.width)")
    }
    for (row, symbol) in indices.enumerated().reversed() {
      let start = gradient.row(of: symbol) * width
      for column in 0..<width { gradient.values[start + column] += outputGradient[row * width + column] }
    }
  }

  /// A gradient of this table, no row used yet. It has memory for `rows` rows, and grows beyond.
  public func makeGradient(rows: Int = 0) -> EmbeddingGradient<Scalar> {
    EmbeddingGradient(symbols: symbols, width: width, rows: rows)
  }

  private func check(_ indices: [Int]) throws(ShapeError) {
    for (row, symbol) in indices.enumerated() where !(0..<symbols).contains(symbol) {
      throw ShapeError("indices[\(row)]", expected: "0 to \(symbols - 1)", actual: "\(symbol)")
    }
  }
}

/// The gradient of an embedding: the rows that were used, and no others.
public struct EmbeddingGradient<Scalar: RecurrenceScalar>: Sendable {
  /// D.
  public let width: Int
  /// The symbols that were used, in the order they were met.
  public private(set) var symbols: [Int] = []
  /// [symbols.count, D].
  public internal(set) var values: [Scalar] = []
  /// The row of each symbol, −1 for none.
  private(set) var place: [Int]

  init(symbols: Int, width: Int, rows: Int) {
    self.width = width
    place = [Int](repeating: -1, count: symbols)
    self.symbols.reserveCapacity(rows)
    values.reserveCapacity(rows * width)
  }

  /// ∂L/∂E of one symbol, nil where it was not used.
  public subscript(symbol: Int) -> ArraySlice<Scalar>? {
    guard place.indices.contains(symbol), place[symbol] >= 0 else { return nil }
    return values[(place[symbol] * width)..<((place[symbol] + 1) * width)]
  }

  /// Forgets all rows and keeps the memory. Costs as much as rows were used.
  public mutating func removeAll() {
    for symbol in symbols { place[symbol] = -1 }
    symbols.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
  }

  mutating func row(of symbol: Int) -> Int {
    if place[symbol] < 0 {
      place[symbol] = symbols.count
      symbols.append(symbol)
      for _ in 0..<width { values.append(0) }
    }
    return place[symbol]
  }
}
