import Recurrence
import RecurrenceTesting
import Testing

/// Gradients of whole networks with their losses, and of functions that are no network at all.
@Suite("Gradients by differences")
struct GradientCheckTests {
  private struct Networks: CellVisitor {
    private(set) var count = 0
    mutating func visit<C: Cell>(_ cell: C) throws {
      let shapes = NetworkShape.all.enumerated().filter { !SuiteSettings.isThin || $0.offset % 9 == 0 }
      for (stream, shape) in shapes {
        for kernels in SuiteSettings.isThin ? [.selected] : Kernels<Double>.supported {
          try visit(cell, shape, stream, kernels)
        }
      }
    }

    private mutating func visit<C: Cell>(
      _ cell: C, _ shape: NetworkShape, _ stream: Int, _ kernels: Kernels<Double>
    ) throws {
      var random = SeededRandom(stream: stream)
      let network: SequenceNetwork<C, Double> = shape.network(cell, kernels)
      let problem = NetworkProblem<Double>(shape, states: C.states.count, &random)
      var states = network.recurrent.makeStates(batch: shape.batch)
      states.values = problem.initial
      let report = try checkGradient(
        of: network, problem.input, targets: problem.targets, steps: shape.steps, batch: shape.batch,
        readout: shape.readout, lengths: shape.lengths, weights: problem.weights, states: states, threads: 2,
        seed: SuiteSettings.seed)
      #expect(report.lines.allSatisfy { $0.tolerance != nil }, "\(kernels.label): \(report)")
      count += report.lines.count
    }
  }

  @Test("every cell, loss, readout and input: each tensor's slope is the loss's difference") func networks() throws {
    var visitor = Networks()
    try forEachSmoothCell(&visitor)
    #expect(visitor.count > (SuiteSettings.isThin ? 50 : 500))
  }

  private static func value(_ x: [Double]) -> Double { x[0] * x[0] * x[1] + x[2] * x[2] * x[2] }
  private static func gradient(_ x: [Double]) -> [Double] { [2 * x[0] * x[1], x[0] * x[0], 3 * x[2] * x[2]] }

  @Test("a function's gradient, right and wrong") func functions() throws {
    let point = [0.7, -1.1, 0.4]
    let report = try checkGradient(at: point, value: Self.value, gradient: Self.gradient)
    #expect(abs(try #require(report.order) - 2) < 0.1)
    let parts = [GradientPart("first", 0..<2), GradientPart("second", 2..<3)]
    let error = try #require(throws: GradientCheckError.self) {
      try checkGradient(
        at: point, parts: parts, value: Self.value,
        gradient: { Self.gradient($0).enumerated().map { $0.offset < 2 ? -$0.element : $0.element } })
    }
    let text = error.description
    #expect(text.contains("first[") && text.contains("a sign") && text.contains("WRONG"), "\(text)")
    #expect(error.report.lines.map(\.isWrong) == [true, false])
    #expect(abs(try #require(error.report.order) - 1) < 0.1)
  }

  @Test("where a function has a kink nothing is said, and nothing said is nothing proven")
  func kink() throws {
    let error = try #require(throws: GradientCheckError.self) {
      try checkGradient(at: [0x1p-20], seed: SuiteSettings.seed, value: { abs($0[0]) }, gradient: { _ in [1] })
    }
    #expect(error.report.lines[0].tolerance == nil && error.report.lines[0].doubt?.contains("kink") == true)
    #expect(error.description.contains("nothing is proven"))
  }

  @Test("what is not finite fails, and names its element")
  func notFinite() throws {
    func failure(_ value: Double, _ gradient: [Double]) throws -> String? {
      let error = try #require(throws: GradientCheckError.self) {
        try checkGradient(
          at: [1, 2, 3], parts: [GradientPart("a", 0..<2), GradientPart("b", 2..<3)],
          value: { $0[0] * $0[1] + $0[2] + value }, gradient: { _ in gradient })
      }
      return error.report.failure
    }
    #expect(try failure(0, [2, 1, .nan]) == "b[0]: the gradient gives nan, expected a finite number")
    #expect(try failure(0, [2, .infinity, 1]) == "a[1]: the gradient gives inf, expected a finite number")
    #expect(try failure(.nan, [2, 1, 1]) == "the value is nan, expected a finite number")
  }

  @Test("large variables, small and rounded losses are held to what their digits can tell")
  func scales() throws {
    func passes(_ factor: Double, _ x: Double, _ offset: Double = 0) -> Bool {
      (try? checkGradient(
        at: [x], seed: SuiteSettings.seed, value: { $0[0] * $0[0] + offset }, gradient: { [factor * 2 * $0[0]] }))
        != nil
    }
    for x in [1e12, 1, 1e-3] {
      #expect(passes(1, x), "\(x)")
      #expect(!passes(-1, x) && !passes(0, x), "\(x)")
    }
    // Beside 10⁸ nothing is left of it: neither right nor wrong is proven.
    #expect(!passes(1, 1e-3, 1e8) && !passes(-1, 1e-3, 1e8))
    for seed in 1...20 as ClosedRange<UInt64> {
      try checkGradient(
        at: [0.7, 0.4], seed: seed, value: { Double(Float($0[0] * $0[0] + $0[1])) }, gradient: { [2 * $0[0], 1] })
    }
  }
}
