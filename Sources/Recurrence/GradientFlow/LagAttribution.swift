import RecurrenceKernels

// dU = Σ_s Σ_{t ≤ s} (∂L_s/∂a_t)ᵀ h_{t−1}: the loss of step s, by way of the use of U in step t, at lag s − t. Norms of the
// parts do not add up to the norm of the whole; projections do:
//
//   share(lag) = ⟨dU_lag, dU⟩ / ‖dU‖²,   Σ_lag share = 1
//
// As ⟨δaᵀ h, dU⟩ = δa · (dU h), one number is left of each use, and no part of dU is ever formed.

/// From which lags the gradient of a layer's recurrent weights comes.
public struct LagAttribution: Hashable, Sendable {
  /// share(lag), lag = loss step − use step from 0 to T − 1. They sum to 1, and each may be negative: a part that points
  /// against the whole. All 0 where dU is.
  public let shares: [Double]
  /// ‖dU‖.
  public let norm: Double

  /// The share of a range of lags: `share(0...10)`, `share(11...100)`, `share(101...)`.
  public func share(_ lags: some RangeExpression<Int>) -> Double {
    shares.indices.reduce(0) { lags.contains($1) ? $0 + shares[$1] : $0 }
  }
}

extension RecurrentStack {
  /// Tells the gradient of a layer's U apart by lag.
  ///
  /// Every step that has a loss takes a backward pass of its own from there to the first step, without weight gradients: for
  /// a loss at every step, some T/6 training steps in all; for one at the last step alone, less than one.
  ///
  /// - Parameters:
  ///   - input: [T, B, I].
  ///   - outputGradients: ∂L/∂outputs of the top layer, [T, B, H].
  ///
  /// Throws `ShapeError` where a size does not fit. Traps where there is no such layer.
  public func lagAttribution(
    _ input: [Scalar], steps: Int, batch: Int, outputGradients: [Scalar], layer: Int = 0,
    initialStates: RecurrentStates<Scalar>? = nil
  ) throws(ShapeError) -> LagAttribution {
    if !(0..<layers).contains(layer) { fatalError("layer: expected 0 to \(layers - 1), got \(layer)") }
    if steps < 0 { throw ShapeError("steps", expected: "at least 0", actual: "\(steps)") }
    if batch < 0 { throw ShapeError("batch", expected: "at least 0", actual: "\(batch)") }
    try ShapeError.check("outputGradients", outputGradients.count, is: ("T", steps), ("B", batch), ("H", units))
    var tape = makeTape(steps: steps, batch: batch)
    var states = initialStates ?? makeStates(batch: batch)
    var outputs = [Scalar](repeating: 0, count: steps * batch * units)
    try forward(input, steps: steps, batch: batch, states: &states, outputs: &outputs, tape: &tape)
    var gradient = makeGradient()
    var inputGradients = [Scalar](repeating: 0, count: steps * batch * inputs)
    var stateGradients = makeStates(batch: batch)
    try backward(
      input, outputGradients: .everyStep(outputGradients), stateGradients: &stateGradients, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
    let dU = gradient["U", layer: layer].map(\.asDouble)
    let recorder = LagRecorder(shape, layer: layer, dU, steps: steps, batch: batch)
    tape.memory.lags = recorder
    let width = batch * units
    for s in 0..<steps where outputGradients[(s * width)..<((s + 1) * width)].contains(where: { $0 != 0 }) {
      var alone = [Scalar](repeating: 0, count: outputGradients.count)
      alone.replaceSubrange((s * width)..<((s + 1) * width), with: outputGradients[(s * width)..<((s + 1) * width)])
      recorder.lossStep = s
      var states = makeStates(batch: batch)
      pullBack(&states, input, &tape, outputGradients: alone, steps: s + 1)
    }
    let square = dU.reduce(0) { $0 + $1 * $1 }
    return LagAttribution(
      shares: recorder.sums.map { square == 0 ? 0 : $0 / square }, norm: square.squareRoot())
  }
}

/// Gathers ⟨(∂L_s/∂a_t)ᵀ h_{t−1}, dU⟩ on the way back from step s. For one thread.
final class LagRecorder<Scalar: RecurrenceScalar>: @unchecked Sendable {
  private let shape: StackShape<Scalar>
  private let layer, batch: Int
  /// [G·H, H].
  private let dU: [Double]
  /// dU h_{t−1}, [T, B, G·H], of steps that have been met.
  private var products: [[Double]]
  var lossStep = 0
  /// By lag.
  private(set) var sums: [Double]

  init(_ shape: StackShape<Scalar>, layer: Int, _ dU: [Double], steps: Int, batch: Int) {
    self.shape = shape
    self.layer = layer
    self.batch = batch
    self.dU = dU
    products = [[Double]](repeating: [], count: steps)
    sums = [Double](repeating: 0, count: steps)
  }

  func record(_ step: CellStep<Scalar>, _ place: FlowStep) {
    if place.layer != layer || place.t > lossStep { return }
    if products[place.t].isEmpty { products[place.t] = unsafe multiply(step) }
    let width = shape.plan.gates * shape.units
    var sum = 0.0
    unsafe products[place.t].withUnsafeBufferPointer { products in
      forEachRun { run, _ in
        for row in 0..<batch {
          let δ = unsafe step.gates! + (row * step.gateStride + run.position * shape.units)
          let product = row * width + run.gate * shape.units
          for i in 0..<(run.count * shape.units) { sum += unsafe δ[i].asDouble * products[product + i] }
        }
      }
    }
    sums[lossStep - place.t] += sum
  }

  private func forEachRun(_ body: (CellPlan.Run, _ stage: Int) -> Void) {
    for (stage, runs) in shape.plan.recurrentRuns.enumerated() {
      for run in runs { body(run, stage) }
    }
  }

  /// dU times what U was multiplied with in a step.
  private func multiply(_ step: CellStep<Scalar>) -> [Double] {
    let (units, width) = (shape.units, shape.plan.gates * shape.units)
    var result = [Double](repeating: 0, count: batch * width)
    forEachRun { run, stage in
      for row in 0..<batch {
        let used =
          stage == 0
          ? unsafe step.previousHidden! + row * step.previousHiddenStride
          : unsafe UnsafePointer(step.operand! + row * step.operandStride)
        for i in (run.gate * units)..<((run.gate + run.count) * units) {
          var product = 0.0
          for j in 0..<units { product += unsafe dU[i * units + j] * used[j].asDouble }
          result[row * width + i] = product
        }
      }
    }
    return result
  }
}
