// Optimisers, one parameter at a time, as their papers write them.

import Foundation
import Recurrence

/// An optimiser of some parameters.
///
/// The decays and ε of a rule are rounded to `Scalar` before anything else is done with them, which is what makes every
/// later number small against its tolerance: a β₂ of 0.999 rounded to Float is off by 10⁻⁵ of 1 − β₂.
struct NaiveOptimizer<Scalar: TestScalar> {
  typealias Number = BoundedNumber<Scalar>

  let rule: OptimizerRule
  private(set) var steps = 0
  /// As many as the rule has.
  private(set) var slots: [[Number]]

  init(_ rule: OptimizerRule, count: Int) {
    self.rule = rule
    slots = [[Number]](repeating: [Number](repeating: Number(0), count: count), count: rule.slotNames.count)
  }

  mutating func update(_ parameters: inout [Number], gradient: [Scalar], learningRate: Double) {
    steps += 1
    let η = Number(rounded: learningRate)
    for i in parameters.indices {
      let g = Number(gradient[i])
      let θ = parameters[i]
      switch rule {
      case .sgd: parameters[i] = θ - η * g
      case .momentum(let momentum):
        slots[0][i] = number(momentum) * slots[0][i] + g
        parameters[i] = θ - η * slots[0][i]
      case .nesterov(let momentum):
        slots[0][i] = number(momentum) * slots[0][i] + g
        parameters[i] = θ - η * (g + number(momentum) * slots[0][i])
      case .adaGrad(let epsilon):
        slots[0][i] = slots[0][i] + g * g
        parameters[i] = θ - η * g / (slots[0][i].squareRoot() + number(epsilon))
      case .rmsProp(let decay, let epsilon):
        slots[0][i] = average(slots[0][i], g * g, decay)
        parameters[i] = θ - η * g / (slots[0][i].squareRoot() + number(epsilon))
      case .adam(let beta1, let beta2, let epsilon):
        parameters[i] = θ - η * direction(i, g, beta1, beta2, epsilon)
      case .adamW(let beta1, let beta2, let epsilon, let weightDecay):
        let decay = Number(rounded: weightDecay) * θ
        parameters[i] = θ - η * (direction(i, g, beta1, beta2, epsilon) + decay)
      }
    }
  }

  /// m̂ / (√v̂ + ε) of Adam.
  private mutating func direction(
    _ i: Int, _ g: Number, _ beta1: Double, _ beta2: Double, _ epsilon: Double
  ) -> Number {
    slots[0][i] = average(slots[0][i], g, beta1)
    slots[1][i] = average(slots[1][i], g * g, beta2)
    let m = slots[0][i] / correction(beta1)
    let v = slots[1][i] / correction(beta2)
    return m / (v.squareRoot() + number(epsilon))
  }

  /// β a + (1 − β) b.
  private func average(_ a: Number, _ b: Number, _ β: Double) -> Number {
    number(β) * a + Number(rounded: 1 - number(β).value) * b
  }

  /// 1 − βᵗ.
  private func correction(_ β: Double) -> Number { Number(rounded: 1 - pow(number(β).value, Double(steps))) }

  private func number(_ x: Double) -> Number { Number(Scalar(x)) }
}

/// Rules that tests run through: defaults, other numbers, and the ends of the ranges.
enum OptimizerCases {
  static let rules: [OptimizerRule] = [
    .sgd, .momentum(), .momentum(0.35), .momentum(0), .nesterov(), .nesterov(0.35), .adaGrad(),
    .adaGrad(epsilon: 1e-2), .rmsProp(), .rmsProp(decay: 0.4, epsilon: 1e-2), .rmsProp(decay: 0), .adam(),
    .adam(beta1: 0.3, beta2: 0.7, epsilon: 1e-2), .adam(beta1: 0, beta2: 0), .adamW(),
    .adamW(beta1: 0.3, beta2: 0.7, epsilon: 1e-2, weightDecay: 0.5), .adamW(weightDecay: 0),
  ]

  /// A gradient whose elements have magnitudes from 2⁻¹⁰ to 2⁸. Every seventh is 0, every ninth from step 10 on.
  static func gradient<Scalar: TestScalar>(_ count: Int, step: Int, _ random: inout SeededRandom) -> [Scalar] {
    let values: [Scalar] = random.array(count, .uniform)
    return values.enumerated().map { i, value in
      i % 7 == 3 || (i % 9 == 5 && step >= 10)
        ? 0 : value * Scalar(sign: .plus, exponent: Scalar.Exponent(i % 19 - 10), significand: 1)
    }
  }

  static func rate(_ step: Int) -> Double { 0.01 * Double(1 + step % 4) }
}
