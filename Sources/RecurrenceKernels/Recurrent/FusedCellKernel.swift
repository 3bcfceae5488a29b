// The mathematics of a built-in cell over rows and units. One vector of units at a time: all planes of it are in
// registers between the loads and the stores.

@frozen @usableFromInline enum FusedCellKernel<V: Vector, C: FusedCell> {
  @usableFromInline typealias Scalar = V.Scalar

  /// Where the planes of one row lie, and how much of a vector is there.
  @frozen @unsafe @usableFromInline struct Row {
    @usableFromInline let step: UnsafePointer<CellStep<Scalar>>
    @usableFromInline let row: Int

    @inlinable @inline(__always)
    init(_ step: UnsafePointer<CellStep<Scalar>>, row: Int) {
      unsafe self.step = unsafe step
      unsafe self.row = row
    }

    @inlinable @inline(__always)
    func load(_ base: UnsafePointer<Scalar>, _ offset: Int, _ count: Int) -> V {
      unsafe count == V.lanes ? V.load(base + offset) : V.load(base + offset, count: count)
    }

    @inlinable @inline(__always)
    func store(
      _ value: V, _ base: UnsafeMutablePointer<Scalar>, _ offset: Int, _ count: Int, adding: Bool = false
    ) {
      let value = unsafe adding ? load(UnsafePointer(base), offset, count) + value : value
      if count == V.lanes {
        unsafe value.store(base + offset)
      } else {
        unsafe value.store(base + offset, count: count)
      }
    }

    @inlinable @inline(__always)
    func gates(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.gatePlanes) {
        unsafe load(
          UnsafePointer(step.pointee.gates!), row * step.pointee.gateStride + step.pointee.gateColumns[$0] + u, count)
      }
    }

    @inlinable @inline(__always)
    func previous(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.statePlanes) {
        unsafe $0 == 0
          ? load(step.pointee.previousHidden!, row * step.pointee.previousHiddenStride + u, count)
          : load(
            step.pointee.previousOther!, row * step.pointee.previousOtherStride + ($0 - 1) * step.pointee.units + u,
            count)
      }
    }

    @inlinable @inline(__always)
    func states(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.statePlanes) {
        unsafe $0 == 0
          ? load(UnsafePointer(step.pointee.hidden!), row * step.pointee.hiddenStride + u, count)
          : load(
            UnsafePointer(step.pointee.other!), row * step.pointee.otherStride + ($0 - 1) * step.pointee.units + u,
            count)
      }
    }

    @inlinable @inline(__always)
    func units(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.unitPlanes) { unsafe load(step.pointee.unitParameters!, $0 * step.pointee.units + u, count) }
    }

    @inlinable @inline(__always)
    func saved(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.savedPlanes) {
        unsafe load(
          UnsafePointer(step.pointee.saved!), row * step.pointee.savedStride + $0 * step.pointee.units + u, count)
      }
    }

    /// ∂L/∂states: what is carried, and for h what the loss adds at this step.
    @inlinable @inline(__always)
    func gradients(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.statePlanes) {
        if $0 > 0 {
          return unsafe load(
            UnsafePointer(step.pointee.otherGradient!),
            row * step.pointee.otherGradientStride + ($0 - 1) * step.pointee.units + u, count)
        }
        let carried = unsafe load(
          UnsafePointer(step.pointee.hiddenGradient!), row * step.pointee.hiddenGradientStride + u, count)
        guard let own = unsafe step.pointee.outputGradient else { return carried }
        return unsafe carried + load(own, row * step.pointee.outputGradientStride + u, count)
      }
    }

    @inlinable @inline(__always)
    func backwardInput(_ u: Int, _ count: Int, gradients: Planes<V>) -> CellBackwardInput<V> {
      unsafe CellBackwardInput(
        saved: saved(u, count), previous: previous(u, count), states: states(u, count), units: units(u, count),
        gradients: gradients)
    }

    @inlinable @inline(__always)
    func forward(_ cell: C, _ u: Int, _ count: Int) {
      let input = unsafe CellInput(gates: gates(u, count), states: previous(u, count), units: units(u, count))
      let (states, saved) = cell.forward(input)
      states.forEach(count: C.statePlanes) { plane, value in
        if plane == 0 {
          unsafe store(value, step.pointee.hidden!, row * step.pointee.hiddenStride + u, count)
        } else {
          unsafe store(
            value, step.pointee.other!, row * step.pointee.otherStride + (plane - 1) * step.pointee.units + u, count)
        }
      }
      guard let base = unsafe step.pointee.saved else { return }
      saved.forEach(count: C.savedPlanes) { plane, value in
        unsafe store(value, base, row * step.pointee.savedStride + plane * step.pointee.units + u, count)
      }
    }

    @inlinable @inline(__always)
    func operand(_ cell: C, _ u: Int, _ count: Int) {
      let input = unsafe CellInput(gates: gates(u, count), states: previous(u, count), units: units(u, count))
      unsafe store(cell.operand(input), step.pointee.operand!, row * step.pointee.operandStride + u, count)
    }

    @inlinable @inline(__always)
    func backward(_ cell: C, _ u: Int, _ count: Int) {
      let result = unsafe cell.backward(backwardInput(u, count, gradients: gradients(u, count)))
      unsafe write(result, u, count, adding: false)
    }

    @inlinable @inline(__always)
    func operandBackward(_ cell: C, _ u: Int, _ count: Int) {
      let input = unsafe backwardInput(u, count, gradients: Planes())
      unsafe store(cell.savedOperand(input), step.pointee.operand!, row * step.pointee.operandStride + u, count)
      let gradient = unsafe load(step.pointee.operandGradient!, row * step.pointee.operandGradientStride + u, count)
      let result = cell.operandBackward(input, gradient: gradient)
      unsafe write(result, u, count, adding: true)
    }

    /// Stores derivatives, or adds them to those that are there.
    @inlinable @inline(__always)
    func write(_ result: CellGradients<V>, _ u: Int, _ count: Int, adding: Bool) {
      result.gates.forEach(count: C.gatePlanes) { plane, value in
        unsafe store(
          value, step.pointee.gates!, row * step.pointee.gateStride + step.pointee.gateColumns[plane] + u, count,
          adding: adding)
      }
      result.units.forEach(count: C.unitPlanes) { plane, value in
        unsafe store(
          value, step.pointee.gates!,
          row * step.pointee.gateStride + step.pointee.unitColumn + plane * step.pointee.units + u, count,
          adding: adding)
      }
      result.previous.forEach(count: C.statePlanes) { plane, value in
        if plane == 0 {
          unsafe store(
            value, step.pointee.hiddenGradient!, row * step.pointee.hiddenGradientStride + u, count, adding: adding)
        } else {
          unsafe store(
            value, step.pointee.otherGradient!,
            row * step.pointee.otherGradientStride + (plane - 1) * step.pointee.units + u, count, adding: adding)
        }
      }
    }
  }

  // The loop over rows and vectors, four times: as a closure of one shared loop, the body was called for every vector.

  @inlinable @inline(never)
  static func forward(
    _ cell: C, _ step: UnsafePointer<CellStep<Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    for r in rows {
      let row = unsafe Row(step, row: r)
      var u = units.lowerBound
      while u + V.lanes <= units.upperBound {
        unsafe row.forward(cell, u, V.lanes)
        u += V.lanes
      }
      if u < units.upperBound { unsafe forwardRest(cell, row, u, units.upperBound - u) }
    }
  }

  @inlinable @inline(never)
  static func operand(
    _ cell: C, _ step: UnsafePointer<CellStep<Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    for r in rows {
      let row = unsafe Row(step, row: r)
      var u = units.lowerBound
      while u + V.lanes <= units.upperBound {
        unsafe row.operand(cell, u, V.lanes)
        u += V.lanes
      }
      if u < units.upperBound { unsafe operandRest(cell, row, u, units.upperBound - u) }
    }
  }

  @inlinable @inline(never)
  static func backward(
    _ cell: C, _ step: UnsafePointer<CellStep<Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    for r in rows {
      let row = unsafe Row(step, row: r)
      var u = units.lowerBound
      while u + V.lanes <= units.upperBound {
        unsafe row.backward(cell, u, V.lanes)
        u += V.lanes
      }
      if u < units.upperBound { unsafe backwardRest(cell, row, u, units.upperBound - u) }
    }
  }

  @inlinable @inline(never)
  static func operandBackward(
    _ cell: C, _ step: UnsafePointer<CellStep<Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    for r in rows {
      let row = unsafe Row(step, row: r)
      var u = units.lowerBound
      while u + V.lanes <= units.upperBound {
        unsafe row.operandBackward(cell, u, V.lanes)
        u += V.lanes
      }
      if u < units.upperBound { unsafe operandBackwardRest(cell, row, u, units.upperBound - u) }
    }
  }

  // The last units of a row, fewer than a vector. Never inlined: partial loads go through memory, and a function that has
  // them keeps its vectors there, too.

  @inlinable @inline(never)
  static func forwardRest(_ cell: C, _ row: Row, _ u: Int, _ count: Int) { unsafe row.forward(cell, u, count) }

  @inlinable @inline(never)
  static func operandRest(_ cell: C, _ row: Row, _ u: Int, _ count: Int) { unsafe row.operand(cell, u, count) }

  @inlinable @inline(never)
  static func backwardRest(_ cell: C, _ row: Row, _ u: Int, _ count: Int) { unsafe row.backward(cell, u, count) }

  @inlinable @inline(never)
  static func operandBackwardRest(_ cell: C, _ row: Row, _ u: Int, _ count: Int) {
    unsafe row.operandBackward(cell, u, count)
  }
}
