import Foundation
import Testing

/// Docs/Training.md: its code is the code that is compiled here, and does what the page says.
@Suite("Docs/Training.md")
struct TrainingPageTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  private static let root = folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  private static let page = root.appending(path: "Docs/Training.md")

  private static func lines(_ file: URL) throws -> [String] {
    try String(contentsOf: file, encoding: .utf8)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  /// The lines between one that `begins` accepts and the next that `ends` does, each time.
  private static func blocks(
    _ lines: [String], from begins: (String) -> Bool, to ends: (String) -> Bool
  ) -> [[String]] {
    var blocks: [[String]] = []
    var isInside = false
    for line in lines {
      if isInside && ends(line) {
        isInside = false
      } else if isInside {
        blocks[blocks.count - 1].append(line)
      } else if begins(line) {
        isInside = true
        blocks.append([])
      }
    }
    return blocks
  }

  @Test("the page's code is the code compiled here, line by line") func pageIsCompiled() throws {
    let source = try Self.lines(Self.folder.appending(path: "TrainingPage.swift"))
    let compiled = Self.blocks(source, from: { $0.hasPrefix("// page: ") }, to: { $0 == "// page: end" })
    let printed = Self.blocks(try Self.lines(Self.page), from: { $0 == "```swift" }, to: { $0 == "```" })
    #expect(compiled == printed)
    #expect(compiled.count == 2)
  }

  @Test("the files that the page links exist") func linksLead() throws {
    let text = try String(contentsOf: Self.page, encoding: .utf8)
    let links = text.matches(of: /\]\(([^)#: ]+)\)/).map { String($0.1) }
    #expect(links.count > 5)
    for link in links where link != "Initialization.md" {
      let file = Self.page.deletingLastPathComponent().appending(path: link)
      #expect(FileManager.default.fileExists(atPath: file.path), "\(link)")
    }
  }

  @Test("the example learns a text that repeats itself, and continues it") func exampleLearns() throws {
    let phrase: [Int32] = [0, 3, 1, 4, 1, 5, 2, 6, 5, 3, 5]
    let text = (0..<2000).map { phrase[$0 % phrase.count] }
    let (network, losses) = try train(on: text, symbols: 7, updates: 150)
    #expect(losses.count == 150 && losses[0] > 1.7 && losses[149] < 0.1, "\(losses[0]) to \(losses[149])")
    let logits = try logits(of: network, after: phrase + phrase.prefix(6))
    #expect(logits.firstIndex(of: logits.max()!) == 2)
  }
}
