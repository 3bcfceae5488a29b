// Products over guarded matrices, and the shapes that sweeps visit.

import Recurrence
import Testing

/// How weights are handed over: one row an output (for A·Wᵀ), or one column an output (for A·W).
enum WeightLayout: String, CaseIterable, Sendable {
  case rows, columns
}

extension Kernels where Scalar: TestScalar {
  /// C = bias + A · W, or C += A · W. W is [N, K] by rows, [K, N] by columns.
  func multiply(
    _ a: MatrixView<Scalar>, _ weights: MatrixView<Scalar>, _ layout: WeightLayout, bias: GuardedMatrix<Scalar>? = nil,
    into c: MutableMatrixView<Scalar>, start: ProductStart = .bias, threads: Int = 1
  ) {
    var packed = unsafe PackedWeights(outputs: c.columns, depth: a.columns, kernels: self)
    switch layout {
    case .rows: unsafe packed.packRows(weights)
    case .columns: unsafe packed.packColumns(weights)
    }
    var products = MatrixProducts(threads: threads, kernels: self, smallestSplit: 0)
    let biasBuffer = unsafe bias.map { unsafe UnsafeBufferPointer(start: $0.pointer, count: $0.columns) }
    unsafe products.multiply(a, packed, bias: biasBuffer, into: c, start: start)
    withExtendedLifetime(bias) {}
  }

  /// The same for dense operands, W by columns; returns C.
  func multiply(
    _ a: [Scalar], _ w: [Scalar], bias: [Scalar]? = nil, m: Int, n: Int, k: Int, threads: Int = 1
  ) -> [Scalar] {
    let a = GuardedMatrix(a, rows: m, columns: k)
    let w = GuardedMatrix(w, rows: k, columns: n)
    let c = GuardedMatrix([Scalar](repeating: .canary, count: m * n), rows: m, columns: n)
    let bias = bias.map { GuardedMatrix(row: $0) }
    unsafe multiply(a.view, w.view, .columns, bias: bias, into: c.mutableView, threads: threads)
    withExtendedLifetime((a, w)) {}
    return c.values
  }

  /// C += Aᵀ · B for dense operands; returns C.
  func accumulateTransposed(
    _ a: [Scalar], _ b: [Scalar], onto c: [Scalar], m: Int, n: Int, k: Int, threads: Int = 1
  ) -> [Scalar] {
    let a = GuardedMatrix(a, rows: k, columns: m)
    let b = GuardedMatrix(b, rows: k, columns: n)
    let c = GuardedMatrix(c, rows: m, columns: n)
    var products = MatrixProducts(threads: threads, kernels: self, smallestSplit: 0)
    unsafe products.accumulateTransposed(a.view, b.view, into: c.mutableView)
    withExtendedLifetime((a, b)) {}
    return c.values
  }
}

/// Sizes of a product.
struct ProductShape: Sendable {
  let m: Int
  let n: Int
  let k: Int

  var label: String { "M \(m), N \(n), K \(k)" }

  /// Shapes in which every two of M, N and K take every pair of the values below.
  ///
  /// The values lie around whatever a kernel can treat apart on a small scale: nothing, one, less than a vector, a
  /// vector, a panel, a register tile, and beyond; `BlockEdgeTests` crosses the cache blocks. A Latin square, K taken by the sum of the
  /// indices of M and N, needs as many shapes as there are pairs of M and N; it covers the pairs with K as long as K
  /// has the fewest values.
  static func sweep(_ geometry: KernelGeometry) -> [ProductShape] {
    let (lanes, panel, tile) = (geometry.lanes, geometry.panelWidth, geometry.tileRows)
    var ms = [0, 1, 2, 3, 5, 7, tile - 1, tile, tile + 1, 2 * tile - 1, 2 * tile + 1, 67, 143, 144, 145, 289]
    var ns = [
      0, 1, 2, 3, 5, 7, lanes - 1, lanes, lanes + 1, panel - 1, panel, panel + 1, 2 * panel + lanes + 1,
      3 * panel - 1, 67, 255, 256, 257, 600,
    ]
    var ks = [0, 1, 2, 3, 5, 7, 8, lanes + 1, 31, 67, 100, 255, 256, 257, 300, 513]
    if SuiteSettings.isThin {
      ms = [0, 1, 3, tile, tile + 1, 2 * tile + 1]
      ns = [0, 1, lanes, lanes + 1, panel - 1, panel + 1, 2 * panel + lanes + 1]
      ks = [0, 1, 2, 7, 33]
    }
    let (rows, columns, depths) = (distinct(ms), distinct(ns), distinct(ks))
    var shapes: [ProductShape] = []
    for (i, m) in rows.enumerated() {
      for (j, n) in columns.enumerated() {
        shapes.append(ProductShape(m: m, n: n, k: depths[(i + j) % depths.count]))
      }
    }
    // Across both blocks at once, whatever the thinning left.
    shapes.append(ProductShape(m: 145, n: panel + 1, k: 257))
    return shapes
  }

  private static func distinct(_ values: [Int]) -> [Int] { Set(values.filter { $0 >= 0 }).sorted() }
}

/// Strides and places in memory, drawn at random.
struct RandomLayout {
  var random: SeededRandom

  /// Gaps of nothing, one, or seven scalars, or rows a power of two apart: these meet in one set of a cache.
  mutating func matrix<Scalar>(_ values: [Scalar], rows: Int, columns: Int) -> GuardedMatrix<Scalar> {
    let stride = random.pick([columns, columns + 1, columns + 7, max(columns, 1024)])
    let offset = random.pick([0, 1, 3])
    return GuardedMatrix(values, rows: rows, columns: columns, stride: stride, placement: .offset(offset))
  }
}
