import Recurrence

/// A stretch of the variables with a name: a tensor, a layer.
public struct GradientPart: Hashable, Sendable {
  public let name: String
  public let range: Range<Int>

  public init(_ name: String, _ range: Range<Int>) {
    self.name = name
    self.range = range
  }
}

/// What differences say of a gradient.
public struct GradientReport: CustomStringConvertible, Sendable {
  /// One part, along one random direction in it.
  public struct Line: Sendable {
    public let part: String
    /// ⟨∇L, v⟩ and the central difference of L along v.
    public let analytic, numeric: Double
    /// How far apart they may be; nil where the function is not smooth enough there for differences to say anything.
    public let tolerance: Double?
    public var isWrong: Bool { tolerance.map { !(abs(analytic - numeric) <= $0) } ?? false }
  }

  public internal(set) var lines: [Line] = []
  /// The order of Taylor's remainder along a direction in everything; nil where too few remainders exceed round-off.
  public internal(set) var order: Double?
  public internal(set) var seed: UInt64 = 0
  /// The worst element of the first wrong part, and the likely cause.
  public internal(set) var failure: String?

  public var isPassed: Bool { failure == nil }

  public var description: String {
    var text = "gradient by differences, seed \(seed)\n"
    let width = lines.map(\.part.count).max() ?? 0
    for line in lines {
      let verdict = line.tolerance == nil ? "skipped: not smooth here" : line.isWrong ? "WRONG" : "right"
      text +=
        "  \(line.part.padded(width))  ⟨∇L, v⟩ = \(shortened(line.analytic)), difference \(shortened(line.numeric)),"
      text += " off by \(shortened(abs(line.analytic - line.numeric))) of \(shortened(line.tolerance ?? .infinity))"
      text += "  \(verdict)\n"
    }
    text += "  Taylor remainder: order " + (order.map(shortened) ?? "not measured: remainders do not exceed round-off")
    return failure.map { text + "\n\($0)" } ?? text
  }
}

/// Thrown where a gradient is wrong.
public struct GradientCheckError: Error, CustomStringConvertible, Sendable {
  public let report: GradientReport
  public var description: String { "\(report)" }
}

/// Proves the gradient of any function of many numbers, such as the loss of a network that a program has put together: by
/// central differences along a random direction in each part, and by the order of Taylor's remainder.
///
/// - Parameters:
///   - point: where.
///   - parts: names for stretches of the variables; without them, one part of all.
///   - distance: of the differences along a direction whose elements are within ±1; halved twice. A power of two.
///   - value: L. It must be smooth within `distance` of the point; a part where it is not is skipped, said in the report.
///   - gradient: ∇L, as long as the point.
///
/// Throws `GradientCheckError` where it is wrong, and what the closures throw. Costs six evaluations for each part and
/// some twenty more.
@discardableResult
public func checkGradient(
  at point: [Double], parts: [GradientPart] = [], seed: UInt64 = 1, distance: Double = 0x1p-8,
  value: ([Double]) throws -> Double, gradient: ([Double]) throws -> [Double]
) throws -> GradientReport {
  let analytic = try gradient(point)
  if analytic.count != point.count {
    fatalError("gradient: expected \(point.count) elements, got \(analytic.count)")
  }
  let parts = parts.isEmpty ? [GradientPart("everything", point.indices)] : parts
  var report = GradientReport()
  report.seed = seed
  var generator = SeededGenerator(seed: seed)
  let direction = point.map { _ in generator.uniform(in: -1...1) }
  func difference(_ range: Range<Int>, _ direction: (Int) -> Double) throws -> RichardsonDifference {
    try RichardsonDifference(distance: distance) { h in
      var moved = point
      for index in range { moved[index] += h * direction(index) }
      let result = try value(moved)
      return (result, abs(result))
    }
  }
  for part in parts {
    if part.range.lowerBound < 0 || part.range.upperBound > point.count {
      fatalError("parts: expected \(part.name) to lie within 0..<\(point.count), got \(part.range)")
    }
    let numeric = try difference(part.range) { direction[$0] }
    let terms = part.range.map { direction[$0] * analytic[$0] }
    let magnitude = terms.reduce(0) { $0 + abs($1) }
    let tolerance = numeric.error + 1e-12 * magnitude
    let isSmooth = tolerance <= 1e-4 * (magnitude + abs(numeric.value)) + 1e-9 * numeric.magnitude
    report.lines.append(
      .init(
        part: part.name, analytic: terms.reduce(0, +), numeric: numeric.value, tolerance: isSmooth ? tolerance : nil))
  }
  report.order = try taylorOrder(point, direction, zip(analytic, direction).reduce(0) { $0 + $1.0 * $1.1 }, value)
  if let index = report.lines.firstIndex(where: \.isWrong) {
    report.failure = try describe(parts[index], analytic) { element in
      try difference(element..<(element + 1)) { _ in 1 }.value
    }
  } else if let order = report.order, order < 1.5, report.lines.allSatisfy({ $0.tolerance != nil }) {
    report.failure = "the Taylor remainder falls as ε^\(shortened(order)), that of a right gradient as ε²"
  }
  if report.failure != nil { throw GradientCheckError(report: report) }
  return report
}

/// The order of L(p + εv) − L(p) − ε⟨∇L, v⟩ over the smallest four ε where it exceeds a thousand times round-off.
private func taylorOrder(
  _ point: [Double], _ direction: [Double], _ slope: Double, _ value: ([Double]) throws -> Double
) rethrows -> Double? {
  let origin = try value(point)
  var points: [(x: Double, y: Double)] = []
  for exponent in 3...22 {
    let distance = 1 / Double(1 << exponent)
    let remainder = abs(try value(zip(point, direction).map { $0 + distance * $1 }) - origin - distance * slope)
    if !(remainder > 1000 * 0x1p-50 * (abs(origin) + distance * abs(slope))) { break }
    points.append((distance.logarithm, remainder.logarithm))
  }
  return points.count < 3 ? nil : regressionSlope(points.suffix(4))
}

/// The worst element of a wrong part, and the likely cause. Of long parts, elements at even distances.
private func describe(
  _ part: GradientPart, _ analytic: [Double], _ numeric: (Int) throws -> Double
) rethrows -> String {
  let step = max(1, part.range.count / 512)
  let elements = Array(stride(from: part.range.lowerBound, to: part.range.upperBound, by: step))
  let expected = try elements.map(numeric)
  let found = elements.map { analytic[$0] }
  let worst = elements.indices.max { abs(found[$0] - expected[$0]) < abs(found[$1] - expected[$1]) }!
  var text =
    "\(part.name)[\(elements[worst] - part.range.lowerBound)]: the gradient gives \(found[worst]), "
    + "the central difference \(expected[worst])"
  if let factor = Pattern.factor(found, expected, 1e-6) {
    text += "\n  likely cause: " + Pattern.sentence("∂L/∂\(part.name)", factor)
  }
  return text
}
