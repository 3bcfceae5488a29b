import RecurrenceKernels

// From measurements to a verdict. With p_k the transport over k steps, k = 0 … T, p_0 = 1:
//
//   exploding   some p_k > 10³, or not finite; or a number of the forward pass is not
//   vanishing   otherwise, p at the lag that the task needs < 10⁻³
//   healthy     otherwise
//
// The transport decides, and not the gradient of a loss: one that looks at every step keeps ∂L/∂h_t large where nothing
// travels any more.

/// What a report is to be made of.
public struct GradientFlowOptions: Hashable, Sendable {
  /// The lag over which the task needs the gradient; nil for T.
  public var neededLag: Int?
  /// Lyapunov exponents of each layer, at most as many as it has state elements.
  public var exponents: Int
  public var threads: Int
  /// Of the directions that are drawn.
  public var seed: UInt64
  /// What clipping did in training so far; the report passes it on.
  public var clipping: GradientFlowReport.Clipping?

  public init(
    neededLag: Int? = nil, exponents: Int = 4, threads: Int = 1, seed: UInt64 = 0,
    clipping: GradientFlowReport.Clipping? = nil
  ) {
    self.neededLag = neededLag
    self.exponents = exponents
    self.threads = threads
    self.seed = seed
    self.clipping = clipping
  }
}

extension RecurrentStack {
  /// Measures the gradient flow on one batch.
  ///
  /// Costs about a hundred training steps: singular values and exponents take the most. `Tape.recordsGradientFlow` measures
  /// beside training at next to no cost.
  ///
  /// - Parameters:
  ///   - input: [T, B, I].
  ///   - initialStates: nil for zero.
  ///   - outputGradients: ∂L/∂outputs of the loss, [T, B, H]; nil for a unit cotangent on the last output, every element
  ///     1/√(B·H).
  ///
  /// Throws `ShapeError` where a size does not fit.
  public func gradientFlowReport(
    _ input: [Scalar], steps: Int, batch: Int, initialStates: RecurrentStates<Scalar>? = nil,
    outputGradients: [Scalar]? = nil, options: GradientFlowOptions = GradientFlowOptions()
  ) throws(ShapeError) -> GradientFlowReport {
    if steps < 0 { throw ShapeError("steps", expected: "at least 0", actual: "\(steps)") }
    if batch < 0 { throw ShapeError("batch", expected: "at least 0", actual: "\(batch)") }
    if let lag = options.neededLag, lag < 0 {
      throw ShapeError("neededLag", expected: "at least 0", actual: "\(lag)")
    }
    if let given = outputGradients {
      try ShapeError.check("outputGradients", given.count, is: ("T", steps), ("B", batch), ("H", units))
    }
    let initial = initialStates ?? makeStates(batch: batch)
    var options = options
    // More threads than sequences would only take memory.
    options.threads = min(options.threads, max(1, batch))
    let record = try recordFlow(input, steps, batch, initial, outputGradients, options)
    var report = GradientFlowReport(
      cell: CellKind(cell)?.rawValue ?? "\(C.self)", steps: steps, batch: batch, units: units,
      neededLag: options.neededLag ?? steps, layers: [], clipping: options.clipping,
      firstNonFinite: record.firstNonFinite)
    for layer in 0..<layers {
      try report.layers.append(measure(layer, input, initial, record.layers[layer], report, options))
    }
    return report
  }

  private func recordFlow(
    _ input: [Scalar], _ steps: Int, _ batch: Int, _ initial: RecurrentStates<Scalar>, _ given: [Scalar]?,
    _ options: GradientFlowOptions
  ) throws(ShapeError) -> GradientFlowRecord {
    var tape = makeTape(steps: steps, batch: batch, threads: options.threads)
    tape.recordsGradientFlow = true
    var states = initial
    var outputs = [Scalar](repeating: 0, count: steps * batch * units)
    try forward(input, steps: steps, batch: batch, states: &states, outputs: &outputs, tape: &tape)
    var gradients = makeStates(batch: batch)
    if given == nil {
      let size = Scalar(1 / Double(max(1, batch * units)).squareRoot())
      let top = (layers - 1) * batch * units
      for index in top..<(top + batch * units) { gradients.values[index] = size }
    }
    pullBack(&gradients, input, &tape, outputGradients: given)
    return tape.gradientFlow()
  }

  private func measure(
    _ index: Int, _ input: [Scalar], _ initial: RecurrentStates<Scalar>, _ record: GradientFlowRecord.Layer,
    _ report: GradientFlowReport, _ options: GradientFlowOptions
  ) throws(ShapeError) -> GradientFlowReport.Layer {
    var transport = try GradientTransport(
      self, layer: index, input: input, steps: report.steps, batch: report.batch, initialStates: initial,
      threads: options.threads)
    let profile = transport.profile(seed: options.seed)
    let values = transport.largestSingularValues(seed: options.seed)
    let exponents = transport.lyapunovExponents(count: max(1, options.exponents), seed: options.seed)
    let decay = TransportDecay(profile)
    let isBroken = isBroken(index, report)
    let verdict = isBroken ? .exploding : decay.verdict(lag: report.neededLag)
    return GradientFlowReport.Layer(
      index: index, record: record, transport: profile, halfLife: decay.halfLife, horizon: decay.horizon,
      largestSingularValue: values.reduce(0) { $1 > $0 || $1.isNaN ? $1 : $0 },
      lyapunovExponents: (0..<(exponents.first?.count ?? 0)).map { place in
        exponents.reduce(0) { $0 + $1[place] } / Double(exponents.count)
      },
      verdict: verdict, remedy: remedy(verdict, index, record, report))
  }

  /// Whether numbers of the forward pass are not finite in this layer: those of the layers below reach it.
  private func isBroken(_ layer: Int, _ report: GradientFlowReport) -> Bool {
    report.firstNonFinite.map { $0.pass == .forward && $0.layer <= layer } ?? false
  }

  /// The one remedy that fits.
  private func remedy(
    _ verdict: GradientVerdict, _ layer: Int, _ record: GradientFlowRecord.Layer, _ report: GradientFlowReport
  ) -> GradientRemedy {
    if isBroken(layer, report) { return .repair }
    let threshold = report.clipping?.suggestedThreshold ?? 1
    switch verdict {
    case .healthy: return .none
    case .exploding: return .clip(norm: threshold)
    case .vanishing:
      if let gate = C.forgetGate {
        // Already biased towards as long a memory: then it is what the gate is told that shuts it.
        let isBiased = record.gate(gate.name).map { isOpen($0, gate, lag: report.neededLag) } ?? false
        return isBiased ? .normPreservation(clippingNorm: threshold) : .chrono(longestLag: max(2, report.neededLag))
      }
      if CellKind(cell) == .rnnReLU { return .identity }
      let isSaturated = record.gates.contains { $0.saturation > 0.3 }
      if isSaturated || hasOrthogonalRows(layer) { return .gating(longestLag: max(2, report.neededLag)) }
      return .orthogonal
    }
  }

  private func isOpen(_ record: GradientFlowRecord.Gate, _ gate: ForgetGate, lag: Int) -> Bool {
    let kept = gate.keeps ? record.mean : 1 - record.mean
    return 1 / (1 - kept) >= Double(lag) / 4
  }

  /// Whether U Uᵀ is about the identity, for the first rows.
  private func hasOrthogonalRows(_ layer: Int) -> Bool {
    guard let u = layout.tensor("U", layer: layer) else { return false }
    let values = parameters.values[u.range]
    let rows = min(units, 32)
    for a in 0..<rows {
      for b in 0...a {
        var sum = 0.0
        for k in 0..<units {
          sum +=
            values[values.startIndex + a * units + k].asDouble * values[values.startIndex + b * units + k].asDouble
        }
        if abs(sum - (a == b ? 1 : 0)) > 0.1 { return false }
      }
    }
    return true
  }
}

/// What a transport profile says.
struct TransportDecay {
  /// p_k, from p_0 = 1 on.
  private let transport: [Double]

  static let vanished = 1e-3
  static let exploded = 1e3

  /// - Parameter profile: T + 1 numbers by time, as `GradientTransport.profile` gives them.
  init(_ profile: [Double]) { transport = profile.reversed() }

  /// ln p by steps, from a line through all lags (least squares) down to where p leaves 10⁻⁹ … 10⁹; nil of fewer than two.
  var slope: Double? {
    var points: [(Double, Double)] = []
    for (lag, value) in transport.enumerated() {
      guard value > 1e-9 && value < 1e9 else { break }
      points.append((Double(lag), DeterministicMath.log(value)))
    }
    if points.count < 2 { return nil }
    let count = Double(points.count)
    let (x̄, ȳ) = (points.reduce(0) { $0 + $1.0 } / count, points.reduce(0) { $0 + $1.1 } / count)
    let xy = points.reduce(0) { $0 + ($1.0 - x̄) * ($1.1 - ȳ) }
    let xx = points.reduce(0) { $0 + ($1.0 - x̄) * ($1.0 - x̄) }
    return xy / xx
  }

  /// Steps in which p halves; nil where it does not decay.
  var halfLife: Double? {
    guard let slope else {
      // Gone within a step.
      return transport.count > 1 && transport[1] < 1e-9 ? 0 : nil
    }
    return slope < 0 ? -DeterministicMath.log(2) / slope : nil
  }

  /// The largest lag up to which p stays at least 10⁻³.
  var horizon: Int { max(0, (transport.firstIndex { !($0 >= Self.vanished) } ?? transport.count) - 1) }

  func verdict(lag: Int) -> GradientVerdict {
    if transport.contains(where: { !($0 <= Self.exploded) }) { return .exploding }
    if lag < transport.count { return transport[lag] < Self.vanished ? .vanishing : .healthy }
    // Beyond what was measured, the line goes on; of what was gone within a step, straight down.
    let slope = slope ?? (transport.count > 1 ? -.infinity : 0)
    let beyond = Double(lag - transport.count + 1)
    let trend = DeterministicMath.log(transport[transport.count - 1]) + slope * beyond
    if trend > DeterministicMath.log(Self.exploded) { return .exploding }
    return trend < DeterministicMath.log(Self.vanished) ? .vanishing : .healthy
  }
}
