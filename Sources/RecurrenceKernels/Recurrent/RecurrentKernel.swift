// The work of one time step: the recurrent product, ending in the cell's mathematics.
//
//   for each row block: copy the operand's rows                                       (stays in L2)
//     for each panel of units:
//       for each gate: tiles of the product accumulate into the gate's plane          (the block stays in L1)
//       the cell's mathematics on the block
//
// Accumulators pass through L1 between the two: see Docs/Design.md, "Where a tile ends".

/// One call of `RecurrentKernel`: a product, a cell's mathematics, or one after the other.
@frozen @unsafe public struct RecurrentCall<Scalar: KernelScalar> {
  /// C[rows, planes · units] += A · U, or nil.
  public var product: ProductOperands<Scalar>?
  /// Planes of C, each `step.units` wide.
  public var planes: Int
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
    product: ProductOperands<Scalar>?, planes: Int, mathematics: CellMathematics, action: CellAction?,
    step: CellStep<Scalar>, rows: Int, productScratch: UnsafeMutablePointer<Scalar>,
    programScratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe self.product = unsafe product
    unsafe self.planes = planes
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
        if let action = unsafe call.action, unsafe canInterleave(product, step, rows: call.rows) {
          return unsafe runInterleaved(
            product, planes: call.planes, call.mathematics, action, step, rows: call.rows,
            productScratch: call.productScratch, programScratch: call.programScratch)
        }
        unsafe ProductKernel<V>.run(
          product, rows: 0..<product.c.rows, panels: 0..<ProductKernel<V>.panels(product), scratch: call.productScratch)
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
      for plane in unsafe 0..<call.planes {
        let first = plane * panelsPerPlane
        unsafe ProductKernel<V>.runRow(
          product, row: 0, panels: (first + units.lowerBound / width)..<(first + units.upperBound / width))
      }
    }
    guard let action = unsafe call.action else { return }
    unsafe CellMathematicsKernel<V>.run(
      call.mathematics, action, step, rows: 0..<1, units: units, scratch: call.programScratch)
  }

  /// Whether the units of a gate are whole panels, the rows are those of the product and enough for tiles, and they fit
  /// the scratch memory at full depth. In several blocks of rows, weights must be small: each block reads all of them.
  @inlinable @inline(__always)
  static func canInterleave(
    _ product: ProductOperands<Scalar>, _ step: UnsafePointer<CellStep<Scalar>>, rows: Int
  ) -> Bool {
    let depth = unsafe product.a.columns
    guard unsafe product.c.rows == rows && rows > 2 && step.pointee.units % Geometry.panelWidth == 0 && depth > 0 else {
      return false
    }
    let limit = unsafe rowLimit(product)
    let weights = unsafe depth * product.c.columns * MemoryLayout<Scalar>.stride
    return limit > 0 && (rows <= limit || weights <= Geometry.blockBytes)
  }

  /// Most rows of A that fit the scratch memory at full depth, whole tiles.
  @inlinable @inline(__always)
  static func rowLimit(_ product: ProductOperands<Scalar>) -> Int {
    unsafe Geometry.rowBlock / depthBlocks(product) / Geometry.rows * Geometry.rows
  }

  @inlinable @inline(__always)
  static func depthBlocks(_ product: ProductOperands<Scalar>) -> Int {
    unsafe (product.a.columns + Geometry.depthBlock - 1) / Geometry.depthBlock
  }

  @inlinable @inline(__always)
  static func runInterleaved(
    _ product: ProductOperands<Scalar>, planes: Int, _ mathematics: CellMathematics, _ action: CellAction,
    _ step: UnsafePointer<CellStep<Scalar>>, rows: Int, productScratch: UnsafeMutablePointer<Scalar>,
    programScratch: UnsafeMutablePointer<Scalar>
  ) {
    let depthBlocks = unsafe EvenSplit(product.a.columns, parts: depthBlocks(product))
    let rowBlocks = unsafe EvenSplit(rows, limit: rowLimit(product))
    let panelsPerPlane = unsafe step.pointee.units / Geometry.panelWidth
    for i in 0..<rowBlocks.parts {
      let rows = rowBlocks.range(i)
      let copyStride = rows.count * Geometry.copiedRowStride
      for d in 0..<depthBlocks.parts {
        unsafe ProductKernel<V>.copyRows(
          product.a, rows: rows, depth: depthBlocks.range(d), into: productScratch + d * copyStride)
      }
      for panel in 0..<panelsPerPlane {
        for plane in 0..<planes {
          // After this panel comes that of the same units' next gate.
          let next = plane + 1 < planes ? panelsPerPlane : 1 - plane * panelsPerPlane
          for d in 0..<depthBlocks.parts {
            let block = depthBlocks.range(d)
            let ahead =
              d + 1 < depthBlocks.parts
              ? block.count : unsafe next * product.a.columns - block.lowerBound
            unsafe ProductKernel<V>.runPanel(
              product, panel: plane * panelsPerPlane + panel, firstRow: rows.lowerBound, rowCount: rows.count,
              depth: block, start: d == 0 ? product.start : .accumulate, copied: productScratch + d * copyStride,
              ahead: ahead * Geometry.panelWidth)
          }
        }
        let unit = panel * Geometry.panelWidth
        unsafe CellMathematicsKernel<V>.run(
          mathematics, action, step, rows: rows, units: unit..<(unit + Geometry.panelWidth), scratch: programScratch)
      }
    }
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
