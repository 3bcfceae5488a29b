// The piecewise linear functions.
//
// They have no error but the rounding of one product and sum: none for ReLU and hard tanh, ½ ulp for leaky ReLU. Hard
// sigmoid is slope·(x + offset/slope), 1½ ulp where offset/slope is a number of the scalar type.
//
// Slopes, offsets and limits are rounded to the scalar type first.
//
// NaN gives NaN. A derivative at NaN is some finite number: the gradient that it multiplies is NaN already.
//
// At a kink the derivative is the one-sided derivative that is smaller in magnitude (for slopes within [0, 1]), which is
// also what PyTorch returns. All derivatives but the leaky ReLU's use only y.

/// f(x) = max(x, 0), f′ = 1 for y > 0, else 0. −0 stays −0.
public struct ReLU: ActivationFunction {
  @inlinable public init() {}
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always) public func value<V: Vector>(_ x: V) -> V { V.maximum(x, V.zero) }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V {
    V.select(V.isLess(V.zero, y), V(repeating: 1), V.zero)
  }
}

/// f(x) = x for x ≥ 0, slope·x for x < 0; f′ = 1 for x > 0, else the slope. −0 stays −0.
///
/// The slope may have any sign, so x and not y chooses the side.
public struct LeakyReLU: ActivationFunction {
  public var slope: Double
  @inlinable public init(slope: Double = 0.01) { self.slope = slope }
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { false }
  @inlinable @inline(__always)
  public func value<V: Vector>(_ x: V) -> V {
    V.select(V.isLess(x, V.zero), V(repeating: V.Scalar(slope)) * x, x)
  }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V {
    V.select(V.isLess(V.zero, x), V(repeating: 1), V(repeating: V.Scalar(slope)))
  }
}

/// f(x) = slope·x + offset, limited to [0, 1]; f′ = slope for 0 < y < 1, else 0.
///
/// The default, x/6 + ½, is that of PyTorch and Keras 3. ONNX and Keras 2 use 0.2 and 0.5.
public struct HardSigmoid: ActivationFunction {
  public var slope: Double
  public var offset: Double
  @inlinable public init(slope: Double = 1 / 6, offset: Double = 0.5) {
    self.slope = slope
    self.offset = offset
  }
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always)
  public func value<V: Vector>(_ x: V) -> V {
    // Not slope·x + offset, which cancels near its root: x + offset/slope is exact there when offset/slope is (3 or 2.5).
    // Where that quotient is large the slope is too small for a root to matter. The condition is the same in every
    // iteration, and leaves the loop. So does the division, and the choice of a function with it: parameters of any function
    // may be divided here, which must raise no flag, since some processors take 60 ns for one. Hence no division by
    // zero, and no quotient that is too large to be rounded; 2⁻⁹⁰⁰ is lost in a slope that counts.
    let limit = 0x1p100
    let root = V.Scalar(min(max(offset / (slope + 0x1p-900), -limit), limit))
    let line =
      slope.magnitude >= 0x1p-800 && root.magnitude < V.Scalar(limit)
      ? V(repeating: V.Scalar(slope)) * (x + V(repeating: root))
      : V.multiplyAdd(x, V(repeating: V.Scalar(slope)), V(repeating: V.Scalar(offset)))
    return V.minimum(V.maximum(line, V.zero), V(repeating: 1))
  }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V {
    let inside = V.select(V.isLess(y, V(repeating: 1)), V(repeating: V.Scalar(slope)), V.zero)
    return V.select(V.isLess(V.zero, y), inside, V.zero)
  }
}

/// f(x) = x, limited to [minimum, maximum]; f′ = 1 for minimum < y < maximum, else 0. minimum ≤ maximum.
public struct HardTanh: ActivationFunction {
  public var minimum: Double
  public var maximum: Double
  @inlinable public init(minimum: Double = -1, maximum: Double = 1) {
    self.minimum = minimum
    self.maximum = maximum
  }
  @inlinable @inline(__always) public static var derivativeUsesOnlyValue: Bool { true }
  @inlinable @inline(__always)
  public func value<V: Vector>(_ x: V) -> V {
    V.minimum(V.maximum(x, V(repeating: V.Scalar(minimum))), V(repeating: V.Scalar(maximum)))
  }
  @inlinable @inline(__always)
  public func derivative<V: Vector>(at x: V, value y: V) -> V {
    let below = V.select(V.isLess(y, V(repeating: V.Scalar(maximum))), V(repeating: 1), V.zero)
    return V.select(V.isLess(V(repeating: V.Scalar(minimum)), y), below, V.zero)
  }
}
