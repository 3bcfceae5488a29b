import Foundation
import Recurrence
import Testing

/// Each unit's gradient against its own weights.
@Suite("Unit-wise clipping")
struct UnitwiseClippingTests {
  /// A Euclidean norm the plain way, for numbers whose squares are at home in Double.
  static func norm<Scalar: TestScalar>(_ x: some Sequence<Scalar>) -> Double {
    x.reduce(0) { $0 + $1.asDouble * $1.asDouble }.squareRoot()
  }

  /// What is wrong with one unit's clipped gradient, as a sentence; nil where nothing is. Tolerances as in
  /// `ClippingTests.clipped`, with the rounding of ‖w‖ and of the plain sums besides.
  static func complaint<Scalar: TestScalar>(
    _ clipped: some Collection<Scalar>, from gradient: some Collection<Scalar>, weights: some Collection<Scalar>,
    _ clipping: UnitwiseClipping
  ) -> String? {
    let unit = Scalar.ulpOfOne.asDouble / 2
    let (size, length) = (Self.norm(weights), Self.norm(gradient))
    let limit = clipping.factor * max(size, clipping.epsilon)
    let rounding = (Double(weights.count) * 2 + 16) * 0x1p-53
    if length <= limit * (1 - rounding) {
      let isSame = zip(clipped, gradient).allSatisfy { $0.wideBits == $1.wideBits }
      return isSame ? nil : "‖g‖ = \(length) is within \(limit), and g was changed"
    }
    if length <= limit * (1 + 2 * unit + rounding) { return nil }
    for (mine, g) in zip(clipped, gradient) {
      let wanted = g.asDouble * (limit / length)
      if (mine.asDouble - wanted).magnitude > (2.1 * unit + rounding) * wanted.magnitude {
        return "\(mine), expected \(wanted): \(g) with ‖g‖ = \(length), ‖w‖ = \(size)"
      }
    }
    let norm = Self.norm(clipped)
    return norm <= limit * (1 + 2 * unit + rounding) ? nil : "‖g‖ = \(norm) afterwards, above \(limit)"
  }

  @Test("rows: limited each by its own weights, the others left alone, and once is twice", arguments: KernelCase.all)
  func rows(_ test: KernelCase) { test.run(checkRows, checkRows) }

  private func checkRows<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for clipping in [UnitwiseClipping(), UnitwiseClipping(factor: 0.5, epsilon: 0.25)] {
      for columns in [1, 2, 7, 8, 9, 33, 260] {
        var random = SeededRandom(stream: columns)
        let rows = 40
        func draw(_ scales: [Scalar]) -> [Scalar] {
          (0..<rows).flatMap { _ in
            let scale = random.pick(scales)
            return (random.array(columns, .uniform) as [Scalar]).map { $0 * scale }
          }
        }
        let weights = draw([1, 1e-2, 1e-6, 0])
        let gradient = draw([1, 1e-2, 1e-4, 1e-8, 0])
        var copy = gradient
        let count = Self.clip(clipping, &copy, weights, columns, kernels)
        var changed = 0
        for row in 0..<rows {
          let range = (row * columns)..<((row + 1) * columns)
          let finding = Self.complaint(copy[range], from: gradient[range], weights: weights[range], clipping)
          complaints.note(finding, "row \(row) of \(columns), \(clipping), \(kernels.label)")
          if zip(copy[range], gradient[range]).contains(where: { $0.wideBits != $1.wideBits }) { changed += 1 }
        }
        complaints.note(changed == count ? nil : "\(count) counted, \(changed) changed", "\(columns), \(kernels.label)")
        complaints.note(changed > 0 && changed < rows ? nil : "\(changed) changed", "\(columns), \(kernels.label)")
        let once = copy
        let again = Self.clip(clipping, &copy, weights, columns, kernels)
        complaints.note(again == 0 ? nil : "\(again) clipped again", "\(columns) columns, \(kernels.label)")
        complaints.note(firstDifference(copy, from: once, columns: columns), "again, \(kernels.label)")
      }
    }
  }

  private static func clip<Scalar: TestScalar>(
    _ clipping: UnitwiseClipping, _ gradient: inout [Scalar], _ weights: [Scalar], _ columns: Int,
    _ kernels: Kernels<Scalar>
  ) -> Int {
    unsafe gradient.withUnsafeMutableBufferPointer {
      unsafe clipping.clip($0, weights, columns: columns, kernels: kernels)
    }
  }

  @Test("every instruction set gives the same bits") func instructionSets() {
    var random = SeededRandom()
    let (weights, gradient): ([Float], [Float]) = (random.array(999, .wide), random.array(999, .wide))
    var results: Set<[UInt32]> = []
    for kernels in Kernels<Float>.supported {
      var copy = gradient
      _ = Self.clip(UnitwiseClipping(), &copy, weights, 37, kernels)
      results.insert(copy.map(\.bitPattern))
    }
    #expect(results.count == 1 && results.first != gradient.map(\.bitPattern), "seed \(SuiteSettings.seed)")
  }

  /// λ = 1/4: limits of 5/4 twice, of 1/8 twice, where weights are smaller than ε = 1/2, and of 5/32.
  @Test("by hand") func byHand() {
    let clipping = UnitwiseClipping(factor: 0.25, epsilon: 0.5)
    var gradient: [Float] = [6, 8, 0.75, 1, -0.0, 10, 0.125, 0, 3, -4]
    let weights: [Float] = [-3, 4, 3, 4, 0, 0, 0.25, 0.25, 0.375, 0.5]
    #expect(clipping.clip(&gradient, parameters: weights, columns: 2) == 3)
    #expect(gradient == [0.75, 1, 0.75, 1, 0, 0.125, 0.125, 0, 0.09375, -0.125] && gradient[4].sign == .minus)
  }

  @Test("ends of the range: the limit is λ of the weights, or of ε") func extremes() {
    let clipping = UnitwiseClipping()
    func clipped<Scalar: TestScalar>(_ g: Scalar, _ w: Scalar) -> Scalar {
      // 16 equal elements: norms are exact, four times one.
      var gradient = [Scalar](repeating: g, count: 16)
      clipping.clip(&gradient, parameters: [Scalar](repeating: w, count: 16), columns: 16)
      #expect(gradient.allSatisfy { $0 == gradient[0] })
      return gradient[0]
    }
    func isNear<Scalar: TestScalar>(_ a: Scalar, _ b: Scalar) -> Bool { (a - b).magnitude <= 4 * b.ulp }
    let float: [(g: Float, w: Float, result: Float)] = [
      (1e30, 1e30, 1e28), (1e30, 1, 1e-2), (1e30, 1e-30, 2.5e-6), (1e30, 0, 2.5e-6), (3e38, 3e38, 3e36),
      (1e-30, 1e-30, 1e-30), (1e-30, 0, 1e-30), (1e-30, 1e30, 1e-30), (0x1p-149, 0, 0x1p-149), (0, 0, 0), (0, 1, 0),
    ]
    for (g, w, result) in float { #expect(isNear(clipped(g, w), result), "\(g), weights \(w): \(clipped(g, w))") }
    let double: [(g: Double, w: Double, result: Double)] = [
      (1e300, 1e300, 1e298), (1e300, 1e-300, 2.5e-6), (1e308, 1e-3, 1e-5), (1e-300, 1e-300, 1e-300), (1e300, 0, 2.5e-6),
    ]
    for (g, w, result) in double { #expect(isNear(clipped(g, w), result), "\(g), weights \(w): \(clipped(g, w))") }
    // Weights whose norm is beyond Double limit nothing.
    #expect(clipped(Double.greatestFiniteMagnitude, .greatestFiniteMagnitude) == .greatestFiniteMagnitude)
  }

  @Test("a unit that is not finite is left as it is, and the others are limited") func notFinite() {
    for value: Float in [.nan, .infinity, -.infinity, .canary] {
      var gradient: [Float] = [value, 1, 3, 4]
      let bits = gradient.map(\.bitPattern)
      #expect(UnitwiseClipping().clip(&gradient, parameters: [3, 4, 3, 4], columns: 2) == 1)
      #expect(gradient.prefix(2).map(\.bitPattern) == Array(bits.prefix(2)))
      #expect((gradient[2] - 0.03).magnitude < 1e-8 && (gradient[3] - 0.04).magnitude < 1e-8)
      // Weights that are not numbers limit nothing.
      gradient = [3, 4]
      #expect(UnitwiseClipping().clip(&gradient, parameters: [value, 1], columns: 2) == 0)
      #expect(gradient == [3, 4])
    }
  }

  @Test("a stack: rows of W and of U apart, b and b_h by gates, unit parameters whole; one input and more")
  func stacks() throws {
    var floats = StackVisitor<Float>()
    try forEachCell(&floats)
    var doubles = StackVisitor<Double>()
    try forEachCell(&doubles)
  }

  private struct StackVisitor<Scalar: TestScalar>: CellVisitor {
    func visit<C: Cell>(_ cell: C) throws {
      for inputs in [1, 3] {
        var random = SeededRandom(stream: inputs)
        let stack = RecurrentStack<C, Scalar>(cell, inputs: inputs, units: 5, layers: 2, seed: 1)
        var (parameters, gradient) = (stack.parameters, stack.makeGradient())
        // Neighbouring units differ in size, so that each limit shows whose weights it was taken from.
        let units = Self.units(stack.layout)
        for unit in units {
          let (size, slope): (Scalar, Scalar) = (random.pick([1, 0.1, 1e-5]), random.pick([1, 0.01, 1e-3, 1e-7]))
          for i in unit {
            parameters.values[i] = size * random.uniform(Scalar.self)
            gradient.values[i] = slope * random.uniform(Scalar.self)
          }
        }
        let clipping = UnitwiseClipping()
        var copy = gradient
        let count = clipping.clip(&copy, parameters: parameters)
        var complaints = Complaints()
        let context = "\(C.self), \(Scalar.self), I = \(inputs), seed \(SuiteSettings.seed)"
        for unit in units {
          let finding = UnitwiseClippingTests.complaint(
            copy.values[unit], from: gradient.values[unit], weights: parameters.values[unit], clipping)
          complaints.note(finding, "\(unit), \(context)")
        }
        let changed = units.count { copy.values[$0] != gradient.values[$0] }
        #expect(changed == count && count > 0 && count < units.count, "\(count) of \(units.count), \(context)")
        #expect(units.flatMap(\.self) == Array(0..<stack.layout.count), "units are all there is, \(context)")
      }
    }

    /// The elements of each unit, from the layout's own description.
    private static func units(_ layout: ParameterLayout) -> [Range<Int>] {
      var units: [Range<Int>] = []
      for layer in 0..<2 {
        for tensor in layout.tensors where tensor.layer == layer {
          let length =
            switch tensor.name {
            case "W", "U": tensor.columns
            default: 5
            }
          units += stride(from: tensor.range.lowerBound, to: tensor.range.upperBound, by: length).map {
            $0..<($0 + length)
          }
          for gate in layout.gates {
            guard tensor.name == "b", let range = layout.range("b", gate: gate, layer: layer) else { continue }
            #expect(units.contains(range), "\(gate)")
          }
        }
      }
      return units
    }
  }

  @Test("a policy survives a file; numbers out of their ranges are refused") func codable() throws {
    let clipping = UnitwiseClipping(factor: 0.02, epsilon: 1e-4, includesOutput: true)
    #expect(try JSONDecoder().decode(UnitwiseClipping.self, from: JSONEncoder().encode(clipping)) == clipping)
    for (factor, epsilon, words) in [("0", "1", "factor: expected"), ("1", "-1", "epsilon: expected")] {
      let json = #"{"factor": \#(factor), "epsilon": \#(epsilon), "includesOutput": false}"#
      let error = #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(UnitwiseClipping.self, from: Data(json.utf8))
      }
      #expect("\(error as Any)".contains(words), "\(error as Any)")
    }
    #expect(UnitwiseClipping().factor == 0.01 && UnitwiseClipping().epsilon == 1e-3)
  }
}
