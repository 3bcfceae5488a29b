import Foundation
import Recurrence
import Testing

/// A text as a character language model reads it, against a walk through one stream at a time.
@Suite("Text in streams")
struct TextStreamsTests {
  /// n characters, B streams, windows of T: those that come out even, and those that do not.
  static let sizes: [(n: Int, B: Int, T: Int)] = [
    (2, 1, 1), (13, 1, 4), (13, 3, 4), (14, 3, 4), (101, 4, 5), (101, 4, 25), (101, 4, 7), (100, 9, 11), (57, 8, 3),
    (257, 16, 16), (258, 16, 16), (256, 15, 17),
  ]

  @Test(arguments: sizes, [false, true]) func walk(_ size: (n: Int, B: Int, T: Int), includesRest: Bool) throws {
    let (n, B, T) = size
    var random = SeededRandom(stream: n)
    let symbols = (0..<n).map { _ in Int32(random.index(below: 50)) }
    let streams = try TextStreams(symbols, streams: B, window: T, includesRest: includesRest)

    var read = Array(repeating: [Int32](), count: B)
    var targets = read
    for index in 0..<streams.windows {
      let window = streams.window(index)
      #expect(window.inputs.count == streams.steps(index) * B && window.targets.count == window.inputs.count)
      for (place, (input, target)) in zip(window.inputs, window.targets).enumerated() {
        read[place % B].append(input)
        targets[place % B].append(target)
      }
    }

    // The longest equal streams that leave each character one after it.
    var length = 0
    while (length + 1) * B + 1 <= n { length += 1 }
    let characters = includesRest ? length : length - length % T
    for stream in 0..<B {
      let start = stream * length
      #expect(read[stream] == Array(symbols[start..<(start + characters)]), "stream \(stream) of \(size)")
      #expect(targets[stream] == Array(symbols[(start + 1)..<(start + 1 + characters)]), "stream \(stream) of \(size)")
    }
    #expect(streams.length == length && streams.characters == characters * B)
  }

  @Test(arguments: [
    (0, 1, 1, false, 2), (1, 1, 1, true, 2), (12, 3, 4, false, 13), (3, 3, 4, true, 4), (10, 100, 1, false, 101),
  ])
  func tooShort(_ n: Int, _ B: Int, _ T: Int, _ includesRest: Bool, _ least: Int) throws {
    let symbols = [Int32](repeating: 0, count: n)
    let error = #expect(throws: ShapeError.self) {
      try TextStreams(symbols, streams: B, window: T, includesRest: includesRest)
    }
    #expect(error?.description.contains("at least \(least) characters") == true, "\(error as Any)")
    #expect(error?.description.hasSuffix("got \(n)") == true, "\(error as Any)")
    // One more than it says is short; as many as it says are enough.
    let enough = [Int32](repeating: 0, count: least)
    #expect(try TextStreams(enough, streams: B, window: T, includesRest: includesRest).windows == 1)
  }
}

/// Characters are Unicode scalars: what Swift or JSON take for one, or for nothing, stays apart.
@Suite("Vocabulary")
struct VocabularyTests {
  static let texts = [
    "", "a", "hello, world", "\r\n\n\r", "e\u{301}é", "\0\u{1}\u{1F}\u{7F}", "\"\\/\u{2028}\u{2029}", "\u{FEFF}BOM",
    "🇩🇪🇫🇷👩‍👩‍👧", "\u{301}\u{302}", "\u{FFFF}\u{10FFFF}\u{E000}\u{D7FF}", "각각", "Å\u{212B}A\u{30A}",
  ]

  @Test(arguments: texts) func roundTrip(_ text: String) throws {
    let vocabulary = Vocabulary(text.unicodeScalars)
    let distinct = Set(text.unicodeScalars.map(\.value)).sorted()
    #expect(vocabulary.scalars.map(\.value) == distinct)
    #expect(vocabulary.count == distinct.count)
    let symbols = try vocabulary.encode(text)
    #expect(symbols.map { vocabulary.scalars[Int($0)].value } == text.unicodeScalars.map(\.value))
    for (number, scalar) in vocabulary.scalars.enumerated() { #expect(vocabulary[scalar] == Int32(number)) }
  }

  @Test(arguments: texts) func codingInJSON(_ text: String) throws {
    // A file has it as a member, with others.
    struct File: Codable { var vocabulary: Vocabulary }
    let vocabulary = Vocabulary(text.unicodeScalars)
    let data = try JSONEncoder().encode(File(vocabulary: vocabulary))
    let decoded = try JSONDecoder().decode(File.self, from: data).vocabulary
    #expect(decoded.scalars.map(\.value) == vocabulary.scalars.map(\.value))
    #expect(decoded == vocabulary)
    #expect(try decoded.encode(text) == vocabulary.encode(text))
  }

  @Test(arguments: [
    ("abc", "abxc", 2, "x"), ("é", "e", 0, "e"), ("\r\n", "\r\r\0", 2, "\\0"), ("", "a", 0, "a"),
    ("Å", "\u{212B}", 0, "\u{212B}"),
  ])
  func unknownCharacter(_ known: String, _ text: String, _ place: Int, _ spelling: String) {
    let vocabulary = Vocabulary(known.unicodeScalars)
    let error = #expect(throws: ShapeError.self) { try vocabulary.encode(text) }
    let sentence = error?.description ?? ""
    #expect(sentence.hasPrefix("character \(place): expected one of the \(vocabulary.count) "), "\(sentence)")
    #expect(sentence.hasSuffix("got \"\(spelling)\""), "\(sentence)")
    #expect(vocabulary[text.unicodeScalars.dropFirst(place).first!] == nil)
  }
}
