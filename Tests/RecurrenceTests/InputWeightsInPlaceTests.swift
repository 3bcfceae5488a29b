import Recurrence
import RecurrenceTesting
import Testing

/// Layers whose W takes 2 MiB and more: the way back reads it where it lies, for all sequences of a chunk together.
///
/// With one input more, W's rows are no whole vectors, and it is packed. Where that input is always zero, no other bit
/// may differ; that the two stacks do not do the same shows in what their tapes take.
@Suite("Input weights read where they lie")
struct InputWeightsInPlaceTests {
  /// 65 vectors of 16, so that the last panel of these is half of one, and more columns than are packed at a time.
  private static let inputs = 1040
  /// Whole panels, so that threads can share them; more rows of W than the shortest block of depth; 2 MiB in Float.
  private static func units(_ gates: Int) -> Int { gates == 4 ? 160 : 192 }

  private static func shape<C: Cell>(
    _: C.Type, _ steps: Int, _ batch: Int, layers: Int = 1, _ lengths: [Int]? = nil
  ) -> ProblemShape {
    ProblemShape(
      steps: steps, batch: batch, inputs: inputs, units: units(C.gates.count), layers: layers, lengths: lengths)
  }

  private static func makeStack<C: Cell, S: TestScalar>(
    _ cell: C, layers: Int, _ kernels: Kernels<S> = .selected
  ) -> RecurrentStack<C, S> {
    RecurrentStack(
      cell, inputs: inputs, units: units(C.gates.count), layers: layers, seed: 14, kernels: kernels)
  }

  private static func kernels<S: TestScalar>(_: S.Type) -> [Kernels<S>] {
    SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported
  }

  // MARK: Against the oracle

  @Test("gradients are the oracle's: LSTM, GRU, reset before, Double")
  func oracle() throws {
    try checkOracle(LSTM(), Float.self) { NaiveLSTM(inputs: $0, hidden: $1) }
    if SuiteSettings.isThin { return }
    try checkOracle(GRU(), Float.self) { NaiveGRUResetAfter(inputs: $0, hidden: $1) }
    try checkOracle(GRUResetBefore(), Float.self) { NaiveGRUResetBefore(inputs: $0, hidden: $1) }
    try checkOracle(LSTM(), Double.self) { NaiveLSTM(inputs: $0, hidden: $1) }
  }

  /// The bounds of `StackOracleTests`, three times as wide: rounding errors of a sum grow as the square root of its
  /// terms, of which a pre-activation has up to 1040 + 192 here, and 67 + 67 there.
  private func checkOracle<C: Cell, S: TestScalar>(
    _ cell: C, _: S.Type, _ naive: (Int, Int) -> any NaiveCell
  ) throws {
    let shapes = [
      Self.shape(C.self, 3, 4, layers: 2, [2, 3, 0, 1]), Self.shape(C.self, 3, 3), Self.shape(C.self, 1, 1),
    ]
    for (index, shape) in (SuiteSettings.isThin ? Array(shapes.prefix(1)) : shapes).enumerated() {
      var random = SeededRandom(stream: 82_000 + index)
      let problem = SequenceProblem(shape, states: C.states.count, random: &random)
      let parameters = (Self.makeStack(cell, layers: shape.layers) as RecurrentStack<C, S>).parameters.values
      let cells = (0..<shape.layers).map { naive($0 == 0 ? shape.inputs : shape.units, shape.units) }
      let solution = try NaiveSolution(problem, parameters.map { Double($0) }, cells)
      let tolerance = S.self == Float.self ? 6e-6 * Double(shape.steps).squareRoot() : 3e-12
      for kernels in Self.kernels(S.self) {
        let stack = Self.makeStack(cell, layers: shape.layers, kernels)
        var expected = solution
        let mine = try expected.split(stack.solve(problem, SequencePath(threads: 2, poison: true)), stack.layout)
        for (mine, theirs) in zip(mine, expected.tensors) {
          let error = relativeError(mine.values, theirs.values)
          #expect(error <= tolerance, "\(C.self) \(kernels.label) \(shape): \(mine.name) is off by \(error)")
        }
      }
    }
  }

  // MARK: To the bit

  @Test("the bits of weights that are packed, on threads, in segments, in memory that held something else")
  func bits() throws {
    try checkBits(LSTM(), Float.self, long: true)
    if SuiteSettings.isThin { return }
    try checkBits(LSTM(), Double.self)
    try checkBits(GRU(), Float.self, long: true)
    try checkBits(GRUResetBefore(), Float.self)
    // Four runs of gates, out of order.
    try checkBits(BusyCell(), Float.self)
  }

  private static let paths = [
    SequencePath(threads: 2), SequencePath(threads: 3, poison: true), SequencePath(keeping: 2),
    SequencePath(threads: 2, keeping: 3, poison: true),
  ]

  private func checkBits<C: Cell, S: TestScalar>(_ cell: C, _: S.Type, long: Bool = false) throws {
    for kernels in Self.kernels(S.self) {
      var shapes = [
        Self.shape(C.self, 4, 3), Self.shape(C.self, 4, 3, layers: 2),
        Self.shape(C.self, 4, 3, layers: 2, [4, 0, 3]), Self.shape(C.self, 1, 5, layers: 2),
        Self.shape(C.self, 3, 2, [0, 0]),
        // One sequence, whose units threads share; of one step, all weights are read where they lie.
        Self.shape(C.self, 7, 1, layers: 2), Self.shape(C.self, 6, 1, [4]), Self.shape(C.self, 1, 1),
      ]
      if long, !SuiteSettings.isThin, kernels.instructionSet == Kernels<S>.selected.instructionSet {
        // More rows than the 512 of a chunk; sequences that all end before the last chunk begins, or within it.
        shapes += [
          Self.shape(C.self, 130, 5), Self.shape(C.self, 130, 5, [20, 3, 0, 11, 20]),
          Self.shape(C.self, 130, 5, layers: 2, [130, 64, 0, 5, 129]), Self.shape(C.self, 600, 1),
        ]
      }
      for layers in 1...2 {
        let stack = Self.makeStack(cell, layers: layers, kernels)
        let wide = widened(stack, kernels)
        let saved = wide.tapeCount(steps: 1, batch: 1) - stack.tapeCount(steps: 1, batch: 1)
        let least = stack.layout.tensor("W")!.range.count
        #expect(saved >= least, "\(C.self) \(kernels.label): no tape is smaller by a W that is not packed")
        for (index, shape) in shapes.enumerated() where shape.layers == layers {
          var random = SeededRandom(stream: 83_000 + index)
          let problem = SequenceProblem(shape, states: C.states.count, random: &random)
          try check(stack, wide, problem, "\(C.self) \(kernels.label) \(shape)")
        }
      }
    }
  }

  private func check<C: Cell, S: TestScalar>(
    _ stack: RecurrentStack<C, S>, _ wide: RecurrentStack<C, S>, _ problem: SequenceProblem, _ label: String
  ) throws {
    let shape = problem.shape
    let result = try stack.solve(problem)
    let packed = try narrowed(wide.solve(problem.widened()), wide.layout, stack.inputs)
    #expect(result.differences(from: packed) == [], "\(label): W packed")
    for path in Self.paths {
      #expect(try stack.solve(problem, path).differences(from: result) == [], "\(label) \(path)")
    }
    var tape = stack.makeTape(
      steps: shape.steps + 1, batch: shape.batch + 2, threads: 2, ragged: true, keeping: nil, smallestSplit: 0)
    for use in ["larger memory", "the same again", "the same, full of NaN"] {
      if use.hasSuffix("NaN") { tape.poison() }
      let again = try stack.solve(problem, tape: &tape).differences(from: result)
      #expect(again == [], "\(label): \(use)")
    }
  }

  /// The same stack with one input more.
  private func widened<C: Cell, S: TestScalar>(
    _ stack: RecurrentStack<C, S>, _ kernels: Kernels<S>
  ) -> RecurrentStack<C, S> {
    var wide = RecurrentStack<C, S>(
      stack.cell, inputs: stack.inputs + 1, units: stack.units, layers: stack.layers, kernels: kernels)
    var parameters = wide.makeGradient()
    for tensor in stack.layout.tensors {
      let values = stack.parameters[tensor.name, layer: tensor.layer]
      let isWide = tensor.name == "W" && tensor.layer == 0
      parameters[tensor.name, layer: tensor.layer] = isWide ? lengthened(values, stack.inputs, by: 0.5) : values
    }
    wide.parameters = parameters
    return wide
  }

  /// What a wide stack gives, without what belongs to its last input.
  private func narrowed<S: TestScalar>(
    _ result: SequenceResult<S>, _ wide: ParameterLayout, _ inputs: Int
  ) -> SequenceResult<S> {
    var result = result
    result.inputGradients = shortened(result.inputGradients, inputs + 1)
    let w = wide.tensor("W")!.range
    result.gradient.replaceSubrange(w, with: shortened(Array(result.gradient[w]), inputs + 1))
    return result
  }

  // MARK: Passes of other kinds

  /// Of `RecurrenceTesting`, whose own problems are too small.
  @Test(
    "laws: a sequence in two parts, a gradient that replaces, a tape that was used before",
    arguments: [CellCheck.split, .aliasing, .reuse])
  func laws(_ law: CellCheck) throws {
    try check(law, LSTM(), Float.self)
    if SuiteSettings.isThin { return }
    try check(law, GRU(), Float.self)
    try check(law, GRUResetBefore(), Double.self)
  }

  private func check<C: Cell, S: TestScalar>(_ law: CellCheck, _ cell: C, _: S.Type) throws {
    let problem = CellProblem(
      steps: 6, batch: 4, inputs: Self.inputs, units: Self.units(C.gates.count), seed: SuiteSettings.seed)
    let verdict = try law.verdict(of: cell, S.self, on: problem)
    if case .passed = verdict { return }
    Issue.record("\(law): \(C.self) \(S.self) \(problem): \(verdict)")
  }

  @Test("whoever wants no ∂L/∂input gets the other gradients", arguments: [1, 3], [nil, [2, 3, 0, 3]])
  func noInputGradients(threads: Int, lengths: [Int]?) throws {
    let shape = Self.shape(GRU.self, 3, 4, lengths)
    let stack: RecurrentStack<GRU, Float> = Self.makeStack(GRU(), layers: 1)
    var random = SeededRandom(stream: 85_000)
    let problem = SequenceProblem(shape, states: 1, random: &random)
    let whole = try stack.solve(problem)
    var tape = stack.makeTape(
      steps: shape.steps, batch: shape.batch, threads: threads, ragged: lengths != nil, keeping: nil, smallestSplit: 0)
    _ = try stack.solve(problem, tape: &tape)
    let (x, outputGradients) = (problem.x.map { Float($0) }, problem.outputGradients.map { Float($0) })
    var gradient = [Float](repeating: .nan, count: stack.layout.count)
    var states = problem.finalGradients.map { Float($0) }
    unsafe x.withUnsafeBufferPointer { x in
      unsafe outputGradients.withUnsafeBufferPointer { outputGradients in
        unsafe gradient.withUnsafeMutableBufferPointer { gradient in
          unsafe states.withUnsafeMutableBufferPointer { states in
            unsafe stack.backward(
              x, outputGradients: outputGradients, finalStateGradients: UnsafeBufferPointer(states),
              parameterGradients: gradient, accumulates: false, initialStateGradients: states, tape: &tape)
          }
        }
      }
    }
    #expect(gradient.map(\.wideBits) == whole.gradient.map(\.wideBits), "seed \(SuiteSettings.seed)")
    #expect(states.map(\.wideBits) == whole.initialGradients.map(\.wideBits), "seed \(SuiteSettings.seed)")
  }

  @Test("symbols that are projected once each: on threads, and as looked up", arguments: [nil, [9, 0, 4, 7]])
  func projectedSymbols(lengths: [Int]?) throws {
    let shape = NetworkShape(
      steps: 9, batch: 4, symbols: 12, inputs: Self.inputs, units: Self.units(4), layers: 1, lengths: lengths)
    var random = SeededRandom(stream: 86_000)
    let problem = NetworkProblem<Float>(shape, states: 2, &random)
    let network: SequenceNetwork<LSTM, Float> = shape.network(LSTM())
    func result(_ network: SequenceNetwork<LSTM, Float>, threads: Int) throws -> NetworkResult<Float> {
      var trainer = SequenceTrainer(
        network, .sgd, steps: shape.steps, batch: shape.batch, ragged: true, threads: threads)
      return try trainer.solve(problem)
    }
    let one = try result(network, threads: 1)
    for threads in [2, 3] {
      let difference = try result(network, threads: threads).difference(from: one)
      #expect(difference == nil, "\(threads) threads, seed \(SuiteSettings.seed)")
    }
    // Among so many more symbols that every row is looked up.
    var rare = network
    let used = network.embedding!
    var table = Embedding<Float>(symbols: shape.steps * shape.batch, width: used.width)
    table.parameters = used.parameters + table.parameters.dropFirst(used.parameters.count).map { _ in .nan }
    rare.embedding = table
    let lookedUp = try result(rare, threads: 1)
    let count = used.parameters.count
    let error = relativeError(
      Array(one.gradient.prefix(count)), lookedUp.gradient.prefix(count).map { Double($0) })
    // Sums over gates, units and rows in another order, whose errors grow as the square root of their terms.
    let terms = 4 * shape.units * shape.steps * shape.batch
    let bound = Double(terms).squareRoot() * Double(Float.ulpOfOne)
    #expect(error <= bound, "off by \(error), seed \(SuiteSettings.seed)")
  }
}

extension SequenceProblem {
  /// The same with one input more, always zero.
  fileprivate func widened() -> Self {
    var wide = shape
    wide.inputs += 1
    return Self(
      wide, states: states, x: lengthened(x, shape.inputs, by: 0), initial: initial, outputGradients: outputGradients,
      finalGradients: finalGradients)
  }
}

/// A matrix of `width` columns with another behind them.
private func lengthened<Value>(_ values: [Value], _ width: Int, by last: Value) -> [Value] {
  var result: [Value] = []
  result.reserveCapacity(values.count + values.count / width)
  for start in stride(from: 0, to: values.count, by: width) {
    result += values[start..<(start + width)]
    result.append(last)
  }
  return result
}

/// A matrix of `width` columns without the last of them.
private func shortened<Value>(_ values: [Value], _ width: Int) -> [Value] {
  stride(from: 0, to: values.count, by: width).flatMap { values[$0..<($0 + width - 1)] }
}
