import Foundation
import Recurrence

/// A number that the naive driver can run a network over.
public protocol OracleNumber: PointwiseValue {
  /// bias + Σ weights[k]·x[k].
  static func affine(_ bias: Self, _ weights: ArraySlice<Self>, _ x: [Self]) -> Self
  /// The same value, with nothing to differentiate: a constant.
  var detached: Self { get }
}

extension OracleNumber {
  public static func affine(_ bias: Self, _ weights: ArraySlice<Self>, _ x: [Self]) -> Self {
    var sum = bias
    for k in x.indices { sum = sum + weights[weights.startIndex + k] * x[k] }
    return sum
  }
}

/// A Double with the C library's functions: it shares nothing with the kernels.
public struct PlainNumber: OracleNumber, Hashable, Sendable {
  public var value: Double

  public init(_ value: Double) { self.value = value }
  public static func + (a: Self, b: Self) -> Self { Self(a.value + b.value) }
  public static func - (a: Self, b: Self) -> Self { Self(a.value - b.value) }
  public static func * (a: Self, b: Self) -> Self { Self(a.value * b.value) }
  public static func / (a: Self, b: Self) -> Self { Self(a.value / b.value) }
  public static prefix func - (a: Self) -> Self { Self(-a.value) }
  public static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { Self(a.value * b.value + c.value) }
  public static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self {
    a.value < b.value ? x : y
  }
  public func applying(_ activation: Activation) -> Self { Self(activation.reference(at: value).value) }
  /// f′ from the value where `Activation` takes it from there, so that a cell may pass its output for the argument.
  public func derivative(of activation: Activation, value y: Self) -> Self {
    switch activation {
    case .exponential: y
    case .tanh: Self(1 - y.value * y.value)
    case .sigmoid: Self(y.value * (1 - y.value))
    case .softplus: Self(-Foundation.expm1(-y.value))
    case .softsign: Self((1 - abs(y.value)) * (1 - abs(y.value)))
    case .relu: Self(y.value > 0 ? 1 : 0)
    case .hardSigmoid(let slope, _): Self(y.value > 0 && y.value < 1 ? slope : 0)
    case .hardTanh(let minimum, let maximum): Self(y.value > minimum && y.value < maximum ? 1 : 0)
    case .leakyReLU, .elu, .identity: Self(activation.reference(at: value).slope)
    }
  }
  public var detached: Self { self }
}

/// Forward mode: the derivative in one direction, J v.
extension Dual: OracleNumber where V == PlainNumber {
  public var detached: Self { Self(value, tangent: 0) }
}
