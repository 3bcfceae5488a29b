import Recurrence
import RecurrenceTesting

// Runs the battery over one cell and says what it found, one line a failure, fields apart by tabs. The caller chooses the
// mistake by RECURRENCE_MUTANT; see `run`.
//
//   MutationDriver CELL [--sets]        --sets: on every instruction set that runs here

/// What the battery of a cell finds.
private func report(_ cell: some Cell, _ options: CellCheckOptions) throws -> CheckReport {
  try CheckReport(of: cell, options)
}

private func report(_ name: String, _ options: CellCheckOptions) throws -> CheckReport? {
  switch name {
  case "RNN": try report(RNN(), options)
  case "RNN.leakyReLU": try report(RNN(Activation.leakyReLU(slope: -0.25)), options)
  case "RNN.elu": try report(RNN(Activation.elu(alpha: 1)), options)
  case "LSTM": try report(LSTM(), options)
  case "PeepholeLSTM": try report(PeepholeLSTM(), options)
  case "GRU": try report(GRU(), options)
  case "GRUResetBefore": try report(GRUResetBefore(), options)
  case "CoupledLSTM": try report(CoupledLSTM(), options)
  case "LeakyUnit": try report(LeakyUnit(), options)
  case "CoupledLSTMByHand": try report(CoupledLSTMByHand(), options)
  case "MinimalGatedUnitByHand": try report(MinimalGatedUnitByHand(), options)
  case "LeakyUnitByHand": try report(LeakyUnitByHand(), options)
  case "LightGRUByHand": try report(LightGRUByHand(), options)
  default: nil
  }
}

/// One field of a line.
private func field(_ text: String?) -> String {
  String((text ?? "").map { $0 == "\t" || $0 == "\n" ? " " : $0 })
}

@main
private struct Driver {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    let names = arguments.filter { !$0.hasPrefix("--") }
    let options = CellCheckOptions(allInstructionSets: arguments.contains("--sets"))
    guard names.count == 1, let report = try report(names.first!, options) else {
      fatalError("MutationDriver: expected the name of a cell, got \(names)")
    }
    print("problems\t\(report.problems)\t\(report.setting)")
    // The most telling comes first.
    for failure in (report.mostTelling.map { [$0] } ?? []) + report.failures {
      let fields: [String?] = [
        "failure", failure.check.rawValue, failure.precision, "\(failure.instructionSet)", failure.mismatch.location,
        failure.cause, failure.whereabouts, "\(failure.problem.shape)",
      ]
      print(fields.map(field).joined(separator: "\t"))
    }
    print("done\t\(report.seconds)")
  }
}
