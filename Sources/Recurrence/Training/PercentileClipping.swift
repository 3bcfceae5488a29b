// AutoClip. With h the norms of the last gradients, that of g among them as it is before it is clipped:
//
//   θ = the p-th percentile of h
//   g ← g · θ/‖g‖  where ‖g‖ > θ by more than rounding, otherwise g stays as it is, to the bit
//
// Seetharaman, Wichern, Pardo and Le Roux, "AutoClip: Adaptive gradient clipping for source separation networks", 2020:
// p = 10, and all gradients since the beginning; here the last `window` of them.

/// Clipping by norm at a percentile of the norms so far (AutoClip): a threshold that follows the gradients.
///
///     var percentile = PercentileClipping(percentile: 10)
///     trainer.percentileClipping = percentile                   // in a trainer, or
///     try percentile.clip(&gradient)                            // of any flat vector
///
/// The first gradient is its own percentile and is not clipped; with p = 100 none ever is. Holds what it remembers: one
/// that is kept in a file goes on with the same bits.
public struct PercentileClipping: Hashable, Sendable {
  /// p, above 0 and at most 100. Setting another traps.
  public var percentile: Double {
    didSet { if let complaint = Self.complaint(percentile) { fatalError(complaint) } }
  }
  /// The norms that came to be clipped.
  public var history: NormHistory

  /// - Parameters:
  ///   - percentile: p, above 0 and at most 100; the paper's 10 clips nine gradients of ten.
  ///   - window: how many of the last norms count, from 1 to `NormHistory.largestWindow`.
  ///
  /// Traps with a sentence where one is outside its range.
  public init(percentile: Double = 10, window: Int = 1000) {
    self.percentile = percentile
    history = NormHistory(window: window)
    if let complaint = Self.complaint(percentile) { fatalError(complaint) }
  }

  private static func complaint(_ percentile: Double) -> String? {
    percentile > 0 && percentile <= 100
      ? nil : "percentile: expected more than 0 and at most 100, got \(percentile)"
  }

  /// θ as the history is; nil, no limit, where it is empty, and where θ is 0: a gradient is not erased because those
  /// before it were zero.
  public var threshold: Double? { history.percentile(percentile).flatMap { $0 > 0 ? $0 : nil } }

  /// Takes the norm of a gradient, and returns θ for it, nil for no limit. A norm that is infinite or not a number is not
  /// taken: θ is then that of the others. Traps where it is negative.
  public mutating func threshold(adding norm: Double) -> Double? {
    history.add(norm)
    return threshold
  }

  /// Limits a gradient in place.
  ///
  /// - Parameters:
  ///   - gradient: any flat vector.
  ///   - clipping: the policy for what is not finite and the limits of values, which come first, and a norm that θ shall
  ///     not be above.
  ///
  /// The norm that is taken is that of what is left for this limit. That of a gradient which had elements set to zero is
  /// not: it says little about whole ones. Throws `NonFiniteGradient` where that is the policy; gradient and history are as
  /// they were then.
  @discardableResult
  public mutating func clip<Scalar: RecurrenceScalar>(
    _ gradient: inout [Scalar], _ clipping: GradientClipping = GradientClipping()
  ) throws(NonFiniteGradient) -> ClippingOutcome {
    var pass = ClippingPass<Scalar>(kernels: .selected)
    return unsafe try gradient.withUnsafeMutableBufferPointer { gradient throws(NonFiniteGradient) in
      unsafe try pass.admit(gradient, clipping.nonFinite)
      unsafe pass.limitValues(gradient, to: clipping.values)
      let percentile = threshold(of: pass)
      unsafe pass.limitNorm(gradient, to: smaller(clipping.norm, percentile))
      return pass.outcome
    }
  }

  /// θ of a gradient that all limits but the norm have passed.
  mutating func threshold<Scalar>(of pass: ClippingPass<Scalar>) -> Double? {
    pass.outcome.nonFiniteValues == 0 ? threshold(adding: pass.norm.value) : threshold
  }
}

/// The smaller of two limits, nil where there is none.
func smaller(_ a: Double?, _ b: Double?) -> Double? {
  guard let a, let b else { return a ?? b }
  return min(a, b)
}

extension PercentileClipping: Codable {
  private enum CodingKeys: CodingKey { case percentile, history }

  /// Throws `DecodingError` where a number is out of its range.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    percentile = try values.decode(Double.self, forKey: .percentile)
    history = try values.decode(NormHistory.self, forKey: .history)
    if let complaint = Self.complaint(percentile) {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: complaint))
    }
  }
}
