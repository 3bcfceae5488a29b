import Recurrence
import RecurrenceTesting
import Testing

/// Random operands of a forward and a backward pass, in Double: every scalar type gets the same numbers, rounded.
struct SequenceProblem: Sendable {
  let shape: ProblemShape
  let states: Int
  var x: [Double]
  /// [S, L, B, H].
  var initial: [Double]
  /// [T, B, H].
  var outputGradients: [Double]
  /// [S, L, B, H].
  var finalGradients: [Double]

  init(_ shape: ProblemShape, states: Int, random: inout SeededRandom) {
    self.shape = shape
    self.states = states
    let stateCount = states * shape.layers * shape.batch * shape.units
    // Floats, so that both scalar types see the same problem.
    x = random.array(shape.steps * shape.batch * shape.inputs, .uniform, of: Float.self).map(Double.init)
    initial = random.array(stateCount, .uniform, of: Float.self).map(Double.init)
    outputGradients = random.array(shape.steps * shape.batch * shape.units, .uniform, of: Float.self).map(Double.init)
    finalGradients = random.array(stateCount, .uniform, of: Float.self).map(Double.init)
  }
}

extension SequenceProblem {
  init(
    _ shape: ProblemShape, states: Int, x: [Double], initial: [Double], outputGradients: [Double],
    finalGradients: [Double]
  ) {
    self.shape = shape
    self.states = states
    self.x = x
    self.initial = initial
    self.outputGradients = outputGradients
    self.finalGradients = finalGradients
  }
}

/// Everything that a forward and a backward pass give.
struct SequenceResult<Scalar: TestScalar>: Equatable {
  var outputs: [Scalar]
  var final: [Scalar]
  var gradient: [Scalar]
  var inputGradients: [Scalar]
  var initialGradients: [Scalar]

  var tensors: [(name: String, values: [Scalar])] {
    [
      ("outputs", outputs), ("final states", final), ("parameter gradient", gradient),
      ("input gradient", inputGradients), ("initial state gradient", initialGradients),
    ]
  }

  /// Names of the tensors whose bits differ.
  func differences(from other: Self) -> [String] {
    zip(tensors, other.tensors).compactMap { mine, theirs in
      mine.values.map(\.wideBits) == theirs.values.map(\.wideBits) ? nil : mine.name
    }
  }
}

/// How a problem is run; no way may show in the bits.
struct SequencePath: Sendable {
  var threads = 1
  /// Steps that the tape keeps.
  var keeping: Int?
  /// Fills the tape's memory with NaN before the pass.
  var poison = false
}

extension RecurrentStack where Scalar: TestScalar {
  /// Forward and backward over a problem, splitting the smallest work between threads too.
  func solve(_ problem: SequenceProblem, _ path: SequencePath = SequencePath()) throws -> SequenceResult<Scalar> {
    let shape = problem.shape
    var tape = makeTape(
      steps: shape.steps, batch: shape.batch, threads: path.threads, ragged: shape.lengths != nil,
      keeping: path.keeping, smallestSplit: 0)
    if path.poison { tape.poison() }
    return try solve(problem, tape: &tape)
  }

  func solve(_ problem: SequenceProblem, tape: inout Tape<Scalar>) throws -> SequenceResult<Scalar> {
    let shape = problem.shape
    let x = problem.x.map { Scalar($0) }
    var states = makeStates(batch: shape.batch)
    states.values = problem.initial.map { Scalar($0) }
    var outputs = [Scalar](repeating: .nan, count: shape.steps * shape.batch * units)
    try forward(
      x, steps: shape.steps, batch: shape.batch, lengths: shape.lengths, states: &states, outputs: &outputs,
      tape: &tape)
    let final = states.values
    states.values = problem.finalGradients.map { Scalar($0) }
    var gradient = makeGradient()
    var inputGradients = [Scalar](repeating: .nan, count: x.count)
    try backward(
      x, outputGradients: .everyStep(problem.outputGradients.map { Scalar($0) }), stateGradients: &states,
      gradient: &gradient, inputGradients: &inputGradients, tape: &tape)
    return SequenceResult(
      outputs: outputs, final: final, gradient: gradient.values, inputGradients: inputGradients,
      initialGradients: states.values)
  }
}

/// max|Δ| / max|reference|; 0 for empty tensors, infinite where one has a NaN that the other has not.
func relativeError<Scalar: TestScalar>(_ values: [Scalar], _ reference: [Double]) -> Double {
  guard values.count == reference.count else { return .infinity }
  var difference = 0.0
  var largest = 0.0
  for (value, expected) in zip(values, reference) {
    let delta = abs(Double(value) - expected)
    if delta.isNaN { return .infinity }
    difference = max(difference, delta)
    largest = max(largest, abs(expected))
  }
  return difference == 0 ? 0 : difference / max(largest, 1e-30)
}
