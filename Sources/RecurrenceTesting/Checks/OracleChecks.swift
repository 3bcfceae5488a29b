import Recurrence

// Against oracles: values, gradients, dual numbers.

extension Trial {
  func values() throws -> CheckVerdict {
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    var comparison = Comparison("the forward pass", "the naive driver")
    compare(try solution(), reference.tensors, [0, 1], &comparison)
    return comparison.verdict
  }

  func gradient() throws -> CheckVerdict {
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    var comparison = Comparison("the backward pass", "the oracle")
    compare(try solution(), reference.tensors, gradientPlaces, &comparison)
    return comparison.verdict
  }

  /// One direction for each tensor that is differentiated with respect to. ⟨v, Jᵀu⟩ may be off by what the gradient's
  /// elements may be.
  func adjoint() throws -> CheckVerdict {
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    let solution = try solution().tensors(layout)
    var worst = 0.0
    var isJudged = false
    for (index, direction) in directions() {
      let tangents = tangents(along: direction)
      let gradient = solution[index]
      var (sum, magnitude, error) = (0.0, 0.0, 0.0)
      for (position, v) in direction.values(of: index, layout).enumerated() {
        sum += v * Double(gradient[position])
        magnitude += abs(v * Double(gradient[position]))
        error += abs(v) * reference.tensors[index].errors[position]
      }
      let tolerance = 2 * error + 1e-13 * (magnitude + tangents.magnitude)
      let difference = abs(sum - tangents.derivative)
      if sum.isFinite && !(tolerance <= 0.1 * (magnitude + tangents.magnitude)) { continue }
      isJudged = true
      if !(difference <= tolerance) {
        return .failed(
          Mismatch(
            places[index], found: sum, expected: tangents.derivative, tolerance: tolerance,
            ("⟨v, Jᵀu⟩", "⟨Jv, u⟩ from dual numbers")))
      }
      if difference > 0 { worst = max(worst, difference / tolerance) }
    }
    return isJudged ? .passed(worst) : .skipped("rounding may change the result by a tenth")
  }

  /// A direction in the operands of a run.
  struct Direction {
    var parameters, x, initial: [Double]

    /// The part of it that belongs to a tensor of `places`.
    func values(of place: Int, _ layout: ParameterLayout) -> [Double] {
      switch place {
      case 2: x
      case 3: initial
      default: Array(parameters[layout.tensors[place - 4].range])
      }
    }
  }

  /// For each tensor that is differentiated with respect to, a random direction in it alone.
  func directions() -> [(place: Int, direction: Direction)] {
    let all = direction(1)
    return gradientPlaces.compactMap { place in
      var direction = noDirection
      switch place {
      case 2: direction.x = all.x
      case 3: direction.initial = all.initial
      default:
        let range = layout.tensors[place - 4].range
        direction.parameters.replaceSubrange(range, with: all.parameters[range])
      }
      return places[place].count == 0 ? nil : (place, direction)
    }
  }

  /// Nowhere.
  var noDirection: Direction {
    Direction(
      parameters: [Double](repeating: 0, count: layout.count), x: [Double](repeating: 0, count: operands.x.count),
      initial: [Double](repeating: 0, count: operands.initial.count))
  }

  /// A random direction in everything.
  func direction(_ index: Int) -> Direction {
    let other = problem.reseeded(index)
    return Direction(
      parameters: problem.parameterDirection(layout, index), x: other.input(),
      initial: other.initialStates(C.states.count))
  }

  /// ⟨Jv, u⟩ by dual numbers, and the sum of its terms' magnitudes.
  private func tangents(along v: Direction) -> (derivative: Double, magnitude: Double) {
    func dual(_ values: [Double], _ tangents: [Double]) -> [Dual<PlainNumber>] {
      zip(values, tangents).map { Dual(PlainNumber($0), tangent: PlainNumber($1)) }
    }
    let run = NaiveDriver(cell, shape, layout: layout).run(
      parameters: dual(problem.parameters(layout), v.parameters), x: dual(problem.input(), v.x),
      initial: dual(problem.initialStates(C.states.count), v.initial))
    let terms =
      zip(run.outputs, problem.outputGradients()).map { $0.tangent.value * $1 }
      + zip(run.final, problem.finalGradients(C.states.count)).map { $0.tangent.value * $1 }
    return (terms.reduce(0, +), terms.reduce(0) { $0 + abs($1) })
  }

  /// Windows whose gradients are not carried, against the oracle with the states before each window held fixed; one window
  /// of all steps is the whole gradient.
  func truncation() throws -> CheckVerdict {
    guard shape.lengths == nil, shape.steps > 1 else { return .skipped("one step, or ragged") }
    let window = (shape.steps + 1) / 2
    let reference = makeReference { $0.cut.window = window }
    if let doubt = reference.doubt { return .skipped(doubt) }
    let solution = try windows(of: window, carriesGradient: false)
    var comparison = Comparison("truncated backpropagation", "the oracle, truncated")
    compare(solution, reference.tensors, Array(parameterPlaces) + [2], &comparison)
    guard case .passed = comparison.verdict else { return comparison.verdict }
    return try compareBits(windows(of: shape.steps, carriesGradient: false), "one window of all steps")
  }
}
