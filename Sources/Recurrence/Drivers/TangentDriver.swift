import RecurrenceKernels

// The derivative of a forward pass in one direction (x′, θ′, s′₀), carried along by the one forward loop:
//
//   a′_t = b′ + x_t · W′ᵀ + x′_t · Wᵀ                                     for a chunk of steps
//   a′_t += h_{t−1} · U′ᵀ + h′_{t−1} · Uᵀ,  s′_t from the cell's equations on dual numbers

/// One thread's tangents of one chunk of one layer. Sequences all have the same length.
struct TangentDriver<Scalar: RecurrenceScalar> {
  let tangents: TangentMemory<Scalar>
  let memory: SequenceMemory<Scalar>
  let weights: PackedStack<Scalar>
  let part: Int
  let rows: Range<Int>
  let layer: Int
  let chunk: Range<Int>

  private var shape: StackShape<Scalar> { memory.shape }
  private var plan: CellPlan { shape.plan }

  private func gates(_ t: Int) -> UnsafeMutablePointer<Scalar> {
    unsafe tangents.gates(first: rows.lowerBound) + (t - chunk.lowerBound) * rows.count * shape.gateStride
  }

  private func hidden(_ t: Int) -> UnsafeMutablePointer<Scalar> {
    let step = (t - chunk.lowerBound) * rows.count * shape.units
    return unsafe tangents.outputs(layer, first: rows.lowerBound) + step
  }

  // MARK: The input's part

  /// a′ of the chunk, as far as it comes from the input, W and b.
  ///
  /// - Parameter source: where the layer's inputs of all steps (layer 0), or of the chunk, begin.
  func project(_ source: UnsafeMutablePointer<Scalar>) {
    let columns = shape.inputs(of: layer)
    for t in chunk {
      let row = unsafe gates(t)
      unsafe setBiases(row)
      let x =
        layer == 0
        ? unsafe UnsafePointer(source) + (t * memory.schedule.batch + rows.lowerBound) * columns
        : unsafe UnsafePointer(memory.outputs(layer - 1, first: rows.lowerBound))
          + (t - chunk.lowerBound) * rows.count * columns
      if let parameters = tangents.parameters { unsafe add(x, columns, parameters.w(layer), plan.inputs, to: row) }
      if layer > 0 {
        let below = unsafe tangents.outputs(layer - 1, first: rows.lowerBound)
        unsafe add(
          UnsafePointer(below + (t - chunk.lowerBound) * rows.count * columns), columns, weights.w(layer), plan.inputs,
          to: row)
      } else if let given = unsafe tangents.input {
        let own = unsafe given + (t * memory.schedule.batch + rows.lowerBound) * columns
        unsafe add(own, columns, weights.w(layer), plan.inputs, to: row)
      }
    }
  }

  private func setBiases(_ gates: UnsafeMutablePointer<Scalar>) {
    guard let parameters = tangents.parameters else {
      return unsafe clear(UnsafeMutableBufferPointer(start: gates, count: rows.count * shape.gateStride))
    }
    for row in 0..<rows.count {
      unsafe (gates + row * shape.gateStride).update(from: parameters.bias(layer), count: shape.gateStride)
    }
  }

  /// Planes `positions` of a′ += x · Wᵀ.
  private func add(
    _ x: UnsafePointer<Scalar>, _ columns: Int, _ packed: UnsafePointer<Scalar>, _ positions: Range<Int>,
    to gates: UnsafeMutablePointer<Scalar>
  ) {
    let operands = unsafe ProductOperands(
      a: MatrixView(x, rows: rows.count, columns: columns), weights: packed, bias: nil,
      c: MutableMatrixView(
        gates + positions.lowerBound * shape.units, rows: rows.count, columns: positions.count * shape.units,
        stride: shape.gateStride), start: .accumulate)
    unsafe shape.kernels.table.product(
      operands, rows: 0..<rows.count, panels: 0..<shape.kernels.geometry.panels(positions.count * shape.units),
      scratch: memory.productScratch(part))
  }

  // MARK: One step

  /// The tangents of a stage of step t, between its product and its mathematics.
  func step(_ t: Int, stage: Int, _ value: CellStep<Scalar>) {
    let units = shape.units
    let first = rows.lowerBound
    var step = unsafe CellStep<Scalar>(
      units: units, gateColumns: shape.gateColumns, unitColumn: shape.gateStride)
    unsafe (step.gates, step.gateStride) = unsafe (gates(t), shape.gateStride)
    unsafe step.unitParameters = unsafe tangents.unitParameters(layer)
    unsafe step.previousHidden = unsafe UnsafePointer(
      t > chunk.lowerBound ? hidden(t - 1) : tangents.hidden(layer) + first * units)
    unsafe (step.hidden, step.previousHiddenStride, step.hiddenStride) = unsafe (hidden(t), units, units)
    let other = unsafe tangents.other(layer) + first * shape.otherStride
    unsafe (step.other, step.previousOther) = unsafe (other, UnsafePointer(other))
    unsafe (step.previousOtherStride, step.otherStride) = (shape.otherStride, shape.otherStride)
    if shape.stages > 1 {
      unsafe (step.operand, step.operandStride) = unsafe (tangents.operand(first: first), units)
    }
    let operand = unsafe stage == 0 ? value.previousHidden! : UnsafePointer(value.operand!)
    let own = unsafe stage == 0 ? step.previousHidden! : UnsafePointer(step.operand!)
    let positions = plan.recurrent[stage]
    if let parameters = tangents.parameters {
      unsafe add(operand, units, parameters.u(layer, stage: stage), positions, to: step.gates!)
    }
    unsafe add(own, units, weights.u(layer, stage: stage), positions, to: step.gates!)
    unsafe withUnsafePointer(to: step) { step in
      var value = unsafe value
      unsafe value.tangent = unsafe step
      unsafe shape.kernels.table.recurrentStep(
        RecurrentCall(
          product: nil, mathematics: tangents.mathematics,
          action: stage == shape.stages - 1 ? .forward : .operand, step: value, rows: rows.count,
          productScratch: memory.productScratch(part), programScratch: tangents.scratch(part)))
    }
  }

  /// After a chunk: the tangents of the states after its last step, and of the outputs.
  func keepStates() {
    let (units, first) = (shape.units, rows.lowerBound)
    unsafe (tangents.hidden(layer) + first * units)
      .update(from: hidden(chunk.upperBound - 1), count: rows.count * units)
    guard layer == shape.layers - 1, let output = unsafe tangents.output else { return }
    for t in chunk {
      unsafe (output + (t * memory.schedule.batch + first) * units).update(from: hidden(t), count: rows.count * units)
    }
  }
}
