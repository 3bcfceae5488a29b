/// Reductions and changes of a whole gradient.
public enum GradientKernel<V: Vector> {
  public typealias Scalar = V.Scalar

  /// Σ (x[i] · factor)², in Double, in the same order on every instruction set.
  ///
  /// Element i belongs to chain i mod 8. Squares and sums of finite Floats neither overflow nor underflow in Double; of
  /// Doubles they do unless `factor`, a power of two, brings them near 1.
  @inlinable @inline(__always)
  public static func sumOfSquares(_ x: UnsafePointer<Scalar>, count: Int, factor: Double) -> Double {
    // Plain multiplications and additions: a fused one would round otherwise on instruction sets that lack it.
    var (s0, s1, s2, s3, s4, s5, s6, s7) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    var i = 0
    while i + 8 <= count {
      let (a, b) = unsafe (x[i].asDouble * factor, x[i + 1].asDouble * factor)
      let (c, d) = unsafe (x[i + 2].asDouble * factor, x[i + 3].asDouble * factor)
      let (e, f) = unsafe (x[i + 4].asDouble * factor, x[i + 5].asDouble * factor)
      let (g, h) = unsafe (x[i + 6].asDouble * factor, x[i + 7].asDouble * factor)
      s0 += a * a
      s1 += b * b
      s2 += c * c
      s3 += d * d
      s4 += e * e
      s5 += f * f
      s6 += g * g
      s7 += h * h
      i += 8
    }
    while i < count {
      let a = unsafe x[i].asDouble * factor
      s0 += a * a
      i += 1
    }
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
  }

  /// The largest |x[i]|, NaN where one is NaN; 0 of nothing.
  @inlinable @inline(__always)
  public static func largestMagnitude(_ x: UnsafePointer<Scalar>, count: Int) -> Scalar {
    var largest: Scalar = 0
    var i = 0
    while i < count {
      let magnitude = unsafe x[i].magnitude
      if !(magnitude <= largest) { largest = magnitude }
      if largest.isNaN { return largest }
      i += 1
    }
    return largest
  }

  /// x[i] ← factor · x[i].
  @inlinable @inline(__always)
  public static func scale(_ x: UnsafeMutablePointer<Scalar>, count: Int, by factor: Scalar) {
    let factor = V(repeating: factor)
    var i = 0
    while i + V.lanes <= count {
      unsafe (V.load(x + i) * factor).store(x + i)
      i += V.lanes
    }
    if i < count { unsafe (V.load(x + i, count: count - i) * factor).store(x + i, count: count - i) }
  }

  /// x[i] ← min(max(x[i], lower), upper); NaN stays. Returns how many elements it changed.
  @inlinable @inline(__always)
  public static func clamp(_ x: UnsafeMutablePointer<Scalar>, count: Int, _ lower: Scalar, _ upper: Scalar) -> Int {
    let (low, high, one) = (V(repeating: lower), V(repeating: upper), V(repeating: 1))
    var changed = V.zero
    var i = 0
    while i + V.lanes <= count {
      let value = unsafe V.load(x + i)
      changed = V.select(V.isLess(value, low), changed + one, changed)
      changed = V.select(V.isLess(high, value), changed + one, changed)
      unsafe V.minimum(V.maximum(value, low), high).store(x + i)
      i += V.lanes
    }
    var total = Int(changed.sum().asDouble)
    while i < count {
      let value = unsafe x[i]
      if value < lower || value > upper {
        unsafe x[i] = value < lower ? lower : upper
        total += 1
      }
      i += 1
    }
    return total
  }

  /// table[rows[n], :] += x[n, :], n descending.
  ///
  /// - Parameter rows: as many as x has rows, each from 0 to those of the table; not checked.
  @inlinable @inline(__always)
  public static func addRows(
    _ x: MatrixView<Scalar>, _ rows: UnsafePointer<Int32>, to table: MutableMatrixView<Scalar>
  ) {
    unsafe checkEqual(table.columns, x.columns, "columns of the table", "columns of x")
    let columns = unsafe x.columns
    var n = unsafe x.rows
    while n > 0 {
      n -= 1
      let source = unsafe x.pointer(row: n, column: 0)
      let target = unsafe table.pointer(row: Int(rows[n]), column: 0)
      var j = 0
      while j + V.lanes <= columns {
        unsafe (V.load(target + j) + V.load(source + j)).store(target + j)
        j += V.lanes
      }
      if j < columns {
        let rest = columns - j
        unsafe (V.load(target + j, count: rest) + V.load(source + j, count: rest)).store(target + j, count: rest)
      }
    }
  }
}
