import Foundation
import Recurrence

/// Sequences to learn from, as many as anyone asks for.
///
/// A task knows nothing of networks and training: it draws sequences, and says of a network's outputs how wrong they are.
protocol SequenceTask {
  /// Features of a step, I.
  var inputs: Int { get }
  /// Outputs of a network, K.
  var outputs: Int { get }
  /// Steps of the longest sequence, T.
  var longest: Int { get }
  var readout: Readout { get }
  /// Whether sequences of a batch differ in length.
  var isRagged: Bool { get }

  func draw(_ batch: Int, using generator: inout SeededGenerator) -> TaskBatch

  /// How wrong each sequence is, by the measure of the task.
  ///
  /// - Parameter outputs: logits or values, [rows, K].
  func judge(_ outputs: [Float], _ batch: TaskBatch) -> [Judgement]
}

/// Sequences that were drawn together, time-major.
struct TaskBatch {
  /// [T, B, I].
  var inputs: [Float]
  var targets: SequenceTargets<Float>
  var steps: Int
  var batch: Int
  /// [B], nil where all are of `steps`.
  var lengths: [Int]?
}

/// What a task says of one sequence.
struct Judgement {
  /// The mean absolute error of the outputs that are asked for.
  var error: Double
  var isRight: Bool
}

extension SequenceTask {
  var isRagged: Bool { false }

  /// Right is a sequence at whose end the likeliest class is the target; the error is 1 less its probability.
  func judgeClasses(_ outputs: [Float], _ batch: TaskBatch) -> [Judgement] {
    guard case .classes(let classes) = batch.targets else { return [] }
    return classes.indices.map { row in
      let shares = Softmax.shares(outputs[(row * self.outputs)..<((row + 1) * self.outputs)])
      let target = Int(classes[row])
      let others = shares.indices.filter { $0 != target }
      // A tie is wrong, and so is what is not a number.
      return Judgement(error: 1 - shares[target], isRight: others.allSatisfy { shares[$0] < shares[target] })
    }
  }
}

enum Softmax {
  static func shares(_ logits: ArraySlice<Float>) -> [Double] {
    let largest = Double(logits.max() ?? 0)
    let powers = logits.map { exp(Double($0) - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }
}
