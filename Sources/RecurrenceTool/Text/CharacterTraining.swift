import Foundation
import Recurrence

/// Trains a character language model: windows of contiguous streams, states carried; validation after each epoch;
/// checkpoints from which a run goes on as if it had never stopped.
struct CharacterTraining<C: Cell>: ~Copyable {
  /// What a run may be told anew each time it is started.
  struct Limits {
    var epochs: Int
    /// Seconds of training in this run.
    var seconds: Double?
    /// Epochs without gain after which training stops; 0 for never.
    var patience: Int
    /// Updates between checkpoints; nil for one a minute.
    var checkpointEvery: Int?
    var logEvery: Int
    var threads: Int
  }

  enum End: String {
    case done, interrupted, patience, seconds
  }

  private let plan: TrainingPlan
  private let limits: Limits
  private let vocabulary: Vocabulary
  private let streams: TextStreams
  private let validation: TextStreams
  private let directory: CheckpointDirectory?
  private let log: TrainingLog
  private var trainer: SequenceTrainer<C, Float>
  private var states: RecurrentStates<Float>
  private(set) var progress: TrainingProgress
  private var bestGeneration: CheckpointDirectory.Generation?
  private var lastSaved = ContinuousClock.now
  private var secondsOfEarlierRuns: Double

  /// Validation reads 8 streams in windows of 256.
  private static var validationStreams: Int { 8 }
  private static var validationWindow: Int { 256 }

  /// - Parameters:
  ///   - symbols: the whole text.
  ///   - network: where training begins.
  init(
    _ plan: TrainingPlan, _ limits: Limits, network: SequenceNetwork<C, Float>, symbols: [Int32],
    vocabulary: Vocabulary, directory: CheckpointDirectory?, log: TrainingLog
  ) throws {
    (streams, validation) = try Self.streams(plan, symbols)
    self.plan = plan
    self.limits = limits
    self.vocabulary = vocabulary
    self.directory = directory
    self.log = log
    trainer = SequenceTrainer(
      network, plan.optimizer, clipping: plan.clipping, steps: plan.seq, batch: plan.batch, threads: limits.threads)
    states = network.recurrent.makeStates(batch: plan.batch)
    progress = TrainingProgress(plan)
    secondsOfEarlierRuns = 0
  }

  private static func streams(_ plan: TrainingPlan, _ symbols: [Int32]) throws -> (TextStreams, TextStreams) {
    let split = split(symbols.count)
    let rest = Array(symbols[split...])
    do {
      return try (
        TextStreams(Array(symbols[..<split]), streams: plan.batch, window: plan.seq),
        TextStreams(
          rest, streams: max(1, min(validationStreams, rest.count - 1)), window: validationWindow, includesRest: true)
      )
    } catch {
      throw Failure("\(plan.text): too short to train on: \(error)")
    }
  }

  /// The first 95 % are trained on.
  static func split(_ characters: Int) -> Int { Int(0.95 * Double(characters)) }

  /// Goes on from a checkpoint. Where it is the latest in the directory that the run saves to, all but it and the best go
  /// now: a run that was killed before they went may be done, and save no more.
  mutating func resume(_ generation: CheckpointDirectory.Generation, _ progress: TrainingProgress) throws {
    if progress.window > streams.windows {
      throw Failure(
        "\(generation.path(of: TrainingProgress.name)): window: expected at most \(streams.windows), "
          + "got \(progress.window)")
    }
    try trainer.restore(states: &states) { name throws(FormatError) in try generation.contents(of: name) }
    trainer.clippingCounts = progress.clippingCounts
    trainer.norms = progress.norms ?? NormHistory()
    self.progress = progress
    secondsOfEarlierRuns = progress.seconds
    guard let directory else { return }
    let found = try directory.generations()
    bestGeneration = TrainingProgress.best(of: found)
    // One that cannot be read might be the best: it is left until there is something to save.
    let areRead = found.allSatisfy { (try? TrainingProgress.read($0)) != nil }
    if found.last == generation, areRead { try prune(directory, generation) }
  }

  /// Trains until the epochs are done or something else ends it.
  mutating func run() throws -> End {
    // Before hours are spent: a directory that cannot be written to is found now.
    if progress.step == 0 { try save() }
    while progress.epoch < limits.epochs {
      if limits.patience > 0 && progress.epochsWithoutGain >= limits.patience { return .patience }
      if let end = try runEpoch() {
        try save()
        return end
      }
    }
    return .done
  }

  /// Runs the rest of an epoch and validates. Returns what ended it before that.
  private mutating func runEpoch() throws -> End? {
    if progress.window == 0 { states = trainer.network.recurrent.makeStates(batch: plan.batch) }
    var last: TrainingStep?
    while progress.window < streams.windows {
      if Interruption.isAsked { return .interrupted }
      if let seconds = limits.seconds, progress.seconds - secondsOfEarlierRuns >= seconds { return .seconds }
      let step = try update()
      last = step
      let isLast = progress.window == streams.windows
      if isLast { break }
      if progress.step % limits.logEvery == 0 { log.step(step, record(step)) }
      log.bar(record(step))
      if isDue { try save() }
    }
    if let end = try validate(last) { return end }
    try save()
    return nil
  }

  private mutating func update() throws -> TrainingStep {
    let start = ContinuousClock.now
    let window = streams.window(progress.window)
    let step = try trainer.update(
      .symbols(window.inputs), targets: .classes(window.targets), steps: plan.seq, batch: plan.batch, states: &states,
      learningRate: progress.schedule.rate(at: progress.step))
    progress.seconds += (ContinuousClock.now - start) / .seconds(1)
    progress.step += 1
    progress.window += 1
    progress.characters += plan.seq * plan.batch
    progress.clippingCounts = trainer.clippingCounts
    progress.norms = trainer.norms
    progress.validationLoss = nil
    return step
  }

  private mutating func validate(_ last: TrainingStep?) throws -> End? {
    guard let loss = try validationLoss() else { return .interrupted }
    progress.validations.append(loss)
    progress.validationLoss = loss
    progress.schedule.observe(loss)
    progress.epoch += 1
    progress.window = 0
    log.epoch(last, record(last), isBest: progress.epochsWithoutGain == 0)
    return nil
  }

  /// The mean loss over the last 5 %, states carried from the first window to the last. Nil where the user interrupts.
  private func validationLoss() throws -> Double? {
    let network = trainer.network
    var evaluator = SequenceEvaluator(
      network, steps: min(Self.validationWindow, validation.length), batch: validation.streams,
      threads: limits.threads)
    var states = network.recurrent.makeStates(batch: validation.streams)
    var total = 0.0
    for index in 0..<validation.windows {
      if Interruption.isAsked { return nil }
      let (inputs, targets) = validation.window(index)
      let steps = validation.steps(index)
      let loss = try evaluator.loss(
        of: network, .symbols(inputs), targets: .classes(targets), steps: steps, batch: validation.streams,
        states: &states)
      total += loss * Double(steps * validation.streams)
    }
    return total / Double(validation.characters)
  }

  private func record(_ step: TrainingStep?) -> TrainingLog.Record {
    let windows = Double(limits.epochs * streams.windows)
    let done = Double(progress.epoch * streams.windows + progress.window)
    var fraction = windows == 0 ? 1 : done / windows
    if let seconds = limits.seconds { fraction = max(fraction, (progress.seconds - secondsOfEarlierRuns) / seconds) }
    return TrainingLog.Record(
      step: progress.step, epoch: progress.epoch, characters: progress.characters, seconds: progress.seconds,
      secondsNow: progress.seconds - secondsOfEarlierRuns, fraction: fraction,
      validationLoss: progress.validationLoss, last: step)
  }

  // MARK: Checkpoints

  private var isDue: Bool {
    if let every = limits.checkpointEvery { return progress.step % every == 0 }
    return ContinuousClock.now - lastSaved >= .seconds(60)
  }

  /// Publishes a checkpoint, and keeps it and the best one.
  private mutating func save() throws {
    guard let directory else { return }
    lastSaved = .now
    let model = ModelFile(purpose: .languageModel, cell: plan.cell, vocabulary: vocabulary)
    let files =
      try trainer.files(states: states) + [
        (ModelFile.name, model.encoded()), (TrainingProgress.name, progress.encoded()),
      ]
    let generation = try directory.publish(step: progress.step, files: files)
    if let loss = progress.validationLoss, loss == progress.validations.min() { bestGeneration = generation }
    try prune(directory, generation)
  }

  /// Keeps the latest checkpoint and the best one.
  private func prune(_ directory: CheckpointDirectory, _ latest: CheckpointDirectory.Generation) throws {
    try directory.prune(keeping: [latest] + (bestGeneration.map { [$0] } ?? []))
  }
}
