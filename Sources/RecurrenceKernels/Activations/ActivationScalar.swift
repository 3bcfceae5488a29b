/// What the activation functions must know about a scalar type: the constants of their argument reductions and the
/// polynomials, whose degree follows from the precision.
///
/// All numbers come from `Coefficients/minimax.py`, which also prints the error of every polynomial.
///
/// The reductions write x = n·ln 2 + r. ln 2 is the sum of two parts; the upper one has so few bits that n·ln2High is
/// exact for every n that occurs (W. J. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980). That
/// costs a fused multiply-add nothing, and without one the reduction is as accurate.
public protocol ActivationScalar: BinaryFloatingPoint {
  /// 1 / ln 2.
  static var inverseLn2: Self { get }
  /// ln 2 with enough trailing zeros for n·ln2High to be exact: |n| ≤ 2⁹ for `Float`, 2²¹ for `Double`.
  static var ln2High: Self { get }
  /// ln 2 − ln2High.
  static var ln2Low: Self { get }
  /// ln 2, rounded.
  static var ln2: Self { get }
  /// ln 2 less that.
  static var ln2Rest: Self { get }

  /// exp(x) rounds to zero for x ≤ this, and the reduction still holds at it.
  static var expLowest: Self { get }
  /// exp(x) overflows for x ≥ this, and the reduction still holds at it.
  static var expHighest: Self { get }
  /// expm1(x) rounds to −1 for x ≤ this.
  static var expm1Lowest: Self { get }
  /// tanh(x) rounds to 1 for x ≥ this, and so does every step of its formula.
  static var tanhBound: Self { get }

  /// 1.5·2^p + bias: x + exponentShift rounds x to an integer n whose sum with the exponent bias stands in the low
  /// bits; shifted left by p these are the representation of 2ⁿ.
  static var exponentShift: Self { get }
  /// The same with some bits of a fraction behind those of the integer: 1.5·2^(p − `shiftedFractionBits`) + bias.
  static var fractionShift: Self { get }
  /// The same with twice the bias, so that its half is the biased exponent of 2^(n/2).
  static var doubledExponentShift: Self { get }
  /// The same with the bias increased by k, for powers 2^(n+k) of which 2ⁿ itself may be subnormal.
  static var raisedExponentShift: Self { get }
  /// 2^(−k) of `raisedExponentShift`.
  static var raisedExponentScale: Self { get }

  /// q with expm1(r) = r + r²·q(r), |r| ≤ ln 2 / 2.
  static func expm1Quotient<V: Vector>(_ r: V) -> V where V.Scalar == Self
  /// q with tanh(b) = b + b³·q(b²), |b| ≤ 0.8125 · ln 2 / 2.
  static func tanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Self
  /// q with 2·tanh(r/2) = r + r³·q(r²), |r| ≤ ln 2 / 2, fitted to the absolute error: that is what counts beside the 2 of
  /// 2 ± 2·tanh(r/2).
  static func doubledTanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Self
  /// q with 2·artanh(s/2) = s + s³·q(s²), |s| ≤ 2/3.
  static func doubledArtanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Self
}

extension ActivationScalar {
  /// Bits of a fraction in `fractionShift`: its rounding moves the seams of a reduction by 2⁻¹⁰ at most.
  @inlinable @inline(__always) static var shiftedFractionBits: Int { 9 }
}
