import Recurrence

/// The loop of independent multiply-adds whose rate is the roof of every matrix product.
struct PeakLoop<Scalar: RecurrenceScalar>: Sendable {
  let kernels: Kernels<Scalar>

  /// `MeasurementKernel.peakChains`, which is a member of a type over vectors that never leave their modules. `verify`
  /// fails where this figure and the kernel's differ.
  static var chains: Int { 12 }
  /// Iterations in one repetition: about 8 µs, far above the cost of the call.
  static var iterationsPerRepetition: Int { 4096 }

  /// Floating-point operations of one repetition: a multiply-add is two per lane, fused or not.
  var flopsPerRepetition: Double {
    2 * Double(kernels.geometry.lanes * Self.chains * Self.iterationsPerRepetition)
  }

  @inline(never)
  func run(repetitions: Int) {
    // x ← x/2 + 1/2 settles at exactly 1: no overflow and no subnormals, however long it runs.
    let half = Scalar(BlackHole.opaque(0.5))
    let iterations = BlackHole.opaque(Self.iterationsPerRepetition * repetitions)
    BlackHole.consume(Double(kernels.table.peak(iterations: iterations, multiplier: half, addend: half)))
  }

  /// Starting from 0, x after n iterations is 1 − 2⁻ⁿ, and rounds to 1 once n exceeds the significand. The result is
  /// then exactly lanes · chains, which proves both counts that the rate is computed from.
  func verify(_ label: String) throws(BenchmarkFailure) {
    let half = Scalar(BlackHole.opaque(0.5))
    let result = Double(kernels.table.peak(iterations: BlackHole.opaque(100), multiplier: half, addend: half))
    let expected = Double(kernels.geometry.lanes * Self.chains)
    if result != expected { throw .wrongResult(label, "expected \(expected) multiply-add chains, got \(result)") }
  }
}

/// Measures the peak over and over while something else is being measured, and keeps the best.
///
/// The clock of a processor drifts with heat and with what its neighbours do. A peak measured once at the start would
/// be compared with products that ran at another clock; this one is measured in the same seconds.
struct PeakMeter<Scalar: RecurrenceScalar> {
  private let loop: PeakLoop<Scalar>
  private let threads: Int
  private let repetitions: Int
  /// Floating-point operations per second, of all threads together.
  private(set) var best = 0.0

  init(kernels: Kernels<Scalar>, threads: Int) {
    loop = PeakLoop(kernels: kernels)
    self.threads = threads
    let loop = loop
    loop.run(repetitions: 16)
    let seconds = secondsTaken { loop.run(repetitions: 16) } / 16
    // One sample on one thread takes 1 ms. With more, 4 ms: forking and joining them costs about 20 µs.
    repetitions = max(1, Int((threads == 1 ? 1e-3 : 4e-3) / max(seconds, 1e-9)))
  }

  /// Takes three samples.
  mutating func probe() {
    for _ in 0..<3 {
      let seconds = secondsTaken {
        if threads == 1 {
          loop.run(repetitions: repetitions)
        } else {
          concurrentParts(threads) { [loop, repetitions] _ in
            loop.run(repetitions: repetitions)
          }
        }
      }
      best = max(best, loop.flopsPerRepetition * Double(repetitions * threads) / seconds)
    }
  }
}
