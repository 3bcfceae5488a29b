import Recurrence

extension Suite {
  static let flow = Suite(
    name: "flow", summary: "what recording the gradient flow adds to a training step; samples alternate",
    shapeLetters: ["T", "B", "I", "H"], cases: recorderCases)
}

private func recorderCases(_ options: Options) -> [BenchmarkCase] {
  let shapes = options.shapes(ofRank: 4)
  let problems = SequenceProblem.chosen(shapes.isEmpty ? [[100, 32, 128, 128]] : shapes)
  return options.instructionSets.flatMap { set in
    options.threads.flatMap { threads in
      BenchCell.allCases.flatMap { cell in
        problems.map { problem in
          let case_ = RecorderCase(cell: cell, problem: problem, set: set, threads: threads, seconds: options.seconds)
          return BenchmarkCase(case_.labelParts) { () throws(BenchmarkFailure) in try cell.perform(case_, .f32) }
        }
      }
    }
  }
}

private struct RecorderCase: CellWork, Sendable {
  let cell: BenchCell
  let problem: SequenceProblem
  let set: InstructionSet
  let threads: Int
  let seconds: Double

  var labelParts: [String] {
    [
      "flow", cell.rawValue, problem.name, set.rawValue,
      "threads=\(threads)",
    ]
  }

  func callAsFunction<C: Cell, Scalar: RecurrenceScalar>(
    _ cell: C, _: Scalar.Type
  ) throws(BenchmarkFailure) -> Record {
    let label = labelParts.joined(separator: "/")
    let kernels = try requireKernels(set, of: Scalar.self)
    func operands() throws(BenchmarkFailure) -> SequenceOperands<C, Scalar> {
      let operands = SequenceOperands<C, Scalar>(cell, problem, threads: threads, kernels: kernels, trains: true)
      try operands.verify(label, .train)
      return operands
    }
    let (plain, recording) = try (operands(), operands())
    recording.records = true
    plain.run(.train, repetitions: 1)
    recording.run(.train, repetitions: 1)
    if plain.results != recording.results || !recording.recordIsSound {
      throw BenchmarkFailure.wrongResult(label, "recording changed a gradient, or recorded what is not finite")
    }
    let pair = PairedSampler(seconds: seconds) {
      plain.run(.train, repetitions: $0)
    } _: {
      recording.run(.train, repetitions: $0)
    }
    return Record(
      suite: "flow",
      fields: [
        .text("cell", self.cell.rawValue, width: 10), .integer("T", problem.steps), .integer("B", problem.batch),
        .integer("I", problem.inputs), .integer("H", problem.units), .integer("threads", threads),
        .text("isa", set.rawValue), .number("ms", pair.first.median * 1e3, digits: 5, width: 11),
        .number("ms_recording", pair.second.median * 1e3, digits: 5, width: 12),
        .number("ratio", pair.ratio, digits: 4, width: 7),
        .number("ratio_of_minima", pair.ratioOfMinima, digits: 4), .integer("pairs", pair.pairs),
      ])
  }
}
