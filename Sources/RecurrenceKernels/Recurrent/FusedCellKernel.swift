public import CProcessor

// The mathematics of a built-in cell over rows and units. One vector of units at a time, forward on 32 registers two: all
// planes of it are in registers between the loads and the stores.

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
    func load(_ plane: PointwisePlane, _ u: Int, _ count: Int) -> V {
      let (base, stride) = unsafe step.pointee.source(plane)
      return unsafe load(base + (row * stride + u), count)
    }

    @inlinable @inline(__always)
    func load(_ place: UnsafePointer<Scalar>, _ count: Int) -> V {
      unsafe count == V.lanes ? V.load(place) : V.load(place, count: count)
    }

    @inlinable @inline(__always)
    func store(_ value: V, _ plane: PointwisePlane, _ u: Int, _ count: Int, adding: Bool = false) {
      let (base, stride) = unsafe step.pointee.target(plane)
      let place = unsafe base + (row * stride + u)
      let value = unsafe adding ? load(place, count) + value : value
      if count == V.lanes {
        unsafe value.store(place)
      } else {
        unsafe value.store(place, count: count)
      }
    }

    @inlinable @inline(__always)
    func input(_ u: Int, _ count: Int) -> CellInput<V> {
      CellInput(
        gates: Planes(count: C.gatePlanes) { unsafe load(.gate($0), u, count) },
        states: Planes(count: C.statePlanes) { unsafe load(.previous($0), u, count) },
        units: Planes(count: C.unitPlanes) { unsafe load(.unit($0), u, count) })
    }

    /// ∂L/∂states: what is carried, and for h what the loss adds at this step.
    @inlinable @inline(__always)
    func gradients(_ u: Int, _ count: Int) -> Planes<V> {
      Planes(count: C.statePlanes) {
        let carried = unsafe load(.gradient($0), u, count)
        guard $0 == 0, let own = unsafe step.pointee.outputGradient else { return carried }
        return unsafe carried + load(own + (row * step.pointee.outputGradientStride + u), count)
      }
    }

    @inlinable @inline(__always)
    func backwardInput(_ u: Int, _ count: Int, gradients: Planes<V>) -> CellBackwardInput<V> {
      CellBackwardInput(
        saved: Planes(count: C.savedPlanes) { unsafe load(.saved($0), u, count) },
        previous: Planes(count: C.statePlanes) { unsafe load(.previous($0), u, count) },
        states: Planes(count: C.statePlanes) { unsafe load(.state($0), u, count) },
        units: Planes(count: C.unitPlanes) { unsafe load(.unit($0), u, count) }, gradients: gradients)
    }

    @inlinable @inline(__always)
    func forward(_ cell: C, _ u: Int, _ count: Int) {
      unsafe store(cell.forward(input(u, count)), u, count)
    }

    /// What a step leaves: its states, and for the tape what the cell keeps.
    @inlinable @inline(__always)
    func store(_ result: (states: Planes<V>, saved: Planes<V>), _ u: Int, _ count: Int) {
      result.states.forEach(count: C.statePlanes) { unsafe store($1, .state($0), u, count) }
      if unsafe step.pointee.saved == nil { return }
      result.saved.forEach(count: C.savedPlanes) { unsafe store($1, .saved($0), u, count) }
    }

    @inlinable @inline(__always)
    func operand(_ cell: C, _ u: Int, _ count: Int) {
      unsafe store(cell.operand(input(u, count)), .operand, u, count)
    }

    /// Asks for what the tape holds of a later row, which lies beyond L2.
    @inlinable @inline(__always)
    func prefetchTape(_ u: Int) {
      let later = unsafe row &+ FusedCellKernel.rowsAhead
      for plane in 0..<C.savedPlanes {
        let (base, stride) = unsafe step.pointee.source(.saved(plane))
        unsafe recurrence_prefetch(base + (later &* stride &+ u))
      }
      for plane in 1..<C.statePlanes {
        let (base, stride) = unsafe step.pointee.source(.previous(plane))
        unsafe recurrence_prefetch(base + (later &* stride &+ u))
      }
    }

    @inlinable @inline(__always)
    func backward(_ cell: C, _ u: Int, _ count: Int) {
      let result = unsafe cell.backward(backwardInput(u, count, gradients: gradients(u, count)))
      unsafe store(result, u, count, adding: false)
    }

    @inlinable @inline(__always)
    func backwardWithTotals(_ cell: C, _ u: Int, _ count: Int) {
      let input = unsafe backwardInput(u, count, gradients: gradients(u, count))
      // What the two have in common is computed once.
      let (result, totals) = (cell.backward(input), cell.totalGradients(input))
      unsafe store(result, u, count, adding: false)
      let base = unsafe step.pointee.totals! + (row * step.pointee.totalsStride + u)
      totals.forEach(count: C.statePlanes) { plane, value in
        if plane == 0 { return }
        let place = unsafe base + (plane - 1) * step.pointee.units
        if count == V.lanes {
          unsafe value.store(place)
        } else {
          unsafe value.store(place, count: count)
        }
      }
    }

    @inlinable @inline(__always)
    func operandBackward(_ cell: C, _ u: Int, _ count: Int) {
      let input = unsafe backwardInput(u, count, gradients: Planes())
      unsafe store(cell.savedOperand(input), .operand, u, count)
      let result = unsafe cell.operandBackward(input, gradient: load(.operand, u, count))
      unsafe store(result, u, count, adding: true)
    }

    @inlinable @inline(__always)
    func store(_ result: CellGradients<V>, _ u: Int, _ count: Int, adding: Bool) {
      result.gates.forEach(count: C.gatePlanes) { unsafe store($1, .gate($0), u, count, adding: adding) }
      result.units.forEach(count: C.unitPlanes) { unsafe store($1, .unit($0), u, count, adding: adding) }
      result.previous.forEach(count: C.statePlanes) { unsafe store($1, .previous($0), u, count, adding: adding) }
    }
  }

  @usableFromInline typealias Pairs = FusedCellKernel<VectorPair<V>, C>
  @inlinable @inline(__always) static var lanes: Int { V.lanes }
  /// Whether two vectors of units at a time are in the registers with all that the mathematics makes of them.
  @inlinable @inline(__always) static var worksInPairs: Bool { V.registers == 32 }

  /// Rows from the one at hand to the one that is asked for.
  @inlinable @inline(__always) static var rowsAhead: Int { 4 }

  // The loop over rows and vectors, five times: as a closure of one shared loop, the body was called for every vector.

  @inlinable @inline(__always)
  static func forward(
    _ cell: C, _ step: UnsafePointer<CellStep<Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    let rest = unsafe Range(
      uncheckedBounds: (
        worksInPairs ? units.upperBound - units.count % Pairs.lanes : units.lowerBound, units.upperBound
      ))
    if rest.lowerBound > units.lowerBound {
      unsafe forwardInPairs(cell, step, rows: rows, units: units.lowerBound..<rest.lowerBound)
    }
    if !rest.isEmpty { unsafe forwardVectors(cell, step, rows: rows, units: rest) }
  }

  @inlinable @inline(never)
  static func forwardVectors(
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

  /// Units that are whole pairs of vectors.
  @inlinable @inline(never)
  static func forwardInPairs(
    _ cell: C, _ step: UnsafePointer<CellStep<Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    for r in rows {
      let pairs = unsafe Pairs.Row(step, row: r)
      var u = units.lowerBound
      while u < units.upperBound {
        unsafe pairs.forward(cell, u, Pairs.lanes)
        u += Pairs.lanes
      }
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
        if r &+ rowsAhead < rows.upperBound { unsafe row.prefetchTape(u) }
        unsafe row.backward(cell, u, V.lanes)
        u += V.lanes
      }
      if u < units.upperBound { unsafe backwardRest(cell, row, u, units.upperBound - u) }
    }
  }

  @inlinable @inline(never)
  static func backwardWithTotals(
    _ cell: C, _ step: UnsafePointer<CellStep<Scalar>>, rows: Range<Int>, units: Range<Int>
  ) {
    for r in rows {
      let row = unsafe Row(step, row: r)
      var u = units.lowerBound
      while u + V.lanes <= units.upperBound {
        unsafe row.backwardWithTotals(cell, u, V.lanes)
        u += V.lanes
      }
      if u < units.upperBound { unsafe backwardWithTotalsRest(cell, row, u, units.upperBound - u) }
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
  static func backwardWithTotalsRest(_ cell: C, _ row: Row, _ u: Int, _ count: Int) {
    unsafe row.backwardWithTotals(cell, u, count)
  }

  @inlinable @inline(never)
  static func operandBackwardRest(_ cell: C, _ row: Row, _ u: Int, _ count: Int) {
    unsafe row.operandBackward(cell, u, count)
  }
}
