import RecurrenceKernels

/// The weights of a stack, in the order that the forward's kernels read them.
///
/// Made whole and then never changed, so that any number of threads may read it; the owner makes it anew, in the same
/// memory where nobody else holds it, when a parameter changes.
final class PackedStack<Scalar: RecurrenceScalar>: @unchecked Sendable {
  private let memory: AlignedBuffer<Scalar>
  private let offsets: [Offsets]
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
    staging = slab.reserve(stagingCount(shape))
    memory = AlignedBuffer(count: slab.count)
  }

  /// Packs all parameters.
  func pack(_ parameters: UnsafePointer<Scalar>, _ shape: StackShape<Scalar>) {
    let staging = unsafe memory.unsafePointer + staging
    let plan = shape.plan
    let units = shape.units
    for layer in 0..<shape.layers {
      let place = offsets[layer]
      let w = unsafe ordered(
        parameters + shape.offsets[layer].w, plan, plan.inputs, columns: shape.inputs(of: layer),
        units: units, staging: staging)
      unsafe shape.kernels.table.packRows(w, into: memory.unsafePointer + place.w)
      for (stage, positions) in plan.recurrent.enumerated() {
        let u = unsafe ordered(
          parameters + shape.offsets[layer].u, plan, positions, columns: units, units: units,
          staging: staging)
        unsafe shape.kernels.table.packRows(u, into: memory.unsafePointer + place.u[stage])
      }
      unsafe packBiases(parameters, shape, layer: layer)
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

/// The rows of `weights` that belong to the gates at `positions`, in this order: as they lie, or copied to `staging`.
func ordered<Scalar: RecurrenceScalar>(
  _ weights: UnsafePointer<Scalar>, _ plan: CellPlan, _ positions: Range<Int>, columns: Int, units: Int,
  staging: UnsafeMutablePointer<Scalar>
) -> MatrixView<Scalar> {
  let rows = positions.count * units
  // A stage may have no gates.
  if positions.isEmpty { return unsafe MatrixView(weights, rows: 0, columns: columns) }
  if plan.isInOrder(positions) {
    let first = unsafe weights + plan.gate[positions.lowerBound] * units * columns
    return unsafe MatrixView(first, rows: rows, columns: columns)
  }
  for (index, place) in positions.enumerated() {
    unsafe (staging + index * units * columns)
      .update(from: weights + plan.gate[place] * units * columns, count: units * columns)
  }
  return unsafe MatrixView(UnsafePointer(staging), rows: rows, columns: columns)
}

/// Elements of staging memory that packing a stack needs.
func stagingCount<Scalar: RecurrenceScalar>(_ shape: StackShape<Scalar>) -> Int {
  let plan = shape.plan
  let sides = [plan.inputs] + plan.recurrent
  guard sides.contains(where: { !plan.isInOrder($0) }) else { return 0 }
  return plan.gates * shape.units * max(shape.inputs, shape.units)
}
