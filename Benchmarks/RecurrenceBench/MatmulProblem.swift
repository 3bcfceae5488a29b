import Recurrence

/// A matrix product to measure. All matrices are dense and row-major.
struct MatmulProblem: Sendable, Equatable {
  enum Operation: String, CaseIterable, Sendable {
    /// C[M, N] = bias + A[M, K] · W[N, K]ᵀ: x·W and h·U of a forward pass, weights packed beforehand.
    case nt
    /// C[M, N] = A[M, K] · W[K, N]: δ·U and δ·W of a backward pass, weights packed beforehand.
    case nn
    /// C[M, N] += A[K, M]ᵀ · B[K, N]: the gradient of weights, K being T·B.
    case tn
  }

  let operation: Operation
  let m: Int
  let n: Int
  let k: Int

  init(_ operation: Operation, _ m: Int, _ n: Int, _ k: Int) {
    self.operation = operation
    self.m = m
    self.n = n
    self.k = k
  }

  /// A multiply-add is two operations; the bias is not counted.
  var flops: Double { 2 * Double(m) * Double(n) * Double(k) }

  /// Elements of all operands. Each size is at most 2²⁰, so that this cannot overflow.
  var elements: Int { m * k + n * k + m * n + n }

  /// All operands are read, or written, once.
  func work(elementSize: Int) -> Work {
    Work(flops: flops, bytes: Double(elements * elementSize), workingSet: elements * elementSize)
  }

  /// What is measured where `--shapes` says nothing.
  static let standard: [MatmulProblem] = [
    // Large and square: how close to the roof the tile gets.
    .init(.nt, 512, 512, 512),
    .init(.nt, 1024, 1024, 1024),
    // One time step of x·W or h·U for a batch of 32 or 64, four gates.
    .init(.nt, 64, 1024, 256),
    .init(.nt, 64, 2048, 512),
    .init(.nt, 32, 512, 128),
    .init(.nt, 32, 4096, 1024),
    // All x·W of a sequence of 100 steps at once.
    .init(.nt, 6400, 1024, 256),
    // One row: streaming. Bound by how fast the weights arrive.
    .init(.nt, 1, 2048, 512),
    .init(.nt, 1, 512, 128),
    // Rows of A 16 KiB apart, a power of two: all of a column in one set of a cache.
    .init(.nt, 256, 1024, 4096),
    // No size a multiple of anything: remainders in every direction.
    .init(.nt, 67, 131, 259),
    // δ·U of one backward step.
    .init(.nn, 32, 128, 512),
    .init(.nn, 64, 256, 1024),
    // ∂L/∂W after a sequence of 100 steps at a batch of 32.
    .init(.tn, 1024, 256, 3200),
    .init(.tn, 512, 128, 3200),
  ]

  /// `standard`, or each shape [M, N, K] with every operation.
  static func chosen(_ shapes: [[Int]]) -> [MatmulProblem] {
    if shapes.isEmpty { return standard }
    return shapes.flatMap { shape in Operation.allCases.map { MatmulProblem($0, shape[0], shape[1], shape[2]) } }
  }
}
