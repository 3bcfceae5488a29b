import Foundation

/// A derivative from central differences at three distances, extrapolated twice (Richardson 1911).
public struct RichardsonDifference: Sendable {
  public let value: Double
  /// How far it may be from the derivative: what the last extrapolation changed, and rounding.
  public let error: Double
  /// Σ |terms| of the function, where rounding comes from.
  public let magnitude: Double

  /// Where the function is wanted: ±h, ±h/2, ±h/4.
  static func points(_ distance: Double) -> [Double] {
    [distance, -distance, distance / 2, -distance / 2, distance / 4, -distance / 4]
  }

  /// - Parameters:
  ///   - distance: h, a power of two for differences without rounding of their own.
  ///   - function: its value at a point, and the magnitude that its rounding errors are relative to.
  public init(
    distance: Double, _ function: (Double) throws -> (value: Double, magnitude: Double)
  ) rethrows {
    var magnitude = 0.0
    let values = try Self.points(distance).map { point in
      let result = try function(point)
      magnitude = max(magnitude, result.magnitude)
      return result.value
    }
    self.init(distance: distance, values, magnitude)
  }

  init(distance: Double, _ points: [(at: Double, value: Double)]) {
    self.init(distance: distance, points.map(\.value), points.map { abs($0.value) }.max() ?? 0)
  }

  private init(distance: Double, _ values: [Double], _ magnitude: Double) {
    func central(_ index: Int, _ h: Double) -> Double { (values[index] - values[index + 1]) / (2 * h) }
    let (d1, d2, d3) = (central(0, distance), central(2, distance / 2), central(4, distance / 4))
    let (r1, r2) = ((4 * d2 - d1) / 3, (4 * d3 - d2) / 3)
    value = (16 * r2 - r1) / 15
    // Each value carries some ulps of its terms; the extrapolation multiplies by at most two.
    error = abs(value - r2) + 64 * 0x1p-52 * magnitude / (distance / 4)
    self.magnitude = magnitude
  }
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
