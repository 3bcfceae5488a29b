// The code of Docs/AddingACell.md, block by block between the markers. `AddingACellTests` compares it with the page, and
// runs it.

// page: the cell
import Recurrence

/// Long short-term memory whose input gate is 1 − f.
struct CoupledLSTM: Cell {
  static let gates: [Gate] = ["f", "g", "o"]
  static let states = ["h", "c"]

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let f = sigmoid(input.gates[0])
    let g = tanh(input.gates[1])
    let o = sigmoid(input.gates[2])
    let c = f * input.states[1] + (1 - f) * g
    return Planes(o * tanh(c), c)
  }
}
// page: end

// page: forward
/// Outputs [T, B, H] of sequences [T, B, 2], all at once, and the cell states [B, H] after the last step.
func forwardExample(_ x: [Float], steps: Int, batch: Int) throws -> (h: [Float], c: [Float]) {
  let layer = RecurrentLayer<CoupledLSTM, Float>(CoupledLSTM(), inputs: 2, units: 16, seed: 1)
  let (outputs, states) = try layer.forward(x, steps: steps, batch: batch)
  return (outputs, states["c"])
}
// page: end

// page: stream
/// The states [B, H] after the last step of the same sequences, which arrive one step at a time.
func streamExample(_ x: [Float], steps: Int, batch: Int) throws -> (h: [Float], c: [Float]) {
  let layer = RecurrentLayer<CoupledLSTM, Float>(CoupledLSTM(), inputs: 2, units: 16, seed: 1)
  var stream = layer.makeStream(batch: batch)
  var h = [Float](repeating: 0, count: batch * layer.units)
  for t in 0..<steps {
    let x_t = Array(x[(t * batch * 2)..<((t + 1) * batch * 2)])
    try layer.step(x_t, into: &h, stream: &stream)
  }
  return (h, stream.states["c"])
}
// page: end

// page: train
/// Plain gradient descent on the mean of ½ (h_T[0] − y)²: unit 0 is to say y at the last step. Returns the losses.
func train<C: Cell>(
  _ layer: inout RecurrentLayer<C, Float>, _ x: [Float], _ y: [Float], steps: Int, updates: Int, rate: Float
) throws -> [Float] {
  let (batch, units) = (y.count, layer.units)
  var tape = layer.makeTape(steps: steps, batch: batch)
  var outputs = [Float](repeating: 0, count: steps * batch * units)
  var inputGradients = [Float](repeating: 0, count: x.count)
  var losses: [Float] = []
  for _ in 0..<updates {
    var states = layer.makeStates(batch: batch)
    try layer.forward(x, steps: steps, batch: batch, states: &states, outputs: &outputs, tape: &tape)
    let h = states["h"]
    let errors = y.indices.map { h[$0 * units] - y[$0] }
    losses.append(errors.reduce(0) { $0 + 0.5 * $1 * $1 } / Float(batch))

    var lastStep = [Float](repeating: 0, count: batch * units)  // ∂L/∂h_T
    for b in y.indices { lastStep[b * units] = errors[b] / Float(batch) }
    var stateGradients = layer.makeStates(batch: batch)
    var gradient = layer.makeGradient()
    try layer.backward(
      x, outputGradients: .lastStep(lastStep), stateGradients: &stateGradients, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
    layer.withParameters { parameters in
      for i in parameters.indices { parameters[i] -= rate * gradient.values[i] }
    }
  }
  return losses
}
// page: end

// page: recall
/// The sign that arrives first is wanted at the last step; noise comes in beside it and after it.
func recall<C: Cell>(
  _ cell: C, updates: Int, using random: inout some RandomNumberGenerator
) throws -> (first: Float, last: Float) {
  let (steps, batch) = (6, 32)
  var x = (0..<(steps * batch * 2)).map { _ in Float.random(in: -0.5...0.5, using: &random) }
  let y: [Float] = (0..<batch).map { $0 % 2 == 0 ? 0.5 : -0.5 }
  for b in y.indices { x[b * 2] = 2 * y[b] }
  var layer = RecurrentLayer<C, Float>(cell, inputs: 2, units: 16, seed: 1)
  let losses = try train(&layer, x, y, steps: steps, updates: updates, rate: 1)
  return (losses.first!, losses.last!)
}
// page: end

// page: gradient
/// How far ⟨∇L, v⟩ is from (L(p + εv) − L(p − εv)) / 2ε, for a random direction v of the parameters, as a fraction of
/// Σ |∇L·v|. L = Σ w·outputs, w random.
func gradientError<C: Cell>(of cell: C, using random: inout some RandomNumberGenerator) throws -> Double {
  func draw(_ count: Int) -> [Double] { (0..<count).map { _ in Double.random(in: -1...1, using: &random) } }
  let (steps, batch, ε) = (5, 3, 0x1p-17)
  var layer = RecurrentLayer<C, Double>(cell, inputs: 2, units: 6)
  let p = draw(layer.layout.count)
  let v = draw(p.count)
  let x = draw(steps * batch * 2)
  let w = draw(steps * batch * 6)

  func loss(_ parameters: [Double]) throws -> Double {
    layer.parameters.values = parameters
    return zip(w, try layer.forward(x, steps: steps, batch: batch).outputs).reduce(0) { $0 + $1.0 * $1.1 }
  }
  let measured = try (loss(zip(p, v).map { $0 + ε * $1 }) - loss(zip(p, v).map { $0 - ε * $1 })) / (2 * ε)

  layer.parameters.values = p
  var tape = layer.makeTape(steps: steps, batch: batch)
  var states = layer.makeStates(batch: batch)
  var (outputs, inputGradients) = (w, x)
  try layer.forward(x, steps: steps, batch: batch, states: &states, outputs: &outputs, tape: &tape)
  var (gradient, stateGradients) = (layer.makeGradient(), layer.makeStates(batch: batch))
  try layer.backward(
    x, outputGradients: .everyStep(w), stateGradients: &stateGradients, gradient: &gradient,
    inputGradients: &inputGradients, tape: &tape)
  let terms = zip(gradient.values, v).map { $0 * $1 }
  return abs(terms.reduce(0, +) - measured) / terms.reduce(0) { $0 + abs($1) }
}
// page: end

// page: stages
/// The minimal gated unit: n sees f ⊙ h, known only after the gate f.
struct MinimalGatedUnit: Cell {
  static let gates: [Gate] = ["f", Gate("n", stage: 1)]

  func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { sigmoid(input.gates[0]) * input.states[0] }

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let f = sigmoid(input.gates[0])
    return Planes((1 - f) * input.states[0] + f * tanh(input.gates[1]))
  }
}
// page: end

// page: units
/// A rectified unit that leaks at its own rate λ, and is limited to 6: h ← h + σ(λ) (min(max(a, 0), 6) − h).
struct LeakyUnit: Cell {
  static let gates: [Gate] = ["a"]
  static let unitParameters = ["lambda"]

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let (a, h) = (input.gates[0], input.states[0])
    return Planes(h + sigmoid(input.units[0]) * (minimum(relu(a), 6) - h))
  }
}
// page: end

// page: backward
/// `CoupledLSTM` with a backward of its own.
struct CoupledLSTMByHand: DifferentiatedCell {
  static let gates: [Gate] = ["f", "g", "o"]
  static let states = ["h", "c"]
  static let savedPlanes = 3

  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let f = sigmoid(input.gates[0])
    let g = tanh(input.gates[1])
    let o = sigmoid(input.gates[2])
    let c = f * input.states[1] + (1 - f) * g
    return (Planes(o * tanh(c), c), Planes(f, g, o))
  }

  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (f, g, o) = (input.saved[0], input.saved[1], input.saved[2])
    let m = tanh(input.states[1])
    let δh = input.gradients[0]
    let δc = input.gradients[1] + δh * o * (1 - m * m)
    let δf = δc * (input.previous[1] - g) * f * (1 - f)
    let δg = δc * (1 - f) * (1 - g * g)
    let δo = δh * m * o * (1 - o)
    return CellGradients(gates: Planes(δf, δg, δo), previous: Planes(0, δc * f))
  }
}
// page: end

// page: proof
/// The gradient of Σ outputs² / 2 with respect to the parameters.
func gradient<C: Cell>(of cell: C, _ x: [Double], steps: Int, batch: Int) throws -> [Double] {
  let layer = RecurrentLayer<C, Double>(cell, inputs: 2, units: 16, seed: 1)
  var tape = layer.makeTape(steps: steps, batch: batch)
  var states = layer.makeStates(batch: batch)
  var outputs = [Double](repeating: 0, count: steps * batch * layer.units)
  try layer.forward(x, steps: steps, batch: batch, states: &states, outputs: &outputs, tape: &tape)
  var (gradient, stateGradients) = (layer.makeGradient(), layer.makeStates(batch: batch))
  var inputGradients = x
  try layer.backward(
    x, outputGradients: .everyStep(outputs), stateGradients: &stateGradients, gradient: &gradient,
    inputGradients: &inputGradients, tape: &tape)
  return gradient.values
}

/// Largest difference between the two gradients, as a fraction of the largest derivative.
func disagreement(_ x: [Double], steps: Int, batch: Int) throws -> Double {
  let derived = try gradient(of: CoupledLSTM(), x, steps: steps, batch: batch)
  let byHand = try gradient(of: CoupledLSTMByHand(), x, steps: steps, batch: batch)
  return zip(derived, byHand).map { abs($0 - $1) }.max()! / derived.map(abs).max()!
}
// page: end
