import Recurrence
import RecurrenceTesting
import Testing

/// Every cell of the suite through every check of `RecurrenceTesting`, in both precisions, on every instruction set.
///
/// Problems are random. `RECURRENCE_TEST_PROBLEMS=n` runs n of them for each cell, precision and instruction set.
@Suite("The battery of checks")
struct BatteryTests {
  /// A cell, its type hidden.
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Checks that have nothing to say about this cell.
    let silent: Set<CellCheck>
    let report: @Sendable (CellCheckOptions) throws -> CheckReport

    init<C: Cell>(_ cell: C, _ name: String? = nil) {
      testDescription = name ?? "\(C.self)"
      let hasBackward = cell is any DifferentiatedCell || cell is RNN<Activation>
      silent = cell is any DifferentiatedCell ? [] : hasBackward ? [.pointwise] : [.pointwise, .derived]
      report = { try CheckReport(of: cell, $0) }
    }
  }

  static let cases = [
    Case(RNN()), Case(RNN.relu, "RNN, ReLU"), Case(RNN(Activation.elu), "RNN, ELU"), Case(RNN(Swish()), "RNN, Swish"),
    Case(LSTM()), Case(PeepholeLSTM()), Case(GRU()), Case(GRUResetBefore()), Case(LinearCell()), Case(BusyCell()),
    Case(LateCell()),
  ]

  @Test("no cell fails, and every check says something", arguments: cases)
  func battery(_ test: Case) throws {
    let options = CellCheckOptions(
      problems: SuiteSettings.problems, seed: SuiteSettings.seed, allInstructionSets: !SuiteSettings.isThin)
    let report = try test.report(options)
    #expect(report.isPassed, "\(report)")
    if !SuiteSettings.isThin {
      for line in report.lines where !test.silent.contains(line.check) {
        #expect(line.passed > 0, "\(line.check) said nothing:\n\(report)")
      }
    }
  }

  @Test("functions of the library as φ of an RNN", arguments: Activation.standard.map(\.description))
  func activations(_ name: String) throws {
    let activation = Activation.standard.first { $0.description == name }!
    let options = CellCheckOptions(
      problems: SuiteSettings.isThin ? 2 : 6, seed: SuiteSettings.seed, allInstructionSets: !SuiteSettings.isThin)
    let report = try CheckReport(of: RNN(activation), options)
    #expect(report.isPassed, "\(report)")
  }

  /// Constants of the equations as results and as factors whose complement Float does not have.
  struct Constants: Cell {
    static let gates: [Gate] = ["a"]
    static let states = ["h", "floor", "limited"]
    func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
      let rate: V = 0.999
      let h = rate * input.states[0] + (1 - rate) * tanh(input.gates[0])
      return Planes(h, maximum(0.1 * input.states[1], 0.1), minimum(maximum(input.gates[0], -0.3), 0.7))
    }
  }

  /// 0 / 0 in every step.
  struct NotANumber: Cell {
    static let gates: [Gate] = ["a"]
    func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
      Planes((input.gates[0] - input.gates[0]) / (input.gates[0] - input.gates[0]))
    }
  }

  /// Two equal numbers compared in every step, and a backward that is seven times what it should be.
  struct AlwaysAtAKink: DifferentiatedCell {
    static let gates: [Gate] = ["a"]
    static let savedPlanes = 0
    func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
      (Planes(tanh(maximum(input.gates[0], input.gates[0] * 3 / 3))), Planes())
    }
    func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
      CellGradients(gates: Planes(7 * input.gradients[0]))
    }
  }

  @Test("constants of Float are Float's") func constants() throws {
    try checkCell(Constants.self, CellCheckOptions(problems: 6, seed: SuiteSettings.seed), prints: false)
  }

  @Test("a cell of which nothing can be said does not pass") func nothingSaid() throws {
    func complaint<C: Cell>(_ cell: C) throws -> String {
      try #require(throws: CellCheckError.self) {
        try checkCell(cell, CellCheckOptions(problems: 2, seed: SuiteSettings.seed), prints: false)
      }.description
    }
    #expect(try complaint(NotANumber()).contains("nothing is proven"))
    #expect(try complaint(AlwaysAtAKink()).contains("nothing is proven"))
  }
}
