// The work of one time step: the recurrent product, and then the cell's mathematics on the rows that it wrote.
//
// Pre-activations pass through the caches between the two: see Docs/Design.md, "Where a tile ends".

/// One call of `RecurrentKernel`: a product, a cell's mathematics, or one after the other.
@frozen @unsafe public struct RecurrentCall<Scalar: KernelScalar> {
  /// C[rows, planes · units] += A · U, or nil.
  public var product: ProductOperands<Scalar>?
  public var mathematics: CellMathematics
  /// What to run on the rows once their product is done, or nil.
  public var action: CellAction?
  public var step: CellStep<Scalar>
  /// Rows that the action covers.
  public var rows: Int
  /// The units that are computed, whole panels of each gate; nil for all. For one row alone.
  public var units: Range<Int>? = nil
  /// `KernelGeometry.productScratch` scalars, overwritten.
  public var productScratch: UnsafeMutablePointer<Scalar>
  /// `KernelGeometry.programScratch(registers:)` scalars, overwritten; used by recorded cells alone.
  public var programScratch: UnsafeMutablePointer<Scalar>

  @inlinable
  public init(
    product: ProductOperands<Scalar>?, mathematics: CellMathematics, action: CellAction?, step: CellStep<Scalar>,
    rows: Int, productScratch: UnsafeMutablePointer<Scalar>, programScratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe self.product = unsafe product
    unsafe self.mathematics = unsafe mathematics
    unsafe self.action = action
    unsafe self.step = unsafe step
    unsafe self.rows = rows
    unsafe self.productScratch = unsafe productScratch
    unsafe self.programScratch = unsafe programScratch
  }
}

@frozen public enum RecurrentKernel<V: Vector> {
  public typealias Scalar = V.Scalar
  @usableFromInline typealias Geometry = TileGeometry<V>

  @inlinable @inline(__always)
  public static func run(_ call: RecurrentCall<Scalar>) {
    unsafe withUnsafePointer(to: call.step) { step in
      if let units = unsafe call.units { return unsafe run(call, step, units) }
      if let product = unsafe call.product {
        unsafe ProductKernel<V>.check(product, scratch: call.productScratch)
        unsafe ProductKernel<V>.runUnchecked(product, scratch: call.productScratch)
      }
      guard let action = unsafe call.action else { return }
      unsafe CellMathematicsKernel<V>.run(
        call.mathematics, action, step, rows: 0..<call.rows, units: 0..<step.pointee.units,
        scratch: call.programScratch)
    }
  }

  /// Some units of one row.
  @inlinable @inline(__always)
  static func run(
    _ call: RecurrentCall<Scalar>, _ step: UnsafePointer<CellStep<Scalar>>, _ units: Range<Int>
  ) {
    let width = Geometry.panelWidth
    guard unsafe call.rows == 1, units.lowerBound % width == 0, units.upperBound % width == 0,
      unsafe step.pointee.units % width == 0, unsafe units.upperBound <= step.pointee.units
    else { fatalError("units: expected whole panels of \(width) of one row, got \(units)") }
    if let product = unsafe call.product {
      unsafe ProductKernel<V>.check(product, scratch: call.productScratch)
      let panelsPerPlane = unsafe step.pointee.units / width
      let planes = unsafe product.c.columns / step.pointee.units
      for index in 0..<planes {
        let first = unsafe (product.descending ? planes - 1 - index : index) * panelsPerPlane
        unsafe ProductKernel<V>.runRow(
          product, row: 0, panels: (first + units.lowerBound / width)..<(first + units.upperBound / width))
      }
    }
    guard let action = unsafe call.action else { return }
    unsafe CellMathematicsKernel<V>.run(
      call.mathematics, action, step, rows: 0..<1, units: units, scratch: call.programScratch)
  }

  /// sums[j] += Σ_r matrix[r, j], r descending, one chain for each column that starts at sums[j].
  @inlinable @inline(__always)
  public static func columnSums(_ matrix: MatrixView<Scalar>, into sums: UnsafeMutablePointer<Scalar>) {
    var j = 0
    while unsafe j < matrix.columns {
      let width = unsafe min(4 * V.lanes, matrix.columns - j)
      if width == 4 * V.lanes {
        var (s0, s1) = unsafe (V.load(sums + j), V.load(sums + j + V.lanes))
        var (s2, s3) = unsafe (V.load(sums + j + 2 * V.lanes), V.load(sums + j + 3 * V.lanes))
        var r = unsafe matrix.rows
        while r > 0 {
          r -= 1
          let row = unsafe matrix.pointer(row: r, column: j)
          s0 = unsafe s0 + V.load(row)
          s1 = unsafe s1 + V.load(row + V.lanes)
          s2 = unsafe s2 + V.load(row + 2 * V.lanes)
          s3 = unsafe s3 + V.load(row + 3 * V.lanes)
        }
        unsafe s0.store(sums + j)
        unsafe s1.store(sums + j + V.lanes)
        unsafe s2.store(sums + j + 2 * V.lanes)
        unsafe s3.store(sums + j + 3 * V.lanes)
        j += width
      } else {
        let count = min(V.lanes, width)
        var sum = unsafe V.load(sums + j, count: count)
        var r = unsafe matrix.rows
        while r > 0 {
          r -= 1
          sum = unsafe sum + V.load(matrix.pointer(row: r, column: j), count: count)
        }
        unsafe sum.store(sums + j, count: count)
        j += count
      }
    }
  }
}
