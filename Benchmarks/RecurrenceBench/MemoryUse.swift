import Foundation
import Recurrence

/// Bytes that a training step takes, as a process of its own finds them.
///
/// The peak of a process is that of all it ever did. A measuring process has verified, warmed up and measured other
/// cases; so each case is given a fresh one, which is this program with a hidden option.
struct MemoryUse: Codable {
  /// Largest resident memory of the whole process.
  var peak = 0
  /// What the steps of every sequence that are kept at a time keep for the backward pass.
  var tape = 0
  /// The rest of the tape's allocation: what both passes work in.
  var workspace = 0
  /// Parameters, without the kernels' packed copy.
  var weights = 0
  /// ∂L/∂parameters.
  var gradient = 0
  /// Input, outputs, states, and the derivatives with respect to them.
  var operands = 0

  /// What a child that only starts is asked for.
  private static let nothing = "nothing"

  // MARK: The parent's side

  /// What a fresh process finds that does the variant's work once; of nil, one that only starts.
  static func ofChild(_ variant: SequenceVariant?) throws(BenchmarkFailure) -> MemoryUse {
    let label = variant?.label ?? nothing
    let process = Process()
    process.executableURL = Bundle.main.executableURL
    process.arguments = ["\(Options.memoryChild)=\(label)"]
    let output = Pipe()
    process.standardOutput = output
    let data: Data
    do {
      try process.run()
      data = try output.fileHandleForReading.readToEnd() ?? Data()
    } catch {
      throw BenchmarkFailure("\(label): the process that measures memory could not be run: \(error)")
    }
    process.waitUntilExit()
    guard process.terminationReason == .exit, process.terminationStatus == 0,
      let use = try? JSONDecoder().decode(MemoryUse.self, from: data)
    else {
      throw BenchmarkFailure("\(label): the process that measures memory ended with \(process.terminationStatus)")
    }
    return use
  }

  // MARK: The child's side

  /// Does the work of a label and prints what it took.
  static func printAsChild(_ label: String) throws {
    var use = MemoryUse()
    if label != nothing {
      let variant = try SequenceVariant(label: label)
      use = try variant.cell.perform(TrainOnce(variant: variant), variant.type)
    }
    use.peak = try peakResidentBytes()
    try FileHandle.standardOutput.write(contentsOf: JSONEncoder().encode(use))
  }

  private struct TrainOnce: CellWork {
    let variant: SequenceVariant

    func callAsFunction<C: Cell, Scalar: RecurrenceScalar>(
      _ cell: C, _: Scalar.Type
    ) throws(BenchmarkFailure) -> MemoryUse {
      let operands = SequenceOperands<C, Scalar>(
        cell, variant.problem, threads: variant.threads, kernels: try requireKernels(variant.set, of: Scalar.self),
        trains: true, keeping: variant.keeping)
      operands.run(variant.mode, repetitions: 1)
      return operands.memoryUse
    }
  }
}

/// The largest resident memory that this process has had.
///
/// Linux's `ru_maxrss` would not do: it survives `exec`, so that a child begins with its parent's.
private func peakResidentBytes() throws(BenchmarkFailure) -> Int {
  #if os(Linux)
  let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
  for line in (status ?? "").split(separator: "\n") where line.hasPrefix("VmHWM:") {
    // "VmHWM:     12345 kB", which are units of 1024.
    if let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) }) {
      return kibibytes * 1024
    }
  }
  throw BenchmarkFailure("memory: /proc/self/status names no VmHWM")
  #else
  var usage = rusage()
  guard unsafe getrusage(RUSAGE_SELF, &usage) == 0 else {
    throw BenchmarkFailure("memory: the system does not say what this process took")
  }
  return Int(usage.ru_maxrss)
  #endif
}
