import Foundation

// From runs of a body to the few numbers that are reported. One sample is the mean time of enough repetitions to fill
// 200 µs: the clock's own cost and its resolution (some 50 ns together) are then below a thousandth of a sample.

/// Order statistics of a set of samples.
struct Statistics {
  let count: Int
  let minimum: Double
  let median: Double
  let maximum: Double
  /// (p90 − p10) / median: the width of the middle four fifths. Unlike the standard deviation, one interruption by
  /// another process does not inflate it.
  let spread: Double
  /// Seconds of processor time that this process used in one second of sampling: near the number of threads where it
  /// had the cores to itself. Where it is lower, other processes ran in between, and long samples contain them.
  let processors: Double

  /// `samples` must not be empty.
  init(_ samples: [Double], processors: Double) {
    precondition(!samples.isEmpty, "statistics: no samples")
    let sorted = samples.sorted()
    self.processors = processors
    count = sorted.count
    minimum = sorted[0]
    maximum = sorted[sorted.count - 1]
    median = Self.quantile(0.5, ofSorted: sorted)
    spread = median > 0 ? (Self.quantile(0.9, ofSorted: sorted) - Self.quantile(0.1, ofSorted: sorted)) / median : 0
  }

  static func median(_ samples: [Double]) -> Double { quantile(0.5, ofSorted: samples.sorted()) }

  /// Linear interpolation between order statistics; 0 ≤ q ≤ 1.
  static func quantile(_ q: Double, ofSorted sorted: [Double]) -> Double {
    let position = q * Double(sorted.count - 1)
    let below = Int(position)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (position - Double(below)) * (sorted[above] - sorted[below])
  }
}

/// Seconds of wall-clock time that `body` takes.
func secondsTaken(_ body: () -> Void) -> Double {
  let clock = ContinuousClock()
  let start = clock.now
  body()
  return (clock.now - start) / .seconds(1)
}

/// Seconds of processor time that this process has used, in all its threads.
private func processorTime() -> Double {
  var time = timespec()
  guard unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Collects samples of a body that does its work as many times as it is told.
///
/// The body holds the inner loop itself, so that one closure call is paid per sample and not per repetition.
struct Sampler {
  /// Shortest sample that counts, in seconds.
  static let shortestSample = 200e-6
  /// Samples taken of even the slowest body.
  static let fewestSamples = 8

  /// Repetitions in one sample, found by `warmUp`.
  private(set) var repetitions = 1
  /// Seconds per repetition.
  private(set) var samples: [Double] = []

  private var wallSeconds = 0.0
  private var processorSeconds = 0.0

  var statistics: Statistics {
    Statistics(samples, processors: wallSeconds > 0 ? processorSeconds / wallSeconds : 0)
  }

  /// Runs the body until its time is stable, and finds how many repetitions fill a sample.
  ///
  /// Stable means that the median of five samples differs from that of the five before by at most 2 %: caches and
  /// branch predictors are then warm, pages are mapped, and the clock has left its idle state. Gives up after `limit`
  /// seconds: a noisy machine is never stable, and its spread says so.
  mutating func warmUp(limit: Double, _ body: (Int) -> Void) {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(limit)
    var window: [Double] = []
    var previous = Double.infinity
    while true {
      let seconds = secondsTaken { body(repetitions) }
      if seconds < Self.shortestSample {
        // A first, cold sample overstates the time of a repetition: approach from below, and check again.
        let factor = seconds > 0 ? 1.2 * Self.shortestSample / seconds : 8
        repetitions = Int((Double(repetitions) * min(8, max(1.1, factor))).rounded(.up))
        window.removeAll()
        continue
      }
      window.append(seconds / Double(repetitions))
      if window.count == 5 {
        let median = Statistics.median(window)
        if abs(median - previous) <= 0.02 * median { return }
        previous = median
        window.removeAll(keepingCapacity: true)
      }
      if clock.now >= deadline { return }
    }
  }

  /// Takes samples for `seconds`, and at least `count`.
  mutating func collect(seconds: Double, atLeast count: Int = Sampler.fewestSamples, _ body: (Int) -> Void) {
    let clock = ContinuousClock()
    let start = clock.now
    // Read once per call and not once per sample: unlike the wall clock, it costs a system call.
    let processorStart = processorTime()
    var taken = 0
    while taken < count || clock.now - start < .seconds(seconds) {
      samples.append(secondsTaken { body(repetitions) } / Double(repetitions))
      taken += 1
    }
    processorSeconds += processorTime() - processorStart
    wallSeconds += (clock.now - start) / .seconds(1)
  }

  /// Warms up, takes samples for `seconds`, and returns their statistics.
  static func measure(seconds: Double, _ body: (Int) -> Void) -> Statistics {
    var sampler = Sampler()
    sampler.warmUp(limit: max(0.05, seconds / 2), body)
    sampler.collect(seconds: seconds, body)
    return sampler.statistics
  }
}
