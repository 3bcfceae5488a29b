import Foundation

/// A derivative from central differences at four distances, extrapolated twice (Richardson 1911).
public struct RichardsonDifference: Sendable {
  public let value: Double
  /// How far the derivative may be from it: the changes that the last two steps of the extrapolation made, several times
  /// what they left where the series has settled, and rounding. An estimate, not a bound: nothing is, between the points.
  public let error: Double
  /// The largest of the magnitudes that the function gave.
  public let magnitude: Double
  /// False where the function's second differences do not fall as they do without a kink between the points.
  public let isSmooth: Bool

  /// Where the function is wanted: ±h, ±h/2, ±h/4, ±h/8.
  static func points(_ distance: Double) -> [Double] {
    (0..<4).flatMap { level in [distance / Double(1 << level), -distance / Double(1 << level)] }
  }

  /// - Parameters:
  ///   - distance: h > 0, a power of two for differences without rounding of their own.
  ///   - origin: the function's value in the middle, for `isSmooth`; nil to take it for smooth.
  ///   - rounding: what rounding may do to a value of the function, beyond some ulps of its magnitude.
  ///   - function: its value at a point, and the magnitude of its terms.
  public init(
    distance: Double, origin: Double? = nil, rounding: Double = 0,
    _ function: (Double) throws -> (value: Double, magnitude: Double)
  ) rethrows {
    if !(distance > 0) { fatalError("distance: expected a number greater than 0, got \(distance)") }
    var magnitude = 0.0
    let values = try Self.points(distance).map { point in
      let result = try function(point)
      magnitude = max(magnitude, result.magnitude)
      return result.value
    }
    self.init(distance: distance, values, origin, magnitude, rounding)
  }

  init(distance: Double, rounding: Double = 0, _ points: [(at: Double, value: Double)]) {
    self.init(distance: distance, points.map(\.value), nil, points.map { abs($0.value) }.max() ?? 0, rounding)
  }

  private init(distance h: Double, _ f: [Double], _ origin: Double?, _ magnitude: Double, _ rounding: Double) {
    let d = (0..<4).map { (f[2 * $0] - f[2 * $0 + 1]) / (2 * h / Double(1 << $0)) }
    let r = (0..<3).map { (4 * d[$0 + 1] - d[$0]) / 3 }
    value = (16 * r[2] - r[1]) / 15
    // Errors of second order fall to a quarter from one distance to the next. Where differences do not, all that is known
    // is the plain difference; where the second extrapolation happens to change nothing, the first may not have.
    let isSettled = abs(d[3] - d[2]) <= abs(d[2] - d[1]) / 3 && abs(d[3] - d[2]) >= abs(d[2] - d[1]) / 5
    let noise = 64 * 0x1p-52 * magnitude + 2 * rounding
    error =
      max(abs(r[1] - r[0]), abs(r[2] - r[1])) + (isSettled ? 0 : abs(d[3] - d[2])) + noise / (h / 8)
    self.magnitude = magnitude
    guard let origin else {
      isSmooth = true
      return
    }
    // f(h) − 2f(0) + f(−h) falls to a quarter or less, at a kink to a half.
    let second = (0..<4).map { abs(f[2 * $0] - 2 * origin + f[2 * $0 + 1]) }
    isSmooth = (0..<3).allSatisfy { second[$0 + 1] <= second[$0] / 3 + 4 * noise }
  }
}

/// Every derivative of a function with several results, [results][variables], by central differences.
///
/// - Parameters:
///   - distance: of the differences, halved three times; see `RichardsonDifference`. The function is called eight times for each
///     variable: for a few hundred at most.
public func jacobian(
  at point: [Double], distance: Double = 0x1p-8, of function: ([Double]) throws -> [Double]
) rethrows -> [[Double]] {
  var columns: [[Double]] = []
  for variable in point.indices {
    let values = try RichardsonDifference.points(distance).map { h in
      var moved = point
      moved[variable] += h
      return (at: h, values: try function(moved))
    }
    columns.append(
      values[0].values.indices.map { result in
        RichardsonDifference(distance: distance, values.map { (at: $0.at, value: $0.values[result]) }).value
      })
  }
  guard let results = columns.first?.count else { return [] }
  return (0..<results).map { result in columns.map { $0[result] } }
}

/// Least squares: the slope of y over x.
func regressionSlope(_ points: [(x: Double, y: Double)]) -> Double {
  let count = Double(points.count)
  let (mx, my) = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
  let covariance = points.reduce(0) { $0 + ($1.x - mx) * ($1.y - my) }
  return covariance / points.reduce(0) { $0 + ($1.x - mx) * ($1.x - mx) }
}

extension Double {
  /// ln.
  var logarithm: Double { Foundation.log(self) }
}
