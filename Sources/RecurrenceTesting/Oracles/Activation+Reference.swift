import Foundation
import Recurrence

extension Activation {
  /// f, f′ and f″ at one point, from the C library in Double. At a kink the slope is the one `Activation` documents.
  package struct Reference {
    package let value, slope, curvature: Double
    /// How far f′, computed in a scalar type of unit rounding u from the rounded f, may be from f′: this times u.
    package let slopeError: Double
  }

  package func reference(at x: Double) -> Reference {
    switch self {
    case .exponential:
      let y = Foundation.exp(x)
      return Reference(value: y, slope: y, curvature: y, slopeError: 4 * y)
    case .tanh:
      let y = Foundation.tanh(x)
      let slope = Self.squaredSecant(x)
      // 1 − y²: what rounding y costs does not shrink with the slope.
      return Reference(value: y, slope: slope, curvature: -2 * y * slope, slopeError: 8 * y * y + 2)
    case .sigmoid:
      let y = Self.logistic(x)
      let slope = y * Self.logistic(-x)
      return Reference(value: y, slope: slope, curvature: slope * (1 - 2 * y), slopeError: 8 * y)
    case .softplus:
      let slope = Self.logistic(x)
      let value = max(x, 0) + Foundation.log1p(Foundation.exp(-abs(x)))
      return Reference(value: value, slope: slope, curvature: slope * (1 - slope), slopeError: 8 * slope)
    case .relu: return .linear(x > 0 ? x : 0, slope: x > 0 ? 1 : 0)
    case .leakyReLU(let slope): return .linear(x < 0 ? slope * x : x, slope: x > 0 ? 1 : slope)
    case .elu(let alpha):
      if x > 0 { return .linear(x, slope: 1) }
      let y = alpha * Foundation.expm1(x)
      return Reference(value: y, slope: y + alpha, curvature: y + alpha, slopeError: 4 * abs(y) + 2 * abs(alpha))
    case .softsign:
      let d = 1 / (1 + abs(x))
      return Reference(value: x * d, slope: d * d, curvature: -2 * d * d * d * (x < 0 ? -1 : 1), slopeError: 10 * d)
    case .hardSigmoid(let slope, let offset):
      let y = slope * x + offset
      return y > 0 && y < 1 ? .linear(y, slope: slope) : .linear(min(max(y, 0), 1), slope: 0)
    case .hardTanh(let minimum, let maximum):
      return x > minimum && x < maximum ? .linear(x, slope: 1) : .linear(min(max(x, minimum), maximum), slope: 0)
    case .identity: return .linear(x, slope: 1)
    }
  }

  /// Where f′ jumps.
  package var kinks: [Double] {
    switch self {
    case .relu: [0]
    case .leakyReLU(let slope): slope == 1 ? [] : [0]
    case .elu(let alpha): alpha == 1 ? [] : [0]
    case .hardSigmoid(let slope, let offset): slope == 0 ? [] : [-offset / slope, (1 - offset) / slope]
    case .hardTanh(let minimum, let maximum): [minimum, maximum]
    case .exponential, .tanh, .sigmoid, .softplus, .softsign, .identity: []
    }
  }

  /// Where f′ bends: no difference formula may straddle these either.
  package var bends: [Double] {
    switch self {
    case .elu(let alpha): alpha == 1 ? [0] : []
    case .softsign: [0]
    default: []
    }
  }

  private static func logistic(_ x: Double) -> Double {
    // Neither side overflows, and both keep their relative accuracy.
    x < 0 ? Foundation.exp(x) / (1 + Foundation.exp(x)) : 1 / (1 + Foundation.exp(-x))
  }

  /// 1 − tanh²(x) = 4e^−2|x| / (1 + e^−2|x|)², without cancellation.
  private static func squaredSecant(_ x: Double) -> Double {
    let e = Foundation.exp(-2 * abs(x))
    return 4 * e / ((1 + e) * (1 + e))
  }
}

extension Activation.Reference {
  fileprivate static func linear(_ value: Double, slope: Double) -> Self {
    Self(value: value, slope: slope, curvature: 0, slopeError: 0)
  }
}
