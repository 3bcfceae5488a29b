// The mathematics of a built-in cell over rows and units. One vector of units at a time: all planes of it are in
// registers between the loads and the stores.

@frozen @usableFromInline enum FusedCellKernel<V: Vector, C: FusedCell> {
  @usableFromInline typealias Scalar = V.Scalar

  /// Where the planes of one row lie, and how much of a vector is there.
  @frozen @unsafe @usableFromInline struct Row {
    @usableFromInline let step: CellStep<Scalar>
    @usableFromInline let row: Int

    @inlinable @inline(__always)
    init(_ step: CellStep<Scalar>, row: Int) {
      unsafe self.step = unsafe step
      unsafe self.row = row
    }

    @inlinable @inline(__always)
    func load(_ base: UnsafePointer<Scalar>, _ offset: Int, _ count: Int) -> V {
      unsafe count == V.lanes ? V.load(base + offset) : V.load(base + offset, count: count)
    }

    @inlinable @inline(__always)
    func store(_ value: V, _ base: UnsafeMutablePointer<Scalar>, _ offset: Int, _ count: Int) {
      if count == V.lanes {
        unsafe value.store(base + offset)
      } else {
        unsafe value.store(base + offset, count: count)
      }
    }

    @inlinable @inline(__always)
    func gates(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.gatePlanes) {
        unsafe load(UnsafePointer(step.gates!), row * step.gateStride + step.gateColumns[$0] + u, count)
      }
    }

    @inlinable @inline(__always)
    func previous(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.statePlanes) {
        unsafe $0 == 0
          ? load(step.previousHidden!, row * step.previousHiddenStride + u, count)
          : load(
            step.previousOther!, row * step.previousOtherStride + ($0 - 1) * step.units + u, count)
      }
    }

    @inlinable @inline(__always)
    func states(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.statePlanes) {
        unsafe $0 == 0
          ? load(UnsafePointer(step.hidden!), row * step.hiddenStride + u, count)
          : load(UnsafePointer(step.other!), row * step.otherStride + ($0 - 1) * step.units + u, count)
      }
    }

    @inlinable @inline(__always)
    func units(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.unitPlanes) { unsafe load(step.unitParameters!, $0 * step.units + u, count) }
    }

    @inlinable @inline(__always)
    func saved(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.savedPlanes) {
        unsafe load(UnsafePointer(step.saved!), row * step.savedStride + $0 * step.units + u, count)
      }
    }

    /// ∂L/∂states: what is carried, and for h what the loss adds at this step.
    @inlinable @inline(__always)
    func gradients(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.statePlanes) {
        if $0 > 0 {
          return unsafe load(
            UnsafePointer(step.otherGradient!),
            row * step.otherGradientStride + ($0 - 1) * step.units + u, count)
        }
        let carried = unsafe load(
          UnsafePointer(step.hiddenGradient!), row * step.hiddenGradientStride + u, count)
        guard let own = unsafe step.outputGradient else { return carried }
        return unsafe carried + load(own, row * step.outputGradientStride + u, count)
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
          unsafe store(value, step.hidden!, row * step.hiddenStride + u, count)
        } else {
          unsafe store(value, step.other!, row * step.otherStride + (plane - 1) * step.units + u, count)
        }
      }
      guard let base = unsafe step.saved else { return }
      saved.forEach(count: C.savedPlanes) { plane, value in
        unsafe store(value, base, row * step.savedStride + plane * step.units + u, count)
      }
    }

    @inlinable @inline(__always)
    func operand(_ cell: C, _ u: Int, _ count: Int) {
      let input = unsafe CellInput(gates: gates(u, count), states: previous(u, count), units: units(u, count))
      unsafe store(cell.operand(input), step.operand!, row * step.operandStride + u, count)
    }

    @inlinable @inline(__always)
    func backward(_ cell: C, _ u: Int, _ count: Int) {
      let result = unsafe cell.backward(backwardInput(u, count, gradients: gradients(u, count)))
      result.gates.forEach(count: C.gatePlanes) { plane, value in
        unsafe store(value, step.gates!, row * step.gateStride + step.gateColumns[plane] + u, count)
      }
      result.units.forEach(count: C.unitPlanes) { plane, value in
        unsafe store(
          value, step.gates!, row * step.gateStride + step.unitColumn + plane * step.units + u, count)
      }
      result.previous.forEach(count: C.statePlanes) { plane, value in
        if plane == 0 {
          unsafe store(value, step.hiddenGradient!, row * step.hiddenGradientStride + u, count)
        } else {
          unsafe store(
            value, step.otherGradient!, row * step.otherGradientStride + (plane - 1) * step.units + u, count)
        }
      }
    }

    @inlinable @inline(__always)
    func operandBackward(_ cell: C, _ u: Int, _ count: Int) {
      let input = unsafe backwardInput(u, count, gradients: Planes())
      unsafe store(cell.savedOperand(input), step.operand!, row * step.operandStride + u, count)
      let gradient = unsafe load(step.operandGradient!, row * step.operandGradientStride + u, count)
      let result = cell.operandBackward(input, gradient: gradient)
      result.gates.forEach(count: C.gatePlanes) { plane, value in
        unsafe add(value, step.gates!, row * step.gateStride + step.gateColumns[plane] + u, count)
      }
      result.units.forEach(count: C.unitPlanes) { plane, value in
        unsafe add(value, step.gates!, row * step.gateStride + step.unitColumn + plane * step.units + u, count)
      }
      result.previous.forEach(count: C.statePlanes) { plane, value in
        if plane == 0 {
          unsafe add(value, step.hiddenGradient!, row * step.hiddenGradientStride + u, count)
        } else {
          unsafe add(
            value, step.otherGradient!, row * step.otherGradientStride + (plane - 1) * step.units + u, count)
        }
      }
    }

    @inlinable @inline(__always)
    func add(_ value: V, _ base: UnsafeMutablePointer<Scalar>, _ offset: Int, _ count: Int) {
      unsafe store(load(UnsafePointer(base), offset, count) + value, base, offset, count)
    }
  }

  @inlinable @inline(never)
  static func forward(_ cell: C, _ step: CellStep<Scalar>, rows: Range<Int>, units: Range<Int>) {
    unsafe forEach(step, rows, units) { unsafe $0.forward(cell, $1, $2) }
  }

  @inlinable @inline(never)
  static func operand(_ cell: C, _ step: CellStep<Scalar>, rows: Range<Int>, units: Range<Int>) {
    unsafe forEach(step, rows, units) { unsafe $0.operand(cell, $1, $2) }
  }

  @inlinable @inline(never)
  static func backward(_ cell: C, _ step: CellStep<Scalar>, rows: Range<Int>, units: Range<Int>) {
    unsafe forEach(step, rows, units) { unsafe $0.backward(cell, $1, $2) }
  }

  @inlinable @inline(never)
  static func operandBackward(_ cell: C, _ step: CellStep<Scalar>, rows: Range<Int>, units: Range<Int>) {
    unsafe forEach(step, rows, units) { unsafe $0.operandBackward(cell, $1, $2) }
  }

  /// Calls `body(row, first unit, number of units)` for every vector, the last one of a row perhaps partial.
  @inlinable @inline(__always)
  static func forEach(
    _ step: CellStep<Scalar>, _ rows: Range<Int>, _ units: Range<Int>, _ body: (Row, Int, Int) -> Void
  ) {
    for r in rows {
      let row = unsafe Row(step, row: r)
      var u = units.lowerBound
      while u + V.lanes <= units.upperBound {
        unsafe body(row, u, V.lanes)
        u += V.lanes
      }
      if u < units.upperBound { unsafe body(row, u, units.upperBound - u) }
    }
  }
}
