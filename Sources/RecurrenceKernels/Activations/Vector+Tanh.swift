// tanh(x) with one division and no cancellation.
//
// The textbook forms lose accuracy in one place or another: (e − 1)/(e + 1) with e = e^(2x) at the origin, expm1/(expm1 + 2)
// by the rounding of its denominator just below powers of two (2.5 ulp), a rational function of x by its clamp. Here
// the argument is reduced for tanh itself. For a = |x|, an integer n ≥ 0 and b = a − n·ln 2 / 2, let
//
//   t = 2⁻ⁿ,  p = tanh b = b + b³·q(b²).
//
// The addition theorem gives tanh a = (1 − t + (1 + t)·p) / (1 + t + (1 − t)·p), of which 1 − t is the greater part and
// exact. Splitting it off leaves a quotient that enters with the factor t:
//
//   tanh a = (1 − t) + t · (p·(3 − t) − (1 − t)) / (1 + t + (1 − t)·p).
//
// For n = 0 this is p (the division is by 2, exact), so tiny arguments are returned as they are; for large n the
// quotient's rounding errors vanish with t. The quotient is below 0.73, so that 1 − t + t·quotient < 1 before the last
// rounding, and |tanh x| ≤ 1 after it.
//
// n is not the nearest integer to a / (ln 2 / 2) but lies 0.3125 lower, so −0.07 < b < 0.29: with n = 1 the dividend
// would cancel for b near −0.17, and the interval of n = 0, which has no such trouble, grows. A larger bias needs a
// fourth coefficient in single precision. One constant is enough for ln 2 / 2: what its rounding adds to b, at most n
// quarters of an ulp of 1/2, enters with the factor 2⁻ⁿ.

extension Vector {
  /// tanh x. |tanh x| ≤ 1 and tanh(−x) = −tanh x, bit for bit.
  ///
  /// - tanh(±0) = ±0, tanh(±∞) = ±1; NaN gives NaN. Subnormal x are returned unchanged.
  /// - ±1 from |x| = `Scalar.tanhBound` on at the latest.
  @inlinable @inline(__always)
  public static func tanh(_ x: Self) -> Self {
    let a = minimum(x.magnitude, Self(repeating: Scalar.tanhBound))
    // ½ more than the bias, since bits of a fraction are cut off where another sum would round them away: that takes one
    // cycle. `floor` carries bias − n, so that a shift makes t of it; `n` here is −n.
    let shift = Scalar.fractionShift
    let floor = bitAnd(
      multiplyAdd(a, Self(repeating: -2 * Scalar.inverseLn2), Self(repeating: shift + 0.8125)),
      Self(repeatingBits: ~((1 << Scalar.shiftedFractionBits) - 1)))
    let n = floor - Self(repeating: shift)
    let t = shiftBitsLeft(floor, by: Scalar.fractionBits - Scalar.shiftedFractionBits)
    let b = multiplyAdd(n, Self(repeating: Scalar.ln2 / 2), a)
    let square = b * b
    let p = multiplyAdd(b * square, Scalar.tanhQuotient(square), b)

    let start = Self(repeating: 1) - t
    let dividend = multiplyAdd(p, start + Self(repeating: 2), start.negated)
    let divisor = multiplyAdd(p, start, t + Self(repeating: 1))
    return multiplyAdd(t, dividend / divisor, start).withSign(of: x)
  }
}
