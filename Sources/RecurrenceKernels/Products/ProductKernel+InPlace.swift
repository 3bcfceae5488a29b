// Products with W where it lies, which nobody packed.
//
//   of several rows, for each depth block:
//     for each few panels of W: pack them                                            (they stay in L2)
//       for each row block: copy A's rows;  for each of the panels:  for each tile of rows: Tile
//   of one row: Tile, which reads each weight once

extension ProductKernel {
  /// Several rows, and W where it lies: its panels are packed block by block, each once for all rows.
  @inlinable @inline(never)
  static func runBlocksInPlace(
    _ operands: ProductOperands<Scalar>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Scalar>
  ) {
    let depth = unsafe operands.a.columns
    let depthBlocks = EvenSplit(depth, parts: max(1, (depth &+ Geometry.depthBlock &- 1) / Geometry.depthBlock))
    let groups = EvenSplit(panels.count, limit: Geometry.inPlacePanels)
    let rowBlocks = EvenSplit(rows.count, limit: Geometry.rowBlock)
    let packed = unsafe scratch + Geometry.inPlaceStart
    for d in 0..<depthBlocks.parts {
      let k = depthBlocks.range(d)
      let start = unsafe d == 0 ? operands.start : .accumulate
      for g in 0..<groups.parts {
        let group = groups.range(g)
        let some = unsafe Range(
          uncheckedBounds: (panels.lowerBound &+ group.lowerBound, panels.lowerBound &+ group.upperBound))
        unsafe pack(operands, panels: some, depth: k, into: packed)
        for i in 0..<rowBlocks.parts {
          let block = rowBlocks.range(i)
          let first = rows.lowerBound &+ block.lowerBound
          unsafe copyRows(operands.a, rows: first..<(first &+ block.count), depth: k, into: scratch)
          for panel in some {
            unsafe runPanel(
              operands, panel: panel, weights: packed + (panel &- some.lowerBound) &* Geometry.packedPanelStride,
              firstRow: first, rowCount: block.count, depth: k, start: start, copied: scratch, scratch: scratch)
          }
        }
      }
    }
  }

  /// Packs some steps of some panels of W where it lies, a few rows at a time, along which hardware prefetchers follow.
  @inlinable @inline(__always)
  static func pack(
    _ operands: ProductOperands<Scalar>, panels: Range<Int>, depth: Range<Int>,
    into packed: UnsafeMutablePointer<Scalar>
  ) {
    let w = unsafe MatrixView(
      operands.weights, rows: operands.a.columns, columns: operands.c.columns, stride: operands.weightsStride)
    var k = depth.lowerBound
    while k < depth.upperBound {
      let rows = unsafe Range(uncheckedBounds: (k, min(k &+ 8, depth.upperBound)))
      for panel in panels {
        let first = panel &* Geometry.panelWidth
        let columns = unsafe min(Geometry.panelWidth, operands.c.columns &- first)
        unsafe PanelPacking<V>.packPanel(
          w, rows: rows, reversed: false, firstColumn: first, columns: columns,
          into: packed
            + ((panel &- panels.lowerBound) &* Geometry.packedPanelStride &+ (k &- depth.lowerBound) &* columns))
      }
      k &+= 8
    }
  }

  /// One row of A, and W where it lies: each of its weights is read once.
  @inlinable @inline(never)
  static func runRowInPlace(_ operands: ProductOperands<Scalar>, row: Int, panels: Range<Int>) {
    var column = panels.lowerBound &* Geometry.panelWidth
    let end = unsafe min(panels.upperBound &* Geometry.panelWidth, operands.c.columns)
    while column < end {
      var call = unsafe TileCall(
        a: operands.a.pointer(row: row, column: 0), weights: operands.weights + column, depth: operands.a.columns,
        start: operands.start, bias: biasPointer(operands, column), c: operands.c.pointer(row: row, column: column),
        cStride: 0)
      unsafe call.weightsStep = unsafe operands.weightsStride
      switch (end &- column) / V.lanes {
      case 8...:
        unsafe Tile<V, 1, 8>.runRowInPlace(call)
        column &+= 8 &* V.lanes
      case 4...:
        unsafe Tile<V, 1, 4>.runRowInPlace(call)
        column &+= 4 &* V.lanes
      case 2...:
        unsafe Tile<V, 1, 2>.runRowInPlace(call)
        column &+= 2 &* V.lanes
      default:
        unsafe Tile<V, 1, 1>.runRowInPlace(call)
        column &+= V.lanes
      }
    }
  }
}
