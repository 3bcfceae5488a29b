import Recurrence

/// What a battery runs. Without problems, checks or precisions it traps with a sentence.
public struct CellCheckOptions: Sendable {
  /// Random problems for each precision and instruction set.
  public var problems: Int
  /// The same seed gives the same problems on every processor with the same vector length.
  public var seed: UInt64
  /// In this order, each once.
  public var checks: [CellCheck]
  /// Scalar types that passes run in.
  public var precisions: Set<Precision>
  /// Every instruction set that runs here, or the one that this process uses.
  public var allInstructionSets: Bool
  /// Bound on T·B·L·H·(H + I) of a problem; the time of a check grows with it.
  public var mostWork: Int

  /// A scalar type.
  public enum Precision: String, Hashable, Sendable, CaseIterable { case float = "Float", double = "Double" }

  public init(
    problems: Int = 24, seed: UInt64 = 1, checks: [CellCheck] = CellCheck.allCases,
    precisions: Set<Precision> = [.float, .double], allInstructionSets: Bool = false, mostWork: Int = 40_000
  ) {
    self.problems = problems
    self.seed = seed
    self.checks = checks
    self.precisions = precisions
    self.allInstructionSets = allInstructionSets
    self.mostWork = mostWork
  }

  fileprivate func check() {
    if problems < 1 { fatalError("problems: expected at least 1, got \(problems)") }
    if checks.isEmpty { fatalError("checks: expected at least one") }
    if precisions.isEmpty { fatalError("precisions: expected at least one") }
  }
}

/// Runs the whole battery over a cell, prints a table, and throws where a check fails.
///
///     try checkCell(MyCell.self)
///
/// Works from any test framework: it reports by its result and by throwing.
///
/// - Parameters:
///   - type: a cell without stored properties; of others give a value.
///   - prints: whether to print the table.
///
/// Throws `CellCheckError`, whose description says where, by how much, and what the likely cause is.
@discardableResult
public func checkCell<C: Cell>(
  _ type: C.Type, _ options: CellCheckOptions = CellCheckOptions(), prints: Bool = true
) throws -> CheckReport {
  guard MemoryLayout<C>.size == 0 else {
    fatalError("checkCell: \(C.self) has stored properties; expected a value: checkCell(\(C.self)(…))")
  }
  // A value without stored properties has no bits that could be wrong.
  return try checkCell(unsafe unsafeBitCast((), to: C.self), options, prints: prints)
}

/// As above, for a value of a cell.
@discardableResult
public func checkCell<C: Cell>(
  _ cell: C, _ options: CellCheckOptions = CellCheckOptions(), prints: Bool = true
) throws -> CheckReport {
  let report = try CheckReport(of: cell, options)
  if prints { print(report) }
  if !report.isPassed { throw CellCheckError(report: report) }
  return report
}

extension CheckReport {
  /// Runs the battery and returns what it found; failures are values.
  public init<C: Cell>(of cell: C, _ options: CellCheckOptions = CellCheckOptions()) throws {
    self.init(cell: "\(C.self)", lines: options.checks.map { Line(check: $0) })
    seed = options.seed
    let names = options.precisions.map(\.rawValue).sorted().joined(separator: " and ")
    options.check()
    setting =
      names + " on "
      + (options.allInstructionSets
        ? Processor.current.supportedInstructionSets.map(\.description).joined(separator: ", ")
        : KernelSelection.current.instructionSet.description)
    let start = ContinuousClock.now
    if options.precisions.contains(.double) { try run(cell, Double.self, options) }
    if options.precisions.contains(.float) { try run(cell, Float.self, options) }
    seconds = (ContinuousClock.now - start) / .seconds(1)
  }

  private init(cell: String, lines: [Line]) {
    self.cell = cell
    self.lines = lines
  }

  private mutating func run<C: Cell, Scalar: RecurrenceScalar>(
    _ cell: C, _: Scalar.Type, _ options: CellCheckOptions
  ) throws {
    for kernels in options.allInstructionSets ? Kernels<Scalar>.supported : [.selected] {
      var generator = ProblemGenerator(
        seed: options.seed, geometry: kernels.geometry, mostWork: options.mostWork)
      for _ in 0..<options.problems {
        try run(Trial(cell, generator.next()!, kernels: kernels))
      }
    }
  }

  private mutating func run<C: Cell, Scalar: RecurrenceScalar>(_ trial: Trial<C, Scalar>) throws {
    problems += 1
    // A check that has failed has said what it has to say.
    for index in lines.indices where lines[index].failed == 0 {
      let check = lines[index].check
      if !check.isForFloat && Scalar.self == Float.self { continue }
      switch try check.verdict(trial) {
      case .passed(let ratio):
        lines[index].passed += 1
        lines[index].worst = max(lines[index].worst, ratio)
      case .skipped(let reason): lines[index].skipped[reason, default: 0] += 1
      case .failed(let mismatch):
        lines[index].failed += 1
        failures.append(CheckFailure(trial.cell, check, trial.kernels, trial.problem, mismatch))
      }
    }
  }
}
