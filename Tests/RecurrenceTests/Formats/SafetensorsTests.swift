import Foundation
import Recurrence
import Testing

@Suite("Safetensors")
struct SafetensorsTests {
  /// What the Python package writes for these tensors (safetensors 0.8.0, `safetensors.numpy.save`), byte for byte.
  @Test func bytesAreThoseOfThePythonPackage() throws {
    var file = Safetensors()
    file.metadata["x"] = "y"
    file.set("é\"\n", shape: [], [3] as [Float])
    file.set("b", shape: [3], [0, 1, 2] as [Float])
    file.set("c", shape: [0, 4], [] as [Float])
    file.set("a", shape: [2], [1, -2] as [Double])
    let header =
      #"{"__metadata__":{"x":"y"},"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"#
      + #""b":{"dtype":"F32","shape":[3],"data_offsets":[16,28]},"#
      + #""c":{"dtype":"F32","shape":[0,4],"data_offsets":[28,28]},"#
      + #""é\"\n":{"dtype":"F32","shape":[],"data_offsets":[28,32]}}"#
    let padding = String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let data: [UInt8] =
      [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0]
      + [0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40]
    #expect(file.encoded() == safetensors(header + padding, data))
  }

  @Test func bitsReturnInEveryOrder() throws {
    var random = SeededRandom(stream: 1)
    // Quiet and signalling NaNs, both zeros, subnormals.
    let floats =
      (0..<257).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) } + [0, -0, .infinity]
    let doubles =
      (0..<64).map { _ in Double(bitPattern: random.next()) } + [Double(sign: .minus, exponent: -1074, significand: 1)]
    var (file, reversed) = (Safetensors(), Safetensors())
    file.set("f", shape: [2, 130], floats)
    file.set("\u{1}\\/\u{8}\u{c}\r\t\u{7f}𝄞", shape: [65, 1], doubles)
    file.set("u", .init(rawValue: "U8"), shape: [3], bytes: [1, 2, 3])
    file.metadata = ["b": "2", "a": "\"1\"", "": ""]
    reversed.metadata = file.metadata
    for tensor in file.tensors.reversed() {
      reversed.set(tensor.name, tensor.elementType, shape: tensor.shape, bytes: tensor.bytes)
    }
    #expect(file.encoded() == reversed.encoded())
    #expect(file.encoded().count % 8 == 3)

    let read = try Safetensors(bytes: file.encoded())
    #expect(read.metadata == file.metadata)
    #expect(Set(read.tensors.map(\.name)) == Set(file.tensors.map(\.name)))
    #expect(try read.values("f", shape: [2, 130], as: Float.self).map(\.bitPattern) == floats.map(\.bitPattern))
    #expect(try read.values(file.tensors[1].name, as: Double.self).map(\.bitPattern) == doubles.map(\.bitPattern))
    #expect(read["u"]?.bytes == [1, 2, 3])
    #expect(read.encoded() == file.encoded())
  }

  @Test func tensorsAreReplacedAndRemoved() throws {
    var file = Safetensors()
    for name in ["a", "b", "c"] { file.set(name, shape: [1], [1] as [Float]) }
    file.set("b", shape: [2], [2, 3] as [Double])
    file.remove("a")
    file.remove("nobody")
    #expect(file.tensors.map(\.name) == ["b", "c"])
    #expect(try file.values("b", as: Double.self) == [2, 3])
    #expect(file["a"] == nil)
    file.set("a", shape: [1], [4] as [Float])
    #expect(try file.values("c") == [1] as [Float])
    #expect(try file.values("a") == [4] as [Float])
  }

  /// All 2¹⁶ values of each, against their definition in Double arithmetic.
  @Test(arguments: [Safetensors.ElementType.f16, .bf16]) func halvesWidenExactly(_ type: Safetensors.ElementType) throws
  {
    let (exponentBits, fractionBits) = type == .f16 ? (5, 10) : (8, 7)
    let bytes = (0...UInt16.max).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    var file = Safetensors()
    file.set("x", type, shape: [65536], bytes: bytes[...])
    let floats = try file.values("x", as: Float.self)
    let doubles = try file.values("x", as: Double.self)
    var complaints = Complaints()
    for half in 0..<65536 {
      let expected = value(half, exponentBits, fractionBits)
      let isRight = floats[half].isSame(as: Float(expected)) && doubles[half].isSame(as: expected)
      complaints.note(isRight ? nil : "expected \(expected), got \(floats[half]), \(doubles[half])", "\(type) \(half)")
    }
  }

  private func value(_ bits: Int, _ exponentBits: Int, _ fractionBits: Int) -> Double {
    let sign = bits >> 15 == 0 ? 1.0 : -1.0
    let fraction = Double(bits % (1 << fractionBits)) / Double(1 << fractionBits)
    let field = (bits >> fractionBits) % (1 << exponentBits)
    let bias = (1 << (exponentBits - 1)) - 1
    switch field {
    case 0: return sign * fraction * Double(sign: .plus, exponent: 1 - bias, significand: 1)
    case (1 << exponentBits) - 1: return fraction == 0 ? sign * .infinity : .nan
    default: return sign * (1 + fraction) * Double(sign: .plus, exponent: field - bias, significand: 1)
    }
  }

  @Test func floatsWidenExactly() throws {
    var file = Safetensors()
    file.set("x", shape: [4], [1, -0.0, .leastNonzeroMagnitude, 0.1] as [Float])
    let expected: [Double] = [1, -0.0, 0x1p-149, Double(0.1 as Float)]
    #expect(try file.values("x", as: Double.self).map(\.bitPattern) == expected.map(\.bitPattern))
  }

  @Test(arguments: [
    ("double", "F64", "expected elements that Float holds without rounding, got F64"),
    ("integer", "I64", #"expected elements of type F32, F64, F16 or BF16, got "I64""#),
    ("novel", "F3_E1M1", #"expected elements of type F32, F64, F16 or BF16, got "F3_E1M1""#),
    ("absent", "", "expected one, got none"),
  ])
  func valuesThatCannotBeReadAreNamed(_ name: String, _ type: String, _ sentence: String) throws {
    // The file as such is read, whatever its types.
    let header =
      #"{"double":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"#
      + #""integer":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},"#
      + #""novel":{"dtype":"F3_E1M1","shape":[5],"data_offsets":[16,18]}}"#
    let bytes = safetensors(header, [UInt8](repeating: 0, count: 18))
    let file = try Safetensors(bytes: bytes, file: "a/b.safetensors")
    let error = try #require(throws: FormatError.self) { try file.values(name, as: Float.self) }
    #expect(error.description == "a/b.safetensors: tensor \"\(name)\": \(sentence)")
    #expect(try Safetensors(bytes: file.encoded()).tensors.count == 3)
  }

  @Test func shapesAreComparedOnRequest() throws {
    var file = Safetensors()
    file.set("w", shape: [2, 3], [Float](repeating: 1, count: 6))
    #expect(try file.values("w", shape: [2, 3], as: Float.self).count == 6)
    let error = try #require(throws: FormatError.self) { try file.values("w", shape: [3, 2], as: Float.self) }
    #expect(error.description == #"tensor "w": expected shape [3, 2], got [2, 3]"#)
    let absent = try #require(throws: FormatError.self) { try file.values("v", shape: [3], as: Float.self) }
    #expect(absent.description == #"tensor "v": expected one of shape [3], got none"#)
  }

  @Test func filesAreWrittenWhole() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/m.safetensors"
    var file = Safetensors()
    for value in [1, 2] as [Float] {
      file.set("w", shape: [1], [value])
      try file.write(to: path)
      #expect(try Safetensors(path: path).values("w") == [value])
    }
    #expect(try directory.entries() == ["m.safetensors"])
  }

  /// A link stays, and what it names is replaced.
  @Test func linksAreFollowed() throws {
    let directory = try TemporaryDirectory()
    let link = directory.path + "/link"
    var file = Safetensors()
    try file.write(to: directory.path + "/target")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "target")
    file.metadata["a"] = "b"
    try file.write(to: link)
    #expect(try Safetensors(path: directory.path + "/target").metadata == ["a": "b"])
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "target")
  }
}
