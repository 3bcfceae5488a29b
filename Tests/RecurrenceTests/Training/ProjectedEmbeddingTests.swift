import Recurrence
import Testing

/// Symbols that are projected once each, against the same symbols among so many more that every row is looked up.
@Suite("Symbols projected once each")
struct ProjectedEmbeddingTests {
  private static let symbols = 6
  private static let shapes = [
    NetworkShape(steps: 9, batch: 4, symbols: symbols),
    NetworkShape(steps: 9, batch: 4, symbols: symbols, lengths: [9, 0, 4, 7]),
    NetworkShape(steps: 13, batch: 1, symbols: symbols, inputs: 1, units: 33, layers: 1),
    // More rows than a chunk of δ.
    NetworkShape(steps: 70, batch: 9, symbols: symbols, inputs: 17, units: 5, layers: 1, readout: .lastStep),
  ]

  @Test("the same bits of loss and states as looked up, and gradients within rounding")
  func lookedUp() throws {
    var floats = LookedUp<Float>()
    try forEachCell(&floats)
    var doubles = LookedUp<Double>()
    try forEachCell(&doubles)
  }

  private struct LookedUp<Scalar: TestScalar>: CellVisitor {
    func visit<C: Cell>(_ cell: C) throws {
      for kernels in Kernels<Scalar>.supported {
        for shape in ProjectedEmbeddingTests.shapes {
          var random = SeededRandom()
          let problem = NetworkProblem<Scalar>(shape, states: C.states.count, &random)
          let network: SequenceNetwork<C, Scalar> = shape.network(cell, kernels)
          let context = "\(C.self), \(shape), \(kernels.label), seed \(SuiteSettings.seed)"

          var rare = network
          let used = network.embedding!
          var table = Embedding<Scalar>(symbols: shape.steps * shape.batch, width: used.width)
          table.parameters = used.parameters + table.parameters.dropFirst(used.parameters.count).map { _ in .nan }
          rare.embedding = table

          let projected = try result(network, problem)
          let lookedUp = try result(rare, problem)
          #expect(projected.loss.bitPattern == lookedUp.loss.bitPattern, "\(context)")
          #expect(projected.states == lookedUp.states, "\(context)")
          let unused = table.parameters.count - used.parameters.count
          let theirs =
            Array(lookedUp.gradient.prefix(used.parameters.count))
            + lookedUp.gradient.dropFirst(used.parameters.count + unused)
          let largest = theirs.map { $0.magnitude }.max()!
          // Sums of as many terms in another order.
          let tolerance = Scalar(8 * shape.steps) * .ulpOfOne * largest
          for (index, (mine, their)) in zip(projected.gradient, theirs).enumerated()
          where !((mine - their).magnitude <= tolerance) {
            Issue.record("gradient[\(index)]: expected \(their), got \(mine), \(context)")
            break
          }
        }
      }
    }

    private func result<C: Cell>(
      _ network: SequenceNetwork<C, Scalar>, _ problem: NetworkProblem<Scalar>
    ) throws -> NetworkResult<Scalar> {
      let shape = problem.shape
      var trainer = SequenceTrainer(
        network, .sgd, steps: shape.steps, batch: shape.batch, readout: shape.readout, ragged: true)
      return try trainer.solve(problem)
    }
  }

  /// Symbols that do not occur are not looked at, in the middle of those that do.
  @Test("a symbol that does not occur has no say and no gradient")
  func unused() throws {
    let shape = NetworkShape(steps: 9, batch: 4, symbols: Self.symbols)
    var random = SeededRandom()
    var problem = NetworkProblem<Float>(shape, states: 2, &random)
    guard case .symbols(let drawn) = problem.input else { return }
    problem.input = .symbols(drawn.map { $0 == 2 ? 5 : $0 })
    var network: SequenceNetwork<LSTM, Float> = shape.network(LSTM())
    func gradient() throws -> [Float] {
      var trainer = SequenceTrainer(network, .sgd, steps: shape.steps, batch: shape.batch)
      return try trainer.solve(problem).gradient
    }
    let sound = try gradient()
    #expect(sound[6..<9].allSatisfy { $0 == 0 } && sound[9..<18].allSatisfy { $0 != 0 })
    for column in 6..<9 { network.embedding!.parameters[column] = .nan }
    #expect(try gradient() == sound)
  }

  @Test("threads that share the units of one sequence", arguments: [1, 2])
  func sharedUnits(layers: Int) throws {
    try sharedUnits(LSTM(), layers)
    // A gate's recurrent part is apart, and has a bias that no input reaches.
    try sharedUnits(GRU(), layers)
  }

  private func sharedUnits<C: Cell>(_ cell: C, _ layers: Int) throws {
    let shape = NetworkShape(steps: 20, batch: 1, symbols: Self.symbols, inputs: 9, units: 384, layers: layers)
    var random = SeededRandom()
    let problem = NetworkProblem<Float>(shape, states: C.states.count, &random)
    let network: SequenceNetwork<C, Float> = shape.network(cell)
    func result(_ threads: Int) throws -> NetworkResult<Float> {
      var trainer = SequenceTrainer(network, .sgd, steps: shape.steps, batch: 1, threads: threads)
      return try trainer.solve(problem)
    }
    let one = try result(1)
    for threads in [2, 3] {
      let difference = try result(threads).difference(from: one)
      #expect(difference == nil, "\(C.self), \(threads) threads, seed \(SuiteSettings.seed)")
    }
  }

  /// Several chunks of δ, the last one short, and an output layer that is split.
  @Test("threads and a tape that keeps some steps change no bit", arguments: [nil, [90, 7, 0, 90, 61]])
  func threads(lengths: [Int]?) throws {
    let copies = 6
    let shape = NetworkShape(
      steps: 90, batch: 5 * copies, symbols: Self.symbols, inputs: 9, units: 40, layers: 2, outputs: 50,
      lengths: lengths.map { lengths in (0..<(5 * copies)).map { lengths[$0 % 5] } })
    var random = SeededRandom()
    let problem = NetworkProblem<Float>(shape, states: 1, &random)
    let network: SequenceNetwork<GRU, Float> = shape.network(GRU())
    func result(_ threads: Int, keeping: Int?) throws -> NetworkResult<Float> {
      var trainer = SequenceTrainer(
        network, .sgd, steps: shape.steps, batch: shape.batch, ragged: true, threads: threads, keeping: keeping)
      return try trainer.solve(problem)
    }
    let one = try result(1, keeping: nil)
    for (threads, keeping) in [(2, nil), (3, nil), (1, 7), (2, 40)] as [(Int, Int?)] {
      let difference = try result(threads, keeping: keeping).difference(from: one)
      #expect(difference == nil, "\(threads) threads, keeping \(keeping ?? 90), seed \(SuiteSettings.seed)")
    }
  }

  @Test("recording finds a vector that is not finite at the step and row that reads it, and changes no bit")
  func recorded() throws {
    let shape = NetworkShape(steps: 9, batch: 4, symbols: Self.symbols, lengths: [9, 8, 4, 7])
    var random = SeededRandom()
    var problem = NetworkProblem<Float>(shape, states: 1, &random)
    guard case .symbols(var drawn) = problem.input else { return }
    for index in drawn.indices where drawn[index] == 3 { drawn[index] = 1 }
    var network: SequenceNetwork<GRU, Float> = shape.network(GRU())
    func record() throws -> (result: NetworkResult<Float>, place: NonFinitePlace?) {
      var trainer = SequenceTrainer(network, .sgd, steps: shape.steps, batch: shape.batch, ragged: true)
      trainer.recordsGradientFlow = true
      let result = try trainer.solve(problem)
      return (result, trainer.gradientFlow().firstNonFinite)
    }
    problem.input = .symbols(drawn)
    var trainer = SequenceTrainer(network, .sgd, steps: shape.steps, batch: shape.batch, ragged: true)
    let sound = try record()
    #expect(try sound.place == nil && sound.result.difference(from: trainer.solve(problem)) == nil)
    // Step 5 of row 3.
    drawn[5 * 4 + 3] = 3
    problem.input = .symbols(drawn)
    network.embedding!.parameters[3 * shape.inputs + 1] = .infinity
    let place = try record().place
    #expect(place == NonFinitePlace(pass: .forward, quantity: .input, layer: 0, step: 5, row: 3))
  }
}
