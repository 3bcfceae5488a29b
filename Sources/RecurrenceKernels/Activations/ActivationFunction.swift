/// A function applied to every element, with the derivative that backpropagation needs.
///
/// Conforming types are small values; their methods are inlined into the loop that calls them and must not branch on
/// the lanes. Lane i of a result depends on lane i of the arguments alone.
///
/// The derivative may use the argument x, the value y = f(x), or both, whichever is exact and cheap. A cell that keeps
/// only y can use every function whose `derivativeUsesOnlyValue` is true, passing y for x as well.
public protocol ActivationFunction: Sendable {
  /// f(x).
  func value<V: Vector>(_ x: V) -> V
  /// f′(x), with y = f(x) as `value` returned it.
  func derivative<V: Vector>(at x: V, value y: V) -> V
  /// Whether `derivative` ignores x.
  static var derivativeUsesOnlyValue: Bool { get }
}

// The smooth functions. Greatest error of `value` in ulps of the result, subnormal results included: over all finite
// floats, and on 10⁶ doubles that favour the neighbourhood of zero, of reduction seams, and of the limits. "Fused" is
// every instruction set with a fused multiply-add.
//
//                    Float             Double
//                    fused    other    fused    other
//   exp              0.92     1.21     0.92     1.17
//   tanh             1.41     1.49     1.46     1.46
//   sigmoid          1.62     1.65     1.40     1.45
//   softplus         1.86     1.86     1.60     1.60
//   ELU, α = 1       0.95     1.07     1.14     1.10
//   softsign         1.50     1.50     1.49     1.49
//
// Neighbouring floats are never out of order by more than one ulp: not at all for tanh and ELU. NaN gives NaN.

/// f(x) = x, f′ = 1.
public struct Identity: ActivationFunction {
  @inlinable public init() {}
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always) public func value<V: Vector>(_ x: V) -> V { x }
  @inlinable @inline(__always) public func derivative<V: Vector>(at x: V, value y: V) -> V { V(repeating: 1) }
}

/// f(x) = e^x, f′ = y.
public struct Exponential: ActivationFunction {
  @inlinable public init() {}
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always) public func value<V: Vector>(_ x: V) -> V { V.exp(x) }
  @inlinable @inline(__always) public func derivative<V: Vector>(at x: V, value y: V) -> V { y }
}

/// f(x) = tanh x, f′ = 1 − y².
///
/// f′ ≥ 0 always, since |y| ≤ 1. −0 stays −0.
public struct Tanh: ActivationFunction {
  @inlinable public init() {}
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always) public func value<V: Vector>(_ x: V) -> V { V.tanh(x) }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V { V.negatedMultiplyAdd(y, y, V(repeating: 1)) }
}

/// f(x) = 1 / (1 + e^−x), f′ = y·(1 − y).
///
/// 0 ≤ f′ ≤ ¼, since 0 ≤ y ≤ 1.
public struct Sigmoid: ActivationFunction {
  @inlinable public init() {}
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always) public func value<V: Vector>(_ x: V) -> V { V.sigmoid(x) }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V { y * (V(repeating: 1) - y) }
}

/// f(x) = ln(1 + e^x), f′ = σ(x) = 1 − e^−y.
///
/// f′ comes from y without loss: −expm1(−y) has the relative accuracy of y, needs no division, and stays in [0, 1].
public struct Softplus: ActivationFunction {
  @inlinable public init() {}
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always) public func value<V: Vector>(_ x: V) -> V { V.softplus(x) }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V { V.zero - V.expm1(atMostZero: y.negated) }
}

/// f(x) = x for x ≥ 0, α·(e^x − 1) for x < 0; f′ = 1 for x > 0, y + α for x ≤ 0.
///
/// At the kink, which exists for α ≠ 1 only, f′(0) = α, as in PyTorch. The sign of x, not of y, chooses the side, so α
/// may have any sign. −0 stays −0.
public struct ELU: ActivationFunction {
  public var alpha: Double
  @inlinable public init(alpha: Double = 1) { self.alpha = alpha }
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { false }
  @inlinable @inline(__always)
  public func value<V: Vector>(_ x: V) -> V {
    V.select(V.isLess(x, V.zero), V(repeating: V.Scalar(alpha)) * V.expm1(atMostZero: x), x)
  }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V {
    V.select(V.isLess(V.zero, x), V(repeating: 1), y + V(repeating: V.Scalar(alpha)))
  }
}

/// f(x) = x / (1 + |x|), f′ = (1 − |y|)².
///
/// |y| ≤ 1; softsign(±∞) = ±1, −0 stays −0. As with tanh, f′ from y is exact to an ulp of 1, not of itself, where y is
/// close to ±1.
public struct Softsign: ActivationFunction {
  @inlinable public init() {}
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always)
  public func value<V: Vector>(_ x: V) -> V {
    // From 1 on, as 1 − 1/(1 + a): there a/(1 + a) would carry the whole rounding of 1 + a, and step back by two ulp
    // at 2²⁴. No case divides ∞ by ∞.
    let one = V(repeating: 1)
    let a = x.magnitude
    let small = V.isLess(a, one)
    let quotient = V.select(small, a, V(repeating: -1)) / (a + one)
    return (V.select(small, V.zero, one) + quotient).withSign(of: x)
  }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V {
    let d = V(repeating: 1) - y.magnitude
    return d * d
  }
}
