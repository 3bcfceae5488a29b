import Recurrence

extension Suite {
  static let infer = Suite(
    name: "infer", summary: "forward pass over a sequence, weights ready; ms is the median",
    shapeLetters: ["T", "B", "I", "H"], picture: .roofline, cases: { sequenceCases(.infer, $0) })
  static let train = Suite(
    name: "train", summary: "forward, and backward to weights, input and initial state",
    shapeLetters: ["T", "B", "I", "H"], keeps: true, picture: .roofline, cases: { sequenceCases(.train, $0) })
  static let step = Suite(
    name: "step", summary: "one step of a stream, B = 1; percentiles are of batches of \(StepTimes.batch) steps",
    shapeLetters: ["T", "B", "I", "H"], picture: .roofline, cases: { sequenceCases(.step, $0) })
}

private func sequenceCases(_ mode: SequenceMode, _ options: Options) -> [BenchmarkCase] {
  let shapes = options.shapes(ofRank: 4)
  let problems = mode == .step ? SequenceProblem.chosenSteps(shapes) : SequenceProblem.chosen(shapes)
  let threads = mode == .step ? [1] : options.threads
  return SequenceVariant.chosen(
    options, threads: threads, modes: [mode], problems: problems, keeping: mode.trains ? options.keeping : nil
  ).map { variant in
    BenchmarkCase(variant.labelParts) { () throws(BenchmarkFailure) in
      let ready = try variant.ready()
      let (time, roof) = ready.measureWithRoof(options.seconds)
      let steps = mode == .step ? StepTimes(of: ready, seconds: options.seconds) : nil
      try ready.verify()
      return variant.record(time, steps, roof: roof)
    }
  }
}

extension SequenceVariant {
  /// - Parameters:
  ///   - steps: of `step` alone.
  ///   - roof: nil where no peak was measured.
  func record(_ time: Statistics, _ steps: StepTimes?, roof: Roof?) -> Record {
    let milliseconds: [Record.Field] = [
      .number("ms", time.median * 1e3, digits: 5, width: 11),
      .number("ms_min", time.minimum * 1e3, digits: 5, width: 11),
      .number("ms_max", time.maximum * 1e3, digits: 5, width: 11),
    ]
    let nanoseconds = steps.map { [.number("ns", time.median * 1e9, digits: 1)] + $0.fields } ?? []
    var record = Record(
      suite: mode.rawValue, isCompared: true,
      fields: columns() + (steps == nil ? milliseconds : milliseconds.map(\.inJSONOnly)) + nanoseconds + [
        .number("spread", time.spread, width: 6).inTableOnly,
        .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
        .number("gflops", flops / time.median / 1e9, digits: 2, width: 8),
      ] + (roof?.fields ?? []))
    record.point = roof?.point(series: cell.rawValue, group: mode.rawValue, note: label)
    return record
  }
}
