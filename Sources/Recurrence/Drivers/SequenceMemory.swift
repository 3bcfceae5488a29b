import RecurrenceKernels

/// What the memory of a driver is for.
struct SequenceUse {
  var steps: Int
  var batch: Int
  var threads: Int
  var ragged: Bool
  /// Steps that the tape holds; nil for no tape.
  var tapeSteps: Int?
}

/// All memory that the drivers work in: one slab, laid out once.
///
/// Matrices have one row for each sequence and, on the tape, step: see `RowSchedule`.
final class SequenceMemory<Scalar: RecurrenceScalar>: @unchecked Sendable {
  let shape: StackShape<Scalar>
  let use: SequenceUse
  let schedule: RowSchedule
  /// Steps that the input is projected for at a time.
  let chunk: Int
  /// Steps that δ is kept for before weight gradients are taken.
  let gradientChunk: Int
  /// The segment that the tape holds now.
  var tapedSegment = -1
  /// Multiply-adds below which a pass is not split: some 100 µs of one core. Tests pass 0.
  let smallestSplit: Double
  private let slab: AlignedBuffer<Scalar>
  private let at: Offsets

  struct Offsets {
    /// [L][B, H], [L][B, (S−1)·H]: states before the step at hand; after a call, the final states.
    var hidden = 0, other = 0
    /// Forward, per thread: pre-activations [chunk·B, P·H], operand of stage 1 [B, H], outputs of layers [L][chunk·B, H].
    var gates = 0, operand = 0, outputs = 0
    /// Packed copies of ragged inputs and gradients: [T·B, I], [T·B, H].
    var packedInput = 0, packedOutputGradient = 0
    /// Tape: states before its first step; h, other states and saved planes of all its steps, layer after layer.
    var firstHidden = 0, firstOther = 0, tapeHidden = 0, tapeOther = 0, tapeSaved = 0
    /// States before each segment.
    var checkpoints = 0
    /// Backward: carried ∂L/∂states; δ of a chunk, operands of a chunk, ∂L/∂operand; ∂L/∂(input of a layer).
    var hiddenGradient = 0, otherGradient = 0, gradients = 0, operands = 0, operandGradient = 0, inputGradient = 0
    var packedInputGradient = 0
    /// Backward weights: W and U for the way back, staging.
    var w: [Int] = []
    var u: [[Int]] = []
    var staging = 0
    var productScratch = 0, programScratch = 0
  }

  let productScratchStride: Int
  let programScratchStride: Int

  init(_ shape: StackShape<Scalar>, _ use: SequenceUse, smallestSplit: Double) {
    self.smallestSplit = smallestSplit
    self.shape = shape
    self.use = use
    schedule = RowSchedule(steps: use.steps, batch: use.batch, ragged: use.ragged)
    let (layers, batch, units) = (shape.layers, use.batch, shape.units)
    let size = MemoryLayout<Scalar>.stride
    // Pre-activations of a chunk stay in L2.
    chunk = max(1, min(use.steps, 262_144 / max(1, batch * shape.gateStride * size)))
    // Weight gradients want some 256 rows for a good product, and δ in L2 if it fits; with threads, each chunk costs two
    // forks, so it is larger.
    let gradientBytes = max(1, batch * shape.gradientStride * layers * size)
    let budget = use.threads == 1 ? 524_288 : 16_777_216
    gradientChunk = max(
      1, min(use.tapeSteps ?? 0, max(256 / max(1, batch) + 1, budget / gradientBytes)))
    let geometry = shape.kernels.geometry
    productScratchStride = (max(geometry.productScratch, geometry.transposedScratch) + 15) / 16 * 16
    programScratchStride = (geometry.programScratch(registers: shape.cell.registers) + 15) / 16 * 16

    var plan = SlabPlan<Scalar>()
    var at = Offsets()
    at.hidden = plan.reserve(layers, batch, units)
    at.other = plan.reserve(layers, batch, shape.otherStride)
    at.gates = plan.reserve(chunk, batch, shape.gateStride)
    at.operand = plan.reserve(batch, units)
    at.outputs = use.tapeSteps == nil ? plan.reserve(layers, chunk, batch, units) : 0
    if use.ragged { at.packedInput = plan.reserve(use.steps, batch, shape.inputs) }
    if let tapeSteps = use.tapeSteps {
      at.firstHidden = plan.reserve(layers, batch, units)
      at.firstOther = plan.reserve(layers, batch, shape.otherStride)
      at.tapeHidden = plan.reserve(layers, tapeSteps, batch, units)
      at.tapeOther = plan.reserve(layers, tapeSteps, batch, shape.otherStride)
      at.tapeSaved = plan.reserve(layers, tapeSteps, batch, shape.savedStride)
      let segments = tapeSteps == 0 ? 0 : (use.steps + tapeSteps - 1) / tapeSteps
      at.checkpoints = plan.reserve(segments, layers, batch, units + shape.otherStride)
      at.hiddenGradient = plan.reserve(layers, batch, units)
      at.otherGradient = plan.reserve(layers, batch, shape.otherStride)
      at.gradients = plan.reserve(layers, gradientChunk, batch, shape.gradientStride)
      if shape.plan.planes.stages > 1 {
        at.operands = plan.reserve(layers, gradientChunk, batch, units)
        at.operandGradient = plan.reserve(batch, units)
      }
      at.inputGradient = layers > 1 ? plan.reserve(gradientChunk, batch, units) : 0
      if use.ragged {
        at.packedOutputGradient = plan.reserve(use.steps, batch, units)
        at.packedInputGradient = plan.reserve(use.steps, batch, shape.inputs)
      }
      let table = shape.kernels.table
      for layer in 0..<layers {
        let rows = shape.plan.gates * units
        at.w.append(plan.reserve(table.packedCount(outputs: shape.inputs(of: layer), depth: rows)))
        at.u.append(
          shape.plan.recurrent.map { plan.reserve(table.packedCount(outputs: units, depth: $0.count * units)) })
      }
      at.staging = plan.reserve(stagingCount(shape))
    }
    at.productScratch = plan.reserve(use.threads, productScratchStride)
    at.programScratch = plan.reserve(use.threads, programScratchStride)
    self.at = at
    slab = AlignedBuffer(count: plan.count)
  }

  var byteCount: Int { slab.count * MemoryLayout<Scalar>.stride }
  /// Bytes that a step of one sequence adds to the tape, over all layers.
  var tapeBytesPerStep: Int {
    shape.layers * (shape.units + shape.otherStride + shape.savedStride) * MemoryLayout<Scalar>.stride
  }
  var segments: Int {
    guard let tape = use.tapeSteps, tape > 0 else { return 0 }
    return (schedule.steps + tape - 1) / tape
  }

  private var base: UnsafeMutablePointer<Scalar> { unsafe slab.unsafePointer }
  private var batch: Int { use.batch }
  private var units: Int { shape.units }

  /// Overwrites everything but the states with NaN; tests see whether any of it reaches a result.
  func poison() {
    for i in 0..<slab.count { unsafe base[i] = .nan }
  }

  func hidden(_ layer: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + at.hidden + layer * batch * units }
  func other(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.other + layer * batch * shape.otherStride
  }
  /// Pre-activations of the sequences from `first` on.
  func gates(first: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.gates + chunk * first * shape.gateStride
  }
  func operand(first: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + at.operand + first * units }
  /// Outputs of a layer in the chunk at hand, of the sequences from `first` on.
  func outputs(_ layer: Int, first: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.outputs + (layer * batch + first) * chunk * units
  }
  var packedInput: UnsafeMutablePointer<Scalar> { unsafe base + at.packedInput }
  var packedInputGradient: UnsafeMutablePointer<Scalar> { unsafe base + at.packedInputGradient }
  var packedOutputGradient: UnsafeMutablePointer<Scalar> { unsafe base + at.packedOutputGradient }
  func firstHidden(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.firstHidden + layer * batch * units
  }
  func firstOther(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.firstOther + layer * batch * shape.otherStride
  }
  private var tapeRows: Int { use.tapeSteps! * batch }
  func tapeHidden(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.tapeHidden + layer * tapeRows * units
  }
  func tapeOther(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.tapeOther + layer * tapeRows * shape.otherStride
  }
  func tapeSaved(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.tapeSaved + layer * tapeRows * shape.savedStride
  }
  func checkpointHidden(_ segment: Int, _ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.checkpoints + (segment * shape.layers + layer) * batch * (units + shape.otherStride)
  }
  func checkpointOther(_ segment: Int, _ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe checkpointHidden(segment, layer) + batch * units
  }
  func hiddenGradient(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.hiddenGradient + layer * batch * units
  }
  func otherGradient(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.otherGradient + layer * batch * shape.otherStride
  }
  func gradients(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.gradients + layer * gradientChunk * batch * shape.gradientStride
  }
  func operands(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.operands + layer * gradientChunk * batch * units
  }
  func operandGradient(first: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.operandGradient + first * units
  }
  var inputGradient: UnsafeMutablePointer<Scalar> { unsafe base + at.inputGradient }
  func backwardW(_ layer: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + at.w[layer] }
  func backwardU(_ layer: Int, stage: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + at.u[layer][stage] }
  var staging: UnsafeMutablePointer<Scalar> { unsafe base + at.staging }
  func productScratch(_ part: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.productScratch + part * productScratchStride
  }
  func programScratch(_ part: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.programScratch + part * programScratchStride
  }
}
