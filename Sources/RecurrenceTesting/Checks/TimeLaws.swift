import Recurrence

extension Trial {
  func split() throws -> CheckVerdict {
    guard shape.lengths == nil, shape.steps > 1 else { return .skipped("one step, or ragged") }
    return try compareBits(
      windows(of: (shape.steps + 1) / 2, carriesGradient: true), "the sequence in parts")
  }

  /// The sequence in windows of at most `length` steps: the states carried forward and, where asked for, their gradients
  /// back, all into one gradient.
  func windows(of length: Int, carriesGradient: Bool) throws -> Solution<Scalar> {
    var starts = Array(stride(from: 0, to: shape.steps, by: length))
    if starts.isEmpty { starts = [0] }
    let windows = starts.map { $0..<min($0 + length, shape.steps) }
    var states = stack.makeStates(batch: shape.batch)
    states.values = operands.initial
    var tapes: [TapeBox<Scalar>] = []
    var outputs: [Scalar] = []
    for window in windows {
      let box = TapeBox(stack.makeTape(steps: window.count, batch: shape.batch))
      var some = [Scalar](repeating: .nan, count: window.count * shape.batch * shape.units)
      try stack.forward(
        part(operands.x, window, shape.inputs), steps: window.count, batch: shape.batch, states: &states,
        outputs: &some, tape: &box.tape)
      outputs += some
      tapes.append(box)
    }
    let final = states.values
    states.values = operands.finalGradients
    var gradient = stack.makeGradient()
    var inputGradients: [Scalar] = []
    for (index, window) in windows.enumerated().reversed() {
      if !carriesGradient, index < windows.count - 1 { states = stack.makeStates(batch: shape.batch) }
      var some = [Scalar](repeating: .nan, count: window.count * shape.batch * shape.inputs)
      try stack.backward(
        part(operands.x, window, shape.inputs),
        outputGradients: .everyStep(part(operands.outputGradients, window, shape.units)), stateGradients: &states,
        gradient: &gradient, inputGradients: &some, tape: &tapes[index].tape)
      inputGradients = some + inputGradients
    }
    return Solution(
      outputs: outputs, final: final, inputGradients: inputGradients, initialGradients: states.values,
      gradient: gradient.values)
  }

  private func part(_ values: [Scalar], _ window: Range<Int>, _ width: Int) -> [Scalar] {
    Array(values[(window.lowerBound * shape.batch * width)..<(window.upperBound * shape.batch * width)])
  }

  func streaming() throws -> CheckVerdict {
    guard shape.lengths == nil else { return .skipped("ragged") }
    var stream = stack.makeStream(batch: shape.batch)
    var states = stream.states
    states.values = operands.initial
    stream.states = states
    var outputs: [Scalar] = []
    var step = [Scalar](repeating: .nan, count: shape.batch * shape.units)
    for t in 0..<shape.steps {
      try stack.step(part(operands.x, t..<(t + 1), shape.inputs), into: &step, stream: &stream)
      outputs += step
    }
    let expected = try solution()
    var comparison = Comparison("the stream", "the sequence")
    comparison.addExact(places[0], outputs, expected.outputs)
    comparison.addExact(places[1], stream.states.values, expected.final)
    return comparison.verdict
  }

  func inference() throws -> CheckVerdict {
    let expected = try solution()
    return try first(
      [1, 2, 3].map { threads in
        { [self] in
          let (outputs, final) = try stack.run(operands, threads: threads, isPoisoned: threads == 2)
          var comparison = Comparison("the pass without a tape", "the one with it")
          comparison.addExact(places[0], outputs, expected.outputs)
          comparison.addExact(places[1], final, expected.final)
          return comparison.verdict
        }
      })
  }

  func recomputation() throws -> CheckVerdict {
    guard shape.steps > 1 else { return .skipped("one step") }
    return try first(
      [1, 2, (shape.steps + 1) / 2].map { (keeping: Int) in
        { [self] in
          try compareBits(
            stack.solve(operands, SolutionPath(threads: 2, keeping: keeping)), "a tape that keeps \(keeping) steps")
        }
      })
  }
}

// MARK: Chunks

extension Trial {
  /// Drivers cut a pass into chunks whose pre-activations, and whose derivatives, stay in cache. The sizes of the battery fit
  /// one; here the same cell and widths run for so long that there are several.
  func chunks() throws -> CheckVerdict {
    guard problem.seed % 4 == 0 else { return .skipped("long passes for one problem in four") }
    var long = problem
    let planes = C.gates.count + C.gates.count { $0.isApart }
    let row = planes * shape.units * shape.layers * MemoryLayout<Scalar>.stride
    // A megabyte of derivatives: twice what a chunk takes.
    long.shape.batch = 37
    long.shape.steps = max(20, (1 << 20) / (37 * row) + 1)
    long.shape.lengths = shape.lengths.map { _ in
      (0..<37).map { b in b == 0 ? long.shape.steps : (b * b * long.shape.steps / 2 + 7 * b) % (long.shape.steps + 1) }
    }
    return try Trial(cell, long, kernels: kernels).inPieces()
  }

  private func inPieces() throws -> CheckVerdict {
    try compareBits(
      stack.solve(operands, SolutionPath(threads: 2, keeping: 7)), "a long pass on a tape that keeps 7 steps")
  }
}

/// A place for a value that cannot be copied.
final class TapeBox<Scalar: RecurrenceScalar> {
  var tape: Tape<Scalar>
  init(_ tape: consuming Tape<Scalar>) { self.tape = tape }
}
