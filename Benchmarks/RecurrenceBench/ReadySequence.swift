import Recurrence

/// A case of `infer`, `train` or `step` whose operands are built and whose result is right: what is timed.
///
/// Closures, and not a protocol that generic operands conform to: a closure is compiled for the types that it was made
/// with, a witness of a generic class for none, and a stream's step is short enough for that to show.
struct ReadySequence {
  let variant: SequenceVariant
  /// The work of a case, so many times.
  let run: (_ repetitions: Int) -> Void
  /// Throws where a result is wrong.
  let verify: () throws(BenchmarkFailure) -> Void
  /// Seconds of one repetition, and what they are to be held against.
  let measureWithRoof: (_ seconds: Double) -> (statistics: Statistics, roof: Roof)
}

extension SequenceVariant {
  /// Builds the operands and verifies the first result.
  func ready() throws(BenchmarkFailure) -> ReadySequence {
    try requireMemory(bytes: bytes, label: label)
    let ready = try cell.perform(MakeReady(variant: self), type)
    try ready.verify()
    return ready
  }
}

private struct MakeReady: CellWork {
  let variant: SequenceVariant

  func callAsFunction<C: Cell, Scalar: RecurrenceScalar>(
    _ cell: C, _: Scalar.Type
  ) throws(BenchmarkFailure) -> ReadySequence {
    let (variant, kernels) = (variant, try requireKernels(variant.set, of: Scalar.self))
    let operands = SequenceOperands<C, Scalar>(
      cell, variant.problem, threads: variant.threads, kernels: kernels, trains: variant.mode.trains,
      keeping: variant.keeping)
    let run: (Int) -> Void = { operands.run(variant.mode, repetitions: $0) }
    return ReadySequence(
      variant: variant, run: run,
      verify: { () throws(BenchmarkFailure) in try operands.verify(variant.label, variant.mode) },
      measureWithRoof: {
        RoofMeter(kernels: kernels, threads: variant.threads).measure(variant.work, seconds: $0, run)
      })
  }
}
