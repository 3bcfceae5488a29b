// i = σ(W_i x_t + U_i h_{t−1} + p_i ⊙ c_{t−1} + b_i)
// f = σ(W_f x_t + U_f h_{t−1} + p_f ⊙ c_{t−1} + b_f)
// g = tanh(W_g x_t + U_g h_{t−1} + b_g)
// c_t = f ⊙ c_{t−1} + i ⊙ g
// o = σ(W_o x_t + U_o h_{t−1} + p_o ⊙ c_t + b_o)
// h_t = o ⊙ tanh(c_t)
//
// Backward as the LSTM's, with m = tanh(c_t), and
//   δc ← δc + δh ⊙ o ⊙ (1 − m²) + δo ⊙ p_o
//   ∂L/∂c_{t−1} = δc ⊙ f + δi ⊙ p_i + δf ⊙ p_f
//   δp_i = δi ⊙ c_{t−1},  δp_f = δf ⊙ c_{t−1},  δp_o = δo ⊙ c_t

/// Long short-term memory whose gates see the cell state (Gers and Schmidhuber 2000).
///
/// Gates, states and tape as `LSTM`. Unit parameters p_i, p_f, p_o: each unit's gate sees that unit's cell state alone.
@frozen public struct PeepholeLSTM: DifferentiatedCell {
  @inlinable public init() {}

  public static var gates: [Gate] { ["i", "f", "g", "o"] }
  public static var states: [String] { ["h", "c"] }
  public static var unitParameters: [String] { ["p_i", "p_f", "p_o"] }
  /// f, as in `LSTM`.
  public static var forgetGate: ForgetGate? { ForgetGate("f", inputGate: "i", usualBias: 1) }
  @inlinable @inline(__always) public static var savedPlanes: Int { 4 }

  @inlinable @inline(__always)
  public func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let (a, p, previous) = (input.gates, input.units, input.states[1])
    let i = sigmoid(V.multiplyAdd(p[0], previous, a[0]))
    let f = sigmoid(V.multiplyAdd(p[1], previous, a[1]))
    let g = tanh(a[2])
    let c = V.multiplyAdd(f, previous, i * g)
    let o = sigmoid(V.multiplyAdd(p[2], c, a[3]))
    return (Planes(o * tanh(c), c), Planes(i, f, g, o))
  }

  @inlinable @inline(__always)
  public func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (i, f, g, o) = (input.saved[0], input.saved[1], input.saved[2], input.saved[3])
    let (p, previous, c) = (input.units, input.previous[1], input.states[1])
    let δh = input.gradients[0]
    let m = tanh(c)
    let δo = δh * m * (o * (1 - o))
    let δc = V.multiplyAdd(δo, p[2], V.multiplyAdd(δh * o, 1 - m * m, input.gradients[1]))
    let δi = δc * g * (i * (1 - i))
    let δf = δc * previous * (f * (1 - f))
    return CellGradients(
      gates: Planes(δi, δf, δc * i * (1 - g * g), δo),
      previous: Planes(0, V.multiplyAdd(δf, p[1], V.multiplyAdd(δi, p[0], δc * f))),
      units: Planes(δi * previous, δf * previous, δo * c))
  }

  @inlinable @inline(__always)
  public func totalGradients<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> Planes<V> {
    let (o, δh) = (input.saved[3], input.gradients[0])
    let m = tanh(input.states[1])
    let δo = δh * m * (o * (1 - o))
    let δc = V.multiplyAdd(δh * o, 1 - m * m, input.gradients[1])
    return Planes(δh, V.multiplyAdd(δo, input.units[2], δc))
  }
}
