import RecurrenceKernels

// The backward loop of one sequence, whose units threads share; see `ForwardDriver+Team`. A unit's ∂L/∂h_{t−1} is one sum
// over all δ_t, so that the product's columns and the mathematics that follows split alike.

extension BackwardDriver {
  /// As `run(_:tapeStart:_:)`, of a batch of one sequence that nobody watches.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ chunk: Range<Int>, tapeStart: Int, _ call: BackwardCall<Scalar>, _ phases: inout TeamPhases) {
    if rows.isEmpty || count(chunk.lowerBound) == 0 { return }
    for layer in (0..<shape.layers).reversed() {
      unsafe runLayer(layer, chunk, tapeStart: tapeStart, call, &phases)
      unsafe pullBackInput(layer, chunk, call, &phases)
    }
  }

  private func runLayer(
    _ layer: Int, _ chunk: Range<Int>, tapeStart: Int, _ call: BackwardCall<Scalar>, _ phases: inout TeamPhases
  ) {
    var t = lastStep(of: chunk)
    var product: ProductOperands<Scalar>? = nil
    while t >= chunk.lowerBound {
      let steps = unsafe steps(t...t, layer, chunk, tapeStart: tapeStart, call).pointee
      // The product of the step after, then the backward of this one: of the same units.
      unsafe runUnits(product, .backward, steps.step, &phases)
      if let second = unsafe steps.secondProduct {
        // Apart: the product reads every unit's δ, to which this backward adds.
        unsafe runUnits(second, nil, steps.step, &phases)
        unsafe runUnits(nil, .operandBackward, steps.step, &phases)
      }
      unsafe product = unsafe steps.product
      t -= 1
    }
    let none = unsafe CellStep<Scalar>(units: shape.units, gateColumns: shape.gateColumns, unitColumn: 0)
    unsafe runUnits(product, nil, none, &phases)
  }

  private func runUnits(
    _ product: ProductOperands<Scalar>?, _ action: CellAction?, _ step: CellStep<Scalar>, _ phases: inout TeamPhases
  ) {
    var call = unsafe RecurrentCall(
      product: product, mathematics: shape.cell.mathematics, action: action, step: step, rows: 1,
      productScratch: memory.productScratch(part), programScratch: memory.programScratch(part))
    unsafe phases.run(&call, memory)
  }

  private func pullBackInput(
    _ layer: Int, _ chunk: Range<Int>, _ call: BackwardCall<Scalar>, _ phases: inout TeamPhases
  ) {
    if unsafe call.pullsBackTogether(layer) { return }
    guard let operands = unsafe inputProduct(layer, chunk.lowerBound, steps: chunk.count, chunk, call) else { return }
    let panels = EvenSplit(shape.kernels.geometry.panels(shape.inputs(of: layer)), parts: memory.use.threads)
    phases.run(panels.parts) { block in
      unsafe multiply(operands, layer, panels: panels.range(block), call)
    }
  }
}
