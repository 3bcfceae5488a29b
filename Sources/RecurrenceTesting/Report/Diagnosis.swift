import Recurrence

/// Looks for the mistake that would explain a wrong gradient: computes what each known mistake would give and compares.
struct Diagnosis<C: Cell, Scalar: RecurrenceScalar> {
  let trial: Trial<C, Scalar>

  var precision: Double { Scalar.self == Float.self ? 1e-4 : 1e-9 }

  /// The likely cause, nil where no known pattern fits.
  func cause() -> String? {
    let reference = trial.reference()
    guard reference.doubt == nil, let found = try? trial.solution().tensors(trial.layout) else { return nil }
    let tensors = found.map { $0.map { Double($0) } }
    let gradients = trial.gradientPlaces
    func wrong(_ expected: [Reference<C>.Tensor]) -> [Int] {
      gradients.filter { Pattern.distance(tensors[$0], expected[$0].values) > precision }
    }
    if let sentence = independence() { return sentence }
    let known = wrong(reference.tensors)
    guard !known.isEmpty else { return inference() }
    // Where the cell's own backward is wrong, the drivers need no explanation.
    if let cell = trial.cell as? any DifferentiatedCell,
      let sentence = PointwiseTrial(seed: trial.problem.seed).cause(cell)
    {
      return sentence
    }
    if let sentence = offByOne(tensors, known, reference) { return sentence }
    if let sentence = forgotten(tensors, wrong) { return sentence }
    if let sentence = transposedWay(tensors[3], reference) { return sentence }
    for index in known {
      let pattern = Pattern(
        place: trial.places[index], found: tensors[index], expected: reference.tensors[index].values,
        precision: precision)
      if let sentence = pattern.sentence { return sentence }
    }
    return nil
  }

  /// A path that the gradient should have taken and did not: the oracle without it agrees with what was found.
  private func forgotten(_ found: [[Double]], _ wrong: ([Reference<C>.Tensor]) -> [Int]) -> String? {
    typealias Change = (inout NaiveDriver<C>) -> Void
    var suspects: [(sentence: String, change: Change)] = [
      ("a term is missing: what reaches the step before through U, Uᵀδa", { $0.cut.recurrentWeights = true }),
      ("a term is missing: what reaches the layer below, Wᵀδa", { $0.cut.layers = true }),
    ]
    for (state, name) in C.states.enumerated() {
      suspects.append(
        (
          "a term is missing: what reaches \(name)_{t−1} directly, through the cell's equations",
          { $0.cut.states = [state] }
        ))
    }
    for suspect in suspects where wrong(trial.makeReference(suspect.change).tensors).isEmpty { return suspect.sentence }

    let reference = trial.reference()
    var operands = Operands<Double>(trial.problem, states: C.states.count)
    let (shape, own) = (trial.shape, operands)
    let width = shape.batch * shape.units
    // In one step the first, the last and the final cannot be told apart.
    if shape.steps < 2 { return nil }
    for index in 0..<width { operands.outputGradients[index] = 0 }
    if wrong(reference.pullBack(operands)).isEmpty { return "a term is missing: ∂L/∂outputs of the first step" }
    operands = own
    for index in ((shape.steps - 1) * width)..<(shape.steps * width) { operands.outputGradients[index] = 0 }
    if wrong(reference.pullBack(operands)).isEmpty { return "a term is missing: ∂L/∂outputs of the last step" }
    operands = own
    operands.outputGradients = operands.outputGradients.map { _ in 0 }
    if wrong(reference.pullBack(operands)).isEmpty { return "a term is missing: ∂L/∂outputs" }
    for (state, name) in C.states.enumerated() {
      operands = own
      let size = shape.layers * width
      for index in (state * size)..<((state + 1) * size) { operands.finalGradients[index] = 0 }
      if wrong(reference.pullBack(operands)).isEmpty { return "a term is missing: ∂L/∂(final \(name))" }
    }
    return nil
  }

  /// ∂L/∂U from h of another step than the one before, ∂L/∂W from x of another step.
  private func offByOne(_ found: [[Double]], _ wrong: [Int], _ reference: Reference<C>) -> String? {
    guard C.gates.allSatisfy({ !$0.isApart && $0.stage == 0 }) else { return nil }
    for index in wrong {
      let place = trial.places[index]
      guard let layer = place.layer, ["∂L/∂U", "∂L/∂W"].contains(place.name) else { continue }
      for (shift, first) in [(1, 0), (1, 1), (-1, 0)] {
        let guess = outerProducts(place.name == "∂L/∂U", layer, shift: shift, from: first, reference)
        if Pattern.distance(found[index], guess) <= precision {
          let (letter, right) = place.name == "∂L/∂U" ? ("h", "t−1") : ("x", "t")
          let other = place.name == "∂L/∂U" ? (shift > 0 ? "t" : "t−2") : (shift > 0 ? "t+1" : "t−1")
          return
            "off by one step: \(place.title) is Σ δa_t \(letter)_{\(other)}ᵀ and should be Σ δa_t \(letter)_{\(right)}ᵀ"
            + (first > 0 ? ", the first step excepted" : "")
        }
      }
    }
    return nil
  }

  /// Σ δa_t · operand_{t + shift}ᵀ; operands beyond the ends are zero, and steps before `first` are not shifted.
  private func outerProducts(
    _ isRecurrent: Bool, _ layer: Int, shift: Int, from first: Int, _ reference: Reference<C>
  ) -> [Double] {
    let visits = reference.visits.filter { $0.layer == layer }
    let units = trial.shape.units
    let columns = isRecurrent ? units : layer == 0 ? trial.shape.inputs : units
    var sum = [Double](repeating: 0, count: C.gates.count * units * columns)
    for visit in visits {
      let shift = visit.t < first ? 0 : shift
      let operand: [TracedNumber]
      if isRecurrent && shift == 1 {
        operand = visit.states[0]
      } else {
        guard let other = visits.first(where: { $0.b == visit.b && $0.t == visit.t + shift }) else { continue }
        operand = isRecurrent ? other.operands[0] : other.x
      }
      for gate in C.gates.indices {
        for unit in 0..<units {
          let δa = reference.adjoints.value(visit.gates[gate][unit])
          for k in 0..<columns { sum[(gate * units + unit) * columns + k] += δa * operand[k].value }
        }
      }
    }
    return sum
  }
}
