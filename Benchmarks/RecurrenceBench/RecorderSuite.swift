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
    var (without, with): (Sampler, Sampler) = (Sampler(), Sampler())
    do {
      without.warmUp(limit: max(0.05, seconds / 2)) { try? plain.train(repetitions: $0) }
      with.warmUp(limit: max(0.05, seconds / 2)) { try? recording.train(repetitions: $0) }
      try plain.train(repetitions: 1)
      try recording.train(repetitions: 1)
    } catch {
      throw BenchmarkFailure("\(label): \(error)")
    }
    if plain.results != recording.results || !recording.recordIsSound {
      throw BenchmarkFailure.wrongResult(label, "recording changed a gradient, or recorded what is not finite")
    }
    // Neighbours in time see the same machine: the median of their ratios is robust where single times are not.
    let clock = ContinuousClock()
    let start = clock.now
    while without.samples.count < 20 || clock.now - start < .seconds(seconds) {
      without.collect(seconds: 0, atLeast: 1) { try? plain.train(repetitions: $0) }
      with.collect(seconds: 0, atLeast: 1) { try? recording.train(repetitions: $0) }
    }
    let ratios = zip(with.samples, without.samples).map { $0 / $1 }
    return Record(
      suite: "flow",
      fields: [
        .text("cell", self.cell.rawValue, width: 10), .integer("T", problem.steps), .integer("B", problem.batch),
        .integer("I", problem.inputs), .integer("H", problem.units), .integer("threads", threads),
        .text("isa", set.rawValue), .number("ms", without.statistics.median * 1e3, digits: 5, width: 11),
        .number("ms_recording", with.statistics.median * 1e3, digits: 5, width: 12),
        .number("ratio", Statistics.median(ratios), digits: 4, width: 7),
        .number(
          "ratio_of_minima", with.statistics.minimum / without.statistics.minimum, digits: 4, width: 15),
        .integer("pairs", ratios.count),
      ])
  }
}
