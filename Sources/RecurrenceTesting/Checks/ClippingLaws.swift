import Recurrence

extension Trial {
  /// Of this problem's own gradient: clipping by norm at half its norm and at twice, by value at its median magnitude.
  func clipping() throws -> CheckVerdict {
    let gradient = try solution().gradient
    let norm = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    guard norm.isFinite, norm > 0 else { return .skipped("the gradient is zero") }
    let ulp = Double(Scalar.ulpOfOne)

    var clipped = gradient
    let half = GradientClipping(norm: norm / 2)
    let outcome = try half.clip(&clipped)
    let place = TensorPlace(name: "‖∂L/∂parameters‖", layer: nil, axes: [])
    let size = clipped.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    // Every element is rounded once; the norm itself is a sum in Double.
    let tolerance = (4 * ulp + Double(gradient.count) * 0x1p-51) * norm
    guard abs(size - norm / 2) <= tolerance, abs(outcome.norm - norm) <= tolerance else {
      return .failed(
        Mismatch(place, found: size, expected: norm / 2, tolerance: tolerance, ("clipping by norm", "half the norm")))
    }
    var direction = Comparison("clipping by norm", "the gradient, scaled")
    let all = TensorPlace(name: "∂L/∂parameters", layer: nil, axes: [.numbers("element", gradient.count)])
    let least = Double(Scalar.leastNormalMagnitude)
    direction.add(
      all, clipped, gradient.map { Double($0) * outcome.scale },
      errors: gradient.map { ulp * abs(Double($0)) + least }, slack: 1)
    if direction.mismatch != nil { return direction.verdict }

    var same = Comparison("clipping that has nothing to do", "the gradient")
    var again = clipped
    try half.clip(&again)
    same.addExact(all, again, clipped)
    var untouched = gradient
    try GradientClipping(norm: 2 * norm).clip(&untouched)
    same.addExact(all, untouched, gradient)
    if same.mismatch != nil { return same.verdict }

    let limit = Scalar(gradient.map { abs(Double($0)) }.sorted()[gradient.count / 2])
    guard limit > 0 else { return direction.verdict }
    var limited = gradient
    try GradientClipping(value: Double(limit)).clip(&limited)
    var values = Comparison("clipping by value", "the definition")
    values.addExact(all, limited, gradient.map { min(max($0, -limit), limit) })
    return values.verdict
  }
}
