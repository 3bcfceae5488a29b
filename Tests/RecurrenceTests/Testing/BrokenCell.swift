import Recurrence

/// A coupled LSTM whose backward, or forward, is wrong in a way of one's choice.
struct BrokenCell: DifferentiatedCell {
  enum Mistake: Sendable, Hashable {
    case none
    /// δf times this.
    case factor(Double)
    /// δg and δo have each other's place.
    case swapped
    /// c_{t−1} gets nothing back.
    case lostCarry
    /// What comes back to c_t from step t + 1 is forgotten.
    case lostArrival
    /// tanh′ of tanh(c) instead of c.
    case derivativeOfOutput
    /// δo is zero where o's pre-activation is beyond ±8.
    case saturated
    /// The total of ∂L/∂c without the way through h.
    case total
    /// `forward` is not `step`.
    case otherForward
  }

  let mistake: Mistake
  static let gates: [Gate] = ["f", "g", "o"]
  static let states = ["h", "c"]
  static let savedPlanes = 4

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let f = sigmoid(input.gates[0])
    let g = tanh(input.gates[1])
    let c = f * input.states[1] + (1 - f) * g
    return Planes(sigmoid(input.gates[2]) * tanh(c), c)
  }

  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let f = sigmoid(input.gates[0])
    let g = tanh(input.gates[1])
    let o = sigmoid(input.gates[2])
    let c = f * input.states[1] + (mistake == .otherForward ? 1.001 - f : 1 - f) * g
    return (Planes(o * tanh(c), c), Planes(f, g, o, input.gates[2]))
  }

  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (f, g, o) = (input.saved[0], input.saved[1], input.saved[2])
    let m = mistake == .derivativeOfOutput ? tanh(tanh(input.states[1])) : tanh(input.states[1])
    let δh = input.gradients[0]
    let arriving: V = mistake == .lostArrival ? 0 : input.gradients[1]
    let δc = arriving + δh * o * (1 - m * m)
    var δf = δc * (input.previous[1] - g) * f * (1 - f)
    if case .factor(let factor) = mistake { δf = δf * V(factor) }
    let δg = δc * (1 - f) * (1 - g * g)
    var δo = δh * tanh(input.states[1]) * o * (1 - o)
    if mistake == .saturated {
      let a = maximum(input.saved[3], -input.saved[3])
      δo = V.select(where: 8, isLessThan: a, then: 0, else: δo)
    }
    return CellGradients(
      gates: mistake == .swapped ? Planes(δf, δo, δg) : Planes(δf, δg, δo),
      previous: Planes(0, mistake == .lostCarry ? 0 : δc * f))
  }

  func totalGradients<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> Planes<V> {
    let m = tanh(input.states[1])
    let own = input.gradients[0] * input.saved[2] * (1 - m * m)
    return Planes(input.gradients[0], mistake == .total ? input.gradients[1] - own : input.gradients[1] + own)
  }
}
