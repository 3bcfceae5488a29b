/// What varies from one tile to the next within a product; `Tile` says what each operand is.
@frozen @unsafe @usableFromInline struct TileCall<Scalar: KernelScalar> {
  @usableFromInline var a: UnsafePointer<Scalar>
  @usableFromInline var weights: UnsafePointer<Scalar>
  @usableFromInline var panelStride: Int
  @usableFromInline var depth: Int
  @usableFromInline var start: ProductStart
  @usableFromInline var bias: UnsafePointer<Scalar>?
  @usableFromInline var c: UnsafeMutablePointer<Scalar>
  @usableFromInline var cStride: Int
  @usableFromInline var width: Int

  @inlinable @inline(__always)
  init(
    a: UnsafePointer<Scalar>, weights: UnsafePointer<Scalar>, panelStride: Int = 0, depth: Int, start: ProductStart,
    bias: UnsafePointer<Scalar>?, c: UnsafeMutablePointer<Scalar>, cStride: Int, width: Int
  ) {
    unsafe self.a = a
    unsafe self.weights = weights
    unsafe self.panelStride = panelStride
    unsafe self.depth = depth
    unsafe self.start = start
    unsafe self.bias = bias
    unsafe self.c = c
    unsafe self.cStride = cStride
    unsafe self.width = width
  }
}

// The instances. None is inlined into the loops around it: a tile wants every register, and one body per shape is what
// keeps the code of a kernel module small.
extension Tile {
  /// A is a block of copied rows.
  @inlinable @inline(never)
  static func runCopied(_ call: TileCall<Scalar>) {
    unsafe run(
      a: call.a, rowStride: TileGeometry<V>.copiedRowStride, depthStride: 1, weights: call.weights,
      panelVectors: columns, panelStride: 0, depth: call.depth, start: call.start, bias: call.bias,
      c: call.c, cStride: call.cStride, width: call.width)
  }

  /// A is a packed block of columns, `TileGeometry.rows` side by side for each k.
  @inlinable @inline(never)
  static func runColumns(_ call: TileCall<Scalar>) {
    unsafe run(
      a: call.a, rowStride: 1, depthStride: TileGeometry<V>.rows, weights: call.weights,
      panelVectors: columns, panelStride: 0, depth: call.depth, start: call.start, bias: call.bias,
      c: call.c, cStride: call.cStride, width: call.width)
  }

  /// A is one row where it lies; the tile spans several panels of W.
  @inlinable @inline(never)
  static func runRow(_ call: TileCall<Scalar>) {
    unsafe run(
      a: call.a, rowStride: 0, depthStride: 1, weights: call.weights,
      panelVectors: min(columns, TileGeometry<V>.panelVectors), panelStride: call.panelStride, depth: call.depth,
      start: call.start, bias: call.bias, c: call.c, cStride: call.cStride, width: call.width)
  }
}

/// Chooses the instance for a number of rows known only at run time.
@frozen @usableFromInline enum TileDispatch<V: Vector, let columns: Int> {
  @inlinable @inline(__always)
  static func runCopied(_ call: TileCall<V.Scalar>, rows: Int) {
    switch rows {
    case 1: unsafe Tile<V, 1, columns>.runCopied(call)
    case 2: unsafe Tile<V, 2, columns>.runCopied(call)
    case 3: unsafe Tile<V, 3, columns>.runCopied(call)
    case 4: unsafe Tile<V, 4, columns>.runCopied(call)
    // The comparisons below are between constants: instances that a register file has no room for are not compiled.
    case 5 where TileGeometry<V>.rows >= 5: unsafe Tile<V, 5, columns>.runCopied(call)
    case 6 where TileGeometry<V>.rows >= 6: unsafe Tile<V, 6, columns>.runCopied(call)
    case 7 where TileGeometry<V>.rows >= 7: unsafe Tile<V, 7, columns>.runCopied(call)
    case 8 where TileGeometry<V>.rows >= 8: unsafe Tile<V, 8, columns>.runCopied(call)
    case 9 where TileGeometry<V>.rows >= 9: unsafe Tile<V, 9, columns>.runCopied(call)
    case 10 where TileGeometry<V>.rows >= 10: unsafe Tile<V, 10, columns>.runCopied(call)
    case 11 where TileGeometry<V>.rows >= 11: unsafe Tile<V, 11, columns>.runCopied(call)
    case 12 where TileGeometry<V>.rows >= 12: unsafe Tile<V, 12, columns>.runCopied(call)
    default: fatalError("no tile of \(rows) rows")
    }
  }

  @inlinable @inline(__always)
  static func runColumns(_ call: TileCall<V.Scalar>, rows: Int) {
    switch rows {
    case 1: unsafe Tile<V, 1, columns>.runColumns(call)
    case 2: unsafe Tile<V, 2, columns>.runColumns(call)
    case 3: unsafe Tile<V, 3, columns>.runColumns(call)
    case 4: unsafe Tile<V, 4, columns>.runColumns(call)
    case 5 where TileGeometry<V>.rows >= 5: unsafe Tile<V, 5, columns>.runColumns(call)
    case 6 where TileGeometry<V>.rows >= 6: unsafe Tile<V, 6, columns>.runColumns(call)
    case 7 where TileGeometry<V>.rows >= 7: unsafe Tile<V, 7, columns>.runColumns(call)
    case 8 where TileGeometry<V>.rows >= 8: unsafe Tile<V, 8, columns>.runColumns(call)
    case 9 where TileGeometry<V>.rows >= 9: unsafe Tile<V, 9, columns>.runColumns(call)
    case 10 where TileGeometry<V>.rows >= 10: unsafe Tile<V, 10, columns>.runColumns(call)
    case 11 where TileGeometry<V>.rows >= 11: unsafe Tile<V, 11, columns>.runColumns(call)
    case 12 where TileGeometry<V>.rows >= 12: unsafe Tile<V, 12, columns>.runColumns(call)
    default: fatalError("no tile of \(rows) rows")
    }
  }
}
