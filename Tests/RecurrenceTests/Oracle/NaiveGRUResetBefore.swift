// The original GRU (Cho et al. 2014; Chung et al. 2014), whose reset gate acts on the state before the product with U_n.
// The update gate takes: z = 1 replaces the state.
//
//   r = σ(W_r x_t + U_r h_{t−1} + b_r)
//   z = σ(W_z x_t + U_z h_{t−1} + b_z)
//   s = r ⊙ h_{t−1}
//   n = tanh(W_n x_t + U_n s + b_n)
//   h_t = (1 − z) ⊙ h_{t−1} + z ⊙ n
//
// In reverse, δ = ∂L/∂h_t:
//
//   da_z = δ (n − h_{t−1}) z (1 − z)
//   da_n = δ z (1 − n²)
//   ds   = U_nᵀ da_n                     (all units of n first: every unit of s feeds every unit of n)
//   da_r = ds h_{t−1} r (1 − r)
//   W, b, x_t: as of three sums W x + b with gradients da_r, da_z, da_n; ∂L/∂U_n = da_n sᵀ
//   U_r, U_z, h_{t−1}: as of two sums U h with gradients da_r, da_z; to ∂L/∂h_{t−1} come δ (1 − z) and ds r
//
// Parameters: W [3·H, I], U [3·H, H], b [3·H], gates r, z, n.

import Foundation

struct NaiveGRUResetBefore: NaiveCell {
  let inputs: Int
  let hidden: Int

  var statePlanes: Int { 1 }
  var layout: NaiveGateLayout { NaiveGateLayout(gates: 3, inputs: inputs, hidden: hidden) }
  var parameterCount: Int { layout.end }

  func step(_ parameters: [Double], x: [Double], states: [[Double]]) -> [[Double]] {
    let h = states[0]
    let (_, z, _, n) = gates(parameters, x, h)
    return [(0..<hidden).map { j in (1 - z[j]) * h[j] + z[j] * n[j] }]
  }

  func stepBackward(
    _ parameters: [Double], x: [Double], states: [[Double]], dNext: [[Double]], dParameters: inout [Double]
  ) -> (dx: [Double], dStates: [[Double]]) {
    let h = states[0]
    let (r, z, s, n) = gates(parameters, x, h)
    var dx = [Double](repeating: 0, count: inputs)
    var dh = [Double](repeating: 0, count: hidden)
    var ds = [Double](repeating: 0, count: hidden)
    for j in 0..<hidden {
      let dan = dNext[0][j] * z[j] * (1 - n[j] * n[j])
      let row = layout.row(gate: 2, unit: j)
      layout.inputSumBackward(dan, parameters, row: row, x: x, dParameters: &dParameters, dx: &dx)
      layout.recurrentSumBackward(dan, parameters, row: row, h: s, dParameters: &dParameters, dh: &ds)
    }
    for j in 0..<hidden {
      let delta = dNext[0][j]
      let daz = delta * (n[j] - h[j]) * z[j] * (1 - z[j])
      let dar = ds[j] * h[j] * r[j] * (1 - r[j])
      dh[j] += delta * (1 - z[j]) + ds[j] * r[j]
      for (gate, da) in [dar, daz].enumerated() {
        let row = layout.row(gate: gate, unit: j)
        layout.inputSumBackward(da, parameters, row: row, x: x, dParameters: &dParameters, dx: &dx)
        layout.recurrentSumBackward(da, parameters, row: row, h: h, dParameters: &dParameters, dh: &dh)
      }
    }
    return (dx, [dh])
  }

  private func gates(
    _ parameters: [Double], _ x: [Double], _ h: [Double]
  ) -> (r: [Double], z: [Double], s: [Double], n: [Double]) {
    func preactivations(_ gate: Int, _ recurrent: [Double]) -> [Double] {
      (0..<hidden).map { j in
        let row = layout.row(gate: gate, unit: j)
        return layout.inputSum(parameters, row: row, x: x)
          + layout.recurrentSum(parameters, row: row, h: recurrent)
      }
    }
    let r = preactivations(0, h).map(naiveSigmoid)
    let z = preactivations(1, h).map(naiveSigmoid)
    let s = (0..<hidden).map { j in r[j] * h[j] }
    let n = preactivations(2, s).map { tanh($0) }
    return (r, z, s, n)
  }
}
