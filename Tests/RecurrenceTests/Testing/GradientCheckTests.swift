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

  @Test("where a function has a kink nothing is said") func kink() throws {
    let report = try checkGradient(
      at: [0x1p-12], seed: SuiteSettings.seed, value: { abs($0[0]) }, gradient: { _ in [1] })
    #expect(report.lines[0].tolerance == nil)
  }
}
