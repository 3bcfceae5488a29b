import RecurrenceKernels

// The forward loop of one sequence, whose units threads share: each thread runs all of it, and does what it meets
// unclaimed. The bits are those of one thread, for a sum is never split.

extension ForwardDriver {
  /// As `run(_:segments:)`, of a batch of one sequence, or none.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ call: ForwardCall<Scalar>, segments: Range<Int>, _ phases: inout TeamPhases) {
    if rows.isEmpty { return }
    guard let tapeSteps = memory.use.tapeSteps else {
      unsafe runChunks(0..<schedule.steps, tapeStart: nil, call, &phases)
      return
    }
    for segment in segments {
      phases.run(1) { _ in saveCheckpoint(segment) }
      let start = segment * tapeSteps
      unsafe runChunks(start..<min(schedule.steps, start + tapeSteps), tapeStart: start, call, &phases)
    }
  }

  private func runChunks(
    _ steps: Range<Int>, tapeStart: Int?, _ call: ForwardCall<Scalar>, _ phases: inout TeamPhases
  ) {
    var start = steps.lowerBound
    while start < steps.upperBound, count(start) > 0 {
      let end = min(steps.upperBound, start + memory.chunk)
      // A sequence may end before its batch does.
      let chunk = start..<((start..<end).first { count($0) == 0 } ?? end)
      for layer in 0..<shape.layers { unsafe runChunk(chunk, of: steps, layer, tapeStart: tapeStart, call, &phases) }
      phases.run(1) { _ in unsafe handOut(chunk, tapeStart: tapeStart, call) }
      start = end
    }
    phases.run(1) { _ in
      if let output = unsafe call.output { unsafe clearPadding(output, steps) }
    }
  }

  private func runChunk(
    _ chunk: Range<Int>, of pass: Range<Int>, _ layer: Int, tapeStart: Int?, _ call: ForwardCall<Scalar>,
    _ phases: inout TeamPhases
  ) {
    let input = unsafe source(of: layer, chunk, tapeStart: tapeStart, call)
    let output = unsafe destination(of: layer, chunk, tapeStart: tapeStart, call)
    unsafe project(chunk, layer, input, &phases)
    for t in chunk {
      let steps = unsafe steps(t..<(t + 1), layer, chunk, output, tapeStart: tapeStart).pointee
      var call = unsafe RecurrentCall(
        product: steps.product, mathematics: steps.mathematics,
        action: steps.secondProduct == nil ? .forward : .operand, step: steps.step, rows: 1,
        productScratch: steps.productScratch, programScratch: steps.programScratch)
      unsafe phases.run(&call, memory)
      guard let second = unsafe steps.secondProduct else { continue }
      unsafe (call.product, call.action) = unsafe (second, .forward)
      unsafe phases.run(&call, memory)
    }
    phases.run(1) { _ in unsafe keepStates(chunk, of: pass, layer, output, tapeStart: tapeStart) }
  }

  /// Pre-activations of the chunk ← biases + input · Wᵀ, or what its symbols are projected to.
  private func project(_ chunk: Range<Int>, _ layer: Int, _ input: Rows, _ phases: inout TeamPhases) {
    let blocks = memory.use.threads
    if layer == 0, let embedding = memory.embedding {
      let steps = EvenSplit(chunk.count, parts: blocks)
      return phases.run(blocks) { block in
        let some = steps.range(block)
        lookUp((chunk.lowerBound + some.lowerBound)..<(chunk.lowerBound + some.upperBound), chunk, embedding)
      }
    }
    let gates = unsafe gates(chunk.lowerBound, chunk)
    let projection = unsafe memory.projection(
      layer, weights, UnsafePointer(input.pointer(chunk.lowerBound, self)), rows: chunk.count, gates: gates)
    let panels = EvenSplit(shape.kernels.geometry.panels(shape.inputColumns), parts: blocks)
    phases.run(blocks) { block in
      unsafe shape.kernels.table.product(
        projection, rows: 0..<chunk.count, panels: panels.range(block), scratch: memory.productScratch(part))
      if block == 0 { unsafe fillUnreached(gates, rows: chunk.count, layer) }
    }
  }
}
