import Recurrence

/// Proves the gradient of a whole network with its loss, from the loss through output layer, stack and embedding, by
/// differences of the loss that `SequenceEvaluator` gives.
///
/// - Parameters:
///   - input, targets, steps, batch, lengths, weights, states: as in `SequenceTrainer.computeGradient`; no states are zero.
///   - readout: the steps that have a target.
///   - threads: of the pass whose gradient is proven.
///
/// Throws `GradientCheckError` where it is wrong, `ShapeError` where a size does not fit.
@discardableResult
public func checkGradient<C: Cell>(
  of network: SequenceNetwork<C, Double>, _ input: SequenceInput<Double>, targets: SequenceTargets<Double>, steps: Int,
  batch: Int, readout: Readout = .everyStep, lengths: [Int]? = nil, weights: [Double]? = nil,
  states: RecurrentStates<Double>? = nil, threads: Int = 1, seed: UInt64 = 1
) throws -> GradientReport {
  let initial = states ?? network.recurrent.makeStates(batch: batch)
  var trainer = SequenceTrainer(
    network, .sgd, steps: steps, batch: batch, readout: readout, ragged: lengths != nil, threads: threads)
  var evaluator = SequenceEvaluator(
    network, steps: steps, batch: batch, readout: readout, ragged: lengths != nil)
  var moved = network
  return try checkGradient(
    at: network.parameters, parts: network.parts, seed: seed, distance: 0x1p-9,
    value: { parameters in
      moved.parameters = parameters
      var carried = initial
      return try evaluator.loss(
        of: moved, input, targets: targets, steps: steps, batch: batch, lengths: lengths, weights: weights,
        states: &carried)
    },
    gradient: { _ in
      var carried = initial
      _ = try trainer.computeGradient(
        input, targets: targets, steps: steps, batch: batch, lengths: lengths, weights: weights, states: &carried)
      return trainer.gradient
    })
}

extension SequenceNetwork {
  /// Every tensor of the network, by name: `embedding`, `U of layer 0`, `output`.
  fileprivate var parts: [GradientPart] {
    let ranges = parameterRanges
    var parts = ranges.embedding.isEmpty ? [] : [GradientPart("embedding", ranges.embedding)]
    for tensor in recurrent.layout.tensors {
      let start = ranges.recurrent.lowerBound
      parts.append(
        GradientPart(
          "\(tensor.name) of layer \(tensor.layer)",
          (start + tensor.range.lowerBound)..<(start + tensor.range.upperBound)))
    }
    return parts + [GradientPart("output", ranges.output)]
  }
}
