import Recurrence

/// What a body does in one repetition, as far as it limits how fast it can be.
struct Work {
  let flops: Double
  /// Bytes that no order of work can help reading again, because no register holds them until they are needed next.
  let bytes: Double
  /// The memory those bytes are in: the smallest cache that holds it is where they come from.
  let workingSet: Int

  /// Operations per byte.
  var intensity: Double { flops / bytes }
}

/// The roofline (Williams, Waterman and Patterson 2009) over one measurement: no more operations a second than the
/// multipliers do, and no more than the bytes that arrive give them to do.
struct Roof: Sendable {
  /// Floating-point operations per second: of the peak loop, and of the best sample.
  let peak, rate: Double
  /// Bytes per second from `level`.
  let bandwidth: Double
  let level: String
  /// Operations per byte.
  let intensity: Double

  var attainable: Double { min(peak, bandwidth * intensity) }

  var fields: [Record.Field] {
    [
      .number("roof", rate / peak, width: 5),
      .number("intensity", intensity, digits: 2),
      .text("level", level, width: 7),
      .number("bandwidth", bandwidth / 1e9, digits: 1).inJSONOnly,
      .number("roofline", attainable / 1e9, digits: 1, width: 8),
      .number("of_roofline", rate / attainable),
    ]
  }

  func point(series: String, group: String, note: String) -> PicturePoint {
    PicturePoint(series: series, group: group, x: intensity, y: rate / 1e9, note: note, roof: self)
  }
}

/// Measures a body between its two ceilings, in four slices with peak and bandwidth before, between and after them.
struct RoofMeter<Scalar: RecurrenceScalar> {
  let kernels: Kernels<Scalar>
  let threads: Int

  /// - Returns: seconds per repetition, and what they are to be held against.
  func measure(_ work: Work, seconds: Double, _ body: (Int) -> Void) -> (statistics: Statistics, roof: Roof) {
    let levels = CacheLevels()
    var peak = PeakMeter(kernels: kernels, threads: threads)
    var bandwidth = BandwidthMeter(
      kernels: kernels, threads: threads, bytes: levels.comfortable(work.workingSet))
    var sampler = Sampler()
    sampler.warmUp(limit: max(0.05, seconds / 2), body)
    let slices = 4
    for slice in 0...slices {
      if slice > 0 {
        sampler.collect(seconds: seconds / Double(slices), atLeast: Sampler.fewestSamples / slices, body)
      }
      peak.probe()
      bandwidth.probe()
    }
    let statistics = sampler.statistics
    let roof = Roof(
      peak: peak.best, rate: work.flops / statistics.minimum, bandwidth: bandwidth.best,
      level: levels.name(holding: work.workingSet), intensity: work.intensity)
    return (statistics, roof)
  }
}
