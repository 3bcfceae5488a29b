import RecurrenceKernels

// What the drivers leave behind for a measurement of the gradient flow, when asked to.
//
// Norms and sums are kept for each sequence, counts for each thread's part: threads share nothing, and what is added up
// afterwards is added in one order. Everything is written, never added to, so that a step which is run again, because
// the tape did not keep it, leaves the same.

/// Measurements of one pass over at most T steps and B sequences.
final class FlowRecorder<Scalar: RecurrenceScalar>: @unchecked Sendable {
  let shape: StackShape<Scalar>
  let schedule: RowSchedule
  let steps, batch, parts: Int
  let gates: [ObservedGate]
  private let bounds: [Observation<Scalar>.Bounds]
  /// [L, S, T + 1, B]: norms of states, and of ∂L/∂states.
  private let stateNorms, gradientNorms: Int
  /// [L, S, T + 1, parts, 3]: elements of ∂L/∂state that are tiny, zero, not finite.
  private let gradientCounts: Int
  /// [L, gates, T, B]: sums of a gate's values.
  private let gateSums: Int
  /// [L, gates, T, parts]: saturated values of a gate.
  private let gateCounts: Int
  /// [2, L, parts, 3]: where a pass first met a number that is not finite: step + 2 (1 for the
  /// initial state, 0 for nowhere), quantity, row.
  let places: Int
  private let numbers: AlignedBuffer<Double>
  /// [B, (S − 1)·H] of total gradients, [B, H] of a gate's values, and what kernels add rows up in.
  private let totals, values, sums, sumsStride: Int
  private let scratch: AlignedBuffer<Scalar>

  init(_ shape: StackShape<Scalar>, _ schedule: RowSchedule, steps: Int, batch: Int, parts: Int) {
    self.shape = shape
    self.schedule = schedule
    // No pass has more parts than sequences.
    (self.steps, self.batch, self.parts) = (steps, batch, max(1, min(parts, batch)))
    let parts = self.parts
    gates = shape.cell.observedGates
    bounds = gates.map { $0.bounds(Scalar.self) }
    let (layers, states) = (shape.layers, shape.plan.planes.states)
    var plan = SlabPlan<Double>()
    stateNorms = plan.reserve(layers, states, steps + 1, batch)
    gradientNorms = plan.reserve(layers, states, steps + 1, batch)
    gradientCounts = plan.reserve(layers * states, steps + 1, parts, 3)
    gateSums = plan.reserve(layers, gates.count, steps, batch)
    gateCounts = plan.reserve(layers, gates.count, steps, parts)
    places = plan.reserve(2, layers, parts, 3)
    numbers = AlignedBuffer(count: plan.count)
    var scratchPlan = SlabPlan<Scalar>()
    totals = scratchPlan.reserve(batch, shape.otherStride)
    values = scratchPlan.reserve(batch, shape.units)
    sumsStride = (shape.kernels.geometry.observationScratch + 15) / 16 * 16
    sums = scratchPlan.reserve(parts, sumsStride)
    scratch = AlignedBuffer(count: scratchPlan.count)
  }

  /// Forgets what a forward pass, or a backward pass, left.
  func reset(_ pass: FlowPass) {
    func clear(_ range: Range<Int>) {
      unsafe Recurrence.clear(UnsafeMutableBufferPointer(start: number(range.lowerBound), count: range.count))
    }
    let half = shape.layers * parts * 3
    switch pass {
    case .forward:
      clear(stateNorms..<gradientNorms)
      clear(gateSums..<places)
      clear(places..<(places + half))
    case .backward:
      clear(gradientNorms..<gateSums)
      clear((places + half)..<(places + 2 * half))
    }
  }

  // MARK: Where

  func number(_ index: Int) -> UnsafeMutablePointer<Double> { unsafe numbers.unsafePointer + index }

  private func stateIndex(_ layer: Int, _ state: Int, _ time: Int) -> Int {
    (layer * shape.plan.planes.states + state) * (steps + 1) + time
  }

  private func gateIndex(_ layer: Int, _ gate: Int, _ t: Int) -> Int { (layer * gates.count + gate) * steps + t }

  // MARK: Forwards

  /// Measures a step of some sequences after its mathematics.
  ///
  /// - Parameter input: what the caller gave to these sequences; nil in the layers above the first.
  func recordForward(_ step: CellStep<Scalar>, _ place: FlowStep, input: InputRows<Scalar>?) {
    let table = shape.kernels.table
    let (first, rows, units) = (place.first, place.rows, shape.units)
    let isFinite = unsafe table.isFinite(
      step.gates!, stride: step.gateStride, rows: rows, columns: shape.gateStride)
    var areStatesFinite = true
    for state in 0..<shape.plan.planes.states {
      let target = unsafe number(stateNorms + stateIndex(place.layer, state, place.t + 1) * batch + first)
      var observation =
        state == 0
        ? unsafe Observation(UnsafePointer(step.hidden!), stride: step.hiddenStride, rows: rows, units: units)
        : unsafe Observation(
          UnsafePointer(step.other! + (state - 1) * units), stride: step.otherStride, rows: rows, units: units)
      unsafe observation.squares = unsafe target
      if state == 0, let gate = gates.first, case .state(0) = gate.source {
        unsafe recordGate(0, observation, place)
      } else {
        _ = unsafe table.observe(observation)
      }
      if unsafe !squaresToNorms(target, observation) { areStatesFinite = false }
    }
    for (index, gate) in gates.enumerated() {
      switch gate.source {
      case .saved(let plane):
        unsafe recordGate(
          index,
          Observation(UnsafePointer(step.saved! + plane * units), stride: step.savedStride, rows: rows, units: units),
          place)
      case .gate(let plane):
        unsafe recordGate(index, activated(gate.activation, step, plane, first, rows), place)
      default: break
      }
    }
    if !isFinite || !areStatesFinite { unsafe noteForward(step, place, input) }
  }

  private func recordGate(_ gate: Int, _ given: Observation<Scalar>, _ place: FlowStep) {
    let index = gateIndex(place.layer, gate, place.t)
    var observation = unsafe given
    unsafe observation.sums = unsafe number(gateSums + index * batch + place.first)
    unsafe observation.scratch = unsafe scratch.unsafePointer + sums + place.part * sumsStride
    unsafe observation.bounds = bounds[gate]
    let counts = unsafe shape.kernels.table.observe(observation)
    unsafe number(gateCounts + index * parts + place.part).pointee = counts.below + counts.above
  }

  private func activated(
    _ activation: Activation, _ step: CellStep<Scalar>, _ plane: Int, _ first: Int, _ rows: Int
  ) -> Observation<Scalar> {
    let target = unsafe scratch.unsafePointer + values + first * shape.units
    let column = unsafe step.gateColumns[plane]
    for row in 0..<rows {
      unsafe shape.kernels.table.activation(
        activation, UnsafePointer(step.gates! + (row * step.gateStride + column)), target + row * shape.units,
        count: shape.units)
    }
    return unsafe Observation(UnsafePointer(target), stride: shape.units, rows: rows, units: shape.units)
  }

  /// Measures the states before the first step.
  func recordInitialStates(
    _ hidden: (Int) -> UnsafeMutablePointer<Scalar>, _ other: (Int) -> UnsafeMutablePointer<Scalar>, batch: Int
  ) {
    unsafe forEachInitial(hidden, other, batch) { observation, layer, state in
      let target = unsafe number(stateNorms + stateIndex(layer, state, 0) * self.batch)
      unsafe record(observation, target)
    }
  }

  private func forEachInitial(
    _ hidden: (Int) -> UnsafeMutablePointer<Scalar>, _ other: (Int) -> UnsafeMutablePointer<Scalar>, _ batch: Int,
    _ body: (Observation<Scalar>, Int, Int) -> Void
  ) {
    for layer in 0..<shape.layers {
      for state in 0..<shape.plan.planes.states {
        let observation =
          state == 0
          ? unsafe Observation(UnsafePointer(hidden(layer)), stride: shape.units, rows: batch, units: shape.units)
          : unsafe Observation(
            UnsafePointer(other(layer) + (state - 1) * shape.units), stride: shape.otherStride, rows: batch,
            units: shape.units)
        unsafe body(observation, layer, state)
      }
    }
  }

  @discardableResult
  private func record(_ given: Observation<Scalar>, _ target: UnsafeMutablePointer<Double>) -> Bool {
    var observation = unsafe given
    unsafe observation.squares = unsafe target
    _ = unsafe shape.kernels.table.observe(observation)
    return unsafe squaresToNorms(target, observation)
  }

  // MARK: Backwards

  /// Measures ∂L/∂states of a step before its backward, as far as they are known then: what is carried from later steps,
  /// and what the output adds.
  func recordBackward(_ step: CellStep<Scalar>, _ place: FlowStep) {
    var observation = unsafe Observation(
      UnsafePointer(step.hiddenGradient!), stride: step.hiddenGradientStride, rows: place.rows, units: shape.units)
    unsafe (observation.addend, observation.addendStride) = unsafe (step.outputGradient, step.outputGradientStride)
    unsafe recordGradient(observation, 0, place)
    if !shape.cell.knowsTotalGradients { unsafe recordOthers(step.otherGradient!, place) }
  }

  /// Where the backward of a step leaves total gradients: [rows, (S − 1)·H].
  func totals(_ place: FlowStep) -> UnsafeMutablePointer<Scalar> {
    unsafe scratch.unsafePointer + totals + place.first * shape.otherStride
  }

  /// Measures ∂L/∂states besides h, after the backward of a step.
  func recordTotals(_ place: FlowStep) {
    if !shape.cell.knowsTotalGradients { return }
    unsafe recordOthers(totals(place), place)
  }

  private func recordOthers(_ base: UnsafeMutablePointer<Scalar>, _ place: FlowStep) {
    for state in 0..<shape.otherStates {
      unsafe recordGradient(
        Observation(
          UnsafePointer(base + state * shape.units), stride: shape.otherStride, rows: place.rows, units: shape.units),
        state + 1, place)
    }
  }

  /// Measures ∂L/∂(initial states).
  func recordInitialGradients(
    _ hidden: (Int) -> UnsafeMutablePointer<Scalar>, _ other: (Int) -> UnsafeMutablePointer<Scalar>, batch: Int
  ) {
    unsafe forEachInitial(hidden, other, batch) { observation, layer, state in
      unsafe recordGradient(
        observation, state, FlowStep(layer: layer, t: -1, part: 0, first: 0, rows: batch))
      unsafe noteInitialGradient(
        state, layer: layer, UnsafePointer(number(gradientNorms + stateIndex(layer, state, 0) * self.batch)),
        batch: batch)
    }
  }

  private func recordGradient(_ given: Observation<Scalar>, _ state: Int, _ place: FlowStep) {
    let index = stateIndex(place.layer, state, place.t + 1)
    let target = unsafe number(gradientNorms + index * batch + place.first)
    var observation = unsafe given
    unsafe observation.squares = unsafe target
    unsafe observation.bounds = Observation.Bounds(lower: Self.tiny, upper: 0, ofMagnitude: true)
    let counts = unsafe shape.kernels.table.observe(observation)
    let slot = unsafe number(gradientCounts + (index * parts + place.part) * 3)
    unsafe slot[0] = counts.below
    unsafe slot[1] = unsafe Double(place.rows * observation.units) - counts.above
    if unsafe !squaresToNorms(target, observation) { unsafe countNonFinite(observation, slot) }
  }

  /// 2⁻¹⁰⁰: below it a Float is not far from the subnormal numbers, which are zero inside the drivers.
  private static var tiny: Scalar { Scalar(sign: .plus, exponent: -100, significand: 1) }

  /// Counts again, where a number is not finite: the numbers' order says nothing of NaN.
  private func countNonFinite(_ observation: Observation<Scalar>, _ slot: UnsafeMutablePointer<Double>) {
    unsafe (slot[1], slot[2]) = (0, 0)
    for row in unsafe 0..<observation.rows {
      for unit in unsafe 0..<observation.units {
        let value = unsafe observation.element(row, unit)
        if value == 0 { unsafe slot[1] += 1 }
        if !value.isFinite { unsafe slot[2] += 1 }
      }
    }
  }

  /// Root of each sum of squares; where the squares of Doubles have left the range of Double, of scaled ones. Returns
  /// whether all are finite.
  private func squaresToNorms(_ squares: UnsafeMutablePointer<Double>, _ observation: Observation<Scalar>) -> Bool {
    var isFinite = true
    for row in unsafe 0..<observation.rows {
      let square = unsafe squares[row]
      unsafe squares[row] = square.squareRoot()
      if square.isFinite && (square > 0x1p-900 || Scalar.self == Float.self) { continue }
      unsafe squares[row] = unsafe observation.scaledNorm(row)
      if unsafe !squares[row].isFinite { isFinite = false }
    }
    return isFinite
  }

  // MARK: Results

  /// The norm over all sequences, of T + 1 states. Scaled by the largest: the squares may leave the range of Double.
  func norms(of what: FlowPass, layer: Int, state: Int, steps: Int, batch: Int) -> [Double] {
    let base = what == .forward ? stateNorms : gradientNorms
    return (0...steps).map { time in
      let norms = unsafe UnsafeBufferPointer(
        start: number(base + stateIndex(layer, state, time) * self.batch), count: batch)
      return unsafe combinedNorm(norms)
    }
  }

  /// Tiny, zero and non-finite elements of ∂L/∂state.
  func counts(layer: Int, state: Int, time: Int) -> (tiny: Double, zero: Double, nonFinite: Double) {
    let base = unsafe number(gradientCounts + stateIndex(layer, state, time) * parts * 3)
    var sums = (0.0, 0.0, 0.0)
    for part in 0..<parts {
      sums = unsafe (sums.0 + base[part * 3], sums.1 + base[part * 3 + 1], sums.2 + base[part * 3 + 2])
    }
    return sums
  }

  /// The sum of a gate's values in a step, and how many are saturated.
  func gate(_ gate: Int, layer: Int, t: Int, batch: Int) -> (sum: Double, saturated: Double) {
    let index = gateIndex(layer, gate, t)
    var (sum, saturated) = (0.0, 0.0)
    for row in 0..<batch { unsafe sum += number(gateSums + index * self.batch + row).pointee }
    for part in 0..<parts { unsafe saturated += number(gateCounts + index * parts + part).pointee }
    return (sum, saturated)
  }

  /// Where a pass first met a number that is not finite in a layer.
  func firstNonFinite(_ pass: FlowPass, layer: Int) -> (t: Int, quantity: Int, row: Int)? {
    var first: (t: Int, quantity: Int, row: Int)? = nil
    for part in 0..<parts {
      let base = unsafe number(places + (((pass == .forward ? 0 : shape.layers) + layer) * parts + part) * 3)
      if unsafe base[0] == 0 { continue }
      let found = unsafe (t: Int(base[0]) - 2, quantity: Int(base[1]), row: Int(base[2]))
      guard let best = first else {
        first = found
        continue
      }
      let isEarlier = pass == .forward ? found.t < best.t : found.t > best.t
      if isEarlier || found.t == best.t && (found.quantity, found.row) < (best.quantity, best.row) { first = found }
    }
    return first
  }
}

/// The step, sequences and thread that a measurement is of.
struct FlowStep {
  let layer: Int
  /// −1 for the states before the first step.
  let t: Int
  let part: Int
  /// Place of the first sequence in the schedule.
  let first: Int
  let rows: Int
}

enum FlowPass: Sendable {
  case forward, backward
}

extension Observation where Scalar: RecurrenceScalar {
  func element(_ row: Int, _ unit: Int) -> Scalar {
    let value = unsafe values[row * stride + unit]
    guard let addend = unsafe addend else { return value }
    return unsafe value + addend[row * addendStride + unit]
  }

  /// The norm of a row whose squares may leave the range of Double.
  func scaledNorm(_ row: Int) -> Double { unsafe Recurrence.scaledNorm(units) { unsafe element(row, $0).asDouble } }
}

/// √Σ x², where the squares may leave the range of Double.
func combinedNorm(_ values: UnsafeBufferPointer<Double>) -> Double {
  scaledNorm(values.count) { unsafe values[$0] }
}

/// √Σ x², scaled by a power of two, so that no bit is lost where the squares would leave the range of Double.
private func scaledNorm(_ count: Int, _ element: (Int) -> Double) -> Double {
  var largest = 0.0
  for index in 0..<count {
    let magnitude = abs(element(index))
    if !(magnitude <= largest) { largest = magnitude }
    if largest.isNaN { return largest }
  }
  if largest == 0 || !largest.isFinite { return largest }
  let scale = Double(sign: .plus, exponent: max(-1022, min(1022, -Int(largest.exponent))), significand: 1)
  var sum = 0.0
  for index in 0..<count {
    let value = element(index) * scale
    sum += value * value
  }
  return sum.squareRoot() / scale
}
