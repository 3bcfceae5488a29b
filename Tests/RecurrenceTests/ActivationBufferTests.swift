import Recurrence
import Testing

/// Activation functions over arrays: an element's bits depend on its argument alone, and nothing outside is touched.
@Suite struct ActivationBufferTests {
  /// Every count up to a little more than three vectors, every value in every place: body and tail agree.
  @Test(arguments: KernelCase.all) func placeAndCountDoNotMatter(_ kernels: KernelCase) {
    kernels.run(checkPlaces, checkPlaces)
  }

  @Test(arguments: KernelCase.all) func inPlaceGivesTheSameBits(_ kernels: KernelCase) {
    kernels.run(checkInPlace, checkInPlace)
  }

  /// `apply` and `applyDerivative` are the kernels of this process, no more and no less.
  @Test(arguments: Activation.tested) func buffersEqualTheTable(_ activation: Activation) {
    func check<Scalar: JudgedScalar>(_: Scalar.Type) {
      let kernels = Kernels<Scalar>.selected
      for count in [1, kernels.geometry.lanes, 3 * kernels.geometry.lanes + 1, 1000] {
        let x = arguments(count, of: Scalar.self)
        let y = kernels.values(activation, x)
        var result = [Scalar](repeating: .canary, count: count)
        unsafe x.withUnsafeBufferPointer { x in
          unsafe result.withUnsafeMutableBufferPointer { unsafe activation.apply(x, into: $0) }
        }
        expectSame(result, y, "\(activation) [\(kernels.label)], \(count) elements")
        unsafe x.withUnsafeBufferPointer { x in
          unsafe y.withUnsafeBufferPointer { y in
            unsafe result.withUnsafeMutableBufferPointer { output in
              unsafe activation.applyDerivative(at: x, value: y, into: output)
            }
          }
        }
        expectSame(
          result, kernels.derivatives(activation, at: x, value: y),
          "\(activation)′ [\(kernels.label)], \(count) elements")
      }
    }
    check(Float.self)
    check(Double.self)
  }

  /// Slopes so small that the root lies beyond the scalar's range leave the offset.
  @Test(arguments: [(0, 0.5), (1e-39, 0.5), (-1e-40, 0.25)]) func flatHardSigmoids(_ slope: Double, _ offset: Double) {
    let x: [Float] = [-2, -0.0, 0, 3]
    var y = [Float](repeating: .nan, count: x.count)
    unsafe x.withUnsafeBufferPointer { input in
      unsafe y.withUnsafeMutableBufferPointer { output in
        unsafe Activation.hardSigmoid(slope: slope, offset: offset).apply(input, into: output)
      }
    }
    #expect(y == [Float](repeating: Float(offset), count: x.count))
  }

  @Test func emptyBuffersAreFine() {
    @unsafe func run<Scalar: JudgedScalar>(
      _ activation: Activation, _ input: UnsafeMutableBufferPointer<Scalar>,
      _ output: UnsafeMutableBufferPointer<Scalar>
    ) {
      unsafe activation.apply(UnsafeBufferPointer(input), into: output)
      unsafe activation.applyDerivative(
        at: UnsafeBufferPointer(input), value: UnsafeBufferPointer(output), into: output)
    }
    func check<Scalar: JudgedScalar>(_: Scalar.Type) {
      let guarded = GuardedMatrix<Scalar>(row: [])
      let nothing = unsafe UnsafeMutableBufferPointer<Scalar>(start: nil, count: 0)
      let empty = unsafe UnsafeMutableBufferPointer(start: guarded.pointer, count: 0)
      for activation in Activation.tested {
        unsafe run(activation, nothing, nothing)
        unsafe run(activation, empty, empty)
        unsafe run(activation, empty, nothing)
        unsafe run(activation, nothing, empty)
        for kernels in Kernels<Scalar>.supported {
          unsafe kernels.table.activation(activation, guarded.pointer, guarded.pointer, count: 0)
          unsafe kernels.table.activationDerivative(
            activation, at: guarded.pointer, value: guarded.pointer, guarded.pointer, count: 0)
        }
      }
      #expect(guarded.damage == nil, "\(guarded.damage ?? "")")
    }
    check(Float.self)
    check(Double.self)
  }

  /// Release builds too: the kernels' modules delete preconditions.
  @Test(
    .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"),
    arguments: ActivationMisuse.allCases)
  func misuseEndsWithASentence(_ misuse: ActivationMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as ActivationMisuse] in misuse.commit()
    }
    guard let result else { return }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    for word in misuse.words where !text.contains(word) {
      Issue.record("\(misuse.rawValue): \"\(word)\" is missing from \"\(text)\"")
    }
  }

  // MARK: Checks

  private func checkPlaces<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let longest = 3 * kernels.geometry.lanes + 1
    let pool = arguments(64, of: Scalar.self)
    for activation in Activation.tested {
      var complaints = Complaints()
      // Alone in its array, each.
      let values = pool.map { kernels.values(activation, [$0])[0] }
      let derivatives = zip(pool, values).map { kernels.derivatives(activation, at: [$0], value: [$1])[0] }
      /// `count` values of the pool from `shift` on, around its end.
      func check(_ count: Int, from shift: Int, at placement: GuardedMatrix<Scalar>.Placement) {
        let places = (0..<count).map { (shift + $0) % pool.count }
        let columns = max(1, count)
        let x = GuardedMatrix(row: places.map { pool[$0] }, placement: placement)
        let y = GuardedMatrix(row: [Scalar](repeating: .canary, count: count), placement: placement)
        let d = GuardedMatrix(row: [Scalar](repeating: .canary, count: count), placement: placement)
        unsafe kernels.table.activation(activation, x.pointer, y.pointer, count: count)
        unsafe kernels.table.activationDerivative(activation, at: x.pointer, value: y.pointer, d.pointer, count: count)
        let context = "\(activation) [\(kernels.label)], \(count) elements from \(shift) at \(placement)"
        complaints.note(firstDifference(y.values, from: places.map { values[$0] }, columns: columns), context)
        complaints.note(
          firstDifference(d.values, from: places.map { derivatives[$0] }, columns: columns), "f′ of \(context)")
        complaints.note(
          firstDifference(x.values, from: places.map { pool[$0] }, columns: columns), "input of \(context)")
        complaints.note(x.damage ?? y.damage ?? d.damage, context)
      }
      for count in 0...longest {
        for shift in stride(from: 0, to: pool.count, by: SuiteSettings.isThin ? 7 : 1) {
          check(count, from: shift, at: .offset([0, 1, 3][shift % 3]))
          if complaints.areEnough { return }
        }
        // Inaccessible pages, which take long to make: one choice of values.
        check(count, from: count, at: .endOfPage)
        check(count, from: count, at: .startOfPage)
      }
    }
  }

  private func checkInPlace<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    for activation in Activation.tested {
      var complaints = Complaints()
      for count in 0...3 * kernels.geometry.lanes + 1 {
        let x = arguments(count, of: Scalar.self)
        let y = kernels.values(activation, x)
        let expected = kernels.derivatives(activation, at: x, value: y)
        let context = "\(activation) [\(kernels.label)], \(count) elements"

        let memory = GuardedMatrix(row: x, placement: .offset(1))
        unsafe kernels.table.activation(activation, memory.pointer, memory.pointer, count: count)
        complaints.note(firstDifference(memory.values, from: y, columns: max(1, count)), context)
        complaints.note(memory.damage, context)

        let arguments = GuardedMatrix(row: x, placement: .offset(1))
        let values = GuardedMatrix(row: y, placement: .offset(3))
        unsafe kernels.table.activationDerivative(
          activation, at: arguments.pointer, value: values.pointer, arguments.pointer, count: count)
        complaints.note(
          firstDifference(arguments.values, from: expected, columns: max(1, count)), "f′ over x, \(context)")
        unsafe kernels.table.activationDerivative(
          activation, at: x, value: values.pointer, values.pointer, count: count)
        complaints.note(firstDifference(values.values, from: expected, columns: max(1, count)), "f′ over y, \(context)")
        complaints.note(arguments.damage ?? values.damage, "f′, \(context)")
      }
    }
  }

  /// Special values first, then numbers on both sides of every clamp that lies within ±12 (one in four within ±150).
  private func arguments<Scalar: TestScalar>(_ count: Int, of _: Scalar.Type) -> [Scalar] {
    var random = SeededRandom(stream: 62_000)
    var result = Scalar.specialValues
    while result.count < count {
      result.append(random.uniform(Scalar.self) * (result.count.isMultiple(of: 4) ? 150 : 12))
    }
    return Array(result[..<count])
  }

  private func expectSame<Scalar: TestScalar>(
    _ actual: [Scalar], _ expected: [Scalar], _ context: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let difference = firstDifference(actual, from: expected, columns: max(1, expected.count))
    #expect(difference == nil, "\(context): \(difference ?? "")", sourceLocation: sourceLocation)
  }
}

/// A wrong length as a value, which an exit test can carry to its child process, with the words that the sentence about
/// it must contain.
enum ActivationMisuse: String, Codable, Sendable, CaseIterable, CustomTestStringConvertible {
  case shortOutput, longOutput, emptyOutput, outputForNothing
  case shortValue, longValue, emptyValue, shortDerivative, longDerivative
  case negativeCount, negativeCountOfDerivatives

  var testDescription: String { rawValue }

  var words: [String] {
    switch self {
    case .shortOutput, .shortDerivative: ["output", "expected 5", "got 4"]
    case .longOutput, .longDerivative: ["output", "expected 5", "got 6"]
    case .emptyOutput: ["output", "expected 5", "got 0"]
    case .outputForNothing: ["output", "expected 0", "got 6"]
    case .shortValue: ["value", "expected 5", "got 4"]
    case .longValue: ["value", "expected 5", "got 6"]
    case .emptyValue: ["value", "expected 5", "got 0"]
    case .negativeCount: ["count", "-1"]
    case .negativeCountOfDerivatives: ["count", "\(Int.min)"]
    }
  }

  func commit() {
    switch self {
    case .shortOutput: apply(5, 4)
    case .longOutput: apply(5, 6)
    case .emptyOutput: apply(5, 0)
    case .outputForNothing: apply(0, 6)
    case .shortValue: applyDerivative(5, 4, 5)
    case .longValue: applyDerivative(5, 6, 5)
    case .emptyValue: applyDerivative(5, 0, 5)
    case .shortDerivative: applyDerivative(5, 5, 4)
    case .longDerivative: applyDerivative(5, 5, 6)
    case .negativeCount:
      let start: UnsafeMutablePointer<Float> = unsafe memory(6).baseAddress!
      unsafe Kernels<Float>.selected.table.activation(.tanh, start, start, count: -1)
    case .negativeCountOfDerivatives:
      let start: UnsafeMutablePointer<Double> = unsafe memory(6).baseAddress!
      unsafe Kernels<Double>.selected.table.activationDerivative(.relu, at: start, value: start, start, count: .min)
    }
  }

  private func apply(_ input: Int, _ output: Int) {
    unsafe Activation.tanh.apply(UnsafeBufferPointer<Float>(memory(input)), into: memory(output))
  }

  private func applyDerivative(_ x: Int, _ y: Int, _ output: Int) {
    unsafe Activation.tanh.applyDerivative(
      at: UnsafeBufferPointer<Double>(memory(x)), value: UnsafeBufferPointer(memory(y)), into: memory(output))
  }

  /// Zeros, never released: the process is about to end. No elements, no memory.
  @unsafe private func memory<Scalar: RecurrenceScalar>(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> {
    if count == 0 { return unsafe UnsafeMutableBufferPointer(start: nil, count: 0) }
    let memory = UnsafeMutableBufferPointer<Scalar>.allocate(capacity: count)
    unsafe memory.initialize(repeating: 0)
    return unsafe memory
  }
}
