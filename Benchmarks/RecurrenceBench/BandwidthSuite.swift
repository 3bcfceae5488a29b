import Foundation
import Recurrence

extension Suite {
  static let bandwidth = Suite(
    name: "bandwidth",
    summary: "sequential reads of a working set, one thread; level is the smallest cache that holds it"
  ) { options in
    let levels = CacheLevels()
    return options.instructionSets.flatMap { set in
      workingSets.map { bytes in
        let level = levels.name(holding: bytes)
        let parts = ["bandwidth", sizeName(bytes), level, set.rawValue]
        return BenchmarkCase(parts) { () throws(BenchmarkFailure) in
          try measure(bytes: bytes, level: level, set: set, label: parts.joined(separator: "/"), options)
        }
      }
    }
  }
}

/// Powers of two from half of a usual first-level cache to far beyond the last level.
private let workingSets = [14, 15, 17, 18, 19, 20, 22, 24, 26, 28].map { 1 << $0 }

private func measure(
  bytes: Int, level: String, set: InstructionSet, label: String, _ options: Options
) throws(BenchmarkFailure) -> Record {
  let kernels = try requireKernels(set, of: Float.self)
  try requireMemory(bytes: Double(bytes), label: label)
  let count = bytes / MemoryLayout<Float>.stride
  let buffer = AlignedBuffer<Float>(count: count)
  let expected = fill(buffer)

  // The kernel keeps eight vectors of partial sums. Small integers in them are exact below 2²⁴, so that only the final
  // 8·lanes − 1 additions round, each by at most a unit roundoff of the total.
  let sum = unsafe Double(kernels.table.read(buffer.unsafePointer, count: count))
  let bound = Double(8 * kernels.geometry.lanes) * Float.unitRoundoff * expected
  if !(abs(sum - expected) <= bound) {
    throw .wrongResult(label, "the sum of what was read should be \(expected) within \(bound), got \(sum)")
  }

  let time = Sampler.measure(seconds: options.seconds) { repetitions in
    var total: Float = 0
    for _ in 0..<repetitions {
      total += unsafe kernels.table.read(BlackHole.opaque(buffer.unsafePointer), count: count)
    }
    BlackHole.consume(Double(total))
  }
  return Record(
    suite: "bandwidth",
    fields: [
      .integer("bytes", bytes, width: 10),
      .text("level", level, width: 7),
      .text("isa", set.rawValue),
      .number("gbytes_per_second", Double(bytes) / time.median / 1e9, digits: 2),
      .number("best", Double(bytes) / time.minimum / 1e9, digits: 2).inTableOnly,
      .number("spread", time.spread, width: 6).inTableOnly,
      .number("cpu", time.processors, digits: 2, width: 4).inTableOnly,
    ])
}

/// Fills with the integers 0 to 3 in an irregular order and returns their sum. A block is made element by element and
/// then doubled, so that a debug build does not spend seconds here. The counts are powers of two, at least a block.
private func fill(_ buffer: borrowing AlignedBuffer<Float>) -> Double {
  let block = min(4096, buffer.count)
  var sum = 0.0
  for i in 0..<block {
    let value = Float(Int((operand(1, i, as: Float.self) + 1) * 2))
    unsafe buffer.unsafePointer[i] = value
    sum += Double(value)
  }
  var filled = block
  while filled < buffer.count {
    unsafe (buffer.unsafePointer + filled).update(from: buffer.unsafePointer, count: filled)
    filled *= 2
  }
  return sum * Double(buffer.count / block)
}

private func sizeName(_ bytes: Int) -> String {
  bytes < 1 << 20 ? "\(bytes >> 10)KiB" : "\(bytes >> 20)MiB"
}

/// Throws where `bytes` would take more than half of the machine's memory.
func requireMemory(bytes: Double, label: String) throws(BenchmarkFailure) {
  if bytes > Double(ProcessInfo.processInfo.physicalMemory / 2) {
    let mebibytes = String(format: "%.0f", bytes / 0x1p20)
    throw BenchmarkFailure("\(label): needs \(mebibytes) MiB, more than half of this machine's memory")
  }
}
