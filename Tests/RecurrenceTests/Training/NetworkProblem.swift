import Recurrence

/// What a network's loss compares outputs with.
enum LossKind: String, CaseIterable, Sendable { case classes, probabilities, values }

/// Sizes of a network and of a pass through it.
struct NetworkShape: Sendable, CustomStringConvertible {
  var steps = 5
  var batch = 4
  /// V, or nil where the network reads vectors.
  var symbols: Int?
  var inputs = 3
  var units = 6
  var layers = 2
  var outputs = 5
  var readout = Readout.everyStep
  var loss = LossKind.classes
  var lengths: [Int]?
  /// Whether rows have weights, some of them 0.
  var isWeighted = false

  /// Rows that have a target.
  var rows: Int { readout == .everyStep ? steps * batch : batch }

  var description: String {
    "T=\(steps) B=\(batch) V=\(symbols ?? 0) I=\(inputs) H=\(units) L=\(layers) K=\(outputs) \(readout) \(loss)"
      + (lengths.map { " lengths=\($0)" } ?? "") + (isWeighted ? " weighted" : "")
  }

  /// Inputs × readouts × losses, with and without lengths and weights.
  static var all: [NetworkShape] {
    var shapes: [NetworkShape] = []
    // 7 symbols are projected, of 19 each row is looked up.
    for symbols in [nil, 7, 19] {
      for readout in [Readout.everyStep, .lastStep] {
        for loss in LossKind.allCases {
          var shape = NetworkShape(symbols: symbols, readout: readout, loss: loss)
          shapes.append(shape)
          shape.isWeighted = true
          shapes.append(shape)
          shape.lengths = [3, 5, 0, 4]
          shapes.append(shape)
        }
      }
    }
    return shapes
  }

  func network<C: Cell, Scalar: TestScalar>(
    _ cell: C, _ kernels: Kernels<Scalar> = .selected, seed: UInt64 = 3
  ) -> SequenceNetwork<C, Scalar> {
    SequenceNetwork(
      embedding: symbols.map { Embedding(symbols: $0, width: inputs, seed: seed) },
      recurrent: RecurrentStack(cell, inputs: inputs, units: units, layers: layers, seed: seed + 1, kernels: kernels),
      output: Dense(inputs: units, outputs: outputs, seed: seed + 2, kernels: kernels))
  }
}

/// Everything that a pass reads besides the network, drawn at random.
struct NetworkProblem<Scalar: TestScalar> {
  let shape: NetworkShape
  var input: SequenceInput<Scalar>
  var targets: SequenceTargets<Scalar>
  var weights: [Scalar]?
  /// [S, L, B, H].
  var initial: [Scalar]

  init(_ shape: NetworkShape, states: Int, _ random: inout SeededRandom) {
    self.shape = shape
    let positions = shape.steps * shape.batch
    if let symbols = shape.symbols {
      input = .symbols((0..<positions).map { _ in Int32(random.index(below: symbols)) })
    } else {
      input = .vectors(random.array(positions * shape.inputs, .uniform))
    }
    let count = shape.rows * shape.outputs
    switch shape.loss {
    case .classes:
      targets = .classes((0..<shape.rows).map { _ in Int32(random.index(below: shape.outputs)) })
    case .probabilities: targets = .probabilities((0..<count).map { _ in random.pick([0, 1, 0.25]) })
    case .values: targets = .values(random.array(count, .uniform))
    }
    if shape.isWeighted { weights = (0..<shape.rows).map { $0 % 3 == 1 ? 0 : Scalar(1 + $0 % 2) / 2 } }
    initial = random.array(states * shape.layers * shape.batch * shape.units, .uniform)
  }
}

/// What a pass gives.
struct NetworkResult<Scalar: TestScalar> {
  var loss: Double
  var gradient: [Scalar] = []
  var states: [Scalar]

  /// What differs in any bit, as a sentence; nil where nothing does.
  func difference(from other: Self) -> String? {
    if loss.bitPattern != other.loss.bitPattern { return "loss: expected \(other.loss), got \(loss)" }
    if let found = firstDifference(states, from: other.states, columns: states.count) { return "states: \(found)" }
    return firstDifference(gradient, from: other.gradient, columns: gradient.count).map { "gradient: \($0)" }
  }
}

extension SequenceTrainer where Scalar: TestScalar {
  /// Loss, gradient and states of a problem.
  mutating func solve(_ problem: NetworkProblem<Scalar>) throws -> NetworkResult<Scalar> {
    var states = network.recurrent.makeStates(batch: problem.shape.batch)
    states.values = problem.initial
    let loss = try computeGradient(
      problem.input, targets: problem.targets, steps: problem.shape.steps, batch: problem.shape.batch,
      lengths: problem.shape.lengths, weights: problem.weights, states: &states)
    return NetworkResult(loss: loss, gradient: gradient, states: states.values)
  }

  /// One update on a problem; states are carried.
  mutating func update(
    _ problem: NetworkProblem<Scalar>, _ states: inout RecurrentStates<Scalar>, learningRate: Double
  ) throws -> TrainingStep {
    try update(
      problem.input, targets: problem.targets, steps: problem.shape.steps, batch: problem.shape.batch,
      lengths: problem.shape.lengths, weights: problem.weights, states: &states, learningRate: learningRate)
  }
}

extension SequenceEvaluator where Scalar: TestScalar {
  /// Loss and states of a problem.
  mutating func solve<C: Cell>(
    _ network: SequenceNetwork<C, Scalar>, _ problem: NetworkProblem<Scalar>
  ) throws -> NetworkResult<Scalar> {
    var states = network.recurrent.makeStates(batch: problem.shape.batch)
    states.values = problem.initial
    let loss = try loss(
      of: network, problem.input, targets: problem.targets, steps: problem.shape.steps, batch: problem.shape.batch,
      lengths: problem.shape.lengths, weights: problem.weights, states: &states)
    return NetworkResult(loss: loss, states: states.values)
  }
}

/// Cells whose networks are tested: the built-in ones without kinks, and one with every part in its second stage.
func forEachSmoothCell(_ visitor: inout some CellVisitor) throws {
  try visitor.visit(RNN())
  try visitor.visit(LSTM())
  try visitor.visit(PeepholeLSTM())
  try visitor.visit(GRU())
  try visitor.visit(GRUResetBefore())
  try visitor.visit(LateCell())
}
