import Foundation
import Recurrence

/// The table and the picture of the error wall.
struct WallReport {
  let terminal: Terminal

  static let (limit, rate) = (1.0, 0.2)
  /// On the face of the wall.
  static let from = ErrorWall.Point(w: 5, b: -2.61235)

  func run(picture: String?) throws {
    let surface = WallSurface()
    switch terminal.style {
    case .json: for line in json(surface) { terminal.line(line.text) }
    case .bar, .lines: for line in text(surface) { terminal.line(line) }
    }
    if let picture { try FileAccess.system.replace(picture, with: Array(WallPicture(surface: surface).svg.utf8)) }
  }

  private func text(_ surface: WallSurface) -> [String] {
    let (w, b) = (surface.w, surface.b)
    let grid = surface.steepest
    var lines = [
      "wall: x_t = w σ(x_{t−1}) + b, x_0 = \(ErrorWall.start), E = (σ(x_\(ErrorWall.steps)) − \(ErrorWall.target))²",
      String(
        format: "on %d × %d points, w from %g to %g, b from %g to %g: largest |∇E| %.3g, at w = %.4f, b = %.4f",
        WallSurface.columns, WallSurface.rows, w.lowerBound, w.upperBound, b.lowerBound, b.upperBound, grid.value.norm,
        grid.point.w, grid.point.b),
      String(
        format: "median of all points: %.3g. The wall is thinner than the grid; followed along it:", surface.medianNorm),
      "",
    ]
    let rows = WallSurface.wallAt.map { w -> [String] in
      let place = WallSurface.wall(w)
      return [
        String(format: "%.2f", w), String(format: "%.10f", place.point.b), String(format: "%.3f", place.value.error),
        String(format: "%.3g", place.value.norm),
      ]
    }
    lines += ExperimentReport.aligned([["w", "b of the wall", "E there", "|∇E| there"]] + rows)
    let value = ErrorWall.value(at: Self.from)
    lines += [
      "",
      String(
        format: "one step of rate %g from w = %.5f, b = %.5f, where E = %.4f and |∇E| = %.0f:", Self.rate, Self.from.w,
        Self.from.b, value.error, value.norm),
    ]
    lines += ExperimentReport.aligned(
      [["step", "w", "b", "E"]]
        + steps.map { step in
          [
            step.name, String(format: "%.4f", step.point.w), String(format: "%.4f", step.point.b),
            String(format: "%.4f", ErrorWall.value(at: step.point).error),
          ]
        })
    return lines
  }

  private var steps: [(name: String, point: ErrorWall.Point)] {
    [
      ("not clipped", ErrorWall.step(from: Self.from, rate: Self.rate, limit: nil)),
      ("clipped at \(Self.limit)", ErrorWall.step(from: Self.from, rate: Self.rate, limit: Self.limit)),
    ]
  }

  private func json(_ surface: WallSurface) -> [JSONLine] {
    func line(_ variant: String, _ point: ErrorWall.Point) -> JSONLine {
      let value = ErrorWall.value(at: point)
      var line = JSONLine()
      line.add("experiment", "wall")
      line.add("variant", variant)
      line.add("w", point.w)
      line.add("b", point.b)
      line.add("error", value.error)
      line.add("gradient", [value.gradient.w, value.gradient.b])
      line.add("grad_norm", value.norm)
      return line
    }
    return [line("steepest point of the grid", surface.steepest.point)]
      + WallSurface.wallAt.map { line("on the wall", WallSurface.wall($0).point) }
      + [line("before the step", Self.from)] + steps.map { line("after the step, \($0.name)", $0.point) }
  }
}
