/// A place in JSON text, and the tokens that begin there: marks, strings and integers from 0.
struct JSONCursor {
  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  /// The byte at the cursor, nil at the end.
  var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

  mutating func advance() { position += 1 }

  /// Skips white space and, where the mark follows, the mark.
  mutating func skip(_ mark: Unicode.Scalar) -> Bool {
    skipSpace()
    guard next == UInt8(ascii: mark) else { return false }
    advance()
    return true
  }

  mutating func expect(_ mark: Unicode.Scalar) throws(FormatError) {
    if !skip(mark) { throw error(expected: "\"\(mark)\"") }
  }

  /// An integer from 0 to the largest `Int`, as JSON writes it: no sign, no leading zero, no fraction, no exponent.
  mutating func integer() throws(FormatError) -> Int {
    skipSpace()
    let start = position
    var number = 0
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, overflow2) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      if overflow || overflow2 { throw error(expected: "an integer below 2⁶³", at: start) }
      number = sum
      advance()
    }
    let hasLeadingZero = position > start + 1 && bytes[start] == UInt8(ascii: "0")
    let goesOn = next.map { [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains($0) } ?? false
    if position == start || hasLeadingZero || goesOn { throw error(expected: "an integer from 0", at: start) }
    return number
  }

  /// A string, its escapes resolved.
  mutating func string() throws(FormatError) -> String {
    try expect("\"")
    let start = position
    var text: [UInt8] = []
    while let byte = next, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw error(expected: "a string without control characters") }
      advance()
      if byte == UInt8(ascii: "\\") { try escape(into: &text) } else { text.append(byte) }
    }
    guard next != nil else { throw error(expected: "the end of a string") }
    advance()
    guard let string = String(validating: text, as: UTF8.self) else {
      throw error(expected: "a string in UTF-8", at: start)
    }
    return string
  }

  private mutating func escape(into text: inout [UInt8]) throws(FormatError) {
    let start = position - 1
    guard let mark = next else { throw error(expected: "the end of a string") }
    advance()
    switch Unicode.Scalar(mark) {
    case "\"", "\\", "/": text.append(mark)
    case "b": text.append(0x08)
    case "f": text.append(0x0c)
    case "n": text.append(0x0a)
    case "r": text.append(0x0d)
    case "t": text.append(0x09)
    case "u":
      // Beyond 16 bits JSON writes a scalar as two surrogates.
      var code = try hexadecimal()
      if code >> 10 == 0xd800 >> 10, skipHere("\\"), skipHere("u") {
        let low = try hexadecimal()
        guard low >> 10 == 0xdc00 >> 10 else { throw error(expected: "a pair of surrogates", at: start) }
        code = 0x10000 + (code & 0x3ff) << 10 + (low & 0x3ff)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error(expected: "a pair of surrogates", at: start) }
      text.append(contentsOf: UTF8.encode(scalar)!)
    default: throw error(expected: "one of JSON's escapes", at: start)
    }
  }

  private mutating func hexadecimal() throws(FormatError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error(expected: "a hexadecimal digit")
      }
      code = code << 4 | UInt32(digit)
      advance()
    }
    return code
  }

  private mutating func skipHere(_ mark: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: mark) else { return false }
    advance()
    return true
  }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { advance() }
  }

  /// - Parameter place: where the trouble begins; nil for the cursor.
  func error(expected: String, at place: Int? = nil) -> FormatError {
    let place = place ?? position
    let found = bytes[min(place, bytes.endIndex)...].prefix(12)
    let actual = found.isEmpty ? "its end" : FormatError.quote(String(decoding: found, as: UTF8.self))
    return FormatError("header", expected: "\(expected) at byte \(place - bytes.startIndex)", actual: actual)
  }
}
