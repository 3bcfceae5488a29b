/// What `--svg` draws, chosen by the suites that run.
enum Picture: CaseIterable, Sendable {
  case scaling, roofline

  /// - Parameters:
  ///   - points: of the records, in the order they were measured.
  ///   - options: with one instruction set, element type and number of threads.
  func svg(_ points: [PicturePoint], _ options: Options) -> String {
    let threads = options.threads[0] == 1 ? "one thread" : "\(options.threads[0]) threads"
    let kernels = ["\(options.elementTypes?.first?.rawValue ?? "f32"), \(options.instructionSets[0])", threads]
    return switch self {
    case .scaling: scalingPicture(points, kernels)
    case .roofline: rooflinePicture(points, kernels)
    }
  }
}

/// What a record is in a picture.
struct PicturePoint {
  /// What the legend names: points of one series look alike.
  let series: String
  /// Points that belong together beyond that.
  let group: String
  let x, y: Double
  /// Shown under the pointer.
  var note = ""
  /// Of a point in a roofline.
  var roof: Roof?
}

/// Two frames: over T and over B.
private func scalingPicture(_ points: [PicturePoint], _ kernels: [String]) -> String {
  var series: [String] = []
  for point in points where !series.contains(point.series) { series.append(point.series) }
  // With room on both sides, so that a few percent look like what they are.
  let y = LogLogChart.range(of: points.flatMap { [$0.y / 2, $0.y * 2] })
  var charts = [
    LogLogChart(
      title: "Time of a step as the sequence grows, B = 32", xName: "T, steps",
      yName: "ns per step and row",
      x: LogLogChart.range(of: points.filter { $0.group == "T" }.map(\.x)), y: y),
    LogLogChart(
      title: "As the batch grows, T = 100", xName: "B, rows", yName: "",
      x: LogLogChart.range(of: points.filter { $0.group == "B" }.map(\.x)), y: y),
  ]
  charts[1].left = charts[0].right + 50
  charts[1].right = charts[1].left + 240
  var parts: [String] = []
  for (chart, group) in zip(charts, ["T", "B"]) {
    parts += chart.axes
    for (style, name) in series.enumerated() {
      let line = points.filter { $0.series == name && $0.group == group }.map { (x: $0.x, y: $0.y) }
      parts.append(chart.line(through: line, style: style))
      parts += line.map { chart.mark(.circle, at: $0, style: style, note: "\(name), \(group) = \($0.x): \($0.y) ns") }
    }
  }
  let legend = charts[1].right + 20
  for (style, name) in series.enumerated() {
    let y = charts[0].top + 12 + 24 * Double(style)
    parts.append(LogLogChart.line((legend, y), (legend + 34, y), LogLogChart.stroke(style)))
    parts.append(LogLogChart.text(name, legend + 42, y + 5))
  }
  for (index, note) in (["I = H = 128"] + kernels).enumerated() {
    let y = charts[0].top + 32 + 24 * Double(series.count) + 20 * Double(index)
    parts.append(LogLogChart.text(note, legend, y, "font-size=\"12\""))
  }
  return LogLogChart.document(
    width: legend + 150, height: charts[0].bottom + 60, title: "Time of a step, recurrence-bench scaling", parts)
}
