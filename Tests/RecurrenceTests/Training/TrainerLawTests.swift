import Recurrence
import Testing

/// What holds of training to the last bit.
@Suite("Laws of training")
struct TrainerLawTests {
  @Test("the trainer's loss is the evaluator's, its states the stack's; memory used before leaves no trace")
  func agreement() throws {
    var floats = AgreementVisitor<Float>()
    try forEachCell(&floats)
    var doubles = AgreementVisitor<Double>()
    try forEachCell(&doubles)
  }

  private struct AgreementVisitor<Scalar: TestScalar>: CellVisitor {
    func visit<C: Cell>(_ cell: C) throws {
      for kernels in Kernels<Scalar>.supported {
        for shape in NetworkShape.all {
          var random = SeededRandom()
          let problem = NetworkProblem<Scalar>(shape, states: C.states.count, &random)
          let network: SequenceNetwork<C, Scalar> = shape.network(cell, kernels)
          // Made for more than is asked of them.
          var trainer = SequenceTrainer(
            network, .sgd, steps: shape.steps + 2, batch: shape.batch + 1, readout: shape.readout, ragged: true)
          var evaluator = SequenceEvaluator(
            network, steps: shape.steps + 2, batch: shape.batch + 1, readout: shape.readout, ragged: true)
          let context = "\(C.self), \(shape), \(kernels.label)"
          let trained = try trainer.solve(problem)
          let evaluated = try evaluator.solve(network, problem)
          #expect(trained.loss == evaluated.loss && trained.states == evaluated.states, "\(context)")
          let (outputs, states) = try layerByLayer(network, problem)
          #expect(states == trained.states, "\(context)")
          #expect(evaluator.outputs == outputs, "\(context)")

          // A larger pass between, then the same again; and the same with a tape that keeps two steps.
          var larger = shape
          (larger.steps, larger.batch, larger.lengths) = (shape.steps + 2, shape.batch + 1, nil)
          _ = try trainer.solve(NetworkProblem(larger, states: C.states.count, &random))
          let again = try trainer.solve(problem).difference(from: trained)
          #expect(again == nil, "after a larger pass, \(context)")
          var recomputing = SequenceTrainer(
            network, .sgd, steps: shape.steps, batch: shape.batch, readout: shape.readout, ragged: true, keeping: 2)
          let recomputed = try recomputing.solve(problem).difference(from: trained)
          #expect(recomputed == nil, "recomputed, \(context)")
        }
      }
    }

    /// Outputs and states by the layers' own passes over arrays.
    private func layerByLayer<C: Cell>(
      _ network: SequenceNetwork<C, Scalar>, _ problem: NetworkProblem<Scalar>
    ) throws -> (outputs: [Scalar], states: [Scalar]) {
      let shape = problem.shape
      var x: [Scalar]
      switch problem.input {
      case .vectors(let vectors): x = vectors
      case .symbols(let symbols):
        x = [Scalar](repeating: 0, count: symbols.count * shape.inputs)
        try network.embedding!.forward(symbols.map { Int($0) }, into: &x)
      }
      var initial = network.recurrent.makeStates(batch: shape.batch)
      initial.values = problem.initial
      let (hidden, states) = try network.recurrent.forward(
        x, steps: shape.steps, batch: shape.batch, lengths: shape.lengths, initialStates: initial)
      if shape.readout == .everyStep { return (try network.output(hidden), states.values) }
      let size = shape.batch * shape.units
      return (try network.output(Array(states["h"].suffix(size))), states.values)
    }
  }

  @Test("a stream's outputs are the evaluator's", arguments: [nil, 7])
  func stream(symbols: Int?) throws {
    let shape = NetworkShape(symbols: symbols)
    let network: SequenceNetwork<GRU, Float> = shape.network(GRU())
    var random = SeededRandom()
    var problem = NetworkProblem<Float>(shape, states: 1, &random)
    problem.initial = problem.initial.map { _ in 0 }
    var evaluator = SequenceEvaluator(network, steps: shape.steps, batch: shape.batch)
    _ = try evaluator.solve(network, problem)
    var stream = network.makeStream(batch: shape.batch)
    for _ in 0..<2 {
      var streamed: [Float] = []
      var outputs = [Float](repeating: .nan, count: shape.batch * shape.outputs)
      for t in 0..<shape.steps {
        switch problem.input {
        case .symbols(let symbols):
          try network.step(Array(symbols[(t * 4)..<(t * 4 + 4)]), into: &outputs, stream: &stream)
        case .vectors(let x): try network.step(Array(x[(t * 12)..<(t * 12 + 12)]), into: &outputs, stream: &stream)
        }
        streamed += outputs
      }
      #expect(streamed == evaluator.outputs)
      stream.reset()
    }
  }

  /// Sizes at which the products, the loss and the updates are all split.
  @Test(
    "threads change no bit of loss, gradient or parameters in three updates", arguments: [Readout.everyStep, .lastStep])
  func threads(_ readout: Readout) throws {
    var shape = NetworkShape.split
    shape.readout = readout
    try checkThreads(shape, LSTM(), Float.self)
    try checkThreads(shape, LSTM(), Double.self)
    try checkThreads(shape, GRUResetBefore(), Float.self)
  }

  private func checkThreads<C: Cell, Scalar: TestScalar>(_ shape: NetworkShape, _ cell: C, _: Scalar.Type) throws {
    func result(_ threads: Int) throws -> [NetworkResult<Scalar>] {
      var random = SeededRandom()
      let network: SequenceNetwork<C, Scalar> = shape.network(cell)
      var trainer = SequenceTrainer(
        network, .adamW(), clipping: GradientClipping(norm: 0.5), steps: shape.steps, batch: shape.batch,
        readout: shape.readout, threads: threads)
      var states = trainer.network.recurrent.makeStates(batch: shape.batch)
      return try (0..<3).flatMap { _ in
        let problem = NetworkProblem<Scalar>(shape, states: C.states.count, &random)
        let loss = try trainer.update(problem, &states, learningRate: 0.01).loss
        return [
          NetworkResult(loss: loss, gradient: trainer.gradient, states: states.values),
          NetworkResult(loss: 0, gradient: trainer.network.parameters, states: []),
        ]
      }
    }
    let one = try result(1)
    #expect(one[0].loss != one[2].loss && one[2].loss != one[4].loss)
    for threads in [2, 3] {
      for (index, (mine, theirs)) in zip(try result(threads), one).enumerated() {
        let difference = mine.difference(from: theirs)
        #expect(difference == nil, "\(C.self) \(Scalar.self), update \(index / 2 + 1), \(threads) threads")
      }
    }
  }

  @Test("an update is gradient, clipping and the optimiser, of the one flat vector", arguments: [nil, 7])
  func composition(symbols: Int?) throws {
    let shape = NetworkShape(symbols: symbols, lengths: [3, 5, 0, 4], isWeighted: true)
    let clipping = GradientClipping(norm: 0.05, value: 0.02)
    for kernels in Kernels<Float>.supported {
      let network: SequenceNetwork<LSTM, Float> = shape.network(LSTM(), kernels)
      var random = SeededRandom()
      let problem = NetworkProblem<Float>(shape, states: 2, &random)
      var trainer = SequenceTrainer(
        network, .adam(), clipping: clipping, steps: 5, batch: 4, ragged: true)
      var reference = SequenceTrainer(network, .sgd, steps: 5, batch: 4, ragged: true)
      var optimizer = Optimizer<Float>(.adam(), count: network.parameterCount, kernels: kernels)
      for step in 0..<4 {
        var states = network.recurrent.makeStates(batch: 4)
        states.values = problem.initial
        let result = try trainer.update(problem, &states, learningRate: 0.01)
        let expected = try reference.solve(problem)
        var gradient = expected.gradient
        let outcome = try clipping.clip(&gradient)
        var parameters = reference.network.parameters
        optimizer.update(&parameters, gradient: gradient, learningRate: 0.01)
        reference.network.parameters = parameters
        #expect(result.loss == expected.loss && result.clipping == outcome && result.learningRate == 0.01)
        #expect(outcome.clippedValues > 0 && outcome.scale < 1)
        #expect(trainer.gradient == gradient && trainer.network.parameters == parameters, "update \(step + 1)")
        #expect(trainer.optimizer.slots == optimizer.slots && trainer.optimizer.steps == step + 1)
      }
      #expect(trainer.clippingCounts.gradients == 4 && trainer.clippingCounts.byNorm == 4)
    }
  }

  /// A target that is infinite makes ∂loss/∂output infinite, and everything below it NaN.
  @Test("a gradient that is not finite leaves the network as its policy says", arguments: NonFinitePolicy.allCases)
  func nonFinite(_ policy: NonFinitePolicy) throws {
    let shape = NetworkShape(symbols: 7, loss: .values)
    var random = SeededRandom()
    let good = NetworkProblem<Float>(shape, states: 2, &random)
    var bad = good
    guard case .values(var targets) = good.targets else { return }
    targets[3] = .infinity
    bad.targets = .values(targets)
    var trainer = SequenceTrainer(
      shape.network(LSTM(), Kernels<Float>.selected), .adam(), clipping: GradientClipping(norm: 1, nonFinite: policy),
      steps: 5, batch: 4)
    var states = trainer.network.recurrent.makeStates(batch: 4)
    _ = try trainer.update(good, &states, learningRate: 0.01)
    let (before, slots, carried) = (trainer.network.parameters, trainer.optimizer.slots, states.values)

    var expected = states
    _ = try trainer.computeGradient(
      good.input, targets: good.targets, steps: 5, batch: 4, states: &expected)
    switch policy {
    case .throw:
      #expect(throws: NonFiniteGradient.self) { try trainer.update(bad, &states, learningRate: 0.01) }
      #expect(trainer.network.parameters == before && trainer.optimizer.slots == slots && trainer.optimizer.steps == 1)
      #expect(trainer.gradient.contains { !$0.isFinite }, "the gradient is there to be looked at")
      #expect(trainer.clippingCounts.gradients == 1)
    case .skip:
      let step = try trainer.update(bad, &states, learningRate: 0.01)
      #expect(step.clipping.isSkipped && step.clipping.nonFiniteValues > 0 && !step.loss.isFinite)
      #expect(trainer.network.parameters == before && trainer.optimizer.slots == slots && trainer.optimizer.steps == 1)
      #expect(trainer.gradient.allSatisfy { $0 == 0 } && trainer.clippingCounts.skipped == 1)
    case .zero:
      let step = try trainer.update(bad, &states, learningRate: 0.01)
      #expect(!step.clipping.isSkipped && step.clipping.nonFiniteValues > 0)
      #expect(trainer.network.parameters != before && trainer.optimizer.steps == 2)
      #expect(trainer.gradient.allSatisfy { $0.isFinite } && trainer.network.parameters.allSatisfy { $0.isFinite })
      #expect(trainer.clippingCounts.zeroed == 1)
    }
    #expect(states.values == expected.values && states.values != carried, "the states have gone on")
    // And training goes on.
    let loss = try trainer.update(good, &states, learningRate: 0.01).loss
    #expect(loss.isFinite && trainer.network.parameters != before)
  }

  @Test("no steps, or no sequences: a loss of 0, a gradient of 0, and the states as they were")
  func emptyPasses() throws {
    let shape = NetworkShape(symbols: 7)
    var trainer = SequenceTrainer(shape.network(LSTM(), Kernels<Float>.selected), .sgd, steps: 5, batch: 4)
    for (steps, batch) in [(0, 4), (5, 0), (0, 0)] {
      var states = trainer.network.recurrent.makeStates(batch: batch)
      for i in states.values.indices { states.values[i] = Float(i) }
      let before = states
      let loss = try trainer.computeGradient(
        .symbols([]), targets: .classes([]), steps: steps, batch: batch, states: &states)
      #expect(loss == 0 && trainer.gradient.allSatisfy { $0 == 0 } && states == before)
    }
    // The last step of no steps is the initial state.
    var last = SequenceTrainer(trainer.network, .sgd, steps: 5, batch: 4, readout: .lastStep)
    var states = trainer.network.recurrent.makeStates(batch: 4)
    let before = states
    let loss = try last.computeGradient(
      .symbols([]), targets: .classes([0, 1, 2, 3]), steps: 0, batch: 4, states: &states)
    let ranges = last.network.parameterRanges
    #expect(loss > 0 && states == before)
    #expect(
      last.gradient[ranges.embedding].allSatisfy { $0 == 0 } && last.gradient[ranges.recurrent].allSatisfy { $0 == 0 })
    #expect(last.gradient[ranges.output].contains { $0 != 0 })
  }
}
