import Foundation
import FuzzingSupport

@testable import Recurrence
@testable import RecurrenceTool

/// Text files: TextFile.read with Vocabulary and TextStreams, which `recurrence train` learns from, and LabelledTexts, which
/// `recurrence classify` does. The first byte sets streams and window.
@main enum TextsFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

private let home = PrivateDirectory()

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // Strings of one character each: a Set or a Dictionary of them takes some hundred bytes a byte.
  unsafe Fuzzer.test(start, count, Fuzzer.Allowance(factor: 1 << 10)) { bytes in
    let path = home.write("text", bytes.dropFirst())
    let text = try TextFile.read(path)
    Fuzzer.claim(Array(text.utf8) == Array(bytes.dropFirst()), "another text was read")
    let symbols = try checkVocabulary(text)
    let size = Int(bytes.first ?? 0)
    try checkStreams(symbols, streams: 1 + size % 8, window: 1 + size / 8, includesRest: size % 2 == 0)
    try checkLabels(path, text)
  }
}

/// The numbers of a text spell it, and a vocabulary comes back from JSON.
private func checkVocabulary(_ text: String) throws -> [Int32] {
  let vocabulary = Vocabulary(text.unicodeScalars)
  let symbols = try vocabulary.encode(text)
  let spelled = String(String.UnicodeScalarView(symbols.map { vocabulary.scalars[Int($0)] }))
  Fuzzer.claim(Array(spelled.utf8) == Array(text.utf8), "the numbers of a text spell another")
  let again = try JSONDecoder().decode(Vocabulary.self, from: JSONEncoder().encode(vocabulary))
  Fuzzer.claim(again == vocabulary, "another vocabulary came back")
  Fuzzer.claim(TextFile.fingerprint(symbols) == TextFile.fingerprint(symbols), "a text has two fingerprints")
  return symbols
}

/// Windows lie in the text one after the other; targets are the characters after.
private func checkStreams(_ symbols: [Int32], streams: Int, window: Int, includesRest: Bool) throws {
  let cut = try TextStreams(symbols, streams: streams, window: window, includesRest: includesRest)
  Fuzzer.claim(cut.characters <= symbols.count - 1, "\(cut.characters) of \(symbols.count) characters are read")
  var seen = 0
  for index in 0..<cut.windows {
    let (inputs, targets) = cut.window(index)
    let steps = cut.steps(index)
    Fuzzer.claim(inputs.count == steps * streams && targets.count == inputs.count, "\(inputs.count) inputs")
    for (place, (input, target)) in zip(inputs, targets).enumerated() {
      let start = place % streams * cut.length + index * window + place / streams
      Fuzzer.claim(input == symbols[start] && target == symbols[start + 1], "window \(index), place \(place)")
    }
    seen += inputs.count
  }
  Fuzzer.claim(seen == cut.characters, "\(seen) characters in windows, \(cut.characters) in all")
}

/// Every line is an example, a repetition or the header; no example is lost between training and test.
private func checkLabels(_ path: String, _ text: String) throws {
  let texts = try LabelledTexts(path: path)
  let lines = text.split(whereSeparator: \.isNewline).count
  let told = texts.examples.count + texts.duplicates + (texts.hasHeader ? 1 : 0)
  Fuzzer.claim(lines == told, "\(lines) lines, \(told) are accounted for")
  Fuzzer.claim(texts.labels.count > 1 && Set(texts.labels).count == texts.labels.count, "\(texts.labels)")
  Fuzzer.claim(texts.labels.indices.contains(texts.rarest), "label \(texts.rarest) of \(texts.labels)")
  Fuzzer.claim(
    texts.training.count + texts.heldOut.count == texts.examples.count, "examples are lost between training and test")
  Fuzzer.claim(Set(texts.examples.map(\.label)) == Set(texts.labels.indices), "a label without an example")
}
