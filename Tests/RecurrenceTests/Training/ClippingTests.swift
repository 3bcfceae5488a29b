import Foundation
import Recurrence
import Testing

/// What clipping promises, and what it counts.
@Suite("Gradient clipping")
struct ClippingTests {
  /// A gradient through a policy's eyes, with any kernels.
  private static func clip<Scalar: TestScalar>(
    _ clipping: GradientClipping, _ gradient: inout [Scalar], _ kernels: Kernels<Scalar> = .selected
  ) throws -> ClippingOutcome {
    unsafe try gradient.withUnsafeMutableBufferPointer { unsafe try clipping.clip($0, kernels: kernels) }
  }

  /// A norm by exact scaling and compensated sums, in a frame where nothing overflows: significand and power of two.
  private static func norm<Scalar: TestScalar>(_ gradient: [Scalar]) -> (significand: Double, exponent: Int) {
    let largest = gradient.map(\.asDouble.magnitude).max() ?? 0
    if largest == 0 { return (0, 0) }
    let exponent = Int(largest.exponent)
    var (sum, rest) = (0.0, 0.0)
    for g in gradient {
      // In two steps: 2⁻ᵉ may be beyond Double where 2ᵉ is subnormal.
      let half = Double(sign: .plus, exponent: -exponent / 2, significand: g.asDouble)
      let x = Double(sign: .plus, exponent: -exponent - (-exponent / 2), significand: half)
      let square = x * x
      rest += (-square).addingProduct(x, x)
      let next = sum + square
      rest += sum.magnitude >= square ? (sum - next) + square : (square - next) + sum
      sum = next
    }
    return ((sum + rest).squareRoot(), exponent)
  }

  private static let counts = [0, 1, 2, 7, 8, 9, 16, 1000, 4099]

  @Test("the norm, at every magnitude, and with the same bits on every instruction set", arguments: [false, true])
  func norms(isDouble: Bool) throws {
    if isDouble {
      try checkNorms(
        scales: [1, 1e300, 1e-300, 0x1p1000, 0x1p-1000, 1e155, 1e-155, .leastNonzeroMagnitude], of: Double.self)
    } else {
      try checkNorms(scales: [1, 1e30, 1e-30, 3e38, 0x1p-149], of: Float.self)
    }
  }

  private func checkNorms<Scalar: TestScalar>(scales: [Scalar], of _: Scalar.Type) throws {
    var random = SeededRandom()
    for scale in scales {
      for count in Self.counts {
        var gradient: [Scalar] = random.array(count, .uniform).map { $0 * scale }
        // Beside large elements small ones, which scaling must not turn into something else.
        if count > 8 { gradient[3] = .leastNonzeroMagnitude }
        let context = "\(Scalar.self), \(count) of up to \(scale), seed \(SuiteSettings.seed)"
        let expected = Self.norm(gradient)
        var bits: Set<UInt64> = []
        for kernels in Kernels<Scalar>.supported {
          var copy = gradient
          let outcome = try Self.clip(GradientClipping(), &copy, kernels)
          #expect(firstDifference(copy, from: gradient, columns: 8) == nil, "\(context)")
          #expect(outcome.scale == 1 && !outcome.isSkipped && outcome.clippedValues == 0, "\(context)")
          bits.insert(outcome.norm.bitPattern)
          // A sum of squares passes each of them through count / 8 additions at most, and three more; half of that enters.
          let tolerance = (Double(count) / 16 + 4) * 0x1p-53
          let frame = Double(sign: .plus, exponent: -expected.exponent / 2, significand: outcome.norm)
          let scaled = Double(
            sign: .plus, exponent: -expected.exponent - (-expected.exponent / 2), significand: frame)
          // The norm itself may be subnormal.
          let rounding = outcome.norm < .leastNormalMagnitude ? 1.0 : 0
          #expect(
            (scaled - expected.significand).magnitude <= tolerance * expected.significand + rounding,
            "\(context), \(kernels.instructionSet): \(outcome.norm), expected \(expected)")
        }
        #expect(bits.count == 1, "\(context): \(bits)")
      }
    }
  }

  /// Squares of equal elements whose number is a power of 4 have a sum whose root is exact.
  @Test("norms of equal elements are exact") func exactNorms() throws {
    for (value, norm): (Double, Double) in [
      (3, 24), (1e300, 8e300), (1e-300, 8e-300), (0x1.8p-1060, 0x1.8p-1057), (.greatestFiniteMagnitude, .infinity),
    ] {
      var gradient = [Double](repeating: value, count: 64)
      #expect(try Self.clip(GradientClipping(), &gradient).norm == norm, "64 times \(value)")
    }
    for value: Float in [3, 1e30, 1e-30, 3e38, 0x1p-149] {
      var gradient = [Float](repeating: -value, count: 16)
      #expect(try Self.clip(GradientClipping(), &gradient).norm == 4 * Double(value), "16 times \(value)")
    }
  }

  @Test("where the norm is not above the limit, no bit changes", arguments: KernelCase.all)
  func unchanged(_ test: KernelCase) { test.run(checkUnchanged, checkUnchanged) }

  private func checkUnchanged<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom()
    for count in Self.counts {
      let gradient: [Scalar] = random.array(count, .wide)
      var copy = gradient
      let norm = try! Self.clip(GradientClipping(), &copy, kernels).norm
      // Its own norm is the smallest limit that it keeps to.
      for limit in [norm, norm.nextUp, 2 * norm, 1e300] where limit > 0 {
        let outcome = try! Self.clip(GradientClipping(norm: limit), &copy, kernels)
        let context = "\(count) elements, limit \(limit), \(kernels.label)"
        #expect(outcome.scale == 1 && outcome.norm == norm, "\(context)")
        #expect(firstDifference(copy, from: gradient, columns: 8) == nil, "\(context)")
      }
    }
  }

  /// Each element is g · θ/‖g‖ to two roundings, so ‖g‖ afterwards is θ to two and what two sums of squares err by, see
  /// `checkNorms`; and clipping again changes no bit.
  @Test(
    "where it is above, it becomes the limit, the direction stays, and clipping again does nothing",
    arguments: KernelCase.all)
  func clipped(_ test: KernelCase) { test.run(checkClipped, checkClipped) }

  private func checkClipped<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    var random = SeededRandom()
    let unit = Scalar.ulpOfOne.asDouble / 2
    for trial in 0..<400 {
      let count = Self.counts[1 + trial % (Self.counts.count - 1)]
      let gradient: [Scalar] = random.array(count, .uniform)
      var copy = gradient
      let norm = try! Self.clip(GradientClipping(), &copy, kernels).norm
      if norm == 0 { continue }
      let limit = norm * [0.999, 0.7, 0.1, 1e-3, 1e-6][trial % 5]
      let clipping = GradientClipping(norm: limit)
      let context = "\(count) elements, limit \(limit), trial \(trial), \(kernels.label)"
      let outcome = try! Self.clip(clipping, &copy, kernels)
      complaints.note(
        outcome.scale == limit / norm && outcome.norm == norm ? nil : "\(outcome), expected a scale of \(limit / norm)",
        context)
      for i in 0..<count {
        let expected = gradient[i].asDouble * outcome.scale
        let error = (copy[i].asDouble - expected).magnitude
        complaints.note(error <= 2.1 * unit * expected.magnitude ? nil : "[\(i)]: \(copy[i]), not \(expected)", context)
      }
      let once = copy
      let again = try! Self.clip(clipping, &copy, kernels)
      complaints.note(
        again.norm <= limit * (1 + 2 * unit + (Double(count) / 8 + 8) * 0x1p-53) ? nil : "norm \(again.norm)", context)
      complaints.note(firstDifference(copy, from: once, columns: 8).map { "clipped again: \($0)" }, context)
      complaints.note(again.scale == 1 ? nil : "clipped again by \(again.scale)", context)
    }
  }

  @Test("the scale is θ/‖g‖") func scale() throws {
    var gradient: [Float] = [3, 4]
    let outcome = try GradientClipping(norm: 2.5).clip(&gradient)
    #expect(outcome.norm == 5 && outcome.scale == 0.5 && gradient == [1.5, 2])
  }

  /// Factors that are subnormal, or beyond Double together with the norm, are applied in parts.
  @Test("gradients at the ends of the range are clipped as others are") func extremes() throws {
    let double: [(Double, Double)] = [
      (.greatestFiniteMagnitude, 1), (1e300, 1e-300), (1e300, 1), (1e-300, 1e-303), (0x1p-1060, 0x1p-1062),
      (.greatestFiniteMagnitude, 1e300),
    ]
    for (value, limit) in double {
      var gradient = [Double](repeating: value, count: 16)
      gradient[5] = -value
      try GradientClipping(norm: limit).clip(&gradient)
      for (i, g) in gradient.enumerated() {
        let expected = (i == 5 ? -1 : 1) * limit / 4
        #expect((g - expected).magnitude <= 4 * limit.ulp, "16 times \(value) to \(limit): \(g)")
      }
    }
    let float: [(Float, Double)] = [(3e38, 1), (3e38, 1e-30), (1e30, 1e30), (1e-30, 1e-33), (0x1p-146, 0x1p-145)]
    for (value, limit) in float {
      var gradient = [Float](repeating: value, count: 16)
      try GradientClipping(norm: limit).clip(&gradient)
      let expected = Float(limit / 4)
      #expect(
        gradient.allSatisfy { ($0 - expected).magnitude <= 2 * expected.ulp }, "\(value) to \(limit): \(gradient[0])")
    }
  }

  @Test("a range of values need not be symmetric; the norm is of what is left", arguments: KernelCase.all)
  func values(_ test: KernelCase) { test.run(checkValues, checkValues) }

  private func checkValues<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom()
    for count in Self.counts {
      let gradient: [Scalar] = random.array(count, .uniform).map { 4 * $0 }
      let limited = gradient.map { min(max($0, -0.5), 2) }
      let changed = zip(gradient, limited).count { $0 != $1 }
      var copy = gradient
      let byValue = try! Self.clip(GradientClipping(values: -0.5...2), &copy, kernels)
      #expect(copy == limited && byValue.clippedValues == changed && byValue.scale == 1, "\(count), \(kernels.label)")
      let (before, after) = (Self.norm(gradient), Self.norm(limited))
      let (norm, limitedNorm) = (scalbn(before.significand, before.exponent), scalbn(after.significand, after.exponent))
      #expect((byValue.norm - norm).magnitude <= 1e-12 * norm, "the norm is of the whole gradient, \(kernels.label)")

      copy = gradient
      let limit = max(0.5 * limitedNorm, 1e-3)
      let both = try! Self.clip(GradientClipping(norm: limit, values: -0.5...2), &copy, kernels)
      #expect(both.clippedValues == changed, "\(kernels.label)")
      let expected = min(1, limit / max(limitedNorm, 1e-30))
      #expect((both.scale - expected).magnitude <= 1e-12, "\(count): \(both.scale), not \(expected), \(kernels.label)")
      for (mine, value) in zip(copy, limited) {
        let wanted = value.asDouble * both.scale
        #expect((mine.asDouble - wanted).magnitude <= 2 * Scalar.ulpOfOne.asDouble * wanted.magnitude + 1e-300)
      }
    }
    var signs: [Scalar] = [-3, -0.0, 0, 3]
    _ = try! Self.clip(GradientClipping(value: 1), &signs, kernels)
    #expect(signs == [-1, 0, 0, 1] && signs[1].sign == .minus && signs[2].sign == .plus, "\(kernels.label)")
    var oneSided: [Scalar] = [-3, 5]
    _ = try! Self.clip(GradientClipping(values: 0...(.infinity)), &oneSided, kernels)
    #expect(oneSided == [0, 5], "\(kernels.label)")
  }

  /// Where the first such element lies, for every lane and the rest beyond the last vector.
  @Test("policies for gradients that are not finite", arguments: KernelCase.all)
  func policies(_ test: KernelCase) { test.run(checkPolicies, checkPolicies) }

  private func checkPolicies<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom()
    for count in [1, 7, 8, 19, 64] {
      for place in 0..<count {
        for value: Scalar in [.nan, .infinity, -.infinity, .canary] {
          var gradient: [Scalar] = random.array(count, .uniform)
          gradient[place] = value
          if place + 1 < count { gradient[count - 1] = .infinity }
          let nonFinite = gradient.count { !$0.isFinite }
          let context = "\(value) at \(place) of \(count), \(kernels.label)"
          func clipping(_ policy: NonFinitePolicy) -> GradientClipping {
            GradientClipping(norm: 0.125, value: 0.5, nonFinite: policy)
          }

          var copy = gradient
          let error = #expect(throws: NonFiniteGradient.self) { try Self.clip(clipping(.throw), &copy, kernels) }
          #expect(error?.index == place && "\(error!.value)" == "\(value.asDouble)", "\(context)")
          #expect(copy.map(\.wideBits) == gradient.map(\.wideBits), "the gradient was touched: \(context)")

          let skipped = try! Self.clip(clipping(.skip), &copy, kernels)
          #expect(skipped.isSkipped && skipped.scale == 0 && skipped.nonFiniteValues == nonFinite, "\(context)")
          #expect(!skipped.norm.isFinite && copy.allSatisfy { $0 == 0 }, "\(context)")

          copy = gradient
          let zeroed = try! Self.clip(clipping(.zero), &copy, kernels)
          #expect(!zeroed.isSkipped && zeroed.nonFiniteValues == nonFinite && !zeroed.norm.isFinite, "\(context)")
          // The others are limited as if these had been zero.
          var expected = gradient.map { $0.isFinite ? $0 : 0 }
          let rest = try! Self.clip(clipping(.throw), &expected, kernels)
          #expect(copy == expected && zeroed.scale == rest.scale, "\(context)")
          #expect(zeroed.clippedValues == rest.clippedValues, "\(context)")
        }
      }
    }
  }

  @Test("what a thrown gradient says") func sentence() throws {
    var gradient: [Float] = [1, .infinity, .nan]
    let error = try #require(throws: NonFiniteGradient.self) { try GradientClipping().clip(&gradient) }
    #expect(error.description.hasPrefix("gradient[1]: expected a finite number, got inf; "))
  }

  @Test("a gradient of nothing, and one of zeros") func nothing() throws {
    for clipping in [GradientClipping(), GradientClipping(norm: 1, value: 1, nonFinite: .skip)] {
      for gradient: [Float] in [[], [0, -0.0, 0]] {
        var copy = gradient
        let outcome = try clipping.clip(&copy)
        #expect(outcome.norm == 0 && outcome.scale == 1 && !outcome.isSkipped && outcome.clippedValues == 0)
        #expect(copy.map(\.bitPattern) == gradient.map(\.bitPattern))
      }
    }
  }

  @Test("counts of what fired") func counts() throws {
    var counts = ClippingCounts()
    func add(_ clipping: GradientClipping, _ gradient: [Float]) throws {
      var gradient = gradient
      counts.add(try clipping.clip(&gradient))
    }
    let norm = GradientClipping(norm: 1)
    try add(norm, [0.5, 0.5])
    try add(norm, [2, 2])
    try add(norm, [3, 3])
    try add(GradientClipping(value: 1), [2, 0])
    try add(GradientClipping(norm: 1, value: 1), [2, 2])
    try add(GradientClipping(norm: 1, nonFinite: .skip), [.nan, 2])
    try add(GradientClipping(norm: 1, nonFinite: .zero), [.nan, 0.5])
    try add(GradientClipping(norm: 1, value: 1, nonFinite: .zero), [.infinity, 2, 2])
    #expect(counts.gradients == 8)
    #expect(counts.byNorm == 4, "two of [2, 2], [3, 3], by value then norm twice")
    #expect(counts.byValue == 3)
    #expect(counts.skipped == 1)
    #expect(counts.zeroed == 2)
  }

  @Test("limits and counts survive a file") func codable() throws {
    let clipping = GradientClipping(norm: 0.25, values: -1...2, nonFinite: .skip)
    #expect(try JSONDecoder().decode(GradientClipping.self, from: JSONEncoder().encode(clipping)) == clipping)
    var counts = ClippingCounts()
    (counts.gradients, counts.byNorm, counts.zeroed) = (9, 4, 2)
    #expect(try JSONDecoder().decode(ClippingCounts.self, from: JSONEncoder().encode(counts)) == counts)
  }
}
