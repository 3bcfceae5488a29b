import RecurrenceKernels

extension Initialization {
  /// Draws all parameters, layer after layer.
  func draw<Scalar: RecurrenceScalar>(
    into parameters: inout [Scalar], _ plan: CellPlan, _ layout: ParameterLayout,
    using generator: inout SeededGenerator
  ) {
    let units = layout.units
    for tensor in layout.tensors {
      switch tensor.name {
      case "W", "U":
        let matrix = tensor.name == "W" ? inputWeights : recurrentWeights
        for gate in 0..<plan.gates {
          let start = tensor.range.lowerBound + gate * units * tensor.columns
          matrix.draw(
            into: &parameters, at: start, rows: units, columns: tensor.columns, n: units, using: &generator)
        }
      case "b":
        for gate in 0..<plan.gates {
          let start = tensor.range.lowerBound + gate * units
          biases.draw(
            into: &parameters, start..<(start + units), n: units, draws: plan.apartGates.contains(gate) ? 1 : 2,
            using: &generator)
        }
      case "b_h": biases.draw(into: &parameters, tensor.range, n: units, using: &generator)
      default: unitParameters.draw(into: &parameters, tensor.range, n: units, using: &generator)
      }
      let isLastOfLayer = tensor == layout.tensors.last { $0.layer == tensor.layer }
      if isLastOfLayer {
        setForgetGate(&parameters, plan, layout, layer: tensor.layer, using: &generator)
      }
    }
  }

  private func setForgetGate<Scalar: RecurrenceScalar>(
    _ parameters: inout [Scalar], _ plan: CellPlan, _ layout: ParameterLayout, layer: Int,
    using generator: inout SeededGenerator
  ) {
    guard let gate = plan.forgetGate else { return }
    var biases: [Double]
    switch forgetGateBias {
    case .asDrawn: return
    case .usual:
      guard let bias = gate.usualBias else { return }
      biases = [Double](repeating: bias, count: layout.units)
    case .constant(let bias):
      if !bias.isFinite { fatalError("forgetGateBias: expected a finite number, got \(bias)") }
      biases = [Double](repeating: bias, count: layout.units)
    case .chrono(let longestLag):
      if longestLag < 2 { fatalError("longestLag: expected at least 2 steps, got \(longestLag)") }
      biases = (0..<layout.units).map { _ in
        DeterministicMath.log(generator.uniform(in: 1...Double(longestLag - 1)))
      }
      if let input = gate.inputGate { set(input, biases.map { -$0 }, &parameters, plan, layout, layer) }
    }
    if !gate.keeps { biases = biases.map { -$0 } }
    set(gate.name, biases, &parameters, plan, layout, layer)
  }

  private func set<Scalar: RecurrenceScalar>(
    _ gate: String, _ biases: [Double], _ parameters: inout [Scalar], _ plan: CellPlan, _ layout: ParameterLayout,
    _ layer: Int
  ) {
    for (index, bias) in zip(layout.range("b", gate: gate, layer: layer)!, biases) { parameters[index] = Scalar(bias) }
    if let place = plan.apartGates.firstIndex(of: plan.gateNames.firstIndex(of: gate)!) {
      let start = layout.tensor("b_h", layer: layer)!.range.lowerBound + place * layout.units
      for index in start..<(start + layout.units) { parameters[index] = 0 }
    }
  }
}

extension Initialization.Vector {
  /// - Parameter draws: uniform numbers that are summed for each element.
  func draw<Scalar: RecurrenceScalar>(
    into values: inout [Scalar], _ range: Range<Int>, n: Int, draws: Int = 1, using generator: inout SeededGenerator
  ) {
    let bound = 1 / Double(n).squareRoot()
    for index in range {
      switch self {
      case .zero: values[index] = 0
      case .uniform:
        var sum = generator.uniform(in: -bound...bound)
        for _ in 1..<draws { sum += generator.uniform(in: -bound...bound) }
        values[index] = Scalar(sum)
      }
    }
  }
}

extension Initialization.Matrix {
  /// Draws a row-major matrix into `values` from `start` on.
  ///
  /// - Parameter n: what `uniform` divides by.
  func draw<Scalar: RecurrenceScalar>(
    into values: inout [Scalar], at start: Int, rows: Int, columns: Int, n: Int,
    using generator: inout SeededGenerator
  ) {
    let range = start..<(start + rows * columns)
    func fill(_ element: () -> Double) { for index in range { values[index] = Scalar(element()) } }
    func fillUniform(_ bound: Double) { fill { generator.uniform(in: -bound...bound) } }
    func fillNormal(_ deviation: Double) { fill { deviation * generator.normal() } }
    switch self {
    case .uniform: fillUniform(1 / Double(n).squareRoot())
    case .glorotUniform: fillUniform((6 / (Double(rows) + Double(columns))).squareRoot())
    case .glorotNormal: fillNormal((2 / (Double(rows) + Double(columns))).squareRoot())
    case .orthogonal(let gain):
      if !gain.isFinite { fatalError("gain: expected a finite number, got \(gain)") }
      let elements = orthonormal(rows: rows, columns: columns, using: &generator)
      for (index, element) in zip(range, elements) { values[index] = Scalar(gain * element) }
    case .identity(let scale):
      if !scale.isFinite { fatalError("scale: expected a finite number, got \(scale)") }
      fill { 0 }
      for place in 0..<min(rows, columns) { values[start + place * (columns + 1)] = Scalar(scale) }
    case .normal(let deviation):
      guard deviation >= 0, deviation.isFinite else {
        fatalError("deviation: expected a finite number from 0 on, got \(deviation)")
      }
      fillNormal(deviation)
    case .zero: fill { 0 }
    }
  }
}

/// A row-major matrix whose rows or columns, whichever are fewer, are orthonormal.
///
/// Gram and Schmidt's way through normal vectors, projecting twice, which is enough to be orthonormal to rounding
/// (Giraud, Langou and Rozložník 2005). It is the QR factorisation with a positive diagonal, so that the result is
/// uniform among all such matrices (Mezzadri 2007): no sign is left to be chosen.
func orthonormal(rows: Int, columns: Int, using generator: inout SeededGenerator) -> [Double] {
  let (count, length) = (min(rows, columns), max(rows, columns))
  var basis: [Double] = []
  basis.reserveCapacity(count * length)
  var vector = [Double](repeating: 0, count: length)
  while basis.count < count * length {
    for index in 0..<length { vector[index] = generator.normal() }
    let before = dot(vector, vector, from: 0)
    for _ in 0..<2 {
      for start in stride(from: 0, to: basis.count, by: length) {
        let projection = dot(vector, basis, from: start)
        for index in 0..<length { vector[index] -= projection * basis[start + index] }
      }
    }
    let rest = dot(vector, vector, from: 0)
    // Of a vector that all but lies in the span of the others, rounding is left. Its direction had no say in that, so
    // drawing again keeps the distribution.
    if rest <= 1e-12 * before { continue }
    let scale = 1 / rest.squareRoot()
    for element in vector { basis.append(scale * element) }
  }
  if rows <= columns { return basis }
  return (0..<(rows * columns)).map { basis[$0 % columns * length + $0 / columns] }
}

/// vector · other[start…], in four chains, whose order is fixed.
private func dot(_ vector: [Double], _ other: [Double], from start: Int) -> Double {
  var sums = SIMD4<Double>()
  let count = vector.count
  var index = 0
  while index + 4 <= count {
    let a = SIMD4(vector[index], vector[index + 1], vector[index + 2], vector[index + 3])
    let place = start + index
    sums += a * SIMD4(other[place], other[place + 1], other[place + 2], other[place + 3])
    index += 4
  }
  var sum = (sums.x + sums.z) + (sums.y + sums.w)
  while index < count {
    sum += vector[index] * other[start + index]
    index += 1
  }
  return sum
}
