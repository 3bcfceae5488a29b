// Constants of the activation functions in single precision. Printed by Coefficients/minimax.py, except the limits:
//   expLowest     e^−104 = 2^−150.04 is less than half of the least subnormal, 2^−149.
//   expHighest    e^89 = 2^128.4 overflows; n = 128.
//   expm1Lowest   e^−18 is less than a quarter ulp of numbers below 1 (2^−26).
//   tanhBound     1 − tanh 9.02 = 0.49 ulp. There n = 26, and the formula of tanh gives 1 for every n ≥ 26.
//   raised shift  exponents down to −150 are raised by 32, which leaves them above −127.

extension Float: ActivationScalar {
  @inlinable @inline(__always) public static var inverseLn2: Float { 0x1.715476p0 }
  @inlinable @inline(__always) public static var ln2High: Float { 0x1.62e4p-1 }
  @inlinable @inline(__always) public static var ln2Low: Float { 0x1.7f7d1cp-20 }
  @inlinable @inline(__always) public static var ln2: Float { 0x1.62e43p-1 }
  @inlinable @inline(__always) public static var ln2Rest: Float { -0x1.05c61p-29 }
  @inlinable @inline(__always) public static var expLowest: Float { -104 }
  @inlinable @inline(__always) public static var expHighest: Float { 89 }
  @inlinable @inline(__always) public static var expm1Lowest: Float { -18 }
  @inlinable @inline(__always) public static var tanhBound: Float { 9.02 }
  @inlinable @inline(__always) public static var exponentShift: Float { 0x1.8p23 + 127 }
  @inlinable @inline(__always) public static var fractionShift: Float { 0x1.8p14 + 127 }
  @inlinable @inline(__always) public static var doubledExponentShift: Float { 0x1.8p23 + 254 }
  @inlinable @inline(__always) public static var raisedExponentShift: Float { 0x1.8p23 + (127 + 32) }
  @inlinable @inline(__always) public static var raisedExponentScale: Float { 0x1p-32 }

  // Degree 4: relative error 2^−25.8 of expm1, so 2^−27.3 of exp.
  @inlinable @inline(__always)
  public static func expm1Quotient<V: Vector>(_ r: V) -> V where V.Scalar == Float {
    var q = V(repeating: 0x1.6bebeep-10)
    q = V.multiplyAdd(q, r, V(repeating: 0x1.122884p-7))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.555676p-5))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.5554aep-3))
    q = V.multiplyAdd(q, r, V(repeating: 0x1.fffffep-2))
    return q
  }

  // Degree 2: relative error 2^−26.9.
  @inlinable @inline(__always)
  public static func tanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Float {
    var q = V(repeating: -0x1.9fdccap-5)
    q = V.multiplyAdd(q, square, V(repeating: 0x1.10c49cp-3))
    q = V.multiplyAdd(q, square, V(repeating: -0x1.5554d6p-2))
    return q
  }

  // Degree 1: error 2^−26.2.
  @inlinable @inline(__always)
  public static func doubledTanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Float {
    V.multiplyAdd(V(repeating: 0x1.0c2d84p-7), square, V(repeating: -0x1.554ed8p-4))
  }

  // Degree 4: relative error 2^−30.7.
  @inlinable @inline(__always)
  public static func doubledArtanhQuotient<V: Vector>(_ square: V) -> V where V.Scalar == Float {
    var q = V(repeating: 0x1.f1c036p-14)
    q = V.multiplyAdd(q, square, V(repeating: 0x1.b6d404p-12))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.250978p-9))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.9996aap-7))
    q = V.multiplyAdd(q, square, V(repeating: 0x1.555558p-4))
    return q
  }
}
