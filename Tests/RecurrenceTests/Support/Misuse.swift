// Calls that must end the process with a sentence, as values: an exit test carries one to its child process.

import Recurrence
import Testing

/// A programmer's error, and the words that the sentence about it must contain.
protocol Misuse: Codable, Sendable, CaseIterable, CustomTestStringConvertible, RawRepresentable<String> {
  /// The parameter, what was expected, and what came.
  var words: [String] { get }
  /// Does it. Never returns where the package keeps its promise.
  func commit()
}

extension Misuse {
  var testDescription: String { rawValue }
}

/// A few scalars to point at, never freed: the process is about to end.
@unsafe func scalars<Scalar: TestScalar>(_ count: Int, of _: Scalar.Type = Scalar.self) -> UnsafeMutablePointer<Scalar> {
  let raw = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * MemoryLayout<Scalar>.stride, alignment: 64)
  let pointer = unsafe raw.bindMemory(to: Scalar.self, capacity: max(1, count))
  unsafe pointer.initialize(repeating: 0, count: max(1, count))
  return unsafe pointer
}

/// A matrix of zeros, never freed.
@unsafe func zeros(_ rows: Int, _ columns: Int) -> MatrixView<Float> {
  unsafe MatrixView(UnsafePointer(scalars(rows * columns)), rows: rows, columns: columns)
}

/// A matrix of zeros to write to, never freed.
@unsafe func mutableZeros(_ rows: Int, _ columns: Int) -> MutableMatrixView<Float> {
  unsafe MutableMatrixView(scalars(rows * columns), rows: rows, columns: columns)
}
