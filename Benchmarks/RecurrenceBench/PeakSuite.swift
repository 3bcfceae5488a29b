import Recurrence

extension Suite {
  static let peak = Suite(
    name: "peak", summary: "rate of independent multiply-adds in registers, one thread; gflops of the fastest sample"
  ) { options in
    options.instructionSets.flatMap { set in
      (options.elementTypes ?? ElementType.allCases).map { type in
        let parts = ["peak", type.rawValue, set.rawValue]
        return switch type {
        case .f32: peakCase(Float.self, type, set, parts, options)
        case .f64: peakCase(Double.self, type, set, parts, options)
        }
      }
    }
  }
}

private func peakCase<Scalar: RecurrenceScalar>(
  _: Scalar.Type, _ type: ElementType, _ set: InstructionSet, _ parts: [String], _ options: Options
) -> BenchmarkCase {
  BenchmarkCase(parts) { () throws(BenchmarkFailure) in
    let kernels = try requireKernels(set, of: Scalar.self)
    let loop = PeakLoop(kernels: kernels)
    try loop.verify(parts.joined(separator: "/"))
    let time = Sampler.measure(seconds: options.seconds) { loop.run(repetitions: $0) }
    return Record(
      suite: "peak",
      fields: [
        .text("dtype", type.rawValue, width: 5),
        .text("isa", set.rawValue),
        // A limit is what was reached at best; the median says how often.
        .number("gflops", loop.flopsPerRepetition / time.minimum / 1e9, digits: 2),
        .number("gflops_median", loop.flopsPerRepetition / time.median / 1e9, digits: 2).inTableOnly,
        .number("spread", time.spread, width: 6).inTableOnly,
        .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
        .integer("lanes", kernels.geometry.lanes).inTableOnly,
        .text("fma", kernels.geometry.isFused ? "fused" : "mul, add").inTableOnly,
      ])
  }
}

/// The kernels of an instruction set that the options have already checked.
func requireKernels<Scalar: RecurrenceScalar>(
  _ set: InstructionSet, of: Scalar.Type
) throws(BenchmarkFailure) -> Kernels<Scalar> {
  guard let kernels = Kernels<Scalar>(set) else { throw BenchmarkFailure("\(set) does not run on this processor") }
  return kernels
}
