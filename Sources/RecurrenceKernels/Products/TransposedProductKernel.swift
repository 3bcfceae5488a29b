public import CProcessor

// C[M, N] += Aᵀ · B, A[K, M] and B[K, N], K long: the gradient of weights, K = T·B rows.
//
//   for each depth block, from the last:
//     for each column block: pack B, rows reversed                                   (stays in L2 or L3)
//       for each row block: pack A's columns, `TileGeometry.rows` side by side, rows reversed     (stays in L2)
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
    let packedA = unsafe packedB + Geometry.columnBlock &* Geometry.depthBlock
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

  /// Packs B[rows, firstColumn...] into panels.
  @inlinable @inline(__always)
  static func packBlock(
    _ b: MatrixView<Scalar>, rows: Range<Int>, firstColumn: Int, width: Int, into packed: UnsafeMutablePointer<Scalar>
  ) {
    var column = 0
    while column < width {
      unsafe PanelPacking<V>.packPanel(
        b, rows: rows, reversed: true, firstColumn: firstColumn &+ column,
        columns: min(Geometry.panelWidth, width &- column), into: packed + column &* rows.count)
      column &+= Geometry.panelWidth
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
    unsafe packColumns(operands.a, rows: depth, firstColumn: firstRow, tiles: tiles, into: packedA)
    var column = 0
    while column < width {
      let panelWidth = min(Geometry.panelWidth, width &- column)
      let panel = unsafe packedB + column &* depth.count
      for t in 0..<tiles.parts {
        let rows = tiles.range(t)
        let call = unsafe TileCall(
          a: packedA + t &* Geometry.packedTileStride, weights: panel, depth: depth.count, start: .accumulate,
          bias: nil,
          c: operands.c.pointer(row: firstRow &+ rows.lowerBound, column: firstColumn &+ column),
          cStride: operands.c.stride)
        unsafe PanelTile<V>.run(call, layout: .columns, rows: rows.count, width: panelWidth, edge: edge)
      }
      column &+= Geometry.panelWidth
    }
  }

  /// For every tile, copies `Geometry.rows` columns of A side by side, rows in descending order.
  ///
  /// A row of A is read from left to right once, whatever its stride, and scattered to the tiles. Columns are copied in
  /// whole vectors; what a vector holds beyond the tile's columns is overwritten by the next row's, or lands in the slack
  /// between tiles. Columns beyond the matrix read as zero, and belong to rows of C that no tile computes.
  @inlinable @inline(__always)
  static func packColumns(
    _ a: MatrixView<Scalar>, rows: Range<Int>, firstColumn: Int, tiles: EvenSplit,
    into packed: UnsafeMutablePointer<Scalar>
  ) {
    let vectors = (Geometry.rows &+ V.lanes &- 1) / V.lanes
    let width = tiles.start(tiles.parts)
    // Tiles from this one on would read past the matrix with whole vectors.
    var wholeTiles = tiles.parts
    while wholeTiles > 0, unsafe firstColumn &+ tiles.start(wholeTiles &- 1) &+ vectors &* V.lanes > a.columns {
      wholeTiles &-= 1
    }
    var to = unsafe packed
    var r = rows.upperBound
    while r > rows.lowerBound {
      r &-= 1
      let from = unsafe a.pointer(row: r, column: firstColumn)
      // Four rows ahead: rows lie a stride apart, often a page, where no hardware prefetcher follows.
      let ahead = unsafe a.pointer(row: max(rows.lowerBound, r &- 4), column: firstColumn)
      var line = 0
      while line < width {
        unsafe recurrence_prefetch(ahead + line)
        line &+= 64 / MemoryLayout<Scalar>.stride
      }
      var tile = unsafe to
      var column = unsafe from
      for t in 0..<wholeTiles {
        for j in 0..<vectors { unsafe V.load(column + j &* V.lanes).store(tile + j &* V.lanes) }
        unsafe column += tiles.count(t)
        unsafe tile += Geometry.packedTileStride
      }
      for t in wholeTiles..<tiles.parts {
        for j in 0..<vectors {
          let first = tiles.start(t) &+ j &* V.lanes
          let count = unsafe max(0, min(V.lanes, a.columns &- firstColumn &- first))
          if count > 0 { unsafe V.load(from + first, count: count).store(tile + j &* V.lanes) }
        }
        unsafe tile += Geometry.packedTileStride
      }
      unsafe to += Geometry.rows
    }
  }
}
