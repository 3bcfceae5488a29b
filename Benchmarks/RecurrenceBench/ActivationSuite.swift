import Recurrence

/// An activation function over arrays, and the truth about it.
struct ActivationCase: Sendable {
  let function: Activation
  /// f in double precision, with an error well below that of a `Float` kernel.
  let reference: @Sendable (Double) -> Double
  /// What must hold on all floats; see `exhaustiveCheck`.
  let laws: FunctionLaws

  var name: String { function.description }
  /// Largest error that counts as right, in units in the last place.
  static var maximumUlp: Double { 2 }
  /// Inputs of the timed runs are uniform in ±this: where gates live, on both sides of every branch and clamp.
  static var timedMagnitude: Double { 8 }
}

extension Suite {
  static let activation = Suite(
    name: "activation", summary: "2048 elements from L1 to L1; max_ulp is the largest error over a dense sample"
  ) { options in
    options.instructionSets.flatMap { set in
      (options.elementTypes ?? [.f32]).flatMap { type in
        switch type {
        case .f32: activationCases.map { benchmarkCase($0, of: Float.self, type, set, options) }
        case .f64: activationCases.map { benchmarkCase($0, of: Double.self, type, set, options) }
        }
      }
    }
  }
}

private func benchmarkCase<Scalar: RecurrenceScalar>(
  _ activation: ActivationCase, of _: Scalar.Type, _ type: ElementType, _ set: InstructionSet, _ options: Options
) -> BenchmarkCase {
  let parts = ["activation", activation.name, type.rawValue, set.rawValue]
  return BenchmarkCase(parts) { () throws(BenchmarkFailure) in
    let kernels = try requireKernels(set, of: Scalar.self)
    let worst = try largestError(of: activation, kernels, label: parts.joined(separator: "/"))

    // Input and output fill half of a 32 KiB cache together.
    let count = 2048
    let memory = AlignedBuffer<Scalar>(count: 2 * count)
    for i in 0..<count { unsafe memory.unsafePointer[i] = operand(1, i) * Scalar(ActivationCase.timedMagnitude) }
    let output = unsafe memory.unsafePointer + count
    let time = Sampler.measure(seconds: options.seconds) { repetitions in
      for _ in 0..<repetitions {
        unsafe kernels.table.activation(
          activation.function, BlackHole.opaque(memory.unsafePointer), output, count: count)
      }
      unsafe BlackHole.consume(Double(output[repetitions % count]))
    }
    return Record(
      suite: "activation",
      fields: [
        .text("fn", activation.name, width: 12),
        .text("dtype", type.rawValue, width: 5),
        .text("isa", set.rawValue),
        .number("ns_per_element", time.median / Double(count) * 1e9, digits: 4),
        .number("max_ulp", worst, digits: 3),
        .number("best", time.minimum / Double(count) * 1e9, digits: 4).inTableOnly,
        .number("spread", time.spread, width: 6).inTableOnly,
        .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
      ])
  }
}

/// The largest error in units in the last place of the exact result, over some four million inputs.
///
/// Throws where it is above the case's limit, or where a result is NaN. In double precision the reference is itself
/// good to about one unit only, which is added to the limit.
private func largestError<Scalar: RecurrenceScalar>(
  of activation: ActivationCase, _ kernels: Kernels<Scalar>, label: String
) throws(BenchmarkFailure) -> Double {
  let block = 2048
  let memory = AlignedBuffer<Scalar>(count: 2 * block)
  let limit = ActivationCase.maximumUlp + (Scalar.fractionBits == 23 ? 0 : 1)
  var worst = 0.0
  var worstInput = Scalar.zero
  var sample = DenseSample<Scalar>()
  while true {
    var count = 0
    while count < block, let x = sample.next() {
      unsafe memory.unsafePointer[count] = x
      count += 1
    }
    if count == 0 { break }
    let output = unsafe memory.unsafePointer + block
    unsafe kernels.table.activation(activation.function, memory.unsafePointer, output, count: count)
    for i in 0..<count {
      let x = unsafe memory.unsafePointer[i]
      let error = unsafe ulps(Double(output[i]), activation.reference(Double(x)), Scalar.self)
      // Not `error > worst`: a NaN must win.
      if !(error <= worst) {
        worst = error
        worstInput = x
        if !(worst <= limit) {
          throw .wrongResult(label, "at \(worstInput) the error is \(worst) ulp, the limit \(limit)")
        }
      }
    }
  }
  return worst
}

/// |value − exact| in units in the last place of `exact` rounded to `Scalar`.
private func ulps<Scalar: RecurrenceScalar>(_ value: Double, _ exact: Double, _: Scalar.Type) -> Double {
  if value == exact { return 0 }
  let rounded = Scalar(exact)
  // Beyond the largest finite value, where the right result is infinite.
  if rounded.isInfinite { return value == Double(rounded) ? 0 : .infinity }
  return abs(value - exact) / Double(rounded.ulp)
}

/// Finite inputs that leave no gap: for `Float`, every 1021st of all 2³² bit patterns (a prime, so that low bits vary);
/// for `Double`, four million values, alternately uniform in ±40 and of either sign with exponents from −60 to 10.
private struct DenseSample<Scalar: RecurrenceScalar> {
  private var index = 0

  mutating func next() -> Scalar? {
    if Scalar.fractionBits == 23 {
      while true {
        let pattern = index * 1021
        if pattern > Int(UInt32.max) { return nil }
        index += 1
        let value = Float(bitPattern: UInt32(pattern))
        if value.isFinite { return Scalar(value) }
      }
    }
    if index == 4_000_000 { return nil }
    index += 1
    let value = operand(2, index, as: Double.self)
    if index.isMultiple(of: 2) { return Scalar(value * 40) }
    let exponent = Int((operand(3, index, as: Double.self) + 1) * 35.5) - 60
    return Scalar(value * Double(sign: .plus, exponent: exponent, significand: 1))
  }
}
