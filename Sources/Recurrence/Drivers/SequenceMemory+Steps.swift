import RecurrenceKernels

extension SequenceMemory {
  /// The sequences of one thread: part `index` of the threads, from sequence `first` on.
  struct Part {
    var index: Int
    var first: Int
    var rows: Int
  }

  /// A forward step of a layer whose pre-activations are projected already, as the kernels want it told.
  ///
  /// Other states than h stay where they are kept, and nothing is saved: a tape changes both.
  ///
  /// - Parameter previousHidden: h before the step; nil for the kept one.
  func steps(
    _ layer: Int, _ weights: PackedStack<Scalar>, _ part: Part, gates: UnsafeMutablePointer<Scalar>,
    previousHidden: UnsafePointer<Scalar>? = nil, hidden: UnsafeMutablePointer<Scalar>
  ) -> RecurrentSteps<Scalar> {
    let plan = shape.plan
    var step = unsafe CellStep<Scalar>(
      units: shape.units, gateColumns: shape.gateColumns, unitColumn: shape.gateStride)
    unsafe (step.gates, step.gateStride) = unsafe (gates, shape.gateStride)
    unsafe step.unitParameters = unsafe weights.unitParameters(layer)
    unsafe step.previousHidden =
      unsafe previousHidden ?? UnsafePointer(self.hidden(layer) + part.first * shape.units)
    unsafe step.hidden = unsafe hidden
    unsafe (step.previousHiddenStride, step.hiddenStride) = (shape.units, shape.units)
    unsafe step.other = unsafe other(layer) + part.first * shape.otherStride
    unsafe step.previousOther = unsafe UnsafePointer(step.other)
    unsafe (step.previousOtherStride, step.otherStride) = (shape.otherStride, shape.otherStride)
    if plan.planes.stages > 1 {
      unsafe (step.operand, step.operandStride) = unsafe (operand(first: part.first), shape.units)
    }
    var steps = unsafe RecurrentSteps(
      product: recurrentProduct(layer, stage: 0, weights, step.previousHidden!, gates, rows: part.rows),
      mathematics: shape.cell.mathematics, step: step, rows: part.rows, count: 1,
      productScratch: productScratch(part.index), programScratch: programScratch(part.index))
    if plan.planes.stages > 1 {
      unsafe steps.secondProduct = unsafe recurrentProduct(
        layer, stage: 1, weights, UnsafePointer(step.operand!), gates, rows: part.rows)
    }
    return unsafe steps
  }

  /// Whether step t reads U from its end: steps take turns, each begins with what the one before left in the caches. Of
  /// two stages, the weights of one are gone when those of the other have been read.
  func readsFromEnd(at t: Int) -> Bool { shape.plan.planes.stages == 1 && t % 2 == 1 }

  /// Pre-activations that the input reaches ← biases + input · Wᵀ.
  func projection(
    _ layer: Int, _ weights: PackedStack<Scalar>, _ input: UnsafePointer<Scalar>, rows: Int,
    gates: UnsafeMutablePointer<Scalar>
  ) -> ProductOperands<Scalar> {
    let positions = shape.plan.inputs
    let first = positions.lowerBound * shape.units
    return unsafe ProductOperands(
      a: MatrixView(input, rows: rows, columns: shape.inputs(of: layer), name: "input"),
      weights: weights.w(layer), bias: weights.bias(layer) + first,
      c: MutableMatrixView(
        gates + first, rows: rows, columns: positions.count * shape.units, stride: shape.gateStride),
      start: .bias)
  }

  /// Pre-activations of a stage += operand · Uᵀ.
  private func recurrentProduct(
    _ layer: Int, stage: Int, _ weights: PackedStack<Scalar>, _ operand: UnsafePointer<Scalar>,
    _ gates: UnsafeMutablePointer<Scalar>, rows: Int
  ) -> ProductOperands<Scalar> {
    let positions = shape.plan.recurrent[stage]
    return unsafe ProductOperands(
      a: MatrixView(operand, rows: rows, columns: shape.units), weights: weights.u(layer, stage: stage), bias: nil,
      c: MutableMatrixView(
        gates + positions.lowerBound * shape.units, rows: rows, columns: positions.count * shape.units,
        stride: shape.gateStride), start: .accumulate)
  }
}
