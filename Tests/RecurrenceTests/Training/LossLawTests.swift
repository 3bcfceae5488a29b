import Recurrence
import Testing

/// What masks, weights and threads do to a loss, and what it refuses.
@Suite("Laws of losses")
struct LossLawTests {
  /// One call of each loss over the same rows.
  private static func calls<Scalar: TestScalar>(
    rows: Int, columns: Int, of _: Scalar.Type, _ random: inout SeededRandom
  ) -> [LossCall<Scalar>] {
    let outputs: [Scalar] = random.array(rows * columns, .uniform)
    let targets: [NaiveTargets] = [
      .classes((0..<rows).map { _ in random.index(below: columns) }),
      .probabilities((0..<(rows * columns)).map { _ in random.pick([0, 1, 0.25]) }),
      .values(random.array(rows * columns, .uniform, of: Float.self).map { Double($0) }),
    ]
    return targets.map { LossCall(outputs: outputs, targets: $0, rows: rows, columns: columns) }
  }

  @Test("a row of weight 0, full of NaN, reaches nothing", arguments: KernelCase.all)
  func masks(_ test: KernelCase) { test.run(checkMasks, checkMasks) }

  private func checkMasks<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom()
    for columns in [1, 15, 16, 33] {
      for whole in Self.calls(rows: 6, columns: columns, of: Scalar.self, &random) {
        var masked = whole
        masked.weights = [1, 0, 1, 1, 0, 1]
        for row in [1, 4] {
          let range = (row * columns)..<((row + 1) * columns)
          for index in range { masked.outputs[index] = .nan }
          switch masked.targets {
          case .classes(var classes):
            classes[row] = -7
            masked.targets = .classes(classes)
          case .probabilities(var y):
            for index in range { y[index] = .nan }
            masked.targets = .probabilities(y)
          case .values(var y):
            for index in range { y[index] = .infinity }
            masked.targets = .values(y)
          }
        }
        // The rows that count, alone.
        let kept = [0, 2, 3, 5]
        func rows<T>(_ values: [T], _ width: Int) -> [T] {
          kept.flatMap { values[($0 * width)..<(($0 + 1) * width)] }
        }
        let targets: NaiveTargets =
          switch whole.targets {
          case .classes(let classes): .classes(rows(classes, 1))
          case .probabilities(let y): .probabilities(rows(y, columns))
          case .values(let y): .values(rows(y, columns))
          }
        let alone = LossCall(outputs: rows(whole.outputs, columns), targets: targets, rows: 4, columns: columns)
          .evaluate(kernels)
        let result = masked.evaluate(kernels)
        let context = "K = \(columns), \(whole.targets.kind), \(kernels.label)"
        #expect(result.loss == alone.loss, "\(context)")
        #expect(rows(result.gradient, columns) == alone.gradient, "\(context)")
        for row in [1, 4] {
          #expect(result.gradient[(row * columns)..<((row + 1) * columns)].allSatisfy { $0 == 0 }, "\(context)")
        }
      }
    }
  }

  @Test("where all weights are 0, or subnormal, loss and gradient are 0", arguments: KernelCase.all)
  func noWeight(_ test: KernelCase) { test.run(checkNoWeight, checkNoWeight) }

  private func checkNoWeight<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom()
    for weight: Scalar in [0, .leastNonzeroMagnitude, .leastNormalMagnitude / 2] {
      for var call in Self.calls(rows: 3, columns: 17, of: Scalar.self, &random) {
        call.weights = [weight, weight, weight]
        let (loss, gradient) = call.evaluate(kernels)
        #expect(loss == 0 && gradient.allSatisfy { $0 == 0 }, "\(weight), \(call.targets.kind), \(kernels.label)")
        // Beside a weight of 1 they count for nothing.
        call.weights = [weight, 1, weight]
        let mixed = call.evaluate(kernels)
        call.weights = [0, 1, 0]
        let expected = call.evaluate(kernels)
        #expect(
          mixed.loss == expected.loss && mixed.gradient == expected.gradient,
          "\(weight), \(call.targets.kind), \(kernels.label)")
      }
    }
  }

  @Test("a NaN or an infinity that counts is seen in the loss", arguments: KernelCase.all)
  func nonFinite(_ test: KernelCase) { test.run(checkNonFinite, checkNonFinite) }

  private func checkNonFinite<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom()
    for columns in [1, 16, 21] {
      for place in [0, columns - 1] {
        for call in Self.calls(rows: 2, columns: columns, of: Scalar.self, &random) {
          for value: Scalar in [.nan, .infinity] {
            var call = call
            call.outputs[columns + place] = value
            let (loss, gradient) = call.evaluate(kernels)
            let context = "K = \(columns), \(value) at \(place), \(call.targets.kind), \(kernels.label)"
            if value.isNaN {
              #expect(loss.isNaN && gradient[columns + place].isNaN, "\(context)")
            } else {
              #expect(!loss.isFinite || call.targets.kind == "probabilities", "\(context)")
            }
            #expect(gradient[..<columns].allSatisfy { $0.isFinite }, "the other row, \(context)")
          }
        }
      }
    }
  }

  /// More elements than the fewest that are split.
  @Test("threads 1, 2, 3, 7 and 400 give the same bits", arguments: KernelCase.all)
  func threads(_ test: KernelCase) { test.run(checkThreads, checkThreads) }

  private func checkThreads<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom()
    for call in Self.calls(rows: 301, columns: 170, of: Scalar.self, &random) {
      let one = call.evaluate(kernels)
      for threads in [2, 3, 7, 400] {
        let result = call.evaluate(kernels, threads: threads)
        #expect(result.loss == one.loss && result.gradient == one.gradient, "\(call.targets.kind), \(kernels.label)")
      }
    }
  }

  @Test("no rows: 0") func noRows() throws {
    var gradient: [Float] = []
    #expect(try Loss.softmaxCrossEntropy([Float](), classes: [], gradient: &gradient) == 0)
    #expect(try Loss.binaryCrossEntropy([Float](), targets: [], rows: 0, gradient: &gradient) == 0)
    #expect(try Loss.meanSquaredError([Float](), targets: [], rows: 0, weights: [], gradient: &gradient) == 0)
  }

  @Test("arrays give what buffers give") func arrays() throws {
    var random = SeededRandom()
    for var call in Self.calls(rows: 5, columns: 19, of: Float.self, &random) {
      for weights: [Float]? in [nil, [1, 0, 2, 0.5, 1]] {
        call.weights = weights
        let expected = call.evaluate(.selected)
        var gradient = [Float](repeating: .canary, count: 95)
        let loss = try Self.evaluateArrays(call, &gradient)
        #expect(loss == expected.loss && gradient == expected.gradient, "\(call.targets.kind)")
      }
    }
  }

  private static func evaluateArrays(_ call: LossCall<Float>, _ gradient: inout [Float]) throws -> Double {
    switch call.targets {
    case .classes(var classes):
      // Of a row that does not count, anything.
      if call.weights != nil { classes[1] = 99 }
      return try Loss.softmaxCrossEntropy(
        call.outputs, classes: classes, weights: call.weights, gradient: &gradient)
    case .probabilities(let y):
      return try Loss.binaryCrossEntropy(
        call.outputs, targets: y.map { Float($0) }, rows: call.rows, weights: call.weights, gradient: &gradient)
    case .values(let y):
      return try Loss.meanSquaredError(
        call.outputs, targets: y.map { Float($0) }, rows: call.rows, weights: call.weights, gradient: &gradient)
    }
  }

  @Test("what does not fit throws a sentence and writes nothing", arguments: LossMistake.allCases)
  func mistakes(_ mistake: LossMistake) throws {
    var gradient = [Float](repeating: .canary, count: mistake == .gradient ? 5 : 6)
    let error = try #require(throws: ShapeError.self) { try mistake.commit(&gradient) }
    #expect(error.description == mistake.sentence)
    #expect(gradient.allSatisfy { $0.isSame(as: .canary) }, "something was written")
  }
}

extension NaiveTargets {
  /// For messages.
  var kind: String {
    switch self {
    case .classes: "classes"
    case .probabilities: "probabilities"
    case .values: "values"
    }
  }
}

/// Two rows of three outputs, with one thing wrong.
enum LossMistake: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case logits, noClasses, classAbove, classBelow, weights, negativeWeight, weightNotANumber, infiniteWeight, gradient
  case negativeRows, outputs, targets, binaryLogits, binaryTargets, pairWeights, pairWeight

  var testDescription: String { rawValue }

  var sentence: String {
    switch self {
    case .logits: "logits: expected 6 elements (N = 2, K = 3), got 7"
    case .noClasses: "logits: expected 0 elements (N = 0, K = 0), got 6"
    case .classAbove: "classes[1]: expected 0 to 2, got 3"
    case .classBelow: "classes[0]: expected 0 to 2, got -1"
    case .weights, .pairWeights: "weights: expected 2 elements (N = 2), got 3"
    case .negativeWeight, .pairWeight: "weights[1]: expected a finite number of at least 0, got -1.0"
    case .weightNotANumber: "weights[0]: expected a finite number of at least 0, got nan"
    case .infiniteWeight: "weights[0]: expected a finite number of at least 0, got inf"
    case .gradient: "gradient: expected 6 elements (N = 2, K = 3), got 5"
    case .negativeRows: "rows: expected at least 0, got -2"
    case .outputs: "outputs: expected 6 elements (N = 2, K = 3), got 7"
    case .targets: "targets: expected 6 elements (N = 2, K = 3), got 4"
    case .binaryLogits: "logits: expected 4 elements (N = 2, K = 2), got 5"
    case .binaryTargets: "targets: expected 6 elements (N = 2, K = 3), got 0"
    }
  }

  func commit(_ gradient: inout [Float]) throws {
    let x: [Float] = [1, 2, 3, 4, 5, 6]
    func softmax(_ logits: [Float], _ classes: [Int], _ weights: [Float]? = nil) throws {
      _ = try Loss.softmaxCrossEntropy(logits, classes: classes, weights: weights, gradient: &gradient)
    }
    func squares(_ outputs: [Float], _ targets: [Float], rows: Int = 2, _ weights: [Float]? = nil) throws {
      _ = try Loss.meanSquaredError(outputs, targets: targets, rows: rows, weights: weights, gradient: &gradient)
    }
    func binary(_ logits: [Float], _ targets: [Float]) throws {
      _ = try Loss.binaryCrossEntropy(logits, targets: targets, rows: 2, gradient: &gradient)
    }
    switch self {
    case .logits: try softmax(x + [7], [0, 1])
    case .noClasses: try softmax(x, [])
    case .classAbove: try softmax(x, [0, 3])
    case .classBelow: try softmax(x, [-1, 0])
    case .weights: try softmax(x, [0, 1], [1, 1, 1])
    case .negativeWeight: try softmax(x, [0, 1], [1, -1])
    case .weightNotANumber: try softmax(x, [0, 1], [.nan, 1])
    case .infiniteWeight: try softmax(x, [0, 1], [.infinity, 1])
    case .gradient: try softmax(x, [0, 1])
    case .negativeRows: try squares(x, x, rows: -2)
    case .outputs: try squares(x + [7], x)
    case .targets: try squares(x, [1, 2, 3, 4])
    case .binaryLogits: try binary([1, 2, 3, 4, 5], x)
    case .binaryTargets: try binary(x, [])
    case .pairWeights: try squares(x, x, [1, 1, 1])
    case .pairWeight: try squares(x, x, [1, -1])
    }
  }
}
