import Recurrence

/// A check that a cell did not pass: the smallest problem that shows it, where, by how much, and why if a known mistake
/// fits.
public struct CheckFailure: Error, CustomStringConvertible, Sendable {
  /// The cell's type.
  public let cell: String
  /// The law that is broken.
  public let check: CellCheck
  /// `Float` or `Double`.
  public let precision: String
  /// Of the kernels.
  public let instructionSet: InstructionSet
  /// The smallest problem that fails.
  public let problem: CellProblem
  /// The one that failed first.
  public let original: CellProblem
  /// What is wrong in the smallest problem.
  public let mismatch: Mismatch
  /// The known mistake that would explain it.
  public let cause: String?
  /// Which part of the tensor was wrong in the first problem, where it was a part.
  public let whereabouts: String?

  public var description: String {
    var lines = [
      "\(cell) fails “\(check.rawValue)” in \(precision) on \(instructionSet): \(check.law)",
      "  where: \(mismatch.description)",
    ]
    if let whereabouts { lines.append("  in the first problem that failed, of \(original.shape): \(whereabouts)") }
    if let cause { lines.append("  likely cause: \(cause)") }
    if problem.regime == .saturating { lines.append("  only with saturated gates: smaller operands do not show it") }
    lines.append("  smallest problem: \(problem.shape)")
    let set =
      instructionSet == KernelSelection.current.instructionSet
      ? "" : ", instructionSet: InstructionSet(rawValue: \"\(instructionSet)\")"
    lines.append("  again: try CellCheck.\(check.rawValue).verdict(of: cell, \(precision).self, on: \(problem)\(set))")
    return lines.joined(separator: "\n")
  }
}

extension CheckFailure {
  /// Shrinks a failing problem and asks for the cause.
  init<C: Cell, Scalar: RecurrenceScalar>(
    _ cell: C, _ check: CellCheck, _ kernels: Kernels<Scalar>, _ original: CellProblem, _ mismatch: Mismatch
  ) {
    func trial(_ problem: CellProblem) -> Trial<C, Scalar> { Trial(cell, problem, kernels: kernels) }
    func fails(_ problem: CellProblem) -> Mismatch? {
      if case .failed(let mismatch)? = try? check.verdict(trial(problem)) { mismatch } else { nil }
    }
    let smallest = Shrinking.smallest(original) { fails($0) != nil }
    var worst = fails(smallest) ?? mismatch
    // A direction names the tensor; the oracle knows the element.
    if worst.index == nil, case .failed(let element)? = try? CellCheck.gradient.verdict(trial(smallest)),
      element.place == worst.place || !trial(smallest).places.contains(worst.place)
    {
      worst = element
    }
    self.cell = "\(C.self)"
    self.check = check
    precision = "\(Scalar.self)"
    instructionSet = kernels.instructionSet
    problem = smallest
    self.original = original
    self.mismatch = worst
    whereabouts = Pattern.whereabouts(mismatch.place, wrong: mismatch.wrong)
    if check == .pointwise, let cell = cell as? any DifferentiatedCell {
      cause = PointwiseTrial(seed: original.seed).cause(cell)
    } else {
      cause = Self.causes(smallest, original).lazy.compactMap { Diagnosis(trial: trial($0)).cause() }.first
    }
  }

  /// Problems in which patterns show: as few steps and layers as the smallest that fails, and enough units and sequences
  /// that a pattern is no accident.
  private static func causes(_ smallest: CellProblem, _ original: CellProblem) -> [CellProblem] {
    func widened(_ steps: Int, _ regime: CellProblem.Regime) -> CellProblem {
      CellProblem(
        steps: steps, batch: 2, inputs: 3, units: 4, layers: smallest.shape.layers, regime: regime,
        seed: smallest.seed)
    }
    let steps = max(1, smallest.shape.steps)
    return [widened(steps, smallest.regime), widened(steps + 2, smallest.regime), original]
  }
}
