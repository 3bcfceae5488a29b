import Foundation
import Recurrence

/// What a person or a machine sees of an experiment, and in the end the table of success.
struct ExperimentReport {
  let terminal: Terminal
  let experiment: Experiment
  let seeds: Int

  func heading() {
    if terminal.style == .json { return }
    let recipe = experiment.recipe
    terminal.line("\(experiment.name): \(experiment.claim)?")
    terminal.line(
      "\(recipe.units) units, batch \(recipe.batch), \(Self.name(recipe.rule)) at \(recipe.learningRate), at most "
        + "\(recipe.updates) updates; \(seeds) seed\(seeds == 1 ? "" : "s"); "
        + "\(recipe.threads) thread\(recipe.threads == 1 ? "" : "s"), \(KernelSelection.current.instructionSet)")
    terminal.line("success: \(Self.sentence(experiment.goal))")
    if let floor = experiment.floor {
      terminal.line(String(format: "to compare with: a loss of %.4f (%@)", floor.loss, floor.name))
    }
    terminal.line("")
  }

  /// A line of JSON for every record; for people the last of each run, and every tenth of the way where there is no bar.
  func record(_ record: ExperimentRecord) {
    let tenth = max(1, experiment.recipe.updates / experiment.recipe.every / 10) * experiment.recipe.every
    switch terminal.style {
    case .json: terminal.line(record.line)
    case .bar where record.event == .progress:
      bar(record.variant, record.seed, updates: record.updates, loss: record.trainLoss ?? .nan, record.testError)
    case .lines where record.event == .progress && record.updates % tenth != 0: break
    case .bar, .lines: terminal.line(line(record))
    }
  }

  func bar(_ variant: String, _ seed: UInt64, updates: Int, loss: Double, _ error: Double?) {
    let measured = error.map { String(format: "  %@ %.4f", experiment.goal.measure, $0) } ?? ""
    terminal.bar(
      fraction: Double(updates) / Double(experiment.recipe.updates),
      String(format: " %@, seed %d  %d updates  loss %.4f", variant, Int(seed), updates, loss) + measured)
  }

  private func line(_ record: ExperimentRecord) -> String {
    let outcome =
      switch (record.event, record.updatesToSuccess) {
      case (.progress, _): ""
      case (.end, .some(let updates)): "  solved after \(updates) updates"
      case (.end, nil): "  not solved"
      }
    let skipped = record.skipped > 0 ? "  \(record.skipped) updates not finite" : ""
    let width = experiment.variants.map(\.name.count).max() ?? 0
    return Self.pad(record.variant, width)
      + String(
        format: "  seed %d  %6d updates  loss %.4f  %@ %.4f  |g| ≤ %.3g  %@", Int(record.seed), record.updates,
        record.trainLoss ?? .nan, record.measure, record.testError ?? .nan, record.gradientNorm ?? .nan,
        Terminal.duration(record.seconds)) + skipped + outcome
  }

  // MARK: The table

  /// One row a variant, of the last records of its runs.
  static func table(_ ends: [ExperimentRecord]) -> [String] {
    guard let first = ends.first else { return [] }
    var rows = [["variant", "solved", "updates to success", "sequences", first.measure, "not finite", "seconds"]]
    for variant in variants(ends) {
      let runs = ends.filter { $0.variant == variant }
      let solved = runs.filter(\.solved)
      let updates = solved.compactMap { $0.updatesToSuccess }
      let sequences = solved.compactMap { run in run.updatesToSuccess.map { $0 * run.sequences / run.updates } }
      let errors = runs.compactMap(\.testError)
      rows.append([
        variant, "\(solved.count) of \(runs.count)", spread(updates.map(Double.init)) { "\(Int($0))" },
        sequences.isEmpty ? "–" : "\(Int(median(sequences.map(Double.init))))",
        spread(errors) { String(format: "%.2g", $0) }, "\(runs.reduce(0) { $0 + $1.skipped })",
        String(format: "%.0f", median(runs.map(\.seconds))),
      ])
    }
    return aligned(rows) + ["", "medians, with smallest and largest in parentheses"]
  }

  /// In the order in which they came.
  static func variants(_ records: [ExperimentRecord]) -> [String] {
    var names: [String] = []
    for record in records where !names.contains(record.variant) { names.append(record.variant) }
    return names
  }

  private static func spread(_ values: [Double], _ text: (Double) -> String) -> String {
    guard let least = values.min(), let most = values.max() else { return "–" }
    return values.count == 1 ? text(least) : "\(text(median(values))) (\(text(least)) to \(text(most)))"
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    if sorted.isEmpty { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  static func aligned(_ rows: [[String]]) -> [String] {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
    return rows.map { row in
      zip(row, widths).map { pad($0, $1) }.joined(separator: "   ").trimmingCharacters(in: .whitespaces)
    }
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func name(_ rule: OptimizerRule) -> String {
    switch rule {
    case .sgd: "SGD"
    case .rmsProp(let decay, _): "RMSprop (α = \(decay))"
    case .adam: "Adam"
    default: "\(rule)"
    }
  }

  private static func sentence(_ goal: Goal) -> String {
    switch goal.kind {
    case .wrong(let share): "less than \(share * 100) % of \(goal.tests) fresh sequences are wrong"
    case .loss(let limit): String(format: "a loss of less than %.4f on %d fresh sequences", limit, goal.samples)
    case .streak(let right, let error, _):
      "\(right) sequences of training in a row are right, their mean error is less than \(error); "
        + "then \(goal.tests) fresh ones are tested"
    }
  }
}
