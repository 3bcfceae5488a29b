import Recurrence

// Cells as users write them, right as they stand here. Those of Docs/AddingACell.md, and backwards by hand for each kind of
// cell that there is: two states, unit parameters and kinks, two stages, apart gates. The mistakes are in `List/users.toml`.

/// Long short-term memory whose input gate is 1 − f; its backward is derived.
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

/// The same with a backward by hand.
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

/// A rectified unit that leaks at its own rate λ, and is limited to 6: h ← h + σ(λ) (min(max(a, 0), 6) − h).
struct LeakyUnit: Cell {
  static let gates: [Gate] = ["a"]
  static let unitParameters = ["lambda"]

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let (a, h) = (input.gates[0], input.states[0])
    return Planes(h + sigmoid(input.units[0]) * (minimum(relu(a), 6) - h))
  }
}

/// The same with a backward by hand. It keeps a.
struct LeakyUnitByHand: DifferentiatedCell {
  static let gates: [Gate] = ["a"]
  static let unitParameters = ["lambda"]
  static let savedPlanes = 1

  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let (a, h) = (input.gates[0], input.states[0])
    return (Planes(h + sigmoid(input.units[0]) * (minimum(relu(a), 6) - h)), Planes(a))
  }

  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (a, h, δh) = (input.saved[0], input.previous[0], input.gradients[0])
    let s = sigmoid(input.units[0])
    let below = V.select(where: a, isLessThan: 6, then: s, else: 0)
    let slope = V.select(where: 0, isLessThan: a, then: below, else: 0)
    let δλ = δh * (minimum(relu(a), 6) - h) * s * (1 - s)
    return CellGradients(gates: Planes(δh * slope), previous: Planes(δh * (1 - s)), units: Planes(δλ))
  }
}

/// The minimal gated unit (Zhou et al. 2016), of two stages, with a backward by hand.
struct MinimalGatedUnitByHand: DifferentiatedCell {
  static let gates: [Gate] = ["f", Gate("n", stage: 1)]
  static let savedPlanes = 2

  func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { sigmoid(input.gates[0]) * input.states[0] }

  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let (f, n) = (sigmoid(input.gates[0]), tanh(input.gates[1]))
    return (Planes((1 - f) * input.states[0] + f * n), Planes(f, n))
  }

  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (f, n, δh) = (input.saved[0], input.saved[1], input.gradients[0])
    let δf = δh * (n - input.previous[0]) * f * (1 - f)
    let δn = δh * f * (1 - n * n)
    return CellGradients(gates: Planes(δf, δn), previous: Planes(δh * (1 - f)))
  }

  func savedOperand<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> V {
    input.saved[0] * input.previous[0]
  }

  func operandBackward<V: PointwiseValue>(_ input: CellBackwardInput<V>, gradient δq: V) -> CellGradients<V> {
    let f = input.saved[0]
    let δf = δq * input.previous[0] * f * (1 - f)
    return CellGradients(gates: Planes(δf), previous: Planes(δq * f))
  }
}

/// A gated recurrent unit without a reset gate whose candidate's parts are apart, each softened by itself, with a backward
/// by hand.
struct LightGRUByHand: DifferentiatedCell {
  static let gates: [Gate] = ["z", .apart("n")]
  static let savedPlanes = 3

  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let z = sigmoid(input.gates[0])
    let m = tanh(input.gates[2])
    let n = tanh(input.gates[1] + m)
    return (Planes(z * input.states[0] + (1 - z) * n), Planes(z, n, m))
  }

  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (z, n, m, δh) = (input.saved[0], input.saved[1], input.saved[2], input.gradients[0])
    let δz = δh * (input.previous[0] - n) * z * (1 - z)
    let δn = δh * (1 - z) * (1 - n * n)
    return CellGradients(gates: Planes(δz, δn, δn * (1 - m * m)), previous: Planes(δh * z))
  }
}
