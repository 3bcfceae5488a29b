// C[M, N] = start + A[M, K] · W, W packed. Serves A·Wᵀ (rows packed) and A·W (columns packed) alike.
//
//   for each depth block:  for each row block: copy A's rows to a fixed stride      (stays in L2)
//     for each panel of W:                                                          (streams from L2)
//       for each tile of rows: Tile
//
// Copying the rows costs one load and one store per element of A against N multiply-adds, and removes every effect of
// A's stride: a leading dimension that is a power of two would put all rows of a tile into one cache set.

/// Memory that is only named.
@frozen @unsafe public struct Stretch<Scalar: KernelScalar> {
  public var base: UnsafePointer<Scalar>?
  /// In scalars.
  public var count: Int

  @inlinable @inline(__always)
  public init(_ base: UnsafePointer<Scalar>? = nil, count: Int = 0) {
    unsafe self.base = unsafe base
    unsafe self.count = count
  }
}

/// The operands of a product, C[M, N] = start + A[M, K] · W[K, N]. 128 bytes, which compilers copy without a call.
@frozen @unsafe public struct ProductOperands<Scalar: KernelScalar> {
  /// In, [M, K].
  public var a: MatrixView<Scalar>
  /// In, packed by the same kernel table for N outputs and depth K; 64-byte aligned. Or W where it lies, whose N columns are
  /// whole vectors: one row reads each weight once, many rows pack a block at a time, which is little beside what they do
  /// with it.
  public var weights: UnsafePointer<Scalar>
  /// Elements from one row of W to the next where it lies as it is; 0 where it is packed.
  public var weightsStride = 0
  /// In, N elements, or null for none. Used where `start` is `.bias`.
  public var bias: UnsafePointer<Scalar>?
  /// Out, and in where `start` is not `.bias`; [M, N]. Must not overlap the other operands.
  public var c: MutableMatrixView<Scalar>
  public var start: ProductStart
  /// Whether a product of one row visits panels from the last to the first, which no bit depends on. Where steps through
  /// time take turns, each begins with the weights that the one before left in the caches.
  public var descending = false
  /// Whether products of other weights come between one of these and the next, so that caches have nothing of them left.
  public var takesTurns = false
  @usableFromInline var chainCount: Int32 = 1
  /// What will be wanted after the product, two stretches of memory: asked for by those of its tiles that do not ask for
  /// weights.
  public var wanted = unsafe Stretch<Scalar>()
  public var wantedToo = unsafe Stretch<Scalar>()

  @inlinable
  public init(
    a: MatrixView<Scalar>, weights: UnsafePointer<Scalar>, bias: UnsafePointer<Scalar>?,
    c: MutableMatrixView<Scalar>, start: ProductStart
  ) {
    unsafe self.a = a
    unsafe self.weights = weights
    unsafe self.bias = bias
    unsafe self.c = c
    unsafe self.start = start
  }

  /// Parts of K, as long as each other and at most a block deep: each but the first is summed from zero, and added to the
  /// sum of those before it. A product of one row and few columns takes them at a time.
  @inlinable public var chains: Int {
    @inline(__always) get { unsafe Int(chainCount) }
    @inline(__always) set { unsafe chainCount = Int32(truncatingIfNeeded: newValue) }
  }

  /// A place in what is wanted, both stretches taken for one; nil after them.
  @inlinable @inline(__always)
  func wanted(at place: Int) -> UnsafePointer<Scalar>? {
    if unsafe place < wanted.count { return unsafe wanted.base! + place }
    let rest = unsafe place &- wanted.count
    return if unsafe rest < wantedToo.count { unsafe wantedToo.base! + rest } else { nil }
  }
}

@frozen public enum ProductKernel<V: Vector> {
  public typealias Scalar = V.Scalar
  @usableFromInline typealias Geometry = TileGeometry<V>

  /// Computes the rows and panels given, all of them together being the whole of C.
  ///
  /// - Parameters:
  ///   - rows: rows of C, within 0..<M.
  ///   - panels: panels of W, within 0..<⌈N / panelWidth⌉.
  ///   - scratch: `TileGeometry.productScratch` scalars, or `inPlaceScratch` where several rows meet weights that are not
  ///     packed; overwritten; 64-byte aligned; not shared between threads.
  @inlinable @inline(__always)
  public static func run(
    _ operands: ProductOperands<Scalar>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe check(operands, rows: rows, panels: panels, scratch: scratch)
    if rows.isEmpty || panels.isEmpty { return }
    unsafe runUnchecked(operands, rows: rows, panels: panels, scratch: scratch)
  }

  /// All of C, of operands that were checked.
  @inlinable @inline(__always)
  static func runUnchecked(_ operands: ProductOperands<Scalar>, scratch: UnsafeMutablePointer<Scalar>) {
    unsafe runUnchecked(operands, rows: 0..<operands.c.rows, panels: 0..<panels(operands), scratch: scratch)
  }

  @inlinable @inline(__always)
  static func runUnchecked(
    _ operands: ProductOperands<Scalar>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Scalar>
  ) {
    if rows.count == 1 { return unsafe runRow(operands, row: rows.lowerBound, panels: panels) }
    if unsafe isAddedWhole(operands) { return unsafe runRows(operands, rows: rows, panels: panels) }
    if unsafe operands.weightsStride > 0 {
      return unsafe runBlocksInPlace(operands, rows: rows, panels: panels, scratch: scratch)
    }
    unsafe runBlocks(operands, rows: rows, panels: panels, scratch: scratch)
  }

  /// A row at a time.
  @inlinable @inline(never)
  static func runRows(_ operands: ProductOperands<Scalar>, rows: Range<Int>, panels: Range<Int>) {
    for row in rows { unsafe runRow(operands, row: row, panels: panels) }
  }

  /// Whether sums that are added to C have no place to wait in between two blocks of their depth: each block would be added
  /// by itself. Rare enough for a row at a time.
  @inlinable @inline(__always)
  static func isAddedWhole(_ operands: ProductOperands<Scalar>) -> Bool {
    unsafe operands.start == .add && operands.chains == 1 && operands.a.columns > Geometry.depthBlock
  }

  /// Several rows, in blocks.
  @inlinable @inline(__always)
  static func runBlocks(
    _ operands: ProductOperands<Scalar>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Scalar>
  ) {
    let depth = unsafe operands.a.columns
    let chains = unsafe operands.chains
    let blocks = chains > 1 ? chains : max(1, (depth &+ Geometry.depthBlock &- 1) / Geometry.depthBlock)
    let depthBlocks = EvenSplit(depth, parts: blocks)
    let rowBlocks = EvenSplit(rows.count, limit: Geometry.rowBlock)
    // Rows of one block are copied once for all chains.
    let copiesAtOnce = chains > 1 && depth <= Geometry.depthBlock && rowBlocks.parts == 1
    for d in 0..<depthBlocks.parts {
      let k = depthBlocks.range(d)
      let start = unsafe d == 0 ? operands.start : chains > 1 ? .add : .accumulate
      for i in 0..<rowBlocks.parts {
        let block = rowBlocks.range(i)
        let first = rows.lowerBound &+ block.lowerBound
        if !copiesAtOnce || d == 0 {
          let copied = unsafe copiesAtOnce ? Range(uncheckedBounds: (0, depth)) : k
          unsafe copyRows(operands.a, rows: first..<(first &+ block.count), depth: copied, into: scratch)
        }
        let a = unsafe copiesAtOnce ? scratch + k.lowerBound : scratch
        var panel = panels.lowerBound
        if block.count == 2 {
          panel = unsafe runPairsOfPanels(operands, panels: panels, firstRow: first, depth: k, start: start, copied: a)
        }
        while panel < panels.upperBound {
          unsafe runPanel(
            operands, panel: panel, weights: packedWeights(operands, panel: panel, from: k.lowerBound), firstRow: first,
            rowCount: block.count, depth: k, start: start, copied: a, scratch: scratch)
          panel &+= 1
        }
      }
    }
  }

  /// A panel of packed weights, from a step on.
  @inlinable @inline(__always)
  static func packedWeights(_ operands: ProductOperands<Scalar>, panel: Int, from k: Int) -> UnsafePointer<Scalar> {
    let firstColumn = panel &* Geometry.panelWidth
    let width = unsafe operands.c.columns &- firstColumn
    return unsafe operands.weights
      + (firstColumn &* operands.a.columns &+ k &* (width > V.lanes ? Geometry.panelWidth : V.lanes))
  }

  @inlinable @inline(__always)
  static func check(
    _ operands: ProductOperands<Scalar>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe check(operands, scratch: scratch)
    unsafe checkRange(rows, within: operands.c.rows, "rows")
    unsafe checkRange(panels, within: self.panels(operands), "panels")
  }

  @inlinable @inline(__always)
  static func check(_ operands: ProductOperands<Scalar>, scratch: UnsafeMutablePointer<Scalar>) {
    unsafe checkEqual(operands.a.rows, operands.c.rows, "rows of a", "rows of c")
    unsafe checkAlignment(scratch, "scratch")
    let (depth, chains) = unsafe (operands.a.columns, operands.chains)
    if chains != 1, chains < 1 || depth % chains != 0 || depth / chains > Geometry.depthBlock {
      chainsFailure(chains, depth, Geometry.depthBlock)
    }
    if unsafe operands.weightsStride == 0 { return unsafe checkAlignment(operands.weights, "packed weights") }
    let (columns, stride) = unsafe (operands.c.columns, operands.weightsStride)
    if columns % V.lanes != 0 || stride < columns { inPlaceFailure(columns, stride, V.lanes) }
    if unsafe chains > 1 && operands.c.rows > 1 { unsafe inPlaceChainsFailure(chains, operands.c.rows) }
  }

  /// Panels that W has.
  @inlinable @inline(__always)
  static func panels(_ operands: ProductOperands<Scalar>) -> Int {
    unsafe Geometry.panels(operands.c.columns)
  }

  /// Copies A[rows, depth] to `copiedRowStride`.
  @inlinable @inline(__always)
  static func copyRows(
    _ a: MatrixView<Scalar>, rows: Range<Int>, depth: Range<Int>, into scratch: UnsafeMutablePointer<Scalar>
  ) {
    let vectors = depth.count / V.lanes
    let tail = depth.count &- vectors &* V.lanes
    var to = unsafe scratch
    for r in rows {
      let from = unsafe a.pointer(row: r, column: depth.lowerBound)
      for j in 0..<vectors { unsafe V.load(from + j &* V.lanes).store(to + j &* V.lanes) }
      if tail > 0 { unsafe V.load(from + vectors &* V.lanes, count: tail).store(to + vectors &* V.lanes) }
      unsafe to += Geometry.copiedRowStride
    }
  }

  /// Whether the tiles of a panel ask for the panel that follows: the caches have not all of W. Where products take turns, they
  /// have some, and one tile alone would ask for it in less time than it takes to arrive.
  @inlinable @inline(__always)
  static func asksForWeights(_ operands: ProductOperands<Scalar>, tiles: Int) -> Bool {
    if unsafe operands.weightsStride > 0 { return false }
    let size = unsafe operands.a.columns &* operands.c.columns
    return unsafe size > Geometry.nearScalars || operands.takesTurns && tiles > 1 && 2 &* size >= Geometry.nearScalars
  }

  /// One panel of W against all rows of a copied block. The tiles ask for the panel that follows, unless they pack it.
  ///
  /// - Parameters:
  ///   - weights: the panel, from the first step of `depth` on.
  ///   - copied: rows of A likewise.
  ///   - scratch: all of the scratch memory.
  @inlinable @inline(__always)
  static func runPanel(
    _ operands: ProductOperands<Scalar>, panel: Int, weights: UnsafePointer<Scalar>, firstRow: Int, rowCount: Int,
    depth: Range<Int>, start: ProductStart, copied: UnsafeMutablePointer<Scalar>, scratch: UnsafeMutablePointer<Scalar>
  ) {
    let firstColumn = panel &* Geometry.panelWidth
    let width = unsafe min(Geometry.panelWidth, operands.c.columns &- firstColumn)
    let tiles = EvenSplit(rowCount, limit: Geometry.rows)
    let edge = unsafe scratch + Geometry.rowBlock &* Geometry.copiedRowStride
    // Each tile asks for its part of the panel: one alone would ask for more than memory delivers meanwhile.
    var ahead = unsafe weights + Geometry.panelWidth &* operands.a.columns
    let linesPerTile = (Geometry.panelLines &+ tiles.parts &- 1) / tiles.parts
    var linesLeft = unsafe asksForWeights(operands, tiles: tiles.parts) ? Geometry.panelLines : 0
    // What else is wanted is for the tiles that are left.
    let tilesLeft = tiles.parts &- (linesLeft &+ linesPerTile &- 1) / linesPerTile
    let wantedPerTile = depth.count / 2 &* Geometry.line
    var place = panel &* tilesLeft &* wantedPerTile
    let asksForC = unsafe start == .accumulate && 2 &* operands.c.rows &* operands.c.stride >= Geometry.nearScalars
    for t in 0..<tiles.parts {
      let rows = tiles.range(t)
      var call = unsafe TileCall(
        a: copied + rows.lowerBound &* Geometry.copiedRowStride, weights: weights, depth: depth.count, start: start,
        bias: biasPointer(operands, firstColumn),
        c: operands.c.pointer(row: firstRow &+ rows.lowerBound, column: firstColumn), cStride: operands.c.stride)
      if linesLeft > 0 {
        unsafe (call.ahead, call.aheadLines) = unsafe (ahead, linesPerTile)
        unsafe ahead += linesPerTile &* (depth.count / 2) &* Geometry.line
        linesLeft &-= linesPerTile
      } else if depth.lowerBound == 0, let wanted = unsafe operands.wanted(at: place) {
        unsafe call.wanted = unsafe wanted
        place &+= wantedPerTile
      }
      if asksForC {
        let isLast = t &+ 1 == tiles.parts
        unsafe call.next = UnsafePointer(
          operands.c.pointer(
            row: isLast ? firstRow : firstRow &+ rows.upperBound,
            column: isLast ? firstColumn &+ Geometry.panelWidth : firstColumn))
      }
      unsafe PanelTile<V>.run(call, layout: .copiedRows, rows: rows.count, width: width, edge: edge)
    }
  }

  /// Two rows of A against two panels at a time, as long as whole ones remain: against one panel, the four accumulators
  /// of a tile would wait for each other's latency. Returns the first panel that is left.
  @inlinable @inline(__always)
  static func runPairsOfPanels(
    _ operands: ProductOperands<Scalar>, panels: Range<Int>, firstRow: Int, depth: Range<Int>, start: ProductStart,
    copied: UnsafePointer<Scalar>
  ) -> Int {
    let width = Geometry.panelWidth
    let wholePanels = unsafe min(panels.upperBound, operands.c.columns / width)
    var panel = panels.lowerBound
    while panel &+ 2 <= wholePanels {
      let firstColumn = panel &* width
      unsafe Tile<V, 2, 4>.runCopiedPanels(
        TileCall(
          a: copied, weights: operands.weights + (firstColumn &* operands.a.columns &+ depth.lowerBound &* width),
          panelStride: width &* operands.a.columns, depth: depth.count, start: start,
          bias: biasPointer(operands, firstColumn), c: operands.c.pointer(row: firstRow, column: firstColumn),
          cStride: operands.c.stride))
      panel &+= 2
    }
    return panel
  }

  /// One row of A, read where it lies: up to four panels at a time, because two accumulators would wait for each other's
  /// latency. The order of each sum is that of the tiles.
  @inlinable @inline(__always)
  static func runRow(_ operands: ProductOperands<Scalar>, row: Int, panels: Range<Int>) {
    if unsafe operands.chains > 1 {
      unsafe runRowChains(operands, row: row, panels: panels)
    } else if unsafe operands.weightsStride > 0 {
      unsafe runRowInPlace(operands, row: row, panels: panels)
    } else if unsafe operands.descending && panels.count > 4 {
      unsafe runRowDescending(operands, row: row, panels: panels)
    } else {
      unsafe runRow(operands, row: row, first: panels.lowerBound, end: panels.upperBound)
    }
  }

  @inlinable @inline(never)
  static func runRowDescending(_ operands: ProductOperands<Scalar>, row: Int, panels: Range<Int>) {
    var end = panels.upperBound
    // Four at a time from the first on, as the other way.
    var first = end &- 1 &- (panels.count &- 1) % 4
    while first >= panels.lowerBound {
      unsafe runRow(operands, row: row, first: first, end: end)
      end = first
      first &-= 4
    }
  }

  @inlinable @inline(__always)
  static func runRow(_ operands: ProductOperands<Scalar>, row: Int, first: Int, end: Int) {
    let depth = unsafe operands.a.columns
    let width = Geometry.panelWidth
    let wholePanels = unsafe min(end, operands.c.columns / width)
    let isFar = unsafe operands.takesTurns && depth &* operands.c.columns >= Geometry.nearScalars
    var panel = first
    while panel < end {
      let firstColumn = panel &* width
      let call = unsafe TileCall(
        a: operands.a.pointer(row: row, column: 0), weights: operands.weights + firstColumn &* depth,
        panelStride: width &* depth, depth: depth, start: operands.start, bias: biasPointer(operands, firstColumn),
        c: operands.c.pointer(row: row, column: firstColumn), cStride: 0)
      if panel &+ 4 <= wholePanels {
        if isFar { unsafe Tile<V, 1, 8>.runFarRow(call) } else { unsafe Tile<V, 1, 8>.runRow(call) }
        panel &+= 4
      } else if panel &+ 3 <= wholePanels {
        unsafe Tile<V, 1, 6>.runRow(call)
        panel &+= 3
      } else if panel &+ 2 <= wholePanels {
        unsafe Tile<V, 1, 4>.runRow(call)
        panel &+= 2
      } else {
        let rest = unsafe min(width, operands.c.columns &- firstColumn)
        switch rest {
        case V.lanes: unsafe Tile<V, 1, 1>.runCopied(call)
        case ..<V.lanes: unsafe Tile<V, 1, 1>.runRowEdge(call, width: rest)
        case width: unsafe Tile<V, 1, 2>.runCopied(call)
        default: unsafe Tile<V, 1, 2>.runRowEdge(call, width: rest)
        }
        panel &+= 1
      }
    }
  }

  /// One row of A, whose sums are chains: panel by panel, with all chains of a panel at a time.
  @inlinable @inline(never)
  static func runRowChains(_ operands: ProductOperands<Scalar>, row: Int, panels: Range<Int>) {
    let width = Geometry.panelWidth
    let depth = unsafe operands.a.columns / operands.chains
    for panel in panels.lowerBound..<panels.upperBound {
      let column = panel &* width
      let rest = unsafe min(width, operands.c.columns &- column)
      let inPlace = unsafe operands.weightsStride > 0
      let packed = rest > V.lanes ? width : V.lanes
      var call = unsafe TileCall(
        a: operands.a.pointer(row: row, column: 0),
        weights: operands.weights + (inPlace ? column : column &* operands.a.columns), depth: depth,
        start: operands.start, bias: biasPointer(operands, column), c: operands.c.pointer(row: row, column: column),
        cStride: 0)
      unsafe call.weightsStep = unsafe inPlace ? operands.weightsStride : packed
      if rest == width {
        unsafe ChainDispatch<V, 2>.run(call, chains: operands.chains)
      } else if rest == V.lanes {
        unsafe ChainDispatch<V, 1>.run(call, chains: operands.chains)
      } else {
        for _ in unsafe 0..<operands.chains {
          if rest > V.lanes {
            unsafe Tile<V, 1, 2>.runRowEdge(call, width: rest)
          } else {
            unsafe Tile<V, 1, 1>.runRowEdge(call, width: rest)
          }
          unsafe call.a += depth
          unsafe call.weights += depth &* packed
          unsafe call.start = .add
        }
      }
    }
  }

  @inlinable @inline(__always)
  static func biasPointer(_ operands: ProductOperands<Scalar>, _ column: Int) -> UnsafePointer<Scalar>? {
    if let bias = unsafe operands.bias { unsafe bias + column } else { nil }
  }
}
