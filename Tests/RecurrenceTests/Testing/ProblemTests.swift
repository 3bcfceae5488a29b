import Recurrence
import RecurrenceTesting
import Testing

/// Problems, their generator, and what shrinks them.
@Suite("Problems of RecurrenceTesting")
struct ProblemTests {
  @Test("a problem's numbers come from its seed, are exact in Float, and those of a smaller problem are among them")
  func operands() {
    let problem = CellProblem(steps: 3, batch: 4, inputs: 5, units: 6, layers: 2, regime: .saturating, seed: 9)
    let smaller = CellProblem(steps: 2, batch: 4, inputs: 5, units: 6, regime: .saturating, seed: 9)
    #expect(problem.input() == problem.input())
    #expect(Array(problem.input().prefix(40)) == smaller.input())
    let numbers = problem.input() + problem.initialStates(2) + problem.outputGradients() + problem.finalGradients(2)
    #expect(numbers.allSatisfy { Double(Float($0)) == $0 })
    #expect(Set(numbers).count > numbers.count - 3)
    #expect(CellProblem(steps: 3, batch: 4, inputs: 5, units: 6, seed: 10).input() != problem.input())
    #expect(problem.input().contains { abs($0) > 1 } && problem.input().allSatisfy { abs($0) <= 4 })
  }

  @Test("the generator crosses the edges of vectors, panels and tiles, and bounds the work")
  func generator() {
    let geometry = Kernels<Float>.selected.geometry
    var generator = ProblemGenerator(seed: SuiteSettings.seed, geometry: geometry, mostWork: 40_000)
    let problems = (0..<2000).map { _ in generator.next()! }
    let units = Set(problems.map(\.shape.units))
    for edge in [geometry.lanes - 1, geometry.lanes, geometry.lanes + 1, geometry.panelWidth + 1] where edge > 0 {
      #expect(units.contains(edge), "\(edge) units")
    }
    let batches = Set(problems.map(\.shape.batch))
    for edge in [geometry.tileRows - 1, geometry.tileRows, geometry.tileRows + 1, 2 * geometry.tileRows + 1] {
      #expect(batches.contains(edge), "\(edge) sequences")
    }
    #expect(problems.contains { $0.shape.lengths?.contains(0) == true })
    #expect(Set(problems.map(\.regime)) == Set(CellProblem.Regime.allCases))
    #expect(Set(problems.map(\.shape.layers)) == [1, 2, 3])
    #expect(
      problems.allSatisfy {
        let shape = $0.shape
        return shape.steps * shape.batch * shape.layers * shape.units * (shape.units + shape.inputs) <= 40_000
      })
    #expect(Set(problems.map(\.seed)).count == problems.count)
  }

  @Test("shrinking ends at a problem of which nothing can be taken away")
  func shrinking() {
    let start = CellProblem(
      steps: 7, batch: 13, inputs: 5, units: 33, layers: 3, lengths: Array(repeating: 5, count: 13),
      regime: .saturating, seed: 4)
    // Fails from three units, two sequences and a second layer on.
    func fails(_ problem: CellProblem) -> Bool {
      problem.shape.units >= 3 && problem.shape.batch >= 2 && problem.shape.layers >= 2
    }
    let smallest = Shrinking.smallest(start, fails: fails)
    #expect(smallest == CellProblem(steps: 1, batch: 2, inputs: 1, units: 3, layers: 2, seed: 4), "\(smallest)")
    #expect(Shrinking.candidates(smallest).allSatisfy { !fails($0) })
    // Only raggedness shows it.
    let ragged = Shrinking.smallest(start) { $0.shape.lengths != nil }
    #expect(ragged.shape.lengths != nil && ragged.shape.batch == 1 && ragged.shape.units == 1, "\(ragged)")
  }
}
