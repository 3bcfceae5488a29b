import Foundation
import Recurrence
import Testing

@Suite("Npy")
struct NpyTests {
  /// What NumPy writes (2.4.6, `numpy.save`), byte for byte.
  @Test(
    arguments: [
      ([3, 4], "(3, 4), }                                                          "),
      ([3], "(3,), }                                                            "),
      ([], "(), }                                                              "),
    ] as [([Int], String)])
  func bytesAreThoseOfNumPy(_ shape: [Int], _ end: String) throws {
    let count = shape.reduce(1, *)
    let bytes = Npy([Float](repeating: 1, count: count), shape: shape).encoded()
    let data = (0..<count).flatMap { _ in [0, 0, 0x80, 0x3f] as [UInt8] }
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': " + end
    #expect(text.utf8.count == 117)
    #expect(bytes == npy(text, data))
  }

  @Test(arguments: [[], [0], [7], [3, 4], [2, 0, 5], [1, 2, 3, 4]] as [[Int]]) func bitsReturn(_ shape: [Int]) throws {
    var random = SeededRandom(stream: shape.count)
    let count = shape.reduce(1, *)
    let floats = (0..<count).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
    let doubles = (0..<count).map { _ in Double(bitPattern: random.next()) }
    let single = try Npy(bytes: Npy(floats, shape: shape).encoded())
    let double = try Npy(bytes: Npy(doubles, shape: shape).encoded())
    #expect(single.shape == shape && double.shape == shape)
    #expect(single.bitWidth == 32 && double.bitWidth == 64)
    #expect(try single.values(as: Float.self).map(\.bitPattern) == floats.map(\.bitPattern))
    #expect(try double.values(as: Double.self).map(\.bitPattern) == doubles.map(\.bitPattern))
    // Widening keeps every value; only the payload of a NaN is the processor's business.
    let widened = try single.values(as: Double.self)
    #expect(zip(widened, floats).allSatisfy { $0.isSame(as: Double($1)) })
  }

  @Test func doublesAreRoundedOnlyOnRequest() throws {
    let values: [Double] = [0.1, 1 + 0x1p-24, 1 + 0x3p-24, 1e300, -1e-300, 0x1p-149]
    let file = try Npy(bytes: Npy(values, shape: [6]).encoded(), file: "x.npy")
    let error = try #require(throws: FormatError.self) { try file.values(as: Float.self) }
    #expect(error.description == "x.npy: descr: expected elements that Float holds without rounding, got '<f8'")
    // To nearest, ties to even.
    let rounded: [Float] = [0.1, 1, 1 + 0x1p-22, .infinity, -0.0, .leastNonzeroMagnitude]
    #expect(try file.values(as: Float.self, rounding: true).map(\.bitPattern) == rounded.map(\.bitPattern))
    #expect(try file.values(as: Double.self, rounding: true) == values)
  }

  /// A header that version 1.0 has no room for.
  @Test func longHeadersAreVersionTwo() throws {
    let shape = [Int](repeating: 1, count: 30_000)
    let bytes = Npy([5] as [Double], shape: shape).encoded()
    #expect(bytes[6] == 2)
    #expect((bytes.count - 8) % 64 == 0)
    let file = try Npy(bytes: bytes)
    #expect(file.shape == shape)
    #expect(try file.values() == [5] as [Double])
  }

  @Test(arguments: [
    npy("{'descr':'<f4','fortran_order':False,'shape':(1,)}", [0, 0, 0, 0]),
    npy(#"{"shape": ( 1 , 1 , ), "descr": "<f4" , 'fortran_order': False , }    "#, [0, 0, 0, 0]),
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", [UInt8](repeating: 0, count: 8), version: 2),
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 7), }", version: 3),
  ])
  func legalNeighboursAreRead(_ bytes: [UInt8]) throws { _ = try Npy(bytes: bytes) }

  @Test(arguments: refused) func refuses(_ file: HostileFile) throws {
    file.expectSentence(
      #expect(throws: FormatError.self, "\(file.name)") { try Npy(bytes: file.bytes, file: "hostile.bin") })
  }

  @Test func everyTruncationIsRefused() throws {
    let bytes = Npy([1, 2, 3] as [Float], shape: [3, 1]).encoded()
    for count in 0..<bytes.count {
      let error = #expect(throws: FormatError.self, "first \(count) of \(bytes.count) bytes") {
        try Npy(bytes: Array(bytes[..<count]), file: "hostile.bin")
      }
      if let error { expectOneLine(error, "first \(count) bytes") }
    }
    #expect(throws: FormatError.self, "a byte more") { try Npy(bytes: bytes + [0]) }
  }

  @Test func flippedBytesAreRefusedOrRead() throws {
    let bytes = Npy([1, 2, 3] as [Float], shape: [3, 1]).encoded()
    var random = SeededRandom(stream: 3)
    var read = 0
    for round in 0..<20_000 {
      var broken = bytes
      for _ in 0...random.index(below: 3) {
        broken[random.index(below: broken.count)] = random.pick([UInt8(truncatingIfNeeded: random.next()), 0x27, 0x30])
      }
      do throws(FormatError) {
        let file = try Npy(bytes: broken, file: "hostile.bin")
        #expect(try file.values(as: Double.self).count == file.shape.reduce(1, *), "round \(round)")
        read += 1
      } catch {
        expectOneLine(error, "seed \(SuiteSettings.seed), round \(round)")
      }
    }
    #expect(read > 100)
  }

  @Test func filesReturn() throws {
    let directory = try TemporaryDirectory()
    try Npy([1, 2] as [Double], shape: [2]).write(to: directory.path + "/x.npy")
    let file = try Npy(path: directory.path + "/x.npy")
    #expect(file.file == directory.path + "/x.npy")
    #expect(try file.values() == [1, 2] as [Double])
  }

  private static func header(
    descr: String = "'<f4'", order: String = "False", shape: String = "(1,)", end: String = "}", data: Int = 4
  ) -> [UInt8] {
    npy(
      "{'descr': \(descr), 'fortran_order': \(order), 'shape': \(shape)\(end)", [UInt8](repeating: 0, count: data))
  }

  static let refused: [HostileFile] = [
    HostileFile("nothing", [], "magic: expected", "0 bytes"),
    HostileFile("other magic", Array("\u{93}NUMPY".utf8) + [1, 0, 0, 0], "magic"),
    HostileFile("version 0", [0x93] + Array("NUMPY".utf8) + [0, 0, 2, 0, 0, 0], "version", "got 0.0"),
    HostileFile("version 4", npy("{}", version: 4), "version: expected 1.0, 2.0 or 3.0, got 4.0"),
    HostileFile("version 1.1", [0x93] + Array("NUMPY".utf8) + [1, 1, 2, 0, 0, 0], "got 1.1"),
    HostileFile(
      "no length", [0x93] + Array("NUMPY".utf8) + [2, 0, 1, 0], "expected 4 bytes that say its length, got 2"),
    HostileFile("header beyond the file", npy("{}", length: 4), "expected at most 3 bytes, got a length of 4"),
    HostileFile("header of 4 GiB", npy("{}", version: 2, length: 0xffff_ffff), "got a length of 4294967295"),
    HostileFile("empty header", npy("{}", length: 0), "expected \"{\" at byte 0, got its end"),
    HostileFile("no keys", npy("{}"), "the key descr, got none"),
    HostileFile("no descr", npy("{'fortran_order': False, 'shape': ()}"), "the key descr"),
    HostileFile("no order", npy("{'descr': '<f4', 'shape': ()}"), "the key fortran_order"),
    HostileFile("no shape", npy("{'descr': '<f4', 'fortran_order': False}"), "the key shape"),
    HostileFile("another key", header(end: ", 'more': 1}"), "got \"more\""),
    HostileFile("a key twice", header(end: ", 'shape': (1,)}"), "expected one shape, got two"),
    HostileFile("open dictionary", header(end: ""), "expected \"}\""),
    HostileFile("two commas", header(end: ",,}"), "expected a string"),
    HostileFile("text behind", header(end: "} import os"), "spaces and one line feed"),
    HostileFile("two line feeds", header(end: "}\n"), "spaces and one line feed"),
    HostileFile(
      "no line feed", npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", length: 53), "one line feed"),
    HostileFile("big-endian", header(descr: "'>f4'"), "descr: expected '<f4' or '<f8', got \">f4\""),
    HostileFile("native", header(descr: "'=f4'"), "got \"=f4\""),
    HostileFile("integers", header(descr: "'<i4'"), "got \"<i4\""),
    HostileFile("halves", header(descr: "'<f2'", data: 2), "got \"<f2\""),
    HostileFile("objects", header(descr: "'|O'"), "got \"|O\""),
    HostileFile("structure", header(descr: "[('x', '<f4')]"), "expected a string at byte 10"),
    HostileFile("descr with an escape", header(descr: #"'\x3cf4'"#), "without escapes"),
    HostileFile("descr with a control character", header(descr: "'<f4\u{1b}'"), "without escapes"),
    HostileFile("Fortran order", header(order: "True"), "fortran_order: expected False, got True"),
    HostileFile("order is a number", header(order: "0"), "expected True or False"),
    HostileFile("order is an expression", header(order: "not True"), "expected True or False"),
    HostileFile("order goes on", header(order: "Falsehood"), "expected \"}\""),
    HostileFile("shape is a number", header(shape: "1"), "expected \"(\""),
    HostileFile("shape in parentheses", header(shape: "(1)"), "expected \",\""),
    HostileFile("shape is a list", header(shape: "[1]"), "expected \"(\""),
    HostileFile("open shape", header(shape: "(1,", end: ""), "an integer from 0"),
    HostileFile("comma alone", header(shape: "(,)"), "an integer from 0"),
    HostileFile("negative dimension", header(shape: "(-1,)"), "an integer from 0"),
    HostileFile("long integer of Python 2", header(shape: "(1L,)"), "expected \",\""),
    HostileFile("hexadecimal dimension", header(shape: "(0x1,)"), "expected \",\""),
    HostileFile("leading zero", header(shape: "(01,)"), "an integer from 0"),
    HostileFile("dimension of 2⁶³", header(shape: "(9223372036854775808,)"), "below 2⁶³"),
    HostileFile(
      "product overflows", header(shape: "(4294967296, 4294967296)"), "shape: expected one that memory can hold"),
    HostileFile(
      "product overflows beside a zero", header(shape: "(0, 4294967296, 4294967296)", data: 0), "memory can hold"),
    HostileFile("bytes overflow", header(shape: "(4611686018427387904,)"), "memory can hold"),
    HostileFile("data missing", header(shape: "(2,)"), "data: expected 8 bytes, [2] of <f4, got 4"),
    HostileFile("data behind", header(shape: "(0,)"), "data: expected 0 bytes, [0] of <f4, got 4"),
    HostileFile("terabytes", header(shape: "(1099511627776,)"), "expected 4398046511104 bytes", "got 4"),
  ]
}
