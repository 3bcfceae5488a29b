/// The learning rate of each step of a training run.
///
///     let schedule = LearningRateSchedule.cosine(2e-3, warmup: 100, total: 5000)
///     optimiser.rate = schedule.rate(at: step)
///
/// A value that a checkpoint keeps whole. Rates are computed from the step alone, with the same bits on every platform;
/// the one schedule that has a past, `reduceOnPlateau`, is told each validation loss by `observe`. Decoding throws where
/// a number is out of the range that the making of a schedule demands.
public struct LearningRateSchedule: Hashable, Sendable {
  public enum Kind: Hashable, Sendable, Codable {
    case constant
    case step(every: Int, factor: Double)
    case exponential(factor: Double)
    case cosine(warmup: Int, total: Int, finalFraction: Double)
    case reduceOnPlateau(factor: Double, patience: Int, threshold: Double, cooldown: Int, minimum: Double)
  }

  /// What `reduceOnPlateau` remembers.
  public struct Plateau: Hashable, Sendable, Codable {
    /// The rate now.
    public fileprivate(set) var rate: Double
    /// The best loss so far, nil before there was one.
    public fileprivate(set) var best: Double?
    /// Losses since then, or since the last reduction, that were no better.
    public fileprivate(set) var waited = 0
    /// Losses yet to come that are not counted.
    public fileprivate(set) var cooldownLeft = 0
  }

  /// The rate that everything is a part of.
  public let baseRate: Double
  public let kind: Kind
  /// nil for all kinds but `reduceOnPlateau`.
  public private(set) var plateau: Plateau?

  private init(_ baseRate: Double, _ kind: Kind) {
    self.baseRate = baseRate
    self.kind = kind
    if case .reduceOnPlateau = kind { plateau = Plateau(rate: baseRate) }
    if let complaint { fatalError(complaint) }
  }
}

extension LearningRateSchedule {
  // Numbers out of range trap with a sentence.

  /// Always the same rate, at least 0.
  public static func constant(_ rate: Double) -> Self { Self(rate, .constant) }

  /// rate · factorⁿ after n times `every` steps (PyTorch's `StepLR`). Both are positive.
  public static func step(_ rate: Double, every: Int, factor: Double) -> Self {
    Self(rate, .step(every: every, factor: factor))
  }

  /// rate · factorᵗ at step t (PyTorch's `ExponentialLR`). `factor` is positive.
  public static func exponential(_ rate: Double, factor: Double) -> Self { Self(rate, .exponential(factor: factor)) }

  /// Rises linearly, rate · (t + 1)/(warmup + 1) at step t < `warmup`, then falls along half a cosine from `rate` at step
  /// `warmup` to rate · finalFraction at step `total` and ever after (Loshchilov and Hutter 2017; PyTorch's `LinearLR`
  /// followed by `CosineAnnealingLR`).
  ///
  /// - Parameters:
  ///   - warmup: at least 0, less than `total`.
  ///   - finalFraction: from 0 to 1.
  public static func cosine(_ rate: Double, warmup: Int = 0, total: Int, finalFraction: Double = 0) -> Self {
    Self(rate, .cosine(warmup: warmup, total: total, finalFraction: finalFraction))
  }

  /// Multiplies the rate by `factor` when the loss has not become better for more than `patience` observations (PyTorch's
  /// `ReduceLROnPlateau` with mode "min" and a relative threshold, whose defaults these are).
  ///
  /// - Parameters:
  ///   - factor: between 0 and 1.
  ///   - patience: at least 0.
  ///   - threshold: from 0, less than 1. Better is what is less than best · (1 − threshold); losses are meant to be
  ///     positive.
  ///   - cooldown: observations after a reduction during which none is counted, at least 0.
  ///   - minimum: the rate is never reduced below, from 0 to `rate`. A reduction by 10⁻⁸ or less does not take place.
  public static func reduceOnPlateau(
    _ rate: Double, factor: Double = 0.1, patience: Int = 10, threshold: Double = 1e-4, cooldown: Int = 0,
    minimum: Double = 0
  ) -> Self {
    Self(
      rate,
      .reduceOnPlateau(
        factor: factor, patience: patience, threshold: threshold, cooldown: cooldown, minimum: minimum))
  }

  /// The rate of a step, counted from 0. Traps where it is negative.
  public func rate(at step: Int) -> Double {
    if step < 0 { fatalError("step: expected at least 0, got \(step)") }
    switch kind {
    case .constant: return baseRate
    case .step(let every, let factor): return baseRate * DeterministicMath.power(factor, step / every)
    case .exponential(let factor): return baseRate * DeterministicMath.power(factor, step)
    case .cosine(let warmup, let total, let finalFraction):
      if step < warmup { return baseRate * (Double(step + 1) / Double(warmup + 1)) }
      let way = Double(min(step, total) - warmup) / Double(total - warmup)
      let height = 0.5 * (1 + DeterministicMath.cosPi(way))
      return baseRate * (finalFraction + (1 - finalFraction) * height)
    case .reduceOnPlateau: return plateau!.rate
    }
  }

  /// Takes note of a validation loss. Schedules other than `reduceOnPlateau` have no use for it. A loss that is not finite
  /// is no better than any.
  public mutating func observe(_ loss: Double) {
    guard var plateau, case .reduceOnPlateau(let factor, let patience, let threshold, let cooldown, let minimum) = kind
    else { return }
    if loss.isFinite, loss < (plateau.best ?? .infinity) * (1 - threshold) {
      plateau.best = loss
      plateau.waited = 0
    } else {
      plateau.waited += 1
    }
    if plateau.cooldownLeft > 0 {
      plateau.cooldownLeft -= 1
      plateau.waited = 0
    }
    if plateau.waited > patience {
      let reduced = max(plateau.rate * factor, minimum)
      if plateau.rate - reduced > 1e-8 { plateau.rate = reduced }
      plateau.cooldownLeft = cooldown
      plateau.waited = 0
    }
    self.plateau = plateau
  }
}

extension LearningRateSchedule: Codable {
  private enum CodingKeys: CodingKey { case baseRate, kind, plateau }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    baseRate = try values.decode(Double.self, forKey: .baseRate)
    kind = try values.decode(Kind.self, forKey: .kind)
    plateau = try values.decodeIfPresent(Plateau.self, forKey: .plateau)
    if let complaint {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: complaint))
    }
  }

  /// What is wrong with the numbers, as a sentence.
  private var complaint: String? {
    func positive(_ factor: Double) -> String? {
      factor > 0 && factor.isFinite ? nil : "factor: expected a finite number above 0, got \(factor)"
    }
    guard baseRate >= 0, baseRate.isFinite else {
      return "rate: expected a finite number from 0 on, got \(baseRate)"
    }
    switch kind {
    case .constant: break
    case .step(let every, let factor):
      if every < 1 { return "every: expected at least 1 step, got \(every)" }
      return positive(factor)
    case .exponential(let factor): return positive(factor)
    case .cosine(let warmup, let total, let finalFraction):
      if warmup < 0 || warmup == .max { return "warmup: expected at least 0 steps, got \(warmup)" }
      if total <= warmup { return "total: expected more than the \(warmup) steps of the warm-up, got \(total)" }
      guard (0...1).contains(finalFraction) else {
        return "finalFraction: expected a number from 0 to 1, got \(finalFraction)"
      }
    case .reduceOnPlateau(let factor, let patience, let threshold, let cooldown, let minimum):
      guard factor > 0, factor < 1 else { return "factor: expected a number between 0 and 1, got \(factor)" }
      if patience < 0 { return "patience: expected at least 0, got \(patience)" }
      if patience == .max { return "patience: expected at most 2⁶³ − 2, got \(patience)" }
      guard (0..<1).contains(threshold) else {
        return "threshold: expected a number from 0, less than 1, got \(threshold)"
      }
      if cooldown < 0 { return "cooldown: expected at least 0, got \(cooldown)" }
      guard (0...baseRate).contains(minimum) else {
        return "minimum: expected a number from 0 to the rate, \(baseRate), got \(minimum)"
      }
      guard let plateau, (minimum...baseRate).contains(plateau.rate), plateau.best?.isFinite ?? true,
        (0...patience).contains(plateau.waited), (0...cooldown).contains(plateau.cooldownLeft)
      else { return "plateau: expected the state of such a schedule, got \(plateau.map { "\($0)" } ?? "none")" }
      return nil
    }
    return plateau == nil ? nil : "plateau: expected none, because the schedule has no past"
  }
}
