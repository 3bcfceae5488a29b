import Recurrence
import Testing

/// Laws that hold to the last bit, for every cell, both scalar types, and every instruction set.
@Suite("Laws of sequences")
struct SequenceLawTests {
  static let shapes = [
    SequenceShape(steps: 6, batch: 9, inputs: 5, units: 7, layers: 2),
    SequenceShape(steps: 7, batch: 14, inputs: 17, units: 32),
    SequenceShape(steps: 5, batch: 1, inputs: 3, units: 33, layers: 2),
    SequenceShape(steps: 6, batch: 5, inputs: 4, units: 16, lengths: [3, 6, 0, 6, 1]),
    SequenceShape(steps: 5, batch: 7, inputs: 2, units: 19, layers: 2, lengths: [2, 2, 4, 0, 1, 4, 0]),
  ]

  /// One law: given a stack, a shape and a random generator, the complaints.
  struct Check: CellVisitor {
    let law: String
    let body: (any StackCase) throws -> [String]

    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      let sets = SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported
      for kernels in sets {
        for (index, shape) in SequenceLawTests.shapes.enumerated() {
          let stack = RecurrentStack<C, S>(
            cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 11, kernels: kernels)
          var random = SeededRandom(stream: index)
          let problem = SequenceProblem(shape, states: C.states.count, random: &random)
          for complaint in try body(TypedCase(stack: stack, problem: problem)) {
            Issue.record(
              "\(law): \(C.self) \(S.self) \(kernels.instructionSet) \(shape): \(complaint); seed \(SuiteSettings.seed)"
            )
          }
        }
      }
    }
  }

  private func check(_ law: String, _ body: @escaping (any StackCase) throws -> [String]) throws {
    var visitor = Check(law: law, body: body)
    try forEachCell(&visitor)
  }

  @Test("threads 1, 2, 3, 7 give the same bits")
  func threads() throws {
    try check("threads") { test in
      try [2, 3, 7].flatMap { threads in
        try test.differences(SequencePath(), SequencePath(threads: threads)).map { "\($0) with \(threads) threads" }
      }
    }
  }

  @Test("recomputation gives the same bits, however few steps are kept")
  func recomputation() throws {
    try check("recomputation") { test in
      try [1, 2, 3, 5].flatMap { (keeping: Int) in
        try test.differences(SequencePath(), SequencePath(threads: 2, keeping: keeping))
          .map { "\($0) keeping \(keeping)" }
      }
    }
  }

  @Test("memory full of NaN never reaches a result")
  func poison() throws {
    try check("poison") { try $0.differences(SequencePath(), SequencePath(poison: true)) }
  }

  @Test("a tape in memory of the caller, full of NaN, gives the same bits")
  func borrowedMemory() throws {
    try check("borrowed memory") { try $0.borrowedMemory() }
  }

  @Test("a tape used again, for another length and batch, gives the same bits; so does a second backward")
  func reuse() throws {
    try check("reuse") { try $0.reuse() }
  }

  @Test("a sequence in two parts, backwards from the second, gives the same bits")
  func split() throws {
    try check("split") { try $0.split() }
  }

  @Test("streaming gives the bits of the sequence")
  func streaming() throws {
    try check("streaming") { try $0.streaming() }
  }

  @Test("inference gives the bits of the taped forward, for any number of threads")
  func inference() throws {
    try check("inference") { try $0.inference() }
  }

  @Test("a permuted batch gives permuted outputs, states and input gradients, and the same weight gradient")
  func permutation() throws {
    try check("permutation") { try $0.permutation() }
  }

  @Test("padding changes no bit")
  func padding() throws {
    try check("padding") { try $0.padding() }
  }

  @Test("a changed weight shows in the next step, and copies of a stack are independent")
  func edits() throws {
    try check("edits") { try $0.edits() }
  }
}

/// A stack and a problem, their types hidden.
protocol StackCase {
  func differences(_ one: SequencePath, _ other: SequencePath) throws -> [String]
  func reuse() throws -> [String]
  func borrowedMemory() throws -> [String]
  func split() throws -> [String]
  func streaming() throws -> [String]
  func inference() throws -> [String]
  func permutation() throws -> [String]
  func padding() throws -> [String]
  func edits() throws -> [String]
}

struct TypedCase<C: Cell, S: TestScalar>: StackCase {
  let stack: RecurrentStack<C, S>
  let problem: SequenceProblem
  private var shape: SequenceShape { problem.shape }

  func differences(_ one: SequencePath, _ other: SequencePath) throws -> [String] {
    try stack.solve(problem, one).differences(from: stack.solve(problem, other))
  }

  func reuse() throws -> [String] {
    let expected = try stack.solve(problem)
    var tape = stack.makeTape(
      steps: shape.steps + 2, batch: shape.batch + 3, threads: 2, ragged: true, keeping: nil, smallestSplit: 0)
    var random = SeededRandom(stream: 77)
    let other = SequenceProblem(
      SequenceShape(
        steps: shape.steps + 2, batch: shape.batch + 3, inputs: shape.inputs, units: shape.units, layers: shape.layers),
      states: problem.states, random: &random)
    _ = try stack.solve(other, tape: &tape)
    var complaints = try expected.differences(from: stack.solve(problem, tape: &tape))
    complaints += try expected.differences(from: stack.solve(problem, tape: &tape)).map { "second time: \($0)" }
    return complaints
  }

  func borrowedMemory() throws -> [String] {
    let isRagged = shape.lengths != nil
    let count = stack.tapeCount(steps: shape.steps, batch: shape.batch, ragged: isRagged, keeping: 2)
    let memory = AlignedBuffer<S>(count: count + 16)
    for index in 0..<(count + 16) { unsafe memory.unsafePointer[index] = .nan }
    let result = try run {
      unsafe stack.makeTape(
        steps: shape.steps, batch: shape.batch, ragged: isRagged, keeping: 2,
        in: UnsafeMutableBufferPointer(start: memory.unsafePointer, count: count))
    }
    let isIntact = (count..<(count + 16)).allSatisfy { unsafe memory.unsafePointer[$0].isNaN }
    return try stack.solve(problem).differences(from: result) + (isIntact ? [] : ["memory behind the tape"])
  }

  private func run(_ makeTape: () -> Tape<S>) throws -> SequenceResult<S> {
    var tape = makeTape()
    return try stack.solve(problem, tape: &tape)
  }

  /// Two windows of the sequence: the states carried forward, their gradients back, into one gradient.
  func split() throws -> [String] {
    guard shape.lengths == nil else { return [] }
    let expected = try stack.solve(problem)
    let cut = shape.steps / 2
    let windows = [0..<cut, cut..<shape.steps]
    func part(_ values: [Double], _ window: Range<Int>, _ width: Int) -> [S] {
      values[(window.lowerBound * shape.batch * width)..<(window.upperBound * shape.batch * width)].map { S($0) }
    }
    var states = stack.makeStates(batch: shape.batch)
    states.values = problem.initial.map { S($0) }
    let tapes = [
      Box(stack.makeTape(steps: cut, batch: shape.batch)), Box(stack.makeTape(steps: shape.steps, batch: shape.batch)),
    ]
    var outputs: [S] = []
    for (index, window) in windows.enumerated() {
      var some = [S](repeating: .nan, count: window.count * shape.batch * shape.units)
      try stack.forward(
        part(problem.x, window, shape.inputs), steps: window.count, batch: shape.batch, states: &states,
        outputs: &some, tape: &tapes[index].value)
      outputs += some
    }
    let final = states.values
    states.values = problem.finalGradients.map { S($0) }
    var gradient = stack.makeGradient()
    var inputGradients: [S] = []
    for (index, window) in windows.enumerated().reversed() {
      var some = [S](repeating: .nan, count: window.count * shape.batch * shape.inputs)
      try stack.backward(
        part(problem.x, window, shape.inputs),
        outputGradients: .everyStep(part(problem.outputGradients, window, shape.units)), stateGradients: &states,
        gradient: &gradient, inputGradients: &some, tape: &tapes[index].value)
      inputGradients = some + inputGradients
    }
    return expected.differences(
      from: SequenceResult(
        outputs: outputs, final: final, gradient: gradient.values, inputGradients: inputGradients,
        initialGradients: states.values))
  }

  func streaming() throws -> [String] {
    guard shape.lengths == nil else { return [] }
    let expected = try stack.solve(problem)
    var stream = stack.makeStream(batch: shape.batch)
    var states = stream.states
    states.values = problem.initial.map { S($0) }
    stream.states = states
    var outputs: [S] = []
    var step = [S](repeating: .nan, count: shape.batch * shape.units)
    let width = shape.batch * shape.inputs
    for t in 0..<shape.steps {
      try stack.step(problem.x[(t * width)..<((t + 1) * width)].map { S($0) }, into: &step, stream: &stream)
      outputs += step
    }
    return compare(outputs, expected.outputs, "outputs") + compare(stream.states.values, expected.final, "states")
  }

  func inference() throws -> [String] {
    let expected = try stack.solve(problem)
    var complaints: [String] = []
    for threads in [1, 2, 3] {
      var workspace = stack.makeWorkspace(
        steps: shape.steps, batch: shape.batch, threads: threads, ragged: shape.lengths != nil, smallestSplit: 0)
      workspace.poison()
      var states = stack.makeStates(batch: shape.batch)
      states.values = problem.initial.map { S($0) }
      var outputs = [S](repeating: .nan, count: expected.outputs.count)
      try stack.forward(
        problem.x.map { S($0) }, steps: shape.steps, batch: shape.batch, lengths: shape.lengths, states: &states,
        outputs: &outputs, workspace: &workspace)
      complaints += compare(outputs, expected.outputs, "outputs with \(threads) threads")
      complaints += compare(states.values, expected.final, "states with \(threads) threads")
    }
    return complaints
  }

  func permutation() throws -> [String] {
    let expected = try stack.solve(problem)
    var random = SeededRandom(stream: 5)
    var order = Array(0..<shape.batch)
    order.shuffle(using: &random)
    var permuted = problem
    var permutedShape = shape
    permutedShape.lengths = shape.lengths.map { lengths in order.map { lengths[$0] } }
    permuted = SequenceProblem(
      permutedShape, states: problem.states, x: rows(problem.x, order, shape.inputs),
      initial: rows(problem.initial, order, shape.units),
      outputGradients: rows(problem.outputGradients, order, shape.units),
      finalGradients: rows(problem.finalGradients, order, shape.units))
    let result = try stack.solve(permuted)
    var complaints = compare(result.outputs, rows(expected.outputs, order, shape.units), "outputs")
    complaints += compare(result.final, rows(expected.final, order, shape.units), "states")
    complaints += compare(
      result.inputGradients, rows(expected.inputGradients, order, shape.inputs), "input gradient")
    complaints += compare(
      result.initialGradients, rows(expected.initialGradients, order, shape.units), "initial state gradient")
    let error = relativeError(result.gradient, expected.gradient.map { Double($0) })
    if error > 64 * Double(S.ulpOfOne) { complaints.append("parameter gradient: relative error \(error)") }
    return complaints
  }

  /// More steps than any sequence has; and lengths that are all the full length.
  func padding() throws -> [String] {
    let expected = try stack.solve(problem)
    let extra = 3
    var padded = shape
    padded.steps += extra
    padded.lengths = shape.lengths ?? [Int](repeating: shape.steps, count: shape.batch)
    // What lies in padded steps is NaN: it must not be read.
    let junk = Double.nan
    let longer = SequenceProblem(
      padded, states: problem.states,
      x: problem.x + [Double](repeating: junk, count: extra * shape.batch * shape.inputs),
      initial: problem.initial,
      outputGradients: problem.outputGradients
        + [Double](repeating: junk, count: extra * shape.batch * shape.units),
      finalGradients: problem.finalGradients)
    var result = try stack.solve(longer)
    var complaints: [String] = []
    if result.outputs.suffix(extra * shape.batch * shape.units).contains(where: { $0 != 0 }) {
      complaints.append("outputs of padded steps are not zero")
    }
    if result.inputGradients.suffix(extra * shape.batch * shape.inputs).contains(where: { $0 != 0 }) {
      complaints.append("input gradients of padded steps are not zero")
    }
    result.outputs.removeLast(extra * shape.batch * shape.units)
    result.inputGradients.removeLast(extra * shape.batch * shape.inputs)
    return complaints + expected.differences(from: result)
  }

  func edits() throws -> [String] {
    guard shape.lengths == nil else { return [] }
    var edited = stack
    let before = try stack.solve(problem)
    for tensor in stack.layout.tensors {
      var changed = edited
      // The whole tensor: a single weight may belong to a unit that a ReLU keeps silent.
      changed.withParameters { values in
        for index in tensor.range { values[index] += 0.5 }
      }
      if try changed.solve(problem).outputs == before.outputs { return ["\(tensor.name): the change does not show"] }
      if try edited.solve(problem) != before { return ["\(tensor.name): a copy's change shows"] }
    }
    if C.self == LSTM.self {
      var changed = stack
      changed.parameters["U", 0, 0] += 0.5
      if try changed.solve(problem).outputs == before.outputs { return ["U[0, 0]: the change does not show"] }
    }
    let weight = edited.parameters["W", 0, 0]
    edited.parameters["W", 0, 0] = 0.25
    edited.parameters["W", 0, 0] = weight
    return try before.differences(from: edited.solve(problem))
  }

  private func compare(_ values: [S], _ expected: [S], _ name: String) -> [String] {
    values.map(\.wideBits) == expected.map(\.wideBits) ? [] : [name]
  }

  /// Rows of every [B, width] block, in another order.
  private func rows<Element>(_ values: [Element], _ order: [Int], _ width: Int) -> [Element] {
    guard !order.isEmpty else { return values }
    var result: [Element] = []
    for start in stride(from: 0, to: values.count, by: order.count * width) {
      for row in order { result += values[(start + row * width)..<(start + (row + 1) * width)] }
    }
    return result
  }
}

/// A place for a value that cannot be copied.
final class Box<S: TestScalar> {
  var value: Tape<S>
  init(_ value: consuming Tape<S>) { self.value = value }
}

extension SequenceProblem {
  init(
    _ shape: SequenceShape, states: Int, x: [Double], initial: [Double], outputGradients: [Double],
    finalGradients: [Double]
  ) {
    self.shape = shape
    self.states = states
    self.x = x
    self.initial = initial
    self.outputGradients = outputGradients
    self.finalGradients = finalGradients
  }
}
