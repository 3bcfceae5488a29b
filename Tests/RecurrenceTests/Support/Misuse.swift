import Recurrence
import Testing

/// A programmer's error as a value, which an exit test can carry to its child process, and the words that the sentence
/// about it must contain.
protocol Misuse: Codable, Sendable, CaseIterable, CustomTestStringConvertible, RawRepresentable<String> {
  /// The parameter, what was expected, and what came.
  var words: [String] { get }
  /// Does it. Never returns where the package keeps its promise.
  func commit()
}

extension Misuse {
  var testDescription: String { rawValue }
}

/// Expects that what the child process said before it stopped has all the words.
func expectWords(
  _ misuse: some Misuse, _ result: ExitTest.Result?, sourceLocation: SourceLocation = #_sourceLocation
) {
  guard let result else { return }
  let text = String(decoding: result.standardErrorContent, as: UTF8.self)
  for word in misuse.words where !text.contains(word) {
    Issue.record("\(misuse.rawValue): \"\(word)\" is missing from \"\(text)\"", sourceLocation: sourceLocation)
  }
}
