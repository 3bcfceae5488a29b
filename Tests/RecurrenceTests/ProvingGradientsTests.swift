import Foundation
import Recurrence
import RecurrenceTesting
import Testing

/// Docs/ProvingGradients.md: its code is the code that is compiled here, and what it prints is what is printed.
@Suite("Docs/ProvingGradients.md")
struct ProvingGradientsTests {
  @Test("the page's code is the code compiled here, line by line")
  func pageIsCompiled() throws { try DocumentedCode("ProvingGradients").compare() }

  @Test("the broken cell fails as the page says, word by word")
  func broken() throws {
    let error = try #require(throws: CellCheckError.self) { try checkCell(TypedUnit.self, prints: false) }
    let printed = try #require(DocumentedCode("ProvingGradients").printedBlocks("text").first)
    // Numbers are one processor's; the words are everyone's.
    let words = Set(
      error.description.split(whereSeparator: { " \n".contains($0) }).filter { !$0.contains(where: \.isNumber) })
    let missing = printed.joined(separator: "\n").split(whereSeparator: { " \n".contains($0) })
      .filter { !$0.contains(where: \.isNumber) && !words.contains($0) }
    #expect(missing.isEmpty, "not printed: \(missing)\n\(error)")
    #expect(error.report.mostTelling?.cause == "a sign: ∂L/∂(a f) in `backward` is the negative of what it should be")
  }

  @Test("the mended cell passes") func mended() throws {
    try checkCell(MendedUnit.self, CellCheckOptions(problems: SuiteSettings.isThin ? 2 : 16), prints: false)
  }

  @Test("single checks, networks, functions, oracles") func others() throws {
    for verdict in try twoChecks(LSTM()) {
      guard case .passed = verdict else {
        Issue.record("\(verdict)")
        continue
      }
    }
    #expect(try proveClassifier().lines.count == 6)
    #expect(abs(try #require(proveFunction().order) - 2) < 0.1)
    let (near, far) = (sensitivity(steps: 2), sensitivity(steps: 40))
    #expect(abs(far.derivative) < 0.01 * abs(near.derivative))
    #expect(near.floatError > 0 && near.floatError < 1e-4 * abs(near.derivative))
  }
}
