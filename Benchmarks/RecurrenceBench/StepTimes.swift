import Recurrence

/// How the time of a step is distributed: an audio callback must meet its deadline every time, not on average.
///
/// The clock takes tens of nanoseconds to read and a step may take a hundred. Batches are timed, and their time divided
/// by their steps: one reading of the clock and one call in each, together a nanosecond or two a step. An interruption is
/// spread over its batch by the division: what delays one step by 32 µs adds 1 µs to `maximum`.
struct StepTimes {
  /// Steps in a batch.
  static let batch = 32
  /// Steps in all, of those that are fast enough.
  private static let most = 100_000
  private static let fewestBatches = 32

  /// Steps that were timed.
  let steps: Int
  /// Seconds of a step in the median batch, in the batch that only one in a hundred exceeds, and in the slowest.
  let median, percentile99, maximum: Double

  /// Times `most` steps, but no longer than `seconds`.
  init(of ready: ReadySequence, seconds: Double) {
    var batches: [Double] = []
    batches.reserveCapacity(Self.most / Self.batch)
    let clock = ContinuousClock()
    let start = clock.now
    var last = start
    while batches.count < Self.most / Self.batch
      && (batches.count < Self.fewestBatches || last - start < .seconds(seconds))
    {
      ready.run(Self.batch)
      // The end of a batch is the beginning of the next: no step goes unseen, and neither does what comes between two.
      let now = clock.now
      batches.append((now - last) / .seconds(1) / Double(Self.batch))
      last = now
    }
    batches.sort()
    steps = batches.count * Self.batch
    median = Statistics.quantile(0.5, ofSorted: batches)
    percentile99 = Statistics.quantile(0.99, ofSorted: batches)
    maximum = batches[batches.count - 1]
  }

  var fields: [Record.Field] {
    [
      .number("ns_p50", median * 1e9, digits: 1), .number("ns_p99", percentile99 * 1e9, digits: 1),
      .number("ns_max", maximum * 1e9, digits: 1), .integer("steps", steps),
    ]
  }
}
