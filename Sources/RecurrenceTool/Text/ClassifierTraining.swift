import Foundation
import Recurrence

/// A many-to-one classifier of texts: bytes in, the state after each text's own last byte read out.
struct ClassifierTraining<C: Cell>: ~Copyable {
  struct Sizes {
    var embedding = 32
    var hidden = 128
    var layers = 1
    /// Bytes of a text that are read.
    var longest = 200
    var batch = 32
  }

  let sizes: Sizes
  private let threads: Int
  private var trainer: SequenceTrainer<C, Float>
  private var generator: SeededGenerator

  var network: SequenceNetwork<C, Float> { trainer.network }

  init(
    _ cell: C, labels: Int, _ sizes: Sizes, optimizer: OptimizerRule, clipping: GradientClipping, seed: UInt64,
    threads: Int
  ) {
    let network = SequenceNetwork<C, Float>(
      cell, symbols: 256, embedding: sizes.embedding, units: sizes.hidden, layers: sizes.layers, outputs: labels,
      initialization: .orthogonal(), seed: seed)
    self.sizes = sizes
    self.threads = threads
    trainer = SequenceTrainer(
      network, optimizer, clipping: clipping, steps: sizes.longest, batch: sizes.batch, readout: .lastStep,
      ragged: true, threads: threads)
    generator = SeededGenerator(seed: seed ^ 0x5eed)
  }

  /// One pass over all examples in a new order. Calls `report` after each update with the fraction that is done; returns
  /// the mean loss, or nil where the user interrupted.
  mutating func epoch(
    _ examples: [LabelledTexts.Example], learningRate: (Int) -> Double,
    report: (Double, TrainingStep) -> Void
  ) throws -> Double? {
    var order = Array(examples.indices)
    generator.shuffle(&order)
    var total = 0.0
    var start = 0
    while start < order.count {
      if Interruption.isAsked { return nil }
      let batch = order[start..<min(order.count, start + sizes.batch)].map { examples[$0] }
      let call = TextBatch(batch.map(\.bytes), longest: sizes.longest)
      var states = trainer.network.recurrent.makeStates(batch: batch.count)
      let step = try trainer.update(
        .symbols(call.symbols), targets: .classes(batch.map { Int32($0.label) }), steps: call.steps,
        batch: batch.count, lengths: call.lengths, states: &states,
        learningRate: learningRate(trainer.optimizer.steps))
      total += step.loss * Double(batch.count)
      start += batch.count
      report(Double(start) / Double(order.count), step)
    }
    return total / Double(max(1, order.count))
  }

  mutating func score(_ examples: [LabelledTexts.Example], labels: Int) throws -> ClassificationScore {
    var score = ClassificationScore(labels: labels)
    var classifier = TextClassifier(trainer.network, sizes, threads: threads)
    var start = 0
    while start < examples.count {
      let batch = Array(examples[start..<min(examples.count, start + sizes.batch)])
      for (example, logits) in zip(batch, try classifier.logits(batch.map(\.bytes))) {
        score.add(label: example.label, predicted: TextClassifier<C>.best(logits))
      }
      start += batch.count
    }
    return score
  }
}

/// Texts of one batch, time-major and padded.
struct TextBatch {
  var symbols: [Int32]
  var lengths: [Int]
  var steps: Int

  init(_ texts: [[UInt8]], longest: Int) {
    lengths = texts.map { min($0.count, longest) }
    steps = lengths.max() ?? 0
    symbols = [Int32](repeating: 0, count: steps * texts.count)
    for (column, text) in texts.enumerated() {
      for t in 0..<lengths[column] { symbols[t * texts.count + column] = Int32(text[t]) }
    }
  }
}

/// A classifier at work.
struct TextClassifier<C: Cell>: ~Copyable {
  private let network: SequenceNetwork<C, Float>
  private let longest: Int
  private var evaluator: SequenceEvaluator<Float>

  init(_ network: SequenceNetwork<C, Float>, _ sizes: ClassifierTraining<C>.Sizes, threads: Int) {
    self.network = network
    longest = sizes.longest
    evaluator = SequenceEvaluator(
      network, steps: sizes.longest, batch: sizes.batch, readout: .lastStep, ragged: true, threads: threads)
  }

  /// The outputs for at most a batch of texts, one row each.
  mutating func logits(_ texts: [[UInt8]]) throws -> [[Float]] {
    let call = TextBatch(texts, longest: longest)
    var states = network.recurrent.makeStates(batch: texts.count)
    _ = try evaluator.loss(
      of: network, .symbols(call.symbols), targets: .classes([Int32](repeating: 0, count: texts.count)),
      steps: call.steps, batch: texts.count, lengths: call.lengths, states: &states)
    let outputs = evaluator.outputs
    let columns = network.output.outputs
    return texts.indices.map { Array(outputs[($0 * columns)..<(($0 + 1) * columns)]) }
  }

  static func best(_ logits: [Float]) -> Int { logits.indices.max { logits[$0] < logits[$1] }! }
}
