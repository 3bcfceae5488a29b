// Of a row x of outputs (logits), K long, with weight w and the common factor s (one over the sum of all weights):
//
//   softmax cross-entropy, class k     loss = w · (ln Σ e^{x_j − max} + max − x_k)      gradient = w s (softmax(x)_j − [j = k])
//   binary cross-entropy, targets y    loss = w · mean(softplus(x_j) − x_j y_j)         gradient = w s (σ(x_j) − y_j) / K
//   mean squared error, targets y      loss = w · mean((x_j − y_j)²)                    gradient = w s · 2 (x_j − y_j) / K
//
// None of them forms a logarithm of a probability, so none overflows for any finite logit.

/// What a loss compares outputs with.
@frozen @unsafe public enum LossTargets<Scalar: KernelScalar> {
  /// [N], each from 0 to K − 1: softmax cross-entropy.
  case classes(UnsafePointer<Int32>)
  /// [N, K], each from 0 to 1: binary cross-entropy of each output.
  case probabilities(UnsafePointer<Scalar>)
  /// [N, K]: mean squared error.
  case values(UnsafePointer<Scalar>)
}

/// The operands of a loss over N rows of K outputs.
@frozen @unsafe public struct LossOperands<Scalar: KernelScalar> {
  /// In, [N, K].
  public var outputs: UnsafePointer<Scalar>
  public var targets: LossTargets<Scalar>
  /// In, [N], not negative; nil for 1 everywhere. A row of weight 0 is not read.
  public var weights: UnsafePointer<Scalar>?
  /// Out, [N]: for classes Σ e^{x_j − max}, otherwise the row's loss before its weight.
  public var sums: UnsafeMutablePointer<Double>
  /// Out, [N]: for classes max − x_k, otherwise 0.
  public var shifts: UnsafeMutablePointer<Double>
  /// Out, [N, K]: ∂(mean loss)/∂outputs. Does not overlap the outputs.
  public var gradient: UnsafeMutablePointer<Scalar>
  /// K.
  public var columns: Int
  /// s.
  public var scale: Scalar

  @inlinable
  public init(
    outputs: UnsafePointer<Scalar>, targets: LossTargets<Scalar>, weights: UnsafePointer<Scalar>?,
    sums: UnsafeMutablePointer<Double>, shifts: UnsafeMutablePointer<Double>, gradient: UnsafeMutablePointer<Scalar>,
    columns: Int, scale: Scalar
  ) {
    unsafe self.outputs = outputs
    unsafe self.targets = targets
    unsafe self.weights = weights
    unsafe self.sums = sums
    unsafe self.shifts = shifts
    unsafe self.gradient = gradient
    unsafe self.columns = columns
    unsafe self.scale = scale
  }
}

/// Losses and their gradients, row by row: the bits of a row depend on no other row.
public enum LossKernel<V: Vector> {
  public typealias Scalar = V.Scalar

  @inlinable @inline(__always)
  public static func run(_ call: LossOperands<Scalar>, rows: Range<Int>) {
    var row = rows.lowerBound
    while row < rows.upperBound {
      let weight = if let weights = unsafe call.weights { unsafe weights[row] } else { 1 as Scalar }
      let start = unsafe row * call.columns
      let gradient = unsafe call.gradient + start
      unsafe call.shifts[row] = 0
      if weight == 0 {
        unsafe call.sums[row] = 0
        unsafe gradient.update(repeating: 0, count: call.columns)
      } else {
        let x = unsafe call.outputs + start
        switch unsafe call.targets {
        case .classes(let classes):
          unsafe softmax(call, x, classes[row], gradient, row: row, factor: weight * call.scale)
        case .probabilities(let y):
          let factor = unsafe weight * call.scale / Scalar(call.columns)
          unsafe call.sums[row] =
            binary(x, y + start, gradient, columns: call.columns, factor: factor) / Double(call.columns)
        case .values(let y):
          let factor = unsafe weight * call.scale / Scalar(call.columns)
          unsafe call.sums[row] =
            squares(x, y + start, gradient, columns: call.columns, factor: factor) / Double(call.columns)
        }
      }
      row += 1
    }
  }

  @inlinable @inline(__always)
  static func softmax(
    _ call: LossOperands<Scalar>, _ x: UnsafePointer<Scalar>, _ target: Int32,
    _ gradient: UnsafeMutablePointer<Scalar>, row: Int, factor: Scalar
  ) {
    let columns = unsafe call.columns
    let largest = unsafe maximum(x, columns)
    let shift = V(repeating: largest)
    var total = V.zero
    var j = 0
    while j + V.lanes <= columns {
      let e = unsafe exp(V.load(x + j) - shift)
      unsafe e.store(gradient + j)
      total = total + e
      j += V.lanes
    }
    if j < columns {
      unsafe exp(V.load(x + j, count: columns - j) - shift).store(gradient + j, count: columns - j)
      // Read again: the lanes beyond are zero now.
      total = unsafe total + V.load(gradient + j, count: columns - j)
    }
    let sum = total.sum()
    unsafe call.sums[row] = sum.asDouble
    unsafe call.shifts[row] = largest.asDouble - x[Int(target)].asDouble
    unsafe GradientKernel<V>.scale(gradient, count: columns, by: factor / sum)
    unsafe gradient[Int(target)] -= factor
  }

  @inlinable @inline(__always)
  static func maximum(_ x: UnsafePointer<Scalar>, _ count: Int) -> Scalar {
    var largest = unsafe x[0]
    var j = 0
    if count >= V.lanes {
      var vector = unsafe V.load(x)
      j = V.lanes
      while j + V.lanes <= count {
        vector = unsafe V.maximum(vector, V.load(x + j))
        j += V.lanes
      }
      largest = vector.maximum()
    }
    while j < count {
      if unsafe x[j] > largest { largest = unsafe x[j] }
      j += 1
    }
    return largest
  }

  @inlinable @inline(__always)
  static func binary(
    _ x: UnsafePointer<Scalar>, _ y: UnsafePointer<Scalar>, _ gradient: UnsafeMutablePointer<Scalar>, columns: Int,
    factor: Scalar
  ) -> Double {
    let factor = V(repeating: factor)
    var total = V.zero
    var j = 0
    while j + V.lanes <= columns {
      let (a, b) = unsafe (V.load(x + j), V.load(y + j))
      total = total + binaryLoss(a, b)
      unsafe ((sigmoid(a) - b) * factor).store(gradient + j)
      j += V.lanes
    }
    if j < columns {
      let rest = columns - j
      let (a, b) = unsafe (V.load(x + j, count: rest), V.load(y + j, count: rest))
      // Through memory, because the loss of the lanes beyond is not zero.
      unsafe binaryLoss(a, b).store(gradient + j, count: rest)
      total = unsafe total + V.load(gradient + j, count: rest)
      unsafe ((sigmoid(a) - b) * factor).store(gradient + j, count: rest)
    }
    return total.sum().asDouble
  }

  /// softplus(x) − x y, as max(x, 0) − x y + softplus(−|x|): where x is large and right, the first two cancel exactly, and
  /// what is left is small and has all its bits.
  @inlinable @inline(__always)
  static func binaryLoss(_ x: V, _ y: V) -> V {
    (V.maximum(x, .zero) - x * y) + softplus(x.magnitude.negated)
  }

  @inlinable @inline(__always)
  static func squares(
    _ x: UnsafePointer<Scalar>, _ y: UnsafePointer<Scalar>, _ gradient: UnsafeMutablePointer<Scalar>, columns: Int,
    factor: Scalar
  ) -> Double {
    let factor = V(repeating: 2 * factor)
    var total = V.zero
    var j = 0
    while j + V.lanes <= columns {
      let difference = unsafe V.load(x + j) - V.load(y + j)
      total = V.multiplyAdd(difference, difference, total)
      unsafe (difference * factor).store(gradient + j)
      j += V.lanes
    }
    if j < columns {
      let rest = columns - j
      let difference = unsafe V.load(x + j, count: rest) - V.load(y + j, count: rest)
      total = V.multiplyAdd(difference, difference, total)
      unsafe (difference * factor).store(gradient + j, count: rest)
    }
    return total.sum().asDouble
  }
}
