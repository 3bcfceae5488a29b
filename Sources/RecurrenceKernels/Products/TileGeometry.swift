// How a matrix product is cut up. Bits do not depend on any of these numbers: every output is one chain of
// multiply-adds in ascending (AᵀB: descending) order, held in a register within a depth block and in C between blocks; or
// chains, as the operands say, each at most a block deep.

/// The shape of register tiles and cache blocks for one vector type.
///
/// A tile is `rows` × two vectors of C. On 16 registers, 6 × 2 accumulators leave room for two vectors of weights and
/// one broadcast; on 32, 12 × 2 leave six. Both need more than the 8 chains that two multiply-add pipes of latency 4
/// keep busy, and issue fewer loads than multiply-adds. Without a fused multiply-add every product needs a register of
/// its own: at 4 × 2 accumulators spill, and 3 × 2 runs 1.6 times as fast.
@frozen public enum TileGeometry<V: Vector> {
  /// Most rows of C in one tile.
  @inlinable @inline(__always)
  public static var rows: Int { V.registers == 32 ? 12 : V.isFused ? 6 : 3 }
  /// Vectors across one tile and one packed panel.
  @inlinable @inline(__always) public static var panelVectors: Int { 2 }
  /// Columns of one packed panel.
  @inlinable @inline(__always) public static var panelWidth: Int { panelVectors &* V.lanes }

  /// Panels that so many columns take, the last one perhaps in part.
  @inlinable @inline(__always) static func panels(_ columns: Int) -> Int {
    (columns &+ panelWidth &- 1) / panelWidth
  }

  /// Scalars of one cache line.
  @inlinable @inline(__always) static var line: Int { 64 / MemoryLayout<V.Scalar>.stride }
  /// Cache lines that two steps of a panel take.
  @inlinable @inline(__always) static var panelLines: Int { 2 &* panelWidth / line }
  /// Scalars of a matrix up to which nothing of it is asked for ahead of its turn: L2 has them.
  @inlinable @inline(__always) static var nearScalars: Int { 1_048_576 / MemoryLayout<V.Scalar>.stride }

  /// Depth of one block: a panel takes 32 KiB, or what 512 steps take where vectors are longer. Shorter blocks would let
  /// it stay in L1, but start and end more tiles, and C passes through the caches once for every block: 256 steps lose
  /// 1.5 % of a product of 1024³ on 16 registers, 2 % on vectors of 64 bytes.
  @inlinable @inline(__always)
  public static var depthBlock: Int { max(512, 32768 / (panelWidth &* MemoryLayout<V.Scalar>.stride)) }
  /// Bytes of A that are copied at a time. Vectors of 64 bytes come with an L2 of 1 MiB or more, and a larger block reads
  /// the weights less often from what lies beyond it.
  @inlinable @inline(__always)
  static var blockBytes: Int { V.lanes &* MemoryLayout<V.Scalar>.stride == 64 ? 393_216 : 196_608 }
  /// Elements from one row of a copied block of A to the next. Fixed, so that the rows of a tile are constant
  /// displacements from one register; not a power of two, so that they fall into different cache sets.
  @inlinable @inline(__always) public static var copiedRowStride: Int { depthBlock &+ line }
  /// Rows of A copied at a time, whole tiles: at most `blockBytes`, which stay in L2 while all panels pass over them.
  @inlinable @inline(__always)
  public static var rowBlock: Int { blockBytes / (copiedRowStride &* MemoryLayout<V.Scalar>.stride) / rows &* rows }
  /// Columns of A packed at a time in AᵀB, whole tiles: at most three quarters of `blockBytes`. Rows of A are read in
  /// pieces of this length, and short pieces of far-apart rows cost a page walk each.
  @inlinable @inline(__always)
  public static var transposedRowBlock: Int {
    blockBytes / 4 &* 3 / (depthBlock &* MemoryLayout<V.Scalar>.stride) / rows &* rows
  }
  /// Columns of B that pass over a block of A before the next ones do: their panels stay in L2.
  @inlinable @inline(__always) public static var nearColumns: Int { 256 }
  /// Columns of B packed at a time in AᵀB: A is packed once for all of them.
  @inlinable @inline(__always) public static var columnBlock: Int { 1024 }

  /// Scalars of a tile's worth of C, for tiles that hang over the edge. Part of every scratch memory.
  @inlinable @inline(__always) public static var edgeScratch: Int { rows &* panelWidth }
  /// Scalars of scratch memory that `ProductKernel` needs.
  @inlinable @inline(__always) public static var productScratch: Int { rowBlock &* copiedRowStride &+ edgeScratch }
  /// Panels that are packed at a time of weights that lie as they are: half of an L2 of 2 MiB, and of a smaller one what is
  /// read again for each block of rows comes from L3, as packed weights of this size do.
  @inlinable @inline(__always) static var inPlacePanels: Int { 512 / panelWidth }
  /// Where they lie in scratch memory, behind what every product needs: at a cache line.
  @inlinable @inline(__always)
  static var inPlaceStart: Int { (productScratch &+ line &- 1) / line &* line }
  /// Scalars of scratch memory that `ProductKernel` needs for several rows and weights that are not packed.
  @inlinable @inline(__always)
  public static var inPlaceScratch: Int { inPlaceStart &+ inPlacePanels &* packedPanelStride }
  /// Scalars from one packed row of A to the next in AᵀB: whole cache lines, and an odd number of them, so that the lines
  /// that a tile reads fall into all sets of the cache.
  @inlinable @inline(__always)
  public static var packedColumnStride: Int { ((transposedRowBlock &+ line &- 1) / line | 1) &* line }
  /// Scalars from one packed panel of B to the next in AᵀB: a block, and a cache line that spreads the panels, which a row
  /// of B is dealt to, over the cache's sets.
  @inlinable @inline(__always)
  public static var packedPanelStride: Int { panelWidth &* depthBlock &+ line }
  /// Scalars of scratch memory that `TransposedProductKernel` needs at most: an edge tile and blocks of A and of B.
  @inlinable @inline(__always)
  public static var transposedScratch: Int {
    edgeScratch &+ columnBlock / panelWidth &* packedPanelStride &+ packedColumnStride &* depthBlock
  }
}

/// Splits `count` items into the fewest parts of at most `limit`, as even as possible: no part is a sliver.
@frozen public struct EvenSplit {
  public let parts: Int
  @usableFromInline let size: Int
  @usableFromInline let larger: Int

  @inlinable @inline(__always)
  public init(_ count: Int, limit: Int) {
    self.init(count, parts: (count &+ limit &- 1) / limit)
  }

  @inlinable @inline(__always)
  public init(_ count: Int, parts: Int) {
    self.parts = parts
    size = parts > 0 ? count / parts : 0
    larger = count &- size &* parts
  }

  /// Start of part `index`, 0 ≤ index ≤ parts; the start of part `parts` is the end.
  @inlinable @inline(__always)
  public func start(_ index: Int) -> Int { index &* size &+ (index < larger ? index : larger) }

  /// Items in part `index`, 0 ≤ index < parts.
  @inlinable @inline(__always)
  public func count(_ index: Int) -> Int { size &+ (index < larger ? 1 : 0) }

  @inlinable @inline(__always)
  public func range(_ index: Int) -> Range<Int> { unsafe Range(uncheckedBounds: (start(index), start(index &+ 1))) }
}
