// 128-bit vectors: SSE2 on x86-64, NEON on arm64.
// Private on purpose: code generated for these types must never reach a module with other flags, and types that only
// their file can name need no metadata, whose helpers (`__swift_memcpy32_16`) any module may define too.
//
// One file on purpose: a debug build compiles modules file by file, and vector operations in another file would be
// calls.

import CProcessor
import RecurrenceKernels

private struct FloatVector: Vector {
  typealias Scalar = Float
  typealias Raw = SIMD4<Float>
  typealias Bits = SIMD4<UInt32>
  typealias Mask = SIMDMask<SIMD4<Int32>>

  var raw: Raw
  @inline(__always) init(_ raw: Raw) { self.raw = raw }
  @inline(__always) init(_ bits: Bits) { raw = unsafe unsafeBitCast(bits, to: Raw.self) }
  @inline(__always) var bits: Bits { unsafe unsafeBitCast(raw, to: Bits.self) }

  @inline(__always) static var lanes: Int { 4 }
  #if arch(x86_64)
  @inline(__always) static var registers: Int { 16 }
  #else
  @inline(__always) static var registers: Int { 32 }
  #endif

  @inline(__always) init(repeating value: Float) { raw = Raw(repeating: value) }
  @inline(__always) init(repeatingBits bits: UInt64) { self.init(Bits(repeating: UInt32(truncatingIfNeeded: bits))) }

  @inline(__always) static func load(_ source: UnsafePointer<Float>) -> Self {
    unsafe Self(UnsafeRawPointer(source).loadUnaligned(as: Raw.self))
  }
  @inline(__always) func store(_ destination: UnsafeMutablePointer<Float>) {
    unsafe UnsafeMutableRawPointer(destination).storeBytes(of: raw, as: Raw.self)
  }

  @inline(__always) static func + (a: Self, b: Self) -> Self { Self(a.raw + b.raw) }
  @inline(__always) static func - (a: Self, b: Self) -> Self { Self(a.raw - b.raw) }
  @inline(__always) static func * (a: Self, b: Self) -> Self { Self(a.raw * b.raw) }
  @inline(__always) static func / (a: Self, b: Self) -> Self { Self(a.raw / b.raw) }
  #if arch(x86_64)
  // SSE2 has no fused multiply-add, and emulating one is a library call per lane.
  static var isFused: Bool { false }
  @inline(__always) static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { Self(c.raw + a.raw * b.raw) }
  #else
  static var isFused: Bool { true }
  @inline(__always) static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self {
    Self(recurrence_fma_f32x4(a.raw, b.raw, c.raw))
  }
  #endif

  @inline(__always) static func unzip(_ a: Self, _ b: Self) -> (even: Self, odd: Self) {
    (Self(recurrence_even_f32x4(a.raw, b.raw)), Self(recurrence_odd_f32x4(a.raw, b.raw)))
  }

  @inline(__always) static func squareRoot(_ a: Self) -> Self { Self(recurrence_sqrt_f32x4(a.raw)) }

  @inline(__always) static func minimum(_ a: Self, _ b: Self) -> Self { select(isLess(b, a), b, a) }
  @inline(__always) static func maximum(_ a: Self, _ b: Self) -> Self { select(isLess(a, b), b, a) }
  @inline(__always) static func isLess(_ a: Self, _ b: Self) -> Mask { a.raw .< b.raw }
  @inline(__always) static func isLessOrEqual(_ a: Self, _ b: Self) -> Mask { a.raw .<= b.raw }
  @inline(__always) static func isEqual(_ a: Self, _ b: Self) -> Mask { a.raw .== b.raw }
  @inline(__always) static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self {
    Self(b.raw.replacing(with: a.raw, where: mask))
  }

  @inline(__always) static func bitAnd(_ a: Self, _ b: Self) -> Self { Self(a.bits & b.bits) }
  @inline(__always) static func bitOr(_ a: Self, _ b: Self) -> Self { Self(a.bits | b.bits) }
  @inline(__always) static func bitXor(_ a: Self, _ b: Self) -> Self { Self(a.bits ^ b.bits) }
  @inline(__always) static func addBits(_ a: Self, _ b: Self) -> Self { Self(a.bits &+ b.bits) }
  @inline(__always) static func subtractBits(_ a: Self, _ b: Self) -> Self { Self(a.bits &- b.bits) }
  @inline(__always) static func shiftBitsLeft(_ a: Self, by count: Int) -> Self {
    Self(a.bits &<< Bits(repeating: UInt32(truncatingIfNeeded: count)))
  }
  @inline(__always) static func shiftBitsRight(_ a: Self, by count: Int) -> Self {
    Self(a.bits &>> Bits(repeating: UInt32(truncatingIfNeeded: count)))
  }
}

private struct DoubleVector: Vector {
  typealias Scalar = Double
  typealias Raw = SIMD2<Double>
  typealias Bits = SIMD2<UInt64>
  typealias Mask = SIMDMask<SIMD2<Int64>>

  var raw: Raw
  @inline(__always) init(_ raw: Raw) { self.raw = raw }
  @inline(__always) init(_ bits: Bits) { raw = unsafe unsafeBitCast(bits, to: Raw.self) }
  @inline(__always) var bits: Bits { unsafe unsafeBitCast(raw, to: Bits.self) }

  @inline(__always) static var lanes: Int { 2 }
  #if arch(x86_64)
  @inline(__always) static var registers: Int { 16 }
  #else
  @inline(__always) static var registers: Int { 32 }
  #endif

  @inline(__always) init(repeating value: Double) { raw = Raw(repeating: value) }
  @inline(__always) init(repeatingBits bits: UInt64) { self.init(Bits(repeating: UInt64(truncatingIfNeeded: bits))) }

  @inline(__always) static func load(_ source: UnsafePointer<Double>) -> Self {
    unsafe Self(UnsafeRawPointer(source).loadUnaligned(as: Raw.self))
  }
  @inline(__always) func store(_ destination: UnsafeMutablePointer<Double>) {
    unsafe UnsafeMutableRawPointer(destination).storeBytes(of: raw, as: Raw.self)
  }

  @inline(__always) static func + (a: Self, b: Self) -> Self { Self(a.raw + b.raw) }
  @inline(__always) static func - (a: Self, b: Self) -> Self { Self(a.raw - b.raw) }
  @inline(__always) static func * (a: Self, b: Self) -> Self { Self(a.raw * b.raw) }
  @inline(__always) static func / (a: Self, b: Self) -> Self { Self(a.raw / b.raw) }
  #if arch(x86_64)
  // SSE2 has no fused multiply-add, and emulating one is a library call per lane.
  static var isFused: Bool { false }
  @inline(__always) static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { Self(c.raw + a.raw * b.raw) }
  #else
  static var isFused: Bool { true }
  @inline(__always) static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self {
    Self(recurrence_fma_f64x2(a.raw, b.raw, c.raw))
  }
  #endif

  @inline(__always) static func unzip(_ a: Self, _ b: Self) -> (even: Self, odd: Self) {
    (Self(recurrence_even_f64x2(a.raw, b.raw)), Self(recurrence_odd_f64x2(a.raw, b.raw)))
  }

  @inline(__always) static func squareRoot(_ a: Self) -> Self { Self(recurrence_sqrt_f64x2(a.raw)) }

  @inline(__always) static func minimum(_ a: Self, _ b: Self) -> Self { select(isLess(b, a), b, a) }
  @inline(__always) static func maximum(_ a: Self, _ b: Self) -> Self { select(isLess(a, b), b, a) }
  @inline(__always) static func isLess(_ a: Self, _ b: Self) -> Mask { a.raw .< b.raw }
  @inline(__always) static func isLessOrEqual(_ a: Self, _ b: Self) -> Mask { a.raw .<= b.raw }
  @inline(__always) static func isEqual(_ a: Self, _ b: Self) -> Mask { a.raw .== b.raw }
  @inline(__always) static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self {
    Self(b.raw.replacing(with: a.raw, where: mask))
  }

  @inline(__always) static func bitAnd(_ a: Self, _ b: Self) -> Self { Self(a.bits & b.bits) }
  @inline(__always) static func bitOr(_ a: Self, _ b: Self) -> Self { Self(a.bits | b.bits) }
  @inline(__always) static func bitXor(_ a: Self, _ b: Self) -> Self { Self(a.bits ^ b.bits) }
  @inline(__always) static func addBits(_ a: Self, _ b: Self) -> Self { Self(a.bits &+ b.bits) }
  @inline(__always) static func subtractBits(_ a: Self, _ b: Self) -> Self { Self(a.bits &- b.bits) }
  @inline(__always) static func shiftBitsLeft(_ a: Self, by count: Int) -> Self {
    Self(a.bits &<< Bits(repeating: UInt64(truncatingIfNeeded: count)))
  }
  @inline(__always) static func shiftBitsRight(_ a: Self, by count: Int) -> Self {
    Self(a.bits &>> Bits(repeating: UInt64(truncatingIfNeeded: count)))
  }
}

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
  public static func packRows(
    _ weights: MatrixView<Float>, from row: Int, into packed: UnsafeMutablePointer<Float>
  ) {
    PanelPacking<FloatVector>.packRows(weights, from: row, into: packed)
  }

  @inline(never)
  public static func packColumns(
    _ weights: MatrixView<Float>, from row: Int, of depth: Int, into packed: UnsafeMutablePointer<Float>
  ) {
    PanelPacking<FloatVector>.packColumns(weights, from: row, of: depth, into: packed)
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
  public static func recurrentStep(_ call: RecurrentCall<Float>) {
    RecurrentKernel<FloatVector>.run(call)
  }

  @inline(never)
  public static func recurrentSteps(_ steps: UnsafeMutablePointer<RecurrentSteps<Float>>) {
    RecurrentStepsKernel<FloatVector>.run(steps)
  }

  @inline(never)
  public static func backwardSteps(_ steps: UnsafeMutablePointer<BackwardSteps<Float>>) {
    BackwardStepsKernel<FloatVector>.run(steps)
  }

  @inline(never)
  public static func columnSums(_ matrix: MatrixView<Float>, into sums: UnsafeMutablePointer<Float>) {
    RecurrentKernel<FloatVector>.columnSums(matrix, into: sums)
  }

  @inline(never)
  public static func activation(
    _ activation: Activation, _ input: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, count: Int
  ) {
    ActivationKernel<FloatVector>.map(activation, input, output, count: count)
  }

  @inline(never)
  public static func activationDerivative(
    _ activation: Activation, at x: UnsafePointer<Float>, value y: UnsafePointer<Float>,
    _ output: UnsafeMutablePointer<Float>, count: Int
  ) {
    ActivationKernel<FloatVector>.mapDerivative(activation, at: x, value: y, output, count: count)
  }

  @inline(never)
  public static func update(_ update: ParameterUpdate<Float>, _ operands: UpdateOperands<Float>) {
    OptimizerKernel<FloatVector>.run(update, operands)
  }

  @inline(never)
  public static func loss(_ operands: LossOperands<Float>, rows: Range<Int>) {
    LossKernel<FloatVector>.run(operands, rows: rows)
  }

  @inline(never)
  public static func sumOfSquares(_ x: UnsafePointer<Float>, count: Int, factor: Double) -> Double {
    GradientKernel<FloatVector>.sumOfSquares(x, count: count, factor: factor)
  }

  @inline(never)
  public static func largestMagnitude(_ x: UnsafePointer<Float>, count: Int) -> Float {
    GradientKernel<FloatVector>.largestMagnitude(x, count: count)
  }

  @inline(never)
  public static func scale(_ x: UnsafeMutablePointer<Float>, count: Int, by factor: Float) {
    GradientKernel<FloatVector>.scale(x, count: count, by: factor)
  }

  @inline(never)
  public static func clamp(_ x: UnsafeMutablePointer<Float>, count: Int, _ lower: Float, _ upper: Float) -> Int {
    GradientKernel<FloatVector>.clamp(x, count: count, lower, upper)
  }

  @inline(never)
  public static func addRows(
    _ x: MatrixView<Float>, _ rows: UnsafePointer<Int32>, to table: MutableMatrixView<Float>
  ) {
    GradientKernel<FloatVector>.addRows(x, rows, to: table)
  }

  @inline(never)
  public static func observe(_ observation: Observation<Float>) -> ObservedCounts {
    ObservationKernel<FloatVector>.observe(observation)
  }

  @inline(never)
  public static func isFinite(_ x: UnsafePointer<Float>, stride: Int, rows: Int, columns: Int) -> Bool {
    ObservationKernel<FloatVector>.isFinite(x, stride: stride, rows: rows, columns: columns)
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
  public static func packRows(
    _ weights: MatrixView<Double>, from row: Int, into packed: UnsafeMutablePointer<Double>
  ) {
    PanelPacking<DoubleVector>.packRows(weights, from: row, into: packed)
  }

  @inline(never)
  public static func packColumns(
    _ weights: MatrixView<Double>, from row: Int, of depth: Int, into packed: UnsafeMutablePointer<Double>
  ) {
    PanelPacking<DoubleVector>.packColumns(weights, from: row, of: depth, into: packed)
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
  public static func recurrentStep(_ call: RecurrentCall<Double>) {
    RecurrentKernel<DoubleVector>.run(call)
  }

  @inline(never)
  public static func recurrentSteps(_ steps: UnsafeMutablePointer<RecurrentSteps<Double>>) {
    RecurrentStepsKernel<DoubleVector>.run(steps)
  }

  @inline(never)
  public static func backwardSteps(_ steps: UnsafeMutablePointer<BackwardSteps<Double>>) {
    BackwardStepsKernel<DoubleVector>.run(steps)
  }

  @inline(never)
  public static func columnSums(_ matrix: MatrixView<Double>, into sums: UnsafeMutablePointer<Double>) {
    RecurrentKernel<DoubleVector>.columnSums(matrix, into: sums)
  }

  @inline(never)
  public static func activation(
    _ activation: Activation, _ input: UnsafePointer<Double>, _ output: UnsafeMutablePointer<Double>, count: Int
  ) {
    ActivationKernel<DoubleVector>.map(activation, input, output, count: count)
  }

  @inline(never)
  public static func activationDerivative(
    _ activation: Activation, at x: UnsafePointer<Double>, value y: UnsafePointer<Double>,
    _ output: UnsafeMutablePointer<Double>, count: Int
  ) {
    ActivationKernel<DoubleVector>.mapDerivative(activation, at: x, value: y, output, count: count)
  }

  @inline(never)
  public static func update(_ update: ParameterUpdate<Double>, _ operands: UpdateOperands<Double>) {
    OptimizerKernel<DoubleVector>.run(update, operands)
  }

  @inline(never)
  public static func loss(_ operands: LossOperands<Double>, rows: Range<Int>) {
    LossKernel<DoubleVector>.run(operands, rows: rows)
  }

  @inline(never)
  public static func sumOfSquares(_ x: UnsafePointer<Double>, count: Int, factor: Double) -> Double {
    GradientKernel<DoubleVector>.sumOfSquares(x, count: count, factor: factor)
  }

  @inline(never)
  public static func largestMagnitude(_ x: UnsafePointer<Double>, count: Int) -> Double {
    GradientKernel<DoubleVector>.largestMagnitude(x, count: count)
  }

  @inline(never)
  public static func scale(_ x: UnsafeMutablePointer<Double>, count: Int, by factor: Double) {
    GradientKernel<DoubleVector>.scale(x, count: count, by: factor)
  }

  @inline(never)
  public static func clamp(_ x: UnsafeMutablePointer<Double>, count: Int, _ lower: Double, _ upper: Double) -> Int {
    GradientKernel<DoubleVector>.clamp(x, count: count, lower, upper)
  }

  @inline(never)
  public static func addRows(
    _ x: MatrixView<Double>, _ rows: UnsafePointer<Int32>, to table: MutableMatrixView<Double>
  ) {
    GradientKernel<DoubleVector>.addRows(x, rows, to: table)
  }

  @inline(never)
  public static func observe(_ observation: Observation<Double>) -> ObservedCounts {
    ObservationKernel<DoubleVector>.observe(observation)
  }

  @inline(never)
  public static func isFinite(_ x: UnsafePointer<Double>, stride: Int, rows: Int, columns: Int) -> Bool {
    ObservationKernel<DoubleVector>.isFinite(x, stride: stride, rows: rows, columns: columns)
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
