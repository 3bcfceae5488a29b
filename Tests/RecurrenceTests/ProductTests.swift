import Recurrence
import Testing

/// Every product against the two naive judges of NaiveProducts.swift, over shapes that cross every edge of the kernels.
@Suite struct ProductTests {
  @Test(arguments: KernelCase.all) func multiplyFollowsTheChain(_ kernels: KernelCase) {
    kernels.run(sweepMultiply, sweepMultiply)
  }

  @Test(arguments: KernelCase.all) func accumulateTransposedFollowsTheChain(_ kernels: KernelCase) {
    kernels.run(sweepTransposed, sweepTransposed)
  }

  @Test(arguments: KernelCase.all) func multiplyIsAccurate(_ kernels: KernelCase) {
    kernels.run(boundMultiply, boundMultiply)
  }

  @Test(arguments: KernelCase.all) func accumulateTransposedIsAccurate(_ kernels: KernelCase) {
    kernels.run(boundTransposed, boundTransposed)
  }

  // MARK: Bit for bit

  /// A·Wᵀ and A·W, from a bias, from zero and from C, on one thread and on several, in random layouts.
  private func sweepMultiply<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let model = ChainModel(kernels)
    var complaints = Complaints()
    for (number, shape) in ProductShape.sweep(kernels.geometry).enumerated() {
      let (m, n, k) = (shape.m, shape.n, shape.k)
      var random = SeededRandom(stream: number)
      let filling = random.pick(Filling.allCases)
      let a: [Scalar] = random.array(m * k, filling)
      let w: [Scalar] = random.array(k * n, filling)
      let bias: [Scalar]? = random.index(below: 3) > 0 ? random.array(n, filling) : nil
      let start: ProductStart = random.index(below: 3) > 0 ? .bias : .accumulate
      // Without accumulation C's content must not matter: NaN.
      let before = start == .accumulate ? random.array(m * n, filling) : [Scalar](repeating: .nan, count: m * n)
      let chainStart =
        switch (start, bias) {
        case (.accumulate, _), (.add, _): before
        case (.bias, let bias?): (0..<m).flatMap { _ in bias }
        case (.bias, nil): [Scalar](repeating: 0, count: m * n)
        }
      let expected = model.product(a, w, start: chainStart, m: m, n: n, k: k)

      var layouts = RandomLayout(random: random)
      for (layout, threads) in [(WeightLayout.rows, 1), (.columns, random.pick([2, 3, 7]))] {
        let aMatrix = layouts.matrix(a, rows: m, columns: k)
        let wMatrix =
          layout == .columns
          ? layouts.matrix(w, rows: k, columns: n)
          : layouts.matrix(transposed(w, rows: k, columns: n), rows: n, columns: k)
        let c = layouts.matrix(before, rows: m, columns: n)
        let biasMatrix = bias.map { GuardedMatrix(row: $0, placement: .offset(1)) }
        unsafe kernels.multiply(
          aMatrix.view, wMatrix.view, layout, bias: biasMatrix, into: c.mutableView, start: start, threads: threads)
        let context =
          "\(kernels.label), case \(number): \(shape.label), \(filling), start \(start), "
          + "\(bias == nil ? "no " : "")bias, weights by \(layout), \(threads) threads, "
          + "A \(aMatrix.layout), W \(wMatrix.layout), C \(c.layout)"
        complaints.note(firstDifference(c.values, from: expected, columns: n), context)
        complaints.note(c.damage ?? aMatrix.damage ?? wMatrix.damage ?? biasMatrix?.damage, context)
        complaints.note(firstDifference(aMatrix.values, from: a, columns: k), context + ": A was written to")
      }
      if complaints.areEnough { return }
    }
  }

  private func sweepTransposed<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let model = ChainModel(kernels)
    var complaints = Complaints()
    for (number, shape) in ProductShape.sweep(kernels.geometry).enumerated() {
      let (m, n, k) = (shape.m, shape.n, shape.k)
      var random = SeededRandom(stream: 10_000 + number)
      let filling = random.pick(Filling.allCases)
      let a: [Scalar] = random.array(k * m, filling)
      let b: [Scalar] = random.array(k * n, filling)
      let before: [Scalar] = random.array(m * n, filling)
      let expected = model.transposedProduct(a, b, start: before, m: m, n: n, k: k)

      var layouts = RandomLayout(random: random)
      for threads in [1, random.pick([2, 3, 7])] {
        let aMatrix = layouts.matrix(a, rows: k, columns: m)
        let bMatrix = layouts.matrix(b, rows: k, columns: n)
        let c = layouts.matrix(before, rows: m, columns: n)
        var products = MatrixProducts(threads: threads, kernels: kernels, smallestSplit: 0)
        unsafe products.accumulateTransposed(aMatrix.view, bMatrix.view, into: c.mutableView)
        let context =
          "\(kernels.label), case \(number): \(shape.label), \(filling), \(threads) threads, "
          + "A \(aMatrix.layout), B \(bMatrix.layout), C \(c.layout)"
        complaints.note(firstDifference(c.values, from: expected, columns: n), context)
        complaints.note(c.damage ?? aMatrix.damage ?? bMatrix.damage, context)
        complaints.note(firstDifference(bMatrix.values, from: b, columns: n), context + ": B was written to")
      }
      if complaints.areEnough { return }
    }
  }

  // MARK: Accuracy

  /// Shapes for the wide judge: it needs no edges, only long and short sums.
  private var accuracyShapes: [ProductShape] {
    let long = SuiteSettings.isThin ? 300 : 3000
    return [
      ProductShape(m: 1, n: 1, k: long), ProductShape(m: 13, n: 37, k: long), ProductShape(m: 40, n: 65, k: 64),
      ProductShape(m: 7, n: 9, k: 1),
    ]
  }

  private func boundMultiply<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for (number, shape) in accuracyShapes.enumerated() {
      for filling in [Filling.uniform, .wide] {
        let (m, n, k) = (shape.m, shape.n, shape.k)
        var random = SeededRandom(stream: 20_000 + number)
        let a: [Scalar] = random.array(m * k, filling)
        let w: [Scalar] = random.array(k * n, filling)
        let bias: [Scalar] = random.array(n, filling)
        let c = kernels.multiply(a, w, bias: bias, m: m, n: n, k: k)
        complaints.note(
          firstExcess(c, m: m, n: n, k: k, start: { bias[$1] }, a: { a[$0 * k + $2] }, w: { w[$2 * n + $1] }),
          "\(kernels.label), case \(number): \(shape.label), \(filling)")
      }
    }
  }

  private func boundTransposed<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for (number, shape) in accuracyShapes.enumerated() {
      for filling in [Filling.uniform, .wide] {
        let (m, n, k) = (shape.m, shape.n, shape.k)
        var random = SeededRandom(stream: 30_000 + number)
        let a: [Scalar] = random.array(k * m, filling)
        let b: [Scalar] = random.array(k * n, filling)
        let before: [Scalar] = random.array(m * n, filling)
        let c = kernels.accumulateTransposed(a, b, onto: before, m: m, n: n, k: k)
        complaints.note(
          firstExcess(
            c, m: m, n: n, k: k, start: { before[$0 * n + $1] }, a: { a[$2 * m + $0] }, w: { b[$2 * n + $1] }),
          "\(kernels.label), case \(number): \(shape.label), \(filling)")
      }
    }
  }

  /// The first element further from the wide sum than a chain can be.
  ///
  /// With u = eps/2, a chain of K multiply-adds makes K roundings where they are fused and at most K+1 on the way of
  /// any one product where they are not, so (Higham, Accuracy and Stability, §3.1) its error is at most
  /// γ(K+1)·S = (K+1)u / (1 − (K+1)u) · S with S = |start| + Σ|a||w|. The bound below, (K+1)·eps·S, is twice its
  /// numerator: enough for the denominator while (K+1)u < 1/4, for the roundings of S itself, and for the wide sum's
  /// own error, at most (K+1)·2⁻⁶⁴·S for `Double` and (K+1)·2⁻⁵³·S for `Float`. No operand here is small enough for a
  /// product to underflow. The arguments of the closures are row, column, k.
  private func firstExcess<Scalar: TestScalar>(
    _ c: [Scalar], m: Int, n: Int, k: Int, start: (Int, Int) -> Scalar, a: (Int, Int, Int) -> Scalar,
    w: (Int, Int, Int) -> Scalar
  ) -> String? {
    for row in 0..<m {
      for column in 0..<n {
        var sum = Scalar.WideSum(start(row, column))
        var magnitudes = Double(start(row, column).magnitude)
        for depth in 0..<k {
          let (x, y) = (a(row, column, depth), w(row, column, depth))
          sum.add(x, times: y)
          magnitudes += Double(x.magnitude) * Double(y.magnitude)
        }
        let error = sum.distance(to: c[row * n + column])
        let bound = Double(k + 1) * Double(Scalar.ulpOfOne) * magnitudes
        // Written so that NaN is an excess.
        if !(error <= bound) { return "element (\(row), \(column)) is off by \(error), a chain at most by \(bound)" }
      }
    }
    return nil
  }
}
