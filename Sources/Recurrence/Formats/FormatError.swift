import Foundation

/// A file that is not what it should be, or that the system did not let be read or written: which file, which tensor or
/// field, what was expected, and what came.
public struct FormatError: Error, Hashable, CustomStringConvertible, Sendable {
  /// The path, nil for bytes that came from no file.
  public var file: String?
  /// The tensor or the field, nil where it is the file as a whole.
  public let field: String?
  public let expected: String
  public let actual: String

  public init(file: String? = nil, _ field: String?, expected: String, actual: String) {
    self.file = file
    self.field = field
    self.expected = expected
    self.actual = actual
  }

  /// One sentence.
  public var description: String {
    let place = [file, field].compactMap { $0 }.map { $0 + ": " }.joined()
    return "\(place)expected \(expected), got \(actual)"
  }
}

// Names and shapes in messages come from files that may be hostile: a message stays one short line.

extension FormatError {
  /// `tensor "name"`.
  static func tensor(_ name: String) -> String { "tensor \(quote(name))" }

  /// In quotation marks, without control characters, and not longer than a line.
  package static func quote(_ text: String) -> String {
    let limit = 80
    var line = ""
    var length = 0
    for scalar in text.unicodeScalars {
      // What is written counts, not what is read: one scalar may take eight to spell.
      let spelling = scalar.escaped(asASCII: false).unicodeScalars
      length += spelling.count
      if length > limit { return "\"\(line)…\"" }
      line.unicodeScalars.append(contentsOf: spelling)
    }
    return "\"\(line)\""
  }

  package static func describe(_ shape: [Int]) -> String {
    let limit = 8
    return "[\(shape.prefix(limit).map(String.init).joined(separator: ", "))\(shape.count > limit ? ", …" : "")]"
  }

  /// What the system says to a call that failed, for example `"No space left on device"`.
  static func system(_ file: String, expected: String, _ code: Int32) -> FormatError {
    unsafe FormatError(file: file, nil, expected: expected, actual: quote(String(cString: strerror(code))))
  }
}

/// Elements of a shape. Nil where a dimension is negative, or where their product without those that are 0 overflows:
/// such a shape is a mistake even if it holds nothing.
func elementCount(_ shape: [Int]) -> Int? {
  var count = 1
  for dimension in shape {
    if dimension < 0 { return nil }
    let (product, overflow) = count.multipliedReportingOverflow(by: max(dimension, 1))
    if overflow { return nil }
    count = product
  }
  return shape.contains(0) ? 0 : count
}
