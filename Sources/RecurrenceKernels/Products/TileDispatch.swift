/// One tile's rows against one panel, which is one or two vectors wide.
@frozen @usableFromInline enum PanelTile<V: Vector> {
  /// - Parameters:
  ///   - width: columns of C that exist, 1 … panelWidth; up to `lanes`, the panel is one vector wide.
  ///   - edge: `TileGeometry.edgeScratch` scalars, overwritten where `width` is not whole vectors.
  @inlinable @inline(__always)
  static func run(
    _ call: TileCall<V.Scalar>, layout: TileLayout, rows: Int, width: Int, edge: UnsafeMutablePointer<V.Scalar>
  ) {
    if width > V.lanes {
      unsafe TileDispatch<V, 2>.run(call, layout: layout, rows: rows, width: width, edge: edge)
    } else {
      unsafe TileDispatch<V, 1>.run(call, layout: layout, rows: rows, width: width, edge: edge)
    }
  }
}

/// Chooses the instance of `Tile` for a number of rows known only at run time, and deals with the right edge of C.
@frozen @usableFromInline enum TileDispatch<V: Vector, let columns: Int> {
  @usableFromInline typealias Scalar = V.Scalar

  /// - Parameters:
  ///   - width: columns of C that exist, 1 … columns · lanes.
  ///   - edge: `TileGeometry.edgeScratch` scalars, overwritten where `width` is not whole vectors.
  @inlinable @inline(__always)
  static func run(
    _ call: TileCall<Scalar>, layout: TileLayout, rows: Int, width: Int, edge: UnsafeMutablePointer<Scalar>
  ) {
    if width == columns &* V.lanes {
      unsafe run(call, layout: layout, rows: rows)
    } else {
      unsafe runEdge(call, layout: layout, rows: rows, width: width, edge: edge)
    }
  }

  /// The tile computes into `edge`. It starts at what was copied there, which is the same sum: C's content, the bias,
  /// or zero.
  @inlinable @inline(never)
  static func runEdge(
    _ call: TileCall<Scalar>, layout: TileLayout, rows: Int, width: Int, edge: UnsafeMutablePointer<Scalar>
  ) {
    let edgeStride = columns &* V.lanes
    for r in 0..<rows {
      for j in 0..<columns {
        let count = min(max(width &- j &* V.lanes, 0), V.lanes)
        var value = V.zero
        switch unsafe call.start {
        case .bias: if let bias = unsafe call.bias { value = unsafe V.load(bias + j &* V.lanes, count: count) }
        case .accumulate: value = unsafe V.load(call.c + (r &* call.cStride &+ j &* V.lanes), count: count)
        case .add: break
        }
        unsafe value.store(edge + (r &* edgeStride &+ j &* V.lanes))
      }
    }
    var whole = unsafe call
    unsafe whole.start = .accumulate
    unsafe whole.c = unsafe edge
    unsafe whole.cStride = edgeStride
    unsafe whole.next = nil
    unsafe run(whole, layout: layout, rows: rows)
    for r in 0..<rows {
      for j in 0..<columns {
        let count = min(max(width &- j &* V.lanes, 0), V.lanes)
        let place = unsafe call.c + (r &* call.cStride &+ j &* V.lanes)
        var value = unsafe V.load(edge + (r &* edgeStride &+ j &* V.lanes))
        if unsafe call.start == .add { value = unsafe V.load(place, count: count) + value }
        unsafe value.store(place, count: count)
      }
    }
  }

  @inlinable @inline(__always)
  static func run(_ call: TileCall<Scalar>, layout: TileLayout, rows: Int) {
    switch rows {
    case 1: unsafe Tile<V, 1, columns>.run(call, layout)
    case 2: unsafe Tile<V, 2, columns>.run(call, layout)
    case 3: unsafe Tile<V, 3, columns>.run(call, layout)
    case 4: unsafe Tile<V, 4, columns>.run(call, layout)
    // The comparisons below are between constants: instances that a register file has no room for are not compiled.
    case 5 where TileGeometry<V>.rows >= 5: unsafe Tile<V, 5, columns>.run(call, layout)
    case 6 where TileGeometry<V>.rows >= 6: unsafe Tile<V, 6, columns>.run(call, layout)
    case 7 where TileGeometry<V>.rows >= 7: unsafe Tile<V, 7, columns>.run(call, layout)
    case 8 where TileGeometry<V>.rows >= 8: unsafe Tile<V, 8, columns>.run(call, layout)
    case 9 where TileGeometry<V>.rows >= 9: unsafe Tile<V, 9, columns>.run(call, layout)
    case 10 where TileGeometry<V>.rows >= 10: unsafe Tile<V, 10, columns>.run(call, layout)
    case 11 where TileGeometry<V>.rows >= 11: unsafe Tile<V, 11, columns>.run(call, layout)
    case 12 where TileGeometry<V>.rows >= 12: unsafe Tile<V, 12, columns>.run(call, layout)
    default: fatalError("a tile of \(rows) rows was asked for; this instruction set has 1 to \(TileGeometry<V>.rows)")
    }
  }
}

/// Chooses how many chains of a row run at a time.
@frozen @usableFromInline enum ChainDispatch<V: Vector, let columns: Int> {
  @inlinable @inline(__always)
  static func run(_ call: TileCall<V.Scalar>, chains: Int) {
    var call = unsafe call
    var left = chains
    while left > 0 {
      let some = min(left, 4)
      switch some {
      case 4: unsafe Tile<V, 4, columns>.runRowChains(call)
      case 3: unsafe Tile<V, 3, columns>.runRowChains(call)
      case 2: unsafe Tile<V, 2, columns>.runRowChains(call)
      default: unsafe Tile<V, 1, columns>.runRowChains(call)
      }
      unsafe call.a += some &* call.depth
      unsafe call.weights += some &* call.depth &* call.weightsStep
      unsafe call.start = .add
      left &-= some
    }
  }
}
