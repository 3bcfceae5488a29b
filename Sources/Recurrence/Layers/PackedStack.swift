import RecurrenceKernels

/// The weights of a stack, in the order that the forward's kernels read them.
///
/// Made whole and then never changed, so that any number of threads may read it; the owner makes it anew, in the same
/// memory where nobody else holds it, when a parameter changes.
final class PackedStack<Scalar: RecurrenceScalar>: @unchecked Sendable {
  private let memory: AlignedBuffer<Scalar>
  private let offsets: [Offsets]
  /// One panel, where there are gates to be brought into another order.
  private let staging: Int

  private struct Offsets {
    let w: Int
    let u: [Int]
    let bias: Int
    let units: Int
  }

  init(_ shape: StackShape<Scalar>) {
    let plan = shape.plan
    var slab = SlabPlan<Scalar>()
    let table = shape.kernels.table
    var offsets: [Offsets] = []
    for layer in 0..<shape.layers {
      let gateRows = plan.gates * shape.units
      let w = slab.reserve(table.packedCount(outputs: gateRows, depth: shape.inputs(of: layer)))
      let u = plan.recurrent.map {
        slab.reserve(table.packedCount(outputs: $0.count * shape.units, depth: shape.units))
      }
      offsets.append(
        Offsets(
          w: w, u: u, bias: slab.reserve(plan.planes.gates, shape.units),
          units: slab.reserve(plan.planes.units, shape.units)))
    }
    self.offsets = offsets
    let isInOrder = ([plan.inputs] + plan.recurrent).allSatisfy(plan.isInOrder)
    staging = slab.reserve(isInOrder ? 0 : shape.kernels.geometry.panelWidth, max(shape.inputs, shape.units))
    memory = AlignedBuffer(count: slab.count)
  }

  /// Packs all parameters.
  func pack(_ parameters: UnsafePointer<Scalar>, _ shape: StackShape<Scalar>) {
    let plan = shape.plan
    for layer in 0..<shape.layers {
      let (from, place) = (shape.offsets[layer], offsets[layer])
      unsafe pack(parameters + from.w, plan.inputs, columns: shape.inputs(of: layer), shape, to: place.w)
      for (stage, positions) in plan.recurrent.enumerated() {
        unsafe pack(parameters + from.u, positions, columns: shape.units, shape, to: place.u[stage])
      }
      unsafe packBiases(parameters, shape, layer: layer)
    }
  }

  /// The rows of `weights` that belong to the gates at `positions`, in this order. Where they lie in another, panel by
  /// panel, and a panel whose rows are of several gates is copied together first.
  private func pack(
    _ weights: UnsafePointer<Scalar>, _ positions: Range<Int>, columns: Int, _ shape: StackShape<Scalar>, to offset: Int
  ) {
    let (plan, units, table) = (shape.plan, shape.units, shape.kernels.table)
    let (packed, staging) = unsafe (memory.unsafePointer + offset, memory.unsafePointer + staging)
    let outputs = positions.count * units
    if positions.isEmpty { return }
    if plan.isInOrder(positions) {
      let first = unsafe weights + plan.gate[positions.lowerBound] * units * columns
      return unsafe table.packRows(MatrixView(first, rows: outputs, columns: columns), from: 0, into: packed)
    }
    let width = shape.kernels.geometry.panelWidth
    var first = 0
    while first < outputs {
      let rows = min(width, outputs - first)
      func source(_ row: Int) -> UnsafePointer<Scalar> {
        let (place, unit) = (first + row).quotientAndRemainder(dividingBy: units)
        return unsafe weights + (plan.gate[positions.lowerBound + place] * units + unit) * columns
      }
      var panel = unsafe source(0)
      if first / units != (first + rows - 1) / units {
        for row in 0..<rows { unsafe (staging + row * columns).update(from: source(row), count: columns) }
        unsafe panel = UnsafePointer(staging)
      }
      unsafe table.packRows(MatrixView(panel, rows: rows, columns: columns), from: first, into: packed)
      first += width
    }
  }

  private func packBiases(_ parameters: UnsafePointer<Scalar>, _ shape: StackShape<Scalar>, layer: Int) {
    let plan = shape.plan
    let units = shape.units
    let bias = unsafe memory.unsafePointer + offsets[layer].bias
    let b = unsafe parameters + shape.offsets[layer].b
    for place in plan.inputs {
      unsafe (bias + place * units).update(from: b + plan.gate[place] * units, count: units)
    }
    for index in plan.apartGates.indices {
      let own = unsafe parameters + shape.offsets[layer].recurrentB + index * units
      unsafe (bias + plan.position[plan.gates + index] * units).update(from: own, count: units)
    }
    unsafe (memory.unsafePointer + offsets[layer].units)
      .update(from: parameters + shape.offsets[layer].units, count: plan.planes.units * units)
  }

  /// Where the packed weights begin: of other weights, elsewhere.
  var base: UnsafePointer<Scalar> { unsafe UnsafePointer(memory.unsafePointer) }
  func w(_ layer: Int) -> UnsafePointer<Scalar> { unsafe UnsafePointer(memory.unsafePointer + offsets[layer].w) }
  func u(_ layer: Int, stage: Int) -> UnsafePointer<Scalar> {
    unsafe UnsafePointer(memory.unsafePointer + offsets[layer].u[stage])
  }
  /// One row of biases, planes at their positions.
  func bias(_ layer: Int) -> UnsafePointer<Scalar> {
    unsafe UnsafePointer(memory.unsafePointer + offsets[layer].bias)
  }
  func unitParameters(_ layer: Int) -> UnsafePointer<Scalar> {
    unsafe UnsafePointer(memory.unsafePointer + offsets[layer].units)
  }
}
