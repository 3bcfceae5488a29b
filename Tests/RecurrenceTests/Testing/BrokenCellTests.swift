import Recurrence
import RecurrenceTesting
import Testing

/// What a user is told of a mistake.
@Suite("Broken cells")
struct BrokenCellTests {
  private func find(
    _ mistake: BrokenCell.Mistake, _ checks: [CellCheck] = CellCheck.allCases
  ) throws -> CheckFailure? {
    let report = try CheckReport(
      of: BrokenCell(mistake: mistake), CellCheckOptions(problems: 8, seed: SuiteSettings.seed, checks: checks))
    #expect(report.isPassed == (report.mostTelling == nil))
    return report.mostTelling
  }

  @Test("the right one passes") func right() throws {
    #expect(try find(.none)?.description == nil)
  }

  @Test(
    "each mistake is found, named and explained",
    arguments: [
      (BrokenCell.Mistake.factor(-1), "a sign: ∂L/∂(a f) in `backward`"),
      (.factor(2), "a factor: ∂L/∂(a f) in `backward` is 2 times"),
      (.factor(0.999), "a factor: ∂L/∂(a f) in `backward` is 0.999 times"),
      (.factor(0), "a term is missing: ∂L/∂(a f) in `backward` is zero"),
      (.swapped, "swapped: ∂L/∂(a g) in `backward` and that of o"),
      (.lostCarry, "a term is missing: ∂L/∂(state c) in `backward` is zero"),
      (.lostArrival, "a term: what ∂L/∂(a f) in `backward` makes of ∂L/∂c_t"),
      (.saturated, "saturation: ∂L/∂(a o) in `backward` is wrong only where the pre-activation of o is beyond ±8"),
    ])
  func mistakes(_ mistake: BrokenCell.Mistake, _ cause: String) throws {
    let failure = try #require(try find(mistake))
    #expect(failure.cause?.contains(cause) == true, "\(failure)")
  }

  @Test("a derivative of the wrong argument is found") func derivative() throws {
    let failure = try #require(try find(.derivativeOfOutput))
    #expect(failure.check == .pointwise)
  }

  @Test("a wrong total is found, though no gradient is wrong") func total() throws {
    let failure = try #require(try find(.total))
    #expect(failure.check == .pointwise && failure.mismatch.location.contains("totalGradients"), "\(failure)")
    #expect(try find(.total, [.gradient, .derived]) == nil)
  }

  @Test("a forward that is not the step is found by its values") func forward() throws {
    let failure = try #require(try find(.otherForward, [.values]))
    #expect(["outputs", "final states"].contains(failure.mismatch.place.name), "\(failure)")
    #expect(try find(.otherForward, [.pointwise]) != nil)
  }

  @Test(
    "every check of a gradient finds a wrong sign by itself",
    arguments: [
      CellCheck.gradient, .adjoint, .differences, .jacobian, .taylor, .pointwise, .derived, .truncation,
    ])
  func alone(_ check: CellCheck) throws {
    let failure = try #require(try find(.factor(-1), [check]))
    #expect(failure.check == check)
    // The smallest problem that shows it: a truncated gradient needs two windows.
    #expect(failure.problem.shape.steps <= 2 && failure.problem.shape.units <= 2, "\(failure)")
    #expect(failure.problem.shape.batch == 1 && failure.problem.shape.layers == 1, "\(failure)")
    #expect(failure.mismatch.location.contains(" f"), "\(failure)")
  }

  @Test("the line that is printed makes the failure again") func again() throws {
    let failure = try #require(try find(.factor(-1), [.gradient]))
    let text = failure.problem.description
    #expect(text.hasPrefix("CellProblem(steps: 1, batch: 1, inputs: 1, units: 1") && text.contains("seed: "))
    let verdict = try CellCheck.gradient.verdict(
      of: BrokenCell(mistake: .factor(-1)), Double.self, on: failure.problem)
    guard case .failed(let mismatch) = verdict else { return #expect(Bool(false), "passes") }
    #expect(mismatch.found == failure.mismatch.found && mismatch.expected == failure.mismatch.expected)
    #expect(abs(mismatch.found + mismatch.expected) < 1e-12)
  }

  @Test("a check that throws says everything in its description") func thrown() throws {
    let error = try #require(throws: CellCheckError.self) {
      try checkCell(BrokenCell(mistake: .factor(-1)), CellCheckOptions(problems: 4), prints: false)
    }
    let text = error.description
    for part in ["BrokenCell fails", "pointwise", "likely cause: a sign", "smallest problem", "again: try CellCheck."] {
      #expect(text.contains(part), "\(part) is not in:\n\(text)")
    }
  }
}
