import Recurrence

/// A stretch of the variables with a name: a tensor, a layer.
public struct GradientPart: Hashable, Sendable {
  /// For messages.
  public let name: String
  /// Its elements of the point and of the gradient.
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
    /// Its name.
    public let part: String
    /// ⟨∇L, v⟩ and the central difference of L along v.
    public let analytic, numeric: Double
    /// How far apart they may be; nil where differences say nothing, for the reason in `doubt`.
    public let tolerance: Double?
    /// Why nothing is said.
    public let doubt: String?
    /// Whether they are farther apart than that.
    public var isWrong: Bool { tolerance.map { !(abs(analytic - numeric) <= $0) } ?? false }
  }

  /// In the order of the parts.
  public internal(set) var lines: [Line] = []
  /// The order of Taylor's remainder along a direction in everything; nil where too few remainders exceed round-off.
  public internal(set) var order: Double?
  /// Of the directions.
  public internal(set) var seed: UInt64 = 0
  /// What is wrong and, where a known mistake fits, the likely cause.
  public internal(set) var failure: String?

  /// Whether nothing is wrong and something was proven.
  public var isPassed: Bool { failure == nil }

  public var description: String {
    var text = "gradient by differences, seed \(seed)\n"
    let width = lines.map(\.part.count).max() ?? 0
    for line in lines {
      text +=
        "  \(line.part.padded(width))  ⟨∇L, v⟩ = \(shortened(line.analytic)), difference \(shortened(line.numeric)),"
      text += " off by \(shortened(abs(line.analytic - line.numeric)))"
      text += line.tolerance.map { " of \(shortened($0))  \(line.isWrong ? "WRONG" : "right")" } ?? ""
      text += line.doubt.map { "  skipped: \($0)" } ?? ""
      text += "\n"
    }
    text +=
      "  Taylor remainder: " + (order.map { "order \(shortened($0))" } ?? "not measured, too little exceeds round-off")
    return failure.map { text + "\n\($0)" } ?? text
  }
}

/// Thrown where a gradient is wrong, or nothing could be said of it.
public struct GradientCheckError: Error, CustomStringConvertible, Sendable {
  /// What was found.
  public let report: GradientReport
  public var description: String { "\(report)" }
}

/// Proves the gradient of any function of many numbers, such as the loss of a network that a program has put together: by
/// central differences along a random direction in each part, and by the order of Taylor's remainder.
///
/// What rounding does to L is measured, by differences over distances at which nothing else can change it: a loss that
/// is summed in Float, or is a small difference of large numbers, is held to what its digits can tell.
///
/// - Parameters:
///   - point: where.
///   - parts: names for stretches of the variables; without them, one part of all.
///   - distance: of the differences along a direction whose elements are within ±1, halved three times; times the largest
///     magnitude in a part where that is above 1. A power of two.
///   - value: L. A part is skipped, said in the report, where it has a kink along four directions.
///   - gradient: ∇L, as long as the point.
///
/// Throws `GradientCheckError` where it is wrong, where it or L is not finite, and where nothing could be said of any part;
/// and what the closures throw. Costs eight evaluations for each part and some forty more.
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
  for part in parts where part.range.lowerBound < 0 || part.range.upperBound > point.count {
    fatalError("parts: expected \(part.name) to lie within 0..<\(point.count), got \(part.range)")
  }
  let report = try withoutActuallyEscaping(value) { value in
    try prove(GradientDifferences(point, seed: seed, distance: distance, value), parts, analytic, seed)
  }
  if report.failure != nil { throw GradientCheckError(report: report) }
  return report
}

private func prove(
  _ differences: GradientDifferences, _ parts: [GradientPart], _ analytic: [Double], _ seed: UInt64
) throws -> GradientReport {
  var report = GradientReport()
  report.seed = seed
  report.failure = differences.complaint(analytic, parts)
  if report.failure != nil { return report }
  for part in parts { report.lines.append(try differences.line(part, analytic)) }
  report.order = try differences.taylorOrder(zip(analytic, differences.direction).reduce(0) { $0 + $1.0 * $1.1 })
  if let index = report.lines.firstIndex(where: \.isWrong) {
    report.failure = try differences.describe(parts[index], analytic)
  } else if report.lines.allSatisfy({ $0.tolerance == nil }) {
    report.failure = "nothing is proven: \(report.lines.first?.doubt ?? "there are no variables")"
  } else if let order = report.order, order < 1.5, !coversAll(parts, analytic.count) {
    // Where every variable belongs to a part, the parts have been measured more sharply than by this.
    report.failure = "the Taylor remainder falls as ε^\(shortened(order)), that of a right gradient as ε²"
  }
  return report
}

private func coversAll(_ parts: [GradientPart], _ count: Int) -> Bool {
  Set(parts.flatMap(\.range)).count == count
}

/// A function around a point, and what its rounding amounts to there.
private struct GradientDifferences {
  let point: [Double]
  /// The first is that of Taylor's remainder; the others are tried where it says nothing of a part.
  let directions: [[Double]]
  var direction: [Double] { directions[0] }
  let distance: Double
  let value: ([Double]) throws -> Double
  let origin: Double
  /// The largest second difference over distances at which only rounding can make any.
  let noise: Double

  init(
    _ point: [Double], seed: UInt64, distance: Double, _ value: @escaping ([Double]) throws -> Double
  ) throws {
    var generator = SeededGenerator(seed: seed)
    let directions = (0..<4).map { _ in point.map { _ in generator.uniform(in: -1...1) } }
    let direction = directions[0]
    self.point = point
    self.directions = directions
    self.distance = distance
    self.value = value
    let center = try value(point)
    origin = center
    var noise = 0.0
    // No powers of two: steps of a whole number of ulps would all be rounded alike.
    for step in [0x1.4dp-22, 0x1.9bp-25, 0x1.6p-30] {
      let values = try (-4...4).map { k in
        try value(zip(point, direction).map { $0 + Double(k) * step * $1 })
      }
      for k in 1..<8 { noise = max(noise, abs(values[k - 1] - 2 * values[k] + values[k + 1])) }
    }
    self.noise = noise
  }

  /// What makes a comparison senseless.
  func complaint(_ analytic: [Double], _ parts: [GradientPart]) -> String? {
    if !origin.isFinite { return "the value is \(origin), expected a finite number" }
    guard let index = analytic.firstIndex(where: { !$0.isFinite }) else { return nil }
    guard let part = parts.first(where: { $0.range.contains(index) }) else {
      return "gradient[\(index)] is \(analytic[index]), expected a finite number"
    }
    return
      "\(part.name)[\(index - part.range.lowerBound)]: the gradient gives \(analytic[index]), expected a finite number"
  }

  private func difference(_ range: Range<Int>, _ along: (Int) -> Double) throws -> RichardsonDifference {
    let largest = range.reduce(1.0) { max($0, abs(point[$1])) }
    let scaled = distance * largest.binade
    return try RichardsonDifference(distance: scaled, origin: origin, rounding: 4 * noise) { h in
      var moved = point
      for index in range { moved[index] += h * along(index) }
      let result = try value(moved)
      return (result, abs(result))
    }
  }

  func line(_ part: GradientPart, _ analytic: [Double]) throws -> GradientReport.Line {
    let first = try line(part, analytic, directions[0])
    if first.doubt == nil || part.range.isEmpty { return first }
    for other in directions.dropFirst() {
      let line = try line(part, analytic, other)
      if line.doubt == nil { return line }
    }
    return first
  }

  private func line(
    _ part: GradientPart, _ analytic: [Double], _ direction: [Double]
  ) throws -> GradientReport.Line {
    let terms = part.range.map { direction[$0] * analytic[$0] }
    let sum = terms.reduce(0, +)
    if part.range.isEmpty {
      return .init(part: part.name, analytic: sum, numeric: 0, tolerance: nil, doubt: "it is empty")
    }
    let numeric = try difference(part.range) { direction[$0] }
    let magnitude = terms.reduce(0) { $0 + abs($1) }
    let tolerance = 3 * numeric.error + 1e-12 * magnitude
    var doubt: String?
    if !numeric.isSmooth {
      doubt = "there is a kink, or more noise than near the point"
    } else if !(tolerance <= 1e-2 * max(magnitude, abs(numeric.value)) || magnitude == 0) || !tolerance.isFinite {
      doubt = "too small beside L, or too curved, to be measured"
    }
    return .init(
      part: part.name, analytic: sum, numeric: numeric.value, tolerance: doubt == nil ? tolerance : nil, doubt: doubt)
  }

  /// The order of L(p + εv) − L(p) − ε⟨∇L, v⟩ over the smallest four ε where it exceeds a thousand times round-off.
  func taylorOrder(_ slope: Double) throws -> Double? {
    var points: [(x: Double, y: Double)] = []
    for exponent in 0..<16 {
      let ε = distance / Double(1 << exponent)
      let remainder = abs(try value(zip(point, direction).map { $0 + ε * $1 }) - origin - ε * slope)
      if !(remainder > 1000 * (0x1p-50 * (abs(origin) + ε * abs(slope)) + noise)) { break }
      points.append((ε.logarithm, remainder.logarithm))
    }
    return points.count < 3 ? nil : regressionSlope(points.suffix(4))
  }

  /// The worst element of a wrong part, and the likely cause. Of long parts, elements at even distances.
  func describe(_ part: GradientPart, _ analytic: [Double]) throws -> String {
    let step = max(1, part.range.count / 512)
    let elements = Array(stride(from: part.range.lowerBound, to: part.range.upperBound, by: step))
    let expected = try elements.map { element in try difference(element..<(element + 1)) { _ in 1 }.value }
    let found = elements.map { analytic[$0] }
    let worst = elements.indices.max { abs(found[$0] - expected[$0]) < abs(found[$1] - expected[$1]) }!
    var text =
      "\(part.name)[\(elements[worst] - part.range.lowerBound)]: the gradient gives \(found[worst]), "
      + "the central difference \(expected[worst])"
    if let factor = Pattern.factor(found, expected, 1e-6), abs(factor - 1) > 1e-5 {
      text += "\n  likely cause: " + Pattern.sentence("∂L/∂\(part.name)", factor)
    }
    return text
  }
}
