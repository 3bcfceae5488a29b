import Foundation

/// Every case as a point below the ceilings that were measured with it: the peak, and the bandwidth of each level of
/// memory that weights or operands came from.
func rooflinePicture(_ points: [PicturePoint], _ kernels: [String]) -> String {
  let roofs = points.compactMap(\.roof)
  let chart = LogLogChart(
    title: "Roofline", xName: "operations per byte of weights (of operands, in a matrix product)", yName: "GFLOP/s",
    x: LogLogChart.range(of: points.flatMap { [$0.x / 3, $0.x * 1.5] }),
    y: LogLogChart.range(of: points.map(\.y) + roofs.map { $0.peak / 1e9 * 1.5 }))
  var parts = chart.axes
  parts += ceilings(roofs, chart)
  let (series, groups) = (distinct(points.map(\.series)), distinct(points.map(\.group)))
  let marks: [LogLogChart.Mark] = [.circle, .square, .triangle, .diamond]
  func mark(_ group: String) -> LogLogChart.Mark { marks[groups.firstIndex(of: group)! % marks.count] }
  for point in points {
    parts.append(
      chart.mark(
        mark(point.group), at: (point.x, point.y), style: series.firstIndex(of: point.series)!, note: point.note))
  }

  let legend = chart.right + 24
  var y = chart.top + 12
  for (style, name) in series.enumerated() {
    parts.append(LogLogChart.mark(.circle, legend, y, style))
    parts.append(LogLogChart.text(name, legend + 16, y + 5))
    y += 22
  }
  y += 10
  for group in groups where groups.count > 1 {
    parts.append(LogLogChart.mark(mark(group), legend, y, 6))
    parts.append(LogLogChart.text(group, legend + 16, y + 5))
    y += 22
  }
  for note in kernels {
    parts.append(LogLogChart.text(note, legend - 6, y + 16, "font-size=\"12\""))
    y += 18
  }
  return LogLogChart.document(
    width: legend + 130, height: max(chart.bottom + 60, y + 20), title: "Roofline, recurrence-bench", parts)
}

/// The best peak as a level line; for each level of memory the best bandwidth, as a slope up to the peak.
private func ceilings(_ roofs: [Roof], _ chart: LogLogChart) -> [String] {
  let peak = (roofs.map(\.peak).max() ?? 1) / 1e9
  let style = "stroke=\"#777777\" stroke-width=\"1.5\""
  let small = "font-size=\"12\" stroke=\"#ffffff\" stroke-width=\"4\" paint-order=\"stroke\""
  func line(_ from: (x: Double, y: Double), _ to: (x: Double, y: Double)) -> String {
    let (start, end) = (chart.place(from.x, from.y), chart.place(to.x, to.y))
    return LogLogChart.line((start.x, start.y), (end.x, end.y), style)
  }
  let bandwidths = distinct(roofs.map(\.level)).map { level in
    (level: level, rate: roofs.filter { $0.level == level }.map(\.bandwidth).max()! / 1e9)
  }
  let ridges = bandwidths.map { peak / $0.rate }
  var parts = [line((max(chart.x.lowerBound, ridges.min() ?? 0), peak), (chart.x.upperBound, peak))]
  let top = chart.place(chart.x.upperBound, peak)
  parts.append(
    LogLogChart.text(
      String(format: "peak %.0f GFLOP/s", peak), top.x - 6, top.y - 6, "text-anchor=\"end\" " + small))
  for (level, rate) in bandwidths {
    let left = max(chart.x.lowerBound, chart.y.lowerBound / rate)
    let right = min(chart.x.upperBound, peak / rate)
    if left >= right { continue }
    parts.append(line((left, left * rate), (right, right * rate)))
    // Written along the slope, from its foot.
    let at = chart.place(left * 1.12, left * rate * 1.12)
    let (start, end) = (chart.place(left, left * rate), chart.place(right, right * rate))
    let angle = atan2(end.y - start.y, end.x - start.x) * 180 / .pi
    parts.append(
      LogLogChart.text(
        "\(level) \(String(format: "%.0f", rate)) GB/s", at.x, at.y - 5,
        String(format: "transform=\"rotate(%.1f %.1f %.1f)\" ", angle, at.x, at.y) + small))
  }
  return parts
}

private func distinct(_ names: [String]) -> [String] {
  var result: [String] = []
  for name in names where !result.contains(name) { result.append(name) }
  return result
}
