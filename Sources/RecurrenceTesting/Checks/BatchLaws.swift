import Recurrence

extension Trial {
  func permutation() throws -> CheckVerdict {
    guard shape.batch > 1 else { return .skipped("one sequence") }
    let reference = reference()
    // A rotation moves every sequence, and crosses every tile and every thread's part.
    let by = 1 + Int(problem.seed % UInt64(shape.batch - 1))
    let order = (0..<shape.batch).map { ($0 + by) % shape.batch }
    var permuted = operands
    permuted.shape.lengths = shape.lengths.map { lengths in order.map { lengths[$0] } }
    permuted.x = rows(operands.x, order, shape.inputs)
    permuted.initial = rows(operands.initial, order, shape.units)
    permuted.outputGradients = rows(operands.outputGradients, order, shape.units)
    permuted.finalGradients = rows(operands.finalGradients, order, shape.units)
    let (result, expected) = (try stack.solve(permuted), try solution())
    var comparison = Comparison("the permuted batch", "the batch")
    comparison.addExact(places[0], result.outputs, rows(expected.outputs, order, shape.units))
    comparison.addExact(places[1], result.final, rows(expected.final, order, shape.units))
    comparison.addExact(places[2], result.inputGradients, rows(expected.inputGradients, order, shape.inputs))
    comparison.addExact(places[3], result.initialGradients, rows(expected.initialGradients, order, shape.units))
    // Sums over the batch run in another order.
    if reference.doubt == nil {
      add(&comparison, result.gradient, expected.gradient.map { Double($0) }, reference)
    }
    return comparison.verdict
  }

  /// Compares gradients of the parameters within the oracle's bounds.
  private func add(
    _ comparison: inout Comparison, _ found: [Scalar], _ expected: [Double], _ reference: Reference<C>
  ) {
    for index in parameterPlaces {
      let range = layout.tensors[index - 4].range
      comparison.add(
        places[index], Array(found[range]), Array(expected[range]), errors: reference.tensors[index].errors, slack: 4)
    }
  }

  func rows() throws -> CheckVerdict {
    guard shape.batch > 1 else { return .skipped("one sequence") }
    let reference = reference()
    if let doubt = reference.doubt { return .skipped(doubt) }
    let all = try solution()
    var sum = [Double](repeating: 0, count: layout.count)
    var comparison = Comparison("the batch", "its sequences, each alone")
    var alone = all
    for b in 0..<shape.batch {
      var one = operands
      one.shape.batch = 1
      one.shape.lengths = shape.lengths.map { [$0[b]] }
      one.x = rows(operands.x, [b], shape.inputs)
      one.initial = rows(operands.initial, [b], shape.units)
      one.outputGradients = rows(operands.outputGradients, [b], shape.units)
      one.finalGradients = rows(operands.finalGradients, [b], shape.units)
      let result = try stack.solve(one)
      for index in sum.indices { sum[index] += Double(result.gradient[index]) }
      put(result.outputs, shape.units, into: &alone.outputs, b)
      put(result.final, shape.units, into: &alone.final, b)
      put(result.inputGradients, shape.inputs, into: &alone.inputGradients, b)
      put(result.initialGradients, shape.units, into: &alone.initialGradients, b)
    }
    add(&comparison, all.gradient, sum, reference)
    // One sequence alone may multiply U and h in an order of its own.
    let (found, expected) = (all.tensors(layout), alone.tensors(layout))
    for index in 0..<4 {
      comparison.add(
        places[index], found[index], expected[index].map { Double($0) }, errors: reference.tensors[index].errors,
        slack: 4)
    }
    return comparison.verdict
  }

  /// Of this problem and, one problem in four, of one step of one sequence with widths of whole vectors: on the way back,
  /// W and U are then read where they lie, and packed where there are more steps.
  func padding() throws -> CheckVerdict {
    guard problem.seed % 4 == 1 else { return try padded() }
    var one = problem
    let lanes = kernels.geometry.lanes
    one.shape = ProblemShape(
      steps: 1, batch: 1, inputs: lanes * (1 + shape.inputs % 3), units: lanes * (2 + shape.units % 2),
      layers: min(shape.layers, 2))
    return try first([padded, Trial(cell, one, kernels: kernels).padded])
  }

  /// More steps than any sequence has, all of them NaN.
  private func padded() throws -> CheckVerdict {
    let extra = 3
    var longer = operands
    longer.shape.steps += extra
    longer.shape.lengths = shape.lengths ?? [Int](repeating: shape.steps, count: shape.batch)
    longer.x += [Scalar](repeating: .nan, count: extra * shape.batch * shape.inputs)
    longer.outputGradients += [Scalar](repeating: .nan, count: extra * shape.batch * shape.units)
    var result = try stack.solve(longer)
    let zeros =
      (result.outputs.suffix(extra * shape.batch * shape.units)
      + result.inputGradients.suffix(extra * shape.batch * shape.inputs)).filter { $0 != 0 }
    if let other = zeros.first {
      return .failed(
        Mismatch(
          TensorPlace(name: "outputs and ∂L/∂x of padded steps", layer: nil, axes: []), found: Double(other),
          expected: 0, tolerance: 0, ("the padded pass", "the law")))
    }
    result.outputs.removeLast(extra * shape.batch * shape.units)
    result.inputGradients.removeLast(extra * shape.batch * shape.inputs)
    return try compareBits(result, "the padded pass")
  }

  /// Some rows of every [B, width] block.
  private func rows(_ values: [Scalar], _ order: [Int], _ width: Int) -> [Scalar] {
    var result: [Scalar] = []
    for start in stride(from: 0, to: values.count, by: shape.batch * width) {
      for row in order { result += values[(start + row * width)..<(start + (row + 1) * width)] }
    }
    return result
  }

  /// Puts the blocks of a batch of one where row b of every [B, width] block is.
  private func put(_ values: [Scalar], _ width: Int, into all: inout [Scalar], _ b: Int) {
    for block in 0..<(values.count / width) {
      let start = (block * shape.batch + b) * width
      all.replaceSubrange(start..<(start + width), with: values[(block * width)..<((block + 1) * width)])
    }
  }
}
