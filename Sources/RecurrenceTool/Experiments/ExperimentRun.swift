import Foundation
import Recurrence

/// One variant of an experiment from one seed: the loop that all tasks are learned in.
///
/// The seed decides the parameters and the data. Variants of one cell and start begin with the same parameters, and all
/// variants learn from the same sequences.
struct ExperimentRun<C: Cell>: ~Copyable {
  private let experiment: Experiment
  private let variant: Variant
  private let seed: UInt64
  private var trainer: SequenceTrainer<C, Float>
  private var evaluator: SequenceEvaluator<Float>
  /// Of the sequences of training, and of those of tests.
  private var training: SeededGenerator
  private var testing: SeededGenerator
  private var streak = Streak()
  private var updatesToSuccess: Int?
  /// Since the last line.
  private var losses = 0.0
  private var lossCount = 0
  private var gradientNorm = 0.0

  private static var testBatch: Int { 100 }

  init(_ cell: C, _ experiment: Experiment, _ variant: Variant, seed: UInt64) {
    (self.experiment, self.variant, self.seed) = (experiment, variant, seed)
    let (task, recipe) = (experiment.task, experiment.recipe)
    // Seeds of the parts: no two draw the same numbers, and none those of a network's own parts.
    func generator(_ part: UInt64) -> SeededGenerator {
      SeededGenerator(seed: (seed &* 3 &+ part) &* 0x9fb2_1c65_1e98_df25)
    }
    var parameters = generator(0)
    (training, testing) = (generator(1), generator(2))
    let network: SequenceNetwork<C, Float>
    switch variant.start {
    case .drawn(let initialization):
      network = SequenceNetwork(
        cell, inputs: task.inputs, units: recipe.units, outputs: task.outputs, initialization: initialization,
        seed: seed)
    case .smartTanh:
      network = SmartTanh.network(
        cell, inputs: task.inputs, units: recipe.units, outputs: task.outputs, using: &parameters)
    }
    trainer = SequenceTrainer(
      network, recipe.rule, clipping: variant.remedy.clipping, steps: task.longest, batch: recipe.batch,
      readout: task.readout, ragged: task.isRagged, threads: recipe.threads)
    evaluator = SequenceEvaluator(
      network, steps: task.longest, batch: max(recipe.batch, Self.testBatch), readout: task.readout,
      ragged: task.isRagged, threads: recipe.threads)
    trainer.control = BackpropagationControl(normPreservation: variant.remedy.preservation)
  }

  /// Trains until the goal is reached or the updates are used up. The last record is the result; nil where the user
  /// interrupted.
  mutating func run(
    report: (ExperimentRecord) -> Void, progress: (_ updates: Int, _ loss: Double) -> Void
  ) throws -> ExperimentRecord? {
    let (recipe, goal) = (experiment.recipe, experiment.goal)
    let start = ContinuousClock.now
    var loss = Double.nan
    for update in 1...recipe.updates {
      if Interruption.isAsked { return nil }
      loss = try learn(lastLoss: loss)
      if case .streak(let right, let error, _) = goal.kind, let mean = streak.meanError(ofLast: right), mean < error {
        updatesToSuccess = update
      }
      let isLast = update == recipe.updates || isStreakDone
      if update % recipe.every == 0 || isLast {
        let test = try measure(isLast ? goal.tests : goal.samples)
        var record = record(update, test, seconds: (ContinuousClock.now - start) / .seconds(1))
        if isLast || isDone(test) {
          record.event = .end
          report(record)
          return record
        }
        report(record)
      } else if update % 100 == 0 {
        progress(update, loss)
      }
    }
    return nil
  }

  private var isStreakDone: Bool {
    if case .streak = experiment.goal.kind { return updatesToSuccess != nil }
    return false
  }

  private func isDone(_ test: Test) -> Bool {
    guard updatesToSuccess != nil else { return false }
    return experiment.goal.lastLoss.map { test.loss < $0 } ?? true
  }

  /// One update; its loss.
  private mutating func learn(lastLoss: Double) throws -> Double {
    let recipe = experiment.recipe
    let batch = experiment.task.draw(recipe.batch, using: &training)
    if case .streak(_, _, let largestLoss) = experiment.goal.kind {
      try judge(batch, unless: !(lastLoss < largestLoss))
    }
    var states = trainer.network.recurrent.makeStates(batch: batch.batch)
    let step = try trainer.update(
      .vectors(batch.inputs), targets: batch.targets, steps: batch.steps, batch: batch.batch, lengths: batch.lengths,
      states: &states, learningRate: recipe.learningRate)
    losses += step.loss
    lossCount += 1
    gradientNorm = step.clipping.norm.isNaN ? .nan : max(gradientNorm, step.clipping.norm)
    return step.loss
  }

  /// Judges a batch before it is learned from.
  ///
  /// Costs a pass, which is saved where the batch before must have had a wrong sequence in it: this one counts as wrong
  /// then, and a streak begins a batch late.
  private mutating func judge(_ batch: TaskBatch, unless lastWasWrong: Bool) throws {
    if lastWasWrong { return streak = Streak() }
    let outputs = try outputs(batch).outputs
    for judgement in experiment.task.judge(outputs, batch) { streak.add(judgement) }
  }

  private mutating func outputs(_ batch: TaskBatch) throws -> (loss: Double, outputs: [Float]) {
    let network = trainer.network
    var states = network.recurrent.makeStates(batch: batch.batch)
    let loss = try evaluator.loss(
      of: network, .vectors(batch.inputs), targets: batch.targets, steps: batch.steps, batch: batch.batch,
      lengths: batch.lengths, states: &states)
    return (loss, evaluator.outputs)
  }

  private struct Test {
    var loss: Double
    /// Share of sequences (of steps, where every step is read).
    var wrong: Double
    var count: Int
  }

  /// Tests on fresh sequences, and notes a success.
  ///
  /// Where a share of wrong ones decides, the test ends early, after a thousand sequences or more, once more of them are
  /// wrong than may be of all.
  private mutating func measure(_ count: Int) throws -> Test {
    var (loss, wrong, judged, tested) = (0.0, 0, 0, 0)
    while tested < count {
      let size = min(Self.testBatch, count - tested)
      let batch = experiment.task.draw(size, using: &testing)
      let result = try outputs(batch)
      loss += result.loss * Double(size)
      if experiment.goal.measure == "wrong" {
        let judgements = experiment.task.judge(result.outputs, batch)
        wrong += judgements.count { !$0.isRight }
        judged += judgements.count
      }
      tested += size
      if case .wrong(let share) = experiment.goal.kind, tested >= 1000, Double(wrong) >= share * Double(count) { break }
    }
    let test = Test(loss: loss / Double(tested), wrong: Double(wrong) / Double(max(1, judged)), count: tested)
    switch experiment.goal.kind {
    case .wrong(let share) where test.wrong < share && test.count == experiment.goal.tests: succeed()
    case .loss(let limit) where test.loss < limit: succeed()
    default: break
    }
    return test
  }

  private mutating func succeed() { updatesToSuccess = updatesToSuccess ?? trainer.clippingCounts.gradients }

  private mutating func record(_ updates: Int, _ test: Test, seconds: Double) -> ExperimentRecord {
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    let goal = experiment.goal
    defer { (losses, lossCount, gradientNorm) = (0, 0, 0) }
    return ExperimentRecord(
      event: .progress, experiment: experiment.name, variant: variant.name, seed: seed, updates: updates,
      sequences: updates * experiment.recipe.batch, trainLoss: finite(losses / Double(lossCount)),
      testError: finite(goal.measure == "wrong" ? test.wrong : test.loss), measure: goal.measure,
      tested: test.count, solved: updatesToSuccess != nil, updatesToSuccess: updatesToSuccess,
      gradientNorm: finite(gradientNorm), skipped: trainer.clippingCounts.skipped, seconds: seconds)
  }
}

/// Sequences in a row that were right.
private struct Streak {
  private var errors: [Double] = []

  /// Nil where there are fewer.
  func meanError(ofLast count: Int) -> Double? {
    errors.count < count ? nil : errors.suffix(count).reduce(0, +) / Double(count)
  }

  mutating func add(_ judgement: Judgement) {
    if judgement.isRight { errors.append(judgement.error) } else { errors = [] }
  }
}
