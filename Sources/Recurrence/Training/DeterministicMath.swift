// Goals, in this order: the same bits on every platform; at most 2 ulp; little to read.
//
// The C library's functions differ between systems, and so do fused multiply-adds: a model drawn from a seed, or a rate
// that decays over a run, would be another one elsewhere. Here stand only IEEE additions, multiplications, divisions
// and roundings in a fixed order, which every processor does alike. Coefficients are those of the power series, some
// terms more than a minimax polynomial would need; nothing here is in a hot loop.

/// Elementary functions of `Double` whose bits are the same on every platform.
package enum DeterministicMath {
  /// The natural logarithm, to 1 ulp. log(±0) = −∞, log(x) = NaN for x < 0 and for NaN, log(∞) = ∞.
  package static func log(_ x: Double) -> Double {
    guard x > 0, x < .infinity else { return x == 0 ? -.infinity : x < 0 ? .nan : x }
    // x = 2ᵏ(1 + f), √½ < 1 + f ≤ √2; a subnormal x is brought into the normal range first.
    let isSubnormal = x < .leastNormalMagnitude
    let scaled = isSubnormal ? x * 0x1p54 : x
    var k = Double(scaled.exponent) - (isSubnormal ? 54 : 0)
    var m = scaled.significand
    if m > 1.414_213_562_373_095_1 {
      m *= 0.5
      k += 1
    }
    // log(1 + f) = 2 artanh s = 2s + s·r, s = f/(2 + f), r = 2/3 s² + 2/5 s⁴ + … As |s| ≤ 0.172, the first term left out
    // is less than 2⁻⁶⁰ of 2s. 2s = f − f²/2 + s·f²/2, whose leading term f is exact (fdlibm, e_log.c).
    let f = m - 1
    let s = f / (2 + f)
    let z = s * s
    var r = 0.0
    for n in stride(from: 21.0, through: 3, by: -2) { r = r * z + 2 / n }
    r *= z
    let half = 0.5 * f * f
    // ln 2 in two parts. The first has so few bits that k times it is exact.
    let high = 0x1.62e42fee00000p-1
    let low = 0x1.a39ef35793c76p-33
    return k * high - ((half - (s * (half + r) + k * low)) - f)
  }

  /// cos(πx), to 2 ulp; exactly 0 at half-integers, ±1 at integers. NaN for ±∞ and NaN.
  package static func cosPi(_ x: Double) -> Double {
    guard x.isFinite else { return .nan }
    let x = x.magnitude
    // From here on, doubles are even.
    if x >= 0x1p53 { return 1 }
    // x = q/2 + r, |r| ≤ 1/4, all exact. `rounded` may be a call, but has one right answer.
    let q = (2 * x).rounded(.toNearestOrEven)
    let r = x - 0.5 * q
    switch Int(q) & 3 {
    case 0: return cosine(r)
    case 1: return 0 - sine(r)
    case 2: return -cosine(r)
    default: return 0 + sine(r)
    }
  }

  // |r| ≤ 1/4. The first terms that the series leave out are less than 2⁻⁵⁸ of the result.

  private static func sine(_ r: Double) -> Double {
    let y = Double.pi * r
    let square = y * y
    var sum = 0.0
    for n in stride(from: 17.0, through: 3, by: -2) { sum = (1 + sum) * (square / (-n * (n - 1))) }
    return y + y * sum
  }

  private static func cosine(_ r: Double) -> Double {
    let y = Double.pi * r
    let square = y * y
    var sum = 0.0
    for n in stride(from: 16.0, through: 4, by: -2) { sum = (1 + sum) * (square / (-n * (n - 1))) }
    let half = 0.5 * square
    return 1 - (half + half * sum)
  }

  /// baseⁿ, n ≥ 0, to 1 ulp for n ≤ 2²⁴ where the result is from 2⁻⁹⁰⁰ to 2⁹⁰⁰. x⁰ = 1 for every x, NaN too.
  ///
  /// By squaring, in pairs of doubles: an error of the factor is multiplied by n in the result.
  package static func power(_ base: Double, _ exponent: Int) -> Double {
    if exponent < 0 { fatalError("exponent: expected at least 0, got \(exponent)") }
    var result = Pair(high: 1, low: 0)
    var factor = Pair(high: base, low: 0)
    var rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result = result * factor }
      rest >>= 1
      if rest > 0 { factor = factor * factor }
    }
    return result.high
  }

  /// high + low, |low| at most half an ulp of high.
  private struct Pair {
    var high: Double
    var low: Double

    static func * (a: Pair, b: Pair) -> Pair {
      let product = a.high * b.high
      let (x, y) = (halves(a.high), halves(b.high))
      // What `product` lacks of the exact one (Dekker 1971); without a fused multiply-add, which not everyone has.
      let lost = ((x.0 * y.0 - product) + x.0 * y.1 + x.1 * y.0) + x.1 * y.1
      let low = lost + (a.high * b.low + a.low * b.high)
      // Halves of the largest numbers overflow, and nothing is lost of ∞ and NaN.
      if !low.isFinite { return Pair(high: product, low: 0) }
      let high = product + low
      return Pair(high: high, low: low - (high - product))
    }

    /// Two numbers of at most 26 bits whose sum is x.
    private static func halves(_ x: Double) -> (Double, Double) {
      let scaled = x * 0x1.0000002p27
      let upper = scaled - (scaled - x)
      return (upper, x - upper)
    }
  }
}
