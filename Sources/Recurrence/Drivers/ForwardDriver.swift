import RecurrenceKernels

// The one forward loop through time.
//
//   for each segment of the tape (without a tape: for the whole sequence):
//     for each chunk of steps:
//       for each layer:
//         pre-activations of the chunk ← bias + input · Wᵀ                    one product, or one for each step
//         for each step t of the chunk:                                       (one call, the product before it included)
//           pre-activations of t += h_{t−1} · Uᵀ, then the cell's step
//
// Every thread runs all of it for its own sequences.

/// What the caller of a forward pass hands over. Time-major, rows as the caller counts them.
///
/// Threads share it: each writes to the rows of its own sequences.
@unsafe struct ForwardCall<Scalar: RecurrenceScalar>: @unchecked Sendable {
  /// In, [T, B, I]; not read where the memory projects an embedding.
  var input: UnsafePointer<Scalar>
  /// Out, [T, B, H], or nil.
  var output: UnsafeMutablePointer<Scalar>?
}

/// One thread's part of a forward pass: the sequences `rows`, in the order of the schedule.
struct ForwardDriver<Scalar: RecurrenceScalar> {
  let memory: SequenceMemory<Scalar>
  let weights: PackedStack<Scalar>
  let part: Int
  let rows: Range<Int>

  var shape: StackShape<Scalar> { memory.shape }
  var schedule: RowSchedule { memory.schedule }

  /// Sequences of this part that run at step t.
  func count(_ t: Int) -> Int { max(0, min(rows.upperBound, schedule.count(t)) - rows.lowerBound) }

  /// Runs some segments of the tape, or without a tape, all steps. The states in `memory` are those before the first
  /// step, then those after each sequence's last.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ call: ForwardCall<Scalar>, segments: Range<Int>) {
    if rows.isEmpty { return }
    let steps = schedule.steps
    guard let tapeSteps = memory.use.tapeSteps else {
      unsafe runChunks(0..<steps, tapeStart: nil, call)
      return
    }
    for segment in segments {
      saveCheckpoint(segment)
      let start = segment * tapeSteps
      unsafe runSegment(start..<min(steps, start + tapeSteps), call)
    }
  }

  /// Runs the steps of one segment, from the states in `memory`, onto the tape.
  func runSegment(_ steps: Range<Int>, _ call: ForwardCall<Scalar>) {
    unsafe runChunks(steps, tapeStart: steps.lowerBound, call)
  }

  private func runChunks(_ steps: Range<Int>, tapeStart: Int?, _ call: ForwardCall<Scalar>) {
    var start = steps.lowerBound
    while start < steps.upperBound, count(start) > 0 {
      let chunk = start..<min(steps.upperBound, start + memory.chunk)
      for layer in 0..<shape.layers { unsafe runChunk(chunk, of: steps, layer, tapeStart: tapeStart, call) }
      unsafe handOut(chunk, tapeStart: tapeStart, call)
      start = chunk.upperBound
    }
    if let output = unsafe call.output { unsafe clearPadding(output, steps) }
  }

  // MARK: One chunk of one layer

  private func runChunk(
    _ chunk: Range<Int>, of pass: Range<Int>, _ layer: Int, tapeStart: Int?, _ call: ForwardCall<Scalar>
  ) {
    let input = unsafe source(of: layer, chunk, tapeStart: tapeStart, call)
    let output = unsafe destination(of: layer, chunk, tapeStart: tapeStart, call)
    if memory.tangent != nil || memory.recorder != nil {
      unsafe runWatched(chunk, layer, input, output, tapeStart: tapeStart)
    } else {
      unsafe runSteps(chunk, layer, input, output, tapeStart: tapeStart)
    }
    unsafe keepStates(chunk, of: pass, layer, output, tapeStart: tapeStart)
  }

  /// As many steps at a time as the kernels can go by themselves.
  private func runSteps(_ chunk: Range<Int>, _ layer: Int, _ input: Rows, _ output: Rows, tapeStart: Int?) {
    if isWhole(chunk), !(layer == 0 && memory.embedding != nil) {
      // The projection is one product, with which the call begins.
      let t = chunk.lowerBound
      let steps = unsafe steps(chunk, layer, chunk, output, tapeStart: tapeStart)
      unsafe memory.placeProjection(steps, UnsafePointer(input.pointer(t, self)), rows: count(t) * chunk.count)
      if memory.isBeyondL2 {
        // While a step's product runs, the rows that the step will write, and as many of the next chunk's input.
        if layer == 0, chunk.upperBound < schedule.steps {
          unsafe steps.pointee.product.wanted = unsafe Stretch(
            UnsafePointer(input.pointer(chunk.upperBound, self)), count: count(t) * shape.inputs)
        }
        unsafe steps.pointee.product.wantedToo = unsafe Stretch(
          UnsafePointer(output.pointer(t, self)), count: count(t) * shape.units)
      }
      return unsafe shape.kernels.table.recurrentSteps(steps)
    }
    unsafe project(chunk, layer, input)
    var t = chunk.lowerBound
    while t < chunk.upperBound, count(t) > 0 {
      let end = endOfEqualSteps(from: t, chunk)
      unsafe shape.kernels.table.recurrentSteps(steps(t..<end, layer, chunk, output, tapeStart: tapeStart))
      t = end
    }
  }

  /// Step by step, each looked at or differentiated.
  private func runWatched(_ chunk: Range<Int>, _ layer: Int, _ input: Rows, _ output: Rows, tapeStart: Int?) {
    unsafe project(chunk, layer, input)
    let tangents = memory.tangent.map {
      TangentDriver(tangents: $0, memory: memory, weights: weights, part: part, rows: rows, layer: layer, chunk: chunk)
    }
    unsafe tangents?.project(input.base)
    for t in chunk where count(t) > 0 {
      let steps = unsafe steps(t..<(t + 1), layer, chunk, output, tapeStart: tapeStart)
      unsafe run(steps.pointee, t, tangents)
      if let recorder = memory.recorder {
        unsafe recorder.recordForward(
          steps.pointee.step, FlowStep(layer: layer, t: t, part: part, first: rows.lowerBound, rows: count(t)),
          input: layer == 0 ? givenInput(t, input) : nil)
      }
    }
    tangents?.keepStates()
  }

  /// Whether this part is the whole batch and no sequence ends in the chunk: rows of its steps follow each other then, and
  /// all steps run the same sequences.
  private func isWhole(_ chunk: Range<Int>) -> Bool {
    rows.count == schedule.batch && count(chunk.upperBound - 1) == rows.count
  }

  /// Rows of a chunk: the row of step t and this part's first sequence, and the step's base.
  @unsafe struct Rows {
    var base: UnsafeMutablePointer<Scalar>
    /// Whether rows lie as in the schedule, from step `start` on; otherwise every step has this part's rows.
    var packedFrom: Int?
    var start: Int
    var stride: Int

    /// Whether the rows of a chunk do not give way to those of the next one.
    var staysInPlace: Bool { unsafe packedFrom != nil }

    func pointer(_ t: Int, _ driver: ForwardDriver) -> UnsafeMutablePointer<Scalar> {
      if let from = unsafe packedFrom {
        let row = driver.schedule.offset(t) - driver.schedule.offset(from) + driver.rows.lowerBound
        return unsafe base + row * stride
      }
      return unsafe base + (t - start) * driver.rows.count * stride
    }
  }

  func source(
    of layer: Int, _ chunk: Range<Int>, tapeStart: Int?, _ call: ForwardCall<Scalar>
  ) -> Rows {
    if layer > 0 { return unsafe destination(of: layer - 1, chunk, tapeStart: tapeStart, call) }
    let base = unsafe schedule.isUniform ? UnsafeMutablePointer(mutating: call.input) : memory.packedInput
    return unsafe Rows(base: base, packedFrom: 0, start: 0, stride: shape.inputs)
  }

  func destination(
    of layer: Int, _ chunk: Range<Int>, tapeStart: Int?, _ call: ForwardCall<Scalar>
  ) -> Rows {
    if let tapeStart {
      return unsafe Rows(base: memory.tapeHidden(layer), packedFrom: tapeStart, start: 0, stride: shape.units)
    }
    if layer == shape.layers - 1, schedule.isUniform, let output = unsafe call.output {
      return unsafe Rows(base: output, packedFrom: 0, start: 0, stride: shape.units)
    }
    return unsafe Rows(
      base: memory.outputs(layer, first: rows.lowerBound), packedFrom: nil, start: chunk.lowerBound,
      stride: shape.units)
  }

  func gates(_ t: Int, _ chunk: Range<Int>) -> UnsafeMutablePointer<Scalar> {
    unsafe memory.gates(first: rows.lowerBound) + (t - chunk.lowerBound) * rows.count * shape.gateStride
  }

  /// Pre-activations of the chunk ← biases + input · Wᵀ.
  private func project(_ chunk: Range<Int>, _ layer: Int, _ input: Rows) {
    if layer == 0, let embedding = memory.embedding { return lookUp(chunk, chunk, embedding) }
    let isWhole = isWhole(chunk)
    var t = chunk.lowerBound
    while t < chunk.upperBound {
      // One product for all steps, or one for each.
      let steps = isWhole ? chunk.count : 1
      let count = count(t) * steps
      if count == 0 { break }
      let gates = unsafe gates(t, chunk)
      unsafe fillUnreached(gates, rows: count, layer)
      let operands = unsafe memory.projection(
        layer, weights, UnsafePointer(input.pointer(t, self)), rows: count, gates: gates)
      unsafe shape.kernels.table.product(
        operands, rows: 0..<count, panels: 0..<shape.kernels.geometry.panels(shape.inputColumns),
        scratch: memory.productScratch(part))
      t += steps
    }
  }

  /// Pre-activations of some steps of a chunk ← what their symbols are projected to.
  func lookUp(_ steps: Range<Int>, _ chunk: Range<Int>, _ embedding: ProjectedEmbedding<Scalar>) {
    let first = shape.inputColumn
    for t in steps {
      let count = count(t)
      let gates = unsafe gates(t, chunk)
      unsafe fillUnreached(gates, rows: count, 0)
      let numbers = unsafe embedding.rows(from: schedule.offset(t) + rows.lowerBound)
      for r in 0..<count {
        unsafe (gates + (r * shape.gateStride + first))
          .update(from: embedding.projected + Int(numbers[r]) * embedding.columns, count: embedding.columns)
      }
    }
  }

  /// What a step of the first layer was given.
  private func givenInput(_ t: Int, _ input: Rows) -> InputRows<Scalar> {
    guard let embedding = memory.embedding else {
      return unsafe InputRows(base: UnsafePointer(input.pointer(t, self)), width: shape.inputs)
    }
    return unsafe InputRows(
      base: UnsafePointer(embedding.vectors), width: shape.inputs,
      numbers: embedding.rows(from: schedule.offset(t) + rows.lowerBound))
  }

  /// Pre-activations that the input does not reach ← their biases.
  func fillUnreached(_ gates: UnsafeMutablePointer<Scalar>, rows: Int, _ layer: Int) {
    let plan = shape.plan
    for place in 0..<plan.planes.gates where !plan.inputs.contains(place) {
      let bias = unsafe weights.bias(layer) + place * shape.units
      for r in 0..<rows {
        unsafe (gates + r * shape.gateStride + place * shape.units).update(from: bias, count: shape.units)
      }
    }
  }

  // MARK: Steps

  /// The first step after t at which other sequences run: up to there, rows of a step follow those of the step before.
  private func endOfEqualSteps(from t: Int, _ chunk: Range<Int>) -> Int {
    if schedule.isUniform { return chunk.upperBound }
    var end = t + 1
    while end < chunk.upperBound, schedule.count(end) == schedule.count(t) { end += 1 }
    return end
  }

  /// Steps at which the same sequences run.
  func steps(
    _ steps: Range<Int>, _ layer: Int, _ chunk: Range<Int>, _ output: Rows, tapeStart: Int?
  ) -> UnsafeMutablePointer<RecurrentSteps<Scalar>> {
    let t = steps.lowerBound
    let first = rows.lowerBound
    // Rows of the chunk before are still there, or the states after it were kept.
    let isLinked = unsafe t > (output.staysInPlace ? tapeStart ?? 0 : chunk.lowerBound)
    let result = unsafe memory.placeForward(
      layer, thread: part, first: first, rows: count(t), gates: gates(t, chunk),
      previousHidden: isLinked ? UnsafePointer(output.pointer(t - 1, self)) : nil,
      hidden: output.pointer(t, self))
    unsafe result.pointee.count = steps.count
    unsafe result.pointee.product.descending = memory.readsFromEnd(at: t)
    unsafe result.pointee.gatesAdvance = rows.count * shape.gateStride
    unsafe result.pointee.hiddenAdvance =
      unsafe steps.count > 1 ? output.pointer(t + 1, self) - output.pointer(t, self) : 0
    guard let tapeStart else { return unsafe result }
    let row = schedule.offset(t) - schedule.offset(tapeStart) + first
    let advance = schedule.count(t)
    unsafe result.pointee.step.saved = unsafe memory.tapeSaved(layer) + row * shape.savedStride
    unsafe result.pointee.savedAdvance = advance * shape.savedStride
    unsafe result.pointee.step.other = unsafe memory.tapeOther(layer) + row * shape.otherStride
    unsafe result.pointee.otherAdvance = advance * shape.otherStride
    if isLinked {
      let previous = schedule.offset(t - 1) - schedule.offset(tapeStart) + first
      unsafe result.pointee.step.previousOther = unsafe UnsafePointer(
        memory.tapeOther(layer) + previous * shape.otherStride)
    }
    return unsafe result
  }

  /// One step, which leaves its pre-activations, and its tangents between each product and the mathematics, which may
  /// overwrite the states before the step.
  private func run(_ steps: RecurrentSteps<Scalar>, _ t: Int, _ tangents: TangentDriver<Scalar>?) {
    let stages = shape.stages
    for stage in 0..<stages {
      var call = unsafe RecurrentCall(
        product: stage == 0 ? steps.product : steps.secondProduct, mathematics: steps.mathematics,
        action: nil, step: steps.step, rows: steps.rows, productScratch: steps.productScratch,
        programScratch: steps.programScratch)
      unsafe shape.kernels.table.recurrentStep(call)
      unsafe tangents?.step(t, stage: stage, steps.step)
      unsafe call.product = nil
      unsafe call.action = stage == stages - 1 ? .forward : .operand
      unsafe shape.kernels.table.recurrentStep(call)
    }
  }

  // MARK: States

  /// After a chunk: the states of every sequence after its last step so far, unless the next chunk finds them in the rows
  /// of this one. Without a tape, other states than h were computed where they are kept.
  func keepStates(_ chunk: Range<Int>, of pass: Range<Int>, _ layer: Int, _ output: Rows, tapeStart: Int?) {
    for j in rows where schedule.length(j) > chunk.lowerBound {
      let end = min(chunk.upperBound, schedule.length(j))
      if unsafe output.staysInPlace, end < min(pass.upperBound, schedule.length(j)) { continue }
      let last = end - 1
      let row = j - rows.lowerBound
      unsafe (memory.hidden(layer) + j * shape.units)
        .update(from: output.pointer(last, self) + row * shape.units, count: shape.units)
      if let tapeStart {
        let tapeRow = schedule.offset(last) - schedule.offset(tapeStart) + j
        unsafe (memory.other(layer) + j * shape.otherStride)
          .update(from: memory.tapeOther(layer) + tapeRow * shape.otherStride, count: shape.otherStride)
      }
    }
  }

  private func copyRows(_ from: UnsafeMutablePointer<Scalar>, to: UnsafeMutablePointer<Scalar>, width: Int) {
    unsafe (to + rows.lowerBound * width).update(from: from + rows.lowerBound * width, count: rows.count * width)
  }

  func saveCheckpoint(_ segment: Int) {
    for layer in 0..<shape.layers {
      beginTape(layer)
      // Of one segment alone, nobody comes back to its start.
      if memory.segments == 1 { continue }
      unsafe copyRows(memory.hidden(layer), to: memory.checkpointHidden(segment, layer), width: shape.units)
      unsafe copyRows(memory.other(layer), to: memory.checkpointOther(segment, layer), width: shape.otherStride)
    }
  }

  func restoreCheckpoint(_ segment: Int) {
    for layer in 0..<shape.layers {
      unsafe copyRows(memory.checkpointHidden(segment, layer), to: memory.hidden(layer), width: shape.units)
      unsafe copyRows(memory.checkpointOther(segment, layer), to: memory.other(layer), width: shape.otherStride)
      beginTape(layer)
    }
  }

  /// The states before the tape's first step go before those that follow, so that h_{t−1} of all steps is one matrix.
  private func beginTape(_ layer: Int) {
    unsafe copyRows(
      memory.hidden(layer), to: memory.tapeHidden(layer) - schedule.batch * shape.units, width: shape.units)
    unsafe copyRows(
      memory.other(layer), to: memory.tapeOther(layer) - schedule.batch * shape.otherStride, width: shape.otherStride)
  }

  // MARK: Outputs

  /// Copies the top layer's outputs to the caller's rows, unless they were written there.
  func handOut(_ chunk: Range<Int>, tapeStart: Int?, _ call: ForwardCall<Scalar>) {
    guard let output = unsafe call.output else { return }
    let rowsOfTop = unsafe destination(of: shape.layers - 1, chunk, tapeStart: tapeStart, call)
    if unsafe rowsOfTop.base == output { return }
    for t in chunk {
      let from = unsafe rowsOfTop.pointer(t, self)
      for r in 0..<count(t) {
        let row = t * schedule.batch + schedule.row(rows.lowerBound + r)
        unsafe (output + row * shape.units).update(from: from + r * shape.units, count: shape.units)
      }
    }
  }

  /// Outputs of padded steps are zero.
  func clearPadding(_ output: UnsafeMutablePointer<Scalar>, _ steps: Range<Int>) {
    if schedule.isUniform { return }
    for j in rows {
      var t = max(steps.lowerBound, schedule.length(j))
      while t < steps.upperBound {
        let row = t * schedule.batch + schedule.row(j)
        unsafe (output + row * shape.units).update(repeating: 0, count: shape.units)
        t += 1
      }
    }
  }
}
