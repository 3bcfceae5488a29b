// The LSTM with a forget gate (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000), with the peepholes
// of Gers, Schraudolph and Schmidhuber 2002 if asked for; without them p = 0.
//
//   i = σ(W_i x_t + U_i h_{t−1} + b_i + p_i ⊙ c_{t−1})
//   f = σ(W_f x_t + U_f h_{t−1} + b_f + p_f ⊙ c_{t−1})
//   g = tanh(W_g x_t + U_g h_{t−1} + b_g)
//   c_t = f ⊙ c_{t−1} + i ⊙ g
//   o = σ(W_o x_t + U_o h_{t−1} + b_o + p_o ⊙ c_t)
//   h_t = o ⊙ tanh(c_t)
//
// In reverse, from dh = ∂L/∂h_t and dc = ∂L/∂c_t by all ways but those through h_t and o:
//
//   da_o = dh tanh(c_t) o (1 − o)
//   dc   ← dc + dh o (1 − tanh² c_t) + da_o p_o
//   da_i = dc g i (1 − i)    da_f = dc c_{t−1} f (1 − f)    da_g = dc i (1 − g²)
//   ∂L/∂c_{t−1} = dc f + da_i p_i + da_f p_f
//   ∂L/∂p_i = da_i c_{t−1}   ∂L/∂p_f = da_f c_{t−1}         ∂L/∂p_o = da_o c_t
//   W, U, b, x_t, h_{t−1}: as of four sums W x + U h + b with gradients da
//
// Parameters: W [4·H, I], U [4·H, H], b [4·H], gates i, f, g, o; with peepholes then p_i [H], p_f [H], p_o [H].
// States: h, c.

import Foundation

struct NaiveLSTM: NaiveCell {
  let inputs: Int
  let hidden: Int
  let hasPeepholes: Bool

  init(inputs: Int, hidden: Int, hasPeepholes: Bool = false) {
    self.inputs = inputs
    self.hidden = hidden
    self.hasPeepholes = hasPeepholes
  }

  var statePlanes: Int { 2 }
  var layout: NaiveGateLayout { NaiveGateLayout(gates: 4, inputs: inputs, hidden: hidden) }
  var parameterCount: Int { layout.end + (hasPeepholes ? 3 * hidden : 0) }

  func step(_ parameters: [Double], x: [Double], states: [[Double]]) -> [[Double]] {
    let units = (0..<hidden).map { unit($0, parameters, x, states) }
    return [units.map { $0.o * tanh($0.c) }, units.map(\.c)]
  }

  func stepBackward(
    _ parameters: [Double], x: [Double], states: [[Double]], dNext: [[Double]], dParameters: inout [Double]
  ) -> (dx: [Double], dStates: [[Double]]) {
    var dx = [Double](repeating: 0, count: inputs)
    var dhPrevious = [Double](repeating: 0, count: hidden)
    var dcPrevious = [Double](repeating: 0, count: hidden)
    for j in 0..<hidden {
      let (i, f, g, o, c) = unit(j, parameters, x, states)
      let cPrevious = states[1][j]
      let dh = dNext[0][j]
      let dao = dh * tanh(c) * o * (1 - o)
      let dc = dNext[1][j] + dh * o * (1 - tanh(c) * tanh(c)) + dao * peephole(2, j, parameters)
      let dai = dc * g * i * (1 - i)
      let daf = dc * cPrevious * f * (1 - f)
      let dag = dc * i * (1 - g * g)
      dcPrevious[j] = dc * f + dai * peephole(0, j, parameters) + daf * peephole(1, j, parameters)
      if hasPeepholes {
        dParameters[layout.end + j] += dai * cPrevious
        dParameters[layout.end + hidden + j] += daf * cPrevious
        dParameters[layout.end + 2 * hidden + j] += dao * c
      }
      for (gate, da) in [dai, daf, dag, dao].enumerated() {
        let row = layout.row(gate: gate, unit: j)
        layout.inputSumBackward(da, parameters, row: row, x: x, dParameters: &dParameters, dx: &dx)
        layout.recurrentSumBackward(
          da, parameters, row: row, h: states[0], dParameters: &dParameters, dh: &dhPrevious)
      }
    }
    return (dx, [dhPrevious, dcPrevious])
  }

  /// Gates and new c of unit j.
  private func unit(
    _ j: Int, _ parameters: [Double], _ x: [Double], _ states: [[Double]]
  ) -> (i: Double, f: Double, g: Double, o: Double, c: Double) {
    func a(_ gate: Int) -> Double {
      let row = layout.row(gate: gate, unit: j)
      return layout.inputSum(parameters, row: row, x: x) + layout.recurrentSum(parameters, row: row, h: states[0])
    }
    let cPrevious = states[1][j]
    let i = naiveSigmoid(a(0) + peephole(0, j, parameters) * cPrevious)
    let f = naiveSigmoid(a(1) + peephole(1, j, parameters) * cPrevious)
    let g = tanh(a(2))
    let c = f * cPrevious + i * g
    let o = naiveSigmoid(a(3) + peephole(2, j, parameters) * c)
    return (i, f, g, o, c)
  }

  /// p_i, p_f, p_o of unit j are numbers 0, 1, 2.
  private func peephole(_ number: Int, _ j: Int, _ parameters: [Double]) -> Double {
    hasPeepholes ? parameters[layout.end + number * hidden + j] : 0
  }
}
