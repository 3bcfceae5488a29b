import Recurrence
import Testing

/// Products with W where it lies against the same with W packed: bit for bit, across blocks of rows and of depth and
/// groups of panels, with nothing written but the rows and panels that were asked for.
///
/// `ChainProductTests` has the small ones, against the order of sums itself.
@Suite struct InPlaceProductTests {
  @Test(arguments: KernelCase.all) func packedOnTheWayIsPackedBefore(_ kernels: KernelCase) {
    kernels.run(sweep, sweep)
  }

  /// M, N, K. Of more than 512 columns, the panels are packed in groups.
  private static func shapes(_ g: KernelGeometry) -> [(m: Int, n: Int, k: Int)] {
    let shapes = [
      (1, 512 + g.lanes, g.depthBlock + 1),
      (2, 512 + g.panelWidth, 2 * g.depthBlock + 1),
      (3, 3 * g.panelWidth + g.lanes, 2 * g.depthBlock),
      (13, 1024 + g.panelWidth + g.lanes, g.depthBlock + 9),
      (200, 512 + g.panelWidth + g.lanes, g.depthBlock + 1),
      (g.rowBlock + 1, g.lanes, g.depthBlock),
    ]
    return SuiteSettings.isThin ? Array(shapes.prefix(3)) : shapes
  }

  /// Where sums start, and whether the bias is given, which only the first heeds.
  private static let starts: [(start: ProductStart, hasBias: Bool)] = [
    (.bias, true), (.bias, false), (.accumulate, true), (.add, true),
  ]

  private func sweep<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let g = kernels.geometry
    // One for all: what a case leaves in it is wrong for the next.
    let scratch = GuardedMatrix(row: [Scalar](repeating: .nan, count: g.inPlaceScratch))
    var complaints = Complaints()
    for (index, (m, n, k)) in Self.shapes(g).enumerated() {
      var random = SeededRandom(stream: 940_000 + index)
      let gap = [0, 3, g.lanes][index % 3]
      let a = GuardedMatrix<Scalar>(
        random.array(m * k, .wide), rows: m, columns: k, stride: k + 5, placement: .endOfPage)
      let w = GuardedMatrix<Scalar>(
        random.array(k * n, .wide), rows: k, columns: n, stride: n + gap, placement: .endOfPage)
      let bias = GuardedMatrix<Scalar>(row: random.array(n, .wide), placement: .endOfPage)
      let before: [Scalar] = random.array(m * n, .wide)
      let packed = GuardedMatrix(
        row: [Scalar](repeating: .nan, count: kernels.table.packedCount(outputs: n, depth: k)))
      unsafe kernels.table.packColumns(w.view, from: 0, of: k, into: packed.pointer)
      for (start, hasBias) in Self.starts {
        for isWhole in [true, false, false] {
          let rows = isWhole ? 0..<m : random.range(within: m)
          let panels = isWhole ? 0..<g.panels(n) : random.range(within: g.panels(n))
          func product(inPlace: Bool) -> GuardedMatrix<Scalar> {
            let c = GuardedMatrix(before, rows: m, columns: n, stride: n + 1, placement: .endOfPage)
            var operands = unsafe ProductOperands(
              a: a.view, weights: UnsafePointer(inPlace ? w.pointer : packed.pointer),
              bias: hasBias ? UnsafePointer(bias.pointer) : nil, c: c.mutableView, start: start)
            unsafe operands.weightsStride = inPlace ? w.stride : 0
            unsafe kernels.table.product(operands, rows: rows, panels: panels, scratch: scratch.pointer)
            return c
          }
          let (found, expected) = (product(inPlace: true), product(inPlace: false))
          complaints.note(
            firstDifference(found.values, from: expected.values, columns: n) ?? found.damage,
            "\(kernels.label) M \(m), N \(n), K \(k), W \(gap) scalars between rows, from \(start)"
              + (hasBias ? "" : " of zero") + ", rows \(rows), panels \(panels)")
        }
        if complaints.areEnough { return }
      }
      complaints.note(w.damage ?? packed.damage, "\(kernels.label) M \(m), N \(n), K \(k): weights")
      withExtendedLifetime((a, bias)) {}
    }
    complaints.note(scratch.damage, "\(kernels.label): scratch")
  }
}
