extension GradientFlowReport {
  /// One JSON object for each layer, each on a line of its own.
  ///
  /// | key | value |
  /// |---|---|
  /// | `layer`, `cell`, `steps`, `batch`, `units` | where: layers from 0, the cell's name, T, B, H |
  /// | `delta_h`, `delta_c`, … | ‖∂L/∂state_t‖ of the loss, T + 1 numbers for each state, the initial one's first |
  /// | `transport` | what is left of a unit cotangent of h_T, T + 1 numbers, the last of them 1 |
  /// | `half_life` | steps in which the transport halves, null where it does not decay |
  /// | `horizon`, `needed_lag` | the largest lag that keeps 10⁻³ of the gradient; the lag that the task needs |
  /// | `sigma_max`, `lyapunov` | the largest singular value of ∂h_T/∂h_0; Lyapunov exponents per step, descending |
  /// | `gate_mean`, `saturation` | by gate: mean of its values, share of them that are saturated, over all steps |
  /// | `norm_h`, `norm_c`, … | ‖state_t‖, T + 1 numbers |
  /// | `tiny_share`, `zero_share` | shares of the elements of ∂L/∂h_t below 2⁻¹⁰⁰, and exactly 0, over all steps |
  /// | `verdict`, `remedy` | `vanishing`, `healthy` or `exploding`; what to try, as `GradientRemedy` describes itself |
  /// | `first_nonfinite` | null, or an object: `pass`, `quantity`, its name as `gate` or `state`, `layer`, `t`, `row` |
  /// | `clip_share`, `clip_mean_scale`, `suggested_threshold` | of clipping in training; null where not known |
  ///
  /// Numbers have the fewest digits that give the same Double again. Numbers that are not finite are null, norms that
  /// overflowed to infinity among them: JSON has no infinity.
  public var jsonLines: [String] { layers.map { json($0).text } }

  private func json(_ layer: Layer) -> JSONLine {
    var line = JSONLine()
    line.add("layer", layer.index)
    line.add("cell", cell)
    line.add("steps", steps)
    line.add("batch", batch)
    line.add("units", units)
    line.add("verdict", layer.verdict.rawValue)
    line.add("remedy", layer.remedy.description)
    line.add("half_life", optional: layer.halfLife)
    line.add("horizon", layer.horizon)
    line.add("needed_lag", neededLag)
    line.add("sigma_max", layer.largestSingularValue)
    line.add("lyapunov", layer.lyapunovExponents)
    line.add("gate_mean", Self.object(layer.record.gates) { $0.mean })
    line.add("saturation", Self.object(layer.record.gates) { $0.saturation })
    line.add("tiny_share", layer.tinyShare)
    line.add("zero_share", layer.zeroShare)
    line.add("clip_share", optional: clipping?.share)
    line.add("clip_mean_scale", optional: clipping?.meanScale)
    line.add("suggested_threshold", optional: clipping?.suggestedThreshold)
    if let place = layer.record.firstNonFinite ?? (firstNonFinite?.layer == layer.index ? firstNonFinite : nil) {
      line.add("first_nonfinite", Self.object(place))
    } else {
      line.addNull("first_nonfinite")
    }
    line.add("transport", layer.transport)
    for state in layer.record.states { line.add("delta_\(state.name)", state.gradientNorms) }
    for state in layer.record.states { line.add("norm_\(state.name)", state.norms) }
    return line
  }

  private static func object(
    _ gates: [GradientFlowRecord.Gate], _ value: (GradientFlowRecord.Gate) -> Double
  ) -> JSONLine {
    var object = JSONLine()
    for gate in gates { object.add(gate.name, value(gate)) }
    return object
  }

  private static func object(_ place: NonFinitePlace) -> JSONLine {
    var object = JSONLine()
    object.add("pass", place.pass.rawValue)
    switch place.quantity {
    case .input: object.add("quantity", "input")
    case .initialState(let name):
      object.add("quantity", "initial_state")
      object.add("state", name)
    case .gate(let name):
      object.add("quantity", "gate")
      object.add("gate", name)
    case .state(let name):
      object.add("quantity", "state")
      object.add("state", name)
    case .outputGradient: object.add("quantity", "output_gradient")
    }
    object.add("layer", place.layer)
    object.add("t", place.step)
    object.add("row", place.row)
    return object
  }
}

extension GradientFlowReport.Layer {
  /// Shares of the elements of ∂L/∂h_t, over all t: below 2⁻¹⁰⁰, and exactly zero.
  var tinyShare: Double { mean { $0.tinyShares } }
  var zeroShare: Double { mean { $0.zeroShares } }

  private func mean(_ shares: (GradientFlowRecord.State) -> [Double]) -> Double {
    guard let state = record.states.first else { return 0 }
    let shares = shares(state)
    return shares.isEmpty ? 0 : shares.reduce(0, +) / Double(shares.count)
  }
}

extension JSONLine {
  fileprivate mutating func add(_ name: String, optional value: Double?) {
    if let value { add(name, value) } else { addNull(name) }
  }
}
