/// Activation functions over arrays: one loop for the values, one for the derivatives.
///
/// The bits of an element do not depend on its place in the array. Body and tail run the same operations; the tail's
/// unused lanes hold zeros, and no operation looks across lanes.
///
/// Buffers hold `count` scalars, count ≥ 0, and need no alignment. An output may be the same buffer as an input; other
/// overlaps are not allowed, because a vector is read whole before it is written.
public enum ActivationKernel<V: Vector> {
  /// output[i] = f(input[i]), 0 ≤ i < count.
  @inlinable @inline(__always)
  public static func map<F: ActivationFunction>(
    _ function: F, _ input: UnsafePointer<V.Scalar>, _ output: UnsafeMutablePointer<V.Scalar>, count: Int
  ) {
    var i = 0
    // No unrolling: an iteration of some 25 instructions is small beside the reorder window, which overlaps the long
    // dependency chains of neighbouring iterations by itself.
    while i &+ V.lanes <= count {
      unsafe function.value(V.load(input + i)).store(output + i)
      i &+= V.lanes
    }
    if i < count {
      unsafe function.value(V.load(input + i, count: count &- i)).store(output + i, count: count &- i)
    }
  }

  /// output[i] = f′(x[i]) where y[i] = f(x[i]), 0 ≤ i < count.
  @inlinable @inline(__always)
  public static func mapDerivative<F: ActivationFunction>(
    _ function: F, at x: UnsafePointer<V.Scalar>, value y: UnsafePointer<V.Scalar>,
    _ output: UnsafeMutablePointer<V.Scalar>, count: Int
  ) {
    var i = 0
    while i &+ V.lanes <= count {
      unsafe function.derivative(at: V.load(x + i), value: V.load(y + i)).store(output + i)
      i &+= V.lanes
    }
    if i < count {
      let rest = count &- i
      unsafe function.derivative(at: V.load(x + i, count: rest), value: V.load(y + i, count: rest))
        .store(output + i, count: rest)
    }
  }

  /// The same, for a function chosen at run time. The choice is made once, outside the loop.
  @inlinable @inline(__always)
  public static func map(
    _ activation: Activation, _ input: UnsafePointer<V.Scalar>, _ output: UnsafeMutablePointer<V.Scalar>, count: Int
  ) {
    checkCount(count)
    switch activation {
    case .exponential: unsafe map(Exponential(), input, output, count: count)
    case .tanh: unsafe map(Tanh(), input, output, count: count)
    case .sigmoid: unsafe map(Sigmoid(), input, output, count: count)
    case .softplus: unsafe map(Softplus(), input, output, count: count)
    case .relu: unsafe map(ReLU(), input, output, count: count)
    case .leakyReLU(let slope): unsafe map(LeakyReLU(slope: slope), input, output, count: count)
    case .elu(let alpha): unsafe map(ELU(alpha: alpha), input, output, count: count)
    case .softsign: unsafe map(Softsign(), input, output, count: count)
    case .hardSigmoid(let slope, let offset):
      unsafe map(HardSigmoid(slope: slope, offset: offset), input, output, count: count)
    case .hardTanh(let minimum, let maximum):
      unsafe map(HardTanh(minimum: minimum, maximum: maximum), input, output, count: count)
    case .identity: unsafe map(Identity(), input, output, count: count)
    }
  }

  /// The same, for a function chosen at run time.
  @inlinable @inline(__always)
  public static func mapDerivative(
    _ activation: Activation, at x: UnsafePointer<V.Scalar>, value y: UnsafePointer<V.Scalar>,
    _ output: UnsafeMutablePointer<V.Scalar>, count: Int
  ) {
    checkCount(count)
    switch activation {
    case .exponential: unsafe mapDerivative(Exponential(), at: x, value: y, output, count: count)
    case .tanh: unsafe mapDerivative(Tanh(), at: x, value: y, output, count: count)
    case .sigmoid: unsafe mapDerivative(Sigmoid(), at: x, value: y, output, count: count)
    case .softplus: unsafe mapDerivative(Softplus(), at: x, value: y, output, count: count)
    case .relu: unsafe mapDerivative(ReLU(), at: x, value: y, output, count: count)
    case .leakyReLU(let slope): unsafe mapDerivative(LeakyReLU(slope: slope), at: x, value: y, output, count: count)
    case .elu(let alpha): unsafe mapDerivative(ELU(alpha: alpha), at: x, value: y, output, count: count)
    case .softsign: unsafe mapDerivative(Softsign(), at: x, value: y, output, count: count)
    case .hardSigmoid(let slope, let offset):
      unsafe mapDerivative(HardSigmoid(slope: slope, offset: offset), at: x, value: y, output, count: count)
    case .hardTanh(let minimum, let maximum):
      unsafe mapDerivative(HardTanh(minimum: minimum, maximum: maximum), at: x, value: y, output, count: count)
    case .identity: unsafe mapDerivative(Identity(), at: x, value: y, output, count: count)
    }
  }
}
