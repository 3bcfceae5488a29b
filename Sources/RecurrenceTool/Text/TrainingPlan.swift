import Foundation
import Recurrence

/// What a run of training is, from its first update to its last: fixed when it begins, kept in its checkpoints.
struct TrainingPlan: Codable, Equatable {
  var text: String
  /// Characters, and their fingerprint.
  var characters: Int
  var fingerprint: String
  var cell: CellKind
  var embedding = 64
  var hidden = 128
  var layers = 2
  var seq = 50
  var batch = 50
  var optimizer: OptimizerRule
  var schedule: LearningRateSchedule
  var clipping: GradientClipping
  var seed: UInt64 = 0
}

/// How far a run has come.
struct TrainingProgress: Codable {
  var plan: TrainingPlan
  /// Epochs that are done, and windows of the one after them.
  var epoch = 0
  var window = 0
  /// Updates made.
  var step = 0
  var characters = 0
  /// Seconds of training, without validation.
  var seconds = 0.0
  /// Validation after each epoch, in nats a character.
  var validations: [Double] = []
  /// The last of them, if it was taken after the last update.
  var validationLoss: Double?
  var schedule: LearningRateSchedule
  var clippingCounts = ClippingCounts()
  /// Of the last gradients, before clipping; nil in checkpoints of earlier versions.
  var norms: NormHistory?

  static let name = "training.json"

  init(_ plan: TrainingPlan) {
    self.plan = plan
    schedule = plan.schedule
  }

  func encoded() -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return try! [UInt8](encoder.encode(self))
  }

  static func read(_ generation: CheckpointDirectory.Generation) throws -> TrainingProgress {
    let bytes = try generation.contents(of: name)
    let path = generation.path(of: name)
    let progress: TrainingProgress
    do {
      progress = try JSONDecoder().decode(TrainingProgress.self, from: Data(bytes))
    } catch {
      throw Failure("\(path): expected the progress of a training run, got something else")
    }
    if let complaint = progress.complaint { throw Failure("\(path): \(complaint)") }
    return progress
  }

  /// The checkpoint with the least validation loss, the last of equals; nil where none was validated.
  static func best(of generations: [CheckpointDirectory.Generation]) -> CheckpointDirectory.Generation? {
    var best: CheckpointDirectory.Generation?
    var least = Double.infinity
    for generation in generations {
      guard let loss = try? read(generation).validationLoss, loss <= least else { continue }
      (best, least) = (generation, loss)
    }
    return best
  }

  /// The first number that a run cannot have; nil where there is none. What the types themselves check is theirs.
  private var complaint: String? {
    let counts = [
      ("epoch", epoch, 0), ("window", window, 0), ("step", step, 0), ("characters", characters, 0),
      ("seq", plan.seq, 1), ("batch", plan.batch, 1),
    ]
    // Counted on from there, none may overflow.
    let most = 1 << 53
    for (name, value, least) in counts where !(least...most).contains(value) {
      return "\(name): expected \(least) to \(most), got \(value)"
    }
    if !(seconds >= 0 && seconds < Double(most)) { return "seconds: expected a number from 0 on, got \(seconds)" }
    return plan.optimizer.complaint ?? plan.clipping.complaint
  }

  /// Epochs since validation was at its best.
  var epochsWithoutGain: Int {
    guard let best = validations.min(), let index = validations.firstIndex(of: best) else { return 0 }
    return validations.count - 1 - index
  }
}
