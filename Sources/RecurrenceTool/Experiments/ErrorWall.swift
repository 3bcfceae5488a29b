import Foundation

/// One recurrent unit without input, and the error after 50 steps (Pascanu, Mikolov and Bengio 2013, figure 6).
///
///     x_t = w σ(x_{t−1}) + b,  x_0 = 0.5,  E = (σ(x_50) − 0.7)²
///
/// In Double, its gradient by the chain rule, forwards: ∂x_t/∂w = σ(x_{t−1}) + w σ′(x_{t−1}) ∂x_{t−1}/∂w, and 1 in the
/// place of the first term for b.
enum ErrorWall {
  static let (steps, start, target) = (50, 0.5, 0.7)

  struct Point {
    var w: Double
    var b: Double
  }

  struct Value {
    var error: Double
    /// ∂E/∂w, ∂E/∂b.
    var gradient: Point
    var norm: Double { (gradient.w * gradient.w + gradient.b * gradient.b).squareRoot() }
  }

  static func value(at point: Point) -> Value {
    var (x, byW, byB) = (start, 0.0, 0.0)
    for _ in 0..<steps {
      let s = sigmoid(x)
      let slope = point.w * s * (1 - s)
      (x, byW, byB) = (point.w * s + point.b, s + slope * byW, 1 + slope * byB)
    }
    let s = sigmoid(x)
    let outer = 2 * (s - target) * s * (1 - s)
    return Value(error: (s - target) * (s - target), gradient: Point(w: outer * byW, b: outer * byB))
  }

  /// θ − η g, g brought to `limit` where its norm is greater.
  static func step(from point: Point, rate: Double, limit: Double?) -> Point {
    let value = value(at: point)
    var factor = rate
    if let limit, value.norm > limit { factor *= limit / value.norm }
    return Point(w: point.w - factor * value.gradient.w, b: point.b - factor * value.gradient.b)
  }

  private static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
}

/// E and its gradient over a grid of points (w, b).
struct WallSurface {
  static let (columns, rows) = (96, 72)
  static let wallAt = [4.25, 4.5, 4.75, 5, 5.25, 5.5]
  let w = 4.0...6.0
  let b = -3.6...(-1.8)
  /// Row after row, from the smallest b on.
  let values: [ErrorWall.Value]

  init() {
    var values: [ErrorWall.Value] = []
    for row in 0..<Self.rows {
      for column in 0..<Self.columns { values.append(ErrorWall.value(at: Self.point(column, row, w, b))) }
    }
    self.values = values
  }

  func point(_ column: Int, _ row: Int) -> ErrorWall.Point { Self.point(column, row, w, b) }

  /// The middle of a cell.
  private static func point(
    _ column: Int, _ row: Int, _ w: ClosedRange<Double>, _ b: ClosedRange<Double>
  ) -> ErrorWall.Point {
    func middle(_ index: Int, _ count: Int, _ range: ClosedRange<Double>) -> Double {
      range.lowerBound + (Double(index) + 0.5) / Double(count) * (range.upperBound - range.lowerBound)
    }
    return ErrorWall.Point(w: middle(column, columns, w), b: middle(row, rows, b))
  }

  var steepest: (point: ErrorWall.Point, value: ErrorWall.Value) {
    let index = values.indices.max { values[$0].norm < values[$1].norm }!
    return (point(index % Self.columns, index / Self.columns), values[index])
  }

  var medianNorm: Double { values.map(\.norm).sorted()[values.count / 2] }

  /// Where E falls through 0.2 as b grows, by bisection.
  static func wall(_ w: Double) -> (point: ErrorWall.Point, value: ErrorWall.Value) {
    var (low, high) = (-4.5, -1.5)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if ErrorWall.value(at: ErrorWall.Point(w: w, b: middle)).error > 0.2 { low = middle } else { high = middle }
    }
    let point = ErrorWall.Point(w: w, b: low)
    return (point, ErrorWall.value(at: point))
  }
}
