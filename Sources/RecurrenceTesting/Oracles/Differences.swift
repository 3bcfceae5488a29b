import Foundation

/// A derivative from central differences at three distances, extrapolated twice (Richardson 1911).
public struct RichardsonDifference: Sendable {
  public let value: Double
  /// How far it may be from the derivative: what the extrapolations changed, and rounding.
  public let error: Double
  /// Σ |terms| of the function, where rounding comes from.
  public let magnitude: Double

  /// Where the function is wanted: ±h, ±h/2, ±h/4.
  static func points(_ distance: Double) -> [Double] {
    [distance, -distance, distance / 2, -distance / 2, distance / 4, -distance / 4]
  }

  /// - Parameters:
  ///   - distance: h, a power of two for differences without rounding of their own.
  ///   - rounding: what rounding may do to a value of the function, beyond some ulps of its magnitude.
  ///   - function: its value at a point, and the magnitude of its terms.
  public init(
    distance: Double, rounding: Double = 0, _ function: (Double) throws -> (value: Double, magnitude: Double)
  ) rethrows {
    var magnitude = 0.0
    let values = try Self.points(distance).map { point in
      let result = try function(point)
      magnitude = max(magnitude, result.magnitude)
      return result.value
    }
    self.init(distance: distance, values, magnitude, rounding)
  }

  init(distance: Double, rounding: Double = 0, _ points: [(at: Double, value: Double)]) {
    self.init(distance: distance, points.map(\.value), points.map { abs($0.value) }.max() ?? 0, rounding)
  }

  private init(distance: Double, _ values: [Double], _ magnitude: Double, _ rounding: Double) {
    func central(_ index: Int, _ h: Double) -> Double { (values[index] - values[index + 1]) / (2 * h) }
    let (d1, d2, d3) = (central(0, distance), central(2, distance / 2), central(4, distance / 4))
    let (r1, r2) = ((4 * d2 - d1) / 3, (4 * d3 - d2) / 3)
    value = (16 * r2 - r1) / 15
    // The error of r2 is a fifteenth of r2 − r1 where the series has settled: differences fall to a quarter then.
    // Where they do not, the plain difference is all there is.
    let isSettled = abs(d3 - d2) <= abs(d2 - d1) / 3 && abs(d3 - d2) >= abs(d2 - d1) / 5
    let noise = 64 * 0x1p-52 * magnitude + 2 * rounding
    error = (isSettled ? abs(r2 - r1) : abs(d3 - d2) + abs(r2 - r1)) + noise / (distance / 4)
    self.magnitude = magnitude
  }
}

/// Every derivative of a function with several results, [results][variables], by central differences.
///
/// - Parameters:
///   - distance: of the differences, halved twice; see `RichardsonDifference`. The function is called six times for each
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
