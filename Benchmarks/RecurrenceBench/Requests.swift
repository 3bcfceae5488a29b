import Recurrence

/// `--requests`: cases that a script asks for one by one, in the order and as often as it likes.
///
/// Two libraries are compared fairly only in turn, in rounds of seconds: the clock of a shared machine drifts by more than
/// they differ. A process for each round would pay for its operands and for warming up every time; this one keeps
/// them while the label stays the same, so that a round costs its samples and no more.
struct Requests {
  /// Samples of a slow case. Fewer than elsewhere, since a round is one of many; and one where it takes long: the caches that
  /// others have used since the round before are filled in a thousandth of it.
  private static func fewestSamples(_ last: Double) -> Int { last < 0.25 ? 3 : 1 }

  let seconds: Double
  private var current: (label: String, ready: ReadySequence, sampler: Sampler, pass: Double)?

  init(seconds: Double) { self.seconds = seconds }

  /// Answers each line of the standard input with one line, until it ends.
  mutating func serve(_ reporter: Reporter) {
    while let label = readLine() {
      do {
        reporter.print(try measure(label).json)
      } catch {
        reporter.print(Record.json([.text("label", label), .text("error", error.description)]))
      }
    }
  }

  private mutating func measure(_ label: String) throws(BenchmarkFailure) -> Record {
    if current?.label != label {
      // The old operands go before the new ones come: two large cases need not fit together.
      current = nil
      let ready = try SequenceVariant(label: label).ready()
      var sampler = Sampler()
      sampler.warmUp(limit: max(0.05, seconds / 2), ready.run)
      current = (label, ready, sampler, secondsTaken { ready.run(1) })
    }
    guard let (_, ready, sampler, pass) = current else { fatalError("requests: expected a case that is ready") }
    // A copy that has repetitions and no samples yet: each round stands for itself.
    var round = sampler
    round.collect(seconds: seconds, atLeast: Self.fewestSamples(pass), ready.run)
    let steps = ready.variant.mode == .step ? StepTimes(of: ready, seconds: seconds) : nil
    return ready.variant.record(round.statistics, steps, roof: nil)
  }
}
