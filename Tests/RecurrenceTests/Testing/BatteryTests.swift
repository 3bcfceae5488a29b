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
      silent = cell is any DifferentiatedCell ? [] : [.pointwise]
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
      problems: SuiteSettings.isThin ? 1 : 6, seed: SuiteSettings.seed, allInstructionSets: !SuiteSettings.isThin)
    let report = try CheckReport(of: RNN(activation), options)
    #expect(report.isPassed, "\(report)")
  }
}
