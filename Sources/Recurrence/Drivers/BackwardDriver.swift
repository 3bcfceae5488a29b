import RecurrenceKernels

// The one backward loop through time.
//
//   for each segment of the tape, from the last (run forward again where the tape holds another):
//     for each chunk of steps, from the last:
//       for each layer, from the top:
//         for each step t of the chunk, from the last:
//           δ_t ← the cell's backward                           (in the loop: only what depends on the step)
//           ∂L/∂h_{t−1} += δ_t · U
//         ∂L/∂input ← δ · W                                      one product
//       for each layer: dW, dU, db += δᵀ · input, δᵀ · h_{t−1}, Σ δ      large products over the chunk's rows
//
// Every thread runs the loop through time for its own sequences; the products that sum over sequences split their
// outputs. A chunk, not the whole sequence, because δ of a chunk stays in cache, and memory for δ does not grow with T.
// The sums start from what is there and run in descending t, so chunks, segments and calls do not show in the bits.

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
  /// In and out: ∂L/∂parameters is added; or nil.
  var gradient: UnsafeMutablePointer<Scalar>?
  /// Steps from the first that have a gradient; nil for all.
  var steps: Int? = nil
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
    let stages = shape.plan.planes.stages
    var t = chunk.upperBound - 1
    // Sequences of this part may all be shorter.
    while count(t) == 0 { t -= 1 }
    var product: ProductOperands<Scalar>? = nil
    var after: FlowStep? = nil
    while t >= chunk.lowerBound {
      let step = unsafe step(t, layer, chunk, tapeStart: tapeStart, call)
      let place = FlowStep(layer: layer, t: t, part: part, first: rows.lowerBound, rows: count(t))
      if memory.isWatched {
        // ∂L/∂h_t is whole between the product and the cell's backward. Apart, both leave the same bits.
        unsafe run(product, nil, step, rows: 0)
        if let after { unsafe memory.control?.closeRatios(step.hiddenGradient!, after, chunk, schedule) }
        unsafe memory.control?.openRatios(step, place, chunk, schedule)
        unsafe watch(step, place)
      } else {
        // The product of the step after, then the backward of this one.
        unsafe run(product, .backward, step, rows: count(t))
      }
      // Before clipping, which would make an infinity a number.
      unsafe memory.recorder?.checkBackward(step, place)
      unsafe memory.control?.clip(step, place, stage: 0)
      if stages > 1 {
        let δq = unsafe memory.operandGradient(first: rows.lowerBound)
        let second = unsafe throughU(layer, stage: 1, step, rows: count(t), into: δq, start: .bias)
        unsafe run(second, .operandBackward, step, rows: count(t))
        unsafe memory.recorder?.checkBackward(step, place)
        unsafe memory.control?.clip(step, place, stage: 1)
      }
      unsafe memory.lags?.record(step, place)
      unsafe product = unsafe throughU(
        layer, stage: 0, step, rows: count(t), into: step.hiddenGradient!, start: .accumulate)
      unsafe product!.descending = memory.readsFromEnd(at: t)
      after = place
      t -= 1
    }
    if let product = unsafe product {
      let step = unsafe CellStep<Scalar>(units: shape.units, gateColumns: shape.gateColumns, unitColumn: 0)
      unsafe run(product, nil, step, rows: 0)
      if let after {
        unsafe memory.control?.closeRatios(
          memory.hiddenGradient(layer) + rows.lowerBound * shape.units, after, chunk, schedule)
      }
    }
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

  /// C (+)= δ · U, over the gates of a stage.
  func throughU(
    _ layer: Int, stage: Int, _ step: CellStep<Scalar>, rows: Int, into c: UnsafeMutablePointer<Scalar>,
    start: ProductStart
  ) -> ProductOperands<Scalar> {
    let positions = shape.plan.recurrent[stage]
    return unsafe ProductOperands(
      a: MatrixView(
        UnsafePointer(step.gates! + positions.lowerBound * shape.units), rows: rows,
        columns: positions.count * shape.units, stride: shape.gradientStride),
      weights: memory.backwardU(layer, stage: stage), bias: nil,
      c: MutableMatrixView(c, rows: rows, columns: shape.units), start: start)
  }

  func step(
    _ t: Int, _ layer: Int, _ chunk: Range<Int>, tapeStart: Int, _ call: BackwardCall<Scalar>
  ) -> CellStep<Scalar> {
    let units = shape.units
    let first = rows.lowerBound
    let row = schedule.offset(t) - schedule.offset(tapeStart) + first
    let chunkRow = schedule.offset(t) - schedule.offset(chunk.lowerBound) + first
    var step = unsafe CellStep<Scalar>(
      units: units, gateColumns: shape.gateColumns, unitColumn: shape.gateStride)
    unsafe step.gates = unsafe memory.gradients(layer) + chunkRow * shape.gradientStride
    unsafe step.gateStride = shape.gradientStride
    unsafe step.unitParameters = unsafe weights.unitParameters(layer)
    if t > tapeStart {
      let previous = schedule.offset(t - 1) - schedule.offset(tapeStart) + first
      unsafe step.previousHidden = unsafe UnsafePointer(memory.tapeHidden(layer) + previous * units)
      unsafe step.previousOther = unsafe UnsafePointer(memory.tapeOther(layer) + previous * shape.otherStride)
    } else {
      let segment = memory.tapedSegment
      unsafe step.previousHidden = unsafe UnsafePointer(memory.checkpointHidden(segment, layer) + first * units)
      unsafe step.previousOther = unsafe UnsafePointer(
        memory.checkpointOther(segment, layer) + first * shape.otherStride)
    }
    unsafe (step.previousHiddenStride, step.hiddenStride) = (units, units)
    unsafe (step.previousOtherStride, step.otherStride) = (shape.otherStride, shape.otherStride)
    unsafe step.hidden = unsafe memory.tapeHidden(layer) + row * units
    unsafe step.other = unsafe memory.tapeOther(layer) + row * shape.otherStride
    unsafe step.saved = unsafe memory.tapeSaved(layer) + row * shape.savedStride
    unsafe step.savedStride = shape.savedStride
    if shape.plan.planes.stages > 1 {
      unsafe step.operand = unsafe memory.operands(layer) + chunkRow * units
      unsafe step.operandGradient = unsafe UnsafePointer(memory.operandGradient(first: first))
      unsafe (step.operandStride, step.operandGradientStride) = (units, units)
    }
    unsafe step.hiddenGradient = unsafe memory.hiddenGradient(layer) + first * units
    unsafe step.otherGradient = unsafe memory.otherGradient(layer) + first * shape.otherStride
    unsafe (step.hiddenGradientStride, step.otherGradientStride) = (units, shape.otherStride)
    unsafe step.outputGradientStride = units
    if layer < shape.layers - 1 {
      unsafe step.outputGradient = unsafe UnsafePointer(memory.inputGradient + chunkRow * units)
    } else if let own = unsafe call.outputGradient {
      let base = unsafe schedule.isUniform ? own : UnsafePointer(memory.packedOutputGradient)
      unsafe step.outputGradient = unsafe base + (schedule.offset(t) + first) * units
    }
    return unsafe step
  }

  /// ∂L/∂(input of the layer) ← δ · W: for the layer below, or for the caller.
  private func pullBackInput(_ layer: Int, _ chunk: Range<Int>, _ call: BackwardCall<Scalar>) {
    let isWhole = rows.count == schedule.batch
    let panels = shape.kernels.geometry.panels(shape.inputs(of: layer))
    var t = chunk.lowerBound
    while t < chunk.upperBound {
      let steps = isWhole ? chunk.count : 1
      guard let operands = unsafe inputProduct(layer, t, steps: steps, chunk, call) else { return }
      unsafe shape.kernels.table.product(
        operands, rows: 0..<operands.c.rows, panels: 0..<panels, scratch: memory.productScratch(part))
      t += steps
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
    let inputs = shape.plan.inputs
    let count = steps > 1 ? schedule.offset(t + steps) - schedule.offset(t) : count(t)
    let row = schedule.offset(t) + rows.lowerBound
    let δ =
      unsafe memory.gradients(layer)
      + (row - schedule.offset(chunk.lowerBound)) * shape.gradientStride + inputs.lowerBound * shape.units
    return unsafe ProductOperands(
      a: MatrixView(
        UnsafePointer(δ), rows: count, columns: inputs.count * shape.units, stride: shape.gradientStride),
      weights: memory.backwardW(layer), bias: nil,
      c: MutableMatrixView(target + (row - targetStart) * columns, rows: count, columns: columns), start: .bias)
  }
}
