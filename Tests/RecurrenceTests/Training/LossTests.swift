import Foundation
import Recurrence
import Testing

/// The three losses against their definitions, and against PyTorch.
@Suite("Losses")
struct LossTests {
  /// Fewer than a vector, a vector and one less and more of any instruction set, and many.
  private static let widths = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 65, 1000]
  /// Half-widths of the outputs: ordinary, and far beyond what e^x can hold.
  private static let scales = [0.01, 1, 20, 1e4]

  @Test("softmax cross-entropy", arguments: KernelCase.all) func softmax(_ test: KernelCase) {
    test.run(checkSoftmax, checkSoftmax)
  }

  private func checkSoftmax<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    check(kernels) { rows, columns, random in
      .classes((0..<rows).map { _ in random.index(below: columns) })
    }
  }

  @Test("binary cross-entropy", arguments: KernelCase.all) func binary(_ test: KernelCase) {
    test.run(checkBinary, checkBinary)
  }

  private func checkBinary<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let choices = [0, 1, Scalar(0.3).asDouble, 0.5, Scalar(0.999).asDouble]
    check(kernels) { rows, columns, random in
      .probabilities((0..<(rows * columns)).map { _ in random.pick(choices) })
    }
  }

  @Test("mean squared error", arguments: KernelCase.all) func squares(_ test: KernelCase) {
    test.run(checkSquares, checkSquares)
  }

  private func checkSquares<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    check(kernels) { rows, columns, random in
      .values(random.array(rows * columns, .uniform, of: Float.self).map { Double($0) })
    }
  }

  /// Every width, scale and kind of weights.
  private func check<Scalar: TestScalar>(
    _ kernels: Kernels<Scalar>, _ targets: (Int, Int, inout SeededRandom) -> NaiveTargets
  ) {
    var complaints = Complaints()
    var random = SeededRandom()
    for columns in Self.widths {
      for scale in Self.scales {
        for isWeighted in [false, true] {
          let rows = 5
          let uniform: [Scalar] = random.array(rows * columns, .uniform)
          var call = LossCall(
            outputs: uniform.map { $0 * Scalar(scale) }, targets: targets(rows, columns, &random), rows: rows,
            columns: columns)
          if isWeighted { call.weights = [0.25, 0, 3, 1, 0.7] }
          complaints.note(
            call.complaint(kernels), "K = \(columns), outputs to ±\(scale), weighted: \(isWeighted), \(kernels.label)")
        }
      }
    }
  }

  @Test("equal logits: ln K to an ulp, whatever they are", arguments: KernelCase.all)
  func equalLogits(_ test: KernelCase) { test.run(checkEqualLogits, checkEqualLogits) }

  private func checkEqualLogits<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for columns in Self.widths {
      for value: Scalar in [0, 1.1, -1e4, 1e4, .greatestFiniteMagnitude] {
        let logits = [Scalar](repeating: value, count: columns)
        let call = LossCall(outputs: logits, targets: .classes([columns - 1]), rows: 1, columns: columns)
        let (loss, gradient) = call.evaluate(kernels)
        let context = "K = \(columns), logits \(value), \(kernels.label)"
        let expected = log(Double(columns))
        complaints.note(
          (loss - expected).magnitude <= expected.ulp ? nil : "expected \(expected), got \(loss)", context)
        complaints.note(
          gradient.dropLast().allSatisfy { $0 == 1 / Scalar(columns) } && gradient.last! == 1 / Scalar(columns) - 1
            ? nil : "gradient \(gradient.suffix(3))", context)
      }
    }
  }

  @Test("logits of ±10⁴: certain and right is 0, certain and wrong the distance", arguments: KernelCase.all)
  func certainty(_ test: KernelCase) { test.run(checkCertainty, checkCertainty) }

  private func checkCertainty<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    for columns in Self.widths.dropFirst() {
      var logits = [Scalar](repeating: -1e4, count: columns)
      logits[1] = 1e4
      for (target, expected) in [(1, 0.0), (0, 2e4)] {
        let result = LossCall(outputs: logits, targets: .classes([target]), rows: 1, columns: columns)
          .evaluate(kernels)
        var gradient = [Scalar](repeating: 0, count: columns)
        if target == 0 { gradient.replaceSubrange(0..<2, with: [-1, 1]) }
        #expect(result.loss == expected && result.gradient == gradient, "K = \(columns), \(kernels.label)")
      }
    }
    let outputs: [Scalar] = [1e4, -1e4, 1e4, -1e4, 1e4, -1e4]
    let p = Scalar(0.3).asDouble
    let binary = LossCall(outputs: outputs, targets: .probabilities([1, 0, 0, 1, p, p]), rows: 6, columns: 1)
    #expect(binary.complaint(kernels) == nil, "\(kernels.label)")
    let (_, gradient) = binary.evaluate(kernels)
    #expect(gradient[0] == 0 && gradient[1] == 0 && gradient[2] > 0 && gradient[3] < 0, "\(kernels.label)")
  }

  /// ln(1 + e^−x), which softplus(x) − x would round to an ulp of x.
  @Test("a binary loss keeps its relative accuracy where the output is certain and right", arguments: KernelCase.all)
  func smallBinaryLosses(_ test: KernelCase) { test.run(checkSmallBinaryLosses, checkSmallBinaryLosses) }

  private func checkSmallBinaryLosses<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    for x: Scalar in [1, 5, 10, 15.5, 20, 40, 80] {
      for count in [1, 16, 17] {
        for (output, target) in [(x, 1.0), (-x, 0.0)] {
          let call = LossCall(
            outputs: [Scalar](repeating: output, count: count),
            targets: .probabilities([Double](repeating: target, count: count)), rows: 1, columns: count)
          let complaint = call.complaint(kernels)
          #expect(complaint == nil, "\(output) for \(target), K = \(count), \(kernels.label): \(complaint!)")
        }
      }
    }
  }

  /// ∂/∂x of −ln softmax sums to 1 − 1. Each p errs by the sum's additions and its own exponential, and the target's by
  /// half an ulp of 1 more; see `NaiveLoss`.
  @Test("gradients of softmax sum to 0 over a row", arguments: KernelCase.all)
  func gradientsSumToZero(_ test: KernelCase) { test.run(checkGradientSums, checkGradientSums) }

  private func checkGradientSums<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    var random = SeededRandom()
    for columns in Self.widths {
      let uniform: [Scalar] = random.array(4 * columns, .uniform)
      let call = LossCall(
        outputs: uniform.map { 8 * $0 }, targets: .classes((0..<4).map { _ in random.index(below: columns) }), rows: 4,
        columns: columns)
      let gradient = call.evaluate(kernels).gradient.map(\.asDouble)
      let tolerance = call.naive(kernels).gradientTolerance
      for row in 0..<4 {
        let range = (row * columns)..<((row + 1) * columns)
        let (sum, allowed) = (gradient[range].reduce(0, +), tolerance[range].reduce(0, +))
        complaints.note(
          sum.magnitude <= allowed ? nil : "a sum of \(sum), tolerance \(allowed)",
          "K = \(columns), row \(row), \(kernels.label)")
      }
      if columns == 1 { #expect(gradient == [0, 0, 0, 0], "one class is certain, \(kernels.label)") }
    }
  }

  /// Central differences with Richardson's step, as in `OracleGradientTests`, of the package's own loss in Double.
  @Test("gradients equal differences of the loss", arguments: ["classes", "probabilities", "values"])
  func differences(_ kind: String) {
    for (stream, kernels) in Kernels<Double>.supported.enumerated() {
      var random = SeededRandom(stream: stream)
      let (rows, columns) = (4, 17)
      let targets: NaiveTargets =
        switch kind {
        case "classes": .classes((0..<rows).map { _ in random.index(below: columns) })
        case "probabilities": .probabilities((0..<(rows * columns)).map { _ in random.pick([0, 1, 0.3]) })
        default: .values(random.small(rows * columns))
        }
      for weights: [Double]? in [nil, [1, 0, 0.5, 2]] {
        let x = random.small(rows * columns).map { 3 * $0 }
        let gradient = LossCall(outputs: x, targets: targets, weights: weights, rows: rows, columns: columns)
          .evaluate(kernels).gradient
        for _ in 0..<8 {
          let raw = random.small(x.count)
          let length = raw.reduce(0) { $0 + $1 * $1 }.squareRoot()
          let direction = raw.map { $0 / length }
          func loss(_ distance: Double) -> Double {
            let moved = zip(x, direction).map { $0 + distance * $1 }
            return LossCall(outputs: moved, targets: targets, weights: weights, rows: rows, columns: columns)
              .evaluate(kernels).loss
          }
          let s = 0x1p-9
          let wide = (loss(s) - loss(-s)) / (2 * s)
          let narrow = (loss(s / 2) - loss(-s / 2)) / s
          let slope = (4 * narrow - wide) / 3
          let terms = zip(gradient, direction).map { $0 * $1 }
          let size = terms.reduce(0) { $0 + $1 * $1 }.squareRoot()
          let error = (terms.reduce(0, +) - slope).magnitude
          #expect(error <= 1e-8 * size, "\(kind), \(kernels.label): \(error) of \(size)")
        }
      }
    }
  }

  /// Both compute in Double, a row of 21 terms: a few units of 10⁻¹⁶.
  @Test("losses and gradients equal PyTorch's", arguments: ["softmax", "binary", "squares"])
  func pytorch(_ name: String) throws {
    let fixture = try Fixture("Training/" + name)
    let outputs = try fixture("outputs")
    let (rows, columns) = try (fixture.shape("outputs")[0], fixture.shape("outputs")[1])
    let targets: NaiveTargets =
      switch name {
      case "softmax": try .classes(fixture("classes", shape: [rows]).map { Int($0) })
      case "binary": try .probabilities(fixture("targets", shape: [rows, columns]))
      default: try .values(fixture("targets", shape: [rows, columns]))
      }
    for kernels in Kernels<Double>.supported {
      for (prefix, weights) in [("", nil), ("weighted.", try fixture("weights", shape: [rows]))] {
        let result = LossCall(outputs: outputs, targets: targets, weights: weights, rows: rows, columns: columns)
          .evaluate(kernels)
        let (loss, gradient) = try (fixture(prefix + "loss")[0], fixture(prefix + "gradient"))
        #expect((result.loss - loss).magnitude <= 1e-14 * loss, "\(prefix)\(name), \(kernels.label)")
        #expect(largestError(result.gradient, gradient) <= 1e-14, "\(prefix)\(name), \(kernels.label)")
      }
    }
  }

  /// Were a file added that no test reads, or lost, this would say so.
  @Test("every fixture is read") func everyFixtureIsRead() throws {
    let folder = Fixture.folder.appendingPathComponent("Training")
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".txt") }.map { String($0.dropLast(4)) }
    #expect(
      Set(files) == Set(OptimizerTests.files + ["softmax", "binary", "squares", "schedules"]), "in \(folder.path)")
  }
}
