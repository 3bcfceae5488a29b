import Foundation

/// E and the norm of its gradient over (w, b), as bands of colour, and one step with and without clipping, as SVG.
struct WallPicture {
  let surface: WallSurface

  /// From the dark to the light end of cividis (Nuñez, Anderton and Renslow 2018): even steps of lightness, the same to
  /// the colour-blind.
  private static let colours = [
    "#00224e", "#00306f", "#2a3f6d", "#434e6c", "#575d6d", "#6a6c71", "#7d7c78", "#918d78", "#a69f75", "#bcb16c",
    "#d3c45d", "#ebd849",
  ]
  private static let (width, panel, height) = (960.0, 360.0, 470.0)

  var svg: String {
    let title = "An error surface with a wall, and a gradient step there"
    let errors = Bands(range: 0...0.48, values: surface.values.map(\.error))
    let norms = Bands(range: -3...1, values: surface.values.map { log10(max($0.norm, 1e-300)) })
    var left = chart(left: 76)
    var right = chart(left: 560)
    (left.bottom, right.bottom) = (344, 344)
    var parts = [
      Chart.text("error E = (σ(x₅₀) − 0.7)²", left.left, 30, size: 16),
      Chart.text("norm of its gradient, log₁₀ |∇E|", right.left, 30, size: 16),
    ]
    for (bands, chart) in [(errors, left), (norms, right)] {
      parts += cells(bands, chart)
      parts += chart.axes("w", "b", grid: false)
    }
    parts += legend(errors, at: left.left) { String(format: "%.2f", $0) }
    parts += legend(norms, at: right.left) { String(format: "%g", $0) }
    parts += steps(left)
    return Chart.document(width: Self.width, height: Self.height, title: title, parts)
  }

  private func chart(left: Double) -> Chart {
    Chart(left: left, right: left + Self.panel, x: .linear(surface.w), y: .linear(surface.b))
  }

  /// Numbers sorted into bands, those outside the range into the outermost.
  private struct Bands {
    let range: ClosedRange<Double>
    let indices: [Int]

    init(range: ClosedRange<Double>, values: [Double]) {
      self.range = range
      let count = WallPicture.colours.count
      indices = values.map {
        let share = ($0 - range.lowerBound) / (range.upperBound - range.lowerBound)
        return min(count - 1, max(0, Int((share * Double(count)).rounded(.down))))
      }
    }
  }

  /// A rectangle for each run of cells of one band in a row.
  private func cells(_ bands: Bands, _ chart: Chart) -> [String] {
    let (columns, rows) = (WallSurface.columns, WallSurface.rows)
    let (width, height) = ((chart.right - chart.left) / Double(columns), (chart.bottom - chart.top) / Double(rows))
    var groups = [[String]](repeating: [], count: Self.colours.count)
    for row in 0..<rows {
      var start = 0
      for column in 1...columns {
        let band = bands.indices[row * columns + start]
        if column < columns && bands.indices[row * columns + column] == band { continue }
        let (x, y) = (chart.left + Double(start) * width, chart.bottom - Double(row + 1) * height)
        // A little more than a cell, so that no gaps show between them.
        groups[band].append(
          String(
            format: "M%.1f,%.1fh%.1fv%.1fh-%.1fz", x, y, width * Double(column - start), height + 0.4,
            width * Double(column - start)))
        start = column
      }
    }
    return zip(groups, Self.colours).filter { !$0.0.isEmpty }.map {
      "<path fill=\"\($0.1)\" d=\"\($0.0.joined())\"/>"
    }
  }

  private func legend(_ bands: Bands, at left: Double, _ text: (Double) -> String) -> [String] {
    let width = Self.panel / Double(Self.colours.count)
    var parts: [String] = []
    for (index, colour) in Self.colours.enumerated() {
      parts.append(
        "<rect x=\"\(Chart.short(left + Double(index) * width))\" y=\"402\" width=\"\(width + 0.3)\" height=\"14\" "
          + "fill=\"\(colour)\"/>")
    }
    for quarter in 0...4 {
      let share = Double(quarter) / 4
      let value = bands.range.lowerBound + share * (bands.range.upperBound - bands.range.lowerBound)
      let mark = quarter == 0 ? "≤ " : quarter == 4 ? "≥ " : ""
      parts.append(Chart.text(mark + text(value), left + share * Self.panel, 434, anchor: "middle", size: 12))
    }
    return parts
  }

  /// The step without clipping leaves the picture: its arrow ends at the frame.
  private func steps(_ chart: Chart) -> [String] {
    let from = WallReport.from
    let start = chart.place(from.w, from.b)
    let far = ErrorWall.step(from: from, rate: WallReport.rate, limit: nil)
    let near = ErrorWall.step(from: from, rate: WallReport.rate, limit: WallReport.limit)
    let end = chart.place(far.w, far.b)
    let share = min(
      (end.x > start.x ? chart.right - start.x : chart.left - start.x) / (end.x - start.x),
      (end.y > start.y ? chart.bottom - start.y : chart.top - start.y) / (end.y - start.y), 1)
    let edge = (start.x + share * (end.x - start.x), start.y + share * (end.y - start.y))
    let clipped = chart.place(near.w, near.b)
    return [
      Self.arrow(start, edge, "#ffffff", 2, "7 4"), Self.arrow(start, clipped, "#E69F00", 4, ""),
      "<circle cx=\"\(Chart.short(start.x))\" cy=\"\(Chart.short(start.y))\" r=\"4\" fill=\"#ffffff\" stroke=\"#222222\"/>",
      Chart.line((76, 456), (104, 456), colour: "#E69F00", width: 4),
      Chart.text("a step clipped at 1", 112, 460, size: 12),
      "<rect x=\"236\" y=\"447\" width=\"30\" height=\"16\" fill=\"#434e6c\"/>",
      Chart.line((238, 456), (264, 456), colour: "#ffffff", width: 2, dash: "7 4"),
      Chart.text(String(format: "not clipped: on to w = %.0f, b = %.0f", far.w, far.b), 274, 460, size: 12),
    ]
  }

  private static func arrow(
    _ from: (x: Double, y: Double), _ to: (x: Double, y: Double), _ colour: String, _ width: Double, _ dash: String
  ) -> String {
    let length = hypot(to.x - from.x, to.y - from.y)
    let (x, y) = ((to.x - from.x) / length, (to.y - from.y) / length)
    let neck = (x: to.x - 11 * x, y: to.y - 11 * y)
    let corners = [(to.x, to.y), (neck.x - 6 * y, neck.y + 6 * x), (neck.x + 6 * y, neck.y - 6 * x)]
    let points = corners.map { String(format: "%.1f,%.1f", $0.0, $0.1) }.joined(separator: " ")
    return Chart.line(from, neck, colour: colour, width: width, dash: dash)
      + "<polygon points=\"\(points)\" fill=\"\(colour)\"/>"
  }
}
