import RecurrenceKernels

/// The matrix products of recurrent networks, with the memory they work in.
///
/// Make one, keep it, and call it as often as you like: calls allocate nothing, except that with more threads Dispatch
/// allocates what it needs to start them. Outputs are split between `threads` fixed parts, sums never are, so the bits
/// of a result do not depend on the number of threads:
///
/// - in `multiply`, every element of C is one chain of multiply-adds in ascending k that starts at the bias (or at C);
/// - in `accumulateTransposed`, one chain in descending k that starts at C.
///
/// A value has one owner at a time and may be moved between threads.
public struct MatrixProducts<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  public let kernels: Kernels<Scalar>
  public let threads: Int
  private let scratch: AlignedBuffer<Scalar>
  private let scratchStride: Int
  private let smallestSplit: Double

  /// - Parameter threads: number of parts that work is split into, from 1 to 1024; 1 never enters Dispatch, nor do
  ///   products too small to gain.
  public init(threads: Int = 1) { self.init(threads: threads, kernels: .selected) }

  /// Multiply-adds below which a product is not split: some 100 µs of one core, where starting and ending threads costs
  /// 15 to 24 µs.
  package static var smallestSplit: Double { 4e6 }

  /// - Parameter smallestSplit: tests pass 0, to split the smallest products too.
  package init(threads: Int = 1, kernels: Kernels<Scalar>, smallestSplit: Double = Self.smallestSplit) {
    guard (1...1024).contains(threads) else { fatalError("threads: expected 1 to 1024, got \(threads)") }
    self.kernels = kernels
    self.threads = threads
    self.smallestSplit = smallestSplit
    // Rounded to cache lines: no two threads write to one line.
    let needed = max(kernels.geometry.productScratch, kernels.geometry.transposedScratch)
    scratchStride = (needed + 15) / 16 * 16
    scratch = AlignedBuffer(count: scratchStride * threads)
  }

  /// C[M, N] = bias + A[M, K] · W, or C += A · W: sums start at C, or where `start` is `.add`, at zero, and are added to C.
  ///
  /// - Parameters:
  ///   - a: in, [M, K].
  ///   - weights: in; packed by rows for A·Wᵀ, by columns for A·W; made with the same kernels.
  ///   - bias: in, N elements; nil for none. Not used where C is accumulated into.
  ///   - c: out (in and out where accumulated into), [M, N]; must not overlap the other operands.
  ///
  /// Sizes of zero are legal: K = 0 leaves the bias, M = 0 or N = 0 does nothing. Traps with a sentence where shapes
  /// do not fit.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  @unsafe public mutating func multiply(
    _ a: MatrixView<Scalar>, _ weights: borrowing PackedWeights<Scalar>, bias: UnsafeBufferPointer<Scalar>? = nil,
    into c: MutableMatrixView<Scalar>, start: ProductStart = .bias
  ) {
    unsafe check(a, weights, bias: bias, c)
    let table = kernels.table
    nonisolated(unsafe) let operands = unsafe ProductOperands(
      a: a, weights: weights.unsafePointer, bias: bias?.baseAddress, c: c, start: start)
    nonisolated(unsafe) let scratch = unsafe scratch.unsafePointer
    let stride = scratchStride
    let rows = unsafe c.rows
    let panels = unsafe kernels.geometry.panels(c.columns)
    // Rows are split while every part keeps two full tiles; below that, panels.
    let threads = unsafe usefulThreads(threads, c.rows, c.columns, a.columns, smallestSplit: smallestSplit)
    if rows >= 2 * kernels.geometry.tileRows * threads || panels == 1 {
      let split = EvenSplit(rows, parts: min(threads, rows))
      concurrentParts(split.parts) { part in
        unsafe table.product(
          operands, rows: split.range(part), panels: 0..<panels, scratch: scratch + part * stride)
      }
    } else {
      let split = EvenSplit(panels, parts: min(threads, panels))
      concurrentParts(split.parts) { part in
        unsafe table.product(
          operands, rows: 0..<rows, panels: split.range(part), scratch: scratch + part * stride)
      }
    }
  }

  /// C[M, N] += A[K, M]ᵀ · B[K, N]: the gradient of weights, K being T·B.
  ///
  /// - Parameters:
  ///   - a: in, [K, M].
  ///   - b: in, [K, N].
  ///   - c: in and out, [M, N]; must not overlap the other operands.
  ///
  /// Sizes of zero are legal and leave C as it is. Traps with a sentence where shapes do not fit.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  @unsafe public mutating func accumulateTransposed(
    _ a: MatrixView<Scalar>, _ b: MatrixView<Scalar>, into c: MutableMatrixView<Scalar>
  ) {
    unsafe expect("rows of b", b.rows, toBe: a.rows, "K of a")
    unsafe expect("rows of c", c.rows, toBe: a.columns, "M of a")
    unsafe expect("columns of c", c.columns, toBe: b.columns, "N of b")
    let table = kernels.table
    nonisolated(unsafe) let operands = unsafe TransposedProductOperands(a: a, b: b, c: c)
    nonisolated(unsafe) let scratch = unsafe scratch.unsafePointer
    let stride = scratchStride
    unsafe operands.inParts(threads: threads, smallestSplit: smallestSplit) { part, rows, columns in
      unsafe table.transposedProduct(operands, rows: rows, columns: columns, scratch: scratch + part * stride)
    }
  }

  // MARK: For passes that split their rows themselves

  /// Parts that rows are worth to be split into, where each costs so many multiply-adds.
  func parts(ofRows rows: Int, work: Int) -> Int {
    max(1, min(rows, Double(rows) * Double(work) < smallestSplit ? 1 : threads))
  }

  /// Memory for the products of parts.
  var partScratch: PartScratch<Scalar> { unsafe PartScratch(base: scratch.unsafePointer, stride: scratchStride) }

  private func check(
    _ a: MatrixView<Scalar>, _ weights: borrowing PackedWeights<Scalar>, bias: UnsafeBufferPointer<Scalar>?,
    _ c: MutableMatrixView<Scalar>
  ) {
    unsafe expect("columns of a", a.columns, toBe: weights.depth, "K of the weights")
    unsafe expect("rows of c", c.rows, toBe: a.rows, "M of a")
    unsafe expect("columns of c", c.columns, toBe: weights.outputs, "N of the weights")
    if let bias = unsafe bias { expect("elements of bias", bias.count, toBe: weights.outputs, "N of the weights") }
    if weights.kernels.instructionSet != kernels.instructionSet {
      fatalError("weights: packed for \(weights.kernels.instructionSet), these products run \(kernels.instructionSet)")
    }
  }

  private func expect(_ what: StaticString, _ actual: Int, toBe expected: Int, _ source: StaticString) {
    if actual != expected { fatalError("\(what): expected \(expected) (\(source)), got \(actual)") }
  }
}

/// Memory for the products of parts, valid while its owner lives.
@unsafe struct PartScratch<Scalar: RecurrenceScalar>: @unchecked Sendable {
  fileprivate let base: UnsafeMutablePointer<Scalar>
  fileprivate let stride: Int

  subscript(part: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + part * stride }
}
