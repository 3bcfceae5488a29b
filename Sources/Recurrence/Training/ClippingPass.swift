import RecurrenceKernels

/// A gradient on its way through its limits, in this order:
///
/// 1. `admit`: what is not finite meets its policy
/// 2. units, see `UnitwiseClipping`, and `noteUnits`
/// 3. `limitValues`
/// 4. `limitNorm`, to a number or a percentile, see `PercentileClipping`
///
/// Each sees what the one before left. The norm comes last, so that what is used keeps to it; it is measured when the
/// gradient arrives, and again only where a limit has changed an element.
struct ClippingPass<Scalar: RecurrenceScalar> {
  let kernels: Kernels<Scalar>
  private(set) var outcome = ClippingOutcome()
  /// Of the gradient as it is now.
  private(set) var norm = ScaledNorm<Scalar>.zero

  init(kernels: Kernels<Scalar>) { self.kernels = kernels }

  /// Measures the gradient as it came. Throws where that is the policy, and has changed nothing then.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  mutating func admit(
    _ gradient: UnsafeMutableBufferPointer<Scalar>, _ policy: NonFinitePolicy
  ) throws(NonFiniteGradient) {
    unsafe measure(gradient)
    outcome.norm = norm.value
    if norm.isFinite { return }
    guard let first = unsafe gradient.firstIndex(where: { !$0.isFinite }) else {
      fatalError("norm: not finite, though every element is")
    }
    outcome.nonFiniteValues = unsafe gradient.reduce(0) { $0 + ($1.isFinite ? 0 : 1) }
    switch policy {
    case .throw: throw unsafe NonFiniteGradient(index: first, value: gradient[first].asDouble)
    case .skip:
      unsafe gradient.update(repeating: 0)
      norm = .zero
      (outcome.scale, outcome.isSkipped) = (0, true)
    case .zero:
      for index in first..<gradient.count where unsafe !gradient[index].isFinite { unsafe gradient[index] = 0 }
      unsafe measure(gradient)
    }
  }

  /// Takes note of units that were scaled in the meantime.
  mutating func noteUnits(_ clipped: Int, _ gradient: UnsafeMutableBufferPointer<Scalar>) {
    outcome.clippedUnits = clipped
    if clipped > 0 { unsafe measure(gradient) }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  mutating func limitValues(_ gradient: UnsafeMutableBufferPointer<Scalar>, to values: ClosedRange<Double>?) {
    guard let values, let g = gradient.baseAddress else { return }
    let (lower, upper) = (Scalar(values.lowerBound), Scalar(values.upperBound))
    outcome.clippedValues = unsafe kernels.table.clamp(g, count: gradient.count, lower, upper)
    if outcome.clippedValues > 0 { unsafe measure(gradient) }
  }

  /// - Parameter limit: θ > 0, or nil for none.
  mutating func limitNorm(_ gradient: UnsafeMutableBufferPointer<Scalar>, to limit: Double?) {
    guard let limit, !outcome.isSkipped else { return }
    outcome.threshold = limit
    if let g = gradient.baseAddress, norm.exceeds(limit, count: gradient.count) {
      outcome.scale = limit / norm.value
      unsafe norm.scale(g, count: gradient.count, to: limit, kernels.table)
    }
  }

  private mutating func measure(_ gradient: UnsafeMutableBufferPointer<Scalar>) {
    guard let g = gradient.baseAddress else { return }
    norm = unsafe ScaledNorm(g, count: gradient.count, kernels: kernels)
  }
}

/// A Euclidean norm that may lie beyond the range of Double: `significand` · 2^`exponent`.
struct ScaledNorm<Scalar: RecurrenceScalar> {
  private(set) var significand: Double
  private(set) var exponent = 0

  static var zero: Self { Self(significand: 0) }

  private init(significand: Double) { self.significand = significand }

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
