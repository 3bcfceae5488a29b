// What the activation functions are judged by, written from their documentation alone.
//
// The judge of a scalar type computes in the next wider format, with the platform's mathematics library: `Double` for
// `Float`, the 80-bit format of x86 for `Double`. The formulas below are good to 4 units of that format, which is 2⁻²⁷
// or 2⁻⁹ of the unit in which errors are counted here: no limit needs an allowance for it.

import Foundation
import Recurrence

/// The functions of a mathematics library that the formulas need.
protocol WideReal: BinaryFloatingPoint {
  var exponential: Self { get }
  /// e^x − 1.
  var exponentialMinusOne: Self { get }
  /// ln(1 + x).
  var logarithmOfOnePlus: Self { get }
  var hyperbolicTangent: Self { get }
}

extension Double: WideReal {
  var exponential: Double { exp(self) }
  var exponentialMinusOne: Double { expm1(self) }
  var logarithmOfOnePlus: Double { log1p(self) }
  var hyperbolicTangent: Double { Foundation.tanh(self) }
}

#if arch(x86_64) && !os(Windows)
extension Float80: WideReal {
  var exponential: Float80 { expl(self) }
  var exponentialMinusOne: Float80 { expm1l(self) }
  var logarithmOfOnePlus: Float80 { log1pl(self) }
  var hyperbolicTangent: Float80 { tanhl(self) }
}
#endif

/// A scalar whose errors are counted in a wider format.
protocol JudgedScalar: TestScalar {
  associatedtype Wide: WideReal
  var widened: Wide { get }
  /// Rounded to nearest; ±∞ beyond the greatest value.
  init(rounding wide: Wide)
  /// One block of the dense sample, and how many blocks there are.
  static func denseSample(block: Int, for activation: Activation) -> [Self]
  static var denseSampleBlocks: Int { get }
}

extension JudgedScalar {
  /// Whether `Wide` is wider indeed.
  static var hasJudge: Bool { Wide.significandBitCount > significandBitCount }

  /// Half an ulp of numbers in [1, 2).
  static var unitRoundoff: Wide { ulpOfOne.widened / 2 }

  /// Distance from the reference in units of the spacing of this type at the reference, the spacing of subnormals where
  /// it lies below the normal range. At most ½ counts as none.
  ///
  /// ∞ is right where the reference rounds to ∞, and infinitely wrong elsewhere. A finite result is measured against
  /// 2^(greatest exponent + 1) where the reference lies beyond.
  func error(from reference: Wide) -> Double {
    let nearest = Self(rounding: reference)
    if self == nearest { return 0 }
    if isInfinite || isNaN || reference.isNaN { return .infinity }
    if nearest.isInfinite {
      let greatest = (reference.sign == .minus ? -Self.greatestFiniteMagnitude : .greatestFiniteMagnitude)
      return Double(((widened - greatest.widened) / greatest.ulp.widened).magnitude) + 1
    }
    let exponent = reference == 0 ? Self.leastNormalMagnitude.exponent : Self.Exponent(reference.exponent)
    let spacing = max(exponent, Self.leastNormalMagnitude.exponent) - Self.Exponent(Self.significandBitCount)
    let unit = Wide(sign: .plus, exponent: Wide.Exponent(spacing), significand: 1)
    return Double(((widened - reference) / unit).magnitude)
  }

  /// Place in ascending order; both zeros are at 0.
  var ordinal: Int {
    let magnitude = Int(wideBits & (Self.bitMask >> 1))
    return sign == .minus ? -magnitude : magnitude
  }

  /// By how many places `next` lies below `self`, the value at the argument before; 0 where it does not.
  func drop(to next: Self) -> Int {
    if !(next < self) { return 0 }
    let (distance, overflow) = ordinal.subtractingReportingOverflow(next.ordinal)
    return overflow ? .max : distance
  }

  /// ±0, ±∞, quiet NaNs with and without payload, both ends of the subnormal, normal and finite ranges, and ±1.
  static var landmarks: [Self] { specialValues + [leastNonzeroMagnitude.nextUp, -leastNonzeroMagnitude.nextUp] }

  /// `seam` with its 64 neighbours on either side, ascending.
  static func neighbourhood(of seam: Self) -> [Self] {
    var x = seam
    for _ in 0..<64 { x = x.nextDown }
    var result = [x]
    while result.count < 129, x < .infinity {
      x = x.nextUp
      result.append(x)
    }
    return result
  }
}

extension Float: JudgedScalar {
  var widened: Double { Double(self) }
  init(rounding wide: Double) { self.init(wide) }

  /// Every 1021st of the 2³² patterns: a prime, so that low bits take all values. Thinned, every 100,003rd.
  private static var sampleStride: Int { SuiteSettings.isThin ? 100_003 : 1021 }
  static var denseSampleBlocks: Int { (1 << 32) / sampleStride / 4096 + 1 }

  static func denseSample(block: Int, for _: Activation) -> [Float] {
    (block * 4096..<(block + 1) * 4096).map { Float(bitPattern: UInt32(truncatingIfNeeded: $0 * sampleStride)) }
  }
}

extension Double: JudgedScalar {
  #if arch(x86_64) && !os(Windows)
  typealias Wide = Float80
  var widened: Float80 { Float80(self) }
  init(rounding wide: Float80) { self.init(wide) }
  #else
  typealias Wide = Double
  var widened: Double { self }
  init(rounding wide: Double) { self = wide }
  #endif

  /// 2²⁰ numbers, or 2¹⁴.
  static var denseSampleBlocks: Int { SuiteSettings.isThin ? 4 : 256 }

  /// In equal parts: uniform in ±40 (twice) and ±1, any pattern, exponents around 1, the neighbourhood of the limits of
  /// exp, of the seams of argument reductions by ln 2 and ln 2 / 2, and of the function's own seams.
  static func denseSample(block: Int, for activation: Activation) -> [Double] {
    var random = SeededRandom(stream: 60_000 + block)
    let seams = activation.seams(of: Double.self).filter { $0.isFinite && $0 != 0 }
    return (0..<4096).map { i in
      switch i % 8 {
      case 0, 1: return .random(in: -40...40, using: &random)
      case 2: return .random(in: -1...1, using: &random)
      case 3: return Double(bitPattern: random.next())
      case 4: return random.wide(Double.self, exponents: -60...5)
      case 5: return random.pick([709.78, -709.78, 745.13, -745.13, -708.4]) + .random(in: -2...2, using: &random)
      case 6:
        // Odd multiples of ln 2 / 4: half-way between the multiples of either period.
        let seam = Double(2 * random.index(below: 64) - 63) * 0.173_286_795_139_986_33
        return seam * (1 + .random(in: -1...1, using: &random) * 0x1p-20)
      default:
        if seams.isEmpty { return random.wide(Double.self, exponents: -8...8) }
        return random.pick(seams) * (1 + .random(in: -1...1, using: &random) * random.pick([0x1p-8, 0x1p-30, 0x1p-48]))
      }
    }
  }
}

extension Activation {
  /// All functions, with default parameters and with others.
  static let tested: [Activation] =
    standard + [
      .elu(alpha: 0.5), .elu(alpha: 2), .leakyReLU(slope: 0.2), .hardSigmoidONNX, .hardTanh(minimum: -2, maximum: 3),
    ]

  /// f(x). Parameters are rounded to the scalar type first.
  func reference<Scalar: JudgedScalar>(_ argument: Scalar) -> Scalar.Wide {
    let x = argument.widened
    switch self {
    case .exponential: return x.exponential
    case .tanh: return x.hyperbolicTangent
    case .sigmoid:
      let e = (-x.magnitude).exponential
      return x < 0 ? e / (1 + e) : 1 / (1 + e)
    case .softplus: return (x > 0 ? x : 0) + (-x.magnitude).exponential.logarithmOfOnePlus
    case .relu: return x < 0 ? 0 : x
    case .leakyReLU(let slope): return x < 0 ? Scalar(slope).widened * x : x
    case .elu(let alpha): return x < 0 ? Scalar(alpha).widened * x.exponentialMinusOne : x
    case .softsign: return x.isInfinite ? (x < 0 ? -1 : 1) : x / (1 + x.magnitude)
    case .hardSigmoid(let slope, let offset):
      // As a line through its root: slope · x + offset with the rounded slope has another root.
      return limit(Scalar(slope).widened * (x + Scalar(offset / slope).widened), 0, 1)
    case .hardTanh(let minimum, let maximum): return limit(x, Scalar(minimum).widened, Scalar(maximum).widened)
    case .identity: return x
    }
  }

  /// f′(x) from x alone. At a kink, the documented choice.
  func referenceDerivative<Scalar: JudgedScalar>(_ argument: Scalar) -> Scalar.Wide {
    let x = argument.widened
    // In terms of e^−|x|, which cannot overflow.
    let e = (-x.magnitude).exponential
    switch self {
    case .exponential: return x.exponential
    case .tanh: return 4 * e * e / ((1 + e * e) * (1 + e * e))
    case .sigmoid: return e / ((1 + e) * (1 + e))
    case .softplus: return x < 0 ? e / (1 + e) : 1 / (1 + e)
    case .relu: return x > 0 ? 1 : 0
    case .leakyReLU(let slope): return x > 0 ? 1 : Scalar(slope).widened
    case .elu(let alpha): return x > 0 ? 1 : Scalar(alpha).widened * e
    case .softsign: return 1 / ((1 + x.magnitude) * (1 + x.magnitude))
    case .hardSigmoid(let slope, let offset):
      let (low, high) = (Scalar(-offset / slope).widened, Scalar((1 - offset) / slope).widened)
      return low < x && x < high ? Scalar(slope).widened : 0
    case .hardTanh(let minimum, let maximum):
      return Scalar(minimum).widened < x && x < Scalar(maximum).widened ? 1 : 0
    case .identity: return 1
    }
  }

  private func limit<Wide: WideReal>(_ x: Wide, _ minimum: Wide, _ maximum: Wide) -> Wide {
    x < minimum ? minimum : x > maximum ? maximum : x
  }
}

extension Kernels where Scalar: TestScalar {
  /// f(x), element by element.
  func values(_ activation: Activation, _ x: [Scalar]) -> [Scalar] {
    var y = x
    unsafe table.activation(activation, x, &y, count: x.count)
    return y
  }

  /// f′(x), element by element, given y = f(x).
  func derivatives(_ activation: Activation, at x: [Scalar], value y: [Scalar]) -> [Scalar] {
    var result = x
    unsafe table.activationDerivative(activation, at: x, value: y, &result, count: x.count)
    return result
  }
}
