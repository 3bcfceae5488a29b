import Foundation
import Recurrence
import Testing

/// Derivatives of the activation functions, on every instruction set: against the derivative of the reference formula,
/// against differences of the values, and at kinks.
@Suite struct ActivationDerivativeTests {
  @Test(arguments: Activation.tested) func floatsOnADenseSample(_ activation: Activation) {
    checkDenseSample(activation, Kernels<Float>.supported)
  }

  @Test(
    .enabled(if: Double.hasJudge, "NO FORMAT WIDER THAN DOUBLE HERE: derivatives of Double are NOT tested"),
    arguments: Activation.tested)
  func doublesOnADenseSample(_ activation: Activation) {
    checkDenseSample(activation, Kernels<Double>.supported)
  }

  /// f′(x) ≈ (f(x + h) − f(x − h)) / 2h. It knows neither formula of f′, so a wrong one that two places share shows.
  ///
  /// - The difference quotient misses f′ by at most h²/6 · max |f‴| where f is smooth in [x − h, x + h]. h and x are
  ///   such that x ± h is exact and no kink lies between: kinks lie at multiples of ¼, x is k/1024 + 1/4096.
  /// - The two values are off by at most 2 ulp each: 4 ulp / 2h.
  /// - The derivative from the kernel is off by at most 8 roundings (see `DerivativeBound`), the quotient by one.
  @Test(arguments: Activation.tested) func agreeWithCentralDifferences(_ activation: Activation) {
    let h = 0x1p-17
    let x = (-6144..<6144).map { (k: Int) -> Double in Double(k) * 0x1p-10 + 0x1p-12 }
    for kernels in Kernels<Double>.supported {
      var complaints = Complaints()
      let above = kernels.values(activation, x.map { $0 + h })
      let below = kernels.values(activation, x.map { $0 - h })
      let slopes = kernels.derivatives(activation, at: x, value: kernels.values(activation, x))
      for i in x.indices {
        let quotient = (above[i] - below[i]) / (2 * h)
        let curvature = h * h / 6 * activation.thirdDerivativeBound(upTo: x[i] + h)
        let values = 2 * max(above[i].magnitude, below[i].magnitude).ulp / h
        let roundings = 9 * 0x1p-53 * max(1, quotient.magnitude)
        let allowed = curvature + values + roundings
        if !((slopes[i] - quotient).magnitude <= allowed) {
          complaints.note(
            "expected \(quotient) ± \(allowed), got \(slopes[i])", "\(activation)′ [\(kernels.label)] of \(x[i])")
        }
      }
    }
  }

  @Test(arguments: Activation.tested) func kinksFollowTheirConvention(_ activation: Activation) {
    checkPoints(activation, Kernels<Float>.supported)
    checkPoints(activation, Kernels<Double>.supported)
  }

  /// Cells keep y only and pass it for x as well; other callers may pass any x they like.
  @Test(arguments: Activation.tested) func valueAloneSuffices(_ activation: Activation) {
    func check<Scalar: JudgedScalar>(_ all: [Kernels<Scalar>]) {
      var random = SeededRandom(stream: 61_000)
      let x = Scalar.landmarks + (0..<1000).map { _ in random.wide(Scalar.self, exponents: -10...6) }
      let garbage = x.map { _ in random.wide(Scalar.self, exponents: -100...100) }
      for kernels in all {
        let y = kernels.values(activation, x)
        let expected = kernels.derivatives(activation, at: x, value: y)
        for (name, other) in [("y", y), ("noise", garbage)] {
          let difference = firstDifference(
            kernels.derivatives(activation, at: other, value: y), from: expected, columns: x.count)
          #expect(difference == nil, "\(activation)′ [\(kernels.label)], \(name) passed for x: \(difference ?? "")")
        }
      }
    }
    switch activation {
    case .leakyReLU, .elu: #expect(!activation.derivativeUsesOnlyValue)
    default:
      #expect(activation.derivativeUsesOnlyValue)
      check(Kernels<Float>.supported)
      check(Kernels<Double>.supported)
    }
  }

  // MARK: Checks

  private func checkDenseSample<Scalar: JudgedScalar>(_ activation: Activation, _ all: [Kernels<Scalar>]) {
    var complaints = Complaints()
    let bound = activation.derivativeBound(of: Scalar.self)
    // Every fourth block: a derivative is a few operations on a value that has been looked at more closely.
    for block in stride(from: 0, to: Scalar.denseSampleBlocks, by: SuiteSettings.isThin ? 1 : 4) {
      let x = Scalar.denseSample(block: block, for: activation)
      let expected = x.map { activation.referenceDerivative($0) }
      for kernels in all {
        let slopes = activation.laws(kernels).slopes
        let range = Scalar(slopes.lowerBound)...Scalar(slopes.upperBound)
        let y = kernels.values(activation, x)
        let derivatives = kernels.derivatives(activation, at: x, value: y)
        for i in x.indices {
          let finding: String
          if x[i].isNaN {
            if !activation.isPiecewiseLinear || derivatives[i].isFinite { continue }
            finding = "expected a finite number, got \(derivatives[i].spelled)"
          } else if !range.contains(derivatives[i]) {
            finding = "expected a number in \(slopes), got \(derivatives[i].spelled)"
          } else if !bound.admits(derivatives[i], x[i], expected[i]) {
            finding = "expected \(expected[i]) ± \(bound), got \(derivatives[i].spelled)"
          } else {
            continue
          }
          complaints.note(finding, "\(activation)′ [\(kernels.label)] of \(x[i].spelled)")
          if complaints.areEnough { return }
        }
      }
    }
  }

  private func checkPoints<Scalar: JudgedScalar>(_ activation: Activation, _ all: [Kernels<Scalar>]) {
    let points = activation.exactDerivatives(of: Scalar.self)
    let x = points.map(\.x)
    for kernels in all {
      let derivatives = kernels.derivatives(activation, at: x, value: kernels.values(activation, x))
      for ((x, expected), derivative) in zip(points, derivatives) {
        #expect(derivative == expected, "\(activation)′ [\(kernels.label)] of \(x.spelled)")
      }
    }
  }
}

/// How far a derivative that the kernels compute from y may lie from f′(x).
///
/// y is within 2 ulp of f(x), that is within 4u·|f(x)| for u = 2⁻²⁴ (2⁻⁵³), and within 2u where |f(x)| < 1; within 2
/// least subnormals where it is subnormal.
private struct DerivativeBound: CustomStringConvertible {
  /// In units of u.
  var absolute = 0.0
  /// In units of u·f′(x).
  var relative = 0.0
  /// In least subnormals, for bounds that are relative.
  var subnormal = 0.0
  /// Arguments in this interval, next to a kink, may have the derivative of either side.
  var open: ClosedRange<Double>?
  /// Negative arguments are held to this instead.
  var negative: [DerivativeBound] = []

  func admits<Scalar: JudgedScalar>(_ derivative: Scalar, _ x: Scalar, _ truth: Scalar.Wide) -> Bool {
    if x < 0, let bound = negative.first { return bound.admits(derivative, x, truth) }
    if Scalar(rounding: truth) == derivative { return true }
    if let open, open.contains(Double(x)) { return true }
    let rounding = Scalar.unitRoundoff * (Scalar.Wide(absolute) + Scalar.Wide(relative) * truth)
    let allowed = rounding + Scalar.Wide(subnormal) * Scalar.leastNonzeroMagnitude.widened
    return (derivative.widened - truth).magnitude <= allowed
  }

  var description: String {
    let bound = "\(absolute)u + \(relative)u·f′ + \(subnormal) subnormals"
    return negative.first.map { "\(bound) (\($0) for x < 0)" } ?? bound
  }
}

extension Activation {
  fileprivate func derivativeBound<Scalar: JudgedScalar>(of _: Scalar.Type) -> DerivativeBound {
    switch self {
    case .exponential:
      // y itself.
      return DerivativeBound(relative: 4, subnormal: 2)
    case .tanh:
      // 1 − y²: 2|y|·2u from y, ½u for y² (unless fused) and ½u for the difference.
      return DerivativeBound(absolute: 5)
    case .sigmoid:
      // y(1 − y): |1 − 2y|·2u from y; 1 − y is off by u/2 where y < ½, which counts as u/4; the product is at most ¼.
      // Down where y is small it is as accurate as y, 4u, plus u for 1 − y, plus u for the product.
      return DerivativeBound(absolute: 2.5, negative: [DerivativeBound(relative: 6, subnormal: 3)])
    case .softplus:
      // 1 − e^−y: 4u from y, diminished by y/(e^y − 1) ≤ 1, and 2 ulp, at most 4u, from expm1.
      return DerivativeBound(relative: 8, subnormal: 4)
    case .elu(let alpha):
      // y + α for x ≤ 0: 2u·α from y, ½u·α from the sum, α being a power of two. The derivative for x > 0 is 1.
      return DerivativeBound(absolute: 0, negative: [DerivativeBound(absolute: 2.5 * alpha)])
    case .softsign:
      // (1 − |y|)²: 2(1 − |y|) times the 2 ulp of y and the ½u of 1 − |y|, exact where |y| ≥ ½; ½u for the square. The
      // worst of all binades of y is [¼, ½): 1.5·u + 0.75·u + 0.5·u.
      return DerivativeBound(absolute: 2.75)
    case .hardSigmoid(let slope, let offset):
      // Exact, but y may round to 1 before x has reached the kink: y is within 2 roundings of slope · (x + offset/slope),
      // so that x + offset/slope is within 4u of its end 1/slope.
      let kink = Double(Scalar((1 - offset) / slope))
      let width = 2 * Double(Scalar.ulpOfOne) / slope
      return DerivativeBound(open: kink - width...kink.nextDown)
    case .relu, .leakyReLU, .hardTanh, .identity: return DerivativeBound()
    }
  }

  /// max |f‴| on intervals of smoothness, up to x.
  fileprivate func thirdDerivativeBound(upTo x: Double) -> Double {
    switch self {
    case .exponential: exp(x)
    // −2(1 − y²)(1 − 3y²) is greatest at 0.
    case .tanh: 2
    // ⅛ at 0; softplus′ = σ, whose second derivative is greatest where y = ½ ± √3/6: 1/(6√3).
    case .sigmoid: 0.125
    case .softplus: 0.0963
    case .elu(let alpha): alpha
    // 6/(1 + |x|)⁴.
    case .softsign: 6
    case .relu, .leakyReLU, .hardSigmoid, .hardTanh, .identity: 0
    }
  }

  /// Arguments with an exact derivative: kinks, their neighbours, zeros and infinities.
  fileprivate func exactDerivatives<Scalar: JudgedScalar>(of _: Scalar.Type) -> [(x: Scalar, derivative: Scalar)] {
    let (inf, zero, minusZero) = (Scalar.infinity, Scalar(0), -Scalar(0))
    let least = Scalar.leastNonzeroMagnitude
    switch self {
    case .exponential: return [(zero, 1), (minusZero, 1), (-inf, 0), (inf, inf)]
    case .tanh: return [(zero, 1), (minusZero, 1), (inf, 0), (-inf, 0), (least, 1)]
    case .sigmoid: return [(zero, 0.25), (minusZero, 0.25), (inf, 0), (-inf, 0)]
    case .softplus: return [(-inf, 0), (inf, 1)]
    case .relu: return [(zero, 0), (minusZero, 0), (least, 1), (-least, 0), (inf, 1), (-inf, 0)]
    case .leakyReLU(let slope):
      let slope = Scalar(slope)
      return [(zero, slope), (minusZero, slope), (least, 1), (-least, slope), (inf, 1), (-inf, slope)]
    case .elu(let alpha):
      let alpha = Scalar(alpha)
      return [(zero, alpha), (minusZero, alpha), (least, 1), (-least, alpha), (inf, 1), (-inf, 0)]
    case .softsign: return [(zero, 1), (minusZero, 1), (inf, 0), (-inf, 0), (1, 0.25), (-1, 0.25)]
    case .hardSigmoid(let slope, let offset):
      let (low, high) = (Scalar(-offset / slope), Scalar((1 - offset) / slope))
      let slope = Scalar(slope)
      return [
        (low, 0), (low.nextUp, slope), (low.nextDown, 0), (high, 0), (high.nextUp, 0), (zero, slope), (inf, 0),
        (-inf, 0),
      ]
    case .hardTanh(let minimum, let maximum):
      let (low, high) = (Scalar(minimum), Scalar(maximum))
      return [
        (low, 0), (low.nextUp, 1), (low.nextDown, 0), (high, 0), (high.nextDown, 1), (high.nextUp, 0), (zero, 1),
        (minusZero, 1), (inf, 0), (-inf, 0),
      ]
    case .identity: return [(zero, 1), (inf, 1), (-inf, 1), (.greatestFiniteMagnitude, 1)]
    }
  }
}
