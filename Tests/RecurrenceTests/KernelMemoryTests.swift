import Recurrence
import Testing

/// What kernels may touch: their operands, their part of C, their scratch, and nothing else.
@Suite struct KernelMemoryTests {
  @Test(arguments: KernelCase.all) func productsStayInTheirPages(_ kernels: KernelCase) {
    kernels.run(checkPages, checkPages)
  }

  @Test(arguments: KernelCase.all) func aPartOfAProductIsThatPart(_ kernels: KernelCase) {
    kernels.run(checkProductParts, checkProductParts)
  }

  @Test(arguments: KernelCase.all) func aPartOfATransposedProductIsThatPart(_ kernels: KernelCase) {
    kernels.run(checkTransposedParts, checkTransposedParts)
  }

  @Test(arguments: KernelCase.all) func emptyProductsTouchNothing(_ kernels: KernelCase) {
    kernels.run(checkEmpty, checkEmpty)
  }

  /// All operands against inaccessible pages, behind their last elements and before their first. A kernel that reads
  /// one scalar too many ends this process, even where it throws the scalar away.
  private func checkPages<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let geometry = kernels.geometry
    let model = ChainModel(kernels)
    var complaints = Complaints()
    var stream = 70_000
    for m in [1, 3, geometry.tileRows, geometry.tileRows + 1] {
      for n in [1, geometry.lanes - 1, geometry.lanes + 1, geometry.panelWidth, geometry.panelWidth + 1] {
        for k in [1, 2, geometry.lanes + 1, 67] {
          for placement in [GuardedMatrix<Scalar>.Placement.endOfPage, .startOfPage] {
            stream += 1
            var random = SeededRandom(stream: stream)
            let a: [Scalar] = random.array(m * k, .wide)
            let w: [Scalar] = random.array(k * n, .wide)
            let start: [Scalar] = random.array(n, .wide)
            let context = "\(kernels.label), stream \(stream): M \(m), N \(n), K \(k), \(placement)"
            let bias = GuardedMatrix(row: start, placement: placement)
            let starts = (0..<m).flatMap { _ in start }
            let expected = model.product(a, w, start: starts, m: m, n: n, k: k)
            let aMatrix = GuardedMatrix(a, rows: m, columns: k, stride: k + 3, placement: placement)
            for layout in WeightLayout.allCases {
              let wMatrix =
                layout == .columns
                ? GuardedMatrix(w, rows: k, columns: n, stride: n + 1, placement: placement)
                : GuardedMatrix(transposed(w, rows: k, columns: n), rows: n, columns: k, placement: placement)
              let c = GuardedMatrix(starts, rows: m, columns: n, placement: placement)
              unsafe kernels.multiply(aMatrix.view, wMatrix.view, layout, bias: bias, into: c.mutableView)
              complaints.note(firstDifference(c.values, from: expected, columns: n), "\(context), \(layout)")
              complaints.note(c.damage, "\(context), \(layout)")
              withExtendedLifetime((aMatrix, wMatrix)) {}
            }

            let left = GuardedMatrix(a, rows: k, columns: m, stride: m + 3, placement: placement)
            let right = GuardedMatrix(w, rows: k, columns: n, stride: n + 1, placement: placement)
            let c = GuardedMatrix(starts, rows: m, columns: n, stride: n + 2, placement: placement)
            var products = MatrixProducts(kernels: kernels)
            unsafe products.accumulateTransposed(left.view, right.view, into: c.mutableView)
            let gradient = model.transposedProduct(a, w, start: starts, m: m, n: n, k: k)
            complaints.note(firstDifference(c.values, from: gradient, columns: n), "\(context), accumulateTransposed")
            complaints.note(c.damage, "\(context), accumulateTransposed")
            withExtendedLifetime((left, right)) {}
          }
        }
      }
    }
  }

  /// The kernel table itself: any range of rows and panels computes the bits of the whole product, writes nothing
  /// else, and neither believes what its scratch and packing memory held before (NaN) nor reaches beyond them.
  private func checkProductParts<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let geometry = kernels.geometry
    let (m, n) = (3 * geometry.tileRows + 1, 3 * geometry.panelWidth + geometry.lanes + 1)
    let k = SuiteSettings.isThin ? 20 : 270
    var random = SeededRandom(stream: 71_000)
    let a = GuardedMatrix<Scalar>(random.array(m * k, .wide), rows: m, columns: k)
    let w = GuardedMatrix<Scalar>(random.array(k * n, .wide), rows: k, columns: n)
    let bias = GuardedMatrix<Scalar>(row: random.array(n, .wide))
    let whole = kernels.multiply(a.values, w.values, bias: bias.values, m: m, n: n, k: k)

    let packed = GuardedMatrix(
      row: [Scalar](repeating: .nan, count: kernels.table.packedCount(outputs: n, depth: k)))
    unsafe kernels.table.packColumns(w.view, from: 0, of: k, into: packed.pointer)
    let panels = (n + geometry.panelWidth - 1) / geometry.panelWidth
    var complaints = Complaints()
    for round in 0..<40 {
      let (rows, part) = (random.range(within: m), random.range(within: panels))
      let scratch = GuardedMatrix(row: [Scalar](repeating: .nan, count: geometry.productScratch))
      let untouched = [Scalar](repeating: 7, count: m * n)
      let c = GuardedMatrix(untouched, rows: m, columns: n, stride: n + round % 2)
      unsafe kernels.table.product(
        ProductOperands(
          a: a.view, weights: UnsafePointer(packed.pointer), bias: UnsafePointer(bias.pointer), c: c.mutableView,
          start: .bias), rows: rows, panels: part, scratch: scratch.pointer)
      let expected = (0..<(m * n)).map { i in
        rows.contains(i / n) && part.contains(i % n / geometry.panelWidth) ? whole[i] : untouched[i]
      }
      let context = "\(kernels.label), M \(m), N \(n), K \(k), rows \(rows), panels \(part)"
      complaints.note(firstDifference(c.values, from: expected, columns: n), context)
      complaints.note(c.damage ?? scratch.damage ?? packed.damage, context)
    }
    withExtendedLifetime((a, w)) {}
  }

  private func checkTransposedParts<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let geometry = kernels.geometry
    let (m, n) = (3 * geometry.tileRows + 1, 3 * geometry.panelWidth + geometry.lanes + 1)
    let k = SuiteSettings.isThin ? 20 : 270
    var random = SeededRandom(stream: 72_000)
    let a = GuardedMatrix<Scalar>(random.array(k * m, .wide), rows: k, columns: m)
    let b = GuardedMatrix<Scalar>(random.array(k * n, .wide), rows: k, columns: n)
    let before: [Scalar] = random.array(m * n, .wide)
    let whole = kernels.accumulateTransposed(a.values, b.values, onto: before, m: m, n: n, k: k)
    var complaints = Complaints()
    for round in 0..<40 {
      let (rows, columns) = (random.range(within: m), random.range(within: n))
      let needed = geometry.transposedScratch(panels: geometry.panels(n))
      let scratch = GuardedMatrix(row: [Scalar](repeating: .nan, count: needed))
      let c = GuardedMatrix(before, rows: m, columns: n, stride: n + round % 2)
      unsafe kernels.table.transposedProduct(
        TransposedProductOperands(a: a.view, b: b.view, c: c.mutableView), rows: rows, columns: columns,
        scratch: scratch.pointer)
      let expected = (0..<(m * n)).map { rows.contains($0 / n) && columns.contains($0 % n) ? whole[$0] : before[$0] }
      let context = "\(kernels.label), M \(m), N \(n), K \(k), rows \(rows), columns \(columns)"
      complaints.note(firstDifference(c.values, from: expected, columns: n), context)
      complaints.note(c.damage ?? scratch.damage, context)
    }
    withExtendedLifetime((a, b)) {}
  }

  /// Sizes of zero are legal, without any memory: K = 0 leaves the bias or C, M = 0 or N = 0 does nothing.
  private func checkEmpty<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let label = kernels.label
    for threads in [1, 3] {
      let bias: [Scalar] = [1, -0.0, .infinity]
      #expect(
        kernels.multiply([], [], bias: bias, m: 2, n: 3, k: 0, threads: threads) == bias + bias, "\(label)")
      let none: [Scalar] = kernels.multiply([], [], m: 2, n: 2, k: 0, threads: threads)
      #expect(none.allSatisfy { $0.wideBits == 0 }, "no bias is +0: \(label)")
      let kept = kernels.accumulateTransposed([], [], onto: bias, m: 1, n: 3, k: 0, threads: threads)
      #expect(kept.map(\.wideBits) == bias.map(\.wideBits), "\(label)")

      for (m, n, k) in [(0, 0, 0), (0, 5, 3), (5, 0, 3), (0, 5, 0), (5, 0, 0)] {
        var products = MatrixProducts(threads: threads, kernels: kernels, smallestSplit: 0)
        var packed = PackedWeights(outputs: n, depth: k, kernels: kernels)
        // Operands without elements need no memory; the others are there and must stay as they are.
        let a = GuardedMatrix([Scalar](repeating: 1, count: m * k), rows: m, columns: k)
        let w = GuardedMatrix([Scalar](repeating: 1, count: k * n), rows: k, columns: n)
        unsafe packed.packColumns(w.view)
        unsafe packed.packRows(w.rows * w.columns == 0 ? MatrixView(nil, rows: n, columns: k) : transposedView(w))
        unsafe products.multiply(a.view, packed, into: MutableMatrixView(nil, rows: m, columns: n))
        unsafe products.multiply(
          a.view, packed, into: MutableMatrixView(nil, rows: m, columns: n), start: .accumulate)
        unsafe products.accumulateTransposed(
          MatrixView(a.pointer, rows: k, columns: m), w.view, into: MutableMatrixView(nil, rows: m, columns: n))
        #expect(a.damage == nil && w.damage == nil, "\(label), M \(m), N \(n), K \(k)")
      }
    }
  }

  /// All elements are alike, so the same memory is also the transposed matrix.
  @unsafe private func transposedView<Scalar>(_ matrix: GuardedMatrix<Scalar>) -> MatrixView<Scalar> {
    unsafe MatrixView(UnsafePointer(matrix.pointer), rows: matrix.columns, columns: matrix.rows)
  }
}
