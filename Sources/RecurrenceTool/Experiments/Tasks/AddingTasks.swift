import Recurrence

/// The adding problem of Hochreiter and Schmidhuber (1997), experiment 4.
///
/// Pairs of a number from U[−1, 1] and a mark. The first and the last mark are −1; two others are 1, one of the first ten
/// pairs (its number is X₁) and another of the first T/2 − 1 (X₂); all others are 0. Where the first pair of all is
/// chosen its mark stays −1 and its number, X₁, is 0. The length is drawn from T…1.1 T. Target: 0.5 + (X₁ + X₂)/4, right
/// within 0.04. Always to say 0.5 has a mean squared error of about 1/24.
struct HochreiterAdding: SequenceTask {
  let steps: Int

  let inputs = 2
  let outputs = 1
  let readout = Readout.lastStep
  var isRagged: Bool { true }
  var longest: Int { steps + steps / 10 }

  func draw(_ batch: Int, using generator: inout SeededGenerator) -> TaskBatch {
    let lengths = (0..<batch).map { _ in self.steps + generator.index(below: self.longest - self.steps + 1) }
    let longest = lengths.max()!
    var inputs = [Float](repeating: 0, count: longest * batch * 2)
    var targets: [Float] = []
    for (row, length) in lengths.enumerated() {
      func at(_ t: Int) -> Int { (t * batch + row) * 2 }
      for t in 0..<length { inputs[at(t)] = Float(generator.uniform(in: -1...1)) }
      let first = generator.index(below: 10)
      var second = generator.index(below: steps / 2 - 2)
      if second >= first { second += 1 }
      for t in [first, second] { inputs[at(t) + 1] = 1 }
      // The original speaks of the first pair for X₁ alone; the same must hold for X₂.
      if first == 0 || second == 0 { inputs[at(0)] = 0 }
      targets.append(0.5 + (inputs[at(first)] + inputs[at(second)]) / 4)
      for t in [0, length - 1] { inputs[at(t) + 1] = -1 }
    }
    return TaskBatch(inputs: inputs, targets: .values(targets), steps: longest, batch: batch, lengths: lengths)
  }

  func judge(_ outputs: [Float], _ batch: TaskBatch) -> [Judgement] { judgeValues(outputs, batch, within: 0.04) }
}

/// The adding problem with numbers from U[0, 1] and one mark in each half; the target is the sum of the two marked (Le,
/// Jaitly and Hinton 2015, Arjovsky, Shah and Bengio 2016, Tallec and Ollivier 2018).
///
/// Always to say 1 has a mean squared error of 2 · 1/12 = 1/6 (not 0.1767, as some have printed).
struct UniformAdding: SequenceTask {
  let steps: Int

  let inputs = 2
  let outputs = 1
  let readout = Readout.lastStep
  var longest: Int { steps }

  func draw(_ batch: Int, using generator: inout SeededGenerator) -> TaskBatch {
    var inputs = [Float](repeating: 0, count: steps * batch * 2)
    var targets = [Float](repeating: 0, count: batch)
    for index in stride(from: 0, to: inputs.count, by: 2) { inputs[index] = Float(generator.uniform(in: 0...1)) }
    for row in 0..<batch {
      for t in [generator.index(below: steps / 2), steps / 2 + generator.index(below: steps - steps / 2)] {
        inputs[(t * batch + row) * 2 + 1] = 1
        targets[row] += inputs[(t * batch + row) * 2]
      }
    }
    return TaskBatch(inputs: inputs, targets: .values(targets), steps: steps, batch: batch)
  }

  /// Within 0.04 on the scale of the original, whose target has half the width.
  func judge(_ outputs: [Float], _ batch: TaskBatch) -> [Judgement] { judgeValues(outputs, batch, within: 0.08) }
}

extension SequenceTask {
  /// Of one value at the end of each sequence.
  func judgeValues(_ outputs: [Float], _ batch: TaskBatch, within limit: Double) -> [Judgement] {
    guard case .values(let values) = batch.targets else { return [] }
    return zip(outputs, values).map { output, value in
      let error = Double(abs(output - value))
      return Judgement(error: error, isRight: error < limit)
    }
  }
}
