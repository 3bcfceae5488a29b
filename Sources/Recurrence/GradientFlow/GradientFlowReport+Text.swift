import Foundation

extension GradientFlowReport: CustomStringConvertible {
  /// For a terminal: a block for each layer, at most 100 columns wide.
  public var description: String {
    let stack = "\(layers.count) layer\(layers.count == 1 ? "" : "s") of \(units) unit\(units == 1 ? "" : "s")"
    var lines = Self.wrapped(
      "Gradient flow through time of \(cell.prefix(40)): \(stack); \(batch) sequence\(batch == 1 ? "" : "s") of "
        + "\(Self.count(steps)); the task needs the gradient \(Self.count(neededLag)) back.")
    if let place = firstNonFinite {
      lines += Self.wrapped("The first number that is not finite: \(place) (all counted from 0).")
    }
    if let clipping { lines += self.lines(clipping) }
    for layer in layers { lines += [""] + self.lines(layer) }
    return lines.joined(separator: "\n")
  }

  private func lines(_ layer: Layer) -> [String] {
    var lines = Self.wrapped("Layer \(layer.index): \(layer.verdict.rawValue.uppercased()). \(sentence(layer))")
    if let advice = layer.remedy.advice {
      lines += Self.wrapped("Try first: \(advice)", margin: 2, indent: 2)
      if let expression = layer.remedy.expression { lines.append("    in Swift       \(expression)") }
      if let option = layer.remedy.option { lines.append("    command line   \(option)") }
    }
    lines += ["", "  What is left of the gradient at each step on its way back, 1 at the last (log scale)"]
    lines += plot([layer]).lines(columns: 80).map { "  " + $0 }
    lines.append("          * of the last step alone   · of the whole loss   ┄ vanished below   ┊ needed here")
    lines.append("")
    // A newcomer reads the first layer; the others are compared with it.
    let explains = layer.index == layers.first?.index
    return lines + facts(layer, explains) + gates(layer, explains) + states(layer)
  }

  /// What the verdict means here.
  private func sentence(_ layer: Layer) -> String {
    if layer.remedy == .repair {
      return "There are numbers that are not finite; what is measured after them says nothing."
    }
    let start = max(0, steps - neededLag)
    let left = start < layer.transport.count ? layer.transport[start] : 1
    let back = "\(Self.count(min(neededLag, steps))) back"
    let share = "\(left == 0 ? "nothing" : Self.number(left)) of a gradient is left"
    let trend = neededLag > steps ? "; by its trend, at the \(neededLag) that are needed" : ""
    switch layer.verdict {
    case .vanishing:
      let isLess = left == 0 ? "" : "\(trend.isEmpty ? "," : "") less than a thousandth"
      return
        "Of a gradient at the last step, \(left == 0 ? "nothing" : Self.number(left)) is left \(back)\(trend)\(isLess): "
        + "what happened so long ago can hardly be learned."
    case .healthy:
      return "\(share) \(back)\(trend)\(trend.isEmpty ? "," : "") enough to learn from."
    case .exploding:
      let largest = layer.transport.max() ?? 1
      return layer.transport.allSatisfy(\.isFinite)
        ? "A gradient grows to \(Self.number(largest)) times its size on its way back: a single update can throw the "
          + "weights far away."
        : "A gradient grows on its way back until it is no longer finite."
    }
  }

  private func facts(_ layer: Layer, _ explains: Bool) -> [String] {
    let half: String
    switch layer.halfLife {
    case nil: half = "none: the gradient does not decay"
    case 0?: half = "0 steps: the gradient is gone after one"
    case let steps?: half = "\(Self.number(steps)) steps\(explains ? " back take half of what was left" : "")"
    }
    let reach = explains ? ": so far at least a thousandth (10⁻³) is left" : ""
    let stretch =
      explains
      ? ": the most by which a change of the initial h is stretched on its way to the last h (σ_max, the largest "
        + "singular value of ∂h_T/∂h_0)" : ""
    let rates =
      explains
      ? " per step: rates at which small changes of the state grow (above 0), stay (0) or fade (below 0)" : " per step"
    let exponents = layer.lyapunovExponents.map(Self.number).joined(separator: ", ")
    return Self.fact("half-life", half)
      + Self.fact("horizon", "\(Self.count(layer.horizon)) back, needed are \(neededLag)\(reach)")
      + Self.fact("largest stretch", Self.number(layer.largestSingularValue) + stretch)
      + (exponents.isEmpty ? [] : Self.fact("Lyapunov exponents", exponents + rates))
  }

  private func gates(_ layer: Layer, _ explains: Bool) -> [String] {
    if layer.record.gates.isEmpty { return [] }
    let meaning = explains ? ": at a flat end of their function, little gradient passes" : ""
    var lines = [Self.label("gates") + "mean     saturated\(meaning)"]
    for gate in layer.record.gates {
      let mean = gate.mean.isFinite ? String(format: "%.3f", gate.mean) : Self.number(gate.mean)
      var line = Self.label("  \(gate.name.prefix(14))") + mean.padding(toLength: 8, withPad: " ", startingAt: 0)
      line += " " + Self.percent(gate.saturation)
      if let memory = memory(gate) {
        line += "; remembers for about \(Self.number(memory)) step\(memory == 1 ? "" : "s")"
      }
      lines.append(line)
    }
    return lines
  }

  /// Steps that a gate lets its cell remember, where it is the one that forgets.
  private func memory(_ gate: GradientFlowRecord.Gate) -> Double? {
    switch (cell, gate.name) {
    case (_, "f"), ("gru", "z"): gate.impliedMemory
    // At 1 this one forgets.
    case ("gru-before", "z"): 1 / gate.mean
    default: nil
    }
  }

  private func states(_ layer: Layer) -> [String] {
    var lines: [String] = []
    for state in layer.record.states {
      guard let last = state.norms.last else { continue }
      let peak = state.norms.indices.max { state.norms[$0] < state.norms[$1] } ?? 0
      let name = state.name.prefix(12)
      lines += Self.fact(
        "size of \(name)",
        "‖\(name)‖ = \(Self.number(last)) after the last step, at most \(Self.number(state.norms[peak])) (step \(peak))"
      )
    }
    return lines
      + Self.fact(
        "too small to count",
        "\(Self.percent(layer.tinyShare)) of the loss's gradient of h (below 2⁻¹⁰⁰); exactly 0 is "
          + Self.percent(layer.zeroShare))
  }

  private func lines(_ clipping: Clipping) -> [String] {
    var text = "Clipping in training so far: \(clipping.share == 0 ? "none" : Self.percent(clipping.share)) of "
    text += "\(clipping.gradients) gradients were shortened"
    if clipping.meanScale < 1 { text += ", and all together scaled by \(Self.number(clipping.meanScale)) on average" }
    if let threshold = clipping.suggestedThreshold { text += "; a usual threshold would be \(Self.number(threshold))" }
    return Self.wrapped(text + ".")
  }

  // MARK: Setting

  private static func label(_ name: String) -> String {
    "  " + name + String(repeating: " ", count: max(1, 20 - name.count))
  }

  private static func fact(_ name: String, _ text: String) -> [String] {
    var lines = wrapped(text, margin: 22)
    if let first = lines.first { lines[0] = label(name) + first.dropFirst(22) }
    return lines
  }

  /// Broken at spaces into lines of at most 100 columns that begin with `margin` spaces, all but the first with `indent`
  /// more.
  private static func wrapped(_ text: String, margin: Int = 0, indent: Int = 0) -> [String] {
    var lines: [String] = []
    var line = String(repeating: " ", count: margin)
    var isEmpty = true
    for word in text.split(separator: " ") {
      if !isEmpty && line.count + 1 + word.count > 100 {
        lines.append(line)
        line = String(repeating: " ", count: margin + indent)
        isEmpty = true
      }
      line += (isEmpty ? "" : " ") + word
      isEmpty = false
    }
    return lines + [line]
  }

  private static func count(_ steps: Int) -> String { "\(steps) step\(steps == 1 ? "" : "s")" }

  private static func number(_ value: Double) -> String {
    value.isNaN ? "NaN" : value.isInfinite ? value < 0 ? "−∞" : "∞" : String(format: "%.3g", value)
  }

  private static func percent(_ share: Double) -> String {
    if share.isNaN { return "NaN" }
    if share > 0 && share < 0.0005 { return "less than 0.1 %" }
    return String(format: share == 0 || share == 1 ? "%.0f %%" : "%.1f %%", 100 * share)
  }
}
