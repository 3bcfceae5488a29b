import RecurrenceKernels

// The one backward loop through time.
//
//   for each segment of the tape, from the last (run forward again where the tape holds another):
//     for each chunk of steps, from the last:
//       for each layer, from the top:
//         for each step t of the chunk, from the last:          (one call, unless somebody watches)
//           δ_t ← the cell's backward                           (in the loop: only what depends on the step)
//           ∂L/∂h_{t−1} += δ_t · U
//         ∂L/∂input ← δ · W                                      one product
//       where the first layer's W is large: its ∂L/∂input ← δ · W, one product for the whole batch
//       for each layer: dW, dU, db += δᵀ · input, δᵀ · h_{t−1}, Σ δ      large products over the chunk's rows
//
// Every thread runs the loop through time for its own sequences; the products that sum over sequences split their
// outputs. A chunk, not the whole sequence, because δ of a chunk stays in cache, and memory for δ does not grow with T.
// The sums start from what is there, or at zero, and run in descending t, so chunks, segments and calls do not show in
// the bits.

/// What the caller of a backward pass hands over. Time-major, rows as the caller counts them.
///
/// Threads share it: each writes to the rows of its own sequences, or to its part of a gradient.
@unsafe struct BackwardCall<Scalar: RecurrenceScalar>: @unchecked Sendable {
  /// In: the input of the forward pass.
  var input: UnsafePointer<Scalar>
  /// In, [T, B, H]: ∂L/∂output at every step, or nil.
  var outputGradient: UnsafePointer<Scalar>?
  /// Out, [T, B, I]: ∂L/∂input, or nil. Where the memory projects an embedding: in and out, ∂L/∂E, [V, I], is added.
  var inputGradient: UnsafeMutablePointer<Scalar>?
  /// In and out: ∂L/∂parameters is added, or replaces what is there; or nil.
  var gradient: UnsafeMutablePointer<Scalar>?
  /// Whether ∂L/∂parameters is added to what is there, and does not replace it.
  var accumulates = true
  /// Steps from the first that have a gradient; nil for all.
  var steps: Int? = nil
  /// In: the parameters, W and U of which are read where they lie; nil where they were packed.
  private(set) var unpacked: UnsafePointer<Scalar>? = nil
  /// In: the parameters, of which the first layer's W is read where it lies, after each chunk of steps; nil where it is not, or
  /// nobody wants ∂L/∂input.
  private(set) var inputWeights: UnsafePointer<Scalar>? = nil

  /// The same call, that reads W and U where they lie.
  func reading(_ parameters: UnsafePointer<Scalar>) -> Self {
    var call = unsafe self
    unsafe call.unpacked = unsafe parameters
    return unsafe call
  }

  /// The same call, that reads the first layer's W where it lies.
  func readingInputWeights(_ parameters: UnsafePointer<Scalar>) -> Self {
    var call = unsafe self
    unsafe call.inputWeights = unsafe parameters
    return unsafe call
  }

  /// Whether ∂L/∂(input of the layer) is taken for all sequences of a chunk together, after its steps.
  func pullsBackTogether(_ layer: Int) -> Bool { unsafe layer == 0 && inputWeights != nil }
}

/// One thread's part of the loop through time: the sequences `rows`, in the order of the schedule.
struct BackwardDriver<Scalar: RecurrenceScalar> {
  let memory: SequenceMemory<Scalar>
  let weights: PackedStack<Scalar>
  let part: Int
  let rows: Range<Int>

  var shape: StackShape<Scalar> { memory.shape }
  private var schedule: RowSchedule { memory.schedule }
  func count(_ t: Int) -> Int { max(0, min(rows.upperBound, schedule.count(t)) - rows.lowerBound) }

  /// Runs a chunk of steps, of the segment whose tape begins at `tapeStart`, through all layers.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ chunk: Range<Int>, tapeStart: Int, _ call: BackwardCall<Scalar>) {
    if rows.isEmpty || count(chunk.lowerBound) == 0 { return }
    var layer = shape.layers
    while layer > 0 {
      layer -= 1
      unsafe runLayer(layer, chunk, tapeStart: tapeStart, call)
      unsafe pullBackInput(layer, chunk, call)
    }
  }

  private func runLayer(_ layer: Int, _ chunk: Range<Int>, tapeStart: Int, _ call: BackwardCall<Scalar>) {
    let isPlain = memory.recorder == nil && memory.control == nil && memory.lags == nil
    var t = lastStep(of: chunk)
    while t >= chunk.lowerBound {
      let start = isPlain ? startOfEqualSteps(upTo: t, chunk, tapeStart: tapeStart) : t
      let steps = unsafe steps(start...t, layer, chunk, tapeStart: tapeStart, call)
      if isPlain {
        if memory.isBeyondL2 { unsafe askAhead(steps, rows: count(t)) }
        unsafe shape.kernels.table.backwardSteps(steps)
      } else {
        let place = FlowStep(layer: layer, t: t, part: part, first: rows.lowerBound, rows: count(t))
        unsafe runWatched(steps.pointee, place, chunk)
      }
      t = start - 1
    }
  }

  /// While a step's product runs, what the step before will read: ∂L/∂output, and what the forward pass kept of it. The
  /// first step of a sequence asks for what nobody has; an address that is only asked for need not exist.
  private func askAhead(_ steps: UnsafeMutablePointer<BackwardSteps<Scalar>>, rows: Int) {
    if let outputGradient = unsafe steps.pointee.step.outputGradient {
      unsafe steps.pointee.product.wanted = unsafe Stretch(
        outputGradient - steps.pointee.hiddenAdvance, count: rows * shape.units)
    }
    if shape.savedStride > 0 {
      let advance = unsafe steps.pointee.savedAdvance
      unsafe steps.pointee.wantedTooAdvance = advance
      unsafe steps.pointee.product.wantedToo = unsafe Stretch(
        UnsafePointer(steps.pointee.step.saved!) - advance, count: rows * shape.savedStride)
    } else {
      unsafe steps.pointee.wantedTooAdvance = unsafe steps.pointee.hiddenAdvance
      unsafe steps.pointee.product.wantedToo = unsafe Stretch(
        steps.pointee.step.previousHidden!, count: rows * shape.units)
    }
  }

  /// The last step of the chunk that this part has a sequence in: all of them may be shorter than it.
  func lastStep(of chunk: Range<Int>) -> Int {
    var t = chunk.upperBound - 1
    while count(t) == 0 { t -= 1 }
    return t
  }

  /// The first of the steps up to t whose rows, and the rows of the steps before them, lie at equal distances.
  private func startOfEqualSteps(upTo t: Int, _ chunk: Range<Int>, tapeStart: Int) -> Int {
    if schedule.isUniform { return chunk.lowerBound }
    var start = t
    while start > chunk.lowerBound, schedule.count(start - 1) == schedule.count(t),
      schedule.rowsBefore(start - 1, tapeStart: tapeStart) == schedule.count(t)
    { start -= 1 }
    return start
  }

  /// One step, looked at and controlled between its parts. Apart and together, they leave the same bits.
  private func runWatched(_ steps: BackwardSteps<Scalar>, _ place: FlowStep, _ chunk: Range<Int>) {
    let step = unsafe steps.step
    if memory.isWatched {
      // ∂L/∂h_t is whole here.
      unsafe memory.control?.openRatios(step, place, chunk, schedule)
      unsafe watch(step, place)
    } else {
      unsafe run(nil, .backward, step, rows: place.rows)
    }
    // Before clipping, which would make an infinity a number.
    unsafe memory.recorder?.checkBackward(step, place)
    unsafe memory.control?.clip(step, place, stage: 0)
    if let second = unsafe steps.secondProduct {
      unsafe run(second, .operandBackward, step, rows: place.rows)
      unsafe memory.recorder?.checkBackward(step, place)
      unsafe memory.control?.clip(step, place, stage: 1)
    }
    unsafe memory.lags?.record(step, place)
    unsafe run(steps.product, nil, step, rows: 0)
    unsafe memory.control?.closeRatios(step.hiddenGradient!, place, chunk, schedule)
  }

  /// The backward of a step, measured where somebody asked.
  private func watch(_ step: CellStep<Scalar>, _ place: FlowStep) {
    guard let recorder = memory.recorder else {
      return unsafe run(nil, .backward, step, rows: place.rows)
    }
    unsafe recorder.recordBackward(step, place)
    var step = unsafe step
    var action = CellAction.backward
    if shape.otherStates > 0, shape.cell.knowsTotalGradients {
      unsafe (step.totals, step.totalsStride) = unsafe (recorder.totals(place), shape.otherStride)
      action = .backwardWithTotals
    }
    unsafe run(nil, action, step, rows: place.rows)
    recorder.recordTotals(place)
  }

  private func run(
    _ product: ProductOperands<Scalar>?, _ action: CellAction?, _ step: CellStep<Scalar>, rows: Int
  ) {
    unsafe shape.kernels.table.recurrentStep(
      RecurrentCall(
        product: product, mathematics: shape.cell.mathematics, action: action, step: step, rows: rows,
        productScratch: memory.productScratch(part), programScratch: memory.programScratch(part)))
  }

  /// Steps at which the same sequences run, and whose rows lie at equal distances.
  func steps(
    _ steps: ClosedRange<Int>, _ layer: Int, _ chunk: Range<Int>, tapeStart: Int, _ call: BackwardCall<Scalar>
  ) -> UnsafeMutablePointer<BackwardSteps<Scalar>> {
    let (t, units, first) = (steps.upperBound, shape.units, rows.lowerBound)
    let row = schedule.offset(t) - schedule.offset(tapeStart) + first
    let previous = row - schedule.rowsBefore(t, tapeStart: tapeStart)
    let chunkRow = schedule.offset(t) - schedule.offset(chunk.lowerBound) + first
    let result = unsafe memory.placeBackward(
      layer, thread: part, first: first, rows: count(t), chunkRow: chunkRow, unpacked: call.unpacked)
    unsafe result.pointee.count = steps.count
    let advance = schedule.count(t)
    unsafe result.pointee.gatesAdvance = advance * shape.gradientStride
    unsafe (result.pointee.hiddenAdvance, result.pointee.otherAdvance) = (advance * units, advance * shape.otherStride)
    unsafe result.pointee.savedAdvance = advance * shape.savedStride
    unsafe result.pointee.product.descending = memory.readsFromEnd(at: t)
    let (hidden, other) = unsafe (memory.tapeHidden(layer), memory.tapeOther(layer))
    unsafe result.pointee.step.hidden = unsafe hidden + row * units
    unsafe result.pointee.step.other = unsafe other + row * shape.otherStride
    unsafe result.pointee.step.previousHidden = unsafe UnsafePointer(hidden + previous * units)
    unsafe result.pointee.step.previousOther = unsafe UnsafePointer(other + previous * shape.otherStride)
    unsafe result.pointee.step.saved = unsafe memory.tapeSaved(layer) + row * shape.savedStride
    unsafe result.pointee.step.outputGradient = unsafe outputGradient(t, layer, chunkRow: chunkRow, call)
    return unsafe result
  }

  /// ∂L/∂(output of the layer at step t): from the layer above, or from the caller.
  private func outputGradient(
    _ t: Int, _ layer: Int, chunkRow: Int, _ call: BackwardCall<Scalar>
  ) -> UnsafePointer<Scalar>? {
    if layer < shape.layers - 1 {
      return unsafe UnsafePointer(memory.inputGradient + chunkRow * shape.units)
    }
    guard let own = unsafe call.outputGradient else { return nil }
    let base = unsafe schedule.isUniform ? own : UnsafePointer(memory.packedOutputGradient)
    return unsafe base + (schedule.offset(t) + rows.lowerBound) * shape.units
  }

  /// ∂L/∂(input of the layer) ← δ · W: for the layer below, or for the caller.
  private func pullBackInput(_ layer: Int, _ chunk: Range<Int>, _ call: BackwardCall<Scalar>) {
    if unsafe call.pullsBackTogether(layer) { return }
    let isWhole = rows.count == schedule.batch
    let panels = shape.kernels.geometry.panels(shape.inputs(of: layer))
    var t = chunk.lowerBound
    while t < chunk.upperBound {
      let steps = isWhole ? chunk.count : 1
      guard let operands = unsafe inputProduct(layer, t, steps: steps, chunk, call) else { return }
      unsafe multiply(operands, layer, panels: 0..<panels, call)
      t += steps
    }
  }

  /// Of the first layer, some panels for all sequences: this driver's are the whole batch.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func pullBackTogether(_ chunk: Range<Int>, panels: Range<Int>, _ call: BackwardCall<Scalar>) {
    guard let operands = unsafe inputProduct(0, chunk.lowerBound, steps: chunk.count, chunk, call) else { return }
    unsafe multiply(operands, 0, panels: panels, call)
  }

  /// Some panels of δ · W, W packed or where it lies.
  func multiply(_ operands: ProductOperands<Scalar>, _ layer: Int, panels: Range<Int>, _ call: BackwardCall<Scalar>) {
    let scratch = unsafe memory.productScratch(part)
    if let parameters = unsafe call.unpacked ?? (layer == 0 ? call.inputWeights : nil) {
      unsafe shape.multiplyInPlace(
        operands, parameters + shape.offsets[layer].w, rows: 0..<operands.c.rows, panels: panels, scratch: scratch)
    } else {
      unsafe shape.kernels.table.product(operands, rows: 0..<operands.c.rows, panels: panels, scratch: scratch)
    }
  }

  /// The product that pulls δ back to the input of steps from t on: of one step, or where this part is the whole batch, of
  /// several. Nil where nobody wants it.
  func inputProduct(
    _ layer: Int, _ t: Int, steps: Int, _ chunk: Range<Int>, _ call: BackwardCall<Scalar>
  ) -> ProductOperands<Scalar>? {
    var target = unsafe memory.inputGradient
    var targetStart = schedule.offset(chunk.lowerBound)
    if layer == 0 {
      guard let own = unsafe call.inputGradient, memory.embedding == nil else { return nil }
      unsafe target = unsafe schedule.isUniform ? own : memory.packedInputGradient
      targetStart = 0
    }
    let columns = shape.inputs(of: layer)
    let count = steps > 1 ? schedule.offset(t + steps) - schedule.offset(t) : count(t)
    let row = schedule.offset(t) + rows.lowerBound
    let δ =
      unsafe memory.gradients(layer)
      + (row - schedule.offset(chunk.lowerBound)) * shape.gradientStride + shape.inputColumn
    var product = unsafe ProductOperands(
      a: MatrixView(
        UnsafePointer(δ), rows: count, columns: shape.inputColumns, stride: shape.gradientStride),
      weights: memory.backwardW(layer), bias: nil,
      c: MutableMatrixView(target + (row - targetStart) * columns, rows: count, columns: columns), start: .bias)
    unsafe product.chains = shape.chains(shape.plan.inputs.count, columns: columns)
    unsafe product.takesTurns = memory.weightsTakeTurns
    return unsafe product
  }
}

extension StackShape {
  /// A product of δ with W where it lies, whose gates follow each other run by run. From run to run, sums go on.
  func multiplyInPlace(
    _ all: ProductOperands<Scalar>, _ w: UnsafePointer<Scalar>, rows: Range<Int>, panels: Range<Int>,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    let columns = unsafe all.c.columns
    for run in plan.inputRuns {
      let first = (run.position - plan.inputs.lowerBound) * units
      var operands = unsafe all
      unsafe operands.a = MatrixView(
        all.a.base + first, rows: all.a.rows, columns: run.count * units, stride: all.a.stride)
      unsafe (operands.weights, operands.weightsStride) = unsafe (w + run.gate * units * columns, columns)
      if first > 0 { unsafe operands.start = unsafe all.chains > 1 ? .add : .accumulate }
      if unsafe all.chains > 1 { unsafe operands.chains = run.count }
      unsafe kernels.table.product(operands, rows: rows, panels: panels, scratch: scratch)
    }
  }
}
