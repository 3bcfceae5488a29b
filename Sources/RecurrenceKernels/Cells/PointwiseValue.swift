/// A number, or many at once, that the mathematics of a cell is written over.
///
/// A cell's equations are written once, generically over this protocol. Run on SIMD vectors they are the kernel; on dual
/// numbers, the exact forward-mode derivative; on recorded values, a small program that the kernels of every
/// instruction set replay, forwards for the values and backwards for the gradient.
///
/// Every operation acts on each lane alone. Literals stand for themselves in all lanes: `1 - z`.
public protocol PointwiseValue: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral
where IntegerLiteralType == Int, FloatLiteralType == Double {
  /// All lanes equal to `value`, rounded to the element type.
  init(_ value: Double)

  static func + (a: Self, b: Self) -> Self
  static func - (a: Self, b: Self) -> Self
  static func * (a: Self, b: Self) -> Self
  static func / (a: Self, b: Self) -> Self
  static prefix func - (a: Self) -> Self
  /// a·b + c, rounded once where the processor has a fused multiply-add.
  static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self

  /// f(self), f being the activation. Accuracy: Docs/Accuracy.md.
  func applying(_ activation: Activation) -> Self
  /// f′(self), where `value` is `applying(activation)`.
  func derivative(of activation: Activation, value: Self) -> Self

  /// a < b ? x : y, lane by lane; y where either of a and b is NaN. Derivatives flow through the side chosen; a derived
  /// backward multiplies those of the other side by zero, so they must be finite: 1 / a behind a test for a ≠ 0 is not,
  /// 1 / maximum(a, 1e-3) is.
  static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self
}

extension PointwiseValue {
  @inlinable @inline(__always) public init(integerLiteral value: Int) { self.init(Double(value)) }
  @inlinable @inline(__always) public init(floatLiteral value: Double) { self.init(value) }
}

// The functions that cells are written with.

/// e^x.
@inlinable @inline(__always) public func exp<V: PointwiseValue>(_ x: V) -> V { x.applying(.exponential) }
/// tanh x, within [−1, 1].
@inlinable @inline(__always) public func tanh<V: PointwiseValue>(_ x: V) -> V { x.applying(.tanh) }
/// 1 / (1 + e^−x), within [0, 1].
@inlinable @inline(__always) public func sigmoid<V: PointwiseValue>(_ x: V) -> V { x.applying(.sigmoid) }
/// ln(1 + e^x).
@inlinable @inline(__always) public func softplus<V: PointwiseValue>(_ x: V) -> V { x.applying(.softplus) }
/// max(x, 0).
@inlinable @inline(__always) public func relu<V: PointwiseValue>(_ x: V) -> V { x.applying(.relu) }
/// b < a ? b : a.
@inlinable @inline(__always) public func minimum<V: PointwiseValue>(_ a: V, _ b: V) -> V {
  V.select(where: b, isLessThan: a, then: b, else: a)
}
/// a < b ? b : a.
@inlinable @inline(__always) public func maximum<V: PointwiseValue>(_ a: V, _ b: V) -> V {
  V.select(where: a, isLessThan: b, then: b, else: a)
}

/// A function of one number that a cell can take as its activation. `Activation` holds those of the library.
public protocol PointwiseFunction: Sendable {
  func callAsFunction<V: PointwiseValue>(_ x: V) -> V
}

extension Activation: PointwiseFunction {
  @inlinable @inline(__always) public func callAsFunction<V: PointwiseValue>(_ x: V) -> V { x.applying(self) }
}
