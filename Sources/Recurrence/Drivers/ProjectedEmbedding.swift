import RecurrenceKernels

// The first layer of a network that reads symbols. All rows of one symbol have the same input, so that what is done to
// inputs is done once for each symbol that occurs, and not once for each row:
//
//   forward    P[s] ← b + W · E[s]                     and pre-activations of a row ← P[its symbol]
//   backward   D[s] ← Σ δ of the rows of s             and then dW += Dᵀ · E, ∂L/∂E += D · W
//
// A row of P has the bits of the row's own product. D is summed in descending rows, so that neither chunks nor segments
// nor threads show in the bits.

/// The symbols of a pass, their vectors, and the two tables.
///
/// Symbols that occur are numbered in ascending order: "number" below. The others are not looked at.
@safe final class ProjectedEmbedding<Scalar: RecurrenceScalar>: @unchecked Sendable {
  /// V, and the most symbols that a pass may have.
  let symbols: Int
  /// Distinct symbols of the pass at hand.
  private(set) var count = 0
  /// Columns of P and D: those of pre-activations that the input reaches.
  let columns: Int
  private let inputs: Int
  /// [V]: the number of a symbol. [V]: the symbol of a number. [T·B]: numbers of rows, in the order of the schedule.
  private let numbers, occurring, rows: UnsafeMutablePointer<Int32>
  private let slab: AlignedBuffer<Scalar>
  private let at: (vectors: Int, projected: Int, gradients: Int, vectorGradients: Int)

  /// Whether a table for each symbol is less work than a product for each row: for half as many symbols as rows.
  ///
  /// Of the most rows that a pass may have: the choice shows in the bits of gradients, so that passes of one trainer must
  /// not differ in it.
  static func pays(symbols: Int, rows: Int) -> Bool { symbols <= rows / 2 }

  /// - Parameter rows: most rows of a pass, T·B.
  init(_ shape: StackShape<Scalar>, symbols: Int, rows count: Int, isTraining: Bool) {
    self.symbols = symbols
    inputs = shape.inputs
    columns = shape.inputColumns
    var plan = SlabPlan<Scalar>()
    var at = (vectors: 0, projected: 0, gradients: 0, vectorGradients: 0)
    at.vectors = plan.reserve(symbols, inputs)
    at.projected = plan.reserve(symbols, columns)
    at.gradients = plan.reserve(isTraining ? symbols : 0, columns)
    at.vectorGradients = plan.reserve(isTraining ? symbols : 0, inputs)
    self.at = at
    slab = AlignedBuffer(count: plan.count)
    unsafe numbers = .allocate(capacity: symbols)
    unsafe occurring = .allocate(capacity: symbols)
    unsafe rows = .allocate(capacity: count)
  }

  deinit {
    unsafe numbers.deallocate()
    unsafe occurring.deallocate()
    unsafe rows.deallocate()
  }

  private var base: UnsafeMutablePointer<Scalar> { unsafe slab.unsafePointer }
  /// E of the symbols that occur, [count, I].
  var vectors: UnsafeMutablePointer<Scalar> { unsafe base + at.vectors }
  /// P, [count, columns].
  var projected: UnsafeMutablePointer<Scalar> { unsafe base + at.projected }
  /// D, [count, columns].
  private var gradients: UnsafeMutablePointer<Scalar> { unsafe base + at.gradients }
  private var vectorGradients: UnsafeMutablePointer<Scalar> { unsafe base + at.vectorGradients }

  /// Numbers of the rows from one on, in the order of the schedule.
  func rows(from row: Int) -> UnsafePointer<Int32> { unsafe UnsafePointer(rows + row) }

  // MARK: Forwards

  /// Numbers the symbols of a pass, [T, B] as the caller counts rows, and projects the vectors of those that occur.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func begin(
    _ given: UnsafeBufferPointer<Int32>, of embedding: UnsafePointer<Scalar>, _ weights: PackedStack<Scalar>,
    _ memory: SequenceMemory<Scalar>
  ) {
    unsafe number(given, memory.schedule)
    for index in 0..<count {
      unsafe (vectors + index * inputs).update(from: embedding + Int(occurring[index]) * inputs, count: inputs)
    }
    let operands = unsafe ProductOperands(
      a: MatrixView(UnsafePointer(vectors), rows: count, columns: inputs), weights: weights.w(0),
      bias: weights.bias(0) + memory.shape.inputColumn,
      c: MutableMatrixView(projected, rows: count, columns: columns), start: .bias)
    unsafe run(operands, memory)
  }

  /// Rows of padded steps have no number: their symbols are not looked at.
  private func number(_ given: UnsafeBufferPointer<Int32>, _ schedule: RowSchedule) {
    for symbol in 0..<symbols { unsafe numbers[symbol] = -1 }
    for t in 0..<schedule.steps {
      for j in 0..<schedule.count(t) { unsafe numbers[Int(given[t * schedule.batch + schedule.row(j)])] = 0 }
    }
    count = 0
    for symbol in 0..<symbols where unsafe numbers[symbol] == 0 {
      unsafe numbers[symbol] = Int32(count)
      unsafe occurring[count] = Int32(symbol)
      count += 1
    }
    for t in 0..<schedule.steps {
      let first = schedule.offset(t)
      for j in 0..<schedule.count(t) {
        unsafe rows[first + j] = unsafe numbers[Int(given[t * schedule.batch + schedule.row(j)])]
      }
    }
  }

  /// A product with one row for each symbol that occurs.
  ///
  /// - Parameter w: W where it lies, for a product of δ; nil where the operands have their weights packed.
  private func run(
    _ operands: ProductOperands<Scalar>, _ memory: SequenceMemory<Scalar>, inPlace w: UnsafePointer<Scalar>? = nil
  ) {
    nonisolated(unsafe) let (operands, w) = unsafe (operands, w)
    let (depth, width) = unsafe (operands.a.columns, operands.c.columns)
    let threads = usefulThreads(memory.use.threads, count, width, depth, smallestSplit: memory.smallestSplit)
    let rows = EvenSplit(count, parts: max(1, min(threads, count)))
    let shape = memory.shape
    let panels = 0..<shape.kernels.geometry.panels(width)
    concurrentParts(rows.parts) { part in
      let scratch = unsafe memory.productScratch(part)
      flushingSubnormals {
        if let w = unsafe w {
          unsafe shape.multiplyInPlace(operands, w, rows: rows.range(part), panels: panels, scratch: scratch)
        } else {
          unsafe shape.kernels.table.product(operands, rows: rows.range(part), panels: panels, scratch: scratch)
        }
      }
    }
  }

  // MARK: Backwards

  /// D ← 0.
  func clearGradients() {
    unsafe clear(UnsafeMutableBufferPointer(start: gradients, count: count * columns))
  }

  /// D += δ of some rows, some columns.
  ///
  /// - Parameters:
  ///   - δ: [rows, columns], the columns that the input reaches.
  ///   - row: of the schedule, that of the first.
  func add(_ δ: MatrixView<Scalar>, row: Int, share: Range<Int>, _ kernels: Kernels<Scalar>) {
    if share.isEmpty { return }
    unsafe kernels.table.addRows(
      MatrixView(δ.base + share.lowerBound, rows: δ.rows, columns: share.count, stride: δ.stride), rows(from: row),
      to: columnsOfGradients(share))
  }

  private func columnsOfGradients(_ range: Range<Int>) -> MutableMatrixView<Scalar> {
    unsafe MutableMatrixView(gradients + range.lowerBound, rows: count, columns: range.count, stride: columns)
  }

  /// dW += Dᵀ · E, some rows, whose columns of D are whole.
  func addInputWeights(
    _ gradient: UnsafeMutablePointer<Scalar>, share: Range<Int>, _ shape: StackShape<Scalar>,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    let units = shape.units
    for run in shape.plan.inputRuns {
      let first = (run.position - shape.plan.inputs.lowerBound) * units
      let some = share.clamped(to: first..<(first + run.count * units))
      if some.isEmpty { continue }
      let δ = unsafe columnsOfGradients(some)
      let operands = unsafe TransposedProductOperands(
        a: MatrixView(UnsafePointer(δ.base), rows: count, columns: some.count, stride: columns),
        b: MatrixView(UnsafePointer(vectors), rows: count, columns: inputs),
        c: MutableMatrixView(
          gradient + (run.gate * units + some.lowerBound - first) * inputs, rows: some.count, columns: inputs))
      unsafe shape.kernels.table.transposedProduct(
        operands, rows: 0..<some.count, columns: 0..<inputs, scratch: scratch)
    }
  }

  /// ∂L/∂E += D · W, [V, I], rows of symbols that do not occur left as they are.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func addVectorGradients(
    to target: UnsafeMutablePointer<Scalar>, parameters: UnsafePointer<Scalar>, _ memory: SequenceMemory<Scalar>
  ) {
    let operands = unsafe ProductOperands(
      a: MatrixView(UnsafePointer(gradients), rows: count, columns: columns), weights: memory.backwardW(0), bias: nil,
      c: MutableMatrixView(vectorGradients, rows: count, columns: inputs), start: .bias)
    let shape = memory.shape
    unsafe run(
      operands, memory, inPlace: memory.readsInputWeightsInPlace ? parameters + shape.offsets[0].w : nil)
    flushingSubnormals {
      unsafe memory.shape.kernels.table.addRows(
        MatrixView(UnsafePointer(vectorGradients), rows: count, columns: inputs), UnsafePointer(occurring),
        to: MutableMatrixView(target, rows: symbols, columns: inputs))
    }
  }
}
