import Recurrence
import Synchronization

extension Suite {
  static let subnormal = Suite(
    name: "subnormal",
    summary: "a sequence and its gradient that vanish through the subnormal numbers, against ordinary ones; in turn",
    shapeLetters: ["T", "B", "I", "H"], cases: subnormalCases)
}

/// Not ReLU: whether a sum that is flushed was greater than zero decides about a whole derivative, and no two
/// precisions agree on it.
private let cells = BenchCell.allCases.filter { $0 != .rnnReLU }

private func subnormalCases(_ options: Options) -> [BenchmarkCase] {
  let shapes = options.shapes(ofRank: 4)
  let problems = SequenceProblem.chosen(shapes.isEmpty ? [[100, 32, 128, 128]] : shapes)
  return SequenceVariant.chosen(options, modes: [.infer, .train], cells: cells, problems: problems).map { variant in
    BenchmarkCase(["subnormal"] + variant.labelParts) { () throws(BenchmarkFailure) in
      try variant.cell.perform(MeasureSubnormal(variant: variant, seconds: options.seconds), variant.type)
    }
  }
}

private struct MeasureSubnormal: CellWork {
  /// With fewer steps a state that is halved at each does not get through the subnormal numbers of `Double`.
  private static let fewestSteps = 100

  let variant: SequenceVariant
  let seconds: Double

  func callAsFunction<C: Cell, Scalar: RecurrenceScalar>(
    _ cell: C, _: Scalar.Type
  ) throws(BenchmarkFailure) -> Record {
    let label = "subnormal/" + variant.label
    let problem = variant.problem
    if problem.steps < Self.fewestSteps {
      throw BenchmarkFailure("\(label): expected at least \(Self.fewestSteps) steps, so that there is time to vanish")
    }
    try requireMemory(bytes: 2 * variant.bytes, label: label)
    let kernels = try requireKernels(variant.set, of: Scalar.self)
    func operands(_ values: SequenceValues) throws(BenchmarkFailure) -> SequenceOperands<C, Scalar> {
      let operands = SequenceOperands<C, Scalar>(
        cell, problem, threads: variant.threads, kernels: kernels, trains: variant.mode.trains, values: values)
      try operands.verify(label, variant.mode)
      return operands
    }
    let (ordinary, vanishing) = try (operands(.ordinary), operands(.vanishing(variant.type)))
    if let objection = vanishing.objectionToVanishing(variant.mode) { throw .wrongResult(label, objection) }
    let pair = PairedSampler(seconds: seconds) {
      ordinary.run(variant.mode, repetitions: $0)
    } _: {
      vanishing.run(variant.mode, repetitions: $0)
    }
    if let objection = vanishing.objectionToVanishing(variant.mode) { throw .wrongResult(label, objection) }
    if !subnormalsAreKept(threads: variant.threads) {
      throw .wrongResult(label, "subnormal numbers are zero after the pass, as they were not before it")
    }
    return Record(
      suite: "subnormal", isCompared: true,
      fields: variant.columns() + [
        .number("ms", pair.first.median * 1e3, digits: 5, width: 11),
        .number("ms_subnormal", pair.second.median * 1e3, digits: 5, width: 12),
        .number("ratio", pair.ratio, digits: 4, width: 7),
        .number("ratio_of_minima", pair.ratioOfMinima, digits: 4),
        .integer("pairs", pair.pairs),
        .number("processor_ratio", processorRatio(kernels), digits: 2),
      ])
  }

  /// What this processor takes for multiply-adds of subnormal numbers, with nobody to flush them, as a multiple of what it
  /// takes for others: what `ratio` would be at worst. On some processors it is near 1, on some above 100.
  private func processorRatio<Scalar: RecurrenceScalar>(_ kernels: Kernels<Scalar>) -> Double {
    func body(_ addend: Scalar) -> (Int) -> Void {
      { repetitions in
        let half = Scalar(BlackHole.opaque(0.5))
        // x ← x/2 + b settles at 2b, whichever b.
        let iterations = BlackHole.opaque(256 * repetitions)
        BlackHole.consume(Double(kernels.table.peak(iterations: iterations, multiplier: half, addend: addend)))
      }
    }
    return PairedSampler(seconds: seconds / 4, body(0.5), body(Scalar.leastNormalMagnitude / 4)).ratioOfMinima
  }
}

/// Whether operations on subnormal numbers give what they should, on this thread and on those that ran parts of a pass.
private func subnormalsAreKept(threads: Int) -> Bool {
  let flushed = Atomic<Int>(0)
  concurrentParts(threads == 1 ? 1 : 16 * threads) { _ in
    let result = BlackHole.opaque(Double.leastNormalMagnitude) * BlackHole.opaque(0.5)
    let ofOperand = BlackHole.opaque(Double(bitPattern: 3)) * BlackHole.opaque(0x1p53)
    if result == 0 || ofOperand == 0 { flushed.add(1, ordering: .relaxed) }
  }
  return flushed.load(ordering: .relaxed) == 0
}
