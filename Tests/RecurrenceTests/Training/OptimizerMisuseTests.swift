import Recurrence
import Testing

/// Numbers outside their ranges stop with a sentence. See `BadInputTests`.
@Suite(
  "Misuse of optimisers, limits and networks",
  .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct OptimizerMisuseTests {
  @Test(arguments: OptimizerMisuse.allCases) func optimizers(_ misuse: OptimizerMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as OptimizerMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }

  @Test(arguments: LimitMisuse.allCases) func limits(_ misuse: LimitMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as LimitMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }
}

enum OptimizerMisuse: String, Misuse {
  case count, momentumOfOne, negativeMomentum, epsilon, infiniteEpsilon, decay, beta1, beta2, weightDecay
  case parameters, gradient, negativeRate, rateNotANumber, infiniteRate, slots, slotSizes, steps

  var words: [String] {
    switch self {
    case .count: ["count: expected at least 0, got -1"]
    case .momentumOfOne: ["momentum: expected at least 0 and less than 1, got 1.0"]
    case .negativeMomentum: ["momentum: expected at least 0 and less than 1, got -0.5"]
    case .epsilon: ["epsilon: expected a finite number of at least 0, got -1.0"]
    case .infiniteEpsilon: ["epsilon: expected a finite number of at least 0, got inf"]
    case .decay: ["decay: expected at least 0 and less than 1, got 1.5"]
    case .beta1: ["beta1: expected at least 0 and less than 1, got nan"]
    case .beta2: ["beta2: expected at least 0 and less than 1, got 1.0"]
    case .weightDecay: ["weightDecay: expected a finite number of at least 0, got -0.01"]
    case .parameters: ["parameters: expected 3 elements, got 2"]
    case .gradient: ["gradient: expected 3 elements, got 4"]
    case .negativeRate: ["learning rate: expected a finite number of at least 0, got -0.1"]
    case .rateNotANumber: ["learning rate: expected a finite number of at least 0, got nan"]
    case .infiniteRate: ["learning rate: expected a finite number of at least 0, got inf"]
    case .slots: ["slots: expected 2 vectors of 3 elements, got [3]"]
    case .slotSizes: ["slots: expected 2 vectors of 3 elements, got [3, 4]"]
    case .steps: ["steps: expected at least 0, got -1"]
    }
  }

  func commit() {
    switch self {
    case .count: _ = Optimizer<Float>(.sgd, count: -1)
    case .momentumOfOne: make(.momentum(1))
    case .negativeMomentum: make(.nesterov(-0.5))
    case .epsilon: make(.adaGrad(epsilon: -1))
    case .infiniteEpsilon: make(.rmsProp(epsilon: .infinity))
    case .decay: make(.rmsProp(decay: 1.5))
    case .beta1: make(.adam(beta1: .nan))
    case .beta2: make(.adamW(beta2: 1))
    case .weightDecay: make(.adamW(weightDecay: -0.01))
    case .parameters: update([0, 0], [0, 0, 0])
    case .gradient: update([0, 0, 0], [0, 0, 0, 0])
    case .negativeRate: update([0, 0, 0], [0, 0, 0], rate: -0.1)
    case .rateNotANumber: update([0, 0, 0], [0, 0, 0], rate: .nan)
    case .infiniteRate: update([0, 0, 0], [0, 0, 0], rate: .infinity)
    case .slots: restore(1, [[0, 0, 0]])
    case .slotSizes: restore(1, [[0, 0, 0], [0, 0, 0, 0]])
    case .steps: restore(-1, [[0, 0, 0], [0, 0, 0]])
    }
  }

  private func make(_ rule: OptimizerRule) { _ = Optimizer<Double>(rule, count: 3) }

  private func update(_ parameters: [Float], _ gradient: [Float], rate: Double = 0.1) {
    var (parameters, optimizer) = (parameters, Optimizer<Float>(.adam(), count: 3))
    optimizer.update(&parameters, gradient: gradient, learningRate: rate)
  }

  private func restore(_ steps: Int, _ slots: [[Float]]) {
    var optimizer = Optimizer<Float>(.adam(), count: 3)
    optimizer.restore(steps: steps, slots: slots)
  }
}

enum LimitMisuse: String, Misuse {
  case zeroNorm, negativeNorm, infiniteNorm, normNotANumber, positiveRange, negativeRange, negativeValue
  case lossRows, lossThreads, embeddingWidth, outputInputs, recurrentInputs, networkParameters, shortOptimizer

  var words: [String] {
    switch self {
    case .zeroNorm: ["norm: expected a finite number greater than 0, got 0.0"]
    case .negativeNorm: ["norm: expected a finite number greater than 0, got -1.0"]
    case .infiniteNorm: ["norm: expected a finite number greater than 0, got inf"]
    case .normNotANumber: ["norm: expected a finite number greater than 0, got nan"]
    case .positiveRange: ["values: expected a range that holds 0, got 0.5...1.0"]
    case .negativeRange: ["values: expected a range that holds 0, got -1.0...-0.5"]
    case .negativeValue: ["value: expected at least 0, got -1.0"]
    case .lossRows: ["rows: expected at least 0, got -1"]
    case .lossThreads: ["threads: expected 1 to 1024, got 0"]
    case .embeddingWidth, .recurrentInputs: ["recurrent: expected 3 inputs, the embedding's width, got 2"]
    case .outputInputs: ["output: expected 4 inputs, the recurrent layer's units, got 5"]
    case .networkParameters: ["parameters: expected 93 elements, got 3"]
    case .shortOptimizer: ["optimizer: expected one of at least 93 parameters, got one of 92"]
    }
  }

  func commit() {
    switch self {
    case .zeroNorm: _ = GradientClipping(norm: 0)
    case .negativeNorm: _ = GradientClipping(norm: -1)
    case .infiniteNorm: _ = GradientClipping(norm: .infinity)
    case .normNotANumber: _ = GradientClipping(norm: .nan)
    case .positiveRange: _ = GradientClipping(values: 0.5...1)
    case .negativeRange: _ = GradientClipping(values: -1 ... -0.5)
    case .negativeValue: _ = GradientClipping(value: -1)
    case .lossRows: _ = LossEvaluator<Float>(rows: -1)
    case .lossThreads: _ = LossEvaluator<Float>(rows: 1, threads: 0)
    case .embeddingWidth:
      var network = makeNetwork(width: 2)
      network.embedding = Embedding(symbols: 7, width: 3)
    case .outputInputs:
      var network = makeNetwork(width: 2)
      network.output = Dense(inputs: 5, outputs: 2)
    case .recurrentInputs:
      var network = makeNetwork(width: 3)
      network.recurrent = RecurrentStack(RNN(), inputs: 2, units: 4)
    case .networkParameters:
      var network = makeNetwork(width: 7)
      network.parameters = [1, 2, 3]
    case .shortOptimizer:
      var trainer = SequenceTrainer(makeNetwork(width: 7), .sgd, steps: 1, batch: 1)
      trainer.optimizer = Optimizer(.adam(), count: 92)
      var states = trainer.network.recurrent.makeStates(batch: 1)
      _ = try? trainer.update(
        .symbols([3]), targets: .classes([1]), steps: 1, batch: 1, states: &states, learningRate: 0.1)
    }
  }

  /// V = 5, H = 4, K = 2: with a width of 7, 35 parameters, 28 + 16 + 4, and 8 + 2.
  private func makeNetwork(width: Int) -> SequenceNetwork<RNN<Activation>, Float> {
    SequenceNetwork(RNN(), symbols: 5, embedding: width, units: 4, outputs: 2)
  }
}
