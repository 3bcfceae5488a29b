import RecurrenceKernels

/// What the memory of a driver is for.
struct SequenceUse: Hashable {
  var steps: Int
  var batch: Int
  var threads: Int
  var ragged: Bool
  /// Steps that the tape holds; nil for no tape.
  var tapeSteps: Int?
}

/// Where every array of a driver lies in its one slab.
struct SequenceLayout<Scalar: RecurrenceScalar> {
  let shape: StackShape<Scalar>
  let use: SequenceUse
  /// Steps that the input is projected for at a time.
  let chunk: Int
  /// Steps that δ is kept for before weight gradients are taken.
  let gradientChunk: Int
  /// Whether the way back reads the first layer's W where it lies.
  let readsInputWeightsInPlace: Bool
  /// Scalars from one thread's scratch memory to the next's: whole cache lines, so that no two threads write to one.
  let productScratchStride, programScratchStride: Int
  /// Scalars in all.
  private(set) var count = 0

  // Forward.
  /// [L][B, H], [L][B, (S−1)·H]: states before the step at hand; after a call, the final states.
  private(set) var hidden = 0, other = 0
  /// Pre-activations [chunk·B, P·H], operand of stage 1 [B, H], outputs of layers [L][chunk·B, H]. With a tape, pre-activations
  /// lie where δ does: passes take turns.
  private(set) var gates = 0, operand = 0, outputs = 0
  /// Inputs of ragged sequences in the order of the schedule, [T·B, I].
  private(set) var packedInput = 0

  // The tape.
  /// States before its first step and after all its steps, h and the others; saved planes of all its steps. Layer after
  /// layer.
  private(set) var tapeHidden = 0, tapeOther = 0, tapeSaved = 0
  /// States before each segment's first step, where there are several.
  private(set) var checkpoints = 0

  // Backward.
  /// Carried ∂L/∂states, as `hidden` and `other`.
  private(set) var hiddenGradient = 0, otherGradient = 0
  /// δ of a chunk, operands of a chunk, ∂L/∂operand of a step, ∂L/∂(input of a layer) of a chunk.
  private(set) var gradients = 0, operands = 0, operandGradient = 0, inputGradient = 0
  /// Gradients of ragged sequences in the order of the schedule: [T·B, H], [T·B, I].
  private(set) var packedOutputGradient = 0, packedInputGradient = 0
  /// W and U of each layer, U of each stage, packed for the way back; of W that is read where it lies, nothing.
  private(set) var w: [Int] = []
  private(set) var u: [[Int]] = []

  private(set) var productScratch = 0, programScratch = 0
  /// What the kernels are told of steps.
  private(set) var calls = 0

  init(_ shape: StackShape<Scalar>, _ use: SequenceUse) {
    self.shape = shape
    self.use = use
    let (layers, batch, units) = (shape.layers, use.batch, shape.units)
    let size = MemoryLayout<Scalar>.stride
    // Pre-activations of a chunk stay in L2, unless they are of fewer rows than W should be read for: more where it comes from
    // beyond L2 each time.
    let leastRows = shape.inputs * shape.inputColumns * size > 1 << 20 ? 128 : 64
    chunk = max(
      1, min(use.steps, max(leastRows / max(1, batch), Self.quotient(262_144, batch, shape.gateStride, size))))
    // δ of a chunk stays in L2, unless it is of fewer rows than a product that reads and writes whole gradients should have.
    let affordable = Self.quotient(524_288, batch, shape.gradientStride, layers, size)
    gradientChunk = max(1, min(use.tapeSteps ?? 0, max(512 / max(1, batch), affordable)))
    // Of a tape that keeps few steps, chunks are of too few rows for each to read W in that order.
    let tapeSteps = use.tapeSteps ?? 0
    readsInputWeightsInPlace =
      tapeSteps > 0 && shape.hasLargeInputWeights && (tapeSteps >= use.steps || gradientChunk * batch >= 128)
    let geometry = shape.kernels.geometry
    // Gradients of W and U are taken together: see `WeightGradients`.
    let panels = (0..<layers).reduce(0) { max($0, geometry.panels(shape.inputs(of: $1))) } + geometry.panels(units)
    let transposedScratch = use.tapeSteps == nil ? 0 : geometry.transposedScratch(panels: panels)
    let inPlaceScratch = readsInputWeightsInPlace ? geometry.inPlaceScratch : 0
    productScratchStride = (max(geometry.productScratch, transposedScratch, inPlaceScratch) + 15) / 16 * 16
    programScratchStride = (geometry.programScratch(registers: shape.cell.registers) + 15) / 16 * 16

    var plan = SlabPlan<Scalar>()
    hidden = plan.reserve(layers, batch, units)
    other = plan.reserve(layers, batch, shape.otherStride)
    let gatesCount = plan.product(chunk, batch, shape.gateStride)
    if use.tapeSteps == nil {
      gates = plan.reserve(gatesCount)
      outputs = plan.reserve(layers, chunk, batch, units)
    }
    operand = plan.reserve(batch, units)
    if use.ragged { packedInput = plan.reserve(use.steps, batch, shape.inputs) }
    if let tapeSteps = use.tapeSteps {
      reserveTape(tapeSteps, &plan)
      gradients = plan.reserve(max(gatesCount, plan.product(layers, gradientChunk, batch, shape.gradientStride)))
      gates = gradients
      reserveBackward(&plan)
    }
    productScratch = plan.reserve(use.threads, productScratchStride)
    programScratch = plan.reserve(use.threads, programScratchStride)
    calls = plan.reserve(use.threads, StepCalls<Scalar>.scalars(layers: layers, hasTape: use.tapeSteps != nil))
    count = plan.count
  }

  /// Whether threads share the units of one sequence's steps. A step must take longer than threads take to meet, some
  /// hundred nanoseconds, and have whole panels for each of them.
  func splitsUnits(_ smallestSplit: Double) -> Bool {
    let width = shape.kernels.geometry.panelWidth
    let work = shape.plan.gates * shape.units * shape.units
    return use.batch == 1 && use.threads > 1 && shape.units % width == 0 && shape.units / width >= use.threads
      && (smallestSplit == 0 || work >= 400_000)
  }

  private mutating func reserveTape(_ steps: Int, _ plan: inout SlabPlan<Scalar>) {
    let (layers, batch, units) = (shape.layers, use.batch, shape.units)
    tapeHidden = plan.reserve(layers, steps, batch, units)
    // One step more, of the same array: of too many steps, the sentence above says how many were asked for.
    _ = plan.reserve(layers, batch, units)
    tapeOther = plan.reserve(layers, steps, batch, shape.otherStride)
    _ = plan.reserve(layers, batch, shape.otherStride)
    tapeSaved = plan.reserve(layers, steps, batch, shape.savedStride)
    // Of one segment alone, nobody comes back to its start.
    let segments = steps == 0 || steps >= use.steps ? 0 : (use.steps + steps - 1) / steps
    checkpoints = plan.reserve(segments, layers, batch, units + shape.otherStride)
  }

  private mutating func reserveBackward(_ plan: inout SlabPlan<Scalar>) {
    let (layers, batch, units) = (shape.layers, use.batch, shape.units)
    hiddenGradient = plan.reserve(layers, batch, units)
    otherGradient = plan.reserve(layers, batch, shape.otherStride)
    if shape.stages > 1 {
      operands = plan.reserve(layers, gradientChunk, batch, units)
      operandGradient = plan.reserve(batch, units)
    }
    if layers > 1 { inputGradient = plan.reserve(gradientChunk, batch, units) }
    if use.ragged {
      packedOutputGradient = plan.reserve(use.steps, batch, units)
      packedInputGradient = plan.reserve(use.steps, batch, shape.inputs)
    }
    let table = shape.kernels.table
    for layer in 0..<layers {
      let rows = shape.plan.gates * units
      let isPacked = layer > 0 || !readsInputWeightsInPlace
      w.append(plan.reserve(isPacked ? table.packedCount(outputs: shape.inputs(of: layer), depth: rows) : 0))
      u.append(
        shape.plan.recurrent.map { plan.reserve(table.packedCount(outputs: units, depth: $0.count * units)) })
    }
  }

  /// `dividend` over the product of the others, which may be too large to be formed.
  private static func quotient(_ dividend: Int, _ a: Int, _ b: Int, _ c: Int, _ d: Int = 1) -> Int {
    dividend / max(1, a) / max(1, b) / max(1, c) / max(1, d)
  }
}
