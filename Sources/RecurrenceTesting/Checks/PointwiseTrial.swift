import Recurrence

extension Trial {
  /// A backward written by hand, called on single units far from any layer: which derivative is wrong, and where.
  func pointwise() -> CheckVerdict {
    guard let cell = cell as? any DifferentiatedCell else { return .skipped("the cell has no backward of its own") }
    return PointwiseTrial(seed: problem.seed).verdict(cell)
  }
}

/// Random units of a cell with a backward of its own: what it says beside what the trace of its equations says.
struct PointwiseTrial {
  let seed: UInt64

  /// One unit's numbers.
  struct Unit {
    var gates, states, units, gradients: [Double]
    var operandGradient: Double
  }

  /// One unit, pulled back by the cell and by the oracle.
  struct Sample {
    /// A group of planes of the same kind: pre-activations, states before the step, unit parameters.
    struct Group {
      let place: TensorPlace
      let found, expected, errors: [Double]
      /// A formula of one's own may be several roundings longer than the derived one, and 1 − f rounds where σ(−a) does
      /// not.
      var tolerances: [Double] { errors.map { 16 * ($0 + 1e-15) } }
    }
    let unit: Unit
    let function: String
    let groups: [Group]
    /// What the cell's forward gives beside the equations: each value, what it should be, and its error bound.
    let values: [(name: String, found: Double, expected: Double, error: Double)]
  }

  func verdict<D: DifferentiatedCell>(_ cell: D) -> CheckVerdict {
    var worst = 0.0
    var judged = 0
    for sample in samples(cell, count: 96) {
      var comparison = Comparison(
        "`\(sample.function)`", "the derivative of `\(sample.function == "backward" ? "step" : "operand")`")
      for group in sample.groups {
        comparison.add(group.place, group.found, group.expected, errors: group.tolerances, slack: 1)
      }
      var values =
        sample.function == "backward"
        ? Comparison("`forward`", "`step`") : Comparison("`savedOperand`", "`operand`")
      for value in sample.values {
        values.add(
          TensorPlace(name: value.name, layer: nil, axes: []), [value.found], [value.expected], errors: [value.error],
          slack: 8)
      }
      if comparison.mismatch != nil { return comparison.verdict }
      if values.mismatch != nil { return values.verdict }
      guard case .passed = comparison.verdict else { continue }
      judged += 1
      worst = max(worst, comparison.worst)
    }
    return judged > 0 ? .passed(worst) : .skipped("every unit is at a kink, or overflows")
  }

  /// Units of all kinds, those at a kink left out.
  ///
  /// - Parameter only: the one state that a derivative comes in for, nil for all.
  func samples<D: DifferentiatedCell>(_ cell: D, count: Int, only: Int? = nil) -> [Sample] {
    let planes = D.gates.count + D.gates.count { $0.isApart }
    let stages = 1 + (D.gates.map(\.stage).max() ?? 0)
    var generator = SeededGenerator(seed: seed)
    return (0..<count).flatMap { index -> [Sample] in
      // From gates that are almost linear to gates that are at their ends.
      let scale = [1.0, 4, 12, 30, 100, 1000][index % 6]
      func draw(_ count: Int, _ scale: Double) -> [Double] {
        (0..<count).map { _ in scale * generator.uniform(in: -1...1) }
      }
      var unit = Unit(
        gates: draw(planes, scale), states: draw(D.states.count, [1, 3, 20][index / 6 % 3]),
        units: draw(D.unitParameters.count, index % 4 == 3 ? 5 : 1),
        gradients: draw(D.states.count, index % 5 == 4 ? 100 : 1), operandGradient: generator.uniform(in: -1...1))
      if let only {
        for state in unit.gradients.indices where state != only { unit.gradients[state] = 0 }
      }
      return (0..<stages).compactMap { sample(cell, unit, stage: $0) }
    }
  }

  /// Stage 0: `backward` through `step`. Stage 1: `operandBackward` through `operand`.
  private func sample<D: DifferentiatedCell>(_ cell: D, _ unit: Unit, stage: Int) -> Sample? {
    let trace = Trace(judging: Double.self, terms: 8)
    let (gates, states) = (unit.gates.map(trace.variable), unit.states.map(trace.variable))
    let units = unit.units.map(trace.variable)
    let traced = input(gates, states, units)
    let results = cell.step(traced)
    let operand = cell.operand(traced)
    if trace.overflows || trace.isUndecided { return nil }
    let adjoints = trace.pullBack(
      stage == 0
        ? unit.gradients.enumerated().map { (results[$0.offset], $0.element) } : [(operand, unit.operandGradient)])

    func plain(_ values: [Double]) -> [PlainNumber] { values.map { PlainNumber($0) } }
    let seen = input(plain(unit.gates), plain(unit.states), plain(unit.units))
    let (forward, saved) = cell.forward(seen)
    let backwardInput = CellBackwardInput(
      saved: saved, previous: seen.states, states: forward, units: seen.units,
      gradients: Planes(count: unit.gradients.count) { PlainNumber(unit.gradients[$0]) })
    let own =
      stage == 0
      ? cell.backward(backwardInput)
      : cell.operandBackward(backwardInput, gradient: PlainNumber(unit.operandGradient))

    func group(
      _ kind: String, _ axis: String, _ names: [String], _ found: Planes<PlainNumber>, _ numbers: [TracedNumber]
    ) -> Sample.Group? {
      names.isEmpty
        ? nil
        : Sample.Group(
          place: TensorPlace(name: "∂L/∂(\(kind))", layer: nil, axes: [.names(axis, names)]),
          found: names.indices.map { found[$0].value }, expected: numbers.map(adjoints.value),
          errors: numbers.map(adjoints.error))
    }
    let planes = D.gates.map(\.name) + D.gates.filter(\.isApart).map { "\($0.name), recurrent part" }
    var values = D.states.indices.map {
      (name: D.states[$0], found: forward[$0].value, expected: results[$0].value, error: results[$0].error)
    }
    if stage == 1 {
      values = [("savedOperand", cell.savedOperand(backwardInput).value, operand.value, operand.error)]
    }
    return Sample(
      unit: unit, function: stage == 0 ? "backward" : "operandBackward",
      groups: [
        group("pre-activation", "gate", planes, own.gates, gates),
        group("state before the step", "state", D.states, own.previous, states),
        group("unit parameter", "parameter", D.unitParameters, own.units, units),
        stage == 0 ? totals(cell, backwardInput, unit, results, states, adjoints) : nil,
      ].compactMap { $0 }, values: values)
  }

  /// `totalGradients`, where the cell has its own and each state after the step is a number of its own.
  private func totals<D: DifferentiatedCell>(
    _ cell: D, _ input: CellBackwardInput<PlainNumber>, _ unit: Unit, _ results: Planes<TracedNumber>,
    _ states: [TracedNumber], _ adjoints: Trace.Adjoints
  ) -> Sample.Group? {
    let own = cell.totalGradients(input)
    let after = D.states.indices.map { results[$0] }
    let found = D.states.indices.map { own[$0].value }
    let nodes = Set(after.map(\.node)).subtracting(states.map(\.node)).subtracting([-1])
    guard found != unit.gradients, nodes.count == after.count else { return nil }
    return Sample.Group(
      place: TensorPlace(
        name: "`totalGradients`, ∂L/∂(state after the step)", layer: nil, axes: [.names("state", D.states)]),
      found: found, expected: after.map(adjoints.value), errors: after.map(adjoints.error))
  }

  private func input<V: PointwiseValue>(_ gates: [V], _ states: [V], _ units: [V]) -> CellInput<V> {
    CellInput(
      gates: Planes(count: gates.count) { gates[$0] }, states: Planes(count: states.count) { states[$0] },
      units: Planes(count: units.count) { units[$0] })
  }
}

// MARK: What is wrong

extension PointwiseTrial {
  /// The mistake in a backward that would explain its errors, nil where it makes none or no known one fits.
  func cause<D: DifferentiatedCell>(_ cell: D) -> String? {
    let samples = samples(cell, count: 288)
    for sample in samples {
      for value in sample.values where !(abs(value.found - value.expected) <= 8 * value.error) {
        return sample.function == "backward"
          ? "`forward` is not `step`: it gives another \(value.name)" : "`savedOperand` is not `operand`"
      }
    }
    for function in ["backward", "operandBackward"] {
      let own = samples.filter { $0.function == function }
      for group in 0..<(own.map(\.groups.count).max() ?? 0) {
        let sentence = cause(own, group, function) { state in
          self.samples(cell, count: 288, only: state).filter { $0.function == function }
        }
        if let sentence { return sentence }
      }
    }
    return nil
  }

  private func cause(
    _ samples: [Sample], _ group: Int, _ function: String, _ only: (Int) -> [Sample]
  ) -> String? {
    // Totals are compared only where a cell's differ from what comes in.
    let samples = samples.filter { $0.groups.count > group }
    guard case .names(let kind, let names)? = samples.first?.groups[group].place.axes.first else { return nil }
    func column(_ plane: Int, _ path: KeyPath<Sample.Group, [Double]>) -> [Double] {
      samples.map { $0.groups[group][keyPath: path][plane] }
    }
    let symbol = kind == "gate" ? "a" : kind == "state" ? "state" : "parameter"
    func name(_ plane: Int) -> String { "∂L/∂(\(symbol) \(names[plane])) in `\(function)`" }
    let wrong = names.indices.filter { plane in samples.contains { $0.isWrong(group, plane) } }
    guard let plane = wrong.first else { return nil }
    for other in wrong.dropFirst() {
      if Pattern.distance(column(plane, \.found), column(other, \.expected)) < 1e-9,
        Pattern.distance(column(other, \.found), column(plane, \.expected)) < 1e-9
      {
        return "swapped: \(name(plane)) and that of \(names[other]) have each other's values"
      }
    }
    let (found, expected) = (column(plane, \.found), column(plane, \.expected))
    if let factor = Pattern.factor(found, expected, 1e-9) { return Pattern.sentence(name(plane), factor) }
    if let gate = saturation(samples, group, plane) { return "saturation: \(name(plane)) is wrong only where \(gate)" }
    guard function == "backward" else { return nil }
    // A backward is linear: what it makes of each incoming derivative can be looked at by itself.
    let states = samples[0].unit.gradients.indices
    let guilty = states.filter { state in only(state).contains { $0.groups.count > group && $0.isWrong(group, plane) } }
    guard states.count > 1, guilty.count == 1 else { return nil }
    return "a term: what \(name(plane)) makes of ∂L/∂\(Self.names(samples, "state")[guilty[0]])_t is wrong or missing"
  }

  /// Names of the planes of a kind.
  private static func names(_ samples: [Sample], _ kind: String) -> [String] {
    for group in samples[0].groups {
      if case .names(kind, let names)? = group.place.axes.first { return names }
    }
    return []
  }

  /// Errors only where one pre-activation is large: of several that are, the one that leaves most units right.
  private func saturation(_ samples: [Sample], _ group: Int, _ plane: Int) -> String? {
    let wrong = samples.filter { $0.isWrong(group, plane) }
    var best: (gate: Int, least: Double, right: Int)?
    for gate in samples[0].unit.gates.indices {
      let least = wrong.map { abs($0.unit.gates[gate]) }.min() ?? 0
      let right = samples.count { abs($0.unit.gates[gate]) < least }
      // Nothing at smaller values is wrong by the choice of `least`; there must be much of it.
      if least > 2, right * 4 > samples.count, wrong.count > 4, right > best?.right ?? 0 { best = (gate, least, right) }
    }
    return best.map {
      "the pre-activation of \(Self.names(samples, "gate")[$0.gate]) is beyond ±\(shortened($0.least))"
    }
  }
}

extension PointwiseTrial.Sample {
  /// Whether a plane of a group is farther from the truth than a formula of the user's own may be.
  fileprivate func isWrong(_ group: Int, _ plane: Int) -> Bool {
    let own = groups[group]
    return !(abs(own.found[plane] - own.expected[plane]) <= own.tolerances[plane])
  }
}
