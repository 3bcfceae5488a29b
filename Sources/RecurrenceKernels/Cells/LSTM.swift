// i = σ(W_i x_t + U_i h_{t−1} + b_i)        input gate
// f = σ(W_f x_t + U_f h_{t−1} + b_f)        forget gate
// g = tanh(W_g x_t + U_g h_{t−1} + b_g)     candidate, c̃
// o = σ(W_o x_t + U_o h_{t−1} + b_o)        output gate
// c_t = f ⊙ c_{t−1} + i ⊙ g
// h_t = o ⊙ tanh(c_t)
//
// Backward, with δh = ∂L/∂h_t and δc = ∂L/∂c_t arriving from step t + 1, m = tanh(c_t):
//   δo = δh ⊙ m ⊙ o(1 − o)
//   δc ← δc + δh ⊙ o ⊙ (1 − m²)
//   δi = δc ⊙ g ⊙ i(1 − i)
//   δf = δc ⊙ c_{t−1} ⊙ f(1 − f)
//   δg = δc ⊙ i ⊙ (1 − g²)
//   ∂L/∂c_{t−1} = δc ⊙ f

/// Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000).
///
/// Gates i, f, g, o, the order of PyTorch; one bias each, the sum of PyTorch's two. States h and c. The tape keeps
/// i, f, g, o and both states; tanh(c_t) is computed anew.
@frozen public struct LSTM: DifferentiatedCell {
  @inlinable public init() {}

  public static var gates: [Gate] { ["i", "f", "g", "o"] }
  public static var states: [String] { ["h", "c"] }
  /// f, with the bias 1 that Gers, Schmidhuber and Cummins (2000) and Jozefowicz, Zaremba and Sutskever (2015) advise.
  public static var forgetGate: ForgetGate? { ForgetGate("f", inputGate: "i", usualBias: 1) }
  @inlinable @inline(__always) public static var savedPlanes: Int { 4 }

  @inlinable @inline(__always)
  public func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let i = sigmoid(input.gates[0])
    let f = sigmoid(input.gates[1])
    let g = tanh(input.gates[2])
    let o = sigmoid(input.gates[3])
    let c = V.multiplyAdd(f, input.states[1], i * g)
    return (Planes(o * tanh(c), c), Planes(i, f, g, o))
  }

  @inlinable @inline(__always)
  public func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (i, f, g, o) = (input.saved[0], input.saved[1], input.saved[2], input.saved[3])
    let δh = input.gradients[0]
    let m = tanh(input.states[1])
    let δc = V.multiplyAdd(δh * o, 1 - m * m, input.gradients[1])
    return CellGradients(
      gates: Planes(
        δc * g * (i * (1 - i)), δc * input.previous[1] * (f * (1 - f)), δc * i * (1 - g * g), δh * m * (o * (1 - o))),
      previous: Planes(0, δc * f))
  }

  @inlinable @inline(__always)
  public func totalGradients<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> Planes<V> {
    let δh = input.gradients[0]
    let m = tanh(input.states[1])
    return Planes(δh, V.multiplyAdd(δh * input.saved[3], 1 - m * m, input.gradients[1]))
  }
}
