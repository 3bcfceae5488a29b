import Foundation

/// The loss of every run against its updates, as SVG: one line a run, one colour and dash a variant.
///
/// A line ends in a filled circle where its run succeeded, in a cross where it was given up.
struct LearningCurves {
  private let title: String
  private let floor: (loss: Double, name: String)?
  private let variants: [(name: String, runs: [[ExperimentRecord]])]
  private let chart: Chart

  /// Points of a line at most; more would not be seen.
  private static let points = 120

  init(_ experiment: Experiment, _ records: [ExperimentRecord]) {
    title = "\(experiment.name): training loss against updates"
    floor = experiment.floor
    variants = ExperimentReport.variants(records).map { name in
      let own = records.filter { $0.variant == name }
      return (name, Set(own.map(\.seed)).sorted().map { seed in own.filter { $0.seed == seed } })
    }
    let losses = records.compactMap(\.trainLoss).filter { $0 > 0 } + (floor.map { [$0.loss] } ?? [])
    let (least, most) = (losses.min() ?? 0.1, losses.max() ?? 1)
    // Losses of runs that exploded would press all others together.
    let highest = min(most, (floor?.loss ?? most) * 10)
    let updates = Double(max(2, records.map(\.updates).max() ?? 2))
    let first = Double(records.map(\.updates).min() ?? 1)
    let soonest = records.filter { $0.event == .end }.map { Double($0.updates) }.min() ?? updates
    // Runs that are over soon would be a stroke at the edge.
    chart = Chart(
      x: soonest < updates / 8 ? .logarithmic(min(first, updates / 2)...updates) : .linear(0...updates),
      y: .logarithmic(max(least, highest * 1e-6) / 1.3...highest * 1.3))
  }

  var svg: String {
    var parts = [Chart.text(title, chart.left, 28, size: 16)]
    parts += chart.axes(chart.x.isLogarithmic ? "updates (log)" : "updates", "training loss (log)", grid: true)
    var key = chart.top + 12
    for (index, variant) in variants.enumerated() {
      let colour = Chart.colours[index % Chart.colours.count]
      let dash = Chart.dashes[index % Chart.dashes.count]
      for run in variant.runs { parts += draw(run, colour, dash) }
      let solved = variant.runs.count { $0.last?.solved == true }
      parts.append(Chart.line((584, key), (614, key), colour: colour, width: 2.5, dash: dash))
      parts.append(Chart.text(variant.name, 622, key + 5))
      parts.append(Chart.text("\(solved) of \(variant.runs.count) solved", 622, key + 23, size: 12))
      key += 50
    }
    if let floor {
      let y = chart.place(1, floor.loss).y
      parts.append(Chart.line((chart.left, y), (chart.right, y), colour: Chart.ink, width: 1.2, dash: "1 3"))
      parts.append(Chart.line((584, key), (614, key), colour: Chart.ink, width: 1.2, dash: "1 3"))
      for (row, words) in Self.lines(floor.name).enumerated() {
        parts.append(Chart.text(words, 622, key + 5 + Double(row) * 15, size: 12))
      }
      key += 50
    }
    parts += Self.circle(592, key + 8, Chart.ink) + [Chart.text("solved", 622, key + 13, size: 12)]
    parts += Self.cross(592, key + 30, Chart.ink) + [Chart.text("given up", 622, key + 35, size: 12)]
    return Chart.document(width: 760, height: 424, title: title, parts)
  }

  private func draw(_ run: [ExperimentRecord], _ colour: String, _ dash: String) -> [String] {
    guard case .logarithmic(let range) = chart.y else { return [] }
    let every = max(1, (run.count + Self.points - 1) / Self.points)
    var points: [(x: Double, y: Double)] = []
    for (index, record) in run.enumerated() where (index + 1) % every == 0 || index == run.count - 1 {
      guard let loss = record.trainLoss else { continue }
      points.append(
        chart.place(Double(record.updates), min(max(loss, range.lowerBound), range.upperBound)))
    }
    guard let end = points.last, let last = run.last else { return [] }
    let list = points.map { String(format: "%.1f,%.1f", $0.x, $0.y) }.joined(separator: " ")
    let dash = dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\""
    let line =
      "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.6\" stroke-opacity=\"0.85\"\(dash) points=\"\(list)\"/>"
    return [line] + (last.solved ? Self.circle(end.x, end.y, colour) : Self.cross(end.x, end.y, colour))
  }

  private static func circle(_ x: Double, _ y: Double, _ colour: String) -> [String] {
    ["<circle cx=\"\(Chart.short(x))\" cy=\"\(Chart.short(y))\" r=\"4\" fill=\"\(colour)\"/>"]
  }

  private static func cross(_ x: Double, _ y: Double, _ colour: String) -> [String] {
    [
      Chart.line((x - 4, y - 4), (x + 4, y + 4), colour: colour, width: 2),
      Chart.line((x - 4, y + 4), (x + 4, y - 4), colour: colour, width: 2),
    ]
  }

  /// Words in lines of at most 20 characters.
  private static func lines(_ text: String) -> [String] {
    var lines = [""]
    for word in text.split(separator: " ") {
      if !lines[lines.count - 1].isEmpty && lines[lines.count - 1].count + word.count > 19 { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
    return lines
  }
}
