// The logistic function σ(x) = 1 / (1 + e^−x) and its integral, softplus(x) = ln(1 + e^x).
//
// Both are computed from a = |x|, so that e^−a ≤ 1. With n = round(a / ln 2), r = a − n·ln 2, t = 2⁻ⁿ and
// P = 2·tanh(r/2) = r + r³·q(r²), we have e^−a = t·(1 − P/2) / (1 + P/2) and therefore
//
//   σ(−a) = t·(1 − P/2) / D,   D = 1 + t + (1 − t)·P/2.
//
// Dividing e^−a, rounded, by 1 + e^−a, rounded, can err by 2.5 ulp. Splitting off α = 1 − t/2, which is ½ at t = 1 and
// near the value of (1 − P/2)/D elsewhere, leaves a small quotient, whose errors count for little; so neighbouring
// arguments give results in order, up to an ulp, and σ keeps its relative accuracy down to subnormal results. With
// β = (1 − t)/2:
//
//   σ(−a) = t · (α − (P·(α·β + ½) + t·β) / D),   D = 1 + t + β·P,   σ(a) = 1 − σ(−a).
//
// Softplus is max(x, 0) + ln(1 + e^−a), and ln(1 + e^−a) = 2·artanh(S/2) with S = 2e^−a / (2 + e^−a) ≤ 2/3. S has a
// similar shape. Here the part split off is c = 1 − t/4, nearer to the value than 1, because the sum with x adds a
// rounding that σ has not. With α = 1 − t/2, so that c = (1 + α)/2: S = t·Z,
//
//   Z = c − w,   w = (P·(1 + α·c) + α·(1 − α)) / (2 + t + α·P),   ln(1 + e^−a) = t·(c + (Z·S²·q(S²) − w)).
//
// e^−r = (2 − P) / (2 + P) replaces a polynomial of degree 6 by one of degree 2 in r²: the division is there anyway.
// On such forms, and on the two-part ln 2, see J.-M. Muller, "Elementary Functions", 3rd ed., chapter 11.

/// What σ and softplus have in common: e^−a = t·(2 − P) / (2 + P).
@usableFromInline
struct DecayReduction<V: Vector> {
  /// 2⁻ⁿ; subnormal or zero for a beyond 87 (`Float`).
  @usableFromInline let t: V
  /// 2·tanh(r/2), |P| ≤ 0.345.
  @usableFromInline let doubledTanh: V
  /// 1 − t/2.
  @usableFromInline let complement: V

  /// a must not be negative; it may be NaN or +∞.
  @inlinable @inline(__always)
  init(_ a: V) {
    typealias Scalar = V.Scalar
    let a = V.minimum(a, V(repeating: -Scalar.expLowest))
    let shift = V(repeating: Scalar.raisedExponentShift)
    let shifted = V.multiplyAdd(a, V(repeating: -Scalar.inverseLn2), shift)
    let n = shifted - shift
    // 2⁻ⁿ may be subnormal, which no shift can make. A product with a subnormal power of two still rounds once.
    t = V.shiftBitsLeft(shifted, by: Scalar.fractionBits) * V(repeating: Scalar.raisedExponentScale)
    // Fused, n times all bits of ln 2 is as exact as n times some. What is left of it is n·2⁻²⁹ in single precision, too little
    // for r² to wait for.
    let (high, low) = V.isFused ? (Scalar.ln2, Scalar.ln2Rest) : (Scalar.ln2High, Scalar.ln2Low)
    let first = V.multiplyAdd(n, V(repeating: high), a)
    let r = V.multiplyAdd(n, V(repeating: low), first)
    let square = V.isFused && Scalar.fractionBits == 23 ? first * first : r * r
    doubledTanh = V.multiplyAdd(r * square, Scalar.doubledTanhQuotient(square), r)
    complement = V.multiplyAdd(t, V(repeating: -0.5), V(repeating: 1))
  }
}

extension Vector {
  /// 1 / (1 + e^−x), in [0, 1].
  ///
  /// - σ(±0) = ½ exactly, σ(−∞) = 0, σ(+∞) = 1; NaN gives NaN.
  /// - σ(x) → e^x as x → −∞, with the relative accuracy of exp down to subnormal results.
  @inlinable @inline(__always)
  public static func sigmoid(_ x: Self) -> Self {
    let one = Self(repeating: 1)
    let half = Self(repeating: 0.5)
    let e = DecayReduction(x.magnitude)
    let rest = e.complement - half
    let dividend = multiplyAdd(e.doubledTanh, multiplyAdd(e.complement, rest, half), e.t * rest)
    let divisor = multiplyAdd(e.doubledTanh, rest, e.t + one)
    let falling = e.t * (e.complement - dividend / divisor)
    // In this order, difference first, the choice is a masked subtraction on AVX-512.
    return select(isLessOrEqual(zero, x), one - falling, falling)
  }

  /// ln(1 + e^x), at least max(x, 0).
  ///
  /// - softplus(−∞) = 0, softplus(+∞) = +∞; NaN gives NaN.
  /// - softplus(x) → e^x as x → −∞, with the relative accuracy of exp down to subnormal results.
  @inlinable @inline(__always)
  public static func softplus(_ x: Self) -> Self {
    let one = Self(repeating: 1)
    let half = Self(repeating: 0.5)
    let e = DecayReduction(x.magnitude)
    // 2c, 2w and 2Z, which saves halving. α·2c + 2 is not fused: the optimiser joins fused operations that feed each other
    // into one graph of lanes, and when that graph grows too wide it splits the loop into pieces of vectors. See the
    // assembly before changing this.
    let start = e.complement + one
    let dividend = multiplyAdd(e.doubledTanh, e.complement * start + Self(repeating: 2), e.complement * e.t)
    let divisor = multiplyAdd(e.doubledTanh, e.complement, e.t + Self(repeating: 2))
    let quotient = dividend / divisor
    // Z, rounded, serves the small terms only.
    let z = start - quotient
    let s = e.t * (z * half)
    let square = s * s
    let tail = multiplyAdd(z * square, Scalar.doubledArtanhQuotient(square), quotient.negated)
    // Smallest terms first: next to x the rest is small, and c joins last, so that one rounding counts, not two. t
    // multiplies last: half of it would be lost where it is the least subnormal.
    return multiplyAdd(e.t, start * half, multiplyAdd(e.t, tail * half, maximum(x, zero)))
  }
}
