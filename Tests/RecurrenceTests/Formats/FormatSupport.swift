import Foundation
import Recurrence
import Testing

/// Bytes that a reader must refuse, and words of the sentence with which it does.
struct HostileFile: Sendable, CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]
  let words: [String]

  init(_ name: String, _ bytes: [UInt8], _ words: String...) {
    self.name = name
    self.bytes = bytes
    self.words = words
  }

  var testDescription: String { name }

  /// Records what is missing from the sentence, and whether it is one line that names the file.
  func expectSentence(_ error: FormatError?, sourceLocation: SourceLocation = #_sourceLocation) {
    guard let error else { return }
    for word in words where !error.description.contains(word) {
      Issue.record("\(name): \"\(word)\" is missing from \"\(error)\"", sourceLocation: sourceLocation)
    }
    expectOneLine(error, "\(name)", sourceLocation: sourceLocation)
  }
}

/// A sentence about `hostile.bin`: one line, printable, and not longer than a few lines of a terminal.
func expectOneLine(_ error: FormatError, _ context: String, sourceLocation: SourceLocation = #_sourceLocation) {
  let text = error.description
  let isLine = text.unicodeScalars.allSatisfy { $0.value >= 0x20 } && text.count < 600
  if !isLine || !text.hasPrefix("hostile.bin: ") || !text.contains("expected") {
    Issue.record("\(context): not a sentence: \"\(text.prefix(700))\"", sourceLocation: sourceLocation)
  }
}

/// The bytes of a safetensors file, its header as given.
func safetensors(_ header: String, _ data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
  let length = length ?? UInt64(header.utf8.count)
  return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + Array(header.utf8) + data
}

/// The bytes of a .npy file, its dictionary as given.
func npy(_ dictionary: String, _ data: [UInt8] = [], version: UInt8 = 1, length: Int? = nil) -> [UInt8] {
  let header = Array((dictionary + "\n").utf8)
  let length = length ?? header.count
  let size = (0..<(version == 1 ? 2 : 4)).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
  return [0x93] + Array("NUMPY".utf8) + [version, 0] + size + header + data
}

/// A directory that goes when the value goes.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "recurrence-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Names of all entries, sorted, hidden ones too.
  func entries(_ inner: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(inner)").sorted()
  }
}
