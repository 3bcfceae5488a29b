import Foundation
import Recurrence
import Testing

/// The wider format that judges: its functions are within 1 of its own ulps, 2⁻¹¹ of a double's.
#if arch(x86_64)
private typealias Reference = Float80
/// Ulps by which the reference may itself be wrong.
private let doubt = 0.01
#else
private typealias Reference = Double
private let doubt = 1.0
#endif

/// Scalar functions that must not differ between platforms, against the C library's, which may.
@Suite("Deterministic mathematics")
struct DeterministicMathTests {
  private func error(_ value: Double, _ reference: Reference) -> Double {
    if Reference(value) == reference { return 0 }
    return Double((Reference(value) - reference).magnitude / Reference(Double(reference).ulp))
  }

  @Test("log: at most 1 ulp over all magnitudes, densely around 1 and in (0, 4)")
  func logarithm() {
    var arguments = (1...40_000).map { Double($0) * 1e-4 }
    for step in 1...2_000 {
      arguments.append(1 + Double(step) * 0x1p-52)
      arguments.append(1 - Double(step) * 0x1p-53)
    }
    var random = SeededRandom()
    for _ in 0..<100_000 { arguments.append(Double(bitPattern: random.next() >> 1)) }
    arguments += [
      .leastNonzeroMagnitude, .leastNormalMagnitude, .leastNormalMagnitude.nextDown, .greatestFiniteMagnitude,
    ]
    var worst = (error: 0.0, argument: 0.0)
    for x in arguments where x.isFinite && x > 0 {
      let error = error(DeterministicMath.log(x), Foundation.log(Reference(x)))
      if !(error <= worst.error) { worst = (error, x) }
    }
    #expect(worst.error <= 1 + doubt, "log(\(worst.argument)), seed \(SuiteSettings.seed)")
    #expect(DeterministicMath.log(1).bitPattern == 0)
    #expect(DeterministicMath.log(0) == -.infinity && DeterministicMath.log(-0.0) == -.infinity)
    #expect(DeterministicMath.log(.infinity) == .infinity)
    for x in [-1, -Double.leastNonzeroMagnitude, -.infinity, .nan] {
      #expect(DeterministicMath.log(x).isNaN, "log(\(x))")
    }
  }

  /// cos(πx) with every reduction exact: where the cosine is small, it is the sine of what x lacks of ½.
  private func cosPi(_ x: Double) -> Reference {
    var x = x.magnitude.truncatingRemainder(dividingBy: 2)
    if x > 1 { x = 2 - x }
    if x < 0.25 { return Foundation.cos(.pi * Reference(x)) }
    if x > 0.75 { return -Foundation.cos(.pi * Reference(1 - x)) }
    return Foundation.sin(.pi * Reference(0.5 - x))
  }

  @Test("cos(πx): at most 2 ulp, exact at multiples of ½")
  func cosine() {
    var arguments = (0...80_000).map { (Double($0) - 40_000) * 1e-4 }
    for half in 0...8 {
      for step in [0x1p-52, 0x1p-40, 1e-9, 1e-5] {
        arguments += [Double(half) * 0.5 + step, Double(half) * 0.25 - step]
      }
    }
    var random = SeededRandom(stream: 1)
    for _ in 0..<100_000 {
      arguments.append(2 * Double(random.next() >> 11) * 0x1p-53)
      arguments.append(random.wide(Double.self, exponents: -60...51))
    }
    var worst = (error: 0.0, argument: 0.0)
    for x in arguments {
      let error = error(DeterministicMath.cosPi(x), cosPi(x))
      if !(error <= worst.error) { worst = (error, x) }
    }
    #expect(worst.error <= 2, "cosPi(\(worst.argument)), seed \(SuiteSettings.seed)")
    let exact: [(Double, Double)] = [
      (0, 1), (-0.0, 1), (0.5, 0), (-0.5, 0), (1, -1), (1.5, 0), (2, 1), (2.5, 0), (3, -1), (0x1p52 + 1, -1),
      (0x1p53 - 1, -1), (0x1p53, 1), (0x1p1023, 1), (.greatestFiniteMagnitude, 1), (.leastNonzeroMagnitude, 1),
    ]
    for (x, y) in exact { #expect(DeterministicMath.cosPi(x).bitPattern == y.bitPattern, "cosPi(\(x))") }
    for x in [Double.nan, .infinity, -.infinity] { #expect(DeterministicMath.cosPi(x).isNaN, "cosPi(\(x))") }
  }

  @Test("integer powers: at most 1 ulp, however many factors")
  func power() {
    var random = SeededRandom(stream: 2)
    var worst = (error: 0.0, base: 0.0, exponent: 0)
    for _ in 0..<20_000 {
      let exponent = random.index(below: 1 << (1 + random.index(below: 24)))
      // Bases whose power stays within 2^±900.
      let span = 900 / Double(max(1, exponent))
      let base = Foundation.exp2(min(span, 40) * (2 * Double(random.next() >> 11) * 0x1p-53 - 1))
      let error = error(
        DeterministicMath.power(base, exponent), Foundation.pow(Reference(base), Reference(exponent)))
      if !(error <= worst.error) { worst = (error, base, exponent) }
    }
    #expect(worst.error <= 1 + doubt, "\(worst.base) to the \(worst.exponent), seed \(SuiteSettings.seed)")
    for exponent in 0...33 {
      let exact = (0..<exponent).reduce(1) { product, _ in product * 3 }
      #expect(DeterministicMath.power(-3, exponent) == Double(exponent % 2 == 0 ? exact : -exact))
    }
    #expect(DeterministicMath.power(.nan, 0) == 1 && DeterministicMath.power(0, 0) == 1)
    #expect(DeterministicMath.power(.nan, 2).isNaN)
    #expect(DeterministicMath.power(2, 2000) == .infinity && DeterministicMath.power(-.infinity, 3) == -.infinity)
    #expect(DeterministicMath.power(0.5, 2000) == 0 && DeterministicMath.power(0, 3) == 0)
    #expect(DeterministicMath.power(.greatestFiniteMagnitude, 1) == .greatestFiniteMagnitude)
  }
}
