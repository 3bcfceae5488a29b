import RecurrenceKernels

/// The products over all rows of a chunk: dW, dU, db, and the gradients of unit parameters.
///
/// One part of them: some rows or columns of each. Parts share no output, so that none waits for another.
struct WeightGradients<Scalar: RecurrenceScalar> {
  let memory: SequenceMemory<Scalar>
  let part: Int
  let parts: Int
  /// Where gradients of W and U that are taken together start. All others are added, to zeros where they replace something.
  let start: ProductStart

  private var shape: StackShape<Scalar> { memory.shape }
  private var schedule: RowSchedule { memory.schedule }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ chunk: Range<Int>, tapeStart: Int, _ call: BackwardCall<Scalar>) {
    let count = schedule.offset(chunk.upperBound) - schedule.offset(chunk.lowerBound)
    guard let gradient = unsafe call.gradient, count > 0 else { return }
    for layer in 0..<shape.layers {
      if memory.takesWeightsTogether(layer) {
        unsafe addWeights(layer, chunk, count: count, tapeStart: tapeStart, call, gradient)
      } else {
        unsafe addInputWeights(layer, chunk, count: count, tapeStart: tapeStart, call, gradient)
        unsafe addRecurrentWeights(layer, chunk, count: count, tapeStart: tapeStart, gradient)
      }
      unsafe addBiases(layer, count: count, gradient)
    }
  }

  /// δ of the chunk, columns of some planes, from row `row` of the chunk on.
  private func δ(_ layer: Int, row: Int = 0, count: Int, position: Int, planes: Int) -> MatrixView<Scalar> {
    unsafe MatrixView(
      UnsafePointer(memory.gradients(layer) + row * shape.gradientStride + position * shape.units), rows: count,
      columns: planes * shape.units, stride: shape.gradientStride)
  }

  private func addInputWeights(
    _ layer: Int, _ chunk: Range<Int>, count: Int, tapeStart: Int, _ call: BackwardCall<Scalar>,
    _ gradient: UnsafeMutablePointer<Scalar>
  ) {
    let columns = shape.inputs(of: layer)
    if layer == 0, let embedding = memory.embedding {
      let inputs = shape.plan.inputs
      let share = columnShare(part, of: parts, columns: embedding.columns)
      unsafe embedding.add(
        δ(layer, count: count, position: inputs.lowerBound, planes: inputs.count),
        row: schedule.offset(chunk.lowerBound), share: share, shape.kernels)
      // The last chunk of the pass: these columns are whole, whoever summed them in the chunks before.
      if chunk.lowerBound == 0 {
        unsafe embedding.addInputWeights(
          gradient + shape.offsets[0].w, share: share, shape, scratch: memory.productScratch(part))
      }
      return
    }
    let input = unsafe input(of: layer, chunk, count: count, tapeStart: tapeStart, call)
    for run in shape.plan.inputRuns {
      unsafe add(
        δ(layer, count: count, position: run.position, planes: run.count), input,
        to: gradient + shape.offsets[layer].w + run.gate * shape.units * columns)
    }
  }

  /// What a layer was given in the chunk.
  private func input(
    of layer: Int, _ chunk: Range<Int>, count: Int, tapeStart: Int, _ call: BackwardCall<Scalar>
  ) -> MatrixView<Scalar> {
    let columns = shape.inputs(of: layer)
    let first = schedule.offset(chunk.lowerBound)
    let base =
      if layer == 0 {
        unsafe (schedule.isUniform ? call.input : UnsafePointer(memory.packedInput)) + first * columns
      } else {
        unsafe UnsafePointer(memory.tapeHidden(layer - 1) + (first - schedule.offset(tapeStart)) * columns)
      }
    return unsafe MatrixView(base, rows: count, columns: columns)
  }

  /// dW and dU, δ of each gate packed once for both.
  private func addWeights(
    _ layer: Int, _ chunk: Range<Int>, count: Int, tapeStart: Int, _ call: BackwardCall<Scalar>,
    _ gradient: UnsafeMutablePointer<Scalar>
  ) {
    let (units, columns) = (shape.units, shape.inputs(of: layer))
    let input = unsafe input(of: layer, chunk, count: count, tapeStart: tapeStart, call)
    let previous = unsafe memory.tapeHidden(layer) + (chunk.lowerBound - 1 - tapeStart) * schedule.batch * units
    for weightRun in shape.plan.weightRuns {
      let run = weightRun.run
      let rows = run.count * units
      let operand = unsafe weightRun.stage == 1 ? memory.operands(layer) : previous
      let h = unsafe MatrixView(UnsafePointer(operand), rows: count, columns: units)
      let w = unsafe MutableMatrixView(
        gradient + shape.offsets[layer].w + run.gate * units * columns, rows: rows, columns: columns)
      let u = unsafe MutableMatrixView(
        gradient + shape.offsets[layer].u + run.gate * units * units, rows: rows, columns: units)
      let δ = unsafe δ(layer, count: count, position: run.position, planes: run.count)
      if weightRun.readsInput {
        var operands = unsafe TransposedProductOperands(a: δ, b: input, c: w, start: start)
        if weightRun.stage != nil { unsafe (operands.secondB, operands.secondC) = unsafe (h, u) }
        unsafe add(operands)
      } else {
        unsafe add(TransposedProductOperands(a: δ, b: h, c: u, start: start))
      }
    }
  }

  private func addRecurrentWeights(
    _ layer: Int, _ chunk: Range<Int>, count: Int, tapeStart: Int, _ gradient: UnsafeMutablePointer<Scalar>
  ) {
    let units = shape.units
    for (stage, runs) in shape.plan.recurrentRuns.enumerated() {
      for run in runs {
        let c = unsafe gradient + shape.offsets[layer].u + run.gate * units * units
        if stage == 1 {
          unsafe add(
            δ(layer, count: count, position: run.position, planes: run.count),
            MatrixView(UnsafePointer(memory.operands(layer)), rows: count, columns: units), to: c)
          continue
        }
        if let control = memory.control, control.regularizes {
          unsafe add(
            δ(layer, count: count, position: run.position, planes: run.count),
            control.factors(layer, rows: count), to: c)
          continue
        }
        unsafe forEachStretch(layer, chunk, tapeStart: tapeStart) { row, previous, count in
          unsafe add(
            δ(layer, row: row, count: count, position: run.position, planes: run.count),
            MatrixView(previous, rows: count, columns: units), to: c)
        }
      }
    }
  }

  /// Calls `body(row of the chunk, h_{t−1} of that row, rows)` for stretches of rows whose h_{t−1} lie one after the
  /// other, in descending order. Those of step t + 1 follow those of step t where as many sequences ran at t − 1 as at t.
  private func forEachStretch(
    _ layer: Int, _ chunk: Range<Int>, tapeStart: Int, _ body: (Int, UnsafePointer<Scalar>, Int) -> Void
  ) {
    let origin = schedule.offset(chunk.lowerBound)
    var end = chunk.upperBound
    while end > chunk.lowerBound {
      var t = end - 1
      if schedule.count(t) == 0 {
        end = t
        continue
      }
      while t > chunk.lowerBound, schedule.count(t - 1) == schedule.rowsBefore(t - 1, tapeStart: tapeStart) { t -= 1 }
      let count = schedule.offset(end) - schedule.offset(t)
      let row = schedule.offset(t) - schedule.offset(tapeStart) - schedule.rowsBefore(t, tapeStart: tapeStart)
      unsafe body(
        schedule.offset(t) - origin, UnsafePointer(memory.tapeHidden(layer) + row * shape.units), count)
      end = t
    }
  }

  private func addBiases(_ layer: Int, count: Int, _ gradient: UnsafeMutablePointer<Scalar>) {
    let units = shape.units
    for run in shape.plan.inputRuns {
      unsafe addSums(
        layer, count, position: run.position, planes: run.count,
        to: gradient + shape.offsets[layer].b + run.gate * units)
    }
    for index in shape.plan.apartGates.indices {
      unsafe addSums(
        layer, count, position: shape.plan.position[shape.plan.gates + index], planes: 1,
        to: gradient + shape.offsets[layer].recurrentB + index * units)
    }
    let planes = shape.plan.planes
    if planes.units > 0 {
      unsafe addSums(
        layer, count, position: planes.gates, planes: planes.units,
        to: gradient + shape.offsets[layer].units)
    }
  }

  private func addSums(
    _ layer: Int, _ count: Int, position: Int, planes: Int, to sums: UnsafeMutablePointer<Scalar>
  ) {
    let all = unsafe δ(layer, count: count, position: position, planes: planes)
    let share = unsafe columnShare(part, of: parts, columns: all.columns)
    if share.isEmpty { return }
    unsafe shape.kernels.table.columnSums(
      MatrixView(all.base + share.lowerBound, rows: count, columns: share.count, stride: all.stride),
      into: sums + share.lowerBound)
  }

  /// C += Aᵀ · B, this part of it.
  private func add(_ a: MatrixView<Scalar>, _ b: MatrixView<Scalar>, to c: UnsafeMutablePointer<Scalar>) {
    unsafe add(TransposedProductOperands(a: a, b: b, c: MutableMatrixView(c, rows: a.columns, columns: b.columns)))
  }

  /// C = start + Aᵀ · B of one product, or two of one A; these apart where columns are split, which each has its own.
  private func add(_ operands: TransposedProductOperands<Scalar>) {
    if unsafe parts > 1 && operands.hasSecond && operands.c.rows < max(operands.c.columns, operands.secondC.columns) {
      unsafe add(operands.first)
      return unsafe add(operands.second)
    }
    guard let share = unsafe operands.share(part, of: parts) else { return }
    unsafe shape.kernels.table.transposedProduct(
      operands, rows: share.rows, columns: share.columns, scratch: memory.productScratch(part))
  }
}
