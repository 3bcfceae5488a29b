import Recurrence
import Testing

/// A wrong shape stops where it is stated, with a sentence that names the parameter, what was expected and what came.
///
/// Release builds too: `precondition` says nothing there, and vanishes altogether from modules compiled with
/// `-Ounchecked`. Each test runs in a process of its own and reads what that process wrote to standard error.
@Suite(.enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct BadInputTests {
  @Test(arguments: ViewMisuse.allCases) func viewsStateTheirShape(_ misuse: ViewMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as ViewMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }

  @Test(arguments: ProductMisuse.allCases) func productsCheckShapes(_ misuse: ProductMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as ProductMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }

  @Test(arguments: TableMisuse.allCases) func kernelTablesCheckTheirOperands(_ misuse: TableMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as TableMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }

  /// The checks reject nothing that is legal: their neighbours on the right side of the line.
  @Test func legalNeighboursPass() {
    let memory = unsafe scalars(6, of: Float.self)
    let buffer = unsafe UnsafeBufferPointer(start: UnsafePointer(memory), count: 6)
    // The last row needs no gap behind it: (2 − 1) · 4 + 2 = 6.
    unsafe #expect(MatrixView(buffer, rows: 2, columns: 2, stride: 4).stride == 4)
    unsafe #expect(MatrixView(buffer, rows: 2, columns: 3).stride == 3)
    unsafe #expect(MatrixView<Float>(nil, rows: 0, columns: 5).rows == 0)
    unsafe #expect(MatrixView<Float>(nil, rows: 5, columns: 0).columns == 0)
    unsafe #expect(MutableMatrixView<Float>(nil, rows: 0, columns: 0).rows == 0)
    #expect(MatrixProducts<Float>(threads: 1024).threads == 1024)
    #expect(AlignedBuffer<Float>(count: 0).count == 0)
    unsafe memory.deallocate()
  }
}

/// Shapes of views and sizes of memory.
enum ViewMisuse: String, Misuse {
  case negativeRows, negativeColumns, strideBelowColumns, negativeStride, overflowingExtent, overflowingBytes
  case nullMemory, shortBuffer, emptyBuffer
  case mutableNegativeRows, mutableStrideBelowColumns, mutableNullMemory, mutableShortBuffer
  case negativeCount, overflowingCount, readOutside, writeOutside

  var words: [String] {
    switch self {
    case .negativeRows: ["states", "negative", "-1 × 3"]
    case .negativeColumns: ["states", "negative", "3 × -1"]
    case .strideBelowColumns, .mutableStrideBelowColumns: ["states", "stride", "at least the 3 columns", "got 2"]
    case .negativeStride: ["states", "stride", "at least the 3 columns", "got -4"]
    case .overflowingExtent: ["states", "3 × 3", "stride \(Int.max / 2)", "overflows"]
    case .overflowingBytes: ["states", "1 × \(Int.max / 2)", "overflows"]
    case .nullMemory, .mutableNullMemory: ["states", "2 × 3", "null pointer"]
    case .shortBuffer, .mutableShortBuffer: ["states", "2 × 3", "stride 4", "needs 7", "has 6"]
    case .emptyBuffer: ["states", "2 × 3"]
    case .mutableNegativeRows: ["states", "negative", "-1 × 3"]
    case .negativeCount: ["aligned buffer", "count", "got -1"]
    case .overflowingCount: ["aligned buffer", "count", "got \(Int.max)"]
    case .readOutside: ["aligned buffer", "index 4", "0..<4"]
    case .writeOutside: ["aligned buffer", "index -1", "0..<4"]
    }
  }

  func commit() {
    let memory = unsafe scalars(6, of: Float.self)
    let buffer = unsafe UnsafeMutableBufferPointer(start: memory, count: 6)
    let empty = unsafe UnsafeBufferPointer<Float>(start: nil, count: 0)
    switch self {
    case .negativeRows: _ = unsafe MatrixView(memory, rows: -1, columns: 3, name: "states")
    case .negativeColumns: _ = unsafe MatrixView(memory, rows: 3, columns: -1, name: "states")
    case .strideBelowColumns: _ = unsafe MatrixView(memory, rows: 2, columns: 3, stride: 2, name: "states")
    case .negativeStride: _ = unsafe MatrixView(memory, rows: 2, columns: 3, stride: -4, name: "states")
    case .overflowingExtent: _ = unsafe MatrixView(memory, rows: 3, columns: 3, stride: Int.max / 2, name: "states")
    case .overflowingBytes: _ = unsafe MatrixView(memory, rows: 1, columns: Int.max / 2, name: "states")
    case .nullMemory: _ = unsafe MatrixView<Float>(nil, rows: 2, columns: 3, name: "states")
    case .shortBuffer:
      _ = unsafe MatrixView(UnsafeBufferPointer(buffer), rows: 2, columns: 3, stride: 4, name: "states")
    case .emptyBuffer: _ = unsafe MatrixView(empty, rows: 2, columns: 3, name: "states")
    case .mutableNegativeRows: _ = unsafe MutableMatrixView(memory, rows: -1, columns: 3, name: "states")
    case .mutableStrideBelowColumns:
      _ = unsafe MutableMatrixView(memory, rows: 2, columns: 3, stride: 2, name: "states")
    case .mutableNullMemory:
      _ = unsafe MutableMatrixView(nil as UnsafeMutablePointer<Float>?, rows: 2, columns: 3, name: "states")
    case .mutableShortBuffer: _ = unsafe MutableMatrixView(buffer, rows: 2, columns: 3, stride: 4, name: "states")
    case .negativeCount: _ = AlignedBuffer<Float>(count: -1)
    case .overflowingCount: _ = AlignedBuffer<Float>(count: Int.max)
    case .readOutside:
      let four = AlignedBuffer<Float>(count: 4)
      print(four[4])
    case .writeOutside:
      var four = AlignedBuffer<Float>(count: 4)
      four[-1] = 1
      print(four[0])
    }
  }
}

/// Products and packed weights: the shapes of one call against each other.
enum ProductMisuse: String, Misuse {
  case noThreads, negativeThreads, tooManyThreads
  case negativeOutputs, negativeDepth, overflowingWeights
  case packRowsShape, packRowsTransposed, packColumnsShape
  case depthOfA, rowsOfC, columnsOfC, shortBias, longBias, otherInstructionSet
  case transposedDepth, transposedRows, transposedColumns

  var words: [String] {
    switch self {
    case .noThreads: ["threads", "1 to 1024", "got 0"]
    case .negativeThreads: ["threads", "1 to 1024", "got -3"]
    case .tooManyThreads: ["threads", "1 to 1024", "got 1025"]
    case .negativeOutputs: ["outputs", "-1"]
    case .negativeDepth: ["depth", "-1"]
    case .overflowingWeights: ["\(Int.max / 2)"]
    case .packRowsShape: ["weights", "[N, K] = 5 × 3", "got 5 × 4"]
    case .packRowsTransposed: ["weights", "[N, K] = 5 × 3", "got 3 × 5"]
    case .packColumnsShape: ["weights", "[K, N] = 3 × 5", "got 5 × 3"]
    case .depthOfA: ["columns of a", "expected 3", "got 4"]
    case .rowsOfC: ["rows of c", "expected 2", "got 3"]
    case .columnsOfC: ["columns of c", "expected 5", "got 4"]
    case .shortBias: ["bias", "expected 5", "got 4"]
    case .longBias: ["bias", "expected 5", "got 6"]
    // Where only one set runs there is no other to mistake it for; `commit` then says the words itself.
    case .otherInstructionSet: ["weights", "packed for baseline", Self.widest.rawValue]
    case .transposedDepth: ["rows of b", "expected 4", "got 3"]
    case .transposedRows: ["rows of c", "expected 2", "got 3"]
    case .transposedColumns: ["columns of c", "expected 5", "got 4"]
    }
  }

  private static var widest: InstructionSet { Processor.current.supportedInstructionSets.max() ?? .baseline }

  func commit() {
    switch self {
    case .noThreads: _ = MatrixProducts<Float>(threads: 0)
    case .negativeThreads: _ = MatrixProducts<Float>(threads: -3)
    case .tooManyThreads: _ = MatrixProducts<Float>(threads: 1025)
    case .negativeOutputs: _ = PackedWeights<Float>(outputs: -1, depth: 3)
    case .negativeDepth: _ = PackedWeights<Float>(outputs: 3, depth: -1)
    case .overflowingWeights: _ = PackedWeights<Float>(outputs: 100, depth: Int.max / 2)
    case .packRowsShape: pack { unsafe $0.packRows(zeros(5, 4)) }
    case .packRowsTransposed: pack { unsafe $0.packRows(zeros(3, 5)) }
    case .packColumnsShape: pack { unsafe $0.packColumns(zeros(5, 3)) }
    case .depthOfA: unsafe multiply(a: zeros(2, 4), c: mutableZeros(2, 5))
    case .rowsOfC: unsafe multiply(a: zeros(2, 3), c: mutableZeros(3, 5))
    case .columnsOfC: unsafe multiply(a: zeros(2, 3), c: mutableZeros(2, 4))
    case .shortBias: unsafe multiply(a: zeros(2, 3), c: mutableZeros(2, 5), bias: 4)
    case .longBias: unsafe multiply(a: zeros(2, 3), c: mutableZeros(2, 5), bias: 6)
    case .otherInstructionSet:
      if Self.widest == .baseline { fatalError("weights: packed for baseline, nothing but \(Self.widest) runs here") }
      unsafe multiply(
        a: zeros(2, 3), c: mutableZeros(2, 5), packedBy: Kernels(.baseline)!, runBy: Kernels(Self.widest)!)
    case .transposedDepth: unsafe accumulate(zeros(4, 2), zeros(3, 5), mutableZeros(2, 5))
    case .transposedRows: unsafe accumulate(zeros(4, 2), zeros(4, 5), mutableZeros(3, 5))
    case .transposedColumns: unsafe accumulate(zeros(4, 2), zeros(4, 5), mutableZeros(2, 4))
    }
  }

  private func pack(_ body: (inout PackedWeights<Float>) -> Void) {
    var weights = PackedWeights<Float>(outputs: 5, depth: 3)
    body(&weights)
  }

  @unsafe private func multiply(
    a: MatrixView<Float>, c: MutableMatrixView<Float>, bias: Int = 5, packedBy: Kernels<Float> = .selected,
    runBy: Kernels<Float> = .selected
  ) {
    let weights = PackedWeights<Float>(outputs: 5, depth: 3, kernels: packedBy)
    var products = MatrixProducts<Float>(kernels: runBy)
    let bias = unsafe UnsafeBufferPointer(start: UnsafePointer(scalars(bias, of: Float.self)), count: bias)
    unsafe products.multiply(a, weights, bias: bias, into: c)
  }

  @unsafe private func accumulate(_ a: MatrixView<Float>, _ b: MatrixView<Float>, _ c: MutableMatrixView<Float>) {
    var products = MatrixProducts<Float>()
    unsafe products.accumulateTransposed(a, b, into: c)
  }
}

/// The kernel table, called directly: its modules delete preconditions, so what is not checked by hand is not checked.
enum TableMisuse: String, Misuse {
  case negativeOutputs, negativeDepth, overflowingCount
  case misalignedPackedRows, misalignedPackedColumns, misalignedWeights
  case packedRowsBeyond, packedRowsBefore, packedRowsFarBeyond
  case packedWithinPanel, packedBeforePanels
  case productScratch, rowsBeyond, rowsBefore, panelsBeyond, panelsBefore
  case noChains, negativeChains, unequalChains, deepChains
  case inPlaceChains, inPlaceColumns, inPlaceStride, inPlaceBackwards
  case transposedScratch, transposedRowsBeyond, transposedRowsBefore, columnsBeyond, columnsBefore
  case someColumnsOfTwo, rowsOfSecondB, rowsOfSecondC, columnsOfSecondC
  case transposedStart
  case noSteps, noBackwardSteps, noProjection

  var words: [String] {
    switch self {
    case .negativeOutputs, .negativeDepth: ["-1"]
    case .overflowingCount: ["\(Int.max / 2)"]
    case .misalignedPackedRows, .misalignedPackedColumns: ["packed", "64-byte"]
    case .misalignedWeights: ["64-byte"]
    case .productScratch, .transposedScratch: ["scratch", "64-byte"]
    case .packedRowsBeyond, .packedRowsBefore, .packedRowsFarBeyond: ["rows", "at most 3"]
    case .packedWithinPanel: ["first of a panel", "got 1"]
    case .packedBeforePanels: ["first of a panel", "got -"]
    case .rowsBeyond, .rowsBefore, .transposedRowsBeyond, .transposedRowsBefore: ["rows"]
    case .panelsBeyond, .panelsBefore: ["panels"]
    case .columnsBeyond, .columnsBefore, .someColumnsOfTwo: ["columns"]
    case .noChains: ["chains", "equal parts", "got 0 parts of 3"]
    case .negativeChains: ["chains", "equal parts", "got -1 parts of 3"]
    case .unequalChains: ["chains", "equal parts", "got 2 parts of 3"]
    case .deepChains: ["chains", "at most", "got 2 parts of 65536"]
    case .inPlaceChains: ["weights", "not packed", "one row, or sums of one chain", "got 2 rows of 3 chains"]
    case .inPlaceColumns:
      ["weights", "not packed", "whole vectors of \(Self.panel / 2)", "got \(Self.panel + 1) and \(2 * Self.panel)"]
    case .inPlaceStride: ["weights", "stride of no less", "got \(Self.panel) and \(Self.panel - 1)"]
    case .inPlaceBackwards: ["weights", "stride of no less", "got \(Self.panel) and -\(Self.panel)"]
    case .rowsOfSecondB: ["rows of b", "4"]
    case .rowsOfSecondC: ["rows of c", "4"]
    case .columnsOfSecondC: ["columns of c", "4"]
    case .transposedStart: ["start", "expected .bias", "got .add"]
    case .noSteps, .noBackwardSteps: ["steps: expected at least 1, got 0"]
    case .noProjection: ["projection", "got none"]
    }
  }

  /// Columns of a panel, which are two vectors.
  private static var panel: Int { Kernels<Float>.selected.geometry.panelWidth }

  /// Two rows and one panel, depth 3. Memory is ample, so that only the check can end the process, not the access.
  func commit() {
    let table = Kernels<Float>.selected.table
    switch self {
    case .negativeOutputs: print(table.packedCount(outputs: -1, depth: 3))
    case .negativeDepth: print(table.packedCount(outputs: 3, depth: -1))
    case .overflowingCount: print(table.packedCount(outputs: 100, depth: Int.max / 2))
    case .misalignedPackedRows: unsafe table.packRows(zeros(5, 3), from: 0, into: ample + 1)
    case .misalignedPackedColumns: unsafe table.packColumns(zeros(3, 5), from: 0, of: 3, into: ample + 1)
    case .packedWithinPanel: unsafe table.packRows(zeros(5, 3), from: 1, into: ample)
    case .packedBeforePanels: unsafe table.packRows(zeros(5, 3), from: -table.geometry.panelWidth, into: ample)
    case .packedRowsBeyond: unsafe table.packColumns(zeros(3, 5), from: 1, of: 3, into: ample)
    case .packedRowsFarBeyond: unsafe table.packColumns(zeros(3, 5), from: .max, of: 3, into: ample)
    case .packedRowsBefore: unsafe table.packColumns(zeros(3, 5), from: -1, of: 3, into: ample)
    case .misalignedWeights: unsafe product(weights: ample + 1)
    case .productScratch: unsafe product(scratch: ample + 1)
    case .rowsBeyond: unsafe product(rows: 0..<3)
    case .rowsBefore: unsafe product(rows: -1..<1)
    case .panelsBeyond: unsafe product(panels: 0..<2)
    case .panelsBefore: unsafe product(panels: -1..<1)
    case .noChains: unsafe product(chains: 0)
    case .negativeChains: unsafe product(chains: -1)
    case .unequalChains: unsafe product(chains: 2)
    case .deepChains: unsafe product(depth: 1 << 16, chains: 2)
    case .inPlaceChains: unsafe product(inPlace: 2, columns: Self.panel, stride: Self.panel, chains: 3)
    case .inPlaceColumns: unsafe product(inPlace: 1, columns: Self.panel + 1, stride: 2 * Self.panel)
    case .inPlaceStride: unsafe product(inPlace: 1, columns: Self.panel, stride: Self.panel - 1)
    case .inPlaceBackwards: unsafe product(inPlace: 1, columns: Self.panel, stride: -Self.panel)
    case .transposedScratch: unsafe transposed(scratch: ample + 1)
    case .transposedRowsBeyond: unsafe transposed(rows: 0..<3)
    case .transposedRowsBefore: unsafe transposed(rows: -1..<1)
    case .columnsBeyond: unsafe transposed(columns: 0..<6)
    case .columnsBefore: unsafe transposed(columns: -1..<1)
    case .someColumnsOfTwo: unsafe transposed(columns: 0..<4, second: (3, (2, 5)))
    case .rowsOfSecondB: unsafe transposed(second: (4, (2, 5)))
    case .rowsOfSecondC: unsafe transposed(second: (3, (4, 5)))
    case .columnsOfSecondC: unsafe transposed(second: (3, (2, 4)))
    case .transposedStart: unsafe transposed(start: .add)
    case .noProjection:
      var steps = unsafe RecurrentSteps(
        product: operands(), mathematics: CellMathematics(.lstm), step: noStep, rows: 2, count: 1,
        productScratch: ample, programScratch: ample)
      unsafe steps.projects = true
      unsafe table.recurrentSteps(&steps)
    case .noSteps:
      var steps = unsafe RecurrentSteps(
        product: operands(), mathematics: CellMathematics(.lstm), step: noStep, rows: 2, count: 0,
        productScratch: ample, programScratch: ample)
      unsafe table.recurrentSteps(&steps)
    case .noBackwardSteps:
      var steps = unsafe BackwardSteps(
        product: operands(), secondProduct: nil, mathematics: CellMathematics(.lstm), step: noStep, rows: 2,
        productScratch: ample, programScratch: ample)
      unsafe steps.count = 0
      unsafe table.backwardSteps(&steps)
    }
  }

  /// The middle of two million zeros, on a 64-byte boundary: the scratch memory of several rows and weights that nobody
  /// packed takes more than half a million.
  @unsafe private var ample: UnsafeMutablePointer<Float> { unsafe scalars(1 << 21) + (1 << 20) }

  @unsafe private var amplyHeld: MutableMatrixView<Float> { unsafe MutableMatrixView(ample, rows: 2, columns: 5) }

  @unsafe private func product(
    rows: Range<Int> = 0..<2, panels: Range<Int> = 0..<1, weights: UnsafeMutablePointer<Float>? = nil,
    scratch: UnsafeMutablePointer<Float>? = nil
  ) {
    unsafe Kernels<Float>.selected.table.product(
      operands(weights: weights), rows: rows, panels: panels, scratch: scratch ?? ample)
  }

  @unsafe private func product(depth: Int = 3, chains: Int) {
    var operands = unsafe operands()
    unsafe operands.a = MatrixView(UnsafePointer(ample), rows: 2, columns: depth)
    unsafe operands.chains = chains
    unsafe Kernels<Float>.selected.table.product(operands, rows: 0..<2, panels: 0..<1, scratch: ample)
  }

  @unsafe private func product(inPlace rows: Int, columns: Int, stride: Int, chains: Int = 1) {
    var operands = unsafe ProductOperands(
      a: MatrixView(UnsafePointer(ample), rows: rows, columns: 3), weights: UnsafePointer(ample), bias: nil,
      c: MutableMatrixView(ample, rows: rows, columns: columns), start: .bias)
    unsafe operands.weightsStride = stride
    unsafe operands.chains = chains
    unsafe Kernels<Float>.selected.table.product(operands, rows: 0..<rows, panels: 0..<1, scratch: ample)
  }

  @unsafe private func operands(weights: UnsafeMutablePointer<Float>? = nil) -> ProductOperands<Float> {
    let a = unsafe MatrixView(UnsafePointer(ample), rows: 2, columns: 3)
    return unsafe ProductOperands(
      a: a, weights: UnsafePointer(weights ?? ample), bias: nil, c: amplyHeld, start: .bias)
  }

  @unsafe private var noStep: CellStep<Float> {
    unsafe CellStep(units: 1, gateColumns: InlineArray(repeating: 0), unitColumn: 0)
  }

  @unsafe private func transposed(
    rows: Range<Int> = 0..<2, columns: Range<Int> = 0..<5, scratch: UnsafeMutablePointer<Float>? = nil,
    second: (rowsOfB: Int, c: (rows: Int, columns: Int))? = nil, start: ProductStart = .accumulate
  ) {
    let a = unsafe MatrixView(UnsafePointer(ample), rows: 3, columns: 2)
    let b = unsafe MatrixView(UnsafePointer(ample), rows: 3, columns: 5)
    var operands = unsafe TransposedProductOperands(a: a, b: b, c: amplyHeld, start: start)
    if let second {
      unsafe operands.secondB = MatrixView(UnsafePointer(ample), rows: second.rowsOfB, columns: 5)
      unsafe operands.secondC = MutableMatrixView(ample, rows: second.c.rows, columns: second.c.columns)
    }
    unsafe Kernels<Float>.selected.table.transposedProduct(
      operands, rows: rows, columns: columns, scratch: scratch ?? ample)
  }
}

/// A few scalars to point at, never freed: the process is about to end.
@unsafe private func scalars<Scalar: TestScalar>(
  _ count: Int, of _: Scalar.Type = Scalar.self
) -> UnsafeMutablePointer<Scalar> {
  let raw = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * MemoryLayout<Scalar>.stride, alignment: 64)
  let pointer = unsafe raw.bindMemory(to: Scalar.self, capacity: max(1, count))
  unsafe pointer.initialize(repeating: 0, count: max(1, count))
  return unsafe pointer
}

/// A matrix of zeros, never freed.
@unsafe private func zeros(_ rows: Int, _ columns: Int) -> MatrixView<Float> {
  unsafe MatrixView(UnsafePointer(scalars(rows * columns)), rows: rows, columns: columns)
}

/// A matrix of zeros to write to, never freed.
@unsafe private func mutableZeros(_ rows: Int, _ columns: Int) -> MutableMatrixView<Float> {
  unsafe MutableMatrixView(scalars(rows * columns), rows: rows, columns: columns)
}
