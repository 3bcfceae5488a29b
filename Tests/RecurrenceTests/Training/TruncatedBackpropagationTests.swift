import Recurrence
import RecurrenceTesting
import Testing

/// Laws of truncated backpropagation, for every cell and both scalar types, against passes over whole sequences.
@Suite("Truncated backpropagation")
struct TruncatedBackpropagationTests {
  static let shape = ProblemShape(steps: 12, batch: 5, inputs: 3, units: 9, layers: 2)

  private struct Check: CellVisitor {
    let law: String
    let body: (any TruncationCase) throws -> [String]

    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      let shape = TruncatedBackpropagationTests.shape
      let stack = RecurrentStack<C, S>(
        cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 21)
      var random = SeededRandom(stream: 4)
      let problem = SequenceProblem(shape, states: C.states.count, random: &random)
      for complaint in try body(TypedTruncationCase(stack: stack, problem: problem)) {
        Issue.record("\(law): \(C.self) \(S.self): \(complaint); seed \(SuiteSettings.seed)")
      }
    }
  }

  private func check(_ law: String, _ body: @escaping (any TruncationCase) throws -> [String]) throws {
    var visitor = Check(law: law, body: body)
    try forEachCell(&visitor)
  }

  @Test("k₁ = k₂ = T is the whole sequence's gradient, bit for bit")
  func whole() throws {
    try check("whole") { try $0.whole() }
  }

  @Test("k₂ ≥ T is the whole sequence's gradient, to rounding, however it is cut into windows")
  func longReach() throws {
    try check("long reach") { test in
      try [(1, 12), (2, 12), (5, 15), (7, 14), (6, 60)].flatMap { try test.longReach(window: $0, reach: $1) }
    }
  }

  @Test("k₂ = k₁ is the gradient of windows whose states are detached, bit for bit")
  func detached() throws {
    try check("detached") { test in
      try [1, 3, 5, 12].flatMap { try test.equalsSeparateCalls(window: $0, reach: $0) }
    }
  }

  @Test("k₁ < k₂ < T is the gradient of each window's losses through the k₂ steps before their end, bit for bit")
  func between() throws {
    try check("between") { test in
      try [(1, 4), (2, 4), (3, 6), (5, 10), (4, 8)].flatMap { try test.equalsSeparateCalls(window: $0, reach: $1) }
    }
  }

  @Test("threads change no bit; neither does a second backward of the same window")
  func threadsAndRepetition() throws {
    try check("threads, repetition") { test in
      try [2, 3, 7].flatMap { try test.threads($0) } + test.repetition()
    }
  }

  @Test("a row that is reset begins a sequence: nothing goes forward or back across, other rows go on")
  func resetRows() throws {
    try check("reset rows") { try $0.resetRows() }
  }

  @Test("states that are set cut the past off; a run goes on from states that were saved")
  func states() throws {
    try check("states") { try $0.states() }
  }

  @Test("what does not fit throws with a sentence, and changes nothing")
  func errors() throws {
    let stack = RecurrentStack<GRU, Double>(GRU(), inputs: 2, units: 3)
    let other = RecurrentStack<GRU, Double>(GRU(), inputs: 2, units: 3)
    var truncated = TruncatedBackpropagation(stack, window: 2, reach: 4, batch: 1)
    var outputs = [Double](repeating: 7, count: 6)
    var gradient = stack.makeGradient()
    func expect(_ sentence: String, _ body: () throws -> Void) {
      let error = #expect(throws: ShapeError.self) { try body() }
      #expect(error?.description == sentence)
    }
    expect("truncated backpropagation: expected a forward pass before this, got none") {
      try truncated.backward(stack, outputGradients: outputs, gradient: &gradient)
    }
    try truncated.forward(stack, [1, 2, 3, 4], outputs: &outputs)
    let (states, before) = (truncated.currentStates, outputs)
    expect("input: expected 4 elements (T = 2, B = 1, I = 2), got 3") {
      try truncated.forward(stack, [1, 2, 3], outputs: &outputs)
    }
    expect("steps: expected 1 to 2, those of a window, got 3") {
      try truncated.forward(stack, [1, 2, 3, 4], steps: 3, outputs: &outputs)
    }
    expect("steps: expected 1 to 2, those of a window, got 0") {
      try truncated.forward(stack, [], steps: 0, outputs: &outputs)
    }
    expect("outputs: expected 3 elements (T = 1, B = 1, H = 3), got 6") {
      try truncated.forward(stack, [1, 2], steps: 1, outputs: &outputs)
    }
    expect(
      "truncated backpropagation: expected one made by this stack (2 inputs, 3 units, 1 layers),"
        + " got another's (2 inputs, 3 units, 1 layers)"
    ) { try truncated.forward(other, [1, 2, 3, 4], outputs: &outputs) }
    expect("outputGradients: expected 6 elements (T = 2, B = 1, H = 3), got 5") {
      try truncated.backward(stack, outputGradients: [1, 2, 3, 4, 5], gradient: &gradient)
    }
    var inputGradients = [Double](repeating: 7, count: 8)
    expect("inputGradients: expected 4 elements (R = 2, B = 1, I = 2), got 8") {
      try truncated.backward(stack, outputGradients: outputs, gradient: &gradient, inputGradients: &inputGradients)
    }
    var foreign = RecurrentStack<GRU, Double>(GRU(), inputs: 3, units: 3).makeGradient()
    expect(
      "gradient: expected the layout of this stack (\(stack.layout.count) parameters), got another's (66 parameters)"
    ) { try truncated.backward(stack, outputGradients: outputs, gradient: &foreign) }
    #expect(truncated.currentStates == states && outputs == before && gradient == stack.makeGradient())
    #expect(truncated.reachedSteps == 2 && inputGradients.allSatisfy { $0 == 7 })
  }

  @Test("no rows are legal, and parameters may change between windows")
  func edges() throws {
    var stack = RecurrentStack<LSTM, Double>(LSTM(), inputs: 2, units: 3)
    var none: [Double] = []
    var gradient = stack.makeGradient()
    var empty = TruncatedBackpropagation(stack, window: 2, reach: 4, batch: 0)
    for _ in 0..<3 { try empty.forward(stack, [], outputs: &none) }
    try empty.backward(stack, outputGradients: [], gradient: &gradient, inputGradients: &none)
    empty.reset()
    #expect(gradient == stack.makeGradient())

    // The window before is run again with the parameters as they are now, from the states that it began with.
    let (x, dy) = ([0.5, -1, 1, 0.25], [Double](repeating: 1, count: 6))
    var truncated = TruncatedBackpropagation(stack, window: 2, reach: 4, batch: 1)
    var outputs = dy
    try truncated.forward(stack, x, outputs: &outputs)
    let between = truncated.currentStates
    stack.withParameters { for i in $0.indices { $0[i] *= 1.5 } }
    try truncated.forward(stack, x, outputs: &outputs)
    try truncated.backward(stack, outputGradients: dy, gradient: &gradient)
    var expected = stack.makeGradient()
    var stateGradients = stack.makeStates(batch: 1)
    var tape = stack.makeTape(steps: 2, batch: 1)
    var dx = x
    for (index, initial) in [between, stack.makeStates(batch: 1)].enumerated() {
      var states = initial
      try stack.forward(x, steps: 2, batch: 1, states: &states, outputs: &outputs, tape: &tape)
      try stack.backward(
        x, outputGradients: index == 0 ? .everyStep(dy) : .none, stateGradients: &stateGradients, gradient: &expected,
        inputGradients: &dx, tape: &tape)
    }
    #expect(gradient == expected)
  }
}

/// A stack and a problem, their types hidden.
private protocol TruncationCase {
  func whole() throws -> [String]
  func longReach(window: Int, reach: Int) throws -> [String]
  func equalsSeparateCalls(window: Int, reach: Int) throws -> [String]
  func threads(_ threads: Int) throws -> [String]
  func repetition() throws -> [String]
  func resetRows() throws -> [String]
  func states() throws -> [String]
}

private struct TypedTruncationCase<C: Cell, S: TestScalar>: TruncationCase {
  let stack: RecurrentStack<C, S>
  let problem: SequenceProblem
  private var shape: ProblemShape { problem.shape }

  /// Elements of steps, of a [T, B, width] matrix.
  private func part(_ values: [Double], _ steps: Range<Int>, _ width: Int) -> [S] {
    values[(steps.lowerBound * shape.batch * width)..<(steps.upperBound * shape.batch * width)].map { S($0) }
  }

  private func windows(_ length: Int) -> [Range<Int>] {
    stride(from: 0, to: shape.steps, by: length).map { $0..<min(shape.steps, $0 + length) }
  }

  /// The whole sequence in windows; initial state gradients, which truncation has not, are left out.
  private func truncated(
    window: Int, reach: Int, threads: Int = 1,
    between: (inout TruncatedBackpropagation<C, S>, Int) -> Void = { _, _ in }
  ) throws -> SequenceResult<S> {
    var truncated = TruncatedBackpropagation(
      stack, window: window, reach: reach, batch: shape.batch, threads: threads, smallestSplit: 0)
    var states = truncated.currentStates
    states.values = problem.initial.map { S($0) }
    truncated.currentStates = states
    var gradient = stack.makeGradient()
    var outputs: [S] = []
    var inputGradients = [S](repeating: 0, count: problem.x.count)
    for (index, steps) in windows(window).enumerated() {
      if index > 0 { between(&truncated, steps.lowerBound) }
      var some = [S](repeating: .nan, count: steps.count * shape.batch * shape.units)
      try truncated.forward(
        stack, part(problem.x, steps, shape.inputs), steps: steps.count == window ? nil : steps.count, outputs: &some)
      outputs += some
      var reached = [S](repeating: .nan, count: truncated.reachedSteps * shape.batch * shape.inputs)
      try truncated.backward(
        stack, outputGradients: part(problem.outputGradients, steps, shape.units), gradient: &gradient,
        inputGradients: &reached)
      let start = (steps.upperBound - truncated.reachedSteps) * shape.batch * shape.inputs
      for (index, value) in reached.enumerated() { inputGradients[start + index] += value }
    }
    return SequenceResult(
      outputs: outputs, final: truncated.currentStates.values, gradient: gradient.values,
      inputGradients: inputGradients, initialGradients: [])
  }

  /// Forward and backward over all steps at once; no loss looks at the final states.
  private func solved() throws -> SequenceResult<S> {
    var problem = problem
    problem.finalGradients = problem.finalGradients.map { _ in 0 }
    var result = try stack.solve(problem)
    result.initialGradients = []
    return result
  }

  func whole() throws -> [String] {
    try solved().differences(from: truncated(window: shape.steps, reach: shape.steps))
  }

  func longReach(window: Int, reach: Int) throws -> [String] {
    let (expected, result) = try (solved(), truncated(window: window, reach: reach))
    var complaints = expected.differences(from: result).filter { $0 == "outputs" || $0 == "final states" }
    // Up to 12 windows are summed in another order, over paths of up to 12 steps.
    for (mine, theirs) in zip(result.tensors, expected.tensors) {
      let error = relativeError(mine.values, theirs.values.map { Double($0) })
      if error > 64 * Double(S.ulpOfOne) { complaints.append("\(mine.name): relative error \(error)") }
    }
    return complaints.map { "k₁ = \(window), k₂ = \(reach): \($0)" }
  }

  /// For each window a pass over the steps that its losses reach, from the states before them, with no loss but its own.
  func equalsSeparateCalls(window: Int, reach: Int) throws -> [String] {
    var states = stack.makeStates(batch: shape.batch)
    states.values = problem.initial.map { S($0) }
    var before = [states]
    var gradient = stack.makeGradient()
    var outputs: [S] = []
    var inputGradients = [S](repeating: 0, count: problem.x.count)
    let windows = windows(window)
    for (index, own) in windows.enumerated() {
      let first = max(0, index + 1 - reach / window)
      let steps = windows[first].lowerBound..<own.upperBound
      let x = part(problem.x, steps, shape.inputs)
      var tape = stack.makeTape(steps: steps.count, batch: shape.batch)
      var all = [S](repeating: .nan, count: steps.count * shape.batch * shape.units)
      var states = before[first]
      try stack.forward(x, steps: steps.count, batch: shape.batch, states: &states, outputs: &all, tape: &tape)
      before.append(states)
      let count = own.count * shape.batch * shape.units
      outputs += all.suffix(count)
      let losses =
        [S](repeating: 0, count: all.count - count) + part(problem.outputGradients, own, shape.units)
      var stateGradients = stack.makeStates(batch: shape.batch)
      var dx = [S](repeating: .nan, count: x.count)
      try stack.backward(
        x, outputGradients: .everyStep(losses), stateGradients: &stateGradients, gradient: &gradient,
        inputGradients: &dx, tape: &tape)
      let start = steps.lowerBound * shape.batch * shape.inputs
      for (index, value) in dx.enumerated() { inputGradients[start + index] += value }
    }
    let expected = SequenceResult(
      outputs: outputs, final: before.last!.values, gradient: gradient.values, inputGradients: inputGradients,
      initialGradients: [])
    return try expected.differences(from: truncated(window: window, reach: reach))
      .map { "\($0), k₁ = \(window), k₂ = \(reach)" }
  }

  func threads(_ threads: Int) throws -> [String] {
    try truncated(window: 3, reach: 6).differences(from: truncated(window: 3, reach: 6, threads: threads))
      .map { "\($0) with \(threads) threads" }
  }

  func repetition() throws -> [String] {
    var truncated = TruncatedBackpropagation(stack, window: 3, reach: 6, batch: shape.batch)
    let losses = part(problem.outputGradients, 3..<6, shape.units)
    var outputs = losses
    for steps in [0..<3, 3..<6] {
      try truncated.forward(stack, part(problem.x, steps, shape.inputs), outputs: &outputs)
    }
    let gradients = try (0..<3).map { _ in
      var gradient = stack.makeGradient()
      try truncated.backward(stack, outputGradients: losses, gradient: &gradient)
      return gradient.values.map(\.wideBits)
    }
    return gradients[0] == gradients[1] && gradients[0] == gradients[2] ? [] : ["a second backward differs"]
  }

  /// Rows 1 and 3 begin again at step 6. What each row does is what it does alone; gradients are their sum.
  func resetRows() throws -> [String] {
    let cut = 6
    let result = try truncated(window: 3, reach: 12) { truncated, step in
      if step == cut { truncated.reset(rows: [1, 3]) }
    }
    // As one batch of rows that go on, over all steps, and two of rows that do not, from zero states the second time.
    let others = [0, 2, 4]
    let again = [1, 3]
    var sum = [Double](repeating: 0, count: result.gradient.count)
    var outputs = [S](repeating: .nan, count: result.outputs.count)
    var inputGradients = [S](repeating: .nan, count: result.inputGradients.count)
    for (rows, steps, isFirst) in [(others, 0..<12, true), (again, 0..<cut, true), (again, cut..<12, false)] {
      let part = rowProblem(rows, steps, isFirst: isFirst)
      let solved = try stack.solve(part)
      for (index, value) in solved.gradient.enumerated() { sum[index] += Double(value) }
      for t in steps {
        for (place, row) in rows.enumerated() {
          let (from, to) = ((t - steps.lowerBound) * rows.count + place, t * shape.batch + row)
          for j in 0..<shape.units { outputs[to * shape.units + j] = solved.outputs[from * shape.units + j] }
          for i in 0..<shape.inputs {
            inputGradients[to * shape.inputs + i] = solved.inputGradients[from * shape.inputs + i]
          }
        }
      }
    }
    var complaints = outputs.map(\.wideBits) == result.outputs.map(\.wideBits) ? [] : ["outputs"]
    let errors = [
      ("gradient", relativeError(result.gradient, sum)),
      ("input gradient", relativeError(result.inputGradients, inputGradients.map { Double($0) })),
    ]
    for (name, error) in errors where error > 64 * Double(S.ulpOfOne) {
      complaints.append("\(name): relative error \(error)")
    }
    return complaints
  }

  /// Some rows and steps of the problem, with no loss of final states.
  private func rowProblem(_ rows: [Int], _ steps: Range<Int>, isFirst: Bool) -> SequenceProblem {
    func some(_ values: [Double], _ width: Int) -> [Double] {
      steps.flatMap { t in
        rows.flatMap { row in
          let start = (t * shape.batch + row) * width
          return values[start..<(start + width)]
        }
      }
    }
    let planes = problem.states * shape.layers
    let initial = (0..<planes).flatMap { plane in
      rows.flatMap { row in
        let start = (plane * shape.batch + row) * shape.units
        return problem.initial[start..<(start + shape.units)].map { isFirst ? $0 : 0 }
      }
    }
    var sizes = shape
    (sizes.steps, sizes.batch) = (steps.count, rows.count)
    return SequenceProblem(
      sizes, states: problem.states, x: some(problem.x, shape.inputs), initial: initial,
      outputGradients: some(problem.outputGradients, shape.units), finalGradients: initial.map { _ in 0 })
  }

  func states() throws -> [String] {
    let cutOff = try truncated(window: 4, reach: 12) { truncated, _ in
      let states = truncated.currentStates
      truncated.currentStates = states
    }
    var complaints = try truncated(window: 4, reach: 4).differences(from: cutOff).map { "\($0), states set" }
    // Saved after each window, another goes on from there.
    let resumed = try truncated(window: 4, reach: 4) { truncated, _ in
      let states = truncated.currentStates
      truncated = TruncatedBackpropagation(stack, window: 4, batch: shape.batch)
      truncated.currentStates = states
    }
    complaints += try truncated(window: 4, reach: 4).differences(from: resumed).map { "\($0), resumed" }
    let fresh = try truncated(window: 4, reach: 12) { truncated, _ in truncated.reset() }
    let zero = try truncated(window: 4, reach: 12) { truncated, _ in
      truncated.currentStates = stack.makeStates(batch: 5)
    }
    return complaints + zero.differences(from: fresh).map { "\($0), reset" }
  }
}
