// r = σ(W_r x_t + U_r h_{t−1} + b_r)              reset gate
// z = σ(W_z x_t + U_z h_{t−1} + b_z)              update gate: keeps
// m = U_n h_{t−1} + b_hn
// n = tanh(W_n x_t + b_n + r ⊙ m)                 candidate
// h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}
//
// Backward, with δh = ∂L/∂h_t:
//   δz = δh ⊙ (h_{t−1} − n) ⊙ z(1 − z)
//   δn = δh ⊙ (1 − z) ⊙ (1 − n²)                  with respect to n's pre-activation
//   δm = δn ⊙ r
//   δr = δn ⊙ m ⊙ r(1 − r)
//   ∂L/∂h_{t−1} = δh ⊙ z, and the way through U

/// Gated recurrent unit, reset after the product (PyTorch, cuDNN, Keras with `reset_after`).
///
/// Gates r, z, n, the order of PyTorch. z keeps: h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}. r and z have one bias, the sum of
/// PyTorch's two; n has two, b_n and b_hn, because r multiplies one of them. The tape keeps r, z, n, m and h.
@frozen public struct GRU: DifferentiatedCell {
  @inlinable public init() {}

  public static var gates: [Gate] { ["r", "z", .apart("n")] }
  /// z, which keeps.
  public static var forgetGate: ForgetGate? { ForgetGate("z") }
  @inlinable @inline(__always) public static var savedPlanes: Int { 4 }

  @inlinable @inline(__always)
  public func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let r = sigmoid(input.gates[0])
    let z = sigmoid(input.gates[1])
    let m = input.gates[3]
    let n = tanh(V.multiplyAdd(r, m, input.gates[2]))
    return (Planes(V.multiplyAdd(z, input.states[0], (1 - z) * n)), Planes(r, z, n, m))
  }

  @inlinable @inline(__always)
  public func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (r, z, n, m) = (input.saved[0], input.saved[1], input.saved[2], input.saved[3])
    let δh = input.gradients[0]
    let δz = δh * (input.previous[0] - n) * (z * (1 - z))
    let δn = δh * (1 - z) * (1 - n * n)
    return CellGradients(gates: Planes(δn * m * (r * (1 - r)), δz, δn, δn * r), previous: Planes(δh * z))
  }
}
