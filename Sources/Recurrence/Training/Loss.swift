import RecurrenceKernels

/// A loss over rows of outputs, and its gradient. The formulas stand in `LossKernel`.
///
/// A loss is the mean over rows, weighted where there are weights: Σ w_n l_n / Σ w_n. Within a row of K outputs the squared
/// errors and binary cross-entropies are averaged too. A mask is weights of 0 and 1; a row of weight 0 is not read (it may
/// hold NaN), and its gradient is zero; a subnormal weight is 0. Where all weights are 0 the loss is 0. Losses are in nats
/// and are added up in Double, in ascending order of rows.
///
/// Holds memory for a number of rows, and allocates nothing after that. Bits do not depend on threads.
public struct LossEvaluator<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  /// Most rows of a call.
  public let rows: Int
  let threads: Int
  let kernels: Kernels<Scalar>
  private let sums: AlignedBuffer<Double>
  private let shifts: AlignedBuffer<Double>

  public init(rows: Int, threads: Int = 1) { self.init(rows: rows, threads: threads, kernels: .selected) }

  package init(rows: Int, threads: Int = 1, kernels: Kernels<Scalar>) {
    if rows < 0 { fatalError("rows: expected at least 0, got \(rows)") }
    if !(1...1024).contains(threads) { fatalError("threads: expected 1 to 1024, got \(threads)") }
    self.rows = rows
    self.threads = threads
    self.kernels = kernels
    sums = AlignedBuffer(count: rows)
    shifts = AlignedBuffer(count: rows)
  }

  /// The loss of N rows, and its gradient.
  ///
  /// - Parameters:
  ///   - outputs: in, [N, K].
  ///   - targets: in; see `LossTargets`. Classes are from 0 to K − 1, which is not checked here.
  ///   - weights: in, [N], finite and not negative, or nil.
  ///   - gradient: out, [N, K]: ∂loss/∂outputs. Must not overlap the outputs.
  ///
  /// Traps with a sentence where N is more than this was made for, or shapes differ.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  @unsafe public mutating func evaluate(
    _ outputs: MatrixView<Scalar>, targets: LossTargets<Scalar>, weights: UnsafePointer<Scalar>? = nil,
    gradient: MutableMatrixView<Scalar>
  ) -> Double {
    let pass = unsafe begin(outputs, targets: targets, weights: weights, gradient: gradient)
    // An element costs about a nanosecond.
    let (count, columns) = unsafe (outputs.rows, outputs.columns)
    let split = EvenSplit(count, parts: count * columns < 50_000 ? 1 : min(threads, count))
    concurrentParts(split.parts) { part in unsafe pass.run(split.range(part)) }
    return unsafe pass.mean()
  }

  /// The same, rows of which are run by the caller, in parts and on threads as it likes.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func begin(
    _ outputs: MatrixView<Scalar>, targets: LossTargets<Scalar>, weights: UnsafePointer<Scalar>?,
    gradient: MutableMatrixView<Scalar>
  ) -> LossPass<Scalar> {
    let (count, columns) = unsafe (outputs.rows, outputs.columns)
    if count > rows { fatalError("outputs: expected at most \(rows) rows, got \(count)") }
    unsafe expectContiguous("outputs", outputs.stride, columns)
    unsafe expectContiguous("gradient", gradient.stride, gradient.columns)
    if unsafe gradient.rows != count || gradient.columns != columns {
      fatalError("gradient: expected \(count) × \(columns), got \(unsafe gradient.rows) × \(unsafe gradient.columns)")
    }
    return unsafe LossPass(
      LossOperands(
        outputs: outputs.base, targets: targets, weights: weights, sums: sums.unsafePointer,
        shifts: shifts.unsafePointer, gradient: gradient.base, columns: columns, scale: 0), rows: count, kernels)
  }

  private func expectContiguous(_ name: String, _ stride: Int, _ columns: Int) {
    if stride != columns { fatalError("\(name): expected rows one after the other, got a stride of \(stride)") }
  }
}

/// One loss, whose rows are run in any order and then averaged.
@unsafe struct LossPass<Scalar: RecurrenceScalar>: @unchecked Sendable {
  private var operands: LossOperands<Scalar>
  private let rows: Int
  private let kernels: Kernels<Scalar>
  private var total = 0.0

  fileprivate init(_ operands: LossOperands<Scalar>, rows: Int, _ kernels: Kernels<Scalar>) {
    unsafe self.operands = unsafe operands
    unsafe self.rows = rows
    unsafe self.kernels = kernels
    for row in 0..<rows { unsafe total += weight(row) }
    unsafe self.operands.scale = unsafe total == 0 ? 0 : Scalar(1 / total)
  }

  /// A subnormal weight is zero to the kernels, and must be here.
  private func weight(_ row: Int) -> Double {
    guard let weights = unsafe operands.weights else { return 1 }
    return unsafe weights[row].isSubnormal ? 0 : weights[row].asDouble
  }

  /// Losses and gradients of some rows.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ rows: Range<Int>) {
    if unsafe rows.isEmpty || operands.columns == 0 { return }
    flushingSubnormals { unsafe kernels.table.loss(operands, rows: rows) }
    // Of classes the kernel leaves sums of exponentials, of which the loss is the logarithm.
    guard case .classes = unsafe operands.targets else { return }
    for row in rows {
      unsafe operands.sums[row] = unsafe DeterministicMath.log(operands.sums[row]) + operands.shifts[row]
    }
  }

  /// The mean of all rows, each as much as its weight; 0 where there is nothing.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func mean() -> Double {
    if unsafe total == 0 || operands.columns == 0 { return 0 }
    var sum = 0.0
    for row in unsafe 0..<rows where unsafe weight(row) != 0 { sum += unsafe weight(row) * operands.sums[row] }
    return unsafe sum / total
  }
}

/// Losses over arrays. What does not fit throws a `ShapeError`, and nothing is written.
public enum Loss {
  /// The mean of −ln softmax(logits)[class], in nats.
  ///
  /// - Parameters:
  ///   - logits: [N, K].
  ///   - classes: [N], each from 0 to K − 1 (of a row of weight 0, anything).
  ///   - weights: [N], finite and not negative: 1 and 0 make a mask. Nil for 1 everywhere.
  ///   - gradient: out, [N, K]: ∂loss/∂logits.
  public static func softmaxCrossEntropy<Scalar: RecurrenceScalar>(
    _ logits: [Scalar], classes: [Int], weights: [Scalar]? = nil, gradient: inout [Scalar]
  ) throws(ShapeError) -> Double {
    let rows = classes.count
    let columns = rows == 0 ? 0 : logits.count / rows
    try ShapeError.check("logits", logits.count, is: ("N", rows), ("K", columns))
    if let weights { try ShapeError.check(weights: weights, is: ("N", rows)) }
    var indices: [Int32] = []
    for (row, index) in classes.enumerated() {
      let isRead = weights.map { $0[row] != 0 } ?? true
      if isRead && !(0..<columns).contains(index) {
        throw ShapeError("classes[\(row)]", expected: "0 to \(columns - 1)", actual: "\(index)")
      }
      indices.append(isRead ? Int32(index) : 0)
    }
    return unsafe try indices.withUnsafeBufferPointer { indices throws(ShapeError) in
      guard let base = indices.baseAddress else { return 0 }
      return unsafe try evaluate(logits, rows, columns, .classes(base), weights, &gradient)
    }
  }

  /// The mean of softplus(x) − x y: binary cross-entropy of σ(x) against y, in nats.
  ///
  /// - Parameters:
  ///   - logits: [N, K].
  ///   - targets: [N, K], each from 0 to 1.
  ///   - weights: [N], as above.
  ///   - gradient: out, [N, K].
  public static func binaryCrossEntropy<Scalar: RecurrenceScalar>(
    _ logits: [Scalar], targets: [Scalar], rows: Int, weights: [Scalar]? = nil, gradient: inout [Scalar]
  ) throws(ShapeError) -> Double {
    unsafe try pairwise(logits, "logits", targets, rows, weights, &gradient) { unsafe .probabilities($0) }
  }

  /// The mean of (x − y)².
  ///
  /// - Parameters:
  ///   - outputs: [N, K].
  ///   - targets: [N, K].
  ///   - weights: [N], as above.
  ///   - gradient: out, [N, K].
  public static func meanSquaredError<Scalar: RecurrenceScalar>(
    _ outputs: [Scalar], targets: [Scalar], rows: Int, weights: [Scalar]? = nil, gradient: inout [Scalar]
  ) throws(ShapeError) -> Double {
    unsafe try pairwise(outputs, "outputs", targets, rows, weights, &gradient) { unsafe .values($0) }
  }

  private static func pairwise<Scalar: RecurrenceScalar>(
    _ outputs: [Scalar], _ name: String, _ targets: [Scalar], _ rows: Int, _ weights: [Scalar]?,
    _ gradient: inout [Scalar], _ make: (UnsafePointer<Scalar>) -> LossTargets<Scalar>
  ) throws(ShapeError) -> Double {
    if rows < 0 { throw ShapeError("rows", expected: "at least 0", actual: "\(rows)") }
    let columns = rows == 0 ? 0 : outputs.count / rows
    try ShapeError.check(name, outputs.count, is: ("N", rows), ("K", columns))
    try ShapeError.check("targets", targets.count, is: ("N", rows), ("K", columns))
    if let weights { try ShapeError.check(weights: weights, is: ("N", rows)) }
    return unsafe try targets.withUnsafeBufferPointer { targets throws(ShapeError) in
      guard let base = targets.baseAddress else { return 0 }
      return unsafe try evaluate(outputs, rows, columns, make(base), weights, &gradient)
    }
  }

  private static func evaluate<Scalar: RecurrenceScalar>(
    _ outputs: [Scalar], _ rows: Int, _ columns: Int, _ targets: LossTargets<Scalar>, _ weights: [Scalar]?,
    _ gradient: inout [Scalar]
  ) throws(ShapeError) -> Double {
    try ShapeError.check("gradient", gradient.count, is: ("N", rows), ("K", columns))
    if rows == 0 || columns == 0 { return 0 }
    var evaluator = LossEvaluator<Scalar>(rows: rows)
    return unsafe outputs.withUnsafeBufferPointer { outputs in
      unsafe gradient.withUnsafeMutableBufferPointer { gradient in
        let x = unsafe MatrixView(outputs, rows: rows, columns: columns, name: "outputs")
        let g = unsafe MutableMatrixView(gradient, rows: rows, columns: columns, name: "gradient")
        guard let weights else { return unsafe evaluator.evaluate(x, targets: targets, gradient: g) }
        return unsafe weights.withUnsafeBufferPointer {
          unsafe evaluator.evaluate(x, targets: targets, weights: $0.baseAddress, gradient: g)
        }
      }
    }
  }
}

extension ShapeError {
  /// Throws where weights are not one for each row, each finite and not negative.
  static func check<Scalar: RecurrenceScalar>(weights: [Scalar], is rows: (String, Int)) throws(ShapeError) {
    try check("weights", weights.count, is: rows)
    // By index: an iterator of generic elements allocates at each of them where it is not specialised.
    for row in 0..<weights.count where !(weights[row] >= 0 && weights[row].isFinite) {
      throw ShapeError("weights[\(row)]", expected: "a finite number of at least 0", actual: "\(weights[row])")
    }
  }
}
