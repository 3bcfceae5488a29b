public import CProcessor

// C[M, N] += Aᵀ · B, A[K, M] and B[K, N], K long: the gradient of weights, K = T·B rows.
//
//   for each depth block, from the last:
//     for each column block: pack B, rows reversed                                   (stays in L2 or L3)
//       for each row block: copy A's columns to a fixed stride, rows reversed        (stays in L2)
//         for each panel of B:                                                       (streams from L2)
//           for each tile of rows: Tile
//
// Every sum starts from C's content and takes the rows of A and B in descending order, so that a gradient accumulated
// segment by segment, last segment first, has the bits of one accumulated at once. Packing reverses the rows, after
// which a tile's ascending k is the right order.

/// The operands of C[M, N] += A[K, M]ᵀ · B[K, N].
@frozen @unsafe public struct TransposedProductOperands<Scalar: KernelScalar> {
  /// In, [K, M].
  public var a: MatrixView<Scalar>
  /// In, [K, N].
  public var b: MatrixView<Scalar>
  /// In and out, [M, N]. Must not overlap the other operands.
  public var c: MutableMatrixView<Scalar>

  @inlinable
  public init(a: MatrixView<Scalar>, b: MatrixView<Scalar>, c: MutableMatrixView<Scalar>) {
    unsafe self.a = a
    unsafe self.b = b
    unsafe self.c = c
  }
}

@frozen public enum TransposedProductKernel<V: Vector> {
  public typealias Scalar = V.Scalar
  @usableFromInline typealias Geometry = TileGeometry<V>

  /// Computes the part of C given.
  ///
  /// - Parameters:
  ///   - rows: rows of C, within 0..<M.
  ///   - columns: columns of C, within 0..<N.
  ///   - scratch: `TileGeometry.transposedScratch` scalars, overwritten; 64-byte aligned; not shared between threads.
  @inlinable @inline(__always)
  public static func run(
    _ operands: TransposedProductOperands<Scalar>, rows: Range<Int>, columns: Range<Int>,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe checkEqual(operands.b.rows, operands.a.rows, "rows of b", "rows of a")
    unsafe checkEqual(operands.c.rows, operands.a.columns, "rows of c", "columns of a")
    unsafe checkEqual(operands.c.columns, operands.b.columns, "columns of c", "columns of b")
    unsafe checkRange(rows, within: operands.c.rows, "rows")
    unsafe checkRange(columns, within: operands.c.columns, "columns")
    unsafe checkAlignment(scratch, "scratch")
    if rows.isEmpty || columns.isEmpty { return }
    let edge = unsafe scratch
    let packedB = unsafe scratch + Geometry.edgeScratch
    let packedA = unsafe packedB + Geometry.columnBlock / Geometry.panelWidth &* Geometry.packedPanelStride
    let depthBlocks = unsafe EvenSplit(operands.a.rows, limit: Geometry.depthBlock)
    let rowBlocks = EvenSplit(rows.count, limit: Geometry.transposedRowBlock)
    var d = depthBlocks.parts
    while d > 0 {
      d &-= 1
      let k = depthBlocks.range(d)
      var firstColumn = columns.lowerBound
      while firstColumn < columns.upperBound {
        let width = min(Geometry.columnBlock, columns.upperBound &- firstColumn)
        unsafe packBlock(operands.b, rows: k, firstColumn: firstColumn, width: width, into: packedB)
        for i in 0..<rowBlocks.parts {
          let block = rowBlocks.range(i)
          unsafe runBlock(
            operands, depth: k, firstRow: rows.lowerBound &+ block.lowerBound, rowCount: block.count,
            firstColumn: firstColumn, width: width, packedA: packedA, packedB: packedB, edge: edge)
        }
        firstColumn &+= width
      }
    }
  }

  /// Packs B[rows, firstColumn ..< firstColumn + width] into panels `packedPanelStride` apart, rows in descending order.
  ///
  /// Row by row, as B lies in memory, and not panel by panel: strips as narrow as a panel defeat the hardware's
  /// prefetchers.
  @inlinable @inline(__always)
  static func packBlock(
    _ b: MatrixView<Scalar>, rows: Range<Int>, firstColumn: Int, width: Int, into packed: UnsafeMutablePointer<Scalar>
  ) {
    let wholePanels = width / Geometry.panelWidth
    var to = unsafe packed
    var r = rows.upperBound
    while r > rows.lowerBound {
      r &-= 1
      var from = unsafe b.pointer(row: r, column: firstColumn)
      var panel = unsafe to
      for _ in 0..<wholePanels {
        for j in 0..<Geometry.panelVectors { unsafe V.load(from + j &* V.lanes).store(panel + j &* V.lanes) }
        unsafe from += Geometry.panelWidth
        unsafe panel += Geometry.packedPanelStride
      }
      unsafe to += Geometry.panelWidth
    }
    let packedColumns = wholePanels &* Geometry.panelWidth
    if packedColumns < width {
      unsafe PanelPacking<V>.packPanel(
        b, rows: rows, reversed: true, firstColumn: firstColumn &+ packedColumns, columns: width &- packedColumns,
        into: packed + wholePanels &* Geometry.packedPanelStride)
    }
  }

  /// Packs A's columns for one block of rows of C, then passes every panel of B over them.
  @inlinable @inline(__always)
  static func runBlock(
    _ operands: TransposedProductOperands<Scalar>, depth: Range<Int>, firstRow: Int, rowCount: Int,
    firstColumn: Int, width: Int, packedA: UnsafeMutablePointer<Scalar>, packedB: UnsafePointer<Scalar>,
    edge: UnsafeMutablePointer<Scalar>
  ) {
    let tiles = EvenSplit(rowCount, limit: Geometry.rows)
    unsafe packColumns(operands.a, rows: depth, firstColumn: firstRow, count: rowCount, into: packedA)
    var column = 0
    while column < width {
      let panelWidth = min(Geometry.panelWidth, width &- column)
      let panel = unsafe packedB + column / Geometry.panelWidth &* Geometry.packedPanelStride
      for t in 0..<tiles.parts {
        let rows = tiles.range(t)
        // C lies beyond L2 and is read a tile at a time, where no hardware prefetcher follows.
        let isLast = t &+ 1 == tiles.parts
        let next = unsafe operands.c.pointer(
          row: isLast ? firstRow : firstRow &+ rows.upperBound,
          column: firstColumn &+ column &+ (isLast ? Geometry.panelWidth : 0))
        let call = unsafe TileCall(
          a: packedA + rows.lowerBound, weights: panel, depth: depth.count, start: .accumulate,
          bias: nil,
          c: operands.c.pointer(row: firstRow &+ rows.lowerBound, column: firstColumn &+ column),
          cStride: operands.c.stride, next: UnsafePointer(next))
        unsafe PanelTile<V>.run(call, layout: .columns, rows: rows.count, width: panelWidth, edge: edge)
      }
      column &+= Geometry.panelWidth
    }
  }

  /// Copies A[rows, firstColumn ..< firstColumn + count], rows in descending order, to `packedColumnStride`.
  ///
  /// All tiles of the block read from the one copy, each its own columns. A copy for every tile would be denser in L1,
  /// but its rows are no whole vectors: with vectors of 64 bytes, scattering them costs more than the tiles gain.
  @inlinable @inline(__always)
  static func packColumns(
    _ a: MatrixView<Scalar>, rows: Range<Int>, firstColumn: Int, count: Int, into packed: UnsafeMutablePointer<Scalar>
  ) {
    // Whole vectors as far as the matrix reaches: what they hold beyond the block's columns is never used.
    let vectors = unsafe min((count &+ V.lanes &- 1) / V.lanes, (a.columns &- firstColumn) / V.lanes)
    let tail = max(0, count &- vectors &* V.lanes)
    var to = unsafe packed
    var r = rows.upperBound
    while r > rows.lowerBound {
      r &-= 1
      let from = unsafe a.pointer(row: r, column: firstColumn)
      // Four rows ahead: rows lie a stride apart, often a page, where no hardware prefetcher follows.
      let ahead = unsafe a.pointer(row: max(rows.lowerBound, r &- 20), column: firstColumn)
      var line = 0
      while line < count {
        unsafe recurrence_prefetch(ahead + line)
        line &+= 64 / MemoryLayout<Scalar>.stride
      }
      for j in 0..<vectors { unsafe V.load(from + j &* V.lanes).store(to + j &* V.lanes) }
      if tail > 0 { unsafe V.load(from + vectors &* V.lanes, count: tail).store(to + vectors &* V.lanes) }
      unsafe to += Geometry.packedColumnStride
    }
  }
}
