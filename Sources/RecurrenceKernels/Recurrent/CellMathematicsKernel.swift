/// Runs a part of a cell's mathematics over some rows and units.
@frozen @usableFromInline enum CellMathematicsKernel<V: Vector> {
  /// - Parameter scratch: for recorded cells, see `KernelGeometry.programScratch`.
  @inlinable @inline(never)
  static func run(
    _ mathematics: CellMathematics, _ action: CellAction, _ step: UnsafePointer<CellStep<V.Scalar>>,
    rows: Range<Int>, units: Range<Int>, scratch: UnsafeMutablePointer<V.Scalar>
  ) {
    switch unsafe mathematics.kind {
    case .rnn: unsafe run(FusedRNN(mathematics.activation), action, step, rows: rows, units: units)
    case .rnnKeepingGate:
      unsafe run(FusedRNNKeepingGate(mathematics.activation), action, step, rows: rows, units: units)
    case .lstm: unsafe run(LSTM(), action, step, rows: rows, units: units)
    case .peepholeLSTM: unsafe run(PeepholeLSTM(), action, step, rows: rows, units: units)
    case .gru: unsafe run(GRU(), action, step, rows: rows, units: units)
    case .gruResetBefore: unsafe runStages(GRUResetBefore(), action, step, rows: rows, units: units)
    case .recorded:
      unsafe PointwiseProgramKernel<V>.run(
        mathematics.recorded!, action, step.pointee, rows: rows, units: units, scratch: scratch)
    }
  }

  @inlinable @inline(__always)
  static func run<C: FusedCell>(
    _ cell: C, _ action: CellAction, _ step: UnsafePointer<CellStep<V.Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    switch action {
    case .forward: unsafe FusedCellKernel<V, C>.forward(cell, step, rows: rows, units: units)
    case .backward: unsafe FusedCellKernel<V, C>.backward(cell, step, rows: rows, units: units)
    case .backwardWithTotals:
      unsafe FusedCellKernel<V, C>.backwardWithTotals(cell, step, rows: rows, units: units)
    case .operand, .operandBackward: fatalError("a cell of one stage has no operand of its own")
    }
  }

  @inlinable @inline(__always)
  static func runStages<C: FusedCell>(
    _ cell: C, _ action: CellAction, _ step: UnsafePointer<CellStep<V.Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    switch action {
    case .operand: unsafe FusedCellKernel<V, C>.operand(cell, step, rows: rows, units: units)
    case .operandBackward: unsafe FusedCellKernel<V, C>.operandBackward(cell, step, rows: rows, units: units)
    case .forward, .backward, .backwardWithTotals: unsafe run(cell, action, step, rows: rows, units: units)
    }
  }
}
