/// A value and its derivative in one direction: a + a′ε, ε² = 0.
///
/// The equations of a cell, run on dual numbers, give the exact directional derivative beside the value. The value's
/// bits are those of the equations run on `V` itself.
@frozen public struct Dual<V: PointwiseValue>: PointwiseValue {
  public var value: V
  /// The derivative in the direction that the inputs' tangents span.
  public var tangent: V

  @inlinable @inline(__always)
  public init(_ value: V, tangent: V) {
    self.value = value
    self.tangent = tangent
  }

  /// A constant: its tangent is zero.
  @inlinable @inline(__always) public init(_ value: Double) { self.init(V(value), tangent: 0) }

  @inlinable @inline(__always)
  public static func + (a: Self, b: Self) -> Self { Self(a.value + b.value, tangent: a.tangent + b.tangent) }
  @inlinable @inline(__always)
  public static func - (a: Self, b: Self) -> Self { Self(a.value - b.value, tangent: a.tangent - b.tangent) }
  @inlinable @inline(__always)
  public static func * (a: Self, b: Self) -> Self {
    Self(a.value * b.value, tangent: V.multiplyAdd(a.tangent, b.value, a.value * b.tangent))
  }
  @inlinable @inline(__always)
  public static func / (a: Self, b: Self) -> Self {
    let quotient = a.value / b.value
    return Self(quotient, tangent: (a.tangent - quotient * b.tangent) / b.value)
  }
  @inlinable @inline(__always)
  public static prefix func - (a: Self) -> Self { Self(-a.value, tangent: -a.tangent) }

  @inlinable @inline(__always)
  public static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self {
    Self(
      V.multiplyAdd(a.value, b.value, c.value),
      tangent: V.multiplyAdd(a.tangent, b.value, V.multiplyAdd(a.value, b.tangent, c.tangent)))
  }

  @inlinable @inline(__always)
  public func applying(_ activation: Activation) -> Self {
    let y = value.applying(activation)
    return Self(y, tangent: tangent * value.derivative(of: activation, value: y))
  }

  /// Traps: the derivative of a derivative is not defined here.
  public func derivative(of activation: Activation, value: Self) -> Self {
    fatalError("dual numbers carry first derivatives only")
  }

  @inlinable @inline(__always)
  public static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self {
    Self(
      V.select(where: a.value, isLessThan: b.value, then: x.value, else: y.value),
      tangent: V.select(where: a.value, isLessThan: b.value, then: x.tangent, else: y.tangent))
  }
}
