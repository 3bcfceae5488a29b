// Loops whose rate is a limit of the machine: what the benchmarks divide by.

@frozen public enum MeasurementKernel<V: Vector> {
  public typealias Scalar = V.Scalar

  /// Multiply-adds in one iteration of `peak`, each two floating-point operations per lane.
  @inlinable public static var peakChains: Int { 12 }

  /// Runs `iterations` times twelve independent multiply-adds, more than two pipes of latency 4 or 5 need, and returns
  /// a value that depends on all of them: with x ← x·m + b the result tends to 12·lanes·b/(1 − m).
  @inlinable @inline(__always)
  public static func peak(iterations: Int, multiplier: Scalar, addend: Scalar) -> Scalar {
    let m = V(repeating: multiplier)
    let b = V(repeating: addend)
    var x = InlineArray<12, V>(repeating: .zero)
    var n = iterations
    while n > 0 {
      for i in 0..<12 { x[i] = V.multiplyAdd(x[i], m, b) }
      n &-= 1
    }
    var total = x[0]
    for i in 1..<12 { total = total + x[i] }
    return total.sum()
  }

  /// Reads `count` scalars (whole groups of eight vectors; the rest is left out) and returns their sum.
  @inlinable @inline(__always)
  public static func read(_ source: UnsafePointer<Scalar>, count: Int) -> Scalar {
    var x = InlineArray<8, V>(repeating: .zero)
    var p = unsafe source
    var n = count / (8 &* V.lanes)
    while n > 0 {
      for i in 0..<8 { x[i] = unsafe x[i] + V.load(p + i &* V.lanes) }
      unsafe p += 8 &* V.lanes
      n &-= 1
    }
    var total = x[0]
    for i in 1..<8 { total = total + x[i] }
    return total.sum()
  }
}
