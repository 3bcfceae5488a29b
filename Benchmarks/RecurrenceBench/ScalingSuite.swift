import Recurrence

extension Suite {
  static let scaling = Suite(
    name: "scaling",
    summary: "time of one step of one row at growing T and B, I = H = 128; points alternate; ratio is to the least",
    picture: .scaling, cases: scalingCases)
}

/// How the time of a step depends on one letter, all others fixed.
private struct ScalingSeries {
  let letter: String
  let problems: [SequenceProblem]

  static let all: [ScalingSeries] = [
    ScalingSeries(
      letter: "T", problems: [10, 30, 100, 300, 1000, 3000, 10000].map { SequenceProblem([$0, 32, 128, 128]) }),
    ScalingSeries(letter: "B", problems: [32, 64, 128, 256].map { SequenceProblem([100, $0, 128, 128]) }),
  ]
}

private func scalingCases(_ options: Options) -> [BenchmarkCase] {
  // A case has every point; the first stands for what all of them share.
  SequenceVariant.chosen(
    options, modes: [.infer, .train], cells: [.rnn, .lstm, .gru], problems: [ScalingSeries.all[0].problems[0]]
  ).map { point in
    let parts = [
      "scaling", point.mode.rawValue, point.cell.rawValue, point.type.rawValue, point.set.rawValue,
      "threads=\(point.threads)",
    ]
    return BenchmarkCase(parts) { () throws(BenchmarkFailure) in
      let label = parts.joined(separator: "/")
      return try ScalingMeasurement(label: label, seconds: options.seconds, variant: point.with).records()
    }
  }
}

/// All points of one cell and mode, in one process and in turn.
///
/// From minute to minute a shared machine changes by more than what is looked for here. Each round visits every point, so
/// that all see the same weather, and of a point's samples the least counts.
private struct ScalingMeasurement {
  private static let rounds = 8

  let label: String
  /// Of samples of each point, in all rounds together.
  let seconds: Double
  let variant: (SequenceProblem) -> SequenceVariant

  func records() throws(BenchmarkFailure) -> [Record] {
    var problems: [SequenceProblem] = []
    for problem in ScalingSeries.all.flatMap(\.problems) where !problems.contains(problem) { problems.append(problem) }
    let variants = problems.map(variant)
    try requireMemory(bytes: variants.reduce(0) { $0 + $1.bytes }, label: label)
    var points: [(ready: ReadySequence, sampler: Sampler)] = []
    for variant in variants {
      points.append((try variant.ready(), Sampler()))
      points[points.count - 1].sampler.warmUp(limit: seconds / 2, points[points.count - 1].ready.run)
    }
    for round in 0..<Self.rounds {
      // Back and forth: a drift within a round then favours neither end.
      for index in round.isMultiple(of: 2) ? Array(points.indices) : points.indices.reversed() {
        let ready = points[index].ready
        points[index].sampler.collect(
          seconds: seconds / Double(Self.rounds), atLeast: 1, ready.run)
      }
    }
    for point in points { try point.ready.verify() }
    let statistics = zip(problems, points).map { ($0, $1.sampler.statistics) }
    return ScalingSeries.all.flatMap { series in
      let times = series.problems.map { problem in
        (variant(problem), statistics.first { $0.0 == problem }!.1)
      }
      let least = times.map { $0.secondsPerStep(of: $1.minimum) }.min()!
      return times.map { $0.record(over: series.letter, $1, least: least) }
    }
  }
}

extension SequenceVariant {
  /// Of one row, where a pass takes `seconds`.
  fileprivate func secondsPerStep(of seconds: Double) -> Double {
    seconds / Double(problem.steps) / Double(problem.batch)
  }

  fileprivate func record(over letter: String, _ time: Statistics, least: Double) -> Record {
    let perStep = secondsPerStep(of: time.minimum)
    return Record(
      suite: "scaling", isCompared: true,
      fields: [.text("over", letter, width: 4)] + columns() + [
        .number("ms_min", time.minimum * 1e3, digits: 4, width: 11),
        .number("spread", time.spread, width: 6).inTableOnly,
        .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
        .number("ns_per_step_and_row", perStep * 1e9, digits: 2),
        .number("ratio", perStep / least, digits: 3, width: 6),
      ],
      point: PicturePoint(
        series: "\(cell.rawValue) \(mode.rawValue)", group: letter,
        x: Double(letter == "T" ? problem.steps : problem.batch), y: perStep * 1e9))
  }
}
