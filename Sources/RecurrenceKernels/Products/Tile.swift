public import CProcessor

/// Where the accumulators of a product start.
@frozen public enum ProductStart: Sendable {
  /// C is overwritten: sums start at the bias, or at zero where there is none.
  case bias
  /// C is accumulated into: sums start at its content.
  case accumulate
  /// C is added to: sums start at zero, and are added to its content.
  case add
}

/// A block of C held in registers: `rows` rows of `columns` vectors.
///
///     C[r, j] ← start + Σ_k A(r, k) · W[k, j],  k ascending, one chain per output; with `.add`, C + the chain
///
/// A(r, k) is `a[r * rowStride + k * depthStride]`. W is `columns / panelVectors` packed panels, `panelStride` elements
/// apart; within a panel, row k of `panelVectors` vectors follows row k − 1. Or W is one panel as wide as the tile, of a
/// matrix that nobody packed: its rows are `weightsStep` elements apart.
@frozen public enum Tile<V: Vector, let rows: Int, let columns: Int> {
  public typealias Scalar = V.Scalar
  @usableFromInline typealias Accumulators = InlineArray<rows, InlineArray<columns, V>>

  /// Tiles are always whole: at the right edge, where C has fewer columns, the caller passes a buffer as C and copies.
  ///
  /// - Parameters:
  ///   - a: in; see above. `rowStride` and `depthStride` are constants at every call, and this function is inlined, so
  ///     that rows become displacements.
  ///   - weights: in; packed panels of `panelVectors` vectors across.
  ///   - weightsStep: elements from one row of a panel to the next; nil where they follow each other.
  ///   - depth: number of k, may be zero.
  ///   - bias: in; where sums start; null for zero. Ignored if C is accumulated into.
  ///   - c: in if accumulated into, out; rows `cStride` apart.
  ///   - stepsAhead: how far ahead the weights themselves are asked for; 0 for not.
  ///   - ahead: weights to bring to L2 meanwhile, `aheadLines` cache lines for every two steps; null for none.
  ///   - wanted: what else to bring to L2, a cache line for every two steps; null for nothing. Asked for by a loop over one
  ///     line, a pass of an RNN took 1 to 2 % longer.
  @inlinable @inline(__always)
  static func run(
    a: UnsafePointer<Scalar>, rowStride: Int, depthStride: Int,
    weights: UnsafePointer<Scalar>, panelVectors: Int, panelStride: Int, weightsStep: Int? = nil, depth: Int,
    start: ProductStart, bias: UnsafePointer<Scalar>?, c: UnsafeMutablePointer<Scalar>, cStride: Int,
    ahead: UnsafePointer<Scalar>? = nil, aheadLines: Int = 0, stepsAhead: Int = 0,
    wanted: UnsafePointer<Scalar>? = nil
  ) {
    var sum = Accumulators(repeating: InlineArray<columns, V>(repeating: .zero))
    switch start {
    case .bias:
      if let bias = unsafe bias {
        for j in 0..<columns {
          let value = unsafe V.load(bias + j &* V.lanes)
          for r in 0..<rows { sum[r][j] = value }
        }
      }
    case .accumulate:
      for r in 0..<rows {
        for j in 0..<columns { sum[r][j] = unsafe V.load(c + (r &* cStride &+ j &* V.lanes)) }
      }
    case .add: break
    }

    var a = unsafe a
    var w = unsafe weights
    var ahead = unsafe ahead
    var wanted = unsafe wanted
    let panelStep = weightsStep ?? panelVectors &* V.lanes
    // Two steps at a time: one taken branch for 24 multiply-adds, not for 12.
    var pairs = depth / 2
    while pairs > 0 {
      if var line = unsafe ahead {
        for _ in 0..<aheadLines {
          unsafe recurrence_prefetch_l2(line)
          unsafe line += TileGeometry<V>.line
        }
        unsafe ahead = unsafe line
      }
      if let place = unsafe wanted {
        unsafe recurrence_prefetch_l2(place)
        unsafe wanted = unsafe place + TileGeometry<V>.line
      }
      if stepsAhead > 0 {
        for j in 0..<(2 &* columns) {
          let (panel, line) = (j / (2 &* panelVectors), j % (2 &* panelVectors))
          unsafe recurrence_prefetch(w + (stepsAhead &* panelStep &+ panel &* panelStride &+ line &* V.lanes))
        }
      }
      unsafe step(&sum, a: a, rowStride: rowStride, weights: w, panelVectors: panelVectors, panelStride: panelStride)
      unsafe step(
        &sum, a: a + depthStride, rowStride: rowStride, weights: w + panelStep, panelVectors: panelVectors,
        panelStride: panelStride)
      unsafe a += 2 &* depthStride
      unsafe w += 2 &* panelStep
      pairs &-= 1
    }
    if depth % 2 != 0 {
      unsafe step(&sum, a: a, rowStride: rowStride, weights: w, panelVectors: panelVectors, panelStride: panelStride)
    }

    if start == .add {
      for r in 0..<rows {
        for j in 0..<columns { sum[r][j] = unsafe V.load(c + (r &* cStride &+ j &* V.lanes)) + sum[r][j] }
      }
    }
    for r in 0..<rows {
      for j in 0..<columns { unsafe sum[r][j].store(c + (r &* cStride &+ j &* V.lanes)) }
    }
  }

  /// sum[r, j] ← A(r, k)·W[k, j] + sum[r, j] for one k.
  @inlinable @inline(__always)
  static func step(
    _ sum: inout Accumulators, a: UnsafePointer<Scalar>, rowStride: Int, weights: UnsafePointer<Scalar>,
    panelVectors: Int, panelStride: Int
  ) {
    var b = InlineArray<columns, V>(repeating: .zero)
    for j in 0..<columns {
      b[j] = unsafe V.load(weights + (j / panelVectors &* panelStride &+ j % panelVectors &* V.lanes))
    }
    for r in 0..<rows {
      let x = unsafe V(repeating: a[r &* rowStride])
      for j in 0..<columns { sum[r][j] = V.multiplyAdd(x, b[j], sum[r][j]) }
    }
  }
}
