import Foundation
import Testing

/// A page of Docs, and the file of the tests that its Swift is compiled from, block by block between `// page: name` and
/// `// page: end`.
struct DocumentedCode {
  private let source, page: URL

  /// - Parameter name: of `Pages/name.swift` and `Docs/name.md`.
  init(_ name: String) {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    source = tests.appending(path: "Pages/\(name).swift")
    page = tests.deletingLastPathComponent().deletingLastPathComponent().appending(path: "Docs/\(name).md")
  }

  /// Records an issue for the first line of each block in which the two differ.
  func compare() throws {
    let (compiled, printed) = (try compiledBlocks(), try printedBlocks())
    #expect(!compiled.isEmpty && compiled.count == printed.count, "blocks compiled, blocks on the page")
    for (block, page) in zip(compiled, printed) {
      let count = max(block.lines.count, page.count)
      func line(_ lines: [String], _ index: Int) -> String { index < lines.count ? lines[index] : "(end)" }
      if let first = (0..<count).first(where: { line(block.lines, $0) != line(page, $0) }) {
        let (here, there) = (line(block.lines, first), line(page, first))
        Issue.record("\(block.name), line \(first + 1): compiled \"\(here)\", on the page \"\(there)\"")
      }
    }
  }

  /// The page's fenced blocks of a language.
  func printedBlocks(_ language: String = "swift") throws -> [[String]] {
    var blocks: [[String]] = []
    var isInside = false
    for line in try Self.lines(page) {
      if line.hasPrefix("```") {
        isInside = line == "```\(language)"
        if isInside { blocks.append([]) }
      } else if isInside {
        blocks[blocks.count - 1].append(line)
      }
    }
    return blocks
  }

  func compiledBlocks() throws -> [(name: String, lines: [String])] {
    var blocks: [(name: String, lines: [String])] = []
    var isInside = false
    for line in try Self.lines(source) {
      if let name = line.wholeMatch(of: /\s*\/\/ page: (.*)/)?.1 {
        isInside = name != "end"
        if isInside { blocks.append((String(name), [])) }
      } else if isInside {
        blocks[blocks.count - 1].lines.append(line)
      }
    }
    return blocks
  }

  private static func lines(_ file: URL) throws -> [String] {
    try String(contentsOf: file, encoding: .utf8)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }
}
