import Foundation
import Recurrence
import Testing

/// What is not a safetensors file is refused with a sentence, never with a trap, and without taking memory that the file
/// does not fill.
@Suite("Hostile safetensors")
struct HostileSafetensorsTests {
  @Test(arguments: refused) func refuses(_ file: HostileFile) throws {
    file.expectSentence(
      #expect(throws: FormatError.self, "\(file.name)") { try Safetensors(bytes: file.bytes, file: "hostile.bin") })
  }

  /// The checks reject nothing that is legal: neighbours on the right side of the line.
  @Test(arguments: [
    safetensors("{}"), safetensors("{}      "), safetensors(#"{ "__metadata__" : { } }"#),
    safetensors(#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, [1, 2, 3, 4]),
    safetensors("{\"a\" :\t{\"shape\":[ 2 , 1 ],\r\n\"data_offsets\":[0,8] ,\"dtype\":\"F32\"}}", [UInt8](0..<8)),
    safetensors(#"{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}"#, [1, 2]),
    // Empty tensors take no place: before, between and behind the others.
    safetensors(
      #"{"d":{"dtype":"F32","shape":[0],"data_offsets":[1,1]},"c":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
        + #""b":{"dtype":"F32","shape":[5,0],"data_offsets":[0,0]}}"#, [7]),
  ])
  func legalNeighboursAreRead(_ bytes: [UInt8]) throws { _ = try Safetensors(bytes: bytes) }

  @Test func escapesAreResolved() throws {
    let header = #"{"__metadata__":{"\u00e9\ud834\udd1e":"\"\\\/\b\f\n\r\t\u0000"}}"#
    #expect(try Safetensors(bytes: safetensors(header)).metadata == ["é𝄞": "\"\\/\u{8}\u{c}\n\r\t\0"])
  }

  @Test func everyTruncationIsRefused() throws {
    let bytes = sample().encoded()
    for count in 0..<bytes.count {
      let error = #expect(throws: FormatError.self, "first \(count) of \(bytes.count) bytes") {
        try Safetensors(bytes: Array(bytes[..<count]), file: "hostile.bin")
      }
      if let error { expectOneLine(error, "first \(count) bytes") }
    }
    #expect(throws: FormatError.self, "a byte more") { try Safetensors(bytes: bytes + [0]) }
  }

  /// Whatever is not refused has tensors of the size they claim.
  @Test func flippedBytesAreRefusedOrRead() throws {
    let bytes = sample().encoded()
    var random = SeededRandom(stream: 2)
    var read = 0
    for round in 0..<20_000 {
      var broken = bytes
      for _ in 0...random.index(below: 3) {
        broken[random.index(below: broken.count)] = random.pick([UInt8(truncatingIfNeeded: random.next()), 0x22, 0x30])
      }
      do throws(FormatError) {
        let file = try Safetensors(bytes: broken, file: "hostile.bin")
        for tensor in file.tensors {
          if let values = try? file.values(tensor.name, as: Double.self) {
            #expect(values.count == tensor.shape.reduce(1, *), "seed \(SuiteSettings.seed), round \(round)")
          }
        }
        read += 1
      } catch {
        expectOneLine(error, "seed \(SuiteSettings.seed), round \(round)")
      }
    }
    // Most bytes of the sample are values, which may be anything.
    #expect(read > 1000)
  }

  /// Nothing allocates what a header merely claims.
  @Test func hugeClaimsAreRefusedAtOnce() {
    let header = #"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#
    #expect(throws: FormatError.self) { try Safetensors(bytes: safetensors(header)) }
    #expect(throws: FormatError.self) { try Safetensors(bytes: safetensors("{}", length: .max)) }
  }

  @Test(arguments: ["/", "/nonexistent/file", "/dev/null", "", "a\0b"]) func pathsThatAreNoFilesAreNamed(
    _ path: String
  ) throws {
    let error = try #require(throws: FormatError.self) { try Safetensors(path: path) }
    let what = ["/nonexistent/file": "No such file or directory", "/": "directory", "/dev/null": "device"][path]
    #expect(error.description.contains(what ?? "expected one that a file can have"))
  }

  private func sample() -> Safetensors {
    var file = Safetensors()
    file.metadata = ["cell": "lstm", "é": "\n"]
    file.set("w", shape: [3, 5], (0..<15).map { Float($0) })
    file.set("b", shape: [4], [1, 2, 3, 4] as [Double])
    file.set("h", .f16, shape: [2], bytes: [1, 2, 3, 4])
    return file
  }

  static let four: [UInt8] = [0, 0, 0, 0]
  static let nest = String(repeating: "[", count: 100_000)

  /// A tensor's fields, one of them replaced.
  private static func tensor(
    _ name: String = "a", dtype: String = #""F32""#, shape: String = "[1]", offsets: String = "[0,4]"
  ) -> String { #""\#(name)":{"dtype":\#(dtype),"shape":\#(shape),"data_offsets":\#(offsets)}"# }

  static let refused: [HostileFile] = [
    HostileFile("nothing", [], "header: expected 8 bytes that say its length, got 0"),
    HostileFile("seven bytes", [2, 0, 0, 0, 0, 0, 0], "got 7 bytes in all"),
    HostileFile("header beyond the file", safetensors("{}", length: 3), "expected at most 2 bytes, got a length of 3"),
    HostileFile("header of 2⁶³", safetensors("{}", length: 1 << 63), "got a length of 9223372036854775808"),
    HostileFile("header of 2⁶⁴ − 1", safetensors("{}", length: .max), "got a length of 18446744073709551615"),
    HostileFile("no header", safetensors(""), "expected \"{\" as its first byte"),
    HostileFile("leading space", safetensors(" {}"), "expected \"{\" as its first byte"),
    HostileFile("array", safetensors("[]"), "expected \"{\" as its first byte"),
    HostileFile("open object", safetensors("{"), "at byte 1, got its end"),
    HostileFile("trailing line feed", safetensors("{}\n"), "nothing but spaces after the object at byte 2"),
    HostileFile("two objects", safetensors("{}{}"), "nothing but spaces"),
    HostileFile("trailing comma", safetensors("{\(tensor()),}", four), "expected \"\"\""),
    HostileFile("key without quotes", safetensors("{a:1}"), "at byte 1"),
    HostileFile("no colon", safetensors(#"{"a" {}}"#), "expected \":\""),
    HostileFile("tensor is null", safetensors(#"{"a":null}"#), "expected \"{\" at byte 5"),
    HostileFile("deep nesting", safetensors(#"{"a":\#(nest)"#), "expected \"{\" at byte 5"),
    HostileFile("deep shape", safetensors(#"{"a":{"shape":\#(nest)"#), "expected an integer from 0"),
    HostileFile("metadata is null", safetensors(#"{"__metadata__":null}"#), "expected \"{\""),
    HostileFile("metadata of numbers", safetensors(#"{"__metadata__":{"a":1}}"#), "expected \"\"\""),
    HostileFile("metadata twice", safetensors(#"{"__metadata__":{},"__metadata__":{}}"#), "__metadata__", "a second"),
    HostileFile(
      "metadata key twice", safetensors(#"{"__metadata__":{"a":"1","a":"2"}}"#), "metadata \"a\"", "a second"),
    HostileFile(
      "tensor twice", safetensors("{\(tensor()),\(tensor())}", four), "tensor \"a\": expected one of this name"),
    HostileFile(
      "tensor twice, escaped", safetensors("{\(tensor()),\(tensor("\\u0061"))}", four), "tensor \"a\"", "a second"),
    HostileFile(
      "dtype twice", safetensors(#"{"a":{"dtype":"F32","dtype":"F32"}}"#), "tensor \"a\": expected one dtype"),
    HostileFile("unknown field", safetensors(#"{"a":{"strides":[1]}}"#), "tensor \"a\"", "got \"strides\""),
    HostileFile(
      "no dtype", safetensors(#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, four), "the field dtype, got none"),
    HostileFile("no shape", safetensors(#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#, four), "the field shape"),
    HostileFile("no offsets", safetensors(#"{"a":{"dtype":"F32","shape":[1]}}"#, four), "the field data_offsets"),
    HostileFile("empty tensor object", safetensors(#"{"a":{}}"#), "the field dtype, got none"),
    HostileFile("dtype is a number", safetensors("{\(tensor(dtype: "32"))}", four), "expected \"\"\""),
    HostileFile(
      "negative dimension", safetensors("{\(tensor(shape: "[-1]"))}", four), "expected an integer from 0", "-1"),
    HostileFile("fractional dimension", safetensors("{\(tensor(shape: "[1.0]"))}", four), "expected an integer from 0"),
    HostileFile(
      "dimension with exponent", safetensors("{\(tensor(shape: "[1e0]"))}", four), "expected an integer from 0"),
    HostileFile("leading zero", safetensors("{\(tensor(shape: "[01]"))}", four), "expected an integer from 0"),
    HostileFile("dimension of 2⁶³", safetensors("{\(tensor(shape: "[9223372036854775808]"))}", four), "below 2⁶³"),
    HostileFile(
      "dimension of forty digits", safetensors("{\(tensor(shape: "[\(String(repeating: "9", count: 40))]"))}", four),
      "below 2⁶³"),
    HostileFile(
      "product overflows", safetensors("{\(tensor(shape: "[4294967296,4294967296]"))}", four), "that memory can hold"),
    HostileFile(
      "product overflows beside a zero",
      safetensors("{\(tensor(shape: "[0,4294967296,4294967296]", offsets: "[0,0]"))}"),
      "that memory can hold"),
    HostileFile(
      "bits overflow", safetensors("{\(tensor(shape: "[1152921504606846976]"))}", four), "a shape of whole bytes"),
    HostileFile(
      "half a byte", safetensors("{\(tensor(dtype: #""F4""#, shape: "[3]", offsets: "[0,2]"))}", [0, 0]), "whole"),
    HostileFile(
      "shape too large", safetensors("{\(tensor(shape: "[2]"))}", four), "expected 8 bytes, [2] of F32, got 4"),
    HostileFile(
      "shape too small", safetensors("{\(tensor(shape: "[0]"))}", four), "expected 0 bytes, [0] of F32, got 4"),
    HostileFile(
      "wider type", safetensors("{\(tensor(dtype: #""F64""#))}", four), "expected 8 bytes, [1] of F64, got 4"),
    HostileFile("one offset", safetensors("{\(tensor(offsets: "[4]"))}", four), "two data_offsets, got [4]"),
    HostileFile(
      "three offsets", safetensors("{\(tensor(offsets: "[0,4,4]"))}", four), "two data_offsets, got [0, 4, 4]"),
    HostileFile(
      "offsets reversed", safetensors("{\(tensor(offsets: "[4,0]"))}", four), "data_offsets in order", "4, 0"),
    HostileFile(
      "offsets beyond the data", safetensors("{\(tensor(offsets: "[0,5]"))}", four), "within 4 bytes, got 0, 5"),
    HostileFile(
      "offsets far beyond", safetensors("{\(tensor(offsets: "[0,9223372036854775807]"))}", four), "within 4 bytes"),
    HostileFile("hole in front", safetensors("{\(tensor(offsets: "[1,5]"))}", four + [0]), "offset 0", "got 1, a hole"),
    HostileFile(
      "hole between", safetensors("{\(tensor()),\(tensor("b", offsets: "[5,9]"))}", four + four + [0]),
      "tensor \"b\": expected bytes from offset 4", "a hole"),
    HostileFile(
      "overlap", safetensors("{\(tensor()),\(tensor("b", offsets: "[2,6]"))}", four + [0, 0]), "tensor \"b\"",
      "an overlap"),
    HostileFile("the same bytes twice", safetensors("{\(tensor()),\(tensor("b"))}", four), "an overlap"),
    HostileFile("bytes behind", safetensors("{\(tensor())}", four + [0]), "expected 4 bytes of tensors", "got 5"),
    HostileFile("data without tensors", safetensors("{}", [0]), "expected 0 bytes of tensors", "got 1"),
    HostileFile("data missing", safetensors("{\(tensor())}"), "within 0 bytes"),
    HostileFile("invalid UTF-8", [5, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x22, 0xff, 0x22, 0x7d], "a string in UTF-8"),
    HostileFile("overlong UTF-8", [6, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x22, 0xc0, 0x80, 0x22, 0x7d], "a string in UTF-8"),
    HostileFile("lone surrogate", safetensors(#"{"\ud800":{}}"#), "a pair of surrogates"),
    HostileFile("low surrogate first", safetensors(#"{"\udc00":{}}"#), "a pair of surrogates"),
    HostileFile("surrogate and letter", safetensors(#"{"\ud800\u0041":{}}"#), "a pair of surrogates"),
    HostileFile("unknown escape", safetensors(#"{"\x41":{}}"#), "one of JSON's escapes"),
    HostileFile("short escape", safetensors(#"{"\u12"#), "a hexadecimal digit"),
    HostileFile("escape at the end", safetensors(#"{"\"#), "the end of a string"),
    HostileFile("control character", safetensors("{\"a\n\":{}}"), "without control characters"),
    HostileFile("open string", safetensors(#"{"a"#), "the end of a string"),
    HostileFile(
      "name of a megabyte", safetensors("{\"\(String(repeating: "a", count: 1 << 20))\":{}}"), "aaaaaaa…", "dtype"),
    HostileFile("name of control characters", safetensors(#"{"\n\u001b[2J":{}}"#), #"tensor "\n"#),
  ]
}
