// Losses by their definitions, in Double, one row at a time, with how far arithmetic in another type may be from them.

import Foundation
import Recurrence

/// What outputs are compared with. Rows [N] or [N, K].
enum NaiveTargets: Sendable {
  case classes([Int])
  case probabilities([Double])
  case values([Double])
}

/// A loss over rows, and its gradient.
struct NaiveLoss {
  let loss: Double
  /// [N, K].
  let gradient: [Double]
  let lossTolerance: Double
  /// [N, K].
  let gradientTolerance: [Double]

  /// The mean over rows, weighted.
  ///
  /// - Parameters:
  ///   - unit: half an ulp of 1 of the arithmetic to be judged.
  ///   - lanes: in how many sums it adds up a row.
  init(
    _ outputs: [Double], _ targets: NaiveTargets, weights: [Double]? = nil, rows: Int, columns: Int, unit: Double,
    lanes: Int
  ) {
    let total = weights.map { $0.reduce(0, +) } ?? Double(rows)
    var loss = 0.0
    var lossTolerance = 0.0
    var gradient = [Double](repeating: 0, count: rows * columns)
    var gradientTolerance = gradient
    // Additions that a term of a row's sum passes through, in lanes, then between them; in the naive sum, all.
    let unit = unit + 0x1p-53
    let depth = Double(columns / lanes + lanes.trailingZeroBitCount + 2) + Double(columns) * 0x1p-53 / unit
    for n in 0..<rows {
      let w = weights?[n] ?? 1
      if w == 0 { continue }
      let x = Array(outputs[(n * columns)..<((n + 1) * columns)])
      let row: NaiveRow =
        switch targets {
        case .classes(let classes): NaiveRow(softmax: x, class: classes[n], unit: unit, depth: depth)
        case .probabilities(let y):
          NaiveRow(binary: x, Array(y[(n * columns)..<((n + 1) * columns)]), unit: unit, depth: depth)
        case .values(let y):
          NaiveRow(squares: x, Array(y[(n * columns)..<((n + 1) * columns)]), unit: unit, depth: depth)
        }
      loss += w * row.loss
      lossTolerance += w * (row.tolerance + 8 * 0x1p-53 * row.loss)
      for j in 0..<columns {
        gradient[n * columns + j] = w / total * row.gradient[j]
        // Four roundings more: of the weight's share, of what it is multiplied by, and of the product. And what flushing
        // takes, in Float.
        gradientTolerance[n * columns + j] =
          w / total * (row.gradientTolerance[j] + 4 * unit * row.gradient[j].magnitude) + 0x1p-125
      }
    }
    self.loss = total == 0 ? 0 : loss / total
    self.lossTolerance = total == 0 ? 0 : lossTolerance / total + Double(rows) * 0x1p-53 * self.loss.magnitude
    self.gradient = gradient
    self.gradientTolerance = gradientTolerance
  }
}

/// One row's loss, and its gradient.
private struct NaiveRow {
  var loss = 0.0
  var tolerance = 0.0
  var gradient: [Double] = []
  var gradientTolerance: [Double] = []

  /// −ln(e^x_k / Σ e^x_j), where all exponents are taken relative to the largest.
  ///
  /// The difference d_j from the largest is rounded, which shifts its exponential by |d_j| units; an exponential errs by
  /// 2.5 units, the sum by one for each addition. In the sum |d_j| has the mean Σ p_j |d_j| ≤ ln K + 1.
  init(softmax x: [Double], class k: Int, unit: Double, depth: Double) {
    let largest = x.max()!
    let exponentials = x.map { exp($0 - largest) }
    let sum = exponentials.reduce(0, +)
    loss = log(sum) + (largest - x[k])
    let sumError = (depth + 3.5 + log(Double(x.count))) * unit
    tolerance = sumError
    for j in x.indices {
      let p = exponentials[j] / sum
      let target = j == k ? 1.0 : 0
      gradient.append(p - target)
      // At the target, 1 is subtracted from a rounded p, both times the rounded share.
      gradientTolerance.append(p * (sumError + (largest - x[j] + 6) * unit) + 4 * unit * target)
    }
  }

  /// The mean of −y ln σ(x) − (1 − y) ln(1 − σ(x)) = max(x, 0) − x y + ln(1 + e^−|x|).
  init(binary x: [Double], _ y: [Double], unit: Double, depth: Double) {
    let count = Double(x.count)
    for (x, y) in zip(x, y) {
      let value = max(x, 0) - x * y + log1p(exp(-x.magnitude))
      loss += value / count
      // x y is exact where y is 0 or 1, and so is what the terms without a logarithm give: then the loss has a few
      // relative errors however small it is.
      let product = y == 0 || y == 1 ? 0 : x.magnitude
      tolerance += ((depth + 6) * value + 2 * product) * unit / count
      let σ = x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
      gradient.append((σ - y) / count)
      gradientTolerance.append((4 * σ + 2 * (σ - y).magnitude) * unit / count)
    }
  }

  /// The mean of (x − y)².
  init(squares x: [Double], _ y: [Double], unit: Double, depth: Double) {
    let count = Double(x.count)
    for (x, y) in zip(x, y) {
      loss += (x - y) * (x - y) / count
      gradient.append(2 * (x - y) / count)
      gradientTolerance.append(4 * unit * (x - y).magnitude / count)
    }
    tolerance = (depth + 5) * unit * loss
  }
}

/// A loss of the package over arrays, with any kernels.
struct LossCall<Scalar: TestScalar> {
  var outputs: [Scalar]
  var targets: NaiveTargets
  var weights: [Scalar]?
  let rows: Int
  let columns: Int

  /// The loss and its gradient, which is full of NaN before.
  func evaluate(_ kernels: Kernels<Scalar>, threads: Int = 1) -> (loss: Double, gradient: [Scalar]) {
    var evaluator = LossEvaluator<Scalar>(rows: rows, threads: threads, kernels: kernels)
    var gradient = [Scalar](repeating: .canary, count: rows * columns)
    let loss =
      switch targets {
      case .classes(let classes):
        unsafe classes.map { Int32($0) }.withUnsafeBufferPointer {
          unsafe evaluate(&evaluator, .classes($0.baseAddress!), &gradient)
        }
      case .probabilities(let y):
        unsafe y.map { Scalar($0) }.withUnsafeBufferPointer {
          unsafe evaluate(&evaluator, .probabilities($0.baseAddress!), &gradient)
        }
      case .values(let y):
        unsafe y.map { Scalar($0) }.withUnsafeBufferPointer {
          unsafe evaluate(&evaluator, .values($0.baseAddress!), &gradient)
        }
      }
    return (loss, gradient)
  }

  private func evaluate(
    _ evaluator: inout LossEvaluator<Scalar>, _ targets: LossTargets<Scalar>, _ gradient: inout [Scalar]
  ) -> Double {
    unsafe outputs.withUnsafeBufferPointer { outputs in
      unsafe gradient.withUnsafeMutableBufferPointer { gradient in
        let x = unsafe MatrixView(outputs, rows: rows, columns: columns)
        let g = unsafe MutableMatrixView(gradient, rows: rows, columns: columns)
        guard let weights else { return unsafe evaluator.evaluate(x, targets: targets, gradient: g) }
        return unsafe weights.withUnsafeBufferPointer {
          unsafe evaluator.evaluate(x, targets: targets, weights: $0.baseAddress, gradient: g)
        }
      }
    }
  }

  func naive(_ kernels: Kernels<Scalar>) -> NaiveLoss {
    NaiveLoss(
      outputs.map(\.asDouble), targets, weights: weights?.map(\.asDouble), rows: rows, columns: columns,
      unit: Scalar.ulpOfOne.asDouble / 2, lanes: kernels.geometry.lanes)
  }

  /// What is wrong with the package's answer; nil where nothing is.
  func complaint(_ kernels: Kernels<Scalar>) -> String? {
    let (expected, actual) = (naive(kernels), evaluate(kernels))
    if !((actual.loss - expected.loss).magnitude <= expected.lossTolerance) {
      return "loss: expected \(expected.loss) ± \(expected.lossTolerance), got \(actual.loss)"
    }
    for (index, value) in actual.gradient.enumerated() {
      let (gradient, tolerance) = (expected.gradient[index], expected.gradientTolerance[index])
      if !((value.asDouble - gradient).magnitude <= tolerance) {
        return "gradient (\(index / columns), \(index % columns)): expected \(gradient) ± \(tolerance), got \(value)"
      }
    }
    return nil
  }
}
