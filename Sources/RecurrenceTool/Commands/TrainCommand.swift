import Foundation
import Recurrence

enum OptimizerName: String, CaseIterable {
  case sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw

  func rule(weightDecay: Double?) -> OptimizerRule {
    switch self {
    case .sgd: .sgd
    case .momentum: .momentum()
    case .nesterov: .nesterov()
    case .adagrad: .adaGrad()
    case .rmsprop: .rmsProp()
    case .adam: .adam()
    case .adamw: .adamW(weightDecay: weightDecay ?? 0.01)
    }
  }
}

enum ScheduleName: String, CaseIterable {
  case constant, step, exponential, cosine, plateau
}

enum InitializationName: String, CaseIterable {
  case standard, pytorch, glorot, orthogonal, identity, chrono

  func initialization(lag: Int) -> Initialization {
    switch self {
    case .standard: .standard
    case .pytorch: .pyTorch
    case .glorot: .glorotUniform
    case .orthogonal: .orthogonal()
    case .identity: .identity()
    case .chrono: .chrono(longestLag: lag)
    }
  }
}

enum TrainCommand: Command {
  static let name = "train"
  static let usage = "train --text FILE [options]"
  static let summary = """
    Trains a character language model. The first 95 % of the text are trained on, in B contiguous streams whose states are
    carried from window to window and reset each epoch; the last 5 % validate after each epoch. Control-C ends a run
    cleanly; --resume goes on with the bits of a run that never stopped.
    """
  static let options = [
    Option("--text", "FILE", "text in UTF-8 (with --resume: where it is now, if it was moved)"),
    Option("--cell", "KIND", "rnn, rnn-relu, lstm, gru or gru-before (lstm)"),
    Option("--embedding", "N", "features of a character (64)"),
    Option("--hidden", "N", "units of a layer (128)"),
    Option("--layers", "L", "layers (2)"),
    Option("--seq", "T", "characters of a window (50)"),
    Option("--batch", "B", "streams (50)"),
    Option("--epochs", "E", "epochs in all (10)"),
    Option("--optimizer", "NAME", "sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw (adam)"),
    Option("--lr", "RATE", "learning rate (0.002)"),
    Option("--weight-decay", "W", "of adamw (0.01)"),
    Option("--schedule", "NAME", "constant, step, exponential, cosine or plateau (constant)"),
    Option("--warmup", "N", "updates of linear warm-up, of cosine (0)"),
    Option("--decay", "F", "factor of step (0.5), exponential (0.9999 each update) and plateau (0.5)"),
    Option("--decay-every", "N", "updates between steps (1000)"),
    Option("--clip-norm", "θ", "limit of the gradient's norm, 0 for none (1; none with --clip-value)"),
    Option("--clip-value", "v", "limit of each element of the gradient"),
    Option("--non-finite", "POLICY", "throw, skip or zero: what to do with a gradient that is not finite (throw)"),
    Option(
      "--init", "NAME",
      "standard, pytorch, glorot, orthogonal, identity or chrono (orthogonal: U orthogonal, W by\nGlorot, a forget-gate bias of 1)"
    ),
    Option(
      "--initial", "DIR",
      "begin with the weights in DIR: embedding.safetensors, recurrent.safetensors and\noutput.safetensors, each a state_dict of PyTorch's"
    ),
    Option("--seed", "S", "of the initial weights (0)"),
    Option("--threads", "N", "threads (as many as there are cores); they change no bit of a result"),
    Option("--seconds", "S", "stop after S seconds of training"),
    Option("--patience", "N", "stop after N epochs without gain, 0 for never (0)"),
    Option("--save", "DIR", "keep checkpoints in DIR: the latest, and the one that validates best"),
    Option("--checkpoint-every", "N", "updates between checkpoints (one a minute, and one an epoch)"),
    Option("--resume", "DIR", "go on from the latest checkpoint in DIR, and keep saving there"),
    Option("--log-every", "N", "updates between lines (100; 1 with --json)"),
    Option("--json", nil, "one JSON object a line"),
    Option("--help", nil, "this text"),
  ]

  static func run(_ arguments: Arguments) throws {
    let limits = try (
      epochs: arguments.integer("--epochs", 0...1_000_000), seconds: arguments.number("--seconds", least: 0),
      patience: arguments.integer("--patience", 0...1_000_000),
      checkpointEvery: arguments.integer("--checkpoint-every", 1...Int.max),
      logEvery: arguments.integer("--log-every", 1...Int.max), threads: arguments.integer("--threads", 1...1024)
    )
    let isJSON = arguments.has("--json")
    let log = TrainingLog(Terminal(json: isJSON))
    let runLimits = RunLimits(
      epochs: limits.epochs ?? 10, seconds: limits.seconds, patience: limits.patience ?? 0,
      checkpointEvery: limits.checkpointEvery, logEvery: limits.logEvery ?? (isJSON ? 1 : 100),
      threads: limits.threads ?? ProcessInfo.processInfo.activeProcessorCount)
    if let path = arguments.string("--resume") {
      try resume(path, arguments, runLimits, log)
    } else {
      try begin(arguments, runLimits, log)
    }
  }

  struct RunLimits {
    var epochs: Int
    var seconds: Double?
    var patience: Int
    var checkpointEvery: Int?
    var logEvery: Int
    var threads: Int
  }

  // MARK: A new run

  private static func begin(_ arguments: Arguments, _ limits: RunLimits, _ log: TrainingLog) throws {
    let path = try arguments.required("--text")
    let kind = try arguments.choice("--cell", CellKind.self) ?? .lstm
    let text = try TextFile.read(path)
    let vocabulary = Vocabulary(text.unicodeScalars)
    let symbols = try vocabulary.encode(text)
    let plan = try plan(arguments, path: path, kind: kind, symbols: symbols, epochs: limits.epochs)
    let directory = arguments.string("--save").map { CheckpointDirectory($0) }
    if let directory, let latest = try directory.generations().last {
      throw Failure("\(directory.path): holds a run of \(latest.step) updates; go on with --resume, or choose another")
    }
    let initialization = try arguments.choice("--init", InitializationName.self) ?? .orthogonal
    func open<C: Cell>(_ cell: C) throws {
      // Windows that the text does not fill are refused later, whatever their size.
      let streams = min(plan.batch * plan.seq, symbols.count)
      try NetworkSize(
        symbols: vocabulary.count, inputs: plan.embedding, units: plan.hidden, layers: plan.layers,
        outputs: vocabulary.count, steps: 1, batch: streams
      ).check(cell)
      let network: SequenceNetwork<C, Float>
      if let path = arguments.string("--initial") {
        network = try initialNetwork(cell, path, plan, vocabulary)
      } else {
        network = SequenceNetwork(
          cell, symbols: vocabulary.count, embedding: plan.embedding, units: plan.hidden, layers: plan.layers,
          outputs: vocabulary.count, initialization: initialization.initialization(lag: plan.seq), seed: plan.seed)
      }
      let training = try CharacterTraining(
        plan, CharacterTraining<C>.Limits(limits), network: network, symbols: symbols, vocabulary: vocabulary,
        directory: directory, log: log)
      try finish(training, plan, vocabulary, network.parameterCount, limits, log)
    }
    try open(kind.cell)
  }

  private static func plan(
    _ arguments: Arguments, path: String, kind: CellKind, symbols: [Int32], epochs: Int
  ) throws -> TrainingPlan {
    let sizes = 1...1_000_000
    var plan = TrainingPlan(
      text: path, characters: symbols.count, fingerprint: TextFile.fingerprint(symbols), cell: kind,
      optimizer: (try arguments.choice("--optimizer", OptimizerName.self) ?? .adam)
        .rule(weightDecay: try arguments.number("--weight-decay", least: 0)),
      schedule: .constant(2e-3), clipping: try clipping(arguments))
    if let value = try arguments.integer("--embedding", sizes) { plan.embedding = value }
    if let value = try arguments.integer("--hidden", sizes) { plan.hidden = value }
    if let value = try arguments.integer("--layers", 1...1000) { plan.layers = value }
    if let value = try arguments.integer("--seq", sizes) { plan.seq = value }
    if let value = try arguments.integer("--batch", sizes) { plan.batch = value }
    if let value = try arguments.seed() { plan.seed = value }
    let windows = max(0, CharacterTraining<LSTM>.split(symbols.count) - 1) / plan.batch / plan.seq
    plan.schedule = try schedule(arguments, updates: epochs * windows)
    return plan
  }

  static func clipping(_ arguments: Arguments) throws -> GradientClipping {
    let value = try arguments.number("--clip-value", above: 0)
    let norm = try arguments.number("--clip-norm", least: 0) ?? (value == nil ? 1 : 0)
    let policy = try arguments.choice("--non-finite", NonFinitePolicy.self) ?? .throw
    return GradientClipping(norm: norm == 0 ? nil : norm, values: value.map { -$0...$0 }, nonFinite: policy)
  }

  private static func schedule(_ arguments: Arguments, updates: Int) throws -> LearningRateSchedule {
    let rate = try arguments.number("--lr", above: 0) ?? 2e-3
    let decay = try arguments.number("--decay", above: 0)
    if let decay, decay >= 1 { throw UsageError("--decay: expected a number less than 1, got \(decay)") }
    let warmup = try arguments.integer("--warmup", 0...Int.max) ?? 0
    let every = try arguments.integer("--decay-every", 1...Int.max) ?? 1000
    switch try arguments.choice("--schedule", ScheduleName.self) ?? .constant {
    case .constant: return .constant(rate)
    case .step: return .step(rate, every: every, factor: decay ?? 0.5)
    case .exponential: return .exponential(rate, factor: decay ?? 0.9999)
    case .cosine:
      if warmup >= max(1, updates) {
        throw UsageError("--warmup: expected fewer than the \(updates) updates of the run, got \(warmup)")
      }
      return .cosine(rate, warmup: warmup, total: max(1, updates))
    case .plateau: return .reduceOnPlateau(rate, factor: decay ?? 0.5, patience: 0)
    }
  }

  private static func initialNetwork<C: Cell>(
    _ cell: C, _ path: String, _ plan: TrainingPlan, _ vocabulary: Vocabulary
  ) throws -> SequenceNetwork<C, Float> {
    let network = try SequenceNetwork<C, Float>(cell, hasEmbedding: true) { name throws(FormatError) in
      try FileAccess.system.contents(of: path + "/" + name)
    }
    let found = (
      network.embedding!.symbols, network.embedding!.width, network.recurrent.units, network.recurrent.layers,
      network.output.outputs
    )
    let expected = (vocabulary.count, plan.embedding, plan.hidden, plan.layers, vocabulary.count)
    if found != expected {
      throw Failure(
        "\(path): expected a network of (characters, embedding, hidden, layers, outputs) = \(expected), got \(found)")
    }
    return network
  }

  // MARK: A run that goes on

  private static let mutable: Set<String> = [
    "--resume", "--text", "--epochs", "--seconds", "--patience", "--checkpoint-every", "--log-every", "--threads",
    "--json", "--save",
  ]

  private static func resume(_ path: String, _ arguments: Arguments, _ limits: RunLimits, _ log: TrainingLog) throws {
    for option in options where arguments.has(option.name) && !mutable.contains(option.name) {
      throw UsageError("\(option.name): fixed by the checkpoint, cannot be given with --resume")
    }
    let saved = try SavedModel(path, best: false, purpose: .languageModel)
    let progress = try TrainingProgress.read(saved.generation)
    var plan = progress.plan
    plan.text = arguments.string("--text") ?? plan.text
    let text = try TextFile.read(plan.text)
    let vocabulary = try saved.vocabulary
    let symbols: [Int32]
    do {
      symbols = try vocabulary.encode(text)
    } catch {
      throw Failure("\(plan.text): expected the text that the run began with, got another (\(error))")
    }
    if symbols.count != plan.characters || TextFile.fingerprint(symbols) != plan.fingerprint {
      throw Failure("\(plan.text): expected the text that the run began with, got another")
    }
    let directory = try directory(arguments.string("--save"), resumed: path)
    func open<C: Cell>(_ cell: C) throws {
      let network = try saved.network(cell)
      var training = try CharacterTraining(
        plan, CharacterTraining<C>.Limits(limits), network: network, symbols: symbols, vocabulary: vocabulary,
        directory: directory, log: log)
      try training.resume(saved.generation, progress)
      try finish(training, plan, vocabulary, network.parameterCount, limits, log)
    }
    try open(plan.cell.cell)
  }

  /// Where a resumed run goes on saving: old checkpoints go as new ones come, so they must be of the same run.
  private static func directory(_ save: String?, resumed path: String) throws -> CheckpointDirectory {
    guard let save else {
      if CheckpointDirectory.Generation(at: path) == nil { return CheckpointDirectory(path) }
      throw UsageError("--resume: \(path) is one checkpoint; give the directory that it lies in, or --save another")
    }
    // Under the name that the resumed checkpoint was found by, to be known among the others.
    if FileAccess.resolve(save) == FileAccess.resolve(path) { return CheckpointDirectory(path) }
    let directory = CheckpointDirectory(save)
    if let latest = try directory.generations().last {
      throw Failure("\(save): holds another run, of \(latest.step) updates; choose another directory")
    }
    return directory
  }

  private static func finish<C: Cell>(
    _ training: consuming CharacterTraining<C>, _ plan: TrainingPlan, _ vocabulary: Vocabulary, _ parameters: Int,
    _ limits: RunLimits, _ log: TrainingLog
  ) throws {
    Interruption.listen()
    let isQuiet = log.terminal.style == .json
    if !isQuiet {
      log.terminal.line(
        "\(plan.text): \(plan.characters) characters, \(vocabulary.count) distinct; \(plan.layers) × \(plan.hidden) "
          + "\(plan.cell.rawValue), \(parameters) parameters; \(limits.threads) thread\(limits.threads == 1 ? "" : "s")"
      )
    }
    let end: CharacterTraining<C>.End
    do {
      end = try training.run()
    } catch {
      log.terminal.endBar()
      throw error
    }
    log.terminal.endBar()
    if isQuiet { return }
    let progress = training.progress
    let best = progress.validations.min().map { String(format: ", best validation %.4f nats", $0) } ?? ""
    let reason =
      switch end {
      case .done: "done"
      case .interrupted: "interrupted"
      case .patience: "stopped: no gain in \(limits.patience) epochs"
      case .seconds: "stopped: time is up"
      }
    log.terminal.line("\(reason) after \(progress.step) updates, \(Terminal.duration(progress.seconds))\(best)")
  }
}

extension CharacterTraining.Limits {
  init(_ limits: TrainCommand.RunLimits) {
    self.init(
      epochs: limits.epochs, seconds: limits.seconds, patience: limits.patience,
      checkpointEvery: limits.checkpointEvery, logEvery: limits.logEvery, threads: limits.threads)
  }
}
