import Foundation
import Recurrence

enum ClassifyCommand: Command {
  static let name = "classify"
  static let usage = "classify --data FILE.tsv [options], or classify --model DIR --predict TEXT"
  static let summary = """
    Trains a classifier of texts on a file of lines "label TAB text" and reports how it does on a held-out fifth: every
    fifth line, after lines that repeat another are left out. The first line is a header where no other has its label.
    """
  static let options = [
    Option("--data", "FILE", "lines of label, tab, text, in UTF-8"),
    Option("--predict", "TEXT", "say what the text is"),
    Option("--cell", "KIND", "rnn, rnn-relu, lstm, gru or gru-before (gru)"),
    Option("--embedding", "N", "features of a byte (32)"),
    Option("--hidden", "N", "units of a layer (128)"),
    Option("--layers", "L", "layers (1)"),
    Option("--longest", "N", "bytes of a text that are read (200)"),
    Option("--batch", "B", "texts of an update (32)"),
    Option("--epochs", "E", "passes over the training part (12)"),
    Option("--optimizer", "NAME", "sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw (adam)"),
    Option("--lr", "RATE", "learning rate at first (0.002); it falls to 0 along half a cosine"),
    Option("--weight-decay", "W", "of adamw (0.01)"),
    Option("--clip-norm", "θ", "limit of the gradient's norm, 0 for none (1; none with --clip-value)"),
    Option("--clip-value", "v", "limit of each element of the gradient"),
    Option("--non-finite", "POLICY", "throw, skip or zero: what to do with a gradient that is not finite (throw)"),
    Option("--seed", "S", "of the initial weights and the order of texts (0)"),
    Option("--threads", "N", "threads (as many as there are cores); they change no bit of a result"),
    Option("--save", "DIR", "keep the classifier in DIR"),
    Option("--model", "DIR", "a classifier that was kept"),
    Option("--json", nil, "one JSON object a line"),
    Option("--help", nil, "this text"),
  ]

  static func run(_ arguments: Arguments) throws {
    let log = Terminal(json: arguments.has("--json"))
    if let path = arguments.string("--model") {
      for option in options where arguments.has(option.name) {
        if !["--model", "--predict", "--json", "--threads"].contains(option.name) {
          throw UsageError("\(option.name): cannot be given with --model")
        }
      }
      try predict(arguments.required("--predict"), path, log)
    } else {
      try train(arguments, log)
    }
  }

  // MARK: Training

  private static func train(_ arguments: Arguments, _ log: Terminal) throws {
    let texts = try LabelledTexts(path: arguments.required("--data"))
    let kind = try arguments.choice("--cell", CellKind.self) ?? .gru
    let rule = (try arguments.choice("--optimizer", OptimizerName.self) ?? .adam)
      .rule(weightDecay: try arguments.number("--weight-decay", least: 0))
    let epochs = try arguments.integer("--epochs", 0...1_000_000) ?? 12
    let rate = try arguments.number("--lr", above: 0) ?? 2e-3
    let seed = try arguments.seed() ?? 0
    let threads = try arguments.integer("--threads", 1...1024) ?? ProcessInfo.processInfo.activeProcessorCount
    let clipping = try TrainCommand.clipping(arguments)
    let limit = 1...1_000_000
    let given = try (
      embedding: arguments.integer("--embedding", limit), hidden: arguments.integer("--hidden", limit),
      layers: arguments.integer("--layers", 1...1000), longest: arguments.integer("--longest", limit),
      batch: arguments.integer("--batch", limit)
    )
    if texts.heldOut.isEmpty { throw Failure("\(arguments.string("--data")!): expected at least 5 texts") }
    let directory = arguments.string("--save").map { CheckpointDirectory($0) }
    // A classifier takes the place of one that was kept before, and of nothing else.
    if let directory, try !directory.generations().isEmpty {
      _ = try SavedModel(directory.path, best: false, purpose: .classifier)
    }
    Interruption.listen()
    func open<C: Cell>(_ cell: C) throws {
      var sizes = ClassifierTraining<C>.Sizes()
      sizes.embedding = given.embedding ?? sizes.embedding
      sizes.hidden = given.hidden ?? sizes.hidden
      sizes.layers = given.layers ?? sizes.layers
      sizes.longest = given.longest ?? sizes.longest
      sizes.batch = given.batch ?? sizes.batch
      try NetworkSize(
        symbols: 256, inputs: sizes.embedding, units: sizes.hidden, layers: sizes.layers, outputs: texts.labels.count,
        steps: sizes.longest, batch: sizes.batch
      ).check(cell)
      var training = ClassifierTraining(
        cell, labels: texts.labels.count, sizes, optimizer: rule, clipping: clipping, seed: seed, threads: threads)
      announce(texts, log)
      let start = ContinuousClock.now
      let done = try run(&training, texts, epochs: epochs, rate: rate, start, log)
      let score = try training.score(texts.heldOut, labels: texts.labels.count)
      report(score, texts, seconds: (ContinuousClock.now - start) / .seconds(1), log)
      if let directory {
        let model = ModelFile(purpose: .classifier, cell: kind, labels: texts.labels, longest: sizes.longest)
        let generation = try directory.publish(
          step: done, files: training.network.files() + [(ModelFile.name, model.encoded())])
        try directory.prune(keeping: [generation])
      }
      if let text = arguments.string("--predict") {
        var classifier = TextClassifier(training.network, sizes, threads: 1)
        try say(classifier.logits([Array(text.utf8)])[0], texts.labels, log)
      }
    }
    try open(kind.cell)
  }

  private static func announce(_ texts: LabelledTexts, _ log: Terminal) {
    if log.style == .json { return }
    log.line(
      "\(texts.examples.count) texts (\(texts.duplicates) repeated ones left out"
        + (texts.hasHeader ? ", the first line is a header" : "")
        + "), labels \(texts.labels.joined(separator: ", ")); \(texts.heldOut.count) held out")
  }

  /// Returns the updates made.
  private static func run<C: Cell>(
    _ training: inout ClassifierTraining<C>, _ texts: LabelledTexts, epochs: Int, rate: Double,
    _ start: ContinuousClock.Instant, _ log: Terminal
  ) throws -> Int {
    let examples = texts.training
    var updates = 0
    let perEpoch = (examples.count + training.sizes.batch - 1) / training.sizes.batch
    let schedule = LearningRateSchedule.cosine(rate, total: max(1, epochs * perEpoch))
    for epoch in 0..<epochs {
      let loss = try training.epoch(examples, learningRate: schedule.rate(at:)) { fraction, step in
        updates += 1
        let done = (Double(epoch) + fraction) / Double(epochs)
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        log.bar(
          fraction: done,
          String(
            format: " %3.0f%%  epoch %d  loss %.4f  |g| %.2f  %@ left", done * 100, epoch + 1, step.loss,
            step.clipping.norm, Terminal.duration(elapsed * (1 - done) / done)))
      }
      guard let loss else { break }
      if log.style == .json {
        var line = JSONLine()
        line.add("epoch", epoch + 1)
        line.add("loss", loss)
        log.line(line.text)
      } else {
        log.line(String(format: "epoch %d  loss %.4f", epoch + 1, loss))
      }
    }
    log.endBar()
    return updates
  }

  private static func report(_ score: ClassificationScore, _ texts: LabelledTexts, seconds: Double, _ log: Terminal) {
    let wanted = texts.rarest
    if log.style == .json {
      var line = JSONLine()
      line.add("accuracy", score.accuracy)
      line.add("precision", score.precision(wanted))
      line.add("recall", score.recall(wanted))
      line.add("f1", score.f1(wanted))
      line.add("positive", texts.labels[wanted])
      line.add("held_out", score.total)
      line.add("seconds", seconds)
      return log.line(line.text)
    }
    log.line("")
    log.line("held out: \(score.total) texts, \(Terminal.duration(seconds))")
    log.line(String(format: "accuracy  %.2f %%", score.accuracy * 100))
    let widest = max(5, texts.labels.map(\.count).max() ?? 0)
    let head = "label".padding(toLength: widest, withPad: " ", startingAt: 0)
    log.line("\(head)  precision  recall     F1  texts")
    for (label, name) in texts.labels.enumerated() {
      let padded = name.padding(toLength: widest, withPad: " ", startingAt: 0)
      log.line(
        padded
          + String(
            format: "  %9.3f  %6.3f  %5.3f  %5d", score.precision(label), score.recall(label), score.f1(label),
            score.confusion[label].reduce(0, +)))
    }
  }

  // MARK: Prediction

  private static func predict(_ text: String, _ path: String, _ log: Terminal) throws {
    let saved = try SavedModel(path, best: false, purpose: .classifier)
    guard let labels = saved.model.labels, let longest = saved.model.longest,
      (1...1_000_000).contains(longest)
    else {
      throw Failure("\(saved.generation.path): expected labels and a length from 1 to 1000000, got others")
    }
    func open<C: Cell>(_ cell: C) throws {
      let network = try saved.network(cell)
      if network.output.outputs != labels.count || network.embedding?.symbols != 256 {
        throw Failure("\(saved.generation.path): expected 256 symbols in and \(labels.count) labels out, got others")
      }
      var sizes = ClassifierTraining<C>.Sizes()
      let bytes = Array(text.utf8)
      // Memory for the text that there is, not for the longest that a file claims to read.
      (sizes.longest, sizes.batch) = (min(longest, max(1, bytes.count)), 1)
      var classifier = TextClassifier(network, sizes, threads: 1)
      try say(classifier.logits([bytes])[0], labels, log)
    }
    try open(saved.model.cell.cell)
  }

  private static func say(_ logits: [Float], _ labels: [String], _ log: Terminal) {
    let best = logits.indices.max { logits[$0] < logits[$1] }!
    let largest = Double(logits[best])
    let chances = logits.map { exp(Double($0) - largest) }
    let total = chances.reduce(0, +)
    if log.style == .json {
      var line = JSONLine()
      line.add("label", labels[best])
      line.add("probability", chances[best] / total)
      return log.line(line.text)
    }
    log.line(String(format: "%@  (%.1f %%)", labels[best], 100 * chances[best] / total))
  }
}
