import Recurrence

/// A cell with its own backward hidden: what is left is derived.
package struct DerivedCell<Base: Cell>: Cell {
  package let base: Base
  package init(_ base: Base) { self.base = base }
  package static var gates: [Gate] { Base.gates }
  package static var states: [String] { Base.states }
  package static var unitParameters: [String] { Base.unitParameters }
  package static var forgetGate: ForgetGate? { Base.forgetGate }
  package func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { base.step(input) }
  package func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { base.operand(input) }
}

extension Trial {
  /// The fused kernels, or the backward written by hand, against the gradient derived from `step`.
  func derived() -> CheckVerdict {
    guard cell is any DifferentiatedCell || cell is RNN<Activation> else {
      return .skipped("the cell has no backward of its own")
    }
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    let derived = Self.makeStack(DerivedCell(cell), problem, kernels)
    guard let other = try? derived.solve(operands), let mine = try? solution() else {
      return .skipped("the derived cell cannot be run")
    }
    var comparison = Comparison("the cell's own backward", "the derived one")
    let (found, expected) = (mine.tensors(layout), other.tensors(layout))
    for index in gradientPlaces {
      comparison.add(
        places[index], found[index], expected[index].map { Double($0) }, errors: reference.tensors[index].errors,
        slack: 4)
    }
    return comparison.verdict
  }

  func linearity() throws -> CheckVerdict {
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    let solution = try solution().tensors(layout)
    let zero = try stack.solve(operands.scaled(0)).tensors(layout)
    for index in gradientPlaces {
      if let position = zero[index].firstIndex(where: { $0 != 0 }) {
        return .failed(
          Mismatch(
            place: places[index], index: position, found: Double(zero[index][position]), expected: 0, tolerance: 0,
            wrong: zero[index].indices.filter { zero[index][$0] != 0 }, sources: ("of a loss of weight 0", "linearity"),
            values: (zero[index].map { Double($0) }, zero[index].map { _ in 0 })))
      }
    }
    var exact = Comparison("Jᵀ(2u)", "2Jᵀu")
    let double = try stack.solve(operands.scaled(2)).tensors(layout)
    // What underflows in one and not in the other.
    let least = Double(Scalar.leastNormalMagnitude) * 1e6
    for index in gradientPlaces {
      exact.add(
        places[index], double[index], solution[index].map { 2 * Double($0) },
        errors: solution[index].map { _ in least }, slack: 1)
    }
    if exact.mismatch != nil { return exact.verdict }

    let other = Operands<Scalar>(problem.reseeded(77), states: C.states.count)
    var (w, sum) = (operands, operands)
    (w.outputGradients, w.finalGradients) = (other.outputGradients, other.finalGradients)
    sum.outputGradients = zip(operands.outputGradients, w.outputGradients).map { $0 + $1 }
    sum.finalGradients = zip(operands.finalGradients, w.finalGradients).map { $0 + $1 }
    let (second, both) = (try stack.solve(w).tensors(layout), try stack.solve(sum).tensors(layout))
    let otherErrors = reference.pullBack(Operands(problem.reseeded(77), states: C.states.count))
    var comparison = Comparison("Jᵀ(u + w)", "Jᵀu + Jᵀw")
    for index in gradientPlaces {
      comparison.add(
        places[index], both[index], zip(solution[index], second[index]).map { Double($0) + Double($1) },
        errors: zip(reference.tensors[index].errors, otherErrors[index].errors).map { $0 + $1 }, slack: 6)
    }
    return comparison.verdict
  }
}
