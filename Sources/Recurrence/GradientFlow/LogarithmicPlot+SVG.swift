import Foundation

extension LogarithmicPlot {
  /// Okabe and Ito's colours, which the colour-blind tell apart; and dashes for those who see none. Their numbers have no
  /// common divisor: 35 styles.
  private static let colours = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
  private static let dashes = ["", "8 4", "2 3", "10 3 2 3", "4 2"]
  private static let ink = "#222222"

  /// As SVG: axes with labels, a light grid, a legend beside it.
  package var svg: String {
    let frame = Frame(self)
    var parts = [
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(frame.width)) \(Int(frame.height))" role="img" \
      font-family="Helvetica, Arial, sans-serif" font-size="14">
      <title>\(Self.escaped(title))</title>
      <rect width="100%" height="100%" fill="#ffffff"/>
      <clipPath id="plot"><rect x="\(frame.left)" y="\(frame.top)" width="\(Frame.plotWidth)" \
      height="\(frame.plotHeight)"/></clipPath>
      """,
      Self.text(title, frame.left, 28, "font-size=\"16\""),
    ]
    let marks = marks(frame)
    parts += axes(frame) + marks.lines
    // The first series lies on top.
    parts += series.reversed().flatMap { draw($0, frame) }
    return (parts + marks.labels + legend(frame) + ["</svg>", ""]).joined(separator: "\n")
  }

  /// Where things are.
  fileprivate struct Frame {
    static let plotWidth = 566.0
    let left = 84.0
    let top: Double
    let width, height: Double
    let decades: ClosedRange<Int>
    let steps: Int

    init(_ plot: LogarithmicPlot) {
      decades = plot.decades
      steps = plot.steps
      // A label of the moment stands between title and picture.
      top = plot.moment == nil ? 48 : 66
      let labels = plot.series.filter { !$0.isSecondary }.map { $0.name.count * 15 / 2 + 52 }
      width = left + Self.plotWidth + Double(max(110, (labels + plot.notes.map { $0.count * 13 / 2 + 20 }).max() ?? 0))
      height = max(top + 372, top + 24 * Double(labels.count) + 20 * Double(plot.notes.count) + 86)
    }

    var right: Double { left + Self.plotWidth }
    var bottom: Double { height - 56 }
    var plotHeight: Double { bottom - top }

    func x(_ t: Int) -> Double { tenth(left + Double(t) / Double(max(1, steps)) * Self.plotWidth) }
    func y(_ exponent: Double) -> Double {
      tenth(top + (Double(decades.upperBound) - exponent) / Double(decades.count - 1) * plotHeight)
    }
    private func tenth(_ value: Double) -> Double { (10 * value).rounded() / 10 }
  }

  private func axes(_ frame: Frame) -> [String] {
    var parts: [String] = []
    let span = frame.decades.count - 1
    let spacing = [1, 2, 5, 10, 20, 50, 100].first { span <= 8 * $0 } ?? 200
    for exponent in frame.decades {
      let y = frame.y(Double(exponent))
      let isLabelled = exponent.isMultiple(of: spacing)
      if isLabelled || span <= 16 { parts.append(Self.line(frame.left, y, frame.right, y, "stroke=\"#e4e4e4\"")) }
      if isLabelled {
        parts.append(
          "<text x=\"\(frame.left - 10)\" y=\"\(y + 5)\" text-anchor=\"end\" fill=\"\(Self.ink)\">10"
            + "<tspan dy=\"-6\" font-size=\"10\">\(exponent < 0 ? "−\(-exponent)" : "\(exponent)")</tspan></text>")
      }
    }
    for t in Self.ticks(frame.steps) {
      let x = frame.x(t)
      parts.append(Self.line(x, frame.top, x, frame.bottom, "stroke=\"#f0f0f0\""))
      parts.append(Self.text("\(t)", x, frame.bottom + 22, "text-anchor=\"middle\""))
    }
    let middle = (frame.left + frame.right) / 2
    parts.append(Self.text(xLabel, middle, frame.height - 12, "text-anchor=\"middle\""))
    if !yLabel.isEmpty {
      let y = (frame.top + frame.bottom) / 2
      parts.append(Self.text(yLabel, 20, y, "text-anchor=\"middle\" transform=\"rotate(-90 20 \(y))\""))
    }
    return parts
  }

  private func marks(_ frame: Frame) -> (lines: [String], labels: [String]) {
    let style = "stroke=\"#777777\" stroke-dasharray=\"3 4\""
    // A white rim keeps a label readable where a curve runs through it.
    let small = "font-size=\"12\" stroke=\"#ffffff\" stroke-width=\"4\" paint-order=\"stroke\""
    var (lines, labels): ([String], [String]) = ([], [])
    if let level, let exponent = exponent(level.value, frame.decades) {
      let y = frame.y(exponent)
      lines.append(Self.line(frame.left, y, frame.right, y, style))
      labels.append(Self.text(level.label, frame.left + 6, y - 6, small))
    }
    if let moment, (0...frame.steps).contains(moment.t) {
      let x = frame.x(moment.t)
      lines.append(Self.line(x, frame.top - 6, x, frame.bottom, style))
      let isLeft = moment.t <= frame.steps / 2
      let anchor = "text-anchor=\"\(isLeft ? "start" : "end")\""
      labels.append(Self.text(moment.label, isLeft ? x - 2 : x + 2, frame.top - 10, "\(small) \(anchor)"))
    }
    return (lines, labels)
  }

  private func draw(_ line: Series, _ frame: Frame) -> [String] {
    let style = Self.stroke(line) + " clip-path=\"url(#plot)\""
    return points(line.values, frame).map { points in
      if points.count == 1 {
        return "<circle cx=\"\(points[0].x)\" cy=\"\(points[0].y)\" r=\"3\" fill=\"\(Self.colour(line.style))\"/>"
      }
      let list = points.map { String(format: "%.1f,%.1f", $0.x, $0.y) }.joined(separator: " ")
      return "<polyline fill=\"none\" \(style) points=\"\(list)\"/>"
    }
  }

  /// Stretches without a gap. Of a stretch that is outside the picture only the ends remain; of many values in one place,
  /// the least and the largest.
  private func points(_ values: [Double], _ frame: Frame) -> [[(x: Double, y: Double)]] {
    var stretches: [[(x: Double, y: Double)]] = [[]]
    let (lowest, highest) = (Double(frame.decades.lowerBound) - 1, Double(frame.decades.upperBound) + 1)
    var before: (exponent: Double?, last: Double?) = (nil, nil)
    for t in Self.thinned(values) {
      guard let exponent = exponent(values[t], frame.decades) else {
        if !stretches[stretches.count - 1].isEmpty { stretches.append([]) }
        before = (nil, nil)
        continue
      }
      let isOutside = exponent == lowest || exponent == highest
      if isOutside && before.exponent == exponent && before.last == exponent {
        stretches[stretches.count - 1].removeLast()
      }
      stretches[stretches.count - 1].append((frame.x(t), frame.y(exponent)))
      before = (before.last, exponent)
    }
    return stretches.filter { !$0.isEmpty }
  }

  private static func thinned(_ values: [Double]) -> [Int] {
    let most = 1000
    if values.count <= most { return Array(values.indices) }
    return (0..<(most / 2)).flatMap { bucket in
      let range = (bucket * values.count * 2 / most)..<((bucket + 1) * values.count * 2 / most)
      let ends = [range.min { values[$0] < values[$1] }!, range.max { values[$0] < values[$1] }!]
      return ends[0] == ends[1] ? [ends[0]] : ends.sorted()
    }
  }

  private func legend(_ frame: Frame) -> [String] {
    let (start, named) = (frame.right + 14, series.filter { !$0.isSecondary })
    var parts: [String] = []
    for (index, line) in named.enumerated() {
      let y = frame.top + 20 + Double(index) * 24
      parts.append(Self.line(start, y, start + 30, y, Self.stroke(line)))
      parts.append(Self.text(line.name, start + 38, y + 5))
    }
    for (index, note) in notes.enumerated() {
      let y = frame.top + 30 + Double(named.count) * 24 + Double(index) * 20
      parts.append(Self.text(note, start, y, "font-size=\"12\""))
    }
    return parts
  }

  // MARK: Elements

  private static func colour(_ style: Int) -> String { colours[style % colours.count] }

  private static func stroke(_ line: Series) -> String {
    let width = line.isSecondary ? "1\" stroke-opacity=\"0.7" : "2.5"
    return "stroke=\"\(colour(line.style))\" stroke-width=\"\(width)\" "
      + "stroke-dasharray=\"\(dashes[line.style % dashes.count])\""
  }

  private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> String {
    "<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" \(style)/>"
  }

  private static func text(_ text: String, _ x: Double, _ y: Double, _ style: String = "") -> String {
    "<text x=\"\(x)\" y=\"\(y)\" fill=\"\(ink)\" \(style)>\(escaped(text))</text>"
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }

  /// 0 to `steps` in about five round steps.
  static func ticks(_ steps: Int) -> [Int] {
    var spacing = 1
    while steps / spacing > 6 {
      let digit = Int(String("\(spacing)".first!))!
      spacing = digit == 1 ? spacing * 2 : digit == 2 ? spacing / 2 * 5 : spacing * 2
    }
    return Array(stride(from: 0, through: steps, by: spacing))
  }
}
