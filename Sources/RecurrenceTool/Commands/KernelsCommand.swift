import Foundation
import Recurrence

enum KernelsCommand: Command {
  static let name = "kernels"
  static let usage = "kernels"
  static let summary = """
    Says what kernels this machine runs and why, checks them against plain Double arithmetic, and measures them on one
    thread. All measurements: recurrence-bench.
    """
  static let options = [Option("--help", nil, "this text")]

  static func run(_ arguments: Arguments) throws {
    let selection = KernelSelection.current
    print("processor        \(Processor.current.name.isEmpty ? "unnamed" : Processor.current.name)")
    print("instruction set  \(selection.instructionSet) (\(selection.reason))")
    print("")
    print("the gates of one LSTM layer, A·Wᵀ + b, checked against plain Double arithmetic")
    print("")
    print("       rows   gates   inputs   error / bound   GFLOP/s")
    let shapes = [(64, 1024, 256), (32, 512, 128), (1, 512, 128)]
    let results = shapes.map { measure(rows: $0.0, outputs: $0.1, depth: $0.2) }
    for (shape, result) in zip(shapes, results) {
      print(
        String(
          format: "  %9d  %6d  %7d   %13.3f   %7.1f", shape.0, shape.1, shape.2, result.errorRatio,
          result.gigaflopsPerSecond))
    }
    let passed = results.allSatisfy { $0.errorRatio <= 1 }
    print("")
    if !passed { throw Failure("a kernel's result is outside its error bound") }
    print("right, at the rates above, on one thread")
  }

  private struct Measurement {
    /// Largest error over the bound (K + 1)·ε·(Σ|a·w| + |b|) that any order of summation keeps.
    var errorRatio: Double
    var gigaflopsPerSecond: Double
  }

  private static func measure(rows: Int, outputs: Int, depth: Int) -> Measurement {
    let a = filled(rows * depth, phase: 1)
    let w = filled(outputs * depth, phase: 2)
    let b = filled(outputs, phase: 3)
    let c = AlignedBuffer<Float>(count: rows * outputs)
    var weights = PackedWeights<Float>(outputs: outputs, depth: depth)
    var products = MatrixProducts<Float>()
    unsafe weights.packRows(MatrixView(w.unsafePointer, rows: outputs, columns: depth))

    var best = Double.infinity
    let start = ContinuousClock.now
    repeat {
      let duration = ContinuousClock().measure {
        unsafe products.multiply(
          MatrixView(a.unsafePointer, rows: rows, columns: depth), weights,
          bias: UnsafeBufferPointer(start: b.unsafePointer, count: outputs),
          into: MutableMatrixView(c.unsafePointer, rows: rows, columns: outputs))
      }
      best = min(best, duration / .seconds(1))
    } while ContinuousClock.now - start < .milliseconds(200)

    var ratio = 0.0
    for r in 0..<rows {
      for n in 0..<outputs {
        var exact = Double(b[n])
        var size = exact.magnitude
        for k in 0..<depth {
          let term = Double(a[r * depth + k]) * Double(w[n * depth + k])
          exact += term
          size += term.magnitude
        }
        let error = (Double(c[r * outputs + n]) - exact).magnitude
        ratio = max(ratio, error / (Double(depth + 1) * Double(Float.ulpOfOne) * size))
      }
    }
    return Measurement(errorRatio: ratio, gigaflopsPerSecond: 2 * Double(rows * outputs * depth) / best / 1e9)
  }

  /// Values in [−1, 1] without a pattern that could hide an exchange of indices.
  private static func filled(_ count: Int, phase: UInt64) -> AlignedBuffer<Float> {
    var buffer = AlignedBuffer<Float>(count: count)
    var state = phase &* 0x9e37_79b9_7f4a_7c15
    for i in 0..<count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      buffer[i] = Float(Int32(truncatingIfNeeded: state >> 32)) / 2_147_483_648
    }
    return buffer
  }
}
