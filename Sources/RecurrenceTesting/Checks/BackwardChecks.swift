import Recurrence

/// A cell with its own backward hidden: what is left is derived.
package struct DerivedCell<Base: Cell>: Cell {
  package let base: Base
  package init(_ base: Base) { self.base = base }
  package static var gates: [Gate] { Base.gates }
  package static var states: [String] { Base.states }
  package static var unitParameters: [String] { Base.unitParameters }
  package static var forgetGate: ForgetGate? { Base.forgetGate }
  package func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { base.step(input) }
  package func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { base.operand(input) }
}

extension Trial {
  /// The fused kernels, or the backward written by hand, against the gradient derived from `step`.
  func derived() -> CheckVerdict {
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    let derived = Self.makeStack(DerivedCell(cell), problem, kernels)
    guard let other = try? derived.solve(operands), let mine = try? solution() else {
      return .skipped("the derived cell cannot be run")
    }
    var comparison = Comparison("the cell's own backward", "the derived one")
    let (found, expected) = (mine.tensors(layout), other.tensors(layout))
    for index in Array(parameterPlaces) + [2, 3] {
      comparison.add(
        places[index], found[index], expected[index].map { Double($0) }, errors: reference.tensors[index].errors,
        slack: 4)
    }
    return comparison.verdict
  }

  func linearity() throws -> CheckVerdict {
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    let gradients = Array(parameterPlaces) + [2, 3]
    let solution = try solution().tensors(layout)
    let zero = try stack.solve(operands.scaled(0)).tensors(layout)
    for index in gradients {
      if let position = zero[index].firstIndex(where: { $0 != 0 }) {
        return .failed(
          Mismatch(
            place: places[index], index: position, found: Double(zero[index][position]), expected: 0, tolerance: 0,
            wrong: zero[index].indices.filter { zero[index][$0] != 0 }, sources: ("of a loss of weight 0", "linearity"),
            values: (zero[index].map { Double($0) }, zero[index].map { _ in 0 })))
      }
    }
    var exact = Comparison("Jᵀ(2u)", "2Jᵀu")
    let double = try stack.solve(operands.scaled(2)).tensors(layout)
    // What underflows in one and not in the other.
    let least = Double(Scalar.leastNormalMagnitude) * 1e6
    for index in gradients {
      exact.add(
        places[index], double[index], solution[index].map { 2 * Double($0) },
        errors: solution[index].map { _ in least }, slack: 1)
    }
    if exact.mismatch != nil { return exact.verdict }

    let other = Operands<Scalar>(problem.reseeded(77), states: C.states.count)
    var (w, sum) = (operands, operands)
    (w.outputGradients, w.finalGradients) = (other.outputGradients, other.finalGradients)
    sum.outputGradients = zip(operands.outputGradients, w.outputGradients).map { $0 + $1 }
    sum.finalGradients = zip(operands.finalGradients, w.finalGradients).map { $0 + $1 }
    let (second, both) = (try stack.solve(w).tensors(layout), try stack.solve(sum).tensors(layout))
    let otherErrors = reference.pullBack(Operands(problem.reseeded(77), states: C.states.count))
    var comparison = Comparison("Jᵀ(u + w)", "Jᵀu + Jᵀw")
    for index in gradients {
      comparison.add(
        places[index], both[index], zip(solution[index], second[index]).map { Double($0) + Double($1) },
        errors: zip(reference.tensors[index].errors, otherErrors[index].errors).map { $0 + $1 }, slack: 6)
    }
    return comparison.verdict
  }
}

// MARK: Unit by unit

extension Trial {
  /// A backward written by hand, called on single units far from any layer: which derivative is wrong, and where.
  func pointwise() -> CheckVerdict {
    guard let cell = cell as? any DifferentiatedCell else { return .skipped("the cell has no backward of its own") }
    return PointwiseTrial(problem).verdict(cell)
  }
}

/// Random units of a cell with a backward of its own.
struct PointwiseTrial {
  let problem: CellProblem

  init(_ problem: CellProblem) { self.problem = problem }

  /// One unit's numbers.
  private struct Unit {
    var gates, states, units, gradients: [Double]
    var operandGradient: Double
  }

  func verdict<D: DifferentiatedCell>(_ cell: D) -> CheckVerdict {
    let planes = D.gates.count + D.gates.count { $0.isApart }
    var generator = SeededGenerator(seed: problem.seed)
    var worst = 0.0
    var judged = 0
    for index in 0..<64 {
      // From gates that are almost linear to gates that are at their ends.
      let scale = [1.0, 4, 12, 30][index % 4]
      func draw(_ count: Int, _ scale: Double) -> [Double] {
        (0..<count).map { _ in scale * generator.uniform(in: -1...1) }
      }
      let unit = Unit(
        gates: draw(planes, scale), states: draw(D.states.count, index % 8 < 4 ? 1 : 3),
        units: draw(D.unitParameters.count, 1), gradients: draw(D.states.count, 1),
        operandGradient: generator.uniform(in: -1...1))
      for verdict in [judge(cell, unit, stage: 0), judge(cell, unit, stage: 1)] {
        switch verdict {
        case .passed(let ratio):
          judged += 1
          worst = max(worst, ratio)
        case .failed: return verdict
        case .skipped: continue
        }
      }
    }
    return judged > 0 ? .passed(worst) : .skipped("every unit is at a kink")
  }

  /// Stage 0: `backward` through `step`. Stage 1: `operandBackward` through `operand`.
  private func judge<D: DifferentiatedCell>(_ cell: D, _ unit: Unit, stage: Int) -> CheckVerdict {
    if stage == 1, !D.gates.contains(where: { $0.stage == 1 }) { return .skipped("one stage") }
    // What the oracle says.
    let trace = Trace(judging: Double.self, terms: 8)
    let (gates, states) = (unit.gates.map(trace.variable), unit.states.map(trace.variable))
    let units = unit.units.map(trace.variable)
    let traced = input(gates, states, units)
    let results = cell.step(traced)
    let operand = cell.operand(traced)
    if trace.overflows || trace.isUndecided { return .skipped("overflow or kink") }
    let adjoints = trace.pullBack(
      stage == 0
        ? unit.gradients.enumerated().map { (results[$0.offset], $0.element) } : [(operand, unit.operandGradient)])

    // What the cell says.
    func plain(_ values: [Double]) -> [PlainNumber] { values.map { PlainNumber($0) } }
    let seen = input(plain(unit.gates), plain(unit.states), plain(unit.units))
    let (forward, saved) = cell.forward(seen)
    let backwardInput = CellBackwardInput(
      saved: saved, previous: seen.states, states: forward, units: seen.units,
      gradients: Planes(count: unit.gradients.count) { PlainNumber(unit.gradients[$0]) })
    let gradients =
      stage == 0
      ? cell.backward(backwardInput)
      : cell.operandBackward(backwardInput, gradient: PlainNumber(unit.operandGradient))

    let function = stage == 0 ? "backward" : "operandBackward"
    var comparison = Comparison("\(function)", "the derivative of \(stage == 0 ? "step" : "operand")")
    let planes = D.gates.map(\.name) + D.gates.filter(\.isApart).map { "\($0.name), recurrent part" }
    add(&comparison, "pre-activation", planes, gradients.gates, gates, adjoints)
    add(&comparison, "state before the step", D.states, gradients.previous, states, adjoints)
    add(&comparison, "unit parameter", D.unitParameters, gradients.units, units, adjoints)
    // `forward` is `step`, and `savedOperand` is `operand`.
    let values = Comparison("forward", "step")
    var others = values
    for state in D.states.indices {
      others.add(
        TensorPlace(name: D.states[state], layer: nil, axes: []), [forward[state].value], [results[state].value],
        errors: [results[state].error], slack: 8)
    }
    if stage == 1 {
      others.add(
        TensorPlace(name: "savedOperand", layer: nil, axes: []), [cell.savedOperand(backwardInput).value],
        [operand.value], errors: [operand.error], slack: 8)
    }
    return comparison.mismatch == nil && others.mismatch != nil ? others.verdict : comparison.verdict
  }

  private func add(
    _ comparison: inout Comparison, _ kind: String, _ names: [String], _ found: Planes<PlainNumber>,
    _ variables: [TracedNumber], _ adjoints: Trace.Adjoints
  ) {
    guard !names.isEmpty else { return }
    let place = TensorPlace(name: "∂L/∂(\(kind))", layer: nil, axes: [.names("plane", names)])
    // A formula of one's own may be several roundings longer than the derived one, and 1 − f rounds where σ(−a) does not.
    comparison.add(
      place, names.indices.map { found[$0].value }, variables.map(adjoints.value),
      errors: variables.map { adjoints.error($0) + 1e-15 }, slack: 16)
  }

  private func input<V: PointwiseValue>(_ gates: [V], _ states: [V], _ units: [V]) -> CellInput<V> {
    CellInput(
      gates: Planes(count: gates.count) { gates[$0] }, states: Planes(count: states.count) { states[$0] },
      units: Planes(count: units.count) { units[$0] })
  }
}
