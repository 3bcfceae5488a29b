import Recurrence

/// A case of `infer`, `train` or `step` whose operands are built and whose result is right: what is timed.
protocol ReadySequence: AnyObject {
  var variant: SequenceVariant { get }
  /// The work of a case, so many times.
  func run(repetitions: Int)
  /// Throws where a result is wrong.
  func verify() throws(BenchmarkFailure)
  /// Seconds of one repetition, and what they are to be held against.
  func measureWithRoof(seconds: Double) -> (statistics: Statistics, roof: Roof)
}

extension SequenceVariant {
  /// Builds the operands and verifies the first result.
  func ready() throws(BenchmarkFailure) -> any ReadySequence {
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
  ) throws(BenchmarkFailure) -> any ReadySequence {
    ReadyOperands<C, Scalar>(variant, cell, kernels: try requireKernels(variant.set, of: Scalar.self))
  }
}

private final class ReadyOperands<C: Cell, Scalar: RecurrenceScalar>: ReadySequence {
  let variant: SequenceVariant
  private let kernels: Kernels<Scalar>
  private let operands: SequenceOperands<C, Scalar>

  init(_ variant: SequenceVariant, _ cell: C, kernels: Kernels<Scalar>) {
    self.variant = variant
    self.kernels = kernels
    operands = SequenceOperands(
      cell, variant.problem, threads: variant.threads, kernels: kernels, trains: variant.mode.trains)
  }

  func run(repetitions: Int) { operands.run(variant.mode, repetitions: repetitions) }

  func verify() throws(BenchmarkFailure) { try operands.verify(variant.label, variant.mode) }

  func measureWithRoof(seconds: Double) -> (statistics: Statistics, roof: Roof) {
    RoofMeter(kernels: kernels, threads: variant.threads)
      .measure(variant.work, seconds: seconds, run(repetitions:))
  }
}
