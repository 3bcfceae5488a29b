// The vanilla RNN (Elman, "Finding structure in time", 1990).
//
//   a  = W x_t + U h_{t−1} + b
//   h_t = φ(a)
//
// In reverse, δ = ∂L/∂h_t:
//
//   da = δ φ′(a)
//   ∂L/∂W = da x_tᵀ    ∂L/∂U = da h_{t−1}ᵀ    ∂L/∂b = da    ∂L/∂x_t = Wᵀ da    ∂L/∂h_{t−1} = Uᵀ da
//
// Parameters: W [H, I], U [H, H], b [H].

import Foundation

/// A scalar function with its derivative, both of the argument a.
struct NaiveActivation: Sendable {
  let name: String
  /// Has a jump in φ′ or φ″ at 0 (where φ changes sign): finite differences across it are wrong.
  let hasKink: Bool
  let value: @Sendable (Double) -> Double
  let derivative: @Sendable (Double) -> Double

  init(
    _ name: String, hasKink: Bool = false, value: @escaping @Sendable (Double) -> Double,
    derivative: @escaping @Sendable (Double) -> Double
  ) {
    self.name = name
    self.hasKink = hasKink
    self.value = value
    self.derivative = derivative
  }

  static let identity = NaiveActivation("identity", value: { $0 }, derivative: { _ in 1 })
  /// 1 − tanh², as 1/cosh².
  static let tanh = NaiveActivation(
    "tanh", value: { Foundation.tanh($0) }, derivative: { 1 / (cosh($0) * cosh($0)) })
  /// σ′(a) = σ(a) σ(−a).
  static let sigmoid = NaiveActivation(
    "sigmoid", value: { 1 / (1 + exp(-$0)) }, derivative: { 1 / (1 + exp(-$0)) / (1 + exp($0)) })
  /// max(0, a); its derivative at 0 is 0, as PyTorch has it.
  static let relu = NaiveActivation(
    "relu", hasKink: true, value: { $0 > 0 ? $0 : 0 }, derivative: { $0 > 0 ? 1 : 0 })
  /// a / (1 + |a|).
  static let softsign = NaiveActivation(
    "softsign", hasKink: true, value: { $0 / (1 + $0.magnitude) },
    derivative: { 1 / ((1 + $0.magnitude) * (1 + $0.magnitude)) })
  /// a where a > 0, e^a − 1 elsewhere.
  static let elu = NaiveActivation(
    "elu", hasKink: true, value: { $0 > 0 ? $0 : expm1($0) }, derivative: { $0 > 0 ? 1 : exp($0) })

  static let all: [NaiveActivation] = [identity, tanh, sigmoid, relu, softsign, elu]
}

struct NaiveRNN: NaiveCell {
  let inputs: Int
  let hidden: Int
  let activation: NaiveActivation

  var statePlanes: Int { 1 }
  var layout: NaiveGateLayout { NaiveGateLayout(gates: 1, inputs: inputs, hidden: hidden) }
  var parameterCount: Int { layout.end }

  func step(_ parameters: [Double], x: [Double], states: [[Double]]) -> [[Double]] {
    [preactivations(parameters, x, states[0]).map(activation.value)]
  }

  func stepBackward(
    _ parameters: [Double], x: [Double], states: [[Double]], dNext: [[Double]], dParameters: inout [Double]
  ) -> (dx: [Double], dStates: [[Double]]) {
    let a = preactivations(parameters, x, states[0])
    var dx = [Double](repeating: 0, count: inputs)
    var dh = [Double](repeating: 0, count: hidden)
    for j in 0..<hidden {
      let da = dNext[0][j] * activation.derivative(a[j])
      layout.inputSumBackward(da, parameters, row: j, x: x, dParameters: &dParameters, dx: &dx)
      layout.recurrentSumBackward(da, parameters, row: j, h: states[0], dParameters: &dParameters, dh: &dh)
    }
    return (dx, [dh])
  }

  private func preactivations(_ parameters: [Double], _ x: [Double], _ h: [Double]) -> [Double] {
    (0..<hidden).map { j in
      layout.inputSum(parameters, row: j, x: x) + layout.recurrentSum(parameters, row: j, h: h)
    }
  }
}
