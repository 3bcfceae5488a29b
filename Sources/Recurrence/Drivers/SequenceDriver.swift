import RecurrenceKernels

// A whole pass: rows brought into the order of the schedule, the loops through time split between threads, and results
// brought back. Subnormal numbers are zero inside, on every thread.

extension SequenceMemory {
  /// A forward pass over buffers that were checked.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ buffers: ForwardBuffers<Scalar>, _ weights: PackedStack<Scalar>) {
    if let lengths = unsafe buffers.lengths {
      unsafe schedule.set(steps: buffers.steps, lengths: lengths)
    } else {
      unsafe schedule.set(steps: buffers.steps, batch: buffers.batch)
    }
    unsafe loadStates(buffers.initialStates?.baseAddress)
    if let input = unsafe buffers.input.baseAddress {
      if let embedding, let symbols = unsafe buffers.symbols {
        unsafe embedding.begin(symbols, of: input, weights, self)
      }
      unsafe forward(weights, ForwardCall(input: input, output: buffers.outputs?.baseAddress))
    }
    tapedSegment = segments - 1
    unsafe storeStates(buffers.finalStates?.baseAddress)
  }

  /// A backward pass over buffers that were checked.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ buffers: BackwardBuffers<Scalar>, _ weights: PackedStack<Scalar>, _ parameters: Parameters<Scalar>) {
    unsafe parameters.values.withUnsafeBufferPointer {
      unsafe run(buffers, weights, parameters: $0.baseAddress!)
    }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(
    _ buffers: BackwardBuffers<Scalar>, _ weights: PackedStack<Scalar>, parameters: UnsafePointer<Scalar>
  ) {
    unsafe loadStateGradients(buffers.finalStateGradients?.baseAddress)
    if let input = unsafe buffers.input.baseAddress, let gradient = unsafe buffers.parameterGradients.baseAddress {
      unsafe backward(
        weights, parameters: parameters,
        BackwardCall(
          input: input, outputGradient: buffers.outputGradients?.baseAddress,
          inputGradient: buffers.inputGradients?.baseAddress, gradient: gradient, accumulates: buffers.accumulates))
    } else if unsafe !buffers.accumulates {
      unsafe buffers.parameterGradients.update(repeating: 0)
    }
    unsafe storeStateGradients(buffers.initialStateGradients?.baseAddress)
  }

  /// Runs a forward pass from the states in `hidden` and `other`, in the order of the schedule.
  func forward(_ weights: PackedStack<Scalar>, _ call: ForwardCall<Scalar>) {
    prepare(weights)
    // Where sequences end, the rows of a step lie elsewhere on the tape in every segment: threads then go from segment
    // to segment together, lest one writes where another has been.
    if let recorder {
      recorder.reset(.forward)
      unsafe recorder.recordInitialStates(hidden, other, batch: schedule.batch)
    }
    let stride = schedule.isUniform ? max(1, segments) : 1
    var first = 0
    repeat {
      let some = first..<min(segments, first + stride)
      let packsInput = some.lowerBound == 0 && !schedule.isUniform && embedding == nil
      if splitsUnits, isLong, tangent == nil, recorder == nil {
        if packsInput { unsafe pack(call.input, into: packedInput, width: shape.inputs, 0..<schedule.batch) }
        inTeam(use.threads) { [self] thread, phases in
          unsafe ForwardDriver(memory: self, weights: weights, part: thread, rows: 0..<schedule.batch)
            .run(call, segments: some, &phases)
        }
      } else {
        inParts { [self] part, rows in
          if packsInput { unsafe pack(call.input, into: packedInput, width: shape.inputs, rows) }
          unsafe ForwardDriver(memory: self, weights: weights, part: part, rows: rows).run(call, segments: some)
        }
      }
      first = some.upperBound
    } while first < segments
  }

  /// Runs a backward pass. `hiddenGradient` and `otherGradient` hold ∂L/∂(final states), and then ∂L/∂(initial states),
  /// in the order of the schedule.
  func backward(_ weights: PackedStack<Scalar>, parameters: UnsafePointer<Scalar>, _ call: BackwardCall<Scalar>) {
    prepare(weights)
    recorder?.reset(.backward)
    control?.begin(rows: schedule.offset(schedule.steps))
    embedding?.clearGradients()
    if !schedule.isUniform, let given = unsafe call.outputGradient {
      nonisolated(unsafe) let gradient = unsafe given
      inParts { [self] _, rows in
        unsafe pack(gradient, into: packedOutputGradient, width: shape.units, rows)
      }
    }
    if let gradient = unsafe call.gradient, unsafe !call.accumulates { unsafe clear(gradient, call) }
    let pullsBackTogether = unsafe readsInputWeightsInPlace && call.inputGradient != nil && embedding == nil
    let call =
      unsafe readsWeightsInPlace
      ? call.reading(parameters) : pullsBackTogether ? call.readingInputWeights(parameters) : call
    let tapeSteps = use.tapeSteps!
    for segment in (0..<segments).reversed() {
      let start = segment * tapeSteps
      let steps = start..<min(schedule.steps, start + tapeSteps)
      if tapedSegment != segment {
        inParts { [self] part, rows in
          let driver = ForwardDriver(memory: self, weights: weights, part: part, rows: rows)
          driver.restoreCheckpoint(segment)
          unsafe driver.runSegment(steps, ForwardCall(input: call.input, output: nil))
        }
        tapedSegment = segment
      }
      let isFirst = segment == segments - 1
      unsafe backward(steps, weights, isFirst && call.unpacked == nil ? parameters : nil, call)
    }
    // Of all sequences: also of those without a step, which no driver meets.
    unsafe recorder?.recordInitialGradients(hiddenGradient, otherGradient, batch: schedule.batch)
    guard let given = unsafe call.inputGradient else { return }
    if let embedding {
      unsafe embedding.addVectorGradients(to: given, parameters: parameters, self)
    } else if !schedule.isUniform {
      nonisolated(unsafe) let gradient = unsafe given
      inParts { [self] _, rows in
        unsafe unpack(packedInputGradient, into: gradient, width: shape.inputs, rows)
      }
    }
  }

  /// Steps of one segment, chunk by chunk. Threads start once, and go from one phase to the next together.
  ///
  /// - Parameter parameters: what is to be packed before the first chunk of a pass; nil where nothing is.
  private func backward(
    _ steps: Range<Int>, _ weights: PackedStack<Scalar>, _ parameters: UnsafePointer<Scalar>?,
    _ call: BackwardCall<Scalar>
  ) {
    nonisolated(unsafe) let parameters = unsafe parameters
    let lastEnd = unsafe end(call)
    let steps = steps.lowerBound..<max(steps.lowerBound, min(steps.upperBound, lastEnd))
    let sharesUnits = splitsUnits && isLong && !isWatched && control == nil && lags == nil
    let parts = parts
    let wantsGradient = unsafe call.gradient != nil
    let threads = sharesUnits ? use.threads : max(parts, wantsGradient ? gradientParts(of: steps) : 1)
    inTeam(threads) { [self] thread, phases in
      if let parameters = unsafe parameters { unsafe packBackwardWeights(parameters, &phases) }
      var end = steps.upperBound
      while end > steps.lowerBound {
        let chunk = max(steps.lowerBound, end - gradientChunk)..<end
        end = chunk.lowerBound
        if sharesUnits {
          unsafe BackwardDriver(memory: self, weights: weights, part: thread, rows: 0..<schedule.batch)
            .run(chunk, tapeStart: steps.lowerBound, call, &phases)
        } else {
          phases.run(parts) { part in
            unsafe BackwardDriver(memory: self, weights: weights, part: part, rows: rows(ofPart: part, of: parts))
              .run(chunk, tapeStart: steps.lowerBound, call)
          }
        }
        if unsafe call.pullsBackTogether(0) {
          let panels = EvenSplit(shape.kernels.geometry.panels(shape.inputs), parts: threads)
          phases.run(panels.parts) { block in
            unsafe BackwardDriver(memory: self, weights: weights, part: block, rows: 0..<schedule.batch)
              .pullBackTogether(chunk, panels: panels.range(block), call)
          }
        }
        if !wantsGradient { continue }
        let blocks = min(threads, gradientParts(of: chunk))
        phases.run(blocks) { block in
          let replaces = unsafe !call.accumulates && chunk.upperBound == lastEnd
          unsafe WeightGradients(memory: self, part: block, parts: blocks, start: replaces ? .bias : .accumulate)
            .run(chunk, tapeStart: steps.lowerBound, call)
        }
      }
    }
  }

  /// The step after the last that has a gradient.
  private func end(_ call: BackwardCall<Scalar>) -> Int { unsafe min(schedule.steps, call.steps ?? schedule.steps) }

  /// Sets to zero what the pass only adds to. Gradients of W and U that are taken together start at zero of themselves.
  private func clear(_ gradient: UnsafeMutablePointer<Scalar>, _ call: BackwardCall<Scalar>) {
    let hasRows = unsafe end(call) > 0 && schedule.batch > 0
    for layer in 0..<shape.layers {
      let offsets = shape.offsets[layer]
      let start = hasRows && takesWeightsTogether(layer) ? offsets.b : offsets.w
      let end = layer + 1 < shape.layers ? shape.offsets[layer + 1].w : shape.layout.count
      unsafe (gradient + start).update(repeating: 0, count: end - start)
    }
  }

  /// Whether dW and dU are taken together: rows of δ, x and h_{t−1} correspond where no sequence ends before its batch.
  func takesWeightsTogether(_ layer: Int) -> Bool {
    schedule.isUniform && control?.regularizes != true && !(layer == 0 && embedding != nil)
  }

  /// Whether W and U are read where they lie on the way back: a pass of one row reads each weight once.
  private var readsWeightsInPlace: Bool {
    schedule.steps == 1 && schedule.batch == 1 && shape.canReadInPlace && embedding == nil
  }

  /// Threads that the gradients of weights over some steps are split between.
  private func gradientParts(of steps: Range<Int>) -> Int {
    let rows = schedule.offset(steps.upperBound) - schedule.offset(steps.lowerBound)
    return shape.work * Double(rows) < smallestSplit ? 1 : use.threads
  }

  /// W and U in the order that the way back reads them. Done for every pass that does not read them where they lie: parameters
  /// may have changed since.
  private func packBackwardWeights(_ parameters: UnsafePointer<Scalar>, _ phases: inout TeamPhases) {
    phases.run(2) { block in
      if block == 0 { unsafe packBackwardW(parameters) } else { unsafe packBackwardU(parameters) }
    }
  }

  private func packBackwardW(_ parameters: UnsafePointer<Scalar>) {
    for layer in 0..<shape.layers where layer > 0 || !readsInputWeightsInPlace {
      unsafe pack(
        parameters + shape.offsets[layer].w, shape.plan.inputRuns, shape.plan.inputs,
        columns: shape.inputs(of: layer), into: backwardW(layer))
    }
  }

  private func packBackwardU(_ parameters: UnsafePointer<Scalar>) {
    for layer in 0..<shape.layers {
      for (stage, positions) in shape.plan.recurrent.enumerated() {
        unsafe pack(
          parameters + shape.offsets[layer].u, shape.plan.recurrentRuns[stage], positions, columns: shape.units,
          into: backwardU(layer, stage: stage))
      }
    }
  }

  /// The rows of `weights` that belong to the gates at `positions`, in this order, run by run.
  private func pack(
    _ weights: UnsafePointer<Scalar>, _ runs: [CellPlan.Run], _ positions: Range<Int>, columns: Int,
    into packed: UnsafeMutablePointer<Scalar>
  ) {
    let units = shape.units
    for run in runs {
      unsafe shape.kernels.table.packColumns(
        MatrixView(weights + run.gate * units * columns, rows: run.count * units, columns: columns),
        from: (run.position - positions.lowerBound) * units, of: positions.count * units, into: packed)
    }
  }

  // MARK: Threads

  /// Whether a pass is long enough to be split between threads.
  private var isLong: Bool { shape.work * Double(schedule.offset(schedule.steps)) >= smallestSplit }

  /// Parts that the batch is split into.
  private var parts: Int { isLong ? max(1, min(use.threads, schedule.batch)) : 1 }

  /// Calls `body(thread, phases)` on threads that meet in phases.
  private func inTeam(_ threads: Int, _ body: @Sendable (Int, inout TeamPhases) -> Void) {
    team.begin()
    concurrentParts(threads) { [self] thread in
      flushingSubnormals {
        var phases = TeamPhases(team: threads > 1 ? team : nil)
        body(thread, &phases)
      }
    }
  }

  /// Calls `body(part, sequences)` for each thread's sequences.
  private func inParts(_ body: @Sendable (Int, Range<Int>) -> Void) {
    let parts = parts
    concurrentParts(parts) { [self] part in
      flushingSubnormals { body(part, rows(ofPart: part, of: parts)) }
    }
  }

  /// The sequences of one thread.
  private func rows(ofPart part: Int, of parts: Int) -> Range<Int> {
    if parts == 1 { return 0..<schedule.batch }
    let start = schedule.start(ofPart: part, of: parts)
    return start..<max(start, schedule.start(ofPart: part + 1, of: parts))
  }

  // MARK: Rows

  /// Copies rows of a [T, B, width] matrix to the packed order.
  private func pack(
    _ source: UnsafePointer<Scalar>, into target: UnsafeMutablePointer<Scalar>, width: Int, _ rows: Range<Int>
  ) {
    for j in rows {
      for t in 0..<schedule.length(j) {
        unsafe (target + (schedule.offset(t) + j) * width)
          .update(from: source + (t * schedule.batch + schedule.row(j)) * width, count: width)
      }
    }
  }

  /// Copies packed rows back; rows of padded steps become zero.
  private func unpack(
    _ source: UnsafePointer<Scalar>, into target: UnsafeMutablePointer<Scalar>, width: Int, _ rows: Range<Int>
  ) {
    for j in rows {
      for t in 0..<schedule.steps {
        let row = unsafe target + (t * schedule.batch + schedule.row(j)) * width
        if t < schedule.length(j) {
          unsafe row.update(from: source + (schedule.offset(t) + j) * width, count: width)
        } else {
          unsafe row.update(repeating: 0, count: width)
        }
      }
    }
  }

  /// Copies one state of the caller, [L, B, H], or zero where there is none, to its plane, in the order of the schedule.
  ///
  /// - Parameters:
  ///   - hidden, other: of the first layer; those of the others follow.
  func load(
    _ source: UnsafePointer<Scalar>?, plane: Int, into hidden: UnsafeMutablePointer<Scalar>,
    _ other: UnsafeMutablePointer<Scalar>
  ) {
    let units = shape.units
    for layer in 0..<shape.layers {
      for j in 0..<schedule.batch {
        let target = unsafe state(plane, layer, j, hidden, other)
        if let source = unsafe source {
          unsafe target.update(from: source + (layer * schedule.batch + schedule.row(j)) * units, count: units)
        } else {
          unsafe target.update(repeating: 0, count: units)
        }
      }
    }
  }

  /// The inverse of `load`.
  func store(
    _ target: UnsafeMutablePointer<Scalar>, plane: Int, from hidden: UnsafeMutablePointer<Scalar>,
    _ other: UnsafeMutablePointer<Scalar>
  ) {
    let units = shape.units
    for layer in 0..<shape.layers {
      for j in 0..<schedule.batch {
        unsafe (target + (layer * schedule.batch + schedule.row(j)) * units)
          .update(from: state(plane, layer, j, hidden, other), count: units)
      }
    }
  }

  /// A row of a state's plane.
  private func state(
    _ plane: Int, _ layer: Int, _ j: Int, _ hidden: UnsafeMutablePointer<Scalar>, _ other: UnsafeMutablePointer<Scalar>
  ) -> UnsafeMutablePointer<Scalar> {
    let row = layer * use.batch + j
    if plane == 0 { return unsafe hidden + row * shape.units }
    return unsafe other + row * shape.otherStride + (plane - 1) * shape.units
  }
}
