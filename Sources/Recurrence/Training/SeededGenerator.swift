/// A generator of random numbers that are the same on every platform: from one seed one model, one order of the data.
///
/// SplitMix64 (Steele, Lea and Flood 2014), a counter through a mixing function. Its period is 2⁶⁴; it is not for
/// secrets. `state` is all there is: a generator given the state of another goes on as that one would have.
///
/// Use its methods rather than `shuffled(using:)` or `Double.random(in:using:)`: what the standard library makes of a
/// generator's numbers may change with its version.
public struct SeededGenerator: RandomNumberGenerator, Hashable, Sendable, Codable {
  /// The counter. Any value is legal.
  public var state: UInt64

  /// Any seed is a good one. Seeds that differ by a small multiple of 0x9e3779b97f4a7c15 give overlapping sequences;
  /// small integers do not.
  public init(seed: UInt64) { state = seed }

  /// 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Uniform in the range, of 2⁵³ equidistant values from its lower bound on. One draw.
  ///
  /// The upper bound is reached only where rounding leads there. Traps with a sentence where the width is not finite.
  public mutating func uniform(in range: ClosedRange<Double> = 0...1) -> Double {
    let width = range.upperBound - range.lowerBound
    if !width.isFinite { fatalError("range: expected one of finite width, got \(range)") }
    return range.lowerBound + width * unit()
  }

  /// Normal with mean 0 and variance 1: √(−2 ln u) cos(2πv) (Box and Muller 1958). Two draws, no rejection.
  ///
  /// The magnitude is at most √(106 ln 2) ≈ 8.57.
  public mutating func normal() -> Double {
    // 1 − u is in (0, 1]: its logarithm is finite.
    let radius = (-2 * DeterministicMath.log(1 - unit())).squareRoot()
    return radius * DeterministicMath.cosPi(2 * unit())
  }

  /// An integer from 0 to `bound` − 1, each equally likely (Lemire 2019). One draw, seldom more.
  ///
  /// Traps with a sentence where `bound` is less than 1.
  public mutating func index(below bound: Int) -> Int {
    guard bound > 0 else { fatalError("bound: expected at least 1, got \(bound)") }
    let bound = UInt64(bound)
    var product = next().multipliedFullWidth(by: bound)
    if product.low < bound {
      // Of 2⁶⁴ numbers this many are left over when all outcomes have been given equally many.
      let excess = (0 &- bound) % bound
      while product.low < excess { product = next().multipliedFullWidth(by: bound) }
    }
    return Int(product.high)
  }

  /// Brings the elements into an order of which each is equally likely, as far as 64 bits of state can tell them apart
  /// (Fisher and Yates, from the end).
  public mutating func shuffle<Element>(_ elements: inout [Element]) {
    for last in stride(from: elements.count - 1, to: 0, by: -1) {
      elements.swapAt(last, index(below: last + 1))
    }
  }

  /// In [0, 1), a multiple of 2⁻⁵³.
  private mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
