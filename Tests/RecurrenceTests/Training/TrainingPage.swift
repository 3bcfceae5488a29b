// The code of Docs/Training.md, compiled as a user would compile it. `TrainingPageTests` compares the two.

// page: training
import Recurrence

/// Teaches a network to continue a text of `symbols` kinds of symbols. Returns it, and the loss before every update.
func train(
  on text: [Int32], symbols: Int, updates: Int
) throws -> (network: SequenceNetwork<LSTM, Float>, losses: [Double]) {
  let (steps, batch) = (20, 8)
  let network = SequenceNetwork<LSTM, Float>(
    LSTM(), symbols: symbols, embedding: 16, units: 32, outputs: symbols, seed: 1)
  var trainer = SequenceTrainer(network, .adam(), clipping: GradientClipping(norm: 1), steps: steps, batch: batch)

  // The text lies in `batch` stretches side by side. The states that one update leaves are those the next begins with;
  // no gradient passes from one update to another.
  let stretch = (text.count - 1) / batch
  var states = network.recurrent.makeStates(batch: batch)
  var losses: [Double] = []
  var start = 0
  for _ in 0..<updates {
    if start + steps > stretch {
      start = 0
      states = network.recurrent.makeStates(batch: batch)
    }
    var x: [Int32] = []
    var y: [Int32] = []
    for t in start..<(start + steps) {
      for row in 0..<batch {
        x.append(text[row * stretch + t])
        y.append(text[row * stretch + t + 1])
      }
    }
    let step = try trainer.update(
      .symbols(x), targets: .classes(y), steps: steps, batch: batch, states: &states, learningRate: 1e-2)
    losses.append(step.loss)  // and step.clipping.norm is ‖g‖
    start += steps
  }
  return (trainer.network, losses)
}
// page: end

// page: running
/// The logits of what follows a prefix, [K].
func logits(of network: SequenceNetwork<LSTM, Float>, after prefix: [Int32]) throws -> [Float] {
  var stream = network.makeStream()
  var logits = [Float](repeating: 0, count: network.output.outputs)
  for symbol in prefix { try network.step([symbol], into: &logits, stream: &stream) }
  return logits
}
// page: end
