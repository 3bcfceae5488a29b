/// The kernels of one instruction set for one scalar type.
///
/// Each instruction set's module declares one conforming type per scalar, and `Recurrence` picks one per process. The
/// requirements are the only way in: the vector types behind them are private to their module, and no entry is ever
/// inlined, so that no caller can end up holding a piece of another instruction set's code.
///
/// Operands are checked here, but for steps that promise to be a layer's (`RecurrentSteps.isOfLayer`). The checks are plain
/// branches to `fatalError`: these modules are compiled with `-Ounchecked`, which deletes preconditions.
public protocol KernelTable<Scalar>: Sendable {
  associatedtype Scalar: KernelScalar

  /// The instruction set whose instructions these kernels use.
  static var instructionSet: InstructionSet { get }
  static var geometry: KernelGeometry { get }

  /// Scalars that packed weights for `outputs` outputs and `depth` inputs take.
  static func packedCount(outputs: Int, depth: Int) -> Int
  /// Packs rows of W[N, K], one row an output, for A·Wᵀ: `weights` are its rows from `row` on, with which a panel begins,
  /// up to the end of a panel or of W. `packed` is 64-byte aligned, `packedCount` scalars.
  @unsafe static func packRows(
    _ weights: MatrixView<Scalar>, from row: Int, into packed: UnsafeMutablePointer<Scalar>)
  /// Packs rows of W[K, N], one column an output, for A·W: `weights` are its rows from `row` on, and `depth` is K.
  @unsafe static func packColumns(
    _ weights: MatrixView<Scalar>, from row: Int, of depth: Int, into packed: UnsafeMutablePointer<Scalar>)
  /// C = start + A·W for some rows and panels; see `ProductKernel`.
  @unsafe static func product(
    _ operands: ProductOperands<Scalar>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Scalar>)
  /// C = start + Aᵀ·B for some rows and columns of C; see `TransposedProductKernel`.
  @unsafe static func transposedProduct(
    _ operands: TransposedProductOperands<Scalar>, rows: Range<Int>, columns: Range<Int>,
    scratch: UnsafeMutablePointer<Scalar>)

  /// The recurrent product of one time step and the cell's mathematics; see `RecurrentKernel`.
  @unsafe static func recurrentStep(_ call: RecurrentCall<Scalar>)
  /// Consecutive time steps; see `RecurrentStepsKernel`.
  @unsafe static func recurrentSteps(_ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>)
  /// Consecutive time steps on the way back; see `BackwardStepsKernel`.
  @unsafe static func backwardSteps(_ steps: UnsafeMutablePointer<BackwardSteps<Scalar>>)
  /// sums[j] += Σ_r matrix[r, j], r descending; see `RecurrentKernel`.
  @unsafe static func columnSums(_ matrix: MatrixView<Scalar>, into sums: UnsafeMutablePointer<Scalar>)

  /// output[i] = f(input[i]), 0 ≤ i < count; in place where the buffers are the same. See `ActivationKernel`.
  @unsafe static func activation(
    _ activation: Activation, _ input: UnsafePointer<Scalar>, _ output: UnsafeMutablePointer<Scalar>, count: Int)
  /// output[i] = f′(x[i]), y[i] = f(x[i]). See `ActivationKernel`.
  @unsafe static func activationDerivative(
    _ activation: Activation, at x: UnsafePointer<Scalar>, value y: UnsafePointer<Scalar>,
    _ output: UnsafeMutablePointer<Scalar>, count: Int)

  /// An update of parameters; see `OptimizerKernel`.
  @unsafe static func update(_ update: ParameterUpdate<Scalar>, _ operands: UpdateOperands<Scalar>)
  /// A loss and its gradient, for some rows; see `LossKernel`.
  @unsafe static func loss(_ operands: LossOperands<Scalar>, rows: Range<Int>)
  /// See `GradientKernel`, as are the following.
  @unsafe static func sumOfSquares(_ x: UnsafePointer<Scalar>, count: Int, factor: Double) -> Double
  @unsafe static func largestMagnitude(_ x: UnsafePointer<Scalar>, count: Int) -> Scalar
  @unsafe static func scale(_ x: UnsafeMutablePointer<Scalar>, count: Int, by factor: Scalar)
  @unsafe static func clamp(
    _ x: UnsafeMutablePointer<Scalar>, count: Int, _ lower: Scalar, _ upper: Scalar
  ) -> Int
  @unsafe static func addRows(
    _ x: MatrixView<Scalar>, _ rows: UnsafePointer<Int32>, to table: MutableMatrixView<Scalar>)

  /// Squares, sums and counts of a matrix; see `ObservationKernel`, as is the following.
  @unsafe static func observe(_ observation: Observation<Scalar>) -> ObservedCounts
  @unsafe static func isFinite(_ x: UnsafePointer<Scalar>, stride: Int, rows: Int, columns: Int) -> Bool

  /// One primitive of the vector layer over arrays: see `VectorProbe`.
  @unsafe static func probe(_ operation: VectorOperation, _ operands: ProbeOperands<Scalar>)

  /// See `MeasurementKernel`.
  static func peak(iterations: Int, multiplier: Scalar, addend: Scalar) -> Scalar
  /// See `MeasurementKernel`.
  @unsafe static func read(_ source: UnsafePointer<Scalar>, count: Int) -> Scalar
}

/// The sizes a driver must know to cut up work and provide memory. Bits do not depend on them.
@frozen public struct KernelGeometry: Sendable, Hashable {
  /// Scalars in one vector.
  public let lanes: Int
  /// Most rows of C in one register tile.
  public let tileRows: Int
  /// Columns of C in one packed panel.
  public let panelWidth: Int
  /// Terms of a sum between loading and storing C.
  public let depthBlock: Int
  /// Rows of A copied at a time in a product.
  public let rowBlock: Int
  /// Rows and columns of C computed at a time in AᵀB.
  public let transposedRowBlock: Int
  public let transposedColumnBlock: Int
  /// Scalars of scratch memory for `KernelTable.product`, per thread.
  public let productScratch: Int
  /// The same, of several rows and weights that are not packed.
  public let inPlaceScratch: Int
  /// Scalars of scratch memory for `KernelTable.transposedProduct`, per thread, of any number of columns.
  public let transposedScratch: Int
  /// Those that one panel less saves.
  @usableFromInline let transposedPanelScratch: Int
  /// Scalars of scratch memory for `Observation`.
  public let observationScratch: Int
  /// Elements that recorded cells are run on at a time.
  public let programBlock: Int
  /// Whether multiply-adds round once.
  public let isFused: Bool

  /// Panels that so many columns of a product take, the last one perhaps in part.
  @inlinable public func panels(_ columns: Int) -> Int { (columns &+ panelWidth &- 1) / panelWidth }

  /// Scalars of scratch memory for `KernelTable.transposedProduct` of so many panels, per thread: of two products that
  /// share A, those of both.
  @inlinable public func transposedScratch(panels: Int) -> Int {
    transposedScratch &- max(0, transposedColumnBlock / panelWidth &- panels) &* transposedPanelScratch
  }

  /// Scalars of scratch memory for recorded cells of `registers` registers, per thread.
  @inlinable public func programScratch(registers: Int) -> Int { 2 &* registers &* programBlock }

  @inlinable
  public init<V: Vector>(_: V.Type) {
    lanes = V.lanes
    tileRows = TileGeometry<V>.rows
    panelWidth = TileGeometry<V>.panelWidth
    depthBlock = TileGeometry<V>.depthBlock
    rowBlock = TileGeometry<V>.rowBlock
    transposedRowBlock = TileGeometry<V>.transposedRowBlock
    transposedColumnBlock = TileGeometry<V>.columnBlock
    productScratch = TileGeometry<V>.productScratch
    inPlaceScratch = TileGeometry<V>.inPlaceScratch
    transposedScratch = TileGeometry<V>.transposedScratch
    transposedPanelScratch = TileGeometry<V>.packedPanelStride
    observationScratch = V.lanes * V.lanes
    programBlock = PointwiseProgramKernel<V>.block
    isFused = V.isFused
  }
}
