// r = σ(W_r x_t + U_r h_{t−1} + b_r)              reset gate
// z = σ(W_z x_t + U_z h_{t−1} + b_z)              update gate: takes
// q = r ⊙ h_{t−1}
// n = tanh(W_n x_t + U_n q + b_n)                 candidate, h̃
// h_t = (1 − z) ⊙ h_{t−1} + z ⊙ n
//
// Backward, with δh = ∂L/∂h_t:
//   δz = δh ⊙ (n − h_{t−1}) ⊙ z(1 − z)
//   δn = δh ⊙ z ⊙ (1 − n²)                        with respect to n's pre-activation
//   δq = U_nᵀ δn                                  (the driver's)
//   δr = δq ⊙ h_{t−1} ⊙ r(1 − r)
//   ∂L/∂h_{t−1} = δh ⊙ (1 − z) + δq ⊙ r, and the way through U_r and U_z

/// Gated recurrent unit as first published (Cho et al. 2014): the reset gate acts before the product.
///
/// Gates r, z, n, one bias each. z takes: h_t = (1 − z) ⊙ h_{t−1} + z ⊙ n. Systems in which z keeps (Keras, ONNX,
/// oneDNN) are converted by negating W_z, U_z and b_z. The tape keeps r, z, n and h; q is computed anew.
@frozen public struct GRUResetBefore: DifferentiatedCell {
  @inlinable public init() {}

  public static var gates: [Gate] { ["r", "z", Gate("n", stage: 1)] }
  /// z, which takes.
  public static var forgetGate: ForgetGate? { ForgetGate("z", keeps: false) }
  @inlinable @inline(__always) public static var savedPlanes: Int { 3 }

  @inlinable @inline(__always)
  public func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { sigmoid(input.gates[0]) * input.states[0] }

  @inlinable @inline(__always)
  public func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    let r = sigmoid(input.gates[0])
    let z = sigmoid(input.gates[1])
    let n = tanh(input.gates[2])
    return (Planes(V.multiplyAdd(z, n, (1 - z) * input.states[0])), Planes(r, z, n))
  }

  @inlinable @inline(__always)
  public func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let (z, n) = (input.saved[1], input.saved[2])
    let δh = input.gradients[0]
    let δz = δh * (n - input.previous[0]) * (z * (1 - z))
    return CellGradients(gates: Planes(0, δz, δh * z * (1 - n * n)), previous: Planes(δh * (1 - z)))
  }

  @inlinable @inline(__always)
  public func savedOperand<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> V {
    input.saved[0] * input.previous[0]
  }

  @inlinable @inline(__always)
  public func operandBackward<V: PointwiseValue>(_ input: CellBackwardInput<V>, gradient δq: V) -> CellGradients<V> {
    let r = input.saved[0]
    return CellGradients(
      gates: Planes(δq * input.previous[0] * (r * (1 - r))), previous: Planes(δq * r))
  }
}
