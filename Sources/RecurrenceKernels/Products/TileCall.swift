public import CProcessor

/// What varies from one tile to the next within a product; `Tile` says what each operand is.
@frozen @unsafe @usableFromInline struct TileCall<Scalar: KernelScalar> {
  @usableFromInline var a: UnsafePointer<Scalar>
  @usableFromInline var weights: UnsafePointer<Scalar>
  @usableFromInline var panelStride: Int
  /// Elements from one row of weights to the next, where they do not follow each other; of chains, always.
  @usableFromInline var weightsStep = 0
  @usableFromInline var depth: Int
  @usableFromInline var start: ProductStart
  @usableFromInline var bias: UnsafePointer<Scalar>?
  @usableFromInline var c: UnsafeMutablePointer<Scalar>
  @usableFromInline var cStride: Int
  /// Weights to be fetched meanwhile, and how many cache lines of them for every two steps; null for none.
  @usableFromInline var ahead: UnsafePointer<Scalar>?
  @usableFromInline var aheadLines = 0
  /// What else is to be fetched meanwhile, a cache line for every two steps; null for nothing. Not beside weights.
  @usableFromInline var wanted: UnsafePointer<Scalar>?
  /// C of the tile that follows, to be fetched meanwhile; null for none.
  @usableFromInline var next: UnsafePointer<Scalar>?

  @inlinable @inline(__always)
  init(
    a: UnsafePointer<Scalar>, weights: UnsafePointer<Scalar>, panelStride: Int = 0, depth: Int, start: ProductStart,
    bias: UnsafePointer<Scalar>?, c: UnsafeMutablePointer<Scalar>, cStride: Int
  ) {
    unsafe self.a = a
    unsafe self.weights = weights
    unsafe self.panelStride = panelStride
    unsafe self.depth = depth
    unsafe self.start = start
    unsafe self.bias = bias
    unsafe self.c = c
    unsafe self.cStride = cStride
  }
}

/// How a tile finds A.
@frozen @usableFromInline enum TileLayout {
  /// A is a block of rows copied to `TileGeometry.copiedRowStride`.
  case copiedRows
  /// A is a block of columns: for each k, `TileGeometry.packedColumnStride` scalars, the tile's side by side among them.
  case columns
}

// The instances. None is inlined into the loops around it: a tile wants every register, and one body per shape is what
// keeps the code of a kernel module small.
extension Tile {
  @inlinable @inline(__always)
  static func run(_ call: TileCall<Scalar>, _ layout: TileLayout) {
    switch layout {
    case .copiedRows where unsafe call.ahead != nil: unsafe runCopiedAhead(call)
    case .copiedRows where unsafe call.wanted != nil: unsafe runCopiedWanted(call)
    case .copiedRows: unsafe runCopied(call)
    case .columns: unsafe runColumns(call)
    }
  }

  @inlinable @inline(never)
  static func runCopied(_ call: TileCall<Scalar>) {
    unsafe fetchNext(call)
    unsafe run(
      a: call.a, rowStride: TileGeometry<V>.copiedRowStride, depthStride: 1, weights: call.weights,
      panelVectors: columns, panelStride: 0, depth: call.depth, start: call.start, bias: call.bias,
      c: call.c, cStride: call.cStride)
  }

  /// The same, while other weights are brought near.
  @inlinable @inline(never)
  static func runCopiedAhead(_ call: TileCall<Scalar>) {
    unsafe fetchNext(call)
    unsafe run(
      a: call.a, rowStride: TileGeometry<V>.copiedRowStride, depthStride: 1, weights: call.weights,
      panelVectors: columns, panelStride: 0, depth: call.depth, start: call.start, bias: call.bias,
      c: call.c, cStride: call.cStride, ahead: call.ahead, aheadLines: call.aheadLines)
  }

  /// The same, while what the product's caller wants next is brought near.
  @inlinable @inline(never)
  static func runCopiedWanted(_ call: TileCall<Scalar>) {
    unsafe fetchNext(call)
    unsafe run(
      a: call.a, rowStride: TileGeometry<V>.copiedRowStride, depthStride: 1, weights: call.weights,
      panelVectors: columns, panelStride: 0, depth: call.depth, start: call.start, bias: call.bias,
      c: call.c, cStride: call.cStride, wanted: call.wanted)
  }

  @inlinable @inline(never)
  static func runColumns(_ call: TileCall<Scalar>) {
    unsafe fetchNext(call)
    unsafe run(
      a: call.a, rowStride: 1, depthStride: TileGeometry<V>.packedColumnStride, weights: call.weights,
      panelVectors: columns, panelStride: 0, depth: call.depth, start: call.start, bias: call.bias,
      c: call.c, cStride: call.cStride)
  }

  /// Asks for C of the tile that follows: it is read a tile at a time, where no hardware prefetcher follows.
  @inlinable @inline(__always)
  static func fetchNext(_ call: TileCall<Scalar>) {
    guard let next = unsafe call.next else { return }
    for r in 0..<rows {
      for j in 0..<columns { unsafe recurrence_prefetch(next + (r &* call.cStride &+ j &* V.lanes)) }
    }
  }

  /// A is a block of copied rows; the tile spans several panels of W.
  @inlinable @inline(never)
  static func runCopiedPanels(_ call: TileCall<Scalar>) {
    unsafe run(
      a: call.a, rowStride: TileGeometry<V>.copiedRowStride, depthStride: 1, weights: call.weights,
      panelVectors: TileGeometry<V>.panelVectors, panelStride: call.panelStride, depth: call.depth,
      start: call.start, bias: call.bias, c: call.c, cStride: call.cStride)
  }

  /// A is one row where it lies; the tile spans several panels of W.
  @inlinable @inline(never)
  static func runRow(_ call: TileCall<Scalar>) {
    unsafe run(
      a: call.a, rowStride: 0, depthStride: 1, weights: call.weights,
      panelVectors: TileGeometry<V>.panelVectors, panelStride: call.panelStride, depth: call.depth,
      start: call.start, bias: call.bias, c: call.c, cStride: call.cStride)
  }

  /// The same, of weights that neither L2 nor the hardware's prefetchers have at hand: 3 to 7 % faster, 12
  /// steps ahead as well as 24.
  @inlinable @inline(never)
  static func runFarRow(_ call: TileCall<Scalar>) {
    unsafe run(
      a: call.a, rowStride: 0, depthStride: 1, weights: call.weights,
      panelVectors: TileGeometry<V>.panelVectors, panelStride: call.panelStride, depth: call.depth,
      start: call.start, bias: call.bias, c: call.c, cStride: call.cStride, stepsAhead: 24)
  }

  /// A is one row where it lies, and so are the weights: a panel as wide as the tile.
  @inlinable @inline(never)
  static func runRowInPlace(_ call: TileCall<Scalar>) {
    unsafe run(
      a: call.a, rowStride: 0, depthStride: 1, weights: call.weights, panelVectors: columns, panelStride: 0,
      weightsStep: call.weightsStep, depth: call.depth, start: call.start, bias: call.bias, c: call.c,
      cStride: call.cStride)
  }

  /// A is one row where it lies, and C has but `width` columns: sums begin and end in part of the vectors.
  @inlinable @inline(never)
  static func runRowEdge(_ call: TileCall<Scalar>, width: Int) {
    var sum = Accumulators(repeating: InlineArray<columns, V>(repeating: .zero))
    for j in 0..<columns {
      let count = min(max(width &- j &* V.lanes, 0), V.lanes)
      switch unsafe call.start {
      case .bias: if let bias = unsafe call.bias { sum[0][j] = unsafe V.load(bias + j &* V.lanes, count: count) }
      case .accumulate: sum[0][j] = unsafe V.load(call.c + j &* V.lanes, count: count)
      case .add: break
      }
    }
    for k in unsafe 0..<call.depth {
      unsafe step(
        &sum, a: call.a + k, rowStride: 0, weights: call.weights + k &* columns &* V.lanes, panelVectors: columns,
        panelStride: 0)
    }
    for j in 0..<columns {
      let count = min(max(width &- j &* V.lanes, 0), V.lanes)
      if unsafe call.start == .add { sum[0][j] = unsafe V.load(call.c + j &* V.lanes, count: count) + sum[0][j] }
      unsafe sum[0][j].store(call.c + j &* V.lanes, count: count)
    }
  }

  /// A is one row where it lies, whose sums are `rows` chains at a time, each over `call.depth` of its elements: two
  /// accumulators would wait for each other's latency.
  @inlinable @inline(never)
  static func runRowChains(_ call: TileCall<Scalar>) {
    var sum = Accumulators(repeating: InlineArray<columns, V>(repeating: .zero))
    for j in 0..<columns {
      switch unsafe call.start {
      case .bias: if let bias = unsafe call.bias { sum[0][j] = unsafe V.load(bias + j &* V.lanes) }
      case .accumulate: sum[0][j] = unsafe V.load(call.c + j &* V.lanes)
      case .add: break
      }
    }
    let (depth, step) = unsafe (call.depth, call.weightsStep)
    var (a, w) = unsafe (call.a, call.weights)
    for _ in 0..<depth {
      for r in 0..<rows {
        let x = unsafe V(repeating: a[r &* depth])
        let row = unsafe w + r &* depth &* step
        for j in 0..<columns { sum[r][j] = unsafe V.multiplyAdd(x, V.load(row + j &* V.lanes), sum[r][j]) }
      }
      unsafe a += 1
      unsafe w += step
    }
    for j in 0..<columns {
      var total = sum[0][j]
      if unsafe call.start == .add { total = unsafe V.load(call.c + j &* V.lanes) + total }
      for r in 1..<rows { total = total + sum[r][j] }
      unsafe total.store(call.c + j &* V.lanes)
    }
  }
}
