// exp(x) and, for x ≤ 0, expm1(x) = e^x − 1.
//
// With n = round(x / ln 2) and r = x − n·ln 2, |r| ≤ ln 2 / 2,
//
//   e^x  = 2ⁿ · (1 + r + r²·q(r))
//   e^x − 1 = 2ⁿ · (r + r²·q(r)) + (2ⁿ − 1)
//
// as in P. T. P. Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic", ACM
// TOMS 15 (1989), without the table: a lookup costs a vector more than the two or three terms it saves. Both share q,
// which is fitted to the relative error of expm1. n comes from adding a large constant (see
// `ActivationScalar.exponentShift`), so no conversion between integers and floating point is needed.
//
// exp is within 1.21 ulp, expm1 (α = 1 in ELU) within 1.14; ActivationFunction.swift has the table.

extension Vector {
  /// e^x.
  ///
  /// - exp(±0) = 1 exactly, exp(−∞) = 0, exp(+∞) = +∞; NaN gives NaN.
  /// - Overflow gives +∞. Results below the normal range are rounded once more, to a multiple of the least
  ///   subnormal, so they keep the accuracy that their format allows.
  @inlinable @inline(__always)
  public static func exp(_ x: Self) -> Self {
    let x = maximum(minimum(x, Self(repeating: Scalar.expHighest)), Self(repeating: Scalar.expLowest))
    let shift = Self(repeating: Scalar.doubledExponentShift)
    let shifted = multiplyAdd(x, Self(repeating: Scalar.inverseLn2), shift)
    let n = shifted - shift
    let r = multiplyAdd(n, Self(repeating: -Scalar.ln2Low), multiplyAdd(n, Self(repeating: -Scalar.ln2High), x))
    let one = Self(repeating: 1)
    let power = multiplyAdd(multiplyAdd(Scalar.expm1Quotient(r), r, one), r, one)

    // 2ⁿ itself is not a number for n = 128 and for n < −149: it is applied as 2^⌊n/2⌋ · 2^(n − ⌊n/2⌋). The low bits
    // of `shifted` hold n + 2·bias. One shift to the left less than needed halves it, once the bit that fell out of the
    // exponent is masked; and what is left of n + 2·bias after subtracting the half is the other biased exponent.
    let exponent = Self(repeatingBits: Scalar.fractionBits == 23 ? 0xff80_0000 : 0xfff0_0000_0000_0000)
    let lower = bitAnd(shiftBitsLeft(shifted, by: Scalar.fractionBits - 1), exponent)
    let upper = subtractBits(shiftBitsLeft(shifted, by: Scalar.fractionBits), lower)
    return power * lower * upper
  }

  /// e^min(x, 0) − 1, at least −1.
  ///
  /// - expm1(−∞) = −1, and x itself for x so small that x²/2 is lost; NaN gives NaN. Zeros give +0.
  @inlinable @inline(__always)
  public static func expm1(atMostZero x: Self) -> Self {
    let x = maximum(minimum(x, zero), Self(repeating: Scalar.expm1Lowest))
    let shift = Self(repeating: Scalar.exponentShift)
    let shifted = multiplyAdd(x, Self(repeating: Scalar.inverseLn2), shift)
    let n = shifted - shift
    let r = multiplyAdd(n, Self(repeating: -Scalar.ln2Low), multiplyAdd(n, Self(repeating: -Scalar.ln2High), x))
    let power = multiplyAdd(r * r, Scalar.expm1Quotient(r), r)
    let scale = shiftBitsLeft(shifted, by: Scalar.fractionBits)
    return multiplyAdd(scale, power, scale - Self(repeating: 1))
  }
}
