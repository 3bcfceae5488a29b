import Recurrence

extension Suite {
  static let infer = Suite(
    name: "infer", summary: "forward pass over a sequence, weights ready; ms is the median",
    shapeLetters: ["T", "B", "I", "H"], cases: { sequenceCases(.infer, $0) })
  static let train = Suite(
    name: "train", summary: "forward, and backward to weights, input and initial state",
    shapeLetters: ["T", "B", "I", "H"], cases: { sequenceCases(.train, $0) })
  static let step = Suite(
    name: "step", summary: "one step of a stream, B = 1",
    shapeLetters: ["T", "B", "I", "H"], cases: { sequenceCases(.step, $0) })
}

private func sequenceCases(_ mode: SequenceMode, _ options: Options) -> [BenchmarkCase] {
  var problems = SequenceProblem.chosen(options.shapes(ofRank: 4))
  if mode == .step {
    // One step, of one sequence, of each size once.
    var sizes: [SequenceProblem] = []
    for problem in problems {
      let size = SequenceProblem(steps: 1, batch: 1, inputs: problem.inputs, units: problem.units)
      if !sizes.contains(size) { sizes.append(size) }
    }
    problems = sizes
  }
  return options.instructionSets.flatMap { set in
    (options.elementTypes ?? [.f32]).flatMap { type in
      (mode == .step ? [1] : options.threads).flatMap { threads in
        BenchCell.allCases.flatMap { cell in
          problems.map { problem in
            let variant = SequenceVariant(
              mode: mode, cell: cell, problem: problem, type: type, set: set, threads: threads)
            return BenchmarkCase(variant.labelParts) { () throws(BenchmarkFailure) in
              let ready = try variant.ready()
              let (time, roof) = ready.measureWithRoof(seconds: options.seconds)
              try ready.verify()
              return variant.record(time, roof: roof)
            }
          }
        }
      }
    }
  }
}

extension SequenceVariant {
  /// - Parameter roof: nil where no peak was measured.
  func record(_ time: Statistics, roof: Double?) -> Record {
    Record(
      suite: mode.rawValue, isCompared: true,
      fields: [
        .text("cell", cell.rawValue, width: 10),
        .text("mode", mode.rawValue, width: 5),
        .text("dtype", type.rawValue, width: 5),
        .integer("T", problem.steps), .integer("B", problem.batch), .integer("I", problem.inputs),
        .integer("H", problem.units),
        .integer("threads", threads),
        .text("isa", set.rawValue),
        .number("ms", time.median * 1e3, digits: 5, width: 11),
        .number("ms_min", time.minimum * 1e3, digits: 5, width: 11),
        .number("ms_max", time.maximum * 1e3, digits: 5, width: 11),
        .number("spread", time.spread, width: 6).inTableOnly,
        .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
        .number("gflops", flops / time.median / 1e9, digits: 2, width: 8),
      ] + (roof.map { [.number("roof", $0, width: 5)] } ?? []))
  }
}
