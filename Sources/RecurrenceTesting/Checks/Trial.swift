import Recurrence

/// A cell with one problem: what several checks share is computed once.
final class Trial<C: Cell, Scalar: RecurrenceScalar> {
  let cell: C
  let problem: CellProblem
  let kernels: Kernels<Scalar>
  let stack: RecurrentStack<C, Scalar>
  let operands: Operands<Scalar>
  let places: [TensorPlace]
  private var knownSolution: Solution<Scalar>?
  private var knownReference: Reference<C>?

  init(_ cell: C, _ problem: CellProblem, kernels: Kernels<Scalar>) {
    self.cell = cell
    self.problem = problem
    self.kernels = kernels
    let shape = problem.shape
    stack = Self.makeStack(cell, problem, kernels)
    operands = Operands(problem, states: C.states.count)
    places = TensorPlace.all(C.self, shape, stack.layout)
  }

  static func makeStack<Other: Cell>(
    _ cell: Other, _ problem: CellProblem, _ kernels: Kernels<Scalar>
  ) -> RecurrentStack<Other, Scalar> {
    let shape = problem.shape
    var stack = RecurrentStack<Other, Scalar>(
      cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, kernels: kernels)
    let values = problem.parameters(stack.layout)
    stack.parameters.values = values.map { Scalar($0) }
    return stack
  }

  var shape: ProblemShape { problem.shape }
  var layout: ParameterLayout { stack.layout }
  /// Places of the gradient of the parameters.
  var parameterPlaces: Range<Int> { 4..<places.count }
  /// Places of everything differentiated: parameters, input, initial states.
  var gradientPlaces: [Int] { Array(parameterPlaces) + [2, 3] }

  func solution() throws -> Solution<Scalar> {
    if let knownSolution { return knownSolution }
    let solution = try stack.solve(operands)
    knownSolution = solution
    return solution
  }

  /// The oracle's answer.
  func reference() -> Reference<C> {
    if let knownReference { return knownReference }
    let reference = makeReference()
    knownReference = reference
    return reference
  }

  /// The oracle's answer where some paths are cut.
  func makeReference(_ change: (inout NaiveDriver<C>) -> Void = { _ in }) -> Reference<C> {
    var driver = NaiveDriver(cell, shape, layout: layout)
    change(&driver)
    return Reference(
      driver, parameters: problem.parameters(layout), Operands(problem, states: C.states.count), judging: Scalar.self)
  }

  /// Compares the tensors of some places with the oracle's, within its error bounds.
  func compare(
    _ solution: Solution<Scalar>, _ reference: [Reference<C>.Tensor], _ chosen: [Int], _ comparison: inout Comparison
  ) {
    let tensors = solution.tensors(layout)
    for index in chosen {
      comparison.add(
        places[index], tensors[index], reference[index].values, errors: reference[index].errors)
    }
  }

  /// Compares the bits of all tensors.
  func compareBits(_ solution: Solution<Scalar>, _ source: String) throws -> CheckVerdict {
    var comparison = Comparison(source, "the plain pass")
    let expected = try self.solution().tensors(layout)
    for (place, (mine, theirs)) in zip(places, zip(solution.tensors(layout), expected)) {
      comparison.addExact(place, mine, theirs)
    }
    return comparison.verdict
  }
}

/// The first verdict that is not a pass, or the worst pass.
func first(_ verdicts: [() throws -> CheckVerdict]) throws -> CheckVerdict {
  var worst = 0.0
  for verdict in verdicts {
    switch try verdict() {
    case .passed(let ratio): worst = max(worst, ratio)
    case let other: return other
    }
  }
  return .passed(worst)
}
