import Recurrence
import Testing

/// Products whose sums are chains, that add to C, that replace C, and that read W where it lies, through the kernel table:
/// bit for bit the order of sums that `ProductOperands` states.
@Suite struct ChainProductTests {
  @Test(arguments: KernelCase.all) func chainsAreSummedApart(_ kernels: KernelCase) {
    kernels.run(sweepChains, sweepChains)
  }

  @Test(arguments: KernelCase.all) func longSumsStartWhereTheyAreTold(_ kernels: KernelCase) {
    kernels.run(sweepLongSums, sweepLongSums)
  }

  @Test(arguments: KernelCase.all) func weightsAreReadWhereTheyLie(_ kernels: KernelCase) {
    kernels.run(sweepInPlace, sweepInPlace)
  }

  @Test(arguments: KernelCase.all) func weightsOfSeveralRowsArePackedOnTheWay(_ kernels: KernelCase) {
    kernels.run(sweepInPlaceRows, sweepInPlaceRows)
  }

  @Test(arguments: KernelCase.all) func transposedProductsStartWhereTheyAreTold(_ kernels: KernelCase) {
    kernels.run(sweepTransposed, sweepTransposed)
  }

  @Test(arguments: KernelCase.all) func twoTransposedProductsStartWhereTheyAreTold(_ kernels: KernelCase) {
    kernels.run(sweepTwoTransposed, sweepTwoTransposed)
  }

  // MARK: A · W

  private func sweepChains<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let (lanes, panel, tile) = (kernels.geometry.lanes, kernels.geometry.panelWidth, kernels.geometry.tileRows)
    let columns = [
      1, lanes - 1, lanes, lanes + 1, panel - 1, panel, panel + 1, 2 * panel, 2 * panel + lanes, 4 * panel + 1,
    ]
    var complaints = Complaints()
    var stream = 75_000
    for chains in 1...8 {
      for m in Set([1, 2, 3, tile, tile + 1, 2 * tile + 1]).sorted() {
        for n in Set(columns).sorted() where n > 0 {
          for beginning in Beginning.allCases {
            stream += 1
            let product = ChainCase(kernels, m: m, n: n, chains: chains, beginning, stream: stream)
            complaints.note(product.findPacked(), product.label)
          }
          if complaints.areEnough { return }
        }
      }
    }
  }

  /// Parts as deep as a block, and sums of one chain that are deeper.
  private func sweepLongSums<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let block = kernels.geometry.depthBlock
    let n = kernels.geometry.panelWidth + kernels.geometry.lanes + 1
    var complaints = Complaints()
    var stream = 76_000
    for (chains, depth) in [(1, block), (1, block + 1), (1, 2 * block + 1), (2, block), (3, block)] {
      for m in [1, 2, 3, kernels.geometry.tileRows + 1] {
        for beginning in Beginning.allCases {
          stream += 1
          let product = ChainCase(kernels, m: m, n: n, chains: chains, beginning, partDepth: depth, stream: stream)
          complaints.note(product.findPacked(), product.label)
        }
      }
    }
  }

  private func sweepInPlace<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let lanes = kernels.geometry.lanes
    var complaints = Complaints()
    var stream = 77_000
    for chains in 1...8 {
      for vectors in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 23] {
        for gap in [0, 1, lanes] {
          for beginning in Beginning.allCases {
            stream += 1
            let product = ChainCase(kernels, m: 1, n: vectors * lanes, chains: chains, beginning, stream: stream)
            complaints.note(product.findInPlace(gap: gap), product.label + ", W \(gap) scalars between rows")
          }
          if complaints.areEnough { return }
        }
      }
    }
    let deep = ChainCase(
      kernels, m: 1, n: 3 * lanes, chains: 1, .bias, partDepth: kernels.geometry.depthBlock + 1, stream: stream + 1)
    complaints.note(deep.findInPlace(gap: 0), deep.label)
  }

  /// Several rows, whose weights are packed a block at a time. `InPlaceProductTests` has the large ones.
  private func sweepInPlaceRows<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let (lanes, tile, block) = (kernels.geometry.lanes, kernels.geometry.tileRows, kernels.geometry.depthBlock)
    // One for all: it is large, and what a case leaves in it is wrong for the next.
    let scratch = GuardedMatrix(row: [Scalar](repeating: .nan, count: kernels.geometry.inPlaceScratch))
    var complaints = Complaints()
    var stream = 77_500
    func check(m: Int, vectors: Int, _ beginning: Beginning, depth: Int? = nil) {
      stream += 1
      let gap = [0, 1, lanes][stream % 3]
      let product = ChainCase(
        kernels, m: m, n: vectors * lanes, chains: 1, beginning, partDepth: depth, stream: stream)
      complaints.note(product.findInPlace(gap: gap, scratch), product.label + ", W \(gap) scalars between rows")
    }
    for m in Set([2, 3, 7, tile, tile + 1, 2 * tile + 1]).sorted() {
      for vectors in [1, 2, 3, 4, 5, 9] {
        for beginning in Beginning.allCases { check(m: m, vectors: vectors, beginning) }
        if complaints.areEnough { return }
      }
    }
    for beginning in Beginning.allCases {
      for depth in [block, block + 1, 2 * block + 1] { check(m: tile + 1, vectors: 3, beginning, depth: depth) }
    }
    complaints.note(scratch.damage, "\(kernels.label): scratch")
  }

  // MARK: Aᵀ · B

  private func sweepTransposed<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let (lanes, panel) = (kernels.geometry.lanes, kernels.geometry.panelWidth)
    let columns = Set([1, lanes - 1, lanes, lanes + 1, 2 * lanes, 3 * lanes, 5 * lanes, 2 * panel + 1])
    var complaints = Complaints()
    var stream = 78_000
    for k in [0, 1, 2, 3, 9] {
      for m in 1...9 {
        for n in columns.sorted() where n > 0 {
          for start in [ProductStart.bias, .accumulate] {
            stream += 1
            var product = TransposedCase(kernels, m: m, n: n, secondN: 0, k: k, start, stream: stream)
            complaints.note(product.find(), product.label)
            // Whole vectors from anywhere on, and any columns.
            product.takeSome()
            complaints.note(product.find(), product.label)
            product.takeVectors()
            complaints.note(product.find(), product.label)
          }
        }
      }
      if complaints.areEnough { return }
    }
    // The second block of rows of A and B goes on with what the first left.
    for k in [kernels.geometry.depthBlock, kernels.geometry.depthBlock + 1] {
      let product = TransposedCase(kernels, m: 5, n: panel + 1, secondN: 0, k: k, .bias, stream: stream + k)
      complaints.note(product.find(), product.label)
    }
  }

  private func sweepTwoTransposed<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let (lanes, panel) = (kernels.geometry.lanes, kernels.geometry.panelWidth)
    var complaints = Complaints()
    var stream = 79_000
    for k in [0, 1, 2, 9] {
      for m in [1, 3, 4, 5, 9] {
        // The last two have more columns than are packed at a time.
        for (n, secondN) in [
          (lanes, lanes), (3 * lanes, 4 * lanes), (lanes + 1, lanes), (2 * lanes, 3 * lanes + 1), (panel + 1, 1),
          (0, lanes), (1024, 1024), (1025, 1027),
        ] {
          for start in [ProductStart.bias, .accumulate] {
            stream += 1
            var product = TransposedCase(kernels, m: m, n: n, secondN: secondN, k: k, start, stream: stream)
            complaints.note(product.find(), product.label)
            product.takeRows()
            complaints.note(product.find(), product.label)
          }
        }
      }
      if complaints.areEnough { return }
    }
    let deep = TransposedCase(
      kernels, m: 5, n: panel, secondN: lanes + 1, k: kernels.geometry.depthBlock + 1, .bias, stream: stream + 1)
    complaints.note(deep.find(), deep.label)
  }
}

/// Where sums start.
private enum Beginning: CaseIterable {
  case zero, bias, accumulate, add

  var start: ProductStart {
    switch self {
    case .zero, .bias: .bias
    case .accumulate: .accumulate
    case .add: .add
    }
  }
}

/// One product A · W, and what it must give.
private struct ChainCase<Scalar: TestScalar> {
  let kernels: Kernels<Scalar>
  let m: Int
  let n: Int
  let k: Int
  let chains: Int
  let beginning: Beginning
  let label: String
  private let a: [Scalar]
  private let w: [Scalar]
  private let bias: [Scalar]
  private let before: [Scalar]
  /// Where rows, and where panels, are cut in two calls.
  private let cuts: (row: Int, panel: Int)
  private let layouts: RandomLayout

  init(
    _ kernels: Kernels<Scalar>, m: Int, n: Int, chains: Int, _ beginning: Beginning, partDepth: Int? = nil, stream: Int
  ) {
    var random = SeededRandom(stream: stream)
    let partDepth = partDepth ?? random.pick([0, 1, 2, 3, 5, 8, 17, 32])
    let filling = random.pick([Filling.wide, .wide, .special])
    self.kernels = kernels
    (self.m, self.n, self.chains, k) = (m, n, chains, chains * partDepth)
    self.beginning = beginning
    a = random.array(m * k, filling)
    w = random.array(k * n, filling)
    bias = random.array(n, filling)
    // What is overwritten must not be read.
    before = beginning.start == .bias ? [Scalar](repeating: .nan, count: m * n) : random.array(m * n, filling)
    cuts = (random.index(below: m + 1), random.index(below: kernels.geometry.panels(n) + 1))
    label =
      "\(kernels.label), stream \(stream): M \(m), N \(n), K \(k) in \(chains) chains, \(filling), from \(beginning), "
      + "cut at row \(cuts.row) and panel \(cuts.panel)"
    layouts = RandomLayout(random: random)
  }

  /// ((start + chain 0) + chain 1) + …, where what is added to starts every chain at zero.
  private var expected: [Scalar] {
    let model = ChainModel(kernels)
    let zeros = [Scalar](repeating: 0, count: m * n)
    var total =
      switch beginning {
      case .zero: zeros
      case .bias: (0..<m).flatMap { _ in bias }
      case .accumulate, .add: before
      }
    let depth = k / chains
    for chain in 0..<chains {
      let part = (chain * depth)..<((chain + 1) * depth)
      let aPart = (0..<m).flatMap { row in part.map { a[row * k + $0] } }
      let wPart = Array(w[(part.lowerBound * n)..<(part.upperBound * n)])
      if chain == 0 && beginning != .add {
        total = model.product(aPart, wPart, start: total, m: m, n: n, k: depth)
      } else {
        total = zip(total, model.product(aPart, wPart, start: zeros, m: m, n: n, k: depth)).map { $0 + $1 }
      }
    }
    return total
  }

  /// What is wrong where W is packed; nil where nothing is.
  func findPacked() -> String? {
    let weights = GuardedMatrix(w, rows: k, columns: n)
    let packed = GuardedMatrix(
      row: [Scalar](repeating: .nan, count: kernels.table.packedCount(outputs: n, depth: k)))
    unsafe kernels.table.packColumns(weights.view, from: 0, of: k, into: packed.pointer)
    return unsafe find(UnsafePointer(packed.pointer), stride: 0, packed)
  }

  /// The same where W lies as it is, at the end of a page.
  ///
  /// - Parameter scratch: the caller's, which several rows need; nil for that of packed weights.
  func findInPlace(gap: Int, _ scratch: GuardedMatrix<Scalar>? = nil) -> String? {
    let weights = GuardedMatrix(w, rows: k, columns: n, stride: n + gap, placement: .endOfPage)
    return unsafe find(UnsafePointer(weights.pointer), stride: n + gap, weights, scratch)
  }

  @unsafe private func find(
    _ weights: UnsafePointer<Scalar>, stride: Int, _ holder: GuardedMatrix<Scalar>,
    _ given: GuardedMatrix<Scalar>? = nil
  ) -> String? {
    var layouts = layouts
    let aMatrix = layouts.matrix(a, rows: m, columns: k)
    let c = layouts.matrix(before, rows: m, columns: n)
    let biasMatrix = GuardedMatrix(row: bias, placement: .endOfPage)
    let own = GuardedMatrix(
      row: [Scalar](repeating: .nan, count: given == nil ? kernels.geometry.productScratch : 0))
    let scratch = given ?? own
    var operands = unsafe ProductOperands(
      a: aMatrix.view, weights: weights, bias: beginning == .zero ? nil : UnsafePointer(biasMatrix.pointer),
      c: c.mutableView, start: beginning.start)
    unsafe operands.chains = chains
    unsafe operands.weightsStride = stride
    for rows in [0..<cuts.row, cuts.row..<m] {
      for panels in [0..<cuts.panel, cuts.panel..<kernels.geometry.panels(n)] {
        unsafe kernels.table.product(operands, rows: rows, panels: panels, scratch: scratch.pointer)
      }
    }
    return firstDifference(c.values, from: expected, columns: n) ?? c.damage ?? own.damage ?? holder.damage
  }
}

/// One product Aᵀ · B, or two of one A, and what they must give.
private struct TransposedCase<Scalar: TestScalar> {
  let kernels: Kernels<Scalar>
  let m: Int
  let n: Int
  let secondN: Int
  let k: Int
  let start: ProductStart
  private let a: [Scalar]
  private let b: [[Scalar]]
  private let before: [[Scalar]]
  private var rows: Range<Int>
  private var columns: Range<Int>
  private let context: String
  private var random: SeededRandom

  init(
    _ kernels: Kernels<Scalar>, m: Int, n: Int, secondN: Int, k: Int, _ start: ProductStart, stream: Int
  ) {
    var random = SeededRandom(stream: stream)
    let filling = random.pick([Filling.wide, .wide, .special])
    self.kernels = kernels
    (self.m, self.n, self.secondN, self.k, self.start) = (m, n, secondN, k, start)
    a = random.array(k * m, filling)
    b = [random.array(k * n, filling), random.array(k * secondN, filling)]
    before = [n, secondN].map { columns in
      start == .bias ? [Scalar](repeating: .nan, count: m * columns) : random.array(m * columns, filling)
    }
    (rows, columns) = (0..<m, 0..<n)
    context = "\(kernels.label), stream \(stream): M \(m), N \(n) and \(secondN), K \(k), \(filling), start \(start)"
    self.random = random
  }

  var label: String { context + ", rows \(rows), columns \(columns)" }

  mutating func takeRows() { rows = random.range(within: m) }

  mutating func takeSome() {
    takeRows()
    columns = random.range(within: n)
  }

  /// Whole vectors of columns, from anywhere on.
  mutating func takeVectors() {
    let vectors = n / kernels.geometry.lanes
    let count = vectors == 0 ? 0 : 1 + random.index(below: vectors)
    let first = random.index(below: n - count * kernels.geometry.lanes + 1)
    columns = first..<(first + count * kernels.geometry.lanes)
  }

  private func expected(_ index: Int, columns: Range<Int>) -> [Scalar] {
    let width = [n, secondN][index]
    let sums = start == .bias ? [Scalar](repeating: 0, count: m * width) : before[index]
    let whole = ChainModel(kernels).transposedProduct(a, b[index], start: sums, m: m, n: width, k: k)
    return (0..<(m * width)).map { i in
      rows.contains(i / width) && columns.contains(i % width) ? whole[i] : before[index][i]
    }
  }

  func find() -> String? {
    var layouts = RandomLayout(random: random)
    let aMatrix = layouts.matrix(a, rows: k, columns: m)
    let widths = [n, secondN]
    // B read too far ends the process.
    let bs = (0..<2).map {
      GuardedMatrix(b[$0], rows: k, columns: widths[$0], stride: widths[$0] + $0, placement: .endOfPage)
    }
    let cs = (0..<2).map { layouts.matrix(before[$0], rows: m, columns: widths[$0]) }
    let panels = widths.map(kernels.geometry.panels).reduce(0, +)
    let scratch = GuardedMatrix(
      row: [Scalar](repeating: .nan, count: kernels.geometry.transposedScratch(panels: panels)))
    var operands = unsafe TransposedProductOperands(
      a: aMatrix.view, b: bs[0].view, c: cs[0].mutableView, start: start)
    if secondN > 0 { unsafe (operands.secondB, operands.secondC) = unsafe (bs[1].view, cs[1].mutableView) }
    unsafe kernels.table.transposedProduct(operands, rows: rows, columns: columns, scratch: scratch.pointer)
    withExtendedLifetime(aMatrix) {}
    let second = firstDifference(cs[1].values, from: expected(1, columns: 0..<secondN), columns: secondN)
    return firstDifference(cs[0].values, from: expected(0, columns: columns), columns: n)
      ?? second.map { "second: \($0)" }
      ?? cs[0].damage ?? cs[1].damage ?? bs[0].damage ?? bs[1].damage ?? scratch.damage
  }
}
