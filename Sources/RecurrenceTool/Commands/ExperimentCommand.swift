import Foundation
import Recurrence

enum ExperimentCommand: Command {
  static let name = "experiment"
  static let usage =
    "experiment NAME [--seeds 5] [--first-seed 0] [--updates N] [--threads 1] [--json] [--svg FILE] …"
  static let operands = 1
  static var summary: String {
    let width = names.map(\.count).max()!
    let lines = ExperimentName.allCases.map {
      "  \($0.rawValue.padding(toLength: width, withPad: " ", startingAt: 0))  \($0.summary)"
    }
    let wall = "wall".padding(toLength: width, withPad: " ", startingAt: 0)
    return """
      Reproduces a classic experiment on gradients that vanish or explode, from several seeds, and says which runs
      succeeded. The same seed gives the same run.

      \(lines.joined(separator: "\n"))
        \(wall)  one unit's error surface, its wall, and a gradient step there (Pascanu et al. 2013)
      """
  }

  private static let wallName = "wall"
  private static var names: [String] { ExperimentName.allCases.map(\.rawValue) + [wallName] }

  static let options = [
    Option("--seeds", "N", "runs of each variant (5)"),
    Option("--first-seed", "S", "the seed of the first of them (0)"),
    Option("--updates", "N", "updates of a run at most"),
    Option("--every", "N", "updates between lines, and between tests"),
    Option("--variants", "LIST", "of the variants only these, with commas between them"),
    Option("--steps", "T", "the length of the task, where it has one to choose"),
    Option("--units", "H", "units of the recurrent layer"),
    Option("--batch", "B", "sequences of an update"),
    Option("--lr", "RATE", "learning rate"),
    Option("--threads", "N", "threads (1); they change no bit of a result"),
    Option("--from", "FILE", "train nothing: read the lines that --json wrote, of one or several runs"),
    Option("--svg", "FILE", "draw the curves of all runs"),
    Option("--json", nil, "one JSON object a line"),
    Option("--help", nil, "this text"),
  ]

  static func run(_ arguments: Arguments) throws {
    guard let name = arguments.operands.first else {
      throw UsageError("expected the name of an experiment (\(names.joined(separator: ", "))), and none was given")
    }
    let terminal = Terminal(json: arguments.has("--json"))
    if name == wallName {
      let others = options.map(\.name).filter { !["--svg", "--json"].contains($0) }
      if let other = others.first(where: arguments.has) {
        throw UsageError("\(other): nothing to wall, which trains nothing")
      }
      return try WallReport(terminal: terminal).run(picture: arguments.string("--svg"))
    }
    guard let kind = ExperimentName(rawValue: name) else {
      throw UsageError("experiment: expected one of \(names.joined(separator: ", ")), got \"\(name)\"")
    }
    let experiment = try configured(kind, arguments)
    let seeds = try arguments.integer("--seeds", 1...1_000_000) ?? 5
    let first = try arguments.integer("--first-seed", 0...1_000_000_000) ?? 0
    let records: [ExperimentRecord]
    var interruption: Failure?
    if let path = arguments.string("--from") {
      let useful = ["--from", "--steps", "--svg", "--json"]
      if let other = options.map(\.name).first(where: { arguments.has($0) && !useful.contains($0) }) {
        throw UsageError("\(other): nothing to --from, which trains nothing")
      }
      records = try read(path, name)
      for record in records where terminal.style == .json { terminal.line(record.line) }
    } else {
      (records, interruption) = try train(experiment, seeds: first..<(first + seeds), terminal)
    }
    if terminal.style != .json {
      terminal.line("")
      for line in ExperimentReport.table(records.filter { $0.event == .end }) { terminal.line(line) }
    }
    if let path = arguments.string("--svg") {
      let picture = LearningCurves(experiment, records)
      try FileAccess.system.replace(path, with: Array(picture.svg.utf8))
    }
    if let interruption { throw interruption }
  }

  /// The experiment, changed as the arguments say.
  private static func configured(_ kind: ExperimentName, _ arguments: Arguments) throws -> Experiment {
    var steps = kind.steps?.usual ?? 0
    if let least = kind.steps?.least {
      steps = try arguments.integer("--steps", least...100_000) ?? steps
    } else if arguments.has("--steps") {
      throw UsageError("--steps: \(kind.rawValue) has lengths of its own")
    }
    var experiment = kind.experiment(steps: steps)
    let sizes = 1...1_000_000
    let counts = 1...1_000_000_000
    if let value = try arguments.integer("--updates", counts) { experiment.recipe.updates = value }
    if let value = try arguments.integer("--every", counts) { experiment.recipe.every = value }
    if let value = try arguments.integer("--batch", sizes) { experiment.recipe.batch = value }
    if let value = try arguments.integer("--threads", 1...1024) { experiment.recipe.threads = value }
    if let value = try arguments.number("--lr", above: 0) { experiment.recipe.learningRate = value }
    let units = kind == .temporalOrder ? SmartTanh.units : sizes
    if let value = try arguments.integer("--units", units) { experiment.recipe.units = value }
    if let list = arguments.string("--variants") {
      let known = experiment.variants
      experiment.variants = try list.split(separator: ",", omittingEmptySubsequences: false).map { name in
        if let variant = known.first(where: { $0.name == name }) { return variant }
        let names = known.map(\.name).joined(separator: ", ")
        throw UsageError("--variants: expected some of \(names), got \"\(name)\"")
      }
    }
    return experiment
  }

  private static func read(_ path: String, _ name: String) throws -> [ExperimentRecord] {
    let records = try ExperimentRecord.read(TextFile.read(path), path: path)
    if let other = records.first(where: { $0.experiment != name }) {
      throw Failure("\(path): expected lines of \(name), got one of \(other.experiment)")
    }
    return records
  }

  /// All records, and where the user interrupted, a sentence that says so.
  private static func train(
    _ experiment: Experiment, seeds: Range<Int>, _ terminal: Terminal
  ) throws -> ([ExperimentRecord], Failure?) {
    for variant in experiment.variants { try check(variant.cell.cell, experiment) }
    Interruption.listen()
    let report = ExperimentReport(terminal: terminal, experiment: experiment, seeds: seeds.count)
    report.heading()
    var records: [ExperimentRecord] = []
    var done = 0
    for variant in experiment.variants {
      for seed in seeds {
        func open<C: Cell>(_ cell: C) throws -> ExperimentRecord? {
          var run = ExperimentRun(cell, experiment, variant, seed: UInt64(seed))
          return try run.run(
            report: {
              records.append($0)
              report.record($0)
            },
            progress: { report.bar(variant.name, UInt64(seed), updates: $0, loss: $1, nil) })
        }
        guard try open(variant.cell.cell) != nil else {
          terminal.endBar()
          let all = experiment.variants.count * seeds.count
          return (records, Failure("interrupted after \(done) of \(all) runs"))
        }
        done += 1
      }
    }
    return (records, nil)
  }

  private static func check<C: Cell>(_ cell: C, _ experiment: Experiment) throws {
    try NetworkSize(
      inputs: experiment.task.inputs, units: experiment.recipe.units, outputs: experiment.task.outputs,
      steps: experiment.task.longest, batch: experiment.recipe.batch
    ).check(cell)
  }
}
