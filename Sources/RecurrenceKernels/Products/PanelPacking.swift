/// Weights in the order the tiles read them.
///
/// N outputs by K inputs become ⌈N / panelWidth⌉ panels; panel p holds, for k = 0 … K − 1, the weights of its outputs
/// for input k, side by side. The last panel is one vector wide where that is enough, and is filled up with zeros. The
/// layout belongs to the instruction set that made it: elsewhere it is so many opaque bytes.
@frozen public enum PanelPacking<V: Vector> {
  public typealias Scalar = V.Scalar

  /// Outputs that the panels cover, `outputs` rounded up to whole vectors.
  @inlinable @inline(__always)
  static func paddedOutputs(_ outputs: Int) -> Int { (outputs &+ V.lanes &- 1) / V.lanes &* V.lanes }

  /// Scalars that packed weights take. Traps with a sentence where a size is negative or the result overflows.
  @inlinable
  public static func count(outputs: Int, depth: Int) -> Int {
    if outputs < 0 || depth < 0 {
      fatalError("packed weights: sizes must not be negative, got \(outputs) outputs and depth \(depth)")
    }
    let (padded, overflow) = outputs.addingReportingOverflow(TileGeometry<V>.panelWidth)
    let (count, overflow2) = padded.multipliedReportingOverflow(by: depth)
    let (_, overflow3) = count.multipliedReportingOverflow(by: MemoryLayout<Scalar>.stride)
    if overflow || overflow2 || overflow3 {
      fatalError("packed weights: \(outputs) outputs by depth \(depth) overflow the address space")
    }
    return paddedOutputs(outputs) &* depth
  }

  /// Packs rows of W[N, K], one row an output, for C = A·Wᵀ: `weights` are its rows from `row` on, with which a panel begins,
  /// up to the end of a panel or of W.
  @inlinable
  public static func packRows(
    _ weights: MatrixView<Scalar>, from row: Int, into packed: UnsafeMutablePointer<Scalar>
  ) {
    unsafe checkAlignment(packed, "packed weights")
    let width = TileGeometry<V>.panelWidth
    if row < 0 || row % width != 0 { panelFailure(row, width) }
    let depth = unsafe weights.columns
    var first = 0
    while unsafe first < weights.rows {
      let outputs = unsafe min(width, weights.rows &- first)
      let padded = paddedOutputs(outputs)
      let panel = unsafe packed + (row &+ first) &* depth
      let whole = outputs / V.lanes
      unsafe packVectors(weights, firstRow: first, vectors: whole, into: panel, stride: padded)
      let rest = whole &* V.lanes
      if rest < outputs {
        unsafe packPartialVector(
          weights, firstRow: first &+ rest, rows: outputs &- rest, into: panel + rest, stride: padded)
      }
      first &+= width
    }
  }

  /// `vectors` · `lanes` outputs, blocks transposed in registers. A cache line of every row is used up, and the lines of
  /// the panel that it goes to are filled, before the next.
  @inlinable @inline(__always)
  static func packVectors(
    _ weights: MatrixView<Scalar>, firstRow: Int, vectors: Int, into panel: UnsafeMutablePointer<Scalar>, stride: Int
  ) {
    let depth = unsafe weights.columns
    let line = max(V.lanes, 64 / MemoryLayout<Scalar>.stride)
    var k = 0
    while k < depth {
      let end = min(k &+ line, depth)
      for n in 0..<vectors {
        let row = firstRow &+ n &* V.lanes
        let column = unsafe panel + n &* V.lanes
        var i = k
        while i &+ V.lanes <= end {
          unsafe V.transpose(
            weights.pointer(row: row, column: i), sourceStride: weights.stride,
            to: column + i &* stride, destinationStride: stride)
          i &+= V.lanes
        }
        while i < end {
          for l in 0..<V.lanes {
            unsafe column[i &* stride &+ l] = unsafe weights.pointer(row: row &+ l, column: i)[0]
          }
          i &+= 1
        }
      }
      k = end
    }
  }

  /// Fewer than `lanes` outputs, filled up with zeros.
  @inlinable @inline(never)
  static func packPartialVector(
    _ weights: MatrixView<Scalar>, firstRow: Int, rows: Int, into panel: UnsafeMutablePointer<Scalar>, stride: Int
  ) {
    for k in unsafe 0..<weights.columns {
      for n in 0..<V.lanes {
        unsafe panel[k &* stride &+ n] = unsafe n < rows ? weights.pointer(row: firstRow &+ n, column: k)[0] : 0
      }
    }
  }

  /// Packs rows of W[K, N], one column an output, for C = A·W: `weights` are its rows from `row` on, and `depth` is K.
  @inlinable
  public static func packColumns(
    _ weights: MatrixView<Scalar>, from row: Int, of depth: Int, into packed: UnsafeMutablePointer<Scalar>
  ) {
    unsafe checkAlignment(packed, "packed weights")
    if unsafe row < 0 || row > depth || weights.rows > depth &- row { unsafe rowsFailure(row, weights.rows, depth) }
    // A few rows at a time, along which the hardware's prefetchers follow.
    var k = 0
    while unsafe k < weights.rows {
      let rows = unsafe Range(uncheckedBounds: (k, min(k &+ 8, weights.rows)))
      var first = 0
      while unsafe first < weights.columns {
        let outputs = unsafe min(TileGeometry<V>.panelWidth, weights.columns &- first)
        unsafe packPanel(
          weights, rows: rows, reversed: false, firstColumn: first, columns: outputs,
          into: packed + (first &* depth &+ (row &+ k) &* paddedOutputs(outputs)))
        first &+= TileGeometry<V>.panelWidth
      }
      k &+= 8
    }
  }

  /// Copies `columns` columns of the rows in `rows` side by side, padded with zeros to whole vectors; from the last
  /// row to the first where `reversed`.
  @inlinable @inline(__always)
  static func packPanel(
    _ source: MatrixView<Scalar>, rows: Range<Int>, reversed: Bool, firstColumn: Int, columns: Int,
    into panel: UnsafeMutablePointer<Scalar>
  ) {
    let vectors = (columns &+ V.lanes &- 1) / V.lanes
    let lastCount = columns &- (vectors &- 1) &* V.lanes
    var from = unsafe source.pointer(row: reversed ? rows.upperBound &- 1 : rows.lowerBound, column: firstColumn)
    let step = unsafe reversed ? -source.stride : source.stride
    var to = unsafe panel
    var k = rows.count
    while k > 0 {
      var j = 0
      while j < vectors &- 1 {
        unsafe V.load(from + j &* V.lanes).store(to + j &* V.lanes)
        j &+= 1
      }
      unsafe V.load(from + j &* V.lanes, count: lastCount).store(to + j &* V.lanes)
      unsafe to += vectors &* V.lanes
      k &-= 1
      if k > 0 { unsafe from += step }
    }
  }
}
