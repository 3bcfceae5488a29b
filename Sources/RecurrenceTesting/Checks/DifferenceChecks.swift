import Recurrence

// Against differences of the stack's own forward pass, in Double. They share no formula with any backward.

extension Trial {
  /// Outputs and final states at the operands + ε·direction.
  private func run(_ direction: Direction, _ distance: Double) throws -> (outputs: [Scalar], final: [Scalar]) {
    func moved(_ values: [Scalar], _ direction: [Double]) -> [Scalar] {
      zip(values, direction).map { $0 + Scalar(distance * $1) }
    }
    var other = stack
    other.parameters.values = moved(stack.parameters.values, direction.parameters)
    var operands = operands
    operands.x = moved(operands.x, direction.x)
    operands.initial = moved(operands.initial, direction.initial)
    return try other.run(operands)
  }

  /// L and Σ |its terms| there.
  private func loss(_ direction: Direction, _ distance: Double) throws -> (value: Double, magnitude: Double) {
    let (outputs, final) = try run(direction, distance)
    let terms =
      zip(outputs, operands.outputGradients).map { Double($0 * $1) }
      + zip(final, operands.finalGradients).map { Double($0 * $1) }
    return (terms.reduce(0, +), terms.reduce(0) { $0 + abs($1) })
  }

  /// Whether a comparison of the cell's comes out another way `distance` along a direction: between the two there is a
  /// kink, and differences say nothing.
  private func crossesKink(_ direction: Direction, _ distance: Double) -> Bool {
    let here = reference().decisions
    if here == 0 { return false }
    return [-distance, distance].contains { decisions(direction, $0) != here }
  }

  private func decisions(_ direction: Direction, _ distance: Double) -> UInt64 {
    let trace = Trace(judging: Double.self, terms: 1)
    func moved(_ values: [Double], _ direction: [Double]) -> [TracedNumber] {
      zip(values, direction).map { trace.variable($0 + distance * $1) }
    }
    _ = NaiveDriver(cell, shape, layout: layout).run(
      parameters: moved(problem.parameters(layout), direction.parameters), x: moved(problem.input(), direction.x),
      initial: moved(problem.initialStates(C.states.count), direction.initial))
    return trace.decisions
  }

  /// ⟨∇L, v⟩, the sum of its terms' magnitudes, and what rounding may do to it.
  private func slope(_ direction: Direction) throws -> (value: Double, magnitude: Double, error: Double) {
    let tensors = try solution().tensors(layout)
    let reference = reference().tensors
    var result = (value: 0.0, magnitude: 0.0, error: 0.0)
    for place in gradientPlaces {
      for (position, v) in direction.values(of: place, layout).enumerated() where v != 0 {
        let term = v * Double(tensors[place][position])
        result.value += term
        result.magnitude += abs(term)
        result.error += abs(v) * reference[place].errors[position]
      }
    }
    return result
  }

  /// What rounding may do to L, by the oracle.
  private func lossError() -> Double {
    let tensors = reference().tensors
    return zip(tensors[0].errors, operands.outputGradients).reduce(0) { $0 + $1.0 * abs(Double($1.1)) }
      + zip(tensors[1].errors, operands.finalGradients).reduce(0) { $0 + $1.0 * abs(Double($1.1)) }
  }

  /// Along one direction for each tensor. The step is 2⁻⁸ and halved three times; Richardson's extrapolation takes out the
  /// errors of second and fourth order, and what its last step changed bounds the error that is left.
  func differences() throws -> CheckVerdict {
    if let doubt = reference().doubt { return .skipped(doubt) }
    var worst = 0.0
    var isJudged = false
    let lossError = lossError()
    for (place, direction) in directions() {
      let distance = 0x1p-8 / problem.regime.parameterScale.squareRoot()
      if crossesKink(direction, distance) { continue }
      let central = try RichardsonDifference(distance: distance, rounding: lossError) { try loss(direction, $0) }
      let slope = try slope(direction)
      let tolerance = central.error + 2 * slope.error + 1e-14 * slope.magnitude
      // Not smooth enough at this distance for the difference to say much.
      if !(tolerance <= 1e-4 * (slope.magnitude + abs(central.value))) { continue }
      isJudged = true
      let difference = abs(slope.value - central.value)
      if difference > tolerance {
        return .failed(
          Mismatch(
            places[place], found: slope.value, expected: central.value, tolerance: tolerance,
            ("⟨∇L, v⟩", "the central difference")))
      }
      worst = max(worst, difference == 0 ? 0 : difference / tolerance)
    }
    return isJudged ? .passed(worst) : .skipped("a kink is crossed, or third derivatives are too large")
  }

  /// One step of one sequence with at most three units and two inputs: every derivative of every state.
  func jacobian() throws -> CheckVerdict {
    var small = problem
    small.shape = ProblemShape(
      steps: 1, batch: 1, inputs: min(2, shape.inputs), units: min(3, shape.units), layers: min(2, shape.layers))
    return try Trial(cell, small, kernels: kernels).completeJacobian()
  }

  private func completeJacobian() throws -> CheckVerdict {
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    // Rows by the backward pass, one for each state.
    var rows: [[[Scalar]]] = []
    var errors: [[Reference<C>.Tensor]] = []
    for row in operands.finalGradients.indices {
      var unit = operands.scaled(0)
      unit.finalGradients[row] = 1
      rows.append(try stack.solve(unit).tensors(layout))
      var exact = Operands<Double>(problem, states: C.states.count).scaled(0)
      exact.finalGradients[row] = 1
      errors.append(reference.pullBack(exact))
    }
    var worst = 0.0
    var isJudged = false
    let distance = 0x1p-8 / problem.regime.parameterScale.squareRoot()
    for place in gradientPlaces {
      for position in 0..<places[place].count {
        let direction = axis(place, position)
        if crossesKink(direction, distance) { continue }
        let column = try states(along: direction, distance)
        for row in rows.indices {
          let found = Double(rows[row][place][position])
          let central = RichardsonDifference(
            distance: distance, rounding: reference.tensors[1].errors[row],
            column.map { (at: $0.at, value: $0.states[row]) })
          let tolerance = central.error + 2 * errors[row][place].errors[position]
          guard tolerance <= 1e-3 * max(abs(central.value), 1e-3) else { continue }
          isJudged = true
          let difference = abs(found - central.value)
          if !(difference <= tolerance) {
            let state = places[1].describe(row)
            return .failed(
              Mismatch(
                place: places[place], index: position, found: found, expected: central.value, tolerance: tolerance,
                wrong: [position], sources: ("of \(state), the backward pass", "the central difference"),
                values: ([], [])))
          }
          worst = max(worst, difference == 0 ? 0 : difference / tolerance)
        }
      }
    }
    return isJudged ? .passed(worst) : .skipped("a kink is crossed, or third derivatives are too large")
  }

  /// The direction of one element.
  private func axis(_ place: Int, _ position: Int) -> Direction {
    var direction = noDirection
    switch place {
    case 2: direction.x[position] = 1
    case 3: direction.initial[position] = 1
    default: direction.parameters[layout.tensors[place - 4].range.lowerBound + position] = 1
    }
    return direction
  }

  /// The final states at the points of a Richardson difference.
  private func states(
    along direction: Direction, _ distance: Double
  ) throws -> [(at: Double, states: [Double])] {
    try RichardsonDifference.points(distance).map { point in
      (point, try run(direction, point).final.map { Double($0) })
    }
  }

  /// The remainder of Taylor's formula of first order, at the smallest four distances where it exceeds a thousand times
  /// round-off. A right gradient leaves ε², a wrong one ε. Where the order differs from one pair of distances to the next,
  /// it has not settled and says nothing; where curvature vanishes it is above two. Another direction is tried then, eight
  /// at most.
  func taylor() throws -> CheckVerdict {
    if let doubt = reference().doubt { return .skipped(doubt) }
    var reason = "too few remainders exceed round-off, or their order has not settled"
    var orders: [Double] = []
    for index in 2..<10 {
      let direction = direction(index)
      let remainders = try remainders(direction).suffix(4)
      guard remainders.count >= 3 else { continue }
      if crossesKink(direction, remainders.first!.distance) {
        reason = "a kink is crossed"
        continue
      }
      let points = remainders.map { (x: $0.distance.logarithm, y: $0.remainder.logarithm) }
      let order = regressionSlope(points)
      if abs(order - 2) <= 0.1 { return .passed(abs(order - 2) / 0.1) }
      let local = zip(points, points.dropFirst()).map { ($1.y - $0.y) / ($1.x - $0.x) }
      // Between saturated gates the function bends sharply beyond the distances at which round-off hides it.
      if local.max()! - local.min()! > 0.05 { continue }
      orders.append(order)
    }
    // Orders above two are a right gradient's: nothing of first order is left.
    let low = orders.filter { $0 < 1.9 }.sorted()
    guard low.count >= 3 else {
      return .skipped(orders.isEmpty ? reason : "no direction in which it is of second order")
    }
    return .failed(
      Mismatch(
        TensorPlace(name: "order of the Taylor remainder", layer: nil, axes: []), found: low[low.count / 2],
        expected: 2, tolerance: 0.1, ("⟨∇L, v⟩", "a right gradient")))
  }

  /// |L(p + εv) − L(p) − ε⟨∇L, v⟩| from ε = 2⁻³ on down, as long as it exceeds a thousand times round-off.
  private func remainders(_ direction: Direction) throws -> [(distance: Double, remainder: Double)] {
    let slope = try slope(direction).value
    let origin = try loss(direction, 0)
    let roundOff = 16 * 0x1p-52 * (origin.magnitude + abs(slope) * 0x1p-12) + lossError() / 1000
    var result: [(distance: Double, remainder: Double)] = []
    for exponent in 3...24 {
      let distance = 1 / Double(1 << exponent) / problem.regime.parameterScale
      let remainder = abs(try loss(direction, distance).value - origin.value - distance * slope)
      if !(remainder > 1000 * roundOff) { break }
      result.append((distance, remainder))
    }
    return result
  }
}
