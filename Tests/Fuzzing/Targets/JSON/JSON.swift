import Foundation
import FuzzingSupport

@testable import Recurrence

/// JSONCursor, which reads the words of a safetensors header, and JSONLine, which writes; Foundation is the oracle of both.
/// The first byte says what the rest is taken for.
@main enum JSONFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe Fuzzer.test(start, count) { bytes in
    let text = bytes.dropFirst()
    switch bytes.first {
    case UInt8(ascii: "i"): try checkInteger(text)
    case UInt8(ascii: "w"): checkWriting(text)
    case UInt8(ascii: "n"): checkNumber(text)
    default: try checkString(text)
    }
  }
}

/// What the cursor has passed.
private func consumed(_ cursor: JSONCursor, of text: ArraySlice<UInt8>) -> Data {
  var cursor = cursor
  var rest = 0
  while cursor.next != nil {
    cursor.advance()
    rest += 1
  }
  return Data(text.dropLast(rest))
}

/// A string that is accepted is the one that Foundation reads; one that Foundation reads is accepted.
private func checkString(_ text: ArraySlice<UInt8>) throws {
  var cursor = JSONCursor(text)
  do throws(FormatError) {
    let string = try cursor.string()
    let passed = consumed(cursor, of: text)
    let expected = try? JSONDecoder().decode(String.self, from: passed)
    Fuzzer.claim(
      expected.map { Array($0.utf8) } == Array(string.utf8),
      "\(string.debugDescription), Foundation reads \(expected.debugDescription)")
  } catch {
    // Foundation takes other encodings than UTF-8, too, and a byte-order mark.
    let isOther = text.contains(0) || text.starts(with: [0xef, 0xbb, 0xbf])
    let whole = isOther ? nil : try? JSONDecoder().decode(String.self, from: Data(text))
    Fuzzer.claim(whole == nil, "refused (\(error)), Foundation reads \(whole.debugDescription)")
    throw error
  }
}

/// An integer that is accepted is spelled as Swift and Foundation spell it.
private func checkInteger(_ text: ArraySlice<UInt8>) throws {
  var cursor = JSONCursor(text)
  let number = try cursor.integer()
  let passed = consumed(cursor, of: text)
  Fuzzer.claim(number >= 0, "\(number)")
  Fuzzer.claim(String(decoding: passed, as: UTF8.self).drop { $0.isWhitespace } == "\(number)", "\(number)")
  Fuzzer.claim((try? JSONDecoder().decode(Int.self, from: passed)) == number, "Foundation reads another than \(number)")
}

/// A string that was written is read again, by Foundation and by the cursor.
private func checkWriting(_ bytes: ArraySlice<UInt8>) {
  let text = String(decoding: bytes, as: UTF8.self)
  var line = JSONLine()
  line.add(text, text)
  let written = Array(line.text.utf8)
  let read = try? JSONDecoder().decode([String: String].self, from: Data(written))
  Fuzzer.claim(read == [text: text], "Foundation reads \(read.debugDescription) from \(line.text)")
  var cursor = JSONCursor(written[...])
  do throws(FormatError) {
    try cursor.expect("{")
    Fuzzer.claim(try cursor.string() == text, "another key from \(line.text)")
    try cursor.expect(":")
    Fuzzer.claim(try cursor.string() == text, "another value from \(line.text)")
    try cursor.expect("}")
  } catch {
    fatalError("claim does not hold: what was written is refused: \(error)")
  }
}

/// Numbers that were written have the same bits when they are read.
private func checkNumber(_ bytes: ArraySlice<UInt8>) {
  var values: [Double] = []
  for start in stride(from: bytes.startIndex, to: bytes.endIndex - 7, by: 8) {
    let word = bytes[start..<(start + 8)].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    let value = Double(bitPattern: word)
    if value.isFinite { values.append(value) }
  }
  var line = JSONLine()
  line.add("values", values)
  let read = try? JSONDecoder().decode([String: [Double]].self, from: Data(line.text.utf8))
  Fuzzer.claim(
    read?["values"]?.map(\.bitPattern) == values.map(\.bitPattern), "Foundation reads other bits from \(line.text)")
}
