import RecurrenceKernels

/// The kernels of this instruction set for `Float`. Entries are never inlined: see `KernelTable`.
public enum BaselineFloat: KernelTable {
  public typealias Scalar = Float

  public static var instructionSet: InstructionSet { @inline(never) get { .baseline } }
  public static var geometry: KernelGeometry { @inline(never) get { KernelGeometry(FloatVector.self) } }

  @inline(never)
  public static func packedCount(outputs: Int, depth: Int) -> Int {
    PanelPacking<FloatVector>.count(outputs: outputs, depth: depth)
  }

  @inline(never)
  public static func packRows(_ weights: MatrixView<Float>, into packed: UnsafeMutablePointer<Float>) {
    PanelPacking<FloatVector>.packRows(weights, into: packed)
  }

  @inline(never)
  public static func packColumns(_ weights: MatrixView<Float>, into packed: UnsafeMutablePointer<Float>) {
    PanelPacking<FloatVector>.packColumns(weights, into: packed)
  }

  @inline(never)
  public static func product(
    _ operands: ProductOperands<Float>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Float>
  ) {
    ProductKernel<FloatVector>.run(operands, rows: rows, panels: panels, scratch: scratch)
  }

  @inline(never)
  public static func transposedProduct(
    _ operands: TransposedProductOperands<Float>, rows: Range<Int>, columns: Range<Int>,
    scratch: UnsafeMutablePointer<Float>
  ) {
    TransposedProductKernel<FloatVector>.run(operands, rows: rows, columns: columns, scratch: scratch)
  }

  @inline(never)
  public static func probe(_ operation: VectorOperation, _ operands: ProbeOperands<Float>) {
    VectorProbe<FloatVector>.run(operation, operands)
  }

  @inline(never)
  public static func peak(iterations: Int, multiplier: Float, addend: Float) -> Float {
    MeasurementKernel<FloatVector>.peak(iterations: iterations, multiplier: multiplier, addend: addend)
  }

  @inline(never)
  public static func read(_ source: UnsafePointer<Float>, count: Int) -> Float {
    MeasurementKernel<FloatVector>.read(source, count: count)
  }
}

/// The kernels of this instruction set for `Double`. Entries are never inlined: see `KernelTable`.
public enum BaselineDouble: KernelTable {
  public typealias Scalar = Double

  public static var instructionSet: InstructionSet { @inline(never) get { .baseline } }
  public static var geometry: KernelGeometry { @inline(never) get { KernelGeometry(DoubleVector.self) } }

  @inline(never)
  public static func packedCount(outputs: Int, depth: Int) -> Int {
    PanelPacking<DoubleVector>.count(outputs: outputs, depth: depth)
  }

  @inline(never)
  public static func packRows(_ weights: MatrixView<Double>, into packed: UnsafeMutablePointer<Double>) {
    PanelPacking<DoubleVector>.packRows(weights, into: packed)
  }

  @inline(never)
  public static func packColumns(_ weights: MatrixView<Double>, into packed: UnsafeMutablePointer<Double>) {
    PanelPacking<DoubleVector>.packColumns(weights, into: packed)
  }

  @inline(never)
  public static func product(
    _ operands: ProductOperands<Double>, rows: Range<Int>, panels: Range<Int>, scratch: UnsafeMutablePointer<Double>
  ) {
    ProductKernel<DoubleVector>.run(operands, rows: rows, panels: panels, scratch: scratch)
  }

  @inline(never)
  public static func transposedProduct(
    _ operands: TransposedProductOperands<Double>, rows: Range<Int>, columns: Range<Int>,
    scratch: UnsafeMutablePointer<Double>
  ) {
    TransposedProductKernel<DoubleVector>.run(operands, rows: rows, columns: columns, scratch: scratch)
  }

  @inline(never)
  public static func probe(_ operation: VectorOperation, _ operands: ProbeOperands<Double>) {
    VectorProbe<DoubleVector>.run(operation, operands)
  }

  @inline(never)
  public static func peak(iterations: Int, multiplier: Double, addend: Double) -> Double {
    MeasurementKernel<DoubleVector>.peak(iterations: iterations, multiplier: multiplier, addend: addend)
  }

  @inline(never)
  public static func read(_ source: UnsafePointer<Double>, count: Int) -> Double {
    MeasurementKernel<DoubleVector>.read(source, count: count)
  }
}
