import Recurrence

/// What exact arithmetic gives, and how far arithmetic in `Scalar` may be from it: running error analysis (Wilkinson,
/// "Rounding Errors in Algebraic Processes", 1963).
///
/// Every operation adds half an ulp of its result to the errors that its operands bring, and what flushing may take. The
/// values are Doubles, whose own rounding is counted too. A formula written with these numbers carries the tolerance by
/// which to judge a kernel that computes the same formula, however large or cancelled its terms.
struct BoundedNumber<Scalar: TestScalar>: Sendable {
  let value: Double
  let error: Double

  /// Half an ulp of 1 in `Scalar`, and in Double.
  static var unit: Double { Scalar.ulpOfOne.asDouble / 2 + 0x1p-53 }

  /// A number that `Scalar` holds exactly.
  init(_ exact: Scalar) { self.init(exact.asDouble, error: 0) }

  /// A number that must be rounded first.
  init(rounded value: Double) { self.init(value, error: Self.unit * value.magnitude) }

  private init(_ value: Double, error: Double) {
    self.value = value
    self.error = error
  }

  private static func rounding(_ value: Double, error: Double) -> BoundedNumber {
    let flushed = value == 0 && error == 0 ? 0 : Scalar.leastNormalMagnitude.asDouble
    return BoundedNumber(value, error: error + unit * value.magnitude + flushed)
  }

  static func + (a: Self, b: Self) -> Self { rounding(a.value + b.value, error: a.error + b.error) }
  static func - (a: Self, b: Self) -> Self { rounding(a.value - b.value, error: a.error + b.error) }
  static func * (a: Self, b: Self) -> Self {
    rounding(
      a.value * b.value,
      error: a.value.magnitude * b.error + b.value.magnitude * a.error + a.error * b.error)
  }
  /// Infinite where the divisor may be 0.
  static func / (a: Self, b: Self) -> Self {
    let quotient = a.value / b.value
    let smallest = b.value.magnitude - b.error
    return rounding(
      quotient, error: smallest > 0 ? (a.error + quotient.magnitude * b.error) / smallest : .infinity)
  }
  func squareRoot() -> Self {
    let root = value.squareRoot()
    return Self.rounding(root, error: error == 0 ? 0 : min(error.squareRoot(), error / root))
  }

  /// What is wrong with a result; nil where nothing is.
  ///
  /// - Parameter slack: times the bound that is allowed, for kernels that round more often than the formula does.
  func complaint(_ actual: Scalar, slack: Double) -> String? {
    let distance = (actual.asDouble - value).magnitude
    if distance <= slack * error { return nil }
    return "expected \(value) ± \(slack * error), got \(actual), \(distance) away"
  }
}
