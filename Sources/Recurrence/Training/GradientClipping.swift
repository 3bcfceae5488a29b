// With ‖g‖ the Euclidean norm of the whole gradient:
//
//   by value    g_i ← min(max(g_i, lower), upper)
//   by norm     g ← g · θ/‖g‖  where ‖g‖ > θ by more than rounding, otherwise g stays as it is, to the bit
//
// By value first where both are asked for, so that the norm of what is used is at most θ. No ε is added to ‖g‖ (as
// PyTorch adds 1e−6): where nothing is clipped nothing changes, and clipping twice is clipping once. A θ that follows
// the norms themselves is in PercentileClipping.swift, limits for each unit in UnitwiseClipping.swift.
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
  public var norm = 0.0
  /// What clipping by norm multiplied g by: 1 where it did nothing, 0 where the update is skipped.
  public var scale = 1.0
  /// θ that the norm was held to, fixed or a percentile; nil where there was none.
  public var threshold: Double?
  /// Units that unit-wise clipping scaled.
  public var clippedUnits = 0
  /// Elements that clipping by value changed.
  public var clippedValues = 0
  /// Elements that were not finite.
  public var nonFiniteValues = 0
  /// Whether no update should be made.
  public var isSkipped = false
}

/// How often each kind of clipping fired, and how much was left of the gradients.
public struct ClippingCounts: Hashable, Sendable, Codable {
  /// Gradients seen.
  public var gradients = 0
  /// Gradients that were scaled, that had an element limited, that were skipped, that had elements set to zero.
  public var byNorm = 0, byValue = 0, skipped = 0, zeroed = 0
  /// Gradients that had a unit scaled.
  public var byUnit = 0
  /// Gradients whose scale is known, and the sum of their scales. Fewer than were seen and used where counts come from a
  /// file that did not keep scales.
  public var scales = 0, scaleSum = 0.0

  public init() {}

  public mutating func add(_ outcome: ClippingOutcome) {
    gradients += 1
    if outcome.isSkipped {
      skipped += 1
      return
    }
    if outcome.nonFiniteValues > 0 { zeroed += 1 }
    if outcome.clippedUnits > 0 { byUnit += 1 }
    if outcome.clippedValues > 0 { byValue += 1 }
    if outcome.scale != 1 { byNorm += 1 }
    scales += 1
    scaleSum += outcome.scale
  }

  /// The share of gradients that clipping by norm scaled, from 0 to 1, among those that were not skipped; nil of none.
  public var shareClippedByNorm: Double? {
    gradients > skipped ? Double(byNorm) / Double(gradients - skipped) : nil
  }

  /// The mean of what clipping by norm multiplied gradients by, 1 for those that it left alone; skipped ones do not count.
  /// Nil of none.
  public var meanScale: Double? { scales > 0 ? scaleSum / Double(scales) : nil }

  private enum CodingKeys: CodingKey { case gradients, byNorm, byValue, skipped, zeroed, byUnit, scales, scaleSum }

  /// Reads files that were written before there were units and scales, too. Throws `DecodingError` where a number cannot be
  /// a count, or the sum of scales not a sum: from 0 to 2⁵³, so that none overflows when it is counted on from there.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    gradients = try values.decode(Int.self, forKey: .gradients)
    byNorm = try values.decode(Int.self, forKey: .byNorm)
    byValue = try values.decode(Int.self, forKey: .byValue)
    skipped = try values.decode(Int.self, forKey: .skipped)
    zeroed = try values.decode(Int.self, forKey: .zeroed)
    byUnit = try values.decodeIfPresent(Int.self, forKey: .byUnit) ?? 0
    scales = try values.decodeIfPresent(Int.self, forKey: .scales) ?? 0
    scaleSum = try values.decodeIfPresent(Double.self, forKey: .scaleSum) ?? 0
    let counts = [gradients, byNorm, byValue, skipped, zeroed, byUnit, scales]
    guard counts.allSatisfy((0...(1 << 53)).contains), (0...0x1p53).contains(scaleSum) else {
      let complaint = "counts: expected numbers from 0 to 2⁵³, got \(counts), and \(scaleSum) as a sum"
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: complaint))
    }
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

  package func clip<Scalar: RecurrenceScalar>(
    _ gradient: UnsafeMutableBufferPointer<Scalar>, kernels: Kernels<Scalar>
  ) throws(NonFiniteGradient) -> ClippingOutcome {
    var pass = ClippingPass(kernels: kernels)
    unsafe try pass.admit(gradient, nonFinite)
    unsafe pass.limitValues(gradient, to: values)
    unsafe pass.limitNorm(gradient, to: norm)
    return pass.outcome
  }
}
