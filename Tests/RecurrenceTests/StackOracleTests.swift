import Recurrence
import RecurrenceTesting
import Testing

/// Every built-in cell against the naive cells, which were written from the equations alone.
///
/// Error: max|Δ| / max|reference| of each tensor, under default initialisation. Float ≤ 2·10⁻⁶·√T, Double ≤ 10⁻¹².
///
/// With one or two units, a gradient is now and then a sum whose terms cancel: the reference is small by chance,
/// and no Float can come near it. Where a tensor misses the bound, the oracle says how far its answer moves when every
/// operand is rounded to the scalar type's precision once; the error must be within eight such moves. How many tensors
/// needed this is printed, and may be one in a hundred (one, of a thinned sample).
@Suite("Stacks against the naive oracle")
struct StackOracleTests {
  /// A pairwise sample: every pair of values of two of H, I, B and T occurs in some shape, as far as values of each are
  /// listed; greedily covered, in a fixed order.
  static func shapes(width: Int) -> [ProblemShape] {
    let sizes = [1, 2, width - 1, width, width + 1, 67]
    let factors = [sizes, sizes, Array(1...13), Array(1...20)]
    var uncovered: Set<[Int]> = []
    for a in 0..<4 {
      for b in (a + 1)..<4 { for x in factors[a] { for y in factors[b] { uncovered.insert([a, x, b, y]) } } }
    }
    var random = SeededRandom(seed: 1)
    var shapes: [ProblemShape] = []
    while !uncovered.isEmpty {
      var best: (row: [Int], pairs: [[Int]]) = ([], [])
      for _ in 0..<40 {
        var row = factors.map { random.pick($0) }
        // Half of the candidates carry a pair that is still missing.
        if let pair = uncovered.min(by: { $0.lexicographicallyPrecedes($1) }) {
          row[pair[0]] = pair[1]
          row[pair[2]] = pair[3]
        }
        var pairs: [[Int]] = []
        for a in 0..<4 {
          for b in (a + 1)..<4 where uncovered.contains([a, row[a], b, row[b]]) {
            pairs.append([a, row[a], b, row[b]])
          }
        }
        if pairs.count > best.pairs.count { best = (row, pairs) }
      }
      for pair in best.pairs { uncovered.remove(pair) }
      shapes.append(ProblemShape(steps: best.row[3], batch: best.row[2], inputs: best.row[1], units: best.row[0]))
    }
    return SuiteSettings.isThin ? shapes.enumerated().filter { $0.offset % 40 == 0 }.map(\.element) : shapes
  }

  @Test("RNN, tanh") func rnn() throws { try check(RNN()) { NaiveRNN(inputs: $0, hidden: $1, activation: .tanh) } }
  @Test("RNN, ReLU") func relu() throws { try check(RNN.relu) { NaiveRNN(inputs: $0, hidden: $1, activation: .relu) } }
  @Test("RNN, sigmoid") func sigmoid() throws {
    try check(RNN(Activation.sigmoid)) { NaiveRNN(inputs: $0, hidden: $1, activation: .sigmoid) }
  }
  @Test("RNN, softsign") func softsign() throws {
    try check(RNN(Activation.softsign)) { NaiveRNN(inputs: $0, hidden: $1, activation: .softsign) }
  }
  @Test("RNN, ELU") func elu() throws {
    try check(RNN(Activation.elu)) { NaiveRNN(inputs: $0, hidden: $1, activation: .elu) }
  }
  @Test("LSTM") func lstm() throws { try check(LSTM()) { NaiveLSTM(inputs: $0, hidden: $1) } }
  @Test("LSTM with peepholes") func peepholes() throws {
    try check(PeepholeLSTM()) { NaiveLSTM(inputs: $0, hidden: $1, hasPeepholes: true) }
  }
  @Test("GRU, reset after") func gru() throws { try check(GRU()) { NaiveGRUResetAfter(inputs: $0, hidden: $1) } }
  @Test("GRU, reset before") func gruResetBefore() throws {
    try check(GRUResetBefore()) { NaiveGRUResetBefore(inputs: $0, hidden: $1) }
  }

  private func check<C: Cell>(_ cell: C, _ naive: (Int, Int) -> any NaiveCell) throws {
    let sets =
      SuiteSettings.isThin ? [KernelSelection.current.instructionSet] : Processor.current.supportedInstructionSets
    for set in sets {
      try check(cell, naive, Kernels<Float>(set)!) { 2e-6 * Double($0).squareRoot() }
      try check(cell, naive, Kernels<Double>(set)!) { _ in 1e-12 }
    }
  }

  private func check<C: Cell, S: TestScalar>(
    _ cell: C, _ naive: (Int, Int) -> any NaiveCell, _ kernels: Kernels<S>, tolerance: (Int) -> Double
  ) throws {
    var shapes = Self.shapes(width: kernels.geometry.lanes)
    // Stacks and ragged batches beside the pairwise sample.
    shapes.append(ProblemShape(steps: 5, batch: 4, inputs: 3, units: 17, layers: 3))
    shapes.append(ProblemShape(steps: 9, batch: 6, inputs: 5, units: 8, layers: 2, lengths: [4, 9, 0, 1, 9, 7]))
    var judged = 0
    var cancelled = 0
    for (index, shape) in shapes.enumerated() {
      var random = SeededRandom(stream: index)
      let problem = SequenceProblem(shape, states: C.states.count, random: &random)
      var stack = RecurrentStack<C, S>(
        cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, kernels: kernels)
      // Whatever is the default for users: which sums cancel depends on the parameters.
      var generator = SeededGenerator(seed: UInt64(index))
      let bound = 1 / Double(shape.units).squareRoot()
      stack.withParameters { for i in $0.indices { $0[i] = S(generator.uniform(in: -bound...bound)) } }
      let result = try stack.solve(problem)
      let cells = (0..<shape.layers).map { naive($0 == 0 ? shape.inputs : shape.units, shape.units) }
      let parameters = stack.parameters.values.map { Double($0) }
      var expected = try NaiveSolution(problem, parameters, cells)
      let mine = expected.split(result, stack.layout)
      for (mine, theirs) in zip(mine, expected.tensors) {
        let error = relativeError(mine.values, theirs.values)
        judged += 1
        if error > tolerance(shape.steps), shape.units <= 2 {
          let move = try NaiveSolution.move(
            problem, parameters, cells, stack.layout, tensor: theirs.name, by: Double(S.ulpOfOne) / 2)
          if error <= 8 * move {
            cancelled += 1
            continue
          }
        }
        #expect(
          error <= tolerance(shape.steps),
          "\(C.self) \(S.self) \(kernels.instructionSet) \(shape): \(mine.name) is off by \(error); seed \(SuiteSettings.seed)"
        )
      }
    }
    if cancelled > 0 {
      print("\(C.self) \(S.self) \(kernels.instructionSet): terms cancel in \(cancelled) of \(judged) tensors")
    }
    #expect(cancelled <= max(1, judged / 100), "\(C.self) \(S.self): terms cancel in \(cancelled) of \(judged) tensors")
  }
}

/// The oracle's answer to a sequence problem, in the layout of `SequenceResult`.
struct NaiveSolution {
  struct Tensor {
    let name: String
    let values: [Double]
  }

  /// Outputs, final states, ∂L/∂x, ∂L/∂(initial states), and ∂L/∂(every layer's parameters), tensor by tensor.
  private(set) var tensors: [Tensor] = []

  init(_ problem: SequenceProblem, _ parameters: [Double], _ cells: [any NaiveCell]) throws {
    let shape = problem.shape
    let size = shape.batch * shape.units
    var start = 0
    let parts = cells.map { cell in
      defer { start += cell.parameterCount }
      return Array(parameters[start..<(start + cell.parameterCount)])
    }
    try #require(start == parameters.count, "the oracle has \(start) parameters, the stack \(parameters.count)")
    /// [S, L, B, H] as [layer][plane].
    func planes(_ values: [Double]) -> [[[Double]]] {
      cells.indices.map { layer in
        (0..<problem.states).map { state in
          let first = (state * cells.count + layer) * size
          return Array(values[first..<(first + size)])
        }
      }
    }
    func flat(_ planes: [[[Double]]]) -> [Double] {
      (0..<problem.states).flatMap { state in planes.flatMap { $0[state] } }
    }
    let initial = planes(problem.initial)
    let forward = naiveStackForward(
      cells, parts, x: problem.x, T: shape.steps, B: shape.batch, initialStates: initial, lengths: shape.lengths)
    let backward = naiveStackBackward(
      cells, parts, x: problem.x, T: shape.steps, B: shape.batch, initialStates: initial, lengths: shape.lengths,
      cotangents: NaiveStackCotangents(
        dOutputs: problem.outputGradients, dFinalStates: planes(problem.finalGradients)))
    tensors = [
      Tensor(name: "outputs", values: forward.outputs), Tensor(name: "final states", values: flat(forward.finalStates)),
      Tensor(name: "∂L/∂x", values: backward.dx),
      Tensor(name: "∂L/∂(initial states)", values: flat(backward.dInitialStates)),
      Tensor(name: "∂L/∂parameters", values: backward.dParameters.flatMap(\.self)),
    ]
  }

  /// How far a tensor moves, relative to its largest value, when every operand is multiplied by 1 ± `rounding`: the most
  /// of eight draws.
  static func move(
    _ problem: SequenceProblem, _ parameters: [Double], _ cells: [any NaiveCell], _ layout: ParameterLayout,
    tensor name: String, by rounding: Double
  ) throws -> Double {
    var random = SeededRandom(stream: 1000)
    func moved(_ values: [Double]) -> [Double] { values.map { $0 * (1 + rounding * random.uniform(Double.self)) } }
    func values(_ problem: SequenceProblem, _ parameters: [Double]) throws -> [Double] {
      var solution = try NaiveSolution(problem, parameters, cells)
      solution.splitParameters(layout)
      return solution.tensors.first { $0.name == name }!.values
    }
    let reference = try values(problem, parameters)
    return try (0..<8).reduce(0.0) { largest, _ in
      var other = problem
      other.x = moved(problem.x)
      other.initial = moved(problem.initial)
      other.outputGradients = moved(problem.outputGradients)
      other.finalGradients = moved(problem.finalGradients)
      return try max(largest, relativeError(values(other, moved(parameters)), reference))
    }
  }

  /// Replaces the gradient of all parameters by one for each tensor.
  private mutating func splitParameters(_ layout: ParameterLayout) {
    let gradient = tensors.removeLast().values
    for tensor in layout.tensors {
      tensors.append(
        Tensor(name: "∂L/∂\(tensor.name) of layer \(tensor.layer)", values: Array(gradient[tensor.range])))
    }
  }

  /// The stack's result as the same list, the parameters of each tensor apart.
  mutating func split<S: TestScalar>(
    _ result: SequenceResult<S>, _ layout: ParameterLayout
  ) -> [(name: String, values: [S])] {
    splitParameters(layout)
    var mine = [
      ("outputs", result.outputs), ("final states", result.final), ("∂L/∂x", result.inputGradients),
      ("∂L/∂(initial states)", result.initialGradients),
    ]
    for tensor in layout.tensors {
      mine.append(("∂L/∂\(tensor.name) of layer \(tensor.layer)", Array(result.gradient[tensor.range])))
    }
    return mine
  }
}
