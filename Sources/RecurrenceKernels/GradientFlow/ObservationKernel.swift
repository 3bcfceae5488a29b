// What a recorder of the gradient flow measures of a matrix [rows, units], one pass over it while it is in cache.
//
// Squares and sums are taken row by row, in an order of their own, and so do not depend on how rows are dealt to threads.
// Counts are whole numbers, exact in any order.

/// A matrix to be measured, and where the results go.
@frozen @unsafe public struct Observation<Scalar: KernelScalar> {
  /// In, [rows, units].
  public var values: UnsafePointer<Scalar>
  public var stride: Int
  /// In, [rows, units]: added to the values element by element, or nil.
  public var addend: UnsafePointer<Scalar>?
  public var addendStride: Int
  public var rows: Int
  public var units: Int
  /// Out, a number a row: Σ x², or nil.
  public var squares: UnsafeMutablePointer<Double>?
  /// Out, a number a row: Σ x, or nil; only where `bounds` are given.
  public var sums: UnsafeMutablePointer<Double>?
  /// `KernelGeometry.observationScratch` scalars, overwritten, where `sums` are asked for.
  public var scratch: UnsafeMutablePointer<Scalar>?
  /// What is counted: x < `lower` and x > `upper`, of |x| where `ofMagnitude`; nil for nothing.
  public var bounds: Bounds?

  @frozen public struct Bounds: Sendable {
    public var lower: Scalar
    public var upper: Scalar
    public var ofMagnitude: Bool

    @inlinable public init(lower: Scalar, upper: Scalar, ofMagnitude: Bool) {
      self.lower = lower
      self.upper = upper
      self.ofMagnitude = ofMagnitude
    }
  }

  @inlinable
  public init(_ values: UnsafePointer<Scalar>, stride: Int, rows: Int, units: Int) {
    unsafe self.values = unsafe values
    unsafe self.stride = stride
    unsafe (addend, addendStride) = (nil, 0)
    unsafe self.rows = rows
    unsafe self.units = units
    unsafe (squares, sums, scratch, bounds) = (nil, nil, nil, nil)
  }
}

/// How many elements lie below and above the bounds.
@frozen public struct ObservedCounts: Sendable {
  public var below: Double
  public var above: Double

  @inlinable public init(below: Double, above: Double) {
    self.below = below
    self.above = above
  }
}

public enum ObservationKernel<V: Vector> {
  public typealias Scalar = V.Scalar

  @inlinable @inline(__always)
  public static func observe(_ observation: Observation<Scalar>) -> ObservedCounts {
    if let squares = unsafe observation.squares {
      for row in unsafe 0..<observation.rows { unsafe squares[row] = sumOfSquares(observation, row) }
    }
    return unsafe count(observation)
  }

  /// Whether every element of [rows, columns] is finite: 0·x is 0 then, and NaN otherwise.
  @inlinable @inline(__always)
  public static func isFinite(_ x: UnsafePointer<Scalar>, stride: Int, rows: Int, columns: Int) -> Bool {
    let zero = V.zero
    var (s0, s1) = (zero, zero)
    for row in 0..<rows {
      let source = unsafe x + row * stride
      var i = 0
      while i + 2 * V.lanes <= columns {
        s0 = unsafe V.multiplyAdd(zero, V.load(source + i), s0)
        s1 = unsafe V.multiplyAdd(zero, V.load(source + i + V.lanes), s1)
        i += 2 * V.lanes
      }
      if i < columns { s0 = unsafe s0 + rest(source + i, columns - i) }
    }
    return (s0 + s1).sum() == 0
  }

  /// 0·x of the last elements of a row.
  @inlinable @inline(never)
  static func rest(_ x: UnsafePointer<Scalar>, _ count: Int) -> V {
    var sum = V.zero
    var i = 0
    while i < count {
      let some = min(V.lanes, count - i)
      sum = unsafe V.multiplyAdd(V.zero, V.load(x + i, count: some), sum)
      i += some
    }
    return sum
  }

  // MARK: Squares

  /// Eight chains, as in `GradientKernel.sumOfSquares`: in Double, where squares of Floats neither overflow nor
  /// underflow.
  @inlinable @inline(__always)
  static func sumOfSquares(_ observation: Observation<Scalar>, _ row: Int) -> Double {
    let x = unsafe observation.values + row * observation.stride
    let count = unsafe observation.units
    guard let addend = unsafe observation.addend else {
      return unsafe GradientKernel<V>.sumOfSquares(x, count: count, factor: 1)
    }
    let y = unsafe addend + row * observation.addendStride
    return unsafe sumOfSquares(x, y, count)
  }

  @inlinable @inline(__always)
  static func sumOfSquares(_ x: UnsafePointer<Scalar>, _ y: UnsafePointer<Scalar>, _ count: Int) -> Double {
    var (s0, s1, s2, s3, s4, s5, s6, s7) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    var i = 0
    while i + 8 <= count {
      let (a, b) = unsafe ((x[i] + y[i]).asDouble, (x[i + 1] + y[i + 1]).asDouble)
      let (c, d) = unsafe ((x[i + 2] + y[i + 2]).asDouble, (x[i + 3] + y[i + 3]).asDouble)
      let (e, f) = unsafe ((x[i + 4] + y[i + 4]).asDouble, (x[i + 5] + y[i + 5]).asDouble)
      let (g, h) = unsafe ((x[i + 6] + y[i + 6]).asDouble, (x[i + 7] + y[i + 7]).asDouble)
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
      let a = unsafe (x[i] + y[i]).asDouble
      s0 += a * a
      i += 1
    }
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
  }

  // MARK: Sums and counts

  @inlinable @inline(never)
  static func count(_ observation: Observation<Scalar>) -> ObservedCounts {
    guard let bounds = unsafe observation.bounds else { return ObservedCounts(below: 0, above: 0) }
    let addend = unsafe observation.addend
    let units = unsafe observation.units
    let (lower, upper, one) = (V(repeating: bounds.lower), V(repeating: bounds.upper), V(repeating: 1))
    // All bits, or all but the sign.
    let kept = bounds.ofMagnitude ? V.bitXor(V.signBit, V(repeatingBits: .max)) : V(repeatingBits: .max)
    var (below, above) = (V.zero, V.zero)
    var last = ObservedCounts(below: 0, above: 0)
    for row in unsafe 0..<observation.rows {
      let x = unsafe observation.values + row * observation.stride
      let y = unsafe addend.map { unsafe $0 + row * observation.addendStride }
      var sum = V.zero
      var u = 0
      while u + V.lanes <= units {
        var value = unsafe V.load(x + u)
        if let y = unsafe y { value = unsafe value + V.load(y + u) }
        let compared = V.bitAnd(value, kept)
        below = V.select(V.isLess(compared, lower), below + one, below)
        above = V.select(V.isLess(upper, compared), above + one, above)
        sum = sum + value
        u += V.lanes
      }
      var rest: Scalar = 0
      if u < units { rest = unsafe countRest(x, y, u..<units, bounds, &last) }
      guard let sums = unsafe observation.sums, let scratch = unsafe observation.scratch else { continue }
      unsafe sums[row] = rest.asDouble
      let place = row % V.lanes
      unsafe sum.store(scratch + place * V.lanes)
      if place == V.lanes - 1 { unsafe addLanes(scratch, to: sums + (row - place), rows: V.lanes) }
    }
    let open = unsafe observation.rows % V.lanes
    if open > 0, let sums = unsafe observation.sums, let scratch = unsafe observation.scratch {
      unsafe addLanes(scratch, to: sums + (observation.rows - open), rows: open)
    }
    return ObservedCounts(
      below: last.below + below.sum().asDouble, above: last.above + above.sum().asDouble)
  }

  /// sums[r] += Σ over the lanes of vector r, of as many vectors as there are lanes: neighbours are added, then sums of
  /// neighbours, and so on. All vectors at once, because one by one a sum over lanes costs more than what led to it.
  @inlinable @inline(never)
  static func addLanes(_ vectors: UnsafeMutablePointer<Scalar>, to sums: UnsafeMutablePointer<Double>, rows: Int) {
    let lanes = V.lanes
    var count = lanes
    while count > 1 {
      count /= 2
      for pair in 0..<count {
        let (a, b) = unsafe (V.load(vectors + 2 * pair * lanes), V.load(vectors + (2 * pair + 1) * lanes))
        let (even, odd) = V.unzip(a, b)
        unsafe (even + odd).store(vectors + pair * lanes)
      }
    }
    for row in 0..<rows { unsafe sums[row] += vectors[row].asDouble }
  }

  /// The last units of a row, fewer than a vector: counts them, and returns their sum.
  @inlinable @inline(never)
  static func countRest(
    _ x: UnsafePointer<Scalar>, _ y: UnsafePointer<Scalar>?, _ units: Range<Int>, _ bounds: Observation<Scalar>.Bounds,
    _ counts: inout ObservedCounts
  ) -> Scalar {
    var sum: Scalar = 0
    var u = units.lowerBound
    while u < units.upperBound {
      var value = unsafe x[u]
      if let y = unsafe y { value = unsafe value + y[u] }
      let compared = bounds.ofMagnitude ? value.magnitude : value
      if compared < bounds.lower { counts.below += 1 }
      if compared > bounds.upper { counts.above += 1 }
      sum += value
      u += 1
    }
    return sum
  }
}
