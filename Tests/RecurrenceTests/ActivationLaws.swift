import Recurrence

// What holds for each activation function besides accuracy, for tests to go through.

/// Limits of an activation function, as its documentation states them.
struct ActivationLaws {
  /// Greatest error in ulps. 2 is the law for all; what the documentation promises beyond, counts.
  var largestError: Double
  /// Results for all arguments but NaN lie between these.
  var range: ClosedRange<Double>
  /// f(−x) = −f(x), bit for bit.
  var isOdd = false
  /// By how many ulps f(next x) may lie below f(x).
  var largestDrop = 0
  /// Derivatives for all arguments but NaN lie between these.
  var slopes: ClosedRange<Double>
}

extension Activation {
  func laws<Scalar: JudgedScalar>(_ kernels: Kernels<Scalar>) -> ActivationLaws {
    /// A documented error of a smooth function: Float with fused multiply-add, without, Double with, without. The
    /// figures are rounded to two places, which ±0.005 allows for; those of Double come from a sample, not from all
    /// numbers, and another sample may do a little worse.
    func documented(_ figures: [Double]) -> Double {
      let isDouble = Scalar.significandBitCount > 23
      return figures[(isDouble ? 2 : 0) + (kernels.geometry.isFused ? 0 : 1)] + (isDouble ? 0.1 : 0.005)
    }
    func rounded(_ parameter: Double) -> Double { Double(Scalar(parameter)) }
    // Neighbouring floats give tanh and ELU in order; doubles are not promised to.
    let ordered = Scalar.significandBitCount > 23 ? 1 : 0
    let inf = Double.infinity
    switch self {
    case .exponential:
      return ActivationLaws(
        largestError: documented([0.92, 1.21, 0.92, 1.17]), range: 0...inf, largestDrop: 1, slopes: 0...inf)
    case .tanh:
      return ActivationLaws(
        largestError: documented([1.41, 1.49, 1.46, 1.46]), range: -1...1, isOdd: true, largestDrop: ordered,
        slopes: 0...1)
    case .sigmoid:
      return ActivationLaws(
        largestError: documented([1.62, 1.65, 1.40, 1.45]), range: 0...1, largestDrop: 1, slopes: 0...0.25)
    case .softplus:
      return ActivationLaws(
        largestError: documented([1.86, 1.86, 1.60, 1.60]), range: 0...inf, largestDrop: 1, slopes: 0...1)
    case .relu: return ActivationLaws(largestError: 0, range: 0...inf, slopes: 0...1)
    case .leakyReLU(let slope):
      // One product.
      return ActivationLaws(largestError: 0.5, range: -inf...inf, slopes: rounded(slope)...1)
    case .elu(let alpha):
      // α a power of two scales without error.
      return ActivationLaws(
        largestError: documented([0.95, 1.07, 1.14, 1.10]), range: -alpha...inf, largestDrop: ordered,
        slopes: 0...max(1, alpha))
    case .softsign:
      return ActivationLaws(
        largestError: documented([1.50, 1.50, 1.49, 1.49]), range: -1...1, isOdd: true, largestDrop: 1, slopes: 0...1)
    case .hardSigmoid(let slope, _):
      // Two roundings, each at most 2⁻²⁴ (2⁻⁵³) of the result, which is at most one ulp of it.
      return ActivationLaws(largestError: 2, range: 0...1, slopes: 0...rounded(slope))
    case .hardTanh(let minimum, let maximum):
      return ActivationLaws(largestError: 0, range: minimum...maximum, isOdd: minimum == -maximum, slopes: 0...1)
    case .identity: return ActivationLaws(largestError: 0, range: -inf...inf, isOdd: true, slopes: 1...1)
    }
  }

  /// Arguments at which a case distinction, a clamp or a range of the result begins. Around them the function must not
  /// decrease, not even by an ulp.
  func seams<Scalar: JudgedScalar>(of _: Scalar.Type) -> [Scalar] {
    let common: [Scalar] = [0, .infinity, -.infinity]
    // Where e^x overflows, becomes subnormal, and rounds to zero.
    let ln2 = 0.693_147_180_559_945_3
    let leastNormal = Double(Scalar.leastNormalMagnitude.exponent)
    let overflow = Scalar(ln2 * (Double(Scalar.greatestFiniteMagnitude.exponent) + 1))
    let subnormal = Scalar(ln2 * leastNormal)
    let vanishing = Scalar(ln2 * (leastNormal - Double(Scalar.significandBitCount) - 1))
    switch self {
    case .exponential: return common + [overflow, subnormal, vanishing, Scalar.expLowest, Scalar.expHighest]
    case .tanh: return common + [Scalar.tanhBound, -Scalar.tanhBound]
    case .sigmoid, .softplus:
      return common + [subnormal, vanishing, Scalar.expLowest, -subnormal, -vanishing, -Scalar.expLowest]
    case .elu: return common + [Scalar.expm1Lowest]
    case .softsign: return common + [1, -1]
    case .hardSigmoid(let slope, let offset):
      return common + [Scalar(-offset / slope), Scalar((1 - offset) / slope)]
    case .hardTanh(let minimum, let maximum): return common + [Scalar(minimum), Scalar(maximum)]
    case .relu, .leakyReLU, .identity: return common
    }
  }

  /// Arguments with an exact result, zeros told apart.
  func exactValues<Scalar: JudgedScalar>(of _: Scalar.Type) -> [(x: Scalar, y: Scalar)] {
    let (inf, zero, minusZero) = (Scalar.infinity, Scalar(0), -Scalar(0))
    let signedZeros = [(zero, zero), (minusZero, minusZero)]
    let least = Scalar.leastNonzeroMagnitude
    switch self {
    case .exponential: return [(zero, 1), (minusZero, 1), (inf, inf), (-inf, 0), (least, 1), (-least, 1)]
    case .tanh: return signedZeros + [(inf, 1), (-inf, -1), (least, least), (-least, -least)]
    case .sigmoid: return [(zero, 0.5), (minusZero, 0.5), (inf, 1), (-inf, 0)]
    case .softplus: return [(inf, inf), (-inf, 0)]
    case .relu: return signedZeros + [(inf, inf), (-inf, 0), (least, least), (-least, 0)]
    case .leakyReLU: return signedZeros + [(inf, inf), (-inf, -inf), (least, least), (1, 1)]
    case .elu(let alpha): return signedZeros + [(inf, inf), (-inf, Scalar(-alpha)), (least, least), (1, 1)]
    case .softsign: return signedZeros + [(inf, 1), (-inf, -1), (1, 0.5), (-1, -0.5), (least, least)]
    case .hardSigmoid(let slope, let offset):
      let (low, high) = (Scalar(-offset / slope), Scalar((1 - offset) / slope))
      return [(zero, 0.5), (minusZero, 0.5), (inf, 1), (-inf, 0), (low, 0), (high, 1)]
    case .hardTanh(let minimum, let maximum):
      return signedZeros + [(inf, Scalar(maximum)), (-inf, Scalar(minimum)), (least, least), (-least, -least)]
    case .identity: return signedZeros + [(inf, inf), (-inf, -inf), (least, least), (-least, -least)]
    }
  }

  /// What the type of this function says about its derivative.
  var derivativeUsesOnlyValue: Bool {
    switch self {
    case .exponential: Exponential.derivativeUsesOnlyValue
    case .tanh: Tanh.derivativeUsesOnlyValue
    case .sigmoid: Sigmoid.derivativeUsesOnlyValue
    case .softplus: Softplus.derivativeUsesOnlyValue
    case .relu: ReLU.derivativeUsesOnlyValue
    case .leakyReLU: LeakyReLU.derivativeUsesOnlyValue
    case .elu: ELU.derivativeUsesOnlyValue
    case .softsign: Softsign.derivativeUsesOnlyValue
    case .hardSigmoid: HardSigmoid.derivativeUsesOnlyValue
    case .hardTanh: HardTanh.derivativeUsesOnlyValue
    case .identity: Identity.derivativeUsesOnlyValue
    }
  }

  /// Piecewise linear: the derivative is one of a few numbers, even at NaN.
  var isPiecewiseLinear: Bool {
    switch self {
    case .relu, .leakyReLU, .hardSigmoid, .hardTanh, .identity: true
    case .exponential, .tanh, .sigmoid, .softplus, .elu, .softsign: false
    }
  }
}
