/// The norms of the last gradients, and what they say about a threshold.
///
///     var history = NormHistory()
///     history.add(step.clipping.norm)         // after each update
///     let θ = history.suggestedThreshold
///
/// A value, kept in JSON as the norms in the order they came. Memory for all norms is taken when it is made: adding one
/// allocates nothing, and moves `window` numbers at most.
public struct NormHistory: Sendable {
  /// The most norms that are kept; the oldest makes room.
  public let window: Int
  /// Norms that are kept, from 0 to `window`.
  public private(set) var count = 0
  /// The norms by their time of arrival, a ring whose next place is `next`. All `window` elements from the start: a copy
  /// of an array has no room to grow.
  private var ring: [Double]
  private var next = 0
  /// The same numbers, the first `count` in ascending order.
  private var ascending: [Double]

  /// The largest window.
  public static let largestWindow = 1 << 20

  /// - Parameter window: from 1 to `largestWindow`. Traps with a sentence where it is not.
  public init(window: Int = 1000) {
    if let complaint = Self.complaint(window: window) { fatalError(complaint) }
    self.window = window
    ring = [Double](repeating: 0, count: window)
    ascending = ring
  }

  private static func complaint(window: Int) -> String? {
    (1...largestWindow).contains(window) ? nil : "window: expected 1 to \(largestWindow) norms, got \(window)"
  }

  private static func complaint(norm: Double) -> String? {
    norm >= 0 && norm.isFinite ? nil : "norm: expected a finite number of at least 0, got \(norm)"
  }

  /// Takes a norm, of at least 0, unless it is infinite or not a number.
  ///
  /// - Returns: whether it was taken.
  ///
  /// Traps with a sentence where it is negative.
  @discardableResult
  public mutating func add(_ norm: Double) -> Bool {
    guard norm.isFinite else { return false }
    if let complaint = Self.complaint(norm: norm) { fatalError(complaint) }
    // −0 has a place of its own in no order.
    let norm = norm.magnitude
    // The place that is free among the ascending ones: behind them, or the oldest norm's.
    var free = count
    if count == window { free = firstPlace(of: ring[next]) } else { count += 1 }
    ring[next] = norm
    next = next + 1 == window ? 0 : next + 1
    while free > 0, ascending[free - 1] > norm {
      ascending[free] = ascending[free - 1]
      free -= 1
    }
    while free + 1 < count, ascending[free + 1] < norm {
      ascending[free] = ascending[free + 1]
      free += 1
    }
    ascending[free] = norm
    return true
  }

  /// The first of the ascending norms that is not below `norm`.
  private func firstPlace(of norm: Double) -> Int {
    var (lower, upper) = (0, count)
    while lower < upper {
      let middle = (lower + upper) / 2
      if ascending[middle] < norm { lower = middle + 1 } else { upper = middle }
    }
    return lower
  }

  /// The norms that are kept, the oldest first.
  public var norms: [Double] { count < window ? Array(ring[..<count]) : Array(ring[next...] + ring[..<next]) }

  /// The p-th percentile, p from 0 to 100; nil of nothing.
  ///
  /// Linear interpolation between the two nearest of the ascending norms, as numpy.percentile by default: place
  /// (count − 1) · p/100, from 0. Traps with a sentence where p is out of its range.
  public func percentile(_ p: Double) -> Double? {
    if !(0...100).contains(p) { fatalError("percentile: expected 0 to 100, got \(p)") }
    if count == 0 { return nil }
    let place = Double(count - 1) * (p / 100)
    let index = min(Int(place), count - 1)
    let (low, high) = (ascending[index], ascending[min(index + 1, count - 1)])
    let fraction = place - Double(index)
    // From the nearer end, so that neither is missed by rounding.
    return fraction < 0.5 ? low + (high - low) * fraction : high - (high - low) * (1 - fraction)
  }

  /// The 50th percentile; nil of nothing.
  public var median: Double? { percentile(50) }

  /// The arithmetic mean; nil of nothing. Norms are added in the order they came; the sum does not overflow.
  public var mean: Double? {
    if count == 0 { return nil }
    let sum = norms.reduce(0, +)
    if sum.isFinite { return sum / Double(count) }
    return norms.reduce(0) { $0 + $1 * 0x1p-32 } / Double(count) * 0x1p32
  }

  /// A threshold for clipping by norm: the median, where it is not 0; nil otherwise.
  ///
  /// Pascanu, Mikolov and Bengio (2013, section 3.2) take the average norm over many updates as their measure, and find
  /// that half to ten times that average works. The average of norms with a few explosions among them is that of the
  /// explosions: one of 10⁶ times the usual, among a thousand, moves it by 10³. The median stays where it was. Of gradients
  /// as they were it clips one in two; where only explosions shall be clipped, take a multiple of it.
  public var suggestedThreshold: Double? {
    guard let median, median > 0 else { return nil }
    return median
  }
}

extension NormHistory: Hashable {
  public static func == (a: Self, b: Self) -> Bool { a.window == b.window && a.norms == b.norms }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(window)
    hasher.combine(norms)
  }
}

extension NormHistory: Codable {
  private enum CodingKeys: CodingKey { case window, norms }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(window, forKey: .window)
    try values.encode(norms, forKey: .norms)
  }

  /// Throws `DecodingError` where the window or a norm is out of its range, or there are more norms than the window.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let window = try values.decode(Int.self, forKey: .window)
    let norms = try values.decode([Double].self, forKey: .norms)
    let complaint =
      Self.complaint(window: window)
      ?? (norms.count > window ? "norms: expected at most \(window), as the window says, got \(norms.count)" : nil)
      ?? norms.lazy.compactMap { Self.complaint(norm: $0) }.first
    if let complaint {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: complaint))
    }
    self.init(window: window)
    for norm in norms { add(norm) }
  }
}
