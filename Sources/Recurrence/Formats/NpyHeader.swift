/// The header of a `.npy` file: a Python dictionary of three known keys, spaces, and a line feed.
struct NpyHeader {
  /// As NumPy writes it: `<f4`.
  var type = ""
  var shape: [Int] = []

  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  func encoding() throws(FormatError) -> FloatEncoding {
    switch type {
    case "<f4": return .f32
    case "<f8": return .f64
    default: throw FormatError("descr", expected: "'<f4' or '<f8'", actual: FormatError.quote(type))
    }
  }

  /// Reads a header. Returns it with the position of what follows.
  static func read(_ bytes: [UInt8]) throws(FormatError) -> (NpyHeader, end: Int) {
    guard bytes.count >= 8, bytes.starts(with: magic) else {
      throw FormatError(
        "magic", expected: "\"\\x93NUMPY\" and a version",
        actual: "\(min(bytes.count, 8)) bytes that are none")
    }
    guard (1...3).contains(bytes[6]), bytes[7] == 0 else {
      throw FormatError("version", expected: "1.0, 2.0 or 3.0", actual: "\(bytes[6]).\(bytes[7])")
    }
    let start = bytes[6] == 1 ? 10 : 12
    guard bytes.count >= start else {
      throw FormatError("header", expected: "\(start - 8) bytes that say its length", actual: "\(bytes.count - 8)")
    }
    let length = bytes[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= bytes.count - start else {
      throw FormatError("header", expected: "at most \(bytes.count - start) bytes", actual: "a length of \(length)")
    }
    var parser = NpyHeaderParser(bytes[start..<(start + length)])
    return (try parser.header(), start + length)
  }

  func encoded() -> [UInt8] {
    let sizes = shape.map { "\($0)" }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }"
    // NumPy leaves room for the first dimension to grow in place.
    if let first = shape.first { text += String(repeating: " ", count: max(0, 21 - "\(first)".utf8.count)) }
    func padded(after start: Int) -> [UInt8] {
      let room = (64 - (start + text.utf8.count + 1) % 64) % 64
      return Array((text + String(repeating: " ", count: room) + "\n").utf8)
    }
    let short = padded(after: 10)
    let (version, header): (UInt8, [UInt8]) = short.count <= Int(UInt16.max) ? (1, short) : (2, padded(after: 12))
    let length = (0..<(version == 1 ? 2 : 4)).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    return Self.magic + [version, 0] + length + header
  }
}

/// Reads the dictionary as text of exactly this structure; nothing is evaluated.
private struct NpyHeaderParser {
  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  private var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

  mutating func header() throws(FormatError) -> NpyHeader {
    var (type, isFortran, shape): (String?, Bool?, [Int]?)
    try expect("{")
    while !skip("}") {
      let key = try string()
      try expect(":")
      let isFirst: Bool
      switch key {
      case "descr":
        isFirst = type == nil
        type = try string()
      case "fortran_order":
        isFirst = isFortran == nil
        isFortran = try boolean()
      case "shape":
        isFirst = shape == nil
        shape = try tuple()
      default:
        throw FormatError("header", expected: "descr, fortran_order and shape", actual: FormatError.quote(key))
      }
      if !isFirst { throw FormatError("header", expected: "one \(key)", actual: "two") }
      if !skip(",") {
        try expect("}")
        break
      }
    }
    skipSpaces()
    guard position == bytes.endIndex - 1, next == UInt8(ascii: "\n") else {
      throw error(expected: "spaces and one line feed")
    }
    guard let type, let isFortran, let shape else {
      let missing = type == nil ? "descr" : isFortran == nil ? "fortran_order" : "shape"
      throw FormatError("header", expected: "the key \(missing)", actual: "none")
    }
    if isFortran { throw FormatError("fortran_order", expected: "False", actual: "True") }
    return NpyHeader(type: type, shape: shape)
  }

  /// A string in either quotation mark; none that NumPy writes here has an escape.
  private mutating func string() throws(FormatError) -> String {
    skipSpaces()
    guard let mark = next, mark == UInt8(ascii: "'") || mark == UInt8(ascii: "\"") else {
      throw error(expected: "a string")
    }
    position += 1
    let start = position
    while let byte = next, byte != mark {
      guard byte >= 0x20, byte != UInt8(ascii: "\\") else { throw error(expected: "a string without escapes") }
      position += 1
    }
    guard next != nil else { throw error(expected: "the end of a string") }
    defer { position += 1 }
    guard let text = String(validating: bytes[start..<position], as: UTF8.self) else {
      throw error(expected: "a string in UTF-8")
    }
    return text
  }

  private mutating func boolean() throws(FormatError) -> Bool {
    skipSpaces()
    for (word, value) in [("False", false), ("True", true)] where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    throw error(expected: "True or False")
  }

  /// `()`, `(3,)`, `(3, 4)`. `(3)` is a number, not a tuple.
  private mutating func tuple() throws(FormatError) -> [Int] {
    var numbers: [Int] = []
    try expect("(")
    while !skip(")") {
      numbers.append(try integer())
      if !skip(",") {
        if numbers.count == 1 { throw error(expected: "\",\"") }
        try expect(")")
        break
      }
    }
    return numbers
  }

  private mutating func integer() throws(FormatError) -> Int {
    skipSpaces()
    let start = position
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    let digits = bytes[start..<position]
    let hasLeadingZero = digits.count > 1 && digits.first == UInt8(ascii: "0")
    guard !hasLeadingZero, let number = Int(String(decoding: digits, as: UTF8.self)) else {
      position = start
      throw error(expected: "an integer from 0, below 2⁶³")
    }
    return number
  }

  private mutating func expect(_ mark: Unicode.Scalar) throws(FormatError) {
    if !skip(mark) { throw error(expected: "\"\(mark)\"") }
  }

  private mutating func skip(_ mark: Unicode.Scalar) -> Bool {
    skipSpaces()
    guard next == UInt8(ascii: mark) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpaces() {
    while next == UInt8(ascii: " ") { position += 1 }
  }

  private func error(expected: String) -> FormatError {
    let found = bytes[position...].prefix(12)
    let actual = found.isEmpty ? "its end" : FormatError.quote(String(decoding: found, as: UTF8.self))
    return FormatError("header", expected: "\(expected) at byte \(position - bytes.startIndex)", actual: actual)
  }
}
