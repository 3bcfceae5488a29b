import Recurrence

/// What a battery found out about a cell.
public struct CheckReport: CustomStringConvertible, Sendable {
  /// One check's results over all problems.
  public struct Line: Sendable {
    public let check: CellCheck
    /// Problems on which the law holds.
    public internal(set) var passed = 0
    /// 1 where it was broken: after its first failure a check is not run again.
    public internal(set) var failed = 0
    /// Problems of which the check could say nothing, by reason.
    public internal(set) var skipped: [String: Int] = [:]
    /// The largest error among those that passed, as a fraction of what is allowed.
    public internal(set) var worst = 0.0
  }

  /// The cell's type.
  public let cell: String
  /// The checks that were asked for, in order.
  public internal(set) var lines: [Line]
  /// The first failure of each check, in each precision.
  public internal(set) var failures: [CheckFailure] = []
  /// Problems that were drawn, over all precisions and instruction sets.
  public internal(set) var problems = 0
  /// Of the problems.
  public internal(set) var seed: UInt64 = 0
  /// Precisions and instruction sets.
  public internal(set) var setting = ""
  /// What it took.
  public internal(set) var seconds = 0.0

  /// Whether no check failed, and those that a proof cannot do without were able to say something.
  public var isPassed: Bool { failures.isEmpty && unproven == nil }

  /// Why nothing is proven though nothing failed: values or gradients could be judged on no problem at all.
  public var unproven: String? {
    for line in lines where [.values, .gradient].contains(line.check) && line.passed + line.failed == 0 {
      let reason = line.skipped.max { $0.value < $1.value }?.key ?? "no problem"
      return
        "nothing is proven: on none of \(problems) problems could “\(line.check.rawValue)” say anything (\(reason))"
    }
    return nil
  }

  /// A line for each check, then what failed.
  public var description: String {
    let width = CellCheck.allCases.map(\.rawValue.count).max()!
    var text = "\(cell): \(problems) problems, \(setting), seed \(seed), \(shortened(seconds)) s\n"
    text += "  " + "check".padded(width) + "  passed  failed  skipped  worst\n"
    for line in lines {
      let skipped = line.skipped.values.reduce(0, +)
      let worst = line.passed == 0 ? "" : line.worst == 0 ? "exact" : shortened(line.worst)
      text += "  \(line.check.rawValue.padded(width))  \("\(line.passed)".padded(-6))  \("\(line.failed)".padded(-6))"
      text += "  \("\(skipped)".padded(-7))  "
      let reasons = line.skipped.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.map { "\($0.value): \($0.key)" }
      text += reasons.isEmpty ? worst : worst.padded(8) + "skipped " + reasons.joined(separator: "; ")
      text += "\n"
    }
    text += "  worst: the largest error, as a fraction of what rounding allows"
    return isPassed ? text : text + "\n\n\(explanation)"
  }

  /// The failure that says most, in full, and where the others are. One mistake fails many checks.
  var explanation: String {
    guard let first = mostTelling else { return unproven ?? "" }
    let others = failures.filter { $0.check != first.check || $0.precision != first.precision }
    let lines = others.map { "  \($0.check.rawValue) in \($0.precision): \($0.mismatch.location), \($0.problem.shape)" }
    return lines.isEmpty ? "\(first)" : "\(first)\n\nIt fails as well:\n" + lines.joined(separator: "\n")
  }

  /// A failure with a cause before one without; the cell's own equations before the layers made of them.
  public var mostTelling: CheckFailure? {
    func rank(_ failure: CheckFailure) -> Int {
      let order: [CellCheck] = [.values, .pointwise, .gradient]
      return (failure.cause == nil ? 100 : 0) + (order.firstIndex(of: failure.check) ?? order.count)
    }
    return failures.min { rank($0) < rank($1) }
  }
}

/// Thrown where a cell fails. The description says where and, where a known mistake fits, why.
public struct CellCheckError: Error, CustomStringConvertible, Sendable {
  /// What was found.
  public let report: CheckReport
  public var description: String {
    if report.failures.isEmpty { return "\(report.cell): \(report.explanation)" }
    let checks = report.failures.map(\.check.rawValue)
    return "\(report.cell) fails \(report.failures.count) of \(report.lines.count) checks: "
      + checks.joined(separator: ", ") + "\n\n" + report.explanation
  }
}

extension String {
  /// Filled with spaces to a width: on the right, or on the left where it is negative.
  func padded(_ width: Int) -> String {
    let spaces = String(repeating: " ", count: max(0, abs(width) - count))
    return width < 0 ? spaces + self : self + spaces
  }
}
