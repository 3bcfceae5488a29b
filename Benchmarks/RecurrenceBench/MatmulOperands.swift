import Recurrence

/// The memory of one matrix product, and the product itself: the fast one and the naive one.
struct MatmulOperands<Scalar: RecurrenceScalar>: ~Copyable {
  let problem: MatmulProblem
  /// [M, K], or [K, M] for tn.
  private let a: AlignedBuffer<Scalar>
  /// [N, K] for nt, [K, N] for nn and tn.
  private let b: AlignedBuffer<Scalar>
  /// N; used by nt.
  private let bias: AlignedBuffer<Scalar>
  /// [M, N].
  private let c: AlignedBuffer<Scalar>
  /// b, packed; empty for tn, which packs its own operands.
  private var weights: PackedWeights<Scalar>
  private var products: MatrixProducts<Scalar>
  private var precision = Precision.full

  /// What the operands are made of.
  enum Precision {
    /// Multiples of 1/8 from −1 to 7/8. A sum of K products is then exact, whatever its order, and a wrong one cannot
    /// hide among rounding errors: what verifies.
    case coarse
    /// Every bit of the significand in play: what is timed, because the power that a multiplier draws, and with it the
    /// clock, depends on its operands.
    case full
  }

  /// Memory for the operands, all zero; `fill` before anything else.
  init(_ problem: MatmulProblem, threads: Int, kernels: Kernels<Scalar>) {
    self.problem = problem
    let (m, n, k) = (problem.m, problem.n, problem.k)
    a = AlignedBuffer(count: m * k)
    b = AlignedBuffer(count: n * k)
    bias = AlignedBuffer(count: n)
    c = AlignedBuffer(count: m * n)
    weights = PackedWeights(
      outputs: problem.operation == .tn ? 0 : n, depth: problem.operation == .tn ? 0 : k, kernels: kernels)
    products = MatrixProducts(threads: threads, kernels: kernels)
  }

  mutating func fill(_ precision: Precision) {
    self.precision = precision
    for i in 0..<a.count { unsafe a.unsafePointer[i] = element(1, i) }
    for i in 0..<b.count { unsafe b.unsafePointer[i] = element(2, i) }
    for i in 0..<bias.count { unsafe bias.unsafePointer[i] = element(3, i) }
    pack()
  }

  private func element(_ stream: UInt64, _ index: Int) -> Scalar {
    let value: Scalar = operand(stream, index)
    return switch precision {
    case .coarse: (value * 8).rounded(.down) / 8
    case .full: value
    }
  }

  private mutating func pack() {
    let (n, k) = (problem.n, problem.k)
    let b = unsafe BlackHole.opaque(b.unsafePointer)
    switch problem.operation {
    case .nt: unsafe weights.packRows(MatrixView(b, rows: n, columns: k))
    case .nn: unsafe weights.packColumns(MatrixView(b, rows: k, columns: n))
    case .tn: break
    }
  }

  private mutating func multiply() {
    let (m, n, k) = (problem.m, problem.n, problem.k)
    let a = unsafe BlackHole.opaque(a.unsafePointer)
    let c = unsafe MutableMatrixView(c.unsafePointer, rows: m, columns: n)
    switch problem.operation {
    case .nt:
      let bias = unsafe UnsafeBufferPointer(start: bias.unsafePointer, count: n)
      unsafe products.multiply(MatrixView(a, rows: m, columns: k), weights, bias: bias, into: c)
    case .nn:
      unsafe products.multiply(MatrixView(a, rows: m, columns: k), weights, into: c)
    case .tn:
      let b = unsafe MatrixView(BlackHole.opaque(b.unsafePointer), rows: k, columns: n)
      unsafe products.accumulateTransposed(MatrixView(a, rows: k, columns: m), b, into: c)
    }
  }

  /// What is timed. C of tn grows with every repetition, by some √K: it neither overflows nor becomes subnormal.
  @inline(never)
  mutating func run(repetitions: Int, includingPacking: Bool) {
    for _ in 0..<repetitions {
      if includingPacking { pack() }
      multiply()
    }
    unsafe BlackHole.consume(Double(c.unsafePointer[repetitions % c.count]))
  }

  /// Computes C once and compares it with sums in double precision: all of it where the product is small, otherwise
  /// 256 outputs, the corners among them.
  ///
  /// Outputs are preset to NaN where the product overwrites them, so that one that was never written is found out.
  mutating func verify(_ label: String) throws(BenchmarkFailure) {
    let (m, n) = (problem.m, problem.n)
    for i in 0..<(m * n) { unsafe c.unsafePointer[i] = problem.operation == .tn ? element(4, i) : .nan }
    multiply()
    let all = problem.flops <= 8e6
    for sample in 0..<(all ? m * n : 256) {
      let (row, column): (Int, Int) =
        if all {
          (sample / n, sample % n)
        } else if sample < 4 {
          (sample & 1 == 0 ? 0 : m - 1, sample & 2 == 0 ? 0 : n - 1)
        } else {
          (position(5, sample, below: m), position(6, sample, below: n))
        }
      let (exact, bound) = naive(row: row, column: column)
      let value = unsafe Double(c.unsafePointer[row * n + column])
      if !(abs(value - exact) <= bound) {
        throw .wrongResult(label, "C[\(row), \(column)] should be \(exact) within \(bound), got \(value)")
      }
    }
  }

  /// One output in double precision, and how far from it the kernel's may be.
  ///
  /// s + Σ aₖbₖ, summed in any order, with or without fused multiply-adds, passes each term through at most K + 1
  /// roundings: its own product's and those of K additions. Hence |error| ≤ γ(K + 1) · (|s| + Σ|aₖbₖ|), with
  /// γ(n) = nu / (1 − nu) (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., §3.1). The oracle's own
  /// error is bounded by the same expression with the roundoff of `Double`.
  ///
  /// Of coarse operands all terms are multiples of 2⁻⁶ and at most 1 in magnitude, so partial sums are at most K + 1:
  /// they are exact, and the bound is zero, where 64·(K + 1) does not exceed 2 to the number of bits of a significand.
  private func naive(row: Int, column: Int) -> (exact: Double, bound: Double) {
    let (m, n, k) = (problem.m, problem.n, problem.k)
    var sum =
      switch problem.operation {
      case .nt: Double(bias[column])
      case .nn: 0.0
      case .tn: Double(element(4, row * n + column))
      }
    var magnitude = abs(sum)
    for i in 0..<k {
      let product =
        switch problem.operation {
        case .nt: Double(a[row * k + i]) * Double(b[column * k + i])
        case .nn: Double(a[row * k + i]) * Double(b[i * n + column])
        case .tn: Double(a[i * m + row]) * Double(b[i * n + column])
        }
      sum += product
      magnitude += abs(product)
    }
    if precision == .coarse && 64 * (Double(k) + 1) <= 1 / Scalar.unitRoundoff { return (sum, 0) }
    return (sum, (gamma(k + 1, Scalar.unitRoundoff) + gamma(k + 1, Double.unitRoundoff)) * magnitude)
  }
}

private func gamma(_ n: Int, _ u: Double) -> Double { Double(n) * u / (1 - Double(n) * u) }

private func position(_ stream: UInt64, _ index: Int, below limit: Int) -> Int {
  min(limit - 1, Int((operand(stream, index, as: Double.self) + 1) / 2 * Double(limit)))
}
