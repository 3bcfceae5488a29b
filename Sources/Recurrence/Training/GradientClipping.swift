import RecurrenceKernels

// With ‖g‖ the Euclidean norm of the whole gradient:
//
//   by value    g_i ← min(max(g_i, lower), upper)
//   by norm     g ← g · θ/‖g‖  where ‖g‖ > θ by more than rounding, otherwise g stays as it is, to the bit
//
// By value first where both are asked for, so that the norm of what is used is at most θ. No ε is added to ‖g‖ (as
// PyTorch adds 1e−6): where nothing is clipped nothing changes, and clipping twice is clipping once.
//
// Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.

/// What to do with a gradient that has an infinite element or one that is not a number.
public enum NonFinitePolicy: String, Hashable, Sendable, Codable, CaseIterable {
  /// Throw `NonFiniteGradient`, the gradient as it came.
  case `throw`
  /// Make no update: the gradient becomes zero, and the outcome says so.
  case skip
  /// Set these elements to zero and use the others.
  case zero
}

/// How a gradient is limited before it is used.
public struct GradientClipping: Hashable, Sendable, Codable {
  /// θ, the largest norm; nil for no limit.
  public var norm: Double?
  /// The range of each element; nil for no limit.
  public var values: ClosedRange<Double>?
  public var nonFinite: NonFinitePolicy

  /// - Parameters:
  ///   - norm: θ > 0, finite.
  ///   - values: lower ≤ 0 ≤ upper.
  ///
  /// Traps with a sentence where a limit is outside its range: a negative θ would turn the gradient round.
  public init(norm: Double? = nil, values: ClosedRange<Double>? = nil, nonFinite: NonFinitePolicy = .throw) {
    self.norm = norm
    self.values = values
    self.nonFinite = nonFinite
    if let complaint { fatalError(complaint) }
  }

  /// What is wrong with its limits; nil where nothing is.
  package var complaint: String? {
    if let norm, !(norm > 0 && norm.isFinite) {
      return "norm: expected a finite number greater than 0, got \(norm)"
    }
    if let values, !(values.lowerBound <= 0 && values.upperBound >= 0) {
      return "values: expected a range that holds 0, got \(values)"
    }
    return nil
  }

  /// Limits each element to ±`value`.
  public init(norm: Double? = nil, value: Double, nonFinite: NonFinitePolicy = .throw) {
    if !(value >= 0) { fatalError("value: expected at least 0, got \(value)") }
    self.init(norm: norm, values: -value...value, nonFinite: nonFinite)
  }
}

/// Thrown where a gradient is not finite and the policy is to throw.
public struct NonFiniteGradient: Error, Hashable, Sendable, CustomStringConvertible {
  /// The first such element of the flat vector.
  public let index: Int
  public let value: Double
  public var description: String {
    "gradient[\(index)]: expected a finite number, got \(value); "
      + "clip the gradient, lower the learning rate, or choose another policy for non-finite gradients"
  }
}

/// What clipping did to one gradient.
public struct ClippingOutcome: Hashable, Sendable {
  /// ‖g‖ as it came; not finite where g is not, or where ‖g‖ is beyond Double.
  public var norm: Double
  /// What clipping by norm multiplied g by: 1 where it did nothing, 0 where the update is skipped.
  public var scale: Double
  /// Elements that clipping by value changed.
  public var clippedValues: Int
  /// Elements that were not finite.
  public var nonFiniteValues: Int
  /// Whether no update should be made.
  public var isSkipped: Bool
}

/// How often each kind of clipping fired.
public struct ClippingCounts: Hashable, Sendable, Codable {
  /// Gradients seen.
  public var gradients = 0
  /// Gradients that were scaled, that had an element limited, that were skipped, that had elements set to zero.
  public var byNorm = 0, byValue = 0, skipped = 0, zeroed = 0

  public init() {}

  public mutating func add(_ outcome: ClippingOutcome) {
    gradients += 1
    if outcome.isSkipped { skipped += 1 }
    if outcome.nonFiniteValues > 0 && !outcome.isSkipped { zeroed += 1 }
    if outcome.clippedValues > 0 { byValue += 1 }
    if outcome.scale != 1 && !outcome.isSkipped { byNorm += 1 }
  }
}

extension GradientClipping {
  /// Limits a gradient in place.
  ///
  /// Throws `NonFiniteGradient` where that is the policy; the gradient is as it came then. The norm is a sum in Double in
  /// a fixed order, the same on every instruction set; it neither overflows nor underflows on the way.
  @discardableResult
  public func clip<Scalar: RecurrenceScalar>(
    _ gradient: inout [Scalar]
  ) throws(NonFiniteGradient) -> ClippingOutcome {
    unsafe try gradient.withUnsafeMutableBufferPointer { gradient throws(NonFiniteGradient) in
      unsafe try clip(gradient, kernels: .selected)
    }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  package func clip<Scalar: RecurrenceScalar>(
    _ gradient: UnsafeMutableBufferPointer<Scalar>, kernels: Kernels<Scalar>
  ) throws(NonFiniteGradient) -> ClippingOutcome {
    var outcome = ClippingOutcome(norm: 0, scale: 1, clippedValues: 0, nonFiniteValues: 0, isSkipped: false)
    guard let g = gradient.baseAddress else { return outcome }
    let table = kernels.table
    let count = gradient.count
    var norm = unsafe ScaledNorm(g, count: count, kernels: kernels)
    outcome.norm = norm.value
    if !norm.isFinite {
      guard let first = unsafe gradient.firstIndex(where: { !$0.isFinite }) else {
        fatalError("norm: not finite, though every element is")
      }
      outcome.nonFiniteValues = unsafe gradient.reduce(0) { $0 + ($1.isFinite ? 0 : 1) }
      switch nonFinite {
      case .throw: throw unsafe NonFiniteGradient(index: first, value: gradient[first].asDouble)
      case .skip:
        unsafe gradient.update(repeating: 0)
        (outcome.scale, outcome.isSkipped) = (0, true)
        return outcome
      case .zero:
        for index in first..<count where unsafe !gradient[index].isFinite { unsafe gradient[index] = 0 }
        norm = unsafe ScaledNorm(g, count: count, kernels: kernels)
      }
    }
    if let values {
      let (lower, upper) = (Scalar(values.lowerBound), Scalar(values.upperBound))
      outcome.clippedValues = unsafe gradient.reduce(0) { $0 + ($1 < lower || $1 > upper ? 1 : 0) }
      if outcome.clippedValues > 0 {
        unsafe table.clamp(g, count: count, lower, upper)
        norm = unsafe ScaledNorm(g, count: count, kernels: kernels)
      }
    }
    if let limit = self.norm, norm.exceeds(limit, count: count) {
      outcome.scale = limit / norm.value
      unsafe norm.scale(g, count: count, to: limit, table)
    }
    return outcome
  }
}

/// A Euclidean norm that may lie beyond the range of Double: `significand` · 2^`exponent`.
struct ScaledNorm<Scalar: RecurrenceScalar> {
  private(set) var significand: Double
  private(set) var exponent = 0

  init(_ x: UnsafePointer<Scalar>, count: Int, kernels: Kernels<Scalar>) {
    let table = kernels.table
    let sum = unsafe table.sumOfSquares(x, count: count, factor: 1)
    significand = sum.squareRoot()
    // Squares of Floats are at home in Double. Those of Doubles may not be.
    if sum.isFinite && sum > 0x1p-900 { return }
    let largest = unsafe table.largestMagnitude(x, count: count).asDouble
    if largest == 0 || !largest.isFinite {
      significand = largest
      return
    }
    exponent = Int(largest.exponent)
    // Within the range of powers of two that are Doubles; the square of what remains is at home again.
    exponent = min(max(exponent, -1000), 1000)
    let factor = Double(sign: .plus, exponent: -exponent, significand: 1)
    significand = unsafe table.sumOfSquares(x, count: count, factor: factor).squareRoot()
  }

  var isFinite: Bool { significand.isFinite }
  /// Infinite where it is beyond Double.
  var value: Double { Double(sign: .plus, exponent: exponent, significand: significand) }

  /// Whether the norm is beyond a limit by more than a gradient may be that has been scaled to it.
  ///
  /// The factor and the products are rounded, each by half an ulp of `Scalar`. A sum of squares passes `count` / 8
  /// additions and four roundings more, of which half enter its root, and the root is rounded; that twice, for the norm
  /// before and after.
  func exceeds(_ limit: Double, count: Int) -> Bool {
    value > limit * (1 + Scalar.ulpOfOne.asDouble + (Double(count) / 8 + 10) * 0x1p-53)
  }

  /// x ← x · limit/norm.
  func scale(
    _ x: UnsafeMutablePointer<Scalar>, count: Int, to limit: Double, _ table: any KernelTable<Scalar>.Type
  ) {
    let factor = limit / value
    if value.isFinite && factor >= Scalar.leastNormalMagnitude.asDouble * 0x1p24 {
      unsafe table.scale(x, count: count, by: Scalar(factor))
      return
    }
    // A factor near the subnormal numbers has few bits, or none. Powers of two are exact, and each half of this one is a
    // normal number: they bring the norm to [1, 2).
    let power = exponent + Int(significand.exponent)
    for part in [power / 2, power - power / 2] {
      unsafe table.scale(x, count: count, by: Scalar(sign: .plus, exponent: Scalar.Exponent(-part), significand: 1))
    }
    unsafe table.scale(x, count: count, by: Scalar(limit / significand.significand))
  }
}
