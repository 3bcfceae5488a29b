import Recurrence
import Testing

/// What follows from "one chain for every element of C", and what drivers build on: laws between calls, bit for bit.
///
/// Operands are wide: with exponents this far apart a sum taken in another order shows at once.
@Suite struct ProductLawTests {
  @Test(arguments: KernelCase.all) func threadsDoNotChangeBits(_ kernels: KernelCase) {
    kernels.run(checkThreads, checkThreads)
  }

  @Test(arguments: KernelCase.all) func rowsAreIndependent(_ kernels: KernelCase) {
    kernels.run(checkRows, checkRows)
  }

  @Test(arguments: KernelCase.all) func aPoisonedRowStaysAlone(_ kernels: KernelCase) {
    kernels.run(checkPoison, checkPoison)
  }

  @Test(arguments: KernelCase.all) func depthMayBeSplit(_ kernels: KernelCase) {
    kernels.run(checkSplitDepth, checkSplitDepth)
  }

  @Test(arguments: KernelCase.all) func segmentsMayComeLastFirst(_ kernels: KernelCase) {
    kernels.run(checkSegments, checkSegments)
  }

  @Test(arguments: KernelCase.all) func shapesMayChangeBetweenCalls(_ kernels: KernelCase) {
    kernels.run(checkReuse, checkReuse)
  }

  // MARK: Checks

  /// Few rows and many, few panels and many: work is cut along either side, and never evenly.
  private func checkThreads<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let geometry = kernels.geometry
    var complaints = Complaints()
    var stream = 60_000
    for m in [1, geometry.tileRows + 1, 2 * geometry.tileRows * 7 + 5] {
      for n in [1, geometry.panelWidth, 2 * geometry.panelWidth + 1, 9 * geometry.panelWidth + 3] {
        let k = SuiteSettings.isThin ? 19 : 261
        stream += 1
        var random = SeededRandom(stream: stream)
        let a: [Scalar] = random.array(m * k, .wide)
        let w: [Scalar] = random.array(k * n, .wide)
        let bias: [Scalar] = random.array(n, .wide)
        let before: [Scalar] = random.array(m * n, .wide)
        let (product, gradient) = (
          kernels.multiply(a, w, bias: bias, m: m, n: n, k: k),
          kernels.accumulateTransposed(a, w, onto: before, m: m, n: n, k: k)
        )
        for threads in [2, 3, 7] {
          let context = "\(kernels.label), M \(m), N \(n), K \(k), \(threads) threads instead of 1"
          complaints.note(
            firstDifference(
              kernels.multiply(a, w, bias: bias, m: m, n: n, k: k, threads: threads), from: product, columns: n),
            "\(context), multiply")
          complaints.note(
            firstDifference(
              kernels.accumulateTransposed(a, w, onto: before, m: m, n: n, k: k, threads: threads), from: gradient,
              columns: n), "\(context), accumulateTransposed")
        }
      }
    }
  }

  /// A row's result depends on that row alone: rows in another order give the same rows in that order, and one row by
  /// itself (a matrix-vector product) gives what it gives among many.
  private func checkRows<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let geometry = kernels.geometry
    let (m, n) = (3 * geometry.tileRows + 2, 2 * geometry.panelWidth + geometry.lanes + 1)
    let k = SuiteSettings.isThin ? 33 : 300
    var random = SeededRandom(stream: 61_000)
    let a: [Scalar] = random.array(m * k, .wide)
    let w: [Scalar] = random.array(k * n, .wide)
    let bias: [Scalar] = random.array(n, .wide)
    let c = kernels.multiply(a, w, bias: bias, m: m, n: n, k: k)

    let order = (0..<m).shuffled(using: &random)
    let permuted = kernels.multiply(order.flatMap { a[($0 * k)..<(($0 + 1) * k)] }, w, bias: bias, m: m, n: n, k: k)
    var complaints = Complaints()
    complaints.note(
      firstDifference(permuted, from: order.flatMap { c[($0 * n)..<(($0 + 1) * n)] }, columns: n),
      "\(kernels.label), rows in the order \(order)")
    for row in 0..<m {
      let alone = kernels.multiply(Array(a[(row * k)..<((row + 1) * k)]), w, bias: bias, m: 1, n: n, k: k)
      complaints.note(
        firstDifference(alone, from: Array(c[(row * n)..<((row + 1) * n)]), columns: n),
        "\(kernels.label), row \(row) of \(m) alone, N \(n), K \(k)")
    }
  }

  /// NaN and infinity in one row of A reach that row of C, whole, and no other.
  private func checkPoison<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let geometry = kernels.geometry
    let (m, n, k) = (2 * geometry.tileRows + 3, geometry.panelWidth + geometry.lanes + 1, 37)
    var complaints = Complaints()
    for (number, poison) in [Scalar.nan, .infinity, -.infinity].enumerated() {
      var random = SeededRandom(stream: 62_000 + number)
      var a: [Scalar] = random.array(m * k, .uniform)
      let w: [Scalar] = random.array(k * n, .uniform).map { $0 == 0 ? 1 : $0 }
      let clean = kernels.multiply(a, w, m: m, n: n, k: k)
      for row in 0..<m {
        let place = row * k + random.index(below: k)
        let healthy = a[place]
        a[place] = poison
        let c = kernels.multiply(a, w, m: m, n: n, k: k)
        a[place] = healthy
        var expected = clean
        expected.replaceSubrange((row * n)..<((row + 1) * n), with: c[(row * n)..<((row + 1) * n)])
        let context = "\(kernels.label), \(poison) in row \(row) of \(m), column \(place % k)"
        complaints.note(firstDifference(c, from: expected, columns: n), context)
        if c[(row * n)..<((row + 1) * n)].contains(where: \.isFinite) {
          complaints.note("the row has a finite result", context)
        }
      }
    }
  }

  /// bias + A₁·W₁, then += A₂·W₂, is bias + [A₁ A₂]·[W₁; W₂]: x before h, in a network.
  private func checkSplitDepth<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let geometry = kernels.geometry
    let (m, n) = (geometry.tileRows + 2, geometry.panelWidth + 3)
    let k = SuiteSettings.isThin ? 40 : 530
    var random = SeededRandom(stream: 63_000)
    let a = GuardedMatrix<Scalar>(random.array(m * k, .wide), rows: m, columns: k)
    let w = GuardedMatrix<Scalar>(random.array(k * n, .wide), rows: k, columns: n)
    let bias = GuardedMatrix<Scalar>(row: random.array(n, .wide))
    let whole = GuardedMatrix<Scalar>([Scalar](repeating: 0, count: m * n), rows: m, columns: n)
    unsafe kernels.multiply(a.view, w.view, .columns, bias: bias, into: whole.mutableView)
    var complaints = Complaints()
    for cut in [0, 1, 17, k / 2, 256, 257, k - 1, k] where cut <= k {
      let c = GuardedMatrix<Scalar>([Scalar](repeating: .nan, count: m * n), rows: m, columns: n)
      unsafe kernels.multiply(
        a.view(columns: 0..<cut), w.view(rows: 0..<cut), .columns, bias: bias, into: c.mutableView)
      // Where C is accumulated into, a bias is "not used".
      unsafe kernels.multiply(
        a.view(columns: cut..<k), w.view(rows: cut..<k), .columns, bias: cut % 2 == 0 ? bias : nil, into: c.mutableView,
        start: .accumulate)
      complaints.note(
        firstDifference(c.values, from: whole.values, columns: n), "\(kernels.label), K \(k) split at \(cut)")
    }
    withExtendedLifetime((a, w)) {}
  }

  /// A gradient over segments of time, the last segment first, is the gradient over all of time.
  private func checkSegments<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let (m, n) = (2 * kernels.geometry.tileRows + 1, kernels.geometry.panelWidth + 3)
    let k = SuiteSettings.isThin ? 40 : 530
    var random = SeededRandom(stream: 64_000)
    let a = GuardedMatrix<Scalar>(random.array(k * m, .wide), rows: k, columns: m)
    let b = GuardedMatrix<Scalar>(random.array(k * n, .wide), rows: k, columns: n)
    let before: [Scalar] = random.array(m * n, .wide)
    let whole = kernels.accumulateTransposed(a.values, b.values, onto: before, m: m, n: n, k: k)
    var complaints = Complaints()
    for segment in [1, 7, 100, 256, 257, k] {
      let c = GuardedMatrix(before, rows: m, columns: n)
      var products = MatrixProducts(kernels: kernels)
      var end = k
      while end > 0 {
        let start = max(0, end - segment)
        unsafe products.accumulateTransposed(a.view(rows: start..<end), b.view(rows: start..<end), into: c.mutableView)
        end = start
      }
      complaints.note(firstDifference(c.values, from: whole, columns: n), "\(kernels.label), segments of \(segment)")
    }
    withExtendedLifetime((a, b)) {}
  }

  /// One value, many shapes: what a call leaves in the scratch memory, NaNs besides, means nothing to the next.
  private func checkReuse<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var products = MatrixProducts(threads: 2, kernels: kernels, smallestSplit: 0)
    var random = SeededRandom(stream: 65_000)
    var complaints = Complaints()
    for round in 0..<(SuiteSettings.isThin ? 4 : 24) {
      let (m, n, k) = (1 + random.index(below: 90), 1 + random.index(below: 150), 1 + random.index(below: 280))
      let poisoned = round % 2 == 0
      let a: [Scalar] = poisoned ? [Scalar](repeating: .nan, count: m * k) : random.array(m * k, .wide)
      let w: [Scalar] = random.array(k * n, .wide)
      let (aMatrix, tall) = (GuardedMatrix(a, rows: m, columns: k), GuardedMatrix(w, rows: k, columns: n))
      let left = GuardedMatrix(a, rows: k, columns: m)
      let zero = [Scalar](repeating: 0, count: m * n)
      let (c, gradient) = (GuardedMatrix(zero, rows: m, columns: n), GuardedMatrix(zero, rows: m, columns: n))
      var packed = PackedWeights(outputs: n, depth: k, kernels: kernels)
      unsafe packed.packColumns(tall.view)
      unsafe products.multiply(aMatrix.view, packed, into: c.mutableView)
      unsafe products.accumulateTransposed(left.view, tall.view, into: gradient.mutableView)
      withExtendedLifetime((aMatrix, tall, left)) {}
      let context = "\(kernels.label), round \(round), M \(m), N \(n), K \(k)"
      complaints.note(
        firstDifference(c.values, from: kernels.multiply(a, w, m: m, n: n, k: k), columns: n), "\(context), multiply")
      complaints.note(
        firstDifference(
          gradient.values, from: kernels.accumulateTransposed(a, w, onto: zero, m: m, n: n, k: k), columns: n),
        "\(context), accumulateTransposed")
    }
  }
}
