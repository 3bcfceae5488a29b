// Constants of the activation functions in double precision. Printed by Coefficients/minimax.py, except the limits:
//   expLowest     e^−746 = 2^−1076.3 is less than half of the least subnormal, 2^−1074.
//   expHighest    e^710 = 2^1024.3 overflows; n = 1024.
//   expm1Lowest   e^−38 is less than a quarter ulp of numbers below 1 (2^−55 = e^−38.1), or rounds as if it were.
//   tanhBound     1 − tanh 19.1 = 0.47 ulp. There n = 55, and the formula of tanh gives 1 for every n ≥ 55.
//   raised shift  exponents down to −1076 are raised by 64, which leaves them above −1023.

extension Double: ActivationScalar {
  @inlinable @inline(__always) public static var inverseLn2: Double { 0x1.71547652b82fep0 }
  @inlinable @inline(__always) public static var ln2High: Double { 0x1.62e42ffp-1 }
  @inlinable @inline(__always) public static var ln2Low: Double { -0x1.718432a1b0e26p-35 }
  @inlinable @inline(__always) public static var ln2: Double { 0x1.62e42fefa39efp-1 }
  @inlinable @inline(__always) public static var ln2Rest: Double { 0x1.abc9e3b39803fp-56 }
  @inlinable @inline(__always) public static var expLowest: Double { -746 }
  @inlinable @inline(__always) public static var expHighest: Double { 710 }
  @inlinable @inline(__always) public static var expm1Lowest: Double { -38 }
  @inlinable @inline(__always) public static var tanhBound: Double { 19.1 }
  @inlinable @inline(__always) public static var exponentShift: Double { 0x1.8p52 + 1023 }
  @inlinable @inline(__always) public static var fractionShift: Double { 0x1.8p43 + 1023 }
  @inlinable @inline(__always) public static var doubledExponentShift: Double { 0x1.8p52 + 2046 }
  @inlinable @inline(__always) public static var raisedExponentShift: Double { 0x1.8p52 + (1023 + 64) }
  @inlinable @inline(__always) public static var raisedExponentScale: Double { 0x1p-64 }

  // Degree 9: relative error 2^−54.9 of expm1, so 2^−56.4 of exp.
  @inlinable @inline(__always)
  public static func expm1Quotient<V: Vector>(_ r: V) -> V where V.Scalar == Double {
    var q = V(repeating: 0x1.ae6bdebfc73e2p-26)
    q = V.multiplyAdd(q, r, V(repeating: 0x1.28a296eb8c2dbp-22))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.71de8880329b4p-19))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.a019a6c062a1fp-16))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.a01a0174a3bd2p-13))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.6c16c17f12562p-10))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.1111111119178p-7))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.55555555521f3p-5))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.5555555555539p-3))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.0000000000005p-1))
    return q
  }

  // Degree 6: relative error 2^−55.0.
  @inlinable @inline(__always)
  public static func tanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Double {
    var q = V(repeating: -0x1.505eaac04bf14p-10)
    q = V.multiplyAdd(q, square, V(repeating: 0x1.d4021edc2d5fdp-9))
    q = V.multiplyAdd(q, square, V(repeating: -0x1.2262699bc02b2p-7))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.664f11fadb911p-6))
    q = V.multiplyAdd(q, square, V(repeating: -0x1.ba1ba132eeb31p-5))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.11111110c1828p-3))
    q = V.multiplyAdd(q, square, V(repeating: -0x1.555555555535ap-2))
    return q
  }

  // Degree 5: error 2^−59.8.
  @inlinable @inline(__always)
  public static func doubledTanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Double {
    var q = V(repeating: 0x1.c27d7d404e109p-21)
    q = V.multiplyAdd(q, square, V(repeating: -0x1.22365889dcd26p-17))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.664eae563b249p-14))
    q = V.multiplyAdd(q, square, V(repeating: -0x1.ba1ba0dd32ca2p-11))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.11111110c545cp-7))
    q = V.multiplyAdd(q, square, V(repeating: -0x1.555555555542bp-4))
    return q
  }

  // Degree 9: relative error 2^−57.6.
  @inlinable @inline(__always)
  public static func doubledArtanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Double {
    var q = V(repeating: 0x1.5cc8374d06f16p-24)
    q = V.multiplyAdd(q, square, V(repeating: 0x1.555dd4fa7863bp-23))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.efeac74e11d38p-21))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.1066a37a061dep-18))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.3b1df0c1605edp-16))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.745cb30a5ca82p-14))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.c71c7422fdeffp-12))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.2492492080194p-9))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.99999999a0932p-7))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.5555555555533p-4))
    return q
  }
}
