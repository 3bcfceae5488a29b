import Recurrence

extension Suite {
  static let matmul = Suite(
    name: "matmul",
    summary: "matrix products; ms and gflops are medians, roof = best rate / best peak of the same seconds",
    shapeLetters: ["M", "N", "K"], picture: .roofline
  ) { options in
    options.instructionSets.flatMap { set in
      (options.elementTypes ?? [.f32]).flatMap { type in
        options.threads.flatMap { threads in
          MatmulProblem.chosen(options.shapes(ofRank: 3)).map { problem in
            let variant = Variant(
              problem: problem, type: type, set: set, threads: threads,
              includesPacking: options.includesPacking && problem.operation != .tn, seconds: options.seconds)
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

private struct Variant {
  let problem: MatmulProblem
  let type: ElementType
  let set: InstructionSet
  let threads: Int
  let includesPacking: Bool
  let seconds: Double

  var labelParts: [String] {
    [
      "matmul", problem.operation.rawValue, "\(problem.m)x\(problem.n)x\(problem.k)", type.rawValue, set.rawValue,
      "threads=\(threads)",
    ] + (includesPacking ? ["packing"] : [])
  }
}

private func measure<Scalar: RecurrenceScalar>(_ variant: Variant, _: Scalar.Type) throws(BenchmarkFailure) -> Record {
  let label = variant.labelParts.joined(separator: "/")
  let problem = variant.problem
  try requireMemory(bytes: Double(2 * problem.elements * MemoryLayout<Scalar>.stride), label: label)
  let kernels = try requireKernels(variant.set, of: Scalar.self)
  var operands = MatmulOperands<Scalar>(problem, threads: variant.threads, kernels: kernels)
  operands.fill(.coarse)
  try operands.verify(label)
  operands.fill(.full)
  let (time, roof) = RoofMeter(kernels: kernels, threads: variant.threads).measure(
    problem.work(elementSize: MemoryLayout<Scalar>.stride), seconds: variant.seconds
  ) { operands.run(repetitions: $0, includingPacking: variant.includesPacking) }
  // Again, on the operands that were timed: threads that tread on each other's memory may do so rarely.
  try operands.verify(label)
  var fields: [Record.Field] =
    [
      .text("op", problem.operation.rawValue, width: 2),
      .integer("M", problem.m),
      .integer("N", problem.n),
      .integer("K", problem.k),
      .text("dtype", variant.type.rawValue, width: 5),
      .integer("threads", variant.threads),
      .text("isa", variant.set.rawValue),
      .number("ms", time.median * 1e3, digits: 4, width: 10),
      .number("ms_min", time.minimum * 1e3, digits: 4, width: 10),
      .number("ms_max", time.maximum * 1e3, digits: 4, width: 10),
      .number("spread", time.spread, width: 6).inTableOnly,
      .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
      .number("gflops", problem.flops / time.median / 1e9, digits: 2, width: 8),
      .number("gflops_best", problem.flops / time.minimum / 1e9, digits: 2).inTableOnly,
    ] + roof.fields
  // A line with packing must never be taken for one without.
  if variant.includesPacking { fields.append(.text("packing", "included")) }
  return Record(
    suite: "matmul", fields: fields,
    point: roof.point(series: "matmul \(problem.operation)", group: "matmul", note: label))
}
