import RecurrenceKernels

/// What a forward pass needs to carry its derivative in one direction along: tangents of everything that it computes.
///
/// Laid out as the pass's own memory is without a tape.
@safe final class TangentMemory<Scalar: RecurrenceScalar>: @unchecked Sendable {
  let shape: StackShape<Scalar>
  private let batch, chunk: Int
  private let recorded: RecordedTangent
  /// [L][B, H], [L][B, (S−1)·H]: tangents of the states, in and out.
  private let hiddenOffset, otherOffset: Int
  private let gatesOffset, operandOffset, outputsOffset, scratchOffset, scratchStride, zerosOffset: Int
  private let slab: AlignedBuffer<Scalar>
  /// Tangents of the caller's inputs, [T, B, I], or nil for zero.
  var input: UnsafePointer<Scalar>?
  /// Tangents of the top layer's outputs, [T, B, H], or nil.
  var output: UnsafeMutablePointer<Scalar>?
  /// Tangents of the parameters; nil for zero.
  var parameters: PackedStack<Scalar>?

  init(_ memory: SequenceMemory<Scalar>) {
    shape = memory.shape
    (batch, chunk) = (memory.use.batch, memory.chunk)
    recorded = shape.cell.makeTangent()
    let registers = shape.kernels.geometry.programScratch(registers: recorded.registers)
    scratchStride = (registers + 15) / 16 * 16
    var plan = SlabPlan<Scalar>()
    hiddenOffset = plan.reserve(shape.layers, batch, shape.units)
    otherOffset = plan.reserve(shape.layers, batch, shape.otherStride)
    gatesOffset = plan.reserve(chunk, batch, shape.gateStride)
    operandOffset = plan.reserve(batch, shape.units)
    outputsOffset = plan.reserve(shape.layers, chunk, batch, shape.units)
    scratchOffset = plan.reserve(memory.use.threads, scratchStride)
    zerosOffset = plan.reserve(shape.plan.planes.units, shape.units)
    slab = AlignedBuffer(count: plan.count)
  }

  private var base: UnsafeMutablePointer<Scalar> { unsafe slab.unsafePointer }
  var mathematics: CellMathematics { unsafe CellMathematics(.recorded, recorded: recorded.view) }

  func hidden(_ layer: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + hiddenOffset + layer * batch * shape.units }
  func other(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + otherOffset + layer * batch * shape.otherStride
  }
  func gates(first: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + gatesOffset + chunk * first * shape.gateStride
  }
  func operand(first: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + operandOffset + first * shape.units }
  func outputs(_ layer: Int, first: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + outputsOffset + (layer * batch + first) * chunk * shape.units
  }
  func unitParameters(_ layer: Int) -> UnsafePointer<Scalar> {
    unsafe parameters?.unitParameters(layer) ?? UnsafePointer(base + zerosOffset)
  }
  func scratch(_ part: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + scratchOffset + part * scratchStride }
}
