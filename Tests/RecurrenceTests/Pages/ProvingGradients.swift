// The code of Docs/ProvingGradients.md, block by block between the markers. `ProvingGradientsTests` compares it with the
// page, and runs it.

// page: the cell
import Recurrence
import RecurrenceTesting

/// The strongly typed unit of Balduzzi and Ghifary (2016): h_t = f ⊙ h_{t−1} + (1 − f) ⊙ z, with a backward by hand.
struct TypedUnit: DifferentiatedCell {
  static let gates: [Gate] = ["z", "f"]
  static let savedPlanes = 2

  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let (z, f) = (tanh(input.gates[0]), sigmoid(input.gates[1]))
    return (Planes(f * input.states[0] + (1 - f) * z), Planes(z, f))
  }

  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (z, f, δh) = (input.saved[0], input.saved[1], input.gradients[0])
    let δz = δh * (1 - f) * (1 - z * z)
    let δf = δh * (z - input.previous[0]) * f * (1 - f)
    return CellGradients(gates: Planes(δz, δf), previous: Planes(δh * f))
  }
}
// page: end

/// The same with the sign that the page finds wrong put right.
struct MendedUnit: DifferentiatedCell {
  static let gates: [Gate] = ["z", "f"]
  static let savedPlanes = 2

  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    TypedUnit().forward(input)
  }

  // page: mended
  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (z, f, δh) = (input.saved[0], input.saved[1], input.gradients[0])
    let δz = δh * (1 - f) * (1 - z * z)
    let δf = δh * (input.previous[0] - z) * f * (1 - f)
    return CellGradients(gates: Planes(δz, δf), previous: Planes(δh * f))
  }
  // page: end
}

// page: one check
/// Two checks of one problem: the gradient in Float, element by element, and threads in Double.
func twoChecks<C: Cell>(_ cell: C) throws -> [CheckVerdict] {
  let problem = CellProblem(steps: 9, batch: 13, inputs: 5, units: 17, layers: 2, seed: 4)
  return [
    try CellCheck.gradient.verdict(of: cell, Float.self, on: problem),
    try CellCheck.threads.verdict(of: cell, on: problem),
  ]
}
// page: end

// page: network
/// A classifier of three symbols into two classes, its whole gradient by differences of the loss.
func proveClassifier() throws -> GradientReport {
  let network = SequenceNetwork<GRU, Double>(GRU(), symbols: 3, embedding: 4, units: 5, outputs: 2, seed: 1)
  return try checkGradient(
    of: network, .symbols([0, 1, 2, 2, 1, 0, 1, 1]), targets: .classes([0, 1]), steps: 4, batch: 2,
    readout: .lastStep)
}
// page: end

// page: function
/// Whatever has a value and a gradient: L = Σ (x_k − k)⁴.
func proveFunction() throws -> GradientReport {
  try checkGradient(
    at: [0.5, -1, 3],
    value: { x in x.enumerated().reduce(0) { $0 + pow4($1.element - Double($1.offset)) } },
    gradient: { x in x.enumerated().map { 4 * cube($0.element - Double($0.offset)) } })
}
func cube(_ x: Double) -> Double { x * x * x }
func pow4(_ x: Double) -> Double { x * cube(x) }
// page: end

// page: oracles
/// How h of the last step of a naive run moves with the input of the first, and how far rounding in Float may be off:
/// ∂h_T[0]/∂x_1[0], for T steps of one sequence.
func sensitivity(steps: Int) -> (derivative: Double, floatError: Double) {
  let problem = CellProblem(steps: steps, batch: 1, inputs: 1, units: 3, seed: 1)
  let layout = RecurrentLayer<LSTM, Double>(LSTM(), inputs: 1, units: 3).layout
  let trace = Trace(judging: Float.self, terms: steps)
  let x = problem.input().map(trace.variable)
  let run = NaiveDriver(LSTM(), problem.shape, layout: layout).run(
    parameters: problem.parameters(layout).map(trace.variable), x: x,
    initial: problem.initialStates(2).map(trace.variable))
  let adjoints = trace.pullBack([(number: run.final[0], weight: 1)])
  return (adjoints.value(x[0]), adjoints.error(x[0]))
}
// page: end
