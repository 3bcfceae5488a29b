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

private enum Mode: String, Sendable {
  case infer, train, step
}

private struct Variant {
  let mode: Mode
  let cell: BenchCell
  let problem: SequenceProblem
  let type: ElementType
  let set: InstructionSet
  let threads: Int
  let seconds: Double

  var labelParts: [String] {
    [
      mode.rawValue, cell.rawValue, "\(problem.steps)x\(problem.batch)x\(problem.inputs)x\(problem.units)",
      type.rawValue, set.rawValue, "threads=\(threads)",
    ]
  }
}

private func sequenceCases(_ mode: Mode, _ options: Options) -> [BenchmarkCase] {
  var problems = SequenceProblem.chosen(options.shapes(ofRank: 4))
  if mode == .step {
    // One step, of one sequence, of each size once.
    var sizes: [[Int]] = []
    for problem in problems where !sizes.contains([1, 1, problem.inputs, problem.units]) {
      sizes.append([1, 1, problem.inputs, problem.units])
    }
    problems = SequenceProblem.chosen(sizes)
  }
  return options.instructionSets.flatMap { set in
    (options.elementTypes ?? [.f32]).flatMap { type in
      (mode == .step ? [1] : options.threads).flatMap { threads in
        BenchCell.allCases.flatMap { cell in
          problems.map { problem in
            let variant = Variant(
              mode: mode, cell: cell, problem: problem, type: type, set: set, threads: threads,
              seconds: options.seconds)
            return BenchmarkCase(variant.labelParts) { () throws(BenchmarkFailure) in
              switch type {
              case .f32: try measure(variant, Float.self)
              case .f64: try measure(variant, Double.self)
              }
            }
          }
        }
      }
    }
  }
}

private func measure<Scalar: RecurrenceScalar>(_ variant: Variant, _: Scalar.Type) throws(BenchmarkFailure) -> Record {
  switch variant.cell {
  case .rnn: try measure(variant, RNN(), Scalar.self)
  case .rnnReLU: try measure(variant, RNN.relu, Scalar.self)
  case .lstm: try measure(variant, LSTM(), Scalar.self)
  case .gru: try measure(variant, GRU(), Scalar.self)
  case .gruBefore: try measure(variant, GRUResetBefore(), Scalar.self)
  case .user: try measure(variant, CoupledLSTM(), Scalar.self)
  }
}

private func measure<C: Cell, Scalar: RecurrenceScalar>(
  _ variant: Variant, _ cell: C, _: Scalar.Type
) throws(BenchmarkFailure) -> Record {
  let label = variant.labelParts.joined(separator: "/")
  let problem = variant.problem
  let kernels = try requireKernels(variant.set, of: Scalar.self)
  let operands = SequenceOperands<C, Scalar>(
    cell, problem, threads: variant.threads, kernels: kernels, trains: variant.mode == .train)
  try operands.verify(label, trains: variant.mode == .train)
  let passes = variant.mode == .train ? 3.0 : 1
  let flops = passes * problem.flops(gates: variant.cell.gates)
  var failure: ShapeError?
  let (time, roof) = PeakMeter.measure(
    kernels: kernels, threads: variant.threads, flops: flops, seconds: variant.seconds
  ) { repetitions in
    do throws(ShapeError) {
      switch variant.mode {
      case .infer: try operands.infer(repetitions: repetitions)
      case .train: try operands.train(repetitions: repetitions)
      case .step: try operands.step(repetitions: repetitions)
      }
    } catch {
      failure = error
    }
  }
  if let failure { throw BenchmarkFailure("\(label): \(failure)") }
  try operands.verify(label, trains: variant.mode == .train)
  return Record(
    suite: variant.mode.rawValue,
    fields: [
      .text("cell", variant.cell.rawValue, width: 10),
      .text("mode", variant.mode.rawValue, width: 5),
      .text("dtype", variant.type.rawValue, width: 5),
      .integer("T", problem.steps), .integer("B", problem.batch), .integer("I", problem.inputs),
      .integer("H", problem.units),
      .integer("threads", variant.threads),
      .text("isa", variant.set.rawValue),
      .number("ms", time.median * 1e3, digits: 5, width: 11),
      .number("ms_min", time.minimum * 1e3, digits: 5, width: 11),
      .number("ms_max", time.maximum * 1e3, digits: 5, width: 11),
      .number("spread", time.spread, width: 6).inTableOnly,
      .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
      .number("gflops", flops / time.median / 1e9, digits: 2, width: 8),
      .number("roof", roof, width: 5),
    ])
}
