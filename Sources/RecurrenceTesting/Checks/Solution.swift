import Recurrence

/// Everything that a forward and a backward pass give.
struct Solution<Scalar: RecurrenceScalar> {
  var outputs: [Scalar]
  var final: [Scalar]
  var inputGradients: [Scalar]
  var initialGradients: [Scalar]
  /// The flat vector of ∂L/∂parameters.
  var gradient: [Scalar]

  /// Values of the tensors of `TensorPlace.all`.
  func tensors(_ layout: ParameterLayout) -> [[Scalar]] {
    [outputs, final, inputGradients, initialGradients] + layout.tensors.map { Array(gradient[$0.range]) }
  }
}

/// How a pass is made; no way may show in the bits.
struct SolutionPath {
  var threads = 1
  /// Steps that the tape keeps.
  var keeping: Int?
  /// Fills all memory with NaN before the pass.
  var isPoisoned = false
}

/// The operands of a problem in the scalar type of a stack.
struct Operands<Scalar: RecurrenceScalar> {
  var shape: ProblemShape
  var x: [Scalar]
  var initial: [Scalar]
  var outputGradients: [Scalar]
  var finalGradients: [Scalar]

  init(_ problem: CellProblem, states: Int) {
    shape = problem.shape
    x = problem.input().map { Scalar($0) }
    initial = problem.initialStates(states).map { Scalar($0) }
    outputGradients = problem.outputGradients().map { Scalar($0) }
    finalGradients = problem.finalGradients(states).map { Scalar($0) }
  }

  /// The weights of the loss, multiplied.
  func scaled(_ factor: Scalar) -> Operands {
    var other = self
    other.outputGradients = outputGradients.map { $0 * factor }
    other.finalGradients = finalGradients.map { $0 * factor }
    return other
  }
}

extension RecurrentStack {
  /// Forward and backward; even the smallest work is split between threads.
  func solve(_ operands: Operands<Scalar>, _ path: SolutionPath = SolutionPath()) throws -> Solution<Scalar> {
    let shape = operands.shape
    var tape = makeTape(
      steps: shape.steps, batch: shape.batch, threads: path.threads, ragged: shape.lengths != nil,
      keeping: path.keeping, smallestSplit: 0)
    if path.isPoisoned { tape.poison() }
    return try solve(operands, tape: &tape)
  }

  func solve(_ operands: Operands<Scalar>, tape: inout Tape<Scalar>) throws -> Solution<Scalar> {
    let shape = operands.shape
    var states = makeStates(batch: shape.batch)
    states.values = operands.initial
    // What a pass leaves unwritten shows as NaN.
    var outputs = [Scalar](repeating: .nan, count: shape.steps * shape.batch * units)
    try forward(
      operands.x, steps: shape.steps, batch: shape.batch, lengths: shape.lengths, states: &states, outputs: &outputs,
      tape: &tape)
    let final = states.values
    states.values = operands.finalGradients
    var gradient = makeGradient()
    var inputGradients = [Scalar](repeating: .nan, count: operands.x.count)
    try backward(
      operands.x, outputGradients: .everyStep(operands.outputGradients), stateGradients: &states, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
    return Solution(
      outputs: outputs, final: final, inputGradients: inputGradients, initialGradients: states.values,
      gradient: gradient.values)
  }

  /// A forward pass alone.
  func run(
    _ operands: Operands<Scalar>, threads: Int = 1, isPoisoned: Bool = false
  ) throws -> (outputs: [Scalar], final: [Scalar]) {
    let shape = operands.shape
    var workspace = makeWorkspace(
      steps: shape.steps, batch: shape.batch, threads: threads, ragged: shape.lengths != nil, smallestSplit: 0)
    if isPoisoned { workspace.poison() }
    var states = makeStates(batch: shape.batch)
    states.values = operands.initial
    var outputs = [Scalar](repeating: .nan, count: shape.steps * shape.batch * units)
    try forward(
      operands.x, steps: shape.steps, batch: shape.batch, lengths: shape.lengths, states: &states, outputs: &outputs,
      workspace: &workspace)
    return (outputs, states.values)
  }
}
