import Foundation
import Recurrence
import Testing

/// Small tasks that a network must learn, beyond what any predictor can that does not read its input.
@Suite("Learning")
struct LearningTests {
  /// Random symbols, each step's target the symbol before. They are uniform: a predictor that does not remember has a loss
  /// of ln V at best. The first step, which has nothing before it, has weight 0.
  private struct PreviousSymbol {
    let steps = 10
    let batch = 16
    let symbols = 5
    var random = SeededRandom()

    mutating func draw() -> (x: [Int32], y: [Int32], weights: [Float]) {
      let x = (0..<(steps * batch)).map { _ in Int32(random.index(below: symbols)) }
      return (
        x, [Int32](repeating: 0, count: batch) + x.dropLast(batch),
        [Float](repeating: 0, count: batch) + [Float](repeating: 1, count: (steps - 1) * batch)
      )
    }
  }

  private static let rules: [(OptimizerRule, rate: Double)] = [
    (.sgd, 2), (.momentum(), 0.3), (.nesterov(), 0.3), (.adaGrad(), 0.2), (.rmsProp(), 0.01), (.adam(), 0.02),
    (.adamW(), 0.02),
  ]

  @Test("the symbol before, by every optimiser", arguments: rules.indices) func previousSymbol(_ index: Int) throws {
    let (rule, rate) = Self.rules[index]
    var task = PreviousSymbol()
    let network = SequenceNetwork<GRU, Float>(GRU(), symbols: 5, embedding: 8, units: 24, outputs: 5, seed: 1)
    var trainer = SequenceTrainer(
      network, rule, clipping: GradientClipping(norm: 1), steps: task.steps, batch: task.batch)
    var evaluator = SequenceEvaluator(network, steps: task.steps, batch: task.batch)
    func evaluate() throws -> Double {
      let (x, y, weights) = task.draw()
      var states = network.recurrent.makeStates(batch: task.batch)
      return try evaluator.loss(
        of: trainer.network, .symbols(x), targets: .classes(y), steps: task.steps, batch: task.batch, weights: weights,
        states: &states)
    }
    let before = try evaluate()
    #expect(before > 0.9 * log(5))
    for _ in 0..<400 {
      let (x, y, weights) = task.draw()
      var states = network.recurrent.makeStates(batch: task.batch)
      _ = try trainer.update(
        .symbols(x), targets: .classes(y), steps: task.steps, batch: task.batch, weights: weights, states: &states,
        learningRate: rate)
    }
    let after = try evaluate()
    #expect(after < 0.1 * log(5), "\(rule): from \(before) to \(after); seed \(SuiteSettings.seed)")
    #expect(trainer.clippingCounts.gradients == 400 && trainer.optimizer.steps == 400)
  }

  /// A sum of T uniform numbers of [−1, 1) has the variance T/3, which is the loss of the best constant.
  @Test("the sum of a sequence, whatever its length") func sum() throws {
    let (steps, batch) = (8, 32)
    var random = SeededRandom()
    func draw() -> (x: [Float], y: [Float], lengths: [Int]) {
      let x: [Float] = random.array(steps * batch, .uniform)
      let lengths = (0..<batch).map { _ in 4 + random.index(below: 5) }
      let y = (0..<batch).map { row in (0..<lengths[row]).reduce(Float(0)) { $0 + x[$1 * batch + row] } }
      return (x, y, lengths)
    }
    let network = SequenceNetwork<LSTM, Float>(LSTM(), inputs: 1, units: 24, outputs: 1, seed: 2)
    var trainer = SequenceTrainer(
      network, .adam(), clipping: GradientClipping(norm: 1), steps: steps, batch: batch, readout: .lastStep,
      ragged: true)
    var loss = 0.0
    for step in 0..<600 {
      let (x, y, lengths) = draw()
      var states = network.recurrent.makeStates(batch: batch)
      loss = try trainer.update(
        .vectors(x), targets: .values(y), steps: steps, batch: batch, lengths: lengths, states: &states,
        learningRate: step < 400 ? 0.01 : 0.002
      ).loss
    }
    // The shortest sequences have four steps.
    #expect(loss < 0.05 * 4 / 3, "seed \(SuiteSettings.seed)")
  }

  /// The sign of the first number, asked for at the end: ln 2 without memory.
  @Test("a decision about the first step, by binary cross-entropy") func firstSign() throws {
    let (steps, batch) = (6, 32)
    var random = SeededRandom()
    let network = SequenceNetwork<RNN<Activation>, Float>(RNN(), inputs: 1, units: 16, outputs: 1, seed: 3)
    var trainer = SequenceTrainer(
      network, .adamW(), clipping: GradientClipping(norm: 1), steps: steps, batch: batch, readout: .lastStep)
    var loss = 0.0
    for _ in 0..<400 {
      let x: [Float] = random.array(steps * batch, .uniform)
      var states = network.recurrent.makeStates(batch: batch)
      loss = try trainer.update(
        .vectors(x), targets: .probabilities(x.prefix(batch).map { $0 > 0 ? 1 : 0 }), steps: steps, batch: batch,
        states: &states, learningRate: 0.01
      ).loss
    }
    #expect(loss < 0.5 * log(2), "seed \(SuiteSettings.seed)")
  }
}
