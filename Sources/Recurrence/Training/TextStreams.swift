/// The characters of a text, numbered: Unicode scalars in ascending order.
public struct Vocabulary: Hashable, Sendable, Codable {
  public let scalars: [Unicode.Scalar]
  private let index: [Unicode.Scalar: Int32]

  /// The distinct characters of a text.
  public init(_ text: some Sequence<Unicode.Scalar>) { self.init(distinct: Set(text)) }

  private init(distinct: Set<Unicode.Scalar>) {
    scalars = distinct.sorted()
    index = Dictionary(uniqueKeysWithValues: scalars.enumerated().map { ($1, Int32($0)) })
  }

  public var count: Int { scalars.count }

  /// The number of a character, nil where it is not of this vocabulary.
  public subscript(scalar: Unicode.Scalar) -> Int32? { index[scalar] }

  /// The numbers of a text. Throws `ShapeError` at the first character that is not of this vocabulary.
  public func encode(_ text: String) throws(ShapeError) -> [Int32] {
    var symbols: [Int32] = []
    symbols.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      guard let symbol = index[scalar] else {
        throw ShapeError(
          "character \(symbols.count)", expected: "one of the \(count) that the model knows",
          actual: "\(String(reflecting: String(scalar)))")
      }
      symbols.append(symbol)
    }
    return symbols
  }

  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    self.init(text.unicodeScalars)
  }

  public func encode(to encoder: any Encoder) throws {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    var container = encoder.singleValueContainer()
    try container.encode(String(text))
  }
}

/// A text cut into B contiguous streams, each into windows of T characters: what a character language model reads.
///
/// Stream b is characters b·S to b·S + S, S = ⌊(n − 1)/B⌋; its targets are the characters after. A window's states are those
/// that the window before left, so that a stream is one long sequence.
public struct TextStreams: Sendable {
  public let symbols: [Int32]
  /// B.
  public let streams: Int
  /// T.
  public let window: Int
  /// Characters of each stream, S.
  public let length: Int
  /// Windows of each stream.
  public let windows: Int

  /// - Parameters:
  ///   - symbols: n characters.
  ///   - streams: B, at least 1.
  ///   - window: T, at least 1.
  ///   - includesRest: whether the last window may be shorter; otherwise the rest of each stream is not read.
  ///
  /// Throws `ShapeError` where there is not one window.
  public init(_ symbols: [Int32], streams: Int, window: Int, includesRest: Bool = false) throws(ShapeError) {
    if streams < 1 { fatalError("streams: expected at least 1, got \(streams)") }
    if window < 1 { fatalError("window: expected at least 1, got \(window)") }
    self.symbols = symbols
    self.streams = streams
    self.window = window
    length = max(0, symbols.count - 1) / streams
    windows = includesRest ? (length + window - 1) / window : length / window
    if windows == 0 {
      let (all, overflow) = streams.multipliedReportingOverflow(by: includesRest ? 1 : window)
      let least = overflow || all == .max ? Int.max : all + 1
      throw ShapeError(
        "text", expected: "at least \(least) characters, for \(streams) streams of \(includesRest ? 1 : window)",
        actual: "\(symbols.count)")
    }
  }

  /// Characters that a stream has in window `index`.
  public func steps(_ index: Int) -> Int { min(window, length - index * window) }

  /// Characters in all windows of all streams.
  public var characters: Int { streams * (0..<windows).reduce(0) { $0 + steps($1) } }

  /// Inputs and targets of window `index`, [T, B] each.
  public func window(_ index: Int) -> (inputs: [Int32], targets: [Int32]) {
    let steps = steps(index)
    var inputs = [Int32](repeating: 0, count: steps * streams)
    var targets = inputs
    for stream in 0..<streams {
      let start = stream * length + index * window
      for t in 0..<steps {
        inputs[t * streams + stream] = symbols[start + t]
        targets[t * streams + stream] = symbols[start + t + 1]
      }
    }
    return (inputs, targets)
  }
}
