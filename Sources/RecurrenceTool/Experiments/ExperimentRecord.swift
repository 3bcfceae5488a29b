import Foundation
import Recurrence

/// What a run says of itself: one line of JSON.
struct ExperimentRecord: Codable {
  enum Event: String, Codable {
    /// On the way.
    case progress
    /// The last of its run.
    case end
  }

  var event: Event
  var experiment: String
  var variant: String
  var seed: UInt64
  var updates: Int
  /// Sequences that training has read.
  var sequences: Int
  /// The mean loss of the updates since the last line; nil where it is not finite.
  var trainLoss: Double?
  /// Of fresh sequences: the share that is wrong, or the loss, as `measure` says.
  var testError: Double?
  var measure: String
  /// Fresh sequences that `testError` is of.
  var tested: Int
  var solved: Bool
  /// Nil before success.
  var updatesToSuccess: Int?
  /// The largest norm of a gradient, before clipping, since the last line; nil where it is not finite.
  var gradientNorm: Double?
  /// Updates that were left out because their gradient was not finite.
  var skipped: Int
  var seconds: Double

  enum CodingKeys: String, CodingKey {
    case event, experiment, variant, seed, updates, sequences
    case trainLoss = "train_loss"
    case testError = "test_error"
    case measure, tested, solved
    case updatesToSuccess = "updates_to_success"
    case gradientNorm = "grad_norm"
    case skipped, seconds
  }

  /// Four significant digits: lines are kept by the thousand.
  var line: String {
    func short(_ value: Double?) -> Double { value.map { Double(String(format: "%.4g", $0)) ?? .nan } ?? .nan }
    var line = JSONLine()
    line.add("event", event.rawValue)
    line.add("experiment", experiment)
    line.add("variant", variant)
    line.add("seed", Int(truncatingIfNeeded: seed))
    line.add("updates", updates)
    line.add("sequences", sequences)
    line.add("train_loss", short(trainLoss))
    line.add("test_error", short(testError))
    line.add("measure", measure)
    line.add("tested", tested)
    line.add("solved", solved)
    if let updatesToSuccess {
      line.add("updates_to_success", updatesToSuccess)
    } else {
      line.add("updates_to_success", Double.nan)
    }
    line.add("grad_norm", short(gradientNorm))
    line.add("skipped", skipped)
    line.add("seconds", (seconds * 100).rounded() / 100)
    return line.text
  }

  /// Whether its counts can be those of a run.
  private var isPossible: Bool {
    let counts = 0...1_000_000_000_000
    return updates > 0 && counts.contains(updates) && counts.contains(sequences) && counts.contains(skipped)
      && counts.contains(tested) && updatesToSuccess.map { (1...updates).contains($0) } ?? true
      && seed <= UInt64(Int.max) && (0..<1e12).contains(seconds)
  }

  /// The records of a file of lines.
  static func read(_ text: String, path: String) throws(Failure) -> [ExperimentRecord] {
    var records: [ExperimentRecord] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() where !line.isEmpty
    {
      let decoded = try? JSONDecoder().decode(ExperimentRecord.self, from: Data(line.utf8))
      guard let record = decoded, record.isPossible else {
        throw Failure("\(path), line \(index + 1): expected a line that recurrence experiment --json wrote")
      }
      records.append(record)
    }
    return records
  }
}
