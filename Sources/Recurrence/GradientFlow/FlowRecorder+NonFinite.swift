import RecurrenceKernels

// Where passes first meet numbers that are not finite. Kernels tell whether a step has any, at the cost of one operation
// a vector; only then is it searched.

extension FlowRecorder {
  /// Finds where a forward pass met the first number that is not finite.
  func noteForward(_ step: CellStep<Scalar>, _ place: FlowStep, _ input: InputRows<Scalar>?) {
    let found = unsafe number(places + (place.layer * parts + place.part) * 3)
    if unsafe found[0] != 0 && found[0] <= Double(place.t + 2) { return }
    let plan = shape.plan
    func note(_ quantity: Int, _ row: Int) {
      unsafe (found[0], found[1], found[2]) = (Double(place.t + 2), Double(quantity), Double(row))
    }
    if let input = unsafe input, let row = unsafe firstRow(input, place) {
      return note(FlowQuantity.input, row)
    }
    if place.t == 0 {
      for state in 0..<plan.planes.states {
        let (base, stride) =
          state == 0
          ? unsafe (step.previousHidden!, step.previousHiddenStride)
          : unsafe (step.previousOther! + (state - 1) * shape.units, step.previousOtherStride)
        if let row = unsafe firstRow(base, stride, place, shape.units) {
          return note(FlowQuantity.initialState(state), row)
        }
      }
    }
    if let (gate, row) = unsafe firstGate(step, place) { return note(FlowQuantity.gate(gate), row) }
    for state in 0..<plan.planes.states {
      let (base, stride) =
        state == 0
        ? unsafe (step.hidden!, step.hiddenStride)
        : unsafe (step.other! + (state - 1) * shape.units, step.otherStride)
      if let row = unsafe firstRow(UnsafePointer(base), stride, place, shape.units) {
        return note(FlowQuantity.state(state), row)
      }
    }
  }

  /// Finds where a backward pass met the first one: called after the backward of a step.
  func checkBackward(_ step: CellStep<Scalar>, _ place: FlowStep) {
    let isFinite = unsafe shape.kernels.table.isFinite(
      step.gates!, stride: step.gateStride, rows: place.rows, columns: shape.gradientStride)
    if isFinite { return }
    let found = unsafe number(places + ((shape.layers + place.layer) * parts + place.part) * 3)
    // The way back begins at the last step.
    if unsafe found[0] != 0 && found[0] >= Double(place.t + 2) { return }
    var (quantity, row) = (0, 0)
    if place.layer == shape.layers - 1, let own = unsafe step.outputGradient,
      let first = unsafe firstRow(own, step.outputGradientStride, place, shape.units)
    {
      (quantity, row) = (FlowQuantity.outputGradient, first)
    } else if let (gate, first) = unsafe firstGate(step, place) {
      (quantity, row) = (FlowQuantity.gate(gate), first)
    } else {
      return
    }
    unsafe (found[0], found[1], found[2]) = (Double(place.t + 2), Double(quantity), Double(row))
  }

  /// Notes a derivative with respect to an initial state that is not finite, where none was before it.
  func noteInitialGradient(_ state: Int, layer: Int, _ norms: UnsafePointer<Double>, batch: Int) {
    let found = unsafe number(places + (shape.layers + layer) * parts * 3)
    if unsafe found[0] != 0 { return }
    let rows = (0..<batch).filter { unsafe !norms[$0].isFinite }.map { schedule.row($0) }
    guard let row = rows.min() else { return }
    unsafe (found[0], found[1], found[2]) = (1, Double(FlowQuantity.initialState(state)), Double(row))
  }

  /// The first gate in public order, and its first row, with a number that is not finite.
  private func firstGate(_ step: CellStep<Scalar>, _ place: FlowStep) -> (gate: Int, row: Int)? {
    let plan = shape.plan
    for gate in 0..<plan.gates {
      let apart = plan.apartGates.firstIndex(of: gate).map { plan.gates + $0 }
      let found = [gate, apart].compactMap { plane -> Int? in
        guard let plane else { return nil }
        return unsafe firstRow(
          UnsafePointer(step.gates! + step.gateColumns[plane]), step.gateStride, place, shape.units)
      }
      if let row = found.min() { return (gate, row) }
    }
    return nil
  }

  /// The caller's first row with a number that is not finite.
  private func firstRow(_ x: UnsafePointer<Scalar>, _ stride: Int, _ place: FlowStep, _ columns: Int) -> Int? {
    unsafe firstRow(InputRows(base: x, width: columns, stride: stride), place)
  }

  private func firstRow(_ x: InputRows<Scalar>, _ place: FlowStep) -> Int? {
    var first: Int? = nil
    for row in 0..<place.rows {
      let elements = unsafe x.row(row)
      for column in unsafe 0..<x.width where unsafe !elements[column].isFinite {
        first = min(first ?? .max, schedule.row(place.first + row))
        break
      }
    }
    return first
  }
}

/// Rows of a matrix: one after the other, or each where its number says.
@unsafe struct InputRows<Scalar: RecurrenceScalar> {
  let base: UnsafePointer<Scalar>
  let width: Int
  private let stride: Int
  private let numbers: UnsafePointer<Int32>?

  init(base: UnsafePointer<Scalar>, width: Int, stride: Int? = nil, numbers: UnsafePointer<Int32>? = nil) {
    unsafe self.base = unsafe base
    unsafe self.width = width
    unsafe self.stride = stride ?? width
    unsafe self.numbers = unsafe numbers
  }

  func row(_ index: Int) -> UnsafePointer<Scalar> {
    unsafe base + (numbers.map { unsafe Int($0[index]) } ?? index) * stride
  }
}

/// Quantities as numbers, in the order in which they are looked at.
enum FlowQuantity {
  static let input = -2 * limit
  /// ∂L/∂output of the loss itself.
  static let outputGradient = -2 * limit
  static func initialState(_ state: Int) -> Int { state - limit }
  static func gate(_ gate: Int) -> Int { gate }
  static func state(_ state: Int) -> Int { state + limit }
  /// More than there are planes of a kind.
  static let limit = 100
}
