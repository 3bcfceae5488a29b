import RecurrenceKernels

/// The steps of each layer, for each thread, as the kernels want them told.
///
/// The memory of a driver never moves, so that most of what a call says is the same in every pass, and is written down once;
/// what a pass adds is where the rows of its steps lie. A step of a small layer takes less time than writing all of it.
@safe final class StepCalls<Scalar: RecurrenceScalar>: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  private let layers: Int
  /// Bytes from one thread's calls, which it changes as it goes, to the next thread's.
  private let stride: Int
  /// The weights that the calls point to. Those of a copy that was changed lie elsewhere.
  private(set) var weights: UnsafePointer<Scalar>?

  /// - Parameter memory: the driver's, `scalars(layers:hasTape:)` for each thread, 64-byte aligned.
  init(in memory: UnsafeMutablePointer<Scalar>, layers: Int, hasTape: Bool) {
    unsafe base = UnsafeMutableRawPointer(memory)
    self.layers = layers
    stride = Self.scalars(layers: layers, hasTape: hasTape) * MemoryLayout<Scalar>.stride
  }

  /// Memory for the calls of one thread: whole cache lines, so that no two threads write to one.
  static func scalars(layers: Int, hasTape: Bool) -> Int {
    let forward = unsafe MemoryLayout<RecurrentSteps<Scalar>>.stride
    let backward = unsafe hasTape ? MemoryLayout<BackwardSteps<Scalar>>.stride : 0
    return (layers * (forward + backward) + 63) / 64 * 64 / MemoryLayout<Scalar>.stride
  }

  /// The call of a layer on a thread; those of the layers above follow.
  func forward(_ layer: Int, thread: Int) -> UnsafeMutablePointer<RecurrentSteps<Scalar>> {
    unsafe (base + thread * stride).assumingMemoryBound(to: RecurrentSteps<Scalar>.self) + layer
  }

  func backward(_ layer: Int, thread: Int) -> UnsafeMutablePointer<BackwardSteps<Scalar>> {
    let first = unsafe base + (thread * stride + layers * MemoryLayout<RecurrentSteps<Scalar>>.stride)
    return unsafe first.assumingMemoryBound(to: BackwardSteps<Scalar>.self) + layer
  }

  /// Writes down what does not change from pass to pass, if it has changed.
  func prepare(_ packed: PackedStack<Scalar>, _ memory: SequenceMemory<Scalar>) {
    if unsafe weights == packed.base { return }
    for thread in 0..<memory.use.threads {
      for layer in 0..<layers {
        unsafe forward(layer, thread: thread).initialize(to: memory.forwardSteps(layer, packed, thread))
        if memory.use.tapeSteps == nil { continue }
        unsafe backward(layer, thread: thread).initialize(to: memory.backwardSteps(layer, packed, thread))
      }
    }
    unsafe weights = unsafe packed.base
  }

  /// To be called where somebody wrote over the memory.
  func forget() { unsafe weights = nil }
}

extension SequenceMemory {
  /// To be called before the threads of a pass start.
  func prepare(_ weights: PackedStack<Scalar>) { calls.prepare(weights, self) }

  // MARK: Forward

  /// Forward steps of a layer. Where its rows lie is for `placeForward` to say.
  fileprivate func forwardSteps(
    _ layer: Int, _ weights: PackedStack<Scalar>, _ thread: Int
  ) -> RecurrentSteps<Scalar> {
    var step = unsafe CellStep<Scalar>(
      units: shape.units, gateColumns: shape.gateColumns, unitColumn: shape.gateStride)
    unsafe step.gateStride = shape.gateStride
    unsafe step.unitParameters = unsafe weights.unitParameters(layer)
    unsafe (step.previousHiddenStride, step.hiddenStride) = (shape.units, shape.units)
    unsafe (step.previousOtherStride, step.otherStride) = (shape.otherStride, shape.otherStride)
    unsafe (step.operandStride, step.savedStride) = (shape.units, shape.savedStride)
    let gates = unsafe gates(first: 0)
    var steps = unsafe RecurrentSteps(
      product: recurrentProduct(layer, stage: 0, weights, hidden(layer), gates), mathematics: shape.cell.mathematics,
      step: step, rows: 0, count: 1, productScratch: productScratch(thread), programScratch: programScratch(thread))
    unsafe steps.isOfLayer = true
    unsafe steps.projection = unsafe projection(layer, weights, UnsafePointer(gates), rows: 0, gates: gates)
    if shape.stages > 1 {
      unsafe steps.secondProduct = unsafe recurrentProduct(layer, stage: 1, weights, operand(first: 0), gates)
    }
    return unsafe steps
  }

  /// Pre-activations of a stage += operand · Uᵀ.
  private func recurrentProduct(
    _ layer: Int, stage: Int, _ weights: PackedStack<Scalar>, _ operand: UnsafeMutablePointer<Scalar>,
    _ gates: UnsafeMutablePointer<Scalar>
  ) -> ProductOperands<Scalar> {
    var product = unsafe ProductOperands(
      a: MatrixView(UnsafePointer(operand), rows: 0, columns: shape.units), weights: weights.u(layer, stage: stage),
      bias: nil,
      c: MutableMatrixView(
        gates + shape.stageColumn(stage), rows: 0, columns: shape.plan.recurrent[stage].count * shape.units,
        stride: shape.gateStride), start: .accumulate)
    unsafe product.chains = shape.forwardChains
    unsafe product.takesTurns = weightsTakeTurns
    return unsafe product
  }

  /// One forward step of a layer on a thread, whose rows lie where the arguments say, and whose pre-activations are
  /// projected already.
  ///
  /// Other states than h are those that are kept: a tape changes that, and says where planes are saved.
  ///
  /// - Parameters:
  ///   - first: the thread's first sequence.
  ///   - previousHidden: h before the step; nil for the kept one.
  func placeForward(
    _ layer: Int, thread: Int, first: Int, rows: Int, gates: UnsafeMutablePointer<Scalar>,
    previousHidden: UnsafePointer<Scalar>? = nil, hidden: UnsafeMutablePointer<Scalar>
  ) -> UnsafeMutablePointer<RecurrentSteps<Scalar>> {
    let steps = unsafe calls.forward(layer, thread: thread)
    let previous = unsafe previousHidden ?? UnsafePointer(self.hidden(layer) + first * shape.units)
    unsafe steps.pointee.projects = false
    unsafe steps.pointee.step.gates = unsafe gates
    unsafe (steps.pointee.step.previousHidden, steps.pointee.step.hidden) = unsafe (previous, hidden)
    let other = unsafe other(layer) + first * shape.otherStride
    unsafe (steps.pointee.step.previousOther, steps.pointee.step.other) = unsafe (UnsafePointer(other), other)
    unsafe (steps.pointee.rows, steps.pointee.count) = (rows, 1)
    unsafe (steps.pointee.product.wanted, steps.pointee.product.wantedToo) = unsafe (Stretch(), Stretch())
    unsafe steps.pointee.product.a = MatrixView(previous, rows: rows, columns: shape.units)
    unsafe place(&steps.pointee.product.c, gates + shape.stageColumn(0), rows)
    if shape.stages > 1 {
      let operand = unsafe operand(first: first)
      unsafe steps.pointee.step.operand = unsafe operand
      unsafe steps.pointee.secondProduct!.a = MatrixView(UnsafePointer(operand), rows: rows, columns: shape.units)
      unsafe place(&steps.pointee.secondProduct!.c, gates + shape.stageColumn(1), rows)
    }
    return unsafe steps
  }

  /// Lets steps that were placed begin with the projection of their input.
  func placeProjection(
    _ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>, _ input: UnsafePointer<Scalar>, rows: Int
  ) {
    unsafe steps.pointee.projects = true
    let columns = unsafe steps.pointee.projection!.a.columns
    unsafe steps.pointee.projection!.a = MatrixView(input, rows: rows, columns: columns, name: "input")
    unsafe place(&steps.pointee.projection!.c, steps.pointee.step.gates! + shape.inputColumn, rows)
  }

  /// Whether step t reads U from its end: steps take turns, each begins with what the one before left in the caches. Of
  /// two stages, the weights of one are gone when those of the other have been read.
  func readsFromEnd(at t: Int) -> Bool { shape.stages == 1 && t % 2 == 1 }

  /// Whether each of a step's products finds nothing of its weights in the caches. With one sequence, W is not read in every step.
  var weightsTakeTurns: Bool { shape.stages > 1 || use.batch > 1 && shape.weightsExceedL2 }

  /// Pre-activations that the input reaches ← biases + input · Wᵀ.
  func projection(
    _ layer: Int, _ weights: PackedStack<Scalar>, _ input: UnsafePointer<Scalar>, rows: Int,
    gates: UnsafeMutablePointer<Scalar>
  ) -> ProductOperands<Scalar> {
    let first = shape.inputColumn
    var product = unsafe ProductOperands(
      a: MatrixView(input, rows: rows, columns: shape.inputs(of: layer), name: "input"),
      weights: weights.w(layer), bias: weights.bias(layer) + first,
      c: MutableMatrixView(gates + first, rows: rows, columns: shape.inputColumns, stride: shape.gateStride),
      start: .bias)
    unsafe product.takesTurns = weightsTakeTurns
    return unsafe product
  }

  // MARK: Backward

  /// Backward steps of a layer. Where its rows lie is for `placeBackward` to say.
  fileprivate func backwardSteps(
    _ layer: Int, _ weights: PackedStack<Scalar>, _ thread: Int
  ) -> BackwardSteps<Scalar> {
    let units = shape.units
    var step = unsafe CellStep<Scalar>(units: units, gateColumns: shape.gateColumns, unitColumn: shape.gateStride)
    unsafe step.gateStride = shape.gradientStride
    unsafe step.unitParameters = unsafe weights.unitParameters(layer)
    unsafe (step.previousHiddenStride, step.hiddenStride) = (units, units)
    unsafe (step.previousOtherStride, step.otherStride) = (shape.otherStride, shape.otherStride)
    unsafe step.savedStride = shape.savedStride
    unsafe (step.operandStride, step.operandGradientStride) = (units, units)
    unsafe (step.hiddenGradientStride, step.otherGradientStride) = (units, shape.otherStride)
    unsafe step.outputGradientStride = units
    let product = unsafe throughU(layer, stage: 0, into: hiddenGradient(layer), start: .accumulate)
    let second =
      shape.stages > 1
      ? unsafe throughU(layer, stage: 1, into: operandGradient(first: 0), start: .bias)
      : unsafe ProductOperands<Scalar>?.none
    return unsafe BackwardSteps(
      product: product, secondProduct: second, mathematics: shape.cell.mathematics, step: step, rows: 0,
      productScratch: productScratch(thread), programScratch: programScratch(thread))
  }

  /// C (+)= δ · U, over the gates of a stage.
  private func throughU(
    _ layer: Int, stage: Int, into c: UnsafeMutablePointer<Scalar>, start: ProductStart
  ) -> ProductOperands<Scalar> {
    let planes = shape.plan.recurrent[stage].count
    var product = unsafe ProductOperands(
      a: MatrixView(
        UnsafePointer(gradients(layer) + shape.stageColumn(stage)), rows: 0, columns: planes * shape.units,
        stride: shape.gradientStride),
      weights: backwardU(layer, stage: stage), bias: nil,
      c: MutableMatrixView(c, rows: 0, columns: shape.units), start: start)
    unsafe product.chains = shape.chains(planes, columns: shape.units)
    unsafe product.takesTurns = weightsTakeTurns
    return unsafe product
  }

  /// The backward step of a layer on a thread, whose rows lie where the arguments say; of the tape and of ∂L/∂output, the
  /// caller says it.
  ///
  /// - Parameters:
  ///   - first: the thread's first sequence.
  ///   - chunkRow: the row of the chunk that it has in this step.
  ///   - unpacked: parameters to read U of; nil where it was packed.
  func placeBackward(
    _ layer: Int, thread: Int, first: Int, rows: Int, chunkRow: Int, unpacked: UnsafePointer<Scalar>?
  ) -> UnsafeMutablePointer<BackwardSteps<Scalar>> {
    let units = shape.units
    let steps = unsafe calls.backward(layer, thread: thread)
    let gates = unsafe gradients(layer) + chunkRow * shape.gradientStride
    let hiddenGradient = unsafe hiddenGradient(layer) + first * units
    unsafe steps.pointee.step.gates = unsafe gates
    unsafe steps.pointee.step.hiddenGradient = unsafe hiddenGradient
    unsafe steps.pointee.step.otherGradient = unsafe otherGradient(layer) + first * shape.otherStride
    unsafe (steps.pointee.rows, steps.pointee.count) = (rows, 1)
    unsafe (steps.pointee.product.wanted, steps.pointee.product.wantedToo) = unsafe (Stretch(), Stretch())
    unsafe place(&steps.pointee.product.a, gates + shape.stageColumn(0), rows)
    unsafe place(&steps.pointee.product.c, hiddenGradient, rows)
    unsafe placeU(&steps.pointee.product, layer, stage: 0, unpacked)
    if shape.stages > 1 {
      let δq = unsafe operandGradient(first: first)
      unsafe steps.pointee.step.operand = unsafe operands(layer) + chunkRow * units
      unsafe steps.pointee.step.operandGradient = unsafe UnsafePointer(δq)
      unsafe place(&steps.pointee.secondProduct!.a, gates + shape.stageColumn(1), rows)
      unsafe place(&steps.pointee.secondProduct!.c, δq, rows)
      unsafe placeU(&steps.pointee.secondProduct!, layer, stage: 1, unpacked)
    }
    return unsafe steps
  }

  private func placeU(
    _ product: inout ProductOperands<Scalar>, _ layer: Int, stage: Int, _ parameters: UnsafePointer<Scalar>?
  ) {
    let units = shape.units
    if let parameters = unsafe parameters {
      let run = shape.plan.recurrentRuns[stage][0]
      unsafe product.weights = parameters + shape.offsets[layer].u + run.gate * units * units
      unsafe product.weightsStride = units
    } else {
      unsafe (product.weights, product.weightsStride) = unsafe (UnsafePointer(backwardU(layer, stage: stage)), 0)
    }
  }

  // MARK: Views

  private func place(_ view: inout MatrixView<Scalar>, _ base: UnsafeMutablePointer<Scalar>, _ rows: Int) {
    unsafe view = MatrixView(UnsafePointer(base), rows: rows, columns: view.columns, stride: view.stride)
  }

  private func place(_ view: inout MutableMatrixView<Scalar>, _ base: UnsafeMutablePointer<Scalar>, _ rows: Int) {
    unsafe view = MutableMatrixView(base, rows: rows, columns: view.columns, stride: view.stride)
  }
}
