import RecurrenceKernels

/// All memory that the drivers work in: one slab, laid out once.
///
/// Matrices have one row for each sequence and, on the tape, step: see `RowSchedule`.
final class SequenceMemory<Scalar: RecurrenceScalar>: @unchecked Sendable {
  let shape: StackShape<Scalar>
  let use: SequenceUse
  let schedule: RowSchedule
  /// The segment that the tape holds now.
  var tapedSegment = -1
  /// Multiply-adds below which a pass is not split: some 100 µs of one core. Tests pass 0.
  let smallestSplit: Double
  /// Where passes leave what they measure of the gradient flow; nil where nobody asked.
  var recorder: FlowRecorder<Scalar>?
  /// How backward passes are controlled; nil where they are not.
  var control: FlowControl<Scalar>?
  /// Where backward passes leave which lags a weight's gradient comes from; nil where nobody asked.
  var lags: LagRecorder<Scalar>?
  /// Where forward passes leave their derivative in a direction; nil where nobody asked.
  var tangent: TangentMemory<Scalar>?
  /// What the first layer reads symbols through; nil where it reads vectors.
  var embedding: ProjectedEmbedding<Scalar>?
  /// The threads of a pass.
  let team = ThreadTeam()
  /// Whether threads share the units of a batch of one sequence.
  let splitsUnits: Bool
  /// Whether backward passes must show ∂L/∂h_t of every step.
  var isWatched: Bool { recorder != nil || control?.regularizes == true }
  /// What the kernels are told of steps.
  let calls: StepCalls<Scalar>
  private let at: SequenceLayout<Scalar>
  private let slab: AlignedBuffer<Scalar>

  /// - Parameter memory: the caller's, of the layout's count, 64-byte aligned, for as long as this lives; or nil.
  init(
    _ layout: SequenceLayout<Scalar>, smallestSplit: Double, in memory: UnsafeMutableBufferPointer<Scalar>? = nil
  ) {
    shape = layout.shape
    use = layout.use
    at = layout
    self.smallestSplit = smallestSplit
    splitsUnits = layout.splitsUnits(smallestSplit)
    schedule = RowSchedule(steps: use.steps, batch: use.batch, ragged: use.ragged)
    if let memory = unsafe memory {
      slab = unsafe AlignedBuffer(borrowing: memory, count: layout.count)
    } else {
      slab = AlignedBuffer(count: layout.count)
    }
    unsafe calls = StepCalls(
      in: slab.unsafePointer + layout.calls, layers: shape.layers, hasTape: use.tapeSteps != nil)
  }

  /// What callers know this as.
  var name: String { use.tapeSteps == nil ? "workspace" : "tape" }
  var chunk: Int { at.chunk }
  var gradientChunk: Int { at.gradientChunk }
  var readsInputWeightsInPlace: Bool { at.readsInputWeightsInPlace }

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

  /// Whether the input and the outputs of a pass come from beyond L2, so that it pays to ask for them ahead.
  var isBeyondL2: Bool {
    schedule.offset(schedule.steps) * (shape.inputs + shape.units) * MemoryLayout<Scalar>.stride > 1 << 20
  }

  /// Overwrites everything with NaN; tests see whether any of it reaches a result.
  func poison() {
    unsafe Recurrence.poison(UnsafeMutableBufferPointer(start: base, count: slab.count))
    calls.forget()
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
  private var tapeRows: Int { use.tapeSteps! * batch }
  /// h after the steps of the tape. Before them lies h before its first step, of the whole batch.
  func tapeHidden(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.tapeHidden + (layer * (tapeRows + batch) + batch) * units
  }
  /// The other states likewise.
  func tapeOther(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.tapeOther + (layer * (tapeRows + batch) + batch) * shape.otherStride
  }
  func tapeSaved(_ layer: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.tapeSaved + layer * tapeRows * shape.savedStride
  }
  /// States before a segment's first step, of several: kept when the segment is run for the first time, and read on the
  /// way back.
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
  func productScratch(_ part: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.productScratch + part * at.productScratchStride
  }
  func programScratch(_ part: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe base + at.programScratch + part * at.programScratchStride
  }
}
