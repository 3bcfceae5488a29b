public import CProcessor

// C[M, N] = start + Aᵀ · B, A[K, M] and B[K, N], K long: the gradient of weights, K = T·B rows.
//
//   for each depth block, from the last:
//     for each column block: pack B, rows reversed                                   (stays in L2 or L3)
//       for each row block: copy A's columns to a fixed stride, rows reversed        (stays in L2)
//         for each few panels of B:                                                  (stay in L2)
//           for each tile of rows:                                                   (along rows of C)
//             for each of the panels: Tile
//
// A and B of one row each are read where they lie: to copy them would cost more than it saves.
//
// Every sum starts from C's content, or from zero, and takes the rows of A and B in descending order, so that a
// gradient accumulated segment by segment, last segment first, has the bits of one accumulated at once. Packing
// reverses the rows, after which a tile's ascending k is the right order.

/// The operands of C[M, N] = start + A[K, M]ᵀ · B[K, N].
@frozen @unsafe public struct TransposedProductOperands<Scalar: KernelScalar> {
  /// In, [K, M].
  public var a: MatrixView<Scalar>
  /// In, [K, N].
  public var b: MatrixView<Scalar>
  /// Out, and in where `start` is `.accumulate`; [M, N]. Must not overlap the other operands.
  public var c: MutableMatrixView<Scalar>
  /// Of the second product too. There is no bias: sums that do not start at C start at zero.
  public var start: ProductStart
  /// B and C of a second product of the same A, without columns where there is none. Where B of both fits, A is packed once.
  /// The rows computed are those of the first, and the columns all.
  public var secondB: MatrixView<Scalar>
  public var secondC: MutableMatrixView<Scalar>

  @inlinable @inline(__always)
  public init(
    a: MatrixView<Scalar>, b: MatrixView<Scalar>, c: MutableMatrixView<Scalar>, start: ProductStart = .accumulate
  ) {
    unsafe self.a = a
    unsafe self.b = b
    unsafe self.c = c
    unsafe self.start = start
    unsafe secondB = MatrixView(withoutColumnsOf: b)
    unsafe secondC = MutableMatrixView(withoutColumnsOf: c)
  }

  // No optionals: of generic types they need metadata, whose accessors any module may define.
  @inlinable @inline(__always) public var hasSecond: Bool { unsafe secondC.columns > 0 }

  /// Each of the products alone.
  @inlinable @inline(__always) public var first: Self { unsafe Self(a: a, b: b, c: c, start: start) }
  @inlinable @inline(__always) public var second: Self { unsafe Self(a: a, b: secondB, c: secondC, start: start) }
}

@frozen public enum TransposedProductKernel<V: Vector> {
  public typealias Scalar = V.Scalar
  @usableFromInline typealias Geometry = TileGeometry<V>

  /// Computes the part of C given.
  ///
  /// - Parameters:
  ///   - rows: rows of C, within 0..<M.
  ///   - columns: columns of C, within 0..<N; of two products, all.
  ///   - scratch: `KernelGeometry.transposedScratch(panels:)` scalars, overwritten; 64-byte aligned; not shared between
  ///     threads.
  @inlinable @inline(__always)
  public static func run(
    _ operands: TransposedProductOperands<Scalar>, rows: Range<Int>, columns: Range<Int>,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe check(operands)
    unsafe checkRange(rows, within: operands.c.rows, "rows")
    unsafe checkRange(columns, within: operands.c.columns, "columns")
    unsafe checkAlignment(scratch, "scratch")
    unsafe check(operands.second)
    let all = unsafe Range(uncheckedBounds: (0, operands.secondC.columns))
    if unsafe operands.hasSecond {
      unsafe checkEqual(columns.count, operands.c.columns, "columns of the first of two products", "columns of c")
    }
    if rows.isEmpty { return }
    if unsafe isOuter(operands, columns) {
      unsafe runOuter(operands.first, rows: rows, columns: columns)
      if unsafe operands.hasSecond { unsafe runOuter(operands.second, rows: rows, columns: all) }
      return
    }
    let panels = Geometry.panels(columns.count) &+ Geometry.panels(all.count)
    if all.isEmpty || !columns.isEmpty && panels <= Geometry.panels(Geometry.columnBlock) {
      unsafe runTogether(operands, rows: rows, columns: columns, scratch: scratch)
    } else {
      unsafe runTogether(operands.first, rows: rows, columns: columns, scratch: scratch)
      unsafe runTogether(operands.second, rows: rows, columns: all, scratch: scratch)
    }
  }

  @inlinable @inline(__always)
  static func check(_ operands: TransposedProductOperands<Scalar>) {
    unsafe checkEqual(operands.b.rows, operands.a.rows, "rows of b", "rows of a")
    unsafe checkEqual(operands.c.rows, operands.a.columns, "rows of c", "columns of a")
    unsafe checkEqual(operands.c.columns, operands.b.columns, "columns of c", "columns of b")
    if unsafe operands.start == .add { startFailure() }
  }

  /// Scratch memory: an edge tile, a block of A, a block of B.
  @inlinable @inline(__always)
  static func packedA(_ scratch: UnsafeMutablePointer<Scalar>) -> UnsafeMutablePointer<Scalar> {
    unsafe scratch + Geometry.edgeScratch
  }

  @inlinable @inline(__always)
  static func packedB(_ scratch: UnsafeMutablePointer<Scalar>) -> UnsafeMutablePointer<Scalar> {
    unsafe packedA(scratch) + Geometry.packedColumnStride &* Geometry.depthBlock
  }

  /// One product, or two whose B fits one block.
  @inlinable @inline(never)
  static func runTogether(
    _ operands: TransposedProductOperands<Scalar>, rows: Range<Int>, columns: Range<Int>,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    let (first, second) = unsafe (operands.first, operands.second)
    let packedB = unsafe packedB(scratch)
    let packedSecondB = unsafe packedB + Geometry.panels(columns.count) &* Geometry.packedPanelStride
    // One block even of no rows, where C is to become zero.
    let depth = unsafe first.a.rows
    let depthBlocks = EvenSplit(depth, parts: max(1, (depth &+ Geometry.depthBlock &- 1) / Geometry.depthBlock))
    let rowBlocks = EvenSplit(rows.count, limit: Geometry.transposedRowBlock)
    var d = depthBlocks.parts
    while d > 0 {
      let start = unsafe d == depthBlocks.parts ? operands.start : .accumulate
      d &-= 1
      let k = depthBlocks.range(d)
      unsafe packBlock(second.b, rows: k, firstColumn: 0, width: second.c.columns, into: packedSecondB)
      var firstColumn = columns.lowerBound
      while firstColumn < columns.upperBound {
        let width = min(Geometry.columnBlock, columns.upperBound &- firstColumn)
        unsafe packBlock(first.b, rows: k, firstColumn: firstColumn, width: width, into: packedB)
        for i in 0..<rowBlocks.parts {
          let block = rowBlocks.range(i)
          let some = unsafe Range(
            uncheckedBounds: (rows.lowerBound &+ block.lowerBound, rows.lowerBound &+ block.upperBound))
          unsafe packColumns(
            first.a, rows: k, firstColumn: some.lowerBound, count: some.count, into: packedA(scratch))
          unsafe runBlock(
            first, depth: k.count, start: start, rows: some, firstColumn: firstColumn, width: width,
            packedB: packedB, scratch: scratch)
          unsafe runBlock(
            second, depth: k.count, start: start, rows: some, firstColumn: 0, width: second.c.columns,
            packedB: packedSecondB, scratch: scratch)
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
    if width == 0 { return }
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

  /// One block of rows of C, whose columns of A are packed: every panel of B passes over them.
  @inlinable @inline(never)
  static func runBlock(
    _ operands: TransposedProductOperands<Scalar>, depth: Int, start: ProductStart, rows: Range<Int>,
    firstColumn: Int, width: Int, packedB: UnsafePointer<Scalar>, scratch: UnsafeMutablePointer<Scalar>
  ) {
    let tiles = EvenSplit(rows.count, limit: Geometry.rows)
    var column = 0
    while column < width {
      let end = min(column &+ Geometry.nearColumns, width)
      for t in 0..<tiles.parts {
        let call = unsafe TileCall(
          a: packedA(scratch) + tiles.start(t),
          weights: packedB + column / Geometry.panelWidth &* Geometry.packedPanelStride, depth: depth,
          start: start, bias: nil,
          c: operands.c.pointer(row: rows.lowerBound &+ tiles.start(t), column: firstColumn &+ column),
          cStride: operands.c.stride)
        unsafe runTiles(call, rowCount: tiles.count(t), width: end &- column, edge: scratch)
      }
      column = end
    }
  }

  /// The tiles of some rows, from left to right: along rows of C, which lie beyond L2. Each asks for C of the next.
  @inlinable @inline(__always)
  static func runTiles(
    _ first: TileCall<Scalar>, rowCount: Int, width: Int, edge: UnsafeMutablePointer<Scalar>
  ) {
    var call = unsafe first
    var left = width
    while left > 0 {
      let following = unsafe call.c + Geometry.panelWidth
      let below = unsafe first.c + rowCount &* call.cStride
      unsafe call.next = left > Geometry.panelWidth ? UnsafePointer(following) : UnsafePointer(below)
      let width = min(Geometry.panelWidth, left)
      unsafe PanelTile<V>.run(call, layout: .columns, rows: rowCount, width: width, edge: edge)
      unsafe call.c = unsafe following
      unsafe call.weights += Geometry.packedPanelStride
      left &-= Geometry.panelWidth
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
        line &+= Geometry.line
      }
      for j in 0..<vectors { unsafe V.load(from + j &* V.lanes).store(to + j &* V.lanes) }
      if tail > 0 { unsafe V.load(from + vectors &* V.lanes, count: tail).store(to + vectors &* V.lanes) }
      unsafe to += Geometry.packedColumnStride
    }
  }

  // MARK: One row

  /// Whether A and B are one row each, and C has whole vectors of columns.
  @inlinable @inline(__always)
  static func isOuter(_ operands: TransposedProductOperands<Scalar>, _ columns: Range<Int>) -> Bool {
    unsafe operands.a.rows == 1 && columns.count % V.lanes == 0 && operands.secondC.columns % V.lanes == 0
  }

  /// One row of A and of B, read where they lie: C = start + aᵀ · b.
  @inlinable @inline(never)
  static func runOuter(_ operands: TransposedProductOperands<Scalar>, rows: Range<Int>, columns: Range<Int>) {
    if unsafe operands.start == .accumulate {
      unsafe runOuter(operands, rows: rows, columns: columns, accumulates: true)
    } else {
      unsafe runOuter(operands, rows: rows, columns: columns, accumulates: false)
    }
  }

  @inlinable @inline(__always)
  static func runOuter(
    _ operands: TransposedProductOperands<Scalar>, rows: Range<Int>, columns: Range<Int>, accumulates: Bool
  ) {
    let pairs = columns.count / (2 &* V.lanes)
    let single = columns.lowerBound &+ pairs &* 2 &* V.lanes
    let hasSingle = single < columns.upperBound
    var row = rows.lowerBound
    while row < rows.upperBound {
      if row &+ 4 <= rows.upperBound {
        unsafe OuterTile<V, 4, 2>.run(operands, row, columns.lowerBound, tiles: pairs, accumulates: accumulates)
        if hasSingle { unsafe OuterTile<V, 4, 1>.run(operands, row, single, tiles: 1, accumulates: accumulates) }
        row &+= 4
      } else {
        unsafe OuterTile<V, 1, 2>.run(operands, row, columns.lowerBound, tiles: pairs, accumulates: accumulates)
        if hasSingle { unsafe OuterTile<V, 1, 1>.run(operands, row, single, tiles: 1, accumulates: accumulates) }
        row &+= 1
      }
    }
  }
}

/// Tiles of aᵀ · b, `rows` rows by `columns` vectors, along rows of C.
@frozen @usableFromInline enum OuterTile<V: Vector, let rows: Int, let columns: Int> {
  @inlinable @inline(__always)
  static func run(
    _ operands: TransposedProductOperands<V.Scalar>, _ row: Int, _ column: Int, tiles: Int, accumulates: Bool
  ) {
    var a = InlineArray<rows, V>(repeating: .zero)
    for r in 0..<rows { a[r] = unsafe V(repeating: operands.a.base[row &+ r]) }
    var b = unsafe operands.b.base + column
    var c = unsafe operands.c.pointer(row: row, column: column)
    let stride = unsafe operands.c.stride
    for _ in 0..<tiles {
      for j in 0..<columns {
        let x = unsafe V.load(b + j &* V.lanes)
        for r in 0..<rows {
          let place = unsafe c + (r &* stride &+ j &* V.lanes)
          unsafe V.multiplyAdd(a[r], x, accumulates ? V.load(place) : .zero).store(place)
        }
      }
      unsafe b += columns &* V.lanes
      unsafe c += columns &* V.lanes
    }
  }
}
