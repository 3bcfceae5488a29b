// The GRU whose reset gate acts after the product with U_n: PyTorch's, cuDNN's, Keras' with `reset_after=True`.
// The update gate keeps: z = 1 leaves the state as it is.
//
//   r = σ(W_r x_t + U_r h_{t−1} + b_r)
//   z = σ(W_z x_t + U_z h_{t−1} + b_z)
//   q = U_n h_{t−1} + b_hn
//   n = tanh(W_n x_t + b_n + r ⊙ q)
//   h_t = (1 − z) ⊙ n + z ⊙ h_{t−1}
//
// In reverse, δ = ∂L/∂h_t:
//
//   da_z = δ (h_{t−1} − n) z (1 − z)
//   da_n = δ (1 − z) (1 − n²)
//   da_r = da_n q r (1 − r)
//   dq   = da_n r                        ∂L/∂b_hn = dq
//   W, b, x_t: as of three sums W x + b with gradients da_r, da_z, da_n
//   U, h_{t−1}: as of three sums U h with gradients da_r, da_z, dq; to ∂L/∂h_{t−1} comes δ z
//
// Parameters: W [3·H, I], U [3·H, H], b [3·H], gates r, z, n; then b_hn [H].

import Foundation

struct NaiveGRUResetAfter: NaiveCell {
  let inputs: Int
  let hidden: Int

  var statePlanes: Int { 1 }
  var layout: NaiveGateLayout { NaiveGateLayout(gates: 3, inputs: inputs, hidden: hidden) }
  var parameterCount: Int { layout.end + hidden }

  func step(_ parameters: [Double], x: [Double], states: [[Double]]) -> [[Double]] {
    let h = states[0]
    let next = (0..<hidden).map { j in
      let (_, z, _, n) = unit(j, parameters, x, h)
      return (1 - z) * n + z * h[j]
    }
    return [next]
  }

  func stepBackward(
    _ parameters: [Double], x: [Double], states: [[Double]], dNext: [[Double]], dParameters: inout [Double]
  ) -> (dx: [Double], dStates: [[Double]]) {
    let h = states[0]
    var dx = [Double](repeating: 0, count: inputs)
    var dh = [Double](repeating: 0, count: hidden)
    for j in 0..<hidden {
      let (r, z, q, n) = unit(j, parameters, x, h)
      let delta = dNext[0][j]
      let daz = delta * (h[j] - n) * z * (1 - z)
      let dan = delta * (1 - z) * (1 - n * n)
      let dar = dan * q * r * (1 - r)
      let dq = dan * r
      dParameters[layout.end + j] += dq
      dh[j] += delta * z
      for (gate, da) in [dar, daz, dan].enumerated() {
        let row = layout.row(gate: gate, unit: j)
        layout.inputSumBackward(da, parameters, row: row, x: x, dParameters: &dParameters, dx: &dx)
      }
      for (gate, dy) in [dar, daz, dq].enumerated() {
        let row = layout.row(gate: gate, unit: j)
        layout.recurrentSumBackward(dy, parameters, row: row, h: h, dParameters: &dParameters, dh: &dh)
      }
    }
    return (dx, [dh])
  }

  private func unit(
    _ j: Int, _ parameters: [Double], _ x: [Double], _ h: [Double]
  ) -> (r: Double, z: Double, q: Double, n: Double) {
    func input(_ gate: Int) -> Double {
      layout.inputSum(parameters, row: layout.row(gate: gate, unit: j), x: x)
    }
    func recurrent(_ gate: Int) -> Double {
      layout.recurrentSum(parameters, row: layout.row(gate: gate, unit: j), h: h)
    }
    let r = naiveSigmoid(input(0) + recurrent(0))
    let z = naiveSigmoid(input(1) + recurrent(1))
    let q = recurrent(2) + parameters[layout.end + j]
    let n = tanh(input(2) + r * q)
    return (r, z, q, n)
  }
}
