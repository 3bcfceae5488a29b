import Recurrence

/// Measures how fast memory of a given size is read, over and over while something else is being measured, and keeps the
/// best; see `PeakMeter` for why.
///
/// The size is that of what the body reads, as far as its cache is comfortable with it: caches are not equally fast at all
/// sizes that they hold.
struct BandwidthMeter<Scalar: RecurrenceScalar>: ~Copyable {
  /// The smallest size that is measured, half of a usual first-level cache: below, it is the call that is timed.
  private static var smallest: Int { 1 << 14 }

  private let kernels: Kernels<Scalar>
  private let threads: Int
  /// Zeros, all of them written and so in memory of their own.
  private let buffer: AlignedBuffer<Scalar>
  private var repetitions = 1
  /// Bytes per second, of all threads together.
  private(set) var best = 0.0

  init(kernels: Kernels<Scalar>, threads: Int, bytes: Int) {
    self.kernels = kernels
    self.threads = threads
    // The kernel reads whole groups of eight vectors.
    let group = 8 * kernels.geometry.lanes
    let count = max(bytes, Self.smallest) / MemoryLayout<Scalar>.stride
    buffer = AlignedBuffer(count: (count + group - 1) / group * group)
    read(repetitions: 1)
    let seconds = secondsTaken { read(repetitions: 1) }
    repetitions = max(1, Int((threads == 1 ? 1e-3 : 4e-3) / max(seconds, 1e-9)))
  }

  /// Takes three samples, each thread reading all of the memory.
  mutating func probe() {
    for _ in 0..<3 {
      let seconds = secondsTaken { read(repetitions: repetitions) }
      let bytes = buffer.count * MemoryLayout<Scalar>.stride * repetitions * threads
      best = max(best, Double(bytes) / seconds)
    }
  }

  private func read(repetitions: Int) {
    let (kernels, count) = (kernels, buffer.count)
    let memory = unsafe UInt(bitPattern: buffer.unsafePointer)
    concurrentParts(threads) { _ in
      var total: Scalar = 0
      for _ in 0..<repetitions {
        let source = unsafe BlackHole.opaque(UnsafeMutablePointer<Scalar>(bitPattern: memory)!)
        total += unsafe kernels.table.read(source, count: count)
      }
      BlackHole.consume(Double(total))
    }
  }
}
