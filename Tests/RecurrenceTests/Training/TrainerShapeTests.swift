import Recurrence
import Testing

/// What does not fit a network throws a sentence, and nothing has changed.
@Suite("Shape errors of training")
struct TrainerShapeTests {
  @Test(arguments: NetworkMistake.allCases) func mistakesChangeNothing(_ mistake: NetworkMistake) throws {
    var fixture = NetworkFixture()
    let before = fixture.bits
    let error = try #require(throws: ShapeError.self) { try mistake.train(&fixture) }
    #expect(error.description == mistake.sentence)
    #expect(fixture.bits == before, "the trainer changed something")
    let second = try #require(throws: ShapeError.self) { try mistake.evaluate(&fixture) }
    #expect(second == error, "the evaluator says the same")
    #expect(fixture.bits == before, "the evaluator changed something")
  }

  @Test("a network is not run by the memory of another") func foreignNetworks() throws {
    let fixture = NetworkFixture()
    let trainer = fixture.makeTrainer()
    let network = trainer.network
    let mine = "I = 3, H = 4, L = 1, K = 5, \(network.parameterCount) parameters"
    var wider = network
    wider.output = Dense(inputs: 4, outputs: 50)
    var larger = network
    larger.embedding = Embedding(symbols: 70, width: 3)
    let others = [
      NetworkFixture.Network(LSTM(), symbols: 7, embedding: 3, units: 4, outputs: 5),
      NetworkFixture.Network(LSTM(), symbols: 7, embedding: 300, units: 4, outputs: 5), wider, larger,
    ]
    for other in others {
      var evaluator = SequenceEvaluator(network, steps: 3, batch: 2)
      var states = other.recurrent.makeStates(batch: 2)
      let error = try #require(throws: ShapeError.self) {
        try evaluator.loss(
          of: other, .symbols(fixture.x), targets: .classes(fixture.y), steps: 3, batch: 2, states: &states)
      }
      #expect(error.parameter == "network" && error.expected.contains(mine), "\(error)")
      #expect(error.actual.contains("\(other.parameterCount) parameters"), "\(error)")
      var stolen = fixture.makeTrainer()
      stolen.network = other
      #expect(throws: error) {
        try stolen.update(
          .symbols(fixture.x), targets: .classes(fixture.y), steps: 3, batch: 2, states: &states, learningRate: 0.1)
      }
    }
    // A copy with other parameters is at home.
    var copy = network
    copy.parameters = copy.parameters.map { 2 * $0 }
    var evaluator = SequenceEvaluator(network, steps: 3, batch: 2)
    var states = copy.recurrent.makeStates(batch: 2)
    _ = try evaluator.loss(
      of: copy, .symbols(fixture.x), targets: .classes(fixture.y), steps: 3, batch: 2, states: &states)
  }

  @Test("a stream is not run by another network") func foreignStreams() throws {
    let network = NetworkFixture.Network(LSTM(), symbols: 7, embedding: 300, units: 4, outputs: 5)
    let vectors = SequenceNetwork<LSTM, Float>(LSTM(), inputs: 300, units: 4, outputs: 5)
    var stream = NetworkFixture().makeTrainer().network.makeStream(batch: 2)
    var outputs = [Float](repeating: .canary, count: 10)
    let errors = [
      #expect(throws: ShapeError.self) { try network.step([1, 2] as [Int32], into: &outputs, stream: &stream) },
      #expect(throws: ShapeError.self) {
        try vectors.step([Float](repeating: 0, count: 600), into: &outputs, stream: &stream)
      },
    ]
    for error in errors { #expect(error?.parameter == "stream") }
    #expect(outputs.allSatisfy { $0.isSame(as: .canary) })
  }

  @Test("what does not fit a stream throws") func streams() throws {
    let network = NetworkFixture().makeTrainer().network
    var stream = network.makeStream(batch: 2)
    var outputs = [Float](repeating: .canary, count: 10)
    var short = [Float](repeating: .canary, count: 9)
    func sentence(_ body: () throws -> Void) -> String? { #expect(throws: ShapeError.self) { try body() }?.description }
    #expect(
      sentence { try network.step([1] as [Int32], into: &outputs, stream: &stream) }
        == "symbols: expected 2 elements (B = 2), got 1")
    #expect(
      sentence { try network.step([1, 7] as [Int32], into: &outputs, stream: &stream) }
        == "symbols[1]: expected 0 to 6, got 7")
    #expect(
      sentence { try network.step([1, 2] as [Int32], into: &short, stream: &stream) }
        == "outputs: expected 10 elements (B = 2, K = 5), got 9")
    #expect(
      sentence { try network.step([1.5, 2.5] as [Float], into: &outputs, stream: &stream) }
        == "input: expected symbols, got vectors")
    #expect((outputs + short).allSatisfy { $0.isSame(as: .canary) })
    #expect(stream.recurrent.states.values.allSatisfy { $0 == 0 })
  }
}

/// A network that reads symbols, with a trainer and an evaluator that have run. T = 3, B = 2, V = 7, I = 3, H = 4, K = 5.
struct NetworkFixture: ~Copyable {
  typealias Network = SequenceNetwork<LSTM, Float>
  let x: [Int32] = [0, 1, 2, 3, 4, 6]
  let y: [Int32] = [4, 3, 2, 1, 0, 4]
  var trainer: SequenceTrainer<LSTM, Float>
  var evaluator: SequenceEvaluator<Float>
  var states: RecurrentStates<Float>
  /// Replaces what a mistake is about.
  var vectors: [Float]?

  init() {
    let network = Network(LSTM(), symbols: 7, embedding: 3, units: 4, outputs: 5, seed: 5)
    trainer = SequenceTrainer(network, .adam(), steps: 3, batch: 2, ragged: true)
    evaluator = SequenceEvaluator(network, steps: 3, batch: 2, ragged: true)
    states = network.recurrent.makeStates(batch: 2)
    _ = try! trainer.update(
      .symbols(x), targets: .classes(y), steps: 3, batch: 2, states: &states, learningRate: 0.01)
    var other = states
    _ = try! evaluator.loss(
      of: network, .symbols(x), targets: .classes(y), steps: 3, batch: 2, states: &other)
  }

  func makeTrainer() -> SequenceTrainer<LSTM, Float> {
    SequenceTrainer(trainer.network, .adam(), steps: 3, batch: 2, ragged: true)
  }

  /// Everything that a pass changes.
  var bits: [UInt64] {
    let arrays =
      [trainer.network.parameters, trainer.gradient, states.values, evaluator.outputs] + trainer.optimizer.slots
    return arrays.flatMap { $0.map(\.wideBits) } + [UInt64(trainer.optimizer.steps)]
  }
}

enum NetworkMistake: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case stepsAbove, negativeSteps, batchAbove, negativeBatch, symbolsCount, symbolAbove, symbolBelow, vectors
  case classesCount, classAbove, classBelow, valuesCount, probabilitiesCount, weightsCount, negativeWeight
  case weightNotANumber, statesOfAnotherBatch, statesOfAnotherCell, lengthsCount, lengthAbove, negativeLength
  case lengthsWithoutRagged, symbolsForVectors, vectorsCount

  var testDescription: String { rawValue }

  var sentence: String {
    switch self {
    case .stepsAbove: "steps: expected 0 to 3, which this was made for, got 4"
    case .negativeSteps: "steps: expected 0 to 3, which this was made for, got -1"
    case .batchAbove: "batch: expected 0 to 2, which this was made for, got 3"
    case .negativeBatch: "batch: expected 0 to 2, which this was made for, got -2"
    case .symbolsCount: "symbols: expected 6 elements (T = 3, B = 2), got 5"
    case .symbolAbove: "symbols[4]: expected 0 to 6, got 7"
    case .symbolBelow: "symbols[0]: expected 0 to 6, got -1"
    case .vectors: "input: expected symbols: the network has an embedding, got vectors"
    case .classesCount: "classes: expected 6 elements (rows = 6), got 2"
    case .classAbove: "classes[5]: expected 0 to 4, got 5"
    case .classBelow: "classes[1]: expected 0 to 4, got -3"
    case .valuesCount: "targets: expected 30 elements (rows = 6, K = 5), got 29"
    case .probabilitiesCount: "targets: expected 30 elements (rows = 6, K = 5), got 6"
    case .weightsCount: "weights: expected 6 elements (rows = 6), got 3"
    case .negativeWeight: "weights[2]: expected a finite number of at least 0, got -1.0"
    case .weightNotANumber: "weights[0]: expected a finite number of at least 0, got nan"
    case .statesOfAnotherBatch:
      "states: expected h, c of L = 1, B = 2, H = 4, got h, c of L = 1, B = 1, H = 4"
    case .statesOfAnotherCell: "states: expected h, c of L = 1, B = 2, H = 4, got h of L = 1, B = 2, H = 4"
    case .lengthsCount: "lengths: expected 2 elements (B = 2), got 3"
    case .lengthAbove: "lengths[1]: expected 0 to 3, the number of steps, got 4"
    case .negativeLength: "lengths[0]: expected 0 to 3, the number of steps, got -1"
    case .lengthsWithoutRagged: "lengths: expected none: this was made with ragged: false, got 2"
    case .symbolsForVectors: "input: expected vectors: the network has no embedding, got symbols"
    case .vectorsCount: "vectors: expected 18 elements (T = 3, B = 2, I = 3), got 17"
    }
  }

  /// A pass with this mistake in it.
  private struct Pass {
    var input: SequenceInput<Float>
    var targets: SequenceTargets<Float>
    var steps = 3
    var batch = 2
    var lengths: [Int]?
    var weights: [Float]?
    var states: RecurrentStates<Float>
    var ragged = true
    /// The fixture's own, or one without an embedding.
    var network: NetworkFixture.Network
  }

  private func pass(_ fixture: borrowing NetworkFixture) -> Pass {
    var pass = Pass(
      input: .symbols(fixture.x), targets: .classes(fixture.y), states: fixture.states,
      network: fixture.trainer.network)
    func spoiled<T>(_ values: [T], _ index: Int, _ value: T) -> [T] {
      var values = values
      values[index] = value
      return values
    }
    let (x, y, network) = (fixture.x, fixture.y, fixture.trainer.network)
    switch self {
    case .stepsAbove: pass.steps = 4
    case .negativeSteps: pass.steps = -1
    case .batchAbove: pass.batch = 3
    case .negativeBatch: pass.batch = -2
    case .symbolsCount: pass.input = .symbols(x.dropLast())
    case .symbolAbove: pass.input = .symbols(spoiled(x, 4, 7))
    case .symbolBelow: pass.input = .symbols(spoiled(x, 0, -1))
    case .vectors: pass.input = .vectors([Float](repeating: 0, count: 18))
    case .classesCount: pass.targets = .classes([1, 2])
    case .classAbove: pass.targets = .classes(spoiled(y, 5, 5))
    case .classBelow: pass.targets = .classes(spoiled(y, 1, -3))
    case .valuesCount: pass.targets = .values([Float](repeating: 0, count: 29))
    case .probabilitiesCount: pass.targets = .probabilities([Float](repeating: 0, count: 6))
    case .weightsCount: pass.weights = [1, 1, 1]
    case .negativeWeight: pass.weights = [1, 1, -1, 1, 1, 1]
    case .weightNotANumber: pass.weights = [.nan, 1, 1, 1, 1, 1]
    case .statesOfAnotherBatch: pass.states = network.recurrent.makeStates(batch: 1)
    case .statesOfAnotherCell:
      pass.states = RecurrentStack<GRU, Float>(GRU(), inputs: 3, units: 4).makeStates(batch: 2)
    case .lengthsCount: pass.lengths = [1, 2, 3]
    case .lengthAbove: pass.lengths = [1, 4]
    case .negativeLength: pass.lengths = [-1, 2]
    case .lengthsWithoutRagged: (pass.lengths, pass.ragged) = ([1, 2], false)
    case .symbolsForVectors: pass.network = Self.makeVectorNetwork()
    case .vectorsCount:
      (pass.network, pass.input) = (Self.makeVectorNetwork(), .vectors([Float](repeating: 0, count: 17)))
    }
    return pass
  }

  private static func makeVectorNetwork() -> NetworkFixture.Network {
    NetworkFixture.Network(LSTM(), inputs: 3, units: 4, outputs: 5, seed: 5)
  }

  private var isOfAnotherNetwork: Bool {
    [.lengthsWithoutRagged, .symbolsForVectors, .vectorsCount].contains(self)
  }

  func train(_ fixture: inout NetworkFixture) throws {
    var pass = pass(fixture)
    let given = pass.states
    defer { #expect(pass.states == given, "states changed") }
    if isOfAnotherNetwork {
      var trainer = SequenceTrainer(pass.network, .adam(), steps: 3, batch: 2, ragged: pass.ragged)
      _ = try trainer.update(
        pass.input, targets: pass.targets, steps: pass.steps, batch: pass.batch, lengths: pass.lengths,
        weights: pass.weights, states: &pass.states, learningRate: 0.1)
    } else {
      _ = try fixture.trainer.update(
        pass.input, targets: pass.targets, steps: pass.steps, batch: pass.batch, lengths: pass.lengths,
        weights: pass.weights, states: &pass.states, learningRate: 0.1)
    }
  }

  func evaluate(_ fixture: inout NetworkFixture) throws {
    var pass = pass(fixture)
    let given = pass.states
    defer { #expect(pass.states == given, "states changed") }
    if isOfAnotherNetwork {
      var evaluator = SequenceEvaluator(pass.network, steps: 3, batch: 2, ragged: pass.ragged)
      _ = try evaluator.loss(
        of: pass.network, pass.input, targets: pass.targets, steps: pass.steps, batch: pass.batch,
        lengths: pass.lengths, weights: pass.weights, states: &pass.states)
    } else {
      _ = try fixture.evaluator.loss(
        of: pass.network, pass.input, targets: pass.targets, steps: pass.steps, batch: pass.batch,
        lengths: pass.lengths, weights: pass.weights, states: &pass.states)
    }
  }
}
