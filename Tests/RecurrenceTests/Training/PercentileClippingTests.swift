import Foundation
import Recurrence
import Testing

/// Clipping by norm at a percentile of the norms so far.
@Suite("Percentile clipping")
struct PercentileClippingTests {
  @Test("each is held to the percentile of the norms so far, its own among them", arguments: [1, 10, 50, 90.5])
  func sequence(percentile: Double) throws {
    try checkSequence(percentile, of: Float.self)
    try checkSequence(percentile, of: Double.self)
  }

  /// Tolerances as in `ClippingTests.clipped`.
  private func checkSequence<Scalar: TestScalar>(_ percentile: Double, of _: Scalar.Type) throws {
    var complaints = Complaints()
    let unit = Scalar.ulpOfOne.asDouble / 2
    for (count, window) in [(1, 3), (7, 5), (64, 20), (1001, 1000)] {
      var random = SeededRandom(stream: count)
      var clipping = PercentileClipping(percentile: percentile, window: window)
      var norms: [Double] = []
      for step in 0..<60 {
        // Every fifth gradient explodes; the scale of the others goes down.
        let scale = (step % 5 == 4 ? 1e4 : 1) / Scalar(1 + step)
        let gradient: [Scalar] = random.array(count, .uniform).map { $0 * scale }
        let context = "\(Scalar.self), p = \(percentile), \(count) elements, step \(step), seed \(SuiteSettings.seed)"
        var copy = gradient
        norms.append(try GradientClipping().clip(&copy).norm)
        let expected = NormHistoryTests.percentile(percentile, of: norms.suffix(window))
        let outcome = try clipping.clip(&copy)
        guard let limit = outcome.threshold else {
          Issue.record("no threshold: \(context)")
          return
        }
        complaints.note((limit - expected.value).magnitude <= expected.tolerance ? nil : "θ = \(limit)", context)
        complaints.note(clipping.threshold == limit && outcome.norm == norms[step] ? nil : "\(outcome)", context)
        if norms[step] <= limit {
          complaints.note(outcome.scale == 1 ? nil : "scaled by \(outcome.scale)", context)
          complaints.note(firstDifference(copy, from: gradient, columns: 8), context)
        } else if norms[step] > limit * (1 + 2 * unit + (Double(count) / 8 + 10) * 0x1p-53) {
          complaints.note(outcome.scale == limit / norms[step] ? nil : "\(outcome)", context)
          for i in 0..<count {
            let wanted = gradient[i].asDouble * outcome.scale
            let isNear = (copy[i].asDouble - wanted).magnitude <= 2.1 * unit * wanted.magnitude
            complaints.note(isNear ? nil : "[\(i)]: \(copy[i]), not \(wanted)", context)
          }
        }
        let once = copy
        let again = try GradientClipping(norm: limit).clip(&copy)
        let most = limit * (1 + 2 * unit + (Double(count) / 8 + 10) * 0x1p-53)
        complaints.note(again.norm <= most ? nil : "norm \(again.norm) above \(limit)", context)
        complaints.note(firstDifference(copy, from: once, columns: 8).map { "clipped again: \($0)" }, context)
      }
      complaints.note(clipping.history.norms == norms.suffix(window) ? nil : "\(clipping.history)", "\(count)")
    }
  }

  @Test("the first gradient is not clipped, and at the 100th percentile none is") func never() throws {
    var random = SeededRandom()
    var all = PercentileClipping(percentile: 100, window: 4)
    for step in 0..<20 {
      let gradient: [Float] = random.array(33, .wide)
      var copy = gradient
      let outcome = try all.clip(&copy)
      #expect(outcome.scale == 1 && copy == gradient, "step \(step), seed \(SuiteSettings.seed)")
      var first = PercentileClipping(percentile: 1)
      let own = try first.clip(&copy)
      #expect(own.scale == 1 && own.threshold == own.norm && copy == gradient, "step \(step)")
    }
  }

  /// θ = 4 of 4 and 4; 4 + 0.5 · 6 of 4, 4 and 10 at p = 75.
  @Test("by hand: a limit of values comes first, a fixed norm is one more limit") func byHand() throws {
    var clipping = PercentileClipping(percentile: 75)
    var gradient: [Float] = [4, 0]
    try clipping.clip(&gradient)
    try clipping.clip(&gradient)
    gradient = [6, 8]
    var outcome = try clipping.clip(&gradient)
    #expect(outcome.threshold == 7 && outcome.scale == 0.7 && outcome.norm == 10)
    #expect(clipping.history.norms == [4, 4, 10])

    // What the limit of values leaves is what is remembered: 4 of 4, 4, 4, 10.
    gradient = [4, 1e6]
    outcome = try clipping.clip(&gradient, GradientClipping(values: -4...0))
    #expect(gradient == [0, 0] && outcome.clippedValues == 2 && clipping.history.norms == [4, 4, 10, 0])
    gradient = [-5, 0]
    outcome = try clipping.clip(&gradient, GradientClipping(norm: 3, value: 4))
    #expect(clipping.history.norms == [4, 4, 10, 0, 4] && outcome.threshold == 3 && gradient == [-3, 0])
    gradient = [-5, 0]
    outcome = try clipping.clip(&gradient, GradientClipping(norm: 300))
    #expect(outcome.threshold == 4.75 && gradient == [-4.75, 0], "place 3.75 of 0, 4, 4, 4, 5, 10")
  }

  @Test("gradients at the ends of the range") func extremes() throws {
    var clipping = PercentileClipping(percentile: 50)
    for norm: Float in [1e-30, 1e-30, 1e30] {
      var gradient = [norm, 0]
      try clipping.clip(&gradient)
      #expect((gradient[0] - 1e-30).magnitude <= 2 * Float(1e-30).ulp && gradient[1] == 0)
    }
    // A norm that is beyond Double is not remembered; the gradient is held to the others'.
    var wide = PercentileClipping(percentile: 50)
    var gradient = [Double](repeating: .greatestFiniteMagnitude, count: 4)
    let first = try wide.clip(&gradient)
    #expect(first.threshold == nil && gradient[0] == .greatestFiniteMagnitude)
    var usual: [Double] = [2, 0]
    try wide.clip(&usual)
    try wide.clip(&gradient)
    #expect(wide.history.norms == [2] && gradient.allSatisfy { ($0 - 1).magnitude <= 4 * 0x1p-52 }, "\(gradient)")
  }

  @Test("zero gradients are remembered, and erase none") func zeros() throws {
    var clipping = PercentileClipping(percentile: 50, window: 4)
    for _ in 0..<3 {
      var zero: [Float] = [0, -0.0]
      let outcome = try clipping.clip(&zero)
      #expect(outcome.threshold == nil && outcome.scale == 1 && zero[1].sign == .minus)
    }
    var gradient: [Float] = [3, 4]
    let first = try clipping.clip(&gradient)
    #expect(first.threshold == nil && gradient == [3, 4])
    #expect(clipping.history.norms == [0, 0, 0, 5])
    gradient = [3, 4]
    let second = try clipping.clip(&gradient)
    #expect(second.threshold == 2.5 && gradient == [1.5, 2], "of 0, 0, 5, 5")
    var nothing: [Float] = []
    let none = try clipping.clip(&nothing)
    #expect(none.norm == 0 && none.scale == 1)
  }

  @Test("a gradient that is not finite is not remembered", arguments: NonFinitePolicy.allCases)
  func nonFinite(_ policy: NonFinitePolicy) throws {
    for value: Float in [.nan, .infinity, -.infinity] {
      var clipping = PercentileClipping(percentile: 50)
      var gradient: [Float] = [3, 4]
      try clipping.clip(&gradient)
      let before = clipping
      gradient = [value, 8]
      let rest = GradientClipping(nonFinite: policy)
      switch policy {
      case .throw:
        let error = #expect(throws: NonFiniteGradient.self) { try clipping.clip(&gradient, rest) }
        #expect(error?.index == 0 && gradient[1] == 8)
      case .skip:
        let outcome = try clipping.clip(&gradient, rest)
        #expect(outcome.isSkipped && outcome.scale == 0 && outcome.threshold == nil && gradient == [0, 0])
      case .zero:
        // Held to the others' percentile all the same.
        let outcome = try clipping.clip(&gradient, rest)
        #expect(outcome.nonFiniteValues == 1 && outcome.threshold == 5 && gradient == [0, 5])
      }
      #expect(clipping == before)
    }
  }

  @Test("one from a file goes on with the same bits") func codable() throws {
    var random = SeededRandom()
    var clipping = PercentileClipping(percentile: 30, window: 6)
    func step(_ clipping: inout PercentileClipping, _ gradient: [Float]) throws -> [UInt32] {
      var gradient = gradient
      try clipping.clip(&gradient)
      return gradient.map(\.bitPattern)
    }
    for _ in 0..<9 { _ = try step(&clipping, random.array(10, .wide)) }
    var copy = try JSONDecoder().decode(PercentileClipping.self, from: JSONEncoder().encode(clipping))
    #expect(copy == clipping)
    for _ in 0..<12 {
      let gradient: [Float] = random.array(10, .wide)
      let (one, other) = (try step(&clipping, gradient), try step(&copy, gradient))
      #expect(one == other && copy == clipping, "seed \(SuiteSettings.seed)")
    }
    for percentile in ["0", "100.5", "-1"] {
      let json = #"{"percentile": \#(percentile), "history": {"window": 3, "norms": [1]}}"#
      let error = #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(PercentileClipping.self, from: Data(json.utf8))
      }
      #expect("\(error as Any)".contains("percentile: expected more than 0 and at most 100, got"))
    }
  }
}
