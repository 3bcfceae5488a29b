import RecurrenceKernels

/// The memory of a `BackpropagationControl` at work.
///
/// Each thread writes to the rows of its own sequences, and to numbers of its own.
final class FlowControl<Scalar: RecurrenceScalar>: @unchecked Sendable {
  let policy: BackpropagationControl
  private let shape: StackShape<Scalar>
  private let batch, parts, chunkRows: Int
  /// [L, chunk·B, H]: what multiplies δa in dU, h_{t−1} and the factor of ∂Ω/∂U. Their sum, and not one product for each:
  /// then dU is one sum over steps, whose order does not depend on chunks.
  private let factors: AlignedBuffer<Scalar>
  private let numbers: AlignedBuffer<Double>
  /// [B]: ‖δ_t‖² of the step at hand. [L, B]: Σ_t of the terms of Ω. [parts]: clipped steps. [B]: whether the
  /// step at hand was clipped.
  private let squares, penalties, clipped, marks: Int
  /// Steps of sequences in this pass, N.
  private var rows = 0

  init(_ policy: BackpropagationControl, _ shape: StackShape<Scalar>, batch: Int, parts: Int, chunk: Int) {
    if let complaint = policy.complaint { fatalError(complaint) }
    if policy.normPreservation > 0, shape.stages > 1 {
      fatalError("normPreservation: expected a cell of one stage, got one of two")
    }
    self.policy = policy
    self.shape = shape
    (self.batch, self.parts) = (batch, parts)
    chunkRows = chunk * batch
    factors = AlignedBuffer(count: policy.normPreservation > 0 ? shape.layers * chunkRows * shape.units : 0)
    var plan = SlabPlan<Double>()
    squares = plan.reserve(batch)
    penalties = plan.reserve(shape.layers, batch)
    (clipped, marks) = (plan.reserve(parts), plan.reserve(batch))
    numbers = AlignedBuffer(count: plan.count)
  }

  var regularizes: Bool { policy.normPreservation > 0 }

  func begin(rows: Int) {
    self.rows = rows
    unsafe clear(UnsafeMutableBufferPointer(start: numbers.unsafePointer, count: numbers.count))
  }

  var outcome: BackpropagationOutcome {
    var result = BackpropagationOutcome(clippedSteps: 0, steps: rows * shape.layers, normPenalties: [])
    for part in 0..<parts { unsafe result.clippedSteps += Int(number(clipped + part).pointee) }
    if !regularizes { return result }
    for layer in 0..<shape.layers {
      var sum = 0.0
      for row in 0..<batch { unsafe sum += number(penalties + layer * batch + row).pointee }
      result.normPenalties.append(rows == 0 ? 0 : sum / Double(rows))
    }
    return result
  }

  private func number(_ index: Int) -> UnsafeMutablePointer<Double> { unsafe numbers.unsafePointer + index }

  // MARK: Clipping

  /// Clips δa of a step, as far as it is known: in a cell of two stages, after each.
  func clip(_ step: CellStep<Scalar>, _ place: FlowStep, stage: Int) {
    guard let clipping = policy.stepClipping else { return }
    let kernels = shape.kernels
    let count = shape.gateStride
    for row in 0..<place.rows {
      let mark = unsafe number(marks + place.first + row)
      if stage == 0 { unsafe mark.pointee = 0 }
      let δ = unsafe step.gates! + row * step.gateStride
      switch clipping {
      case .value(let value):
        if unsafe kernels.table.clamp(δ, count: count, Scalar(-value), Scalar(value)) > 0 { unsafe mark.pointee = 1 }
      case .norm(let limit):
        let norm = unsafe ScaledNorm(UnsafePointer(δ), count: count, kernels: kernels)
        if norm.isFinite, norm.exceeds(limit, count: count) {
          unsafe norm.scale(δ, count: count, to: limit, kernels.table)
          unsafe mark.pointee = 1
        }
      }
      // A step counts once.
      if stage == shape.stages - 1 { unsafe number(clipped + place.part).pointee += mark.pointee }
    }
  }

  // MARK: Ω

  /// Notes ‖δ_t‖² and h_{t−1} before the backward of step t.
  func openRatios(_ step: CellStep<Scalar>, _ place: FlowStep, _ chunk: Range<Int>, _ schedule: RowSchedule) {
    if !regularizes { return }
    let target = unsafe factors(place.layer, t: place.t, first: place.first, chunk, schedule)
    for row in 0..<place.rows {
      unsafe (target + row * shape.units)
        .update(from: step.previousHidden! + row * step.previousHiddenStride, count: shape.units)
    }
    var observation = unsafe Observation(
      UnsafePointer(step.hiddenGradient!), stride: step.hiddenGradientStride, rows: place.rows, units: shape.units)
    unsafe (observation.addend, observation.addendStride) = unsafe (step.outputGradient, step.outputGradientStride)
    unsafe observation.squares = unsafe number(squares + place.first)
    _ = unsafe shape.kernels.table.observe(observation)
  }

  /// Takes v_t, once the product of step t is done: adds the factors of ∂Ω/∂U, and the terms of Ω.
  func closeRatios(
    _ v: UnsafeMutablePointer<Scalar>, _ place: FlowStep, _ chunk: Range<Int>, _ schedule: RowSchedule
  ) {
    if !regularizes { return }
    let (units, first) = (shape.units, place.first)
    let target = unsafe factors(place.layer, t: place.t, first: first, chunk, schedule)
    for row in 0..<place.rows {
      let source = unsafe v + row * units
      let square = unsafe number(squares + first + row).pointee
      if !(square >= 1e-20 && square.isFinite) { continue }
      let excess = unsafe shape.kernels.table.sumOfSquares(source, count: units, factor: 1) / square - 1
      unsafe number(penalties + place.layer * batch + first + row).pointee += excess * excess
      let factor = Scalar(policy.normPreservation * 4 / Double(self.rows) * excess / square)
      let own = unsafe target + row * units
      for unit in 0..<units { unsafe own[unit] += factor * source[unit] }
    }
  }

  private func factors(
    _ layer: Int, t: Int, first: Int, _ chunk: Range<Int>, _ schedule: RowSchedule
  ) -> UnsafeMutablePointer<Scalar> {
    let row = schedule.offset(t) - schedule.offset(chunk.lowerBound) + first
    return unsafe factors.unsafePointer + (layer * chunkRows + row) * shape.units
  }

  /// What multiplies δa of the rows of a chunk, [rows, H].
  func factors(_ layer: Int, rows: Int) -> MatrixView<Scalar> {
    unsafe MatrixView(
      UnsafePointer(factors.unsafePointer + layer * chunkRows * shape.units), rows: rows, columns: shape.units)
  }
}
