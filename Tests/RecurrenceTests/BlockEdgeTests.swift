import Recurrence
import Testing

/// Shapes that cross the cache blocks of every instruction set, straight through the kernel table: results bit for bit,
/// scratch memory of exactly the stated size, operands that end where a page does.
@Suite struct BlockEdgeTests {
  /// M, N, K around the row, column and depth blocks.
  private static func shapes(_ g: KernelGeometry) -> [(m: Int, n: Int, k: Int)] {
    let shapes = [
      (g.rowBlock + 1, 2 * g.panelWidth + g.lanes + 1, g.depthBlock + 1),
      (g.rowBlock, g.transposedColumnBlock + g.lanes + 1, g.depthBlock),
      (2 * g.tileRows + 1, g.transposedColumnBlock - 1, 2 * g.depthBlock + 1),
      (g.transposedRowBlock + 1, g.lanes - 1, g.depthBlock - 1),
      (2 * g.transposedRowBlock + 1, g.panelWidth - 1, g.depthBlock),
      (1, g.transposedColumnBlock + 3, g.depthBlock + 7),
      (2, 5 * g.panelWidth + 1, g.depthBlock + 1),
      (g.tileRows + 1, 1, 2 * g.depthBlock),
    ]
    return SuiteSettings.isThin ? Array(shapes.suffix(3)) : shapes
  }

  @Test(arguments: KernelCase.all) func productsCrossBlocks(_ kernels: KernelCase) {
    kernels.run(checkProducts, checkProducts)
  }

  @Test(arguments: KernelCase.all) func transposedProductsCrossBlocks(_ kernels: KernelCase) {
    kernels.run(checkTransposed, checkTransposed)
  }

  @Test(arguments: KernelCase.all) func pairsOfTransposedProductsCrossBlocks(_ kernels: KernelCase) {
    kernels.run(checkPairs, checkPairs)
  }

  @Test(arguments: KernelCase.all) func bothPackingsAgree(_ kernels: KernelCase) {
    kernels.run(checkPackings, checkPackings)
  }

  private func checkProducts<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let g = kernels.geometry
    let model = ChainModel(kernels)
    var complaints = Complaints()
    for (index, (m, n, k)) in Self.shapes(g).enumerated() {
      var random = SeededRandom(stream: 900_000 + index)
      let a: [Scalar] = random.array(m * k, .wide)
      let w: [Scalar] = random.array(k * n, .wide)
      let bias: [Scalar] = random.array(n, .wide)
      let before: [Scalar] = random.array(m * n, .wide)
      let context = "\(kernels.label) M \(m) N \(n) K \(k)"
      let left = GuardedMatrix<Scalar>(a, rows: m, columns: k, stride: k + 5, placement: .endOfPage)
      let right = GuardedMatrix<Scalar>(w, rows: k, columns: n, stride: n + 3, placement: .endOfPage)
      let added = GuardedMatrix<Scalar>(row: bias, placement: .endOfPage)
      let count = kernels.table.packedCount(outputs: n, depth: k)
      let packed = GuardedMatrix(row: [Scalar](repeating: .nan, count: count))
      unsafe kernels.table.packColumns(right.view, from: 0, of: k, into: packed.pointer)
      for start in [ProductStart.bias, .accumulate] {
        let starts = start == .bias ? (0..<m).flatMap { _ in bias } : before
        let expected = model.product(a, w, start: starts, m: m, n: n, k: k)
        let c = GuardedMatrix(before, rows: m, columns: n, stride: n + 1, placement: .endOfPage)
        for part in [0..<(m / 3), (m / 3)..<m] {
          let scratch = GuardedMatrix(row: [Scalar](repeating: .nan, count: g.productScratch))
          var operands = unsafe ProductOperands(
            a: left.view, weights: UnsafePointer(packed.pointer), bias: UnsafePointer(added.pointer),
            c: c.mutableView, start: start)
          // One row heeds it; no bit depends on it.
          unsafe operands.descending = start == .accumulate
          unsafe kernels.table.product(
            operands, rows: part, panels: 0..<((n + g.panelWidth - 1) / g.panelWidth), scratch: scratch.pointer)
          complaints.note(scratch.damage, context + " scratch")
        }
        complaints.note(c.damage, context + " around c")
        complaints.note(firstDifference(c.values, from: expected, columns: n), context)
      }
      complaints.note(packed.damage, context + " packed")
      withExtendedLifetime((left, right, added, packed)) {}
    }
  }

  private func checkTransposed<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let g = kernels.geometry
    let model = ChainModel(kernels)
    var complaints = Complaints()
    for (index, (m, n, k)) in Self.shapes(g).enumerated() {
      var random = SeededRandom(stream: 910_000 + index)
      let a: [Scalar] = random.array(k * m, .wide)
      let b: [Scalar] = random.array(k * n, .wide)
      let before: [Scalar] = random.array(m * n, .wide)
      let context = "\(kernels.label) M \(m) N \(n) K \(k)"
      let expected = model.transposedProduct(a, b, start: before, m: m, n: n, k: k)
      let left = GuardedMatrix<Scalar>(a, rows: k, columns: m, stride: m + 1, placement: .endOfPage)
      let right = GuardedMatrix<Scalar>(b, rows: k, columns: n, placement: .endOfPage)
      let c = GuardedMatrix(before, rows: m, columns: n, stride: n + 1, placement: .endOfPage)
      for (rows, columns) in [(0..<(m / 2), 0..<n), ((m / 2)..<m, 0..<(n / 3)), ((m / 2)..<m, (n / 3)..<n)] {
        let scratch = GuardedMatrix(row: [Scalar](repeating: .nan, count: g.transposedScratch(panels: g.panels(n))))
        unsafe kernels.table.transposedProduct(
          TransposedProductOperands(a: left.view, b: right.view, c: c.mutableView), rows: rows, columns: columns,
          scratch: scratch.pointer)
        complaints.note(scratch.damage, context + " scratch")
      }
      complaints.note(c.damage, context + " around c")
      complaints.note(firstDifference(c.values, from: expected, columns: n), context)
      withExtendedLifetime((left, right)) {}
    }
  }

  /// Two products of one A, whose columns fit the block of B side by side, exactly or not at all.
  private func checkPairs<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let g = kernels.geometry
    let model = ChainModel(kernels)
    let widths = [
      (g.panelWidth + 1, g.lanes - 1), (g.transposedColumnBlock - g.panelWidth, g.panelWidth),
      (g.transposedColumnBlock - g.panelWidth, g.panelWidth + 1), (1, g.transposedColumnBlock),
    ]
    var complaints = Complaints()
    for (index, (first, second)) in widths.enumerated() {
      let (m, k) = index == 0 ? (g.transposedRowBlock + 1, g.depthBlock + 7) : (g.tileRows + 2, 9)
      var random = SeededRandom(stream: 930_000 + index)
      let a: [Scalar] = random.array(k * m, .wide)
      let left = GuardedMatrix<Scalar>(a, rows: k, columns: m, stride: m + 1, placement: .endOfPage)
      let b: [[Scalar]] = [first, second].map { random.array(k * $0, .wide) }
      let before: [[Scalar]] = [first, second].map { random.array(m * $0, .wide) }
      let right = zip(b, [first, second]).map {
        GuardedMatrix<Scalar>($0, rows: k, columns: $1, stride: $1 + 2, placement: .endOfPage)
      }
      let c = zip(before, [first, second]).map {
        GuardedMatrix<Scalar>($0, rows: m, columns: $1, stride: $1 + 1, placement: .endOfPage)
      }
      let panels = g.panels(first) + g.panels(second)
      for rows in [0..<(m / 3), (m / 3)..<m] {
        let scratch = GuardedMatrix(row: [Scalar](repeating: .nan, count: g.transposedScratch(panels: panels)))
        var operands = unsafe TransposedProductOperands(a: left.view, b: right[0].view, c: c[0].mutableView)
        unsafe (operands.secondB, operands.secondC) = unsafe (right[1].view, c[1].mutableView)
        unsafe kernels.table.transposedProduct(
          operands, rows: rows, columns: 0..<first, scratch: scratch.pointer)
        complaints.note(scratch.damage, "\(kernels.label) columns \(first), \(second): scratch")
      }
      for (which, n) in [first, second].enumerated() {
        let context = "\(kernels.label) columns \(first), \(second), product \(which)"
        let expected = model.transposedProduct(a, b[which], start: before[which], m: m, n: n, k: k)
        complaints.note(c[which].damage, context + " around c")
        complaints.note(firstDifference(c[which].values, from: expected, columns: n), context)
      }
      withExtendedLifetime((left, right)) {}
    }
  }

  private func checkPackings<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for (index, (_, n, k)) in Self.shapes(kernels.geometry).enumerated() {
      var random = SeededRandom(stream: 920_000 + index)
      let w: [Scalar] = random.array(k * n, .wide)
      let columns = GuardedMatrix<Scalar>(w, rows: k, columns: n)
      let rows = GuardedMatrix<Scalar>(
        transposed(w, rows: k, columns: n), rows: n, columns: k, stride: k + 1, placement: .endOfPage)
      let blank = [Scalar](repeating: .nan, count: kernels.table.packedCount(outputs: n, depth: k))
      let (byRows, byColumns) = (GuardedMatrix(row: blank), GuardedMatrix(row: blank))
      // In two calls each, the later rows first.
      let panel = n / 2 / kernels.geometry.panelWidth * kernels.geometry.panelWidth
      unsafe kernels.table.packRows(
        MatrixView(rows.view.base + panel * rows.view.stride, rows: n - panel, columns: k, stride: rows.view.stride),
        from: panel, into: byRows.pointer)
      unsafe kernels.table.packRows(
        MatrixView(rows.view.base, rows: panel, columns: k, stride: rows.view.stride), from: 0, into: byRows.pointer)
      let split = k / 3
      unsafe kernels.table.packColumns(
        MatrixView(columns.view.base + split * columns.view.stride, rows: k - split, columns: n), from: split, of: k,
        into: byColumns.pointer)
      unsafe kernels.table.packColumns(
        MatrixView(columns.view.base, rows: split, columns: n), from: 0, of: k, into: byColumns.pointer)
      let context = "\(kernels.label) N \(n) K \(k)"
      complaints.note(firstDifference(byRows.values, from: byColumns.values, columns: k), context)
      complaints.note(byRows.damage ?? byColumns.damage, context + " around packed")
      withExtendedLifetime((rows, columns)) {}
    }
  }
}
