import Recurrence
import RecurrenceTesting
import Testing

/// A gradient that replaces what was there has the bits of one that is added to zeros, and reads nothing of it.
@Suite("Gradients that replace what was there")
struct ReplacedGradientTests {
  static let shapes = [
    ProblemShape(steps: 6, batch: 9, inputs: 5, units: 7, layers: 2),
    ProblemShape(steps: 5, batch: 3, inputs: 17, units: 32),
    ProblemShape(steps: 6, batch: 5, inputs: 4, units: 16, layers: 2, lengths: [3, 6, 0, 6, 1]),
    // As ragged memory has them: all sequences long, all shorter than T, all without a step.
    ProblemShape(steps: 4, batch: 2, inputs: 4, units: 9, lengths: [4, 4]),
    ProblemShape(steps: 5, batch: 3, inputs: 4, units: 9, layers: 2, lengths: [2, 2, 2]),
    ProblemShape(steps: 3, batch: 2, inputs: 4, units: 9, lengths: [0, 0]),
    empty(steps: 0, batch: 3), empty(steps: 3, batch: 0),
    ProblemShape(steps: 1, batch: 1, inputs: 32, units: 48, layers: 2),
    ProblemShape(steps: 1, batch: 1, inputs: 16, units: 32, lengths: [0]),
    ProblemShape(steps: 1, batch: 1, inputs: 16, units: 32, lengths: [1]),
    ProblemShape(steps: 1, batch: 1, inputs: 3, units: 33),
    ProblemShape(steps: 7, batch: 1, inputs: 32, units: 64, layers: 2),
  ]
  static let paths = [
    SequencePath(), SequencePath(threads: 2, poison: true), SequencePath(keeping: 2),
    SequencePath(threads: 2, keeping: 3),
  ]
  static let controls: [BackpropagationControl?] = [
    nil, BackpropagationControl(stepClipping: .norm(0.05)), BackpropagationControl(normPreservation: 0.5),
  ]

  /// A shape that problems are not made of.
  private static func empty(steps: Int, batch: Int) -> ProblemShape {
    var shape = ProblemShape(steps: 1, batch: 1, inputs: 4, units: 9, layers: 2)
    (shape.steps, shape.batch) = (steps, batch)
    return shape
  }

  struct Replacing: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for kernels in SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported {
        for (index, shape) in ReplacedGradientTests.shapes.enumerated() {
          let stack = RecurrentStack<C, S>(
            cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 12, kernels: kernels)
          var random = SeededRandom(stream: 80_000 + index)
          let problem = SequenceProblem(shape, states: C.states.count, random: &random)
          for control in ReplacedGradientTests.controls {
            // Ω is of cells of one stage.
            if control?.normPreservation ?? 0 > 0, C.gates.contains(where: { $0.stage > 0 }) { continue }
            let label = "\(C.self) \(kernels.label) \(shape) \(control.map { "\($0)" } ?? "")"
            let added = try stack.solve(problem, SequencePath(), control, onto: 0, accumulates: true)
            if control == nil { #expect(try stack.solve(problem).differences(from: added) == [], "\(label)") }
            for path in ReplacedGradientTests.paths {
              let replaced = try stack.solve(problem, path, control, onto: .nan, accumulates: false)
              #expect(replaced.differences(from: added) == [], "\(label) \(path)")
            }
            // Sums that start at one round otherwise, by some units of what they come to on the way.
            let more = try stack.solve(problem, SequencePath(), control, onto: 1, accumulates: true)
            let error = relativeError(more.gradient, added.gradient.map { 1 + Double($0) })
            #expect(error <= 64 * Double(S.ulpOfOne), "\(label): added to ones, off by \(error)")
          }
        }
      }
    }
  }

  @Test("what replaces NaN is what is added to zeros: every cell, ragged, empty, in segments, on threads")
  func replacing() throws {
    var visitor = Replacing()
    try forEachCell(&visitor)
  }
}

/// A pass of one step of one sequence, which reads W and U where they lie.
@Suite("One step of one sequence")
struct OneStepTests {
  static let widths = [(16, 16), (32, 32), (48, 48), (64, 64), (33, 33), (16, 64), (64, 32), (32, 33), (33, 48)]

  struct Alone: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for kernels in SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported {
        for (index, (inputs, units)) in OneStepTests.widths.enumerated() {
          for layers in 1...2 {
            let stack = RecurrentStack<C, S>(
              cell, inputs: inputs, units: units, layers: layers, seed: 13, kernels: kernels)
            var random = SeededRandom(stream: 81_000 + index)
            let shape = ProblemShape(steps: 1, batch: 2, inputs: inputs, units: units, layers: layers)
            let pair = SequenceProblem(shape, states: C.states.count, random: &random)
            try check(stack, pair, "\(C.self) \(kernels.label) \(shape)")
          }
        }
      }
    }

    private func check<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, _ pair: SequenceProblem, _ label: String
    ) throws {
      let together = try stack.solve(pair)
      for row in 0..<2 {
        let alone = try stack.solve(pair.sequence(row))
        let found = together.sequence(row, of: 2, stack, gradient: alone.gradient)
        #expect(alone.differences(from: found) == [], "\(label), sequence \(row)")

        // The other sequence adds zeros to the gradient: δ of it is zero.
        let silenced = try stack.solve(pair.silencing(1 - row))
        #expect(
          silenced.gradient.map(\.wideBits) == alone.gradient.map(\.wideBits),
          "\(label), sequence \(row): parameter gradient")
      }

      // Beside padded steps, W and U are packed.
      let one = pair.sequence(0)
      let alone = try stack.solve(one)
      var tape = stack.makeTape(steps: 3, batch: 2, ragged: true)
      #expect(try stack.solve(one, tape: &tape).differences(from: alone) == [], "\(label), larger memory")
      for threads in [2, 3] {
        let parts = try stack.solve(one, SequencePath(threads: threads, poison: true))
        #expect(parts.differences(from: alone) == [], "\(label), \(threads) threads")
      }
      let padded = try stack.solve(one.padded(by: 2))
      #expect(
        padded.gradient.map(\.wideBits) == alone.gradient.map(\.wideBits)
          && padded.inputGradients.prefix(stack.inputs).map(\.wideBits) == alone.inputGradients.map(\.wideBits)
          && padded.initialGradients.map(\.wideBits) == alone.initialGradients.map(\.wideBits),
        "\(label), with padded steps")
    }
  }

  @Test("its bits are those it has in a batch, in larger memory, on threads, and with padded steps; every cell")
  func alone() throws {
    var visitor = Alone()
    try forEachCell(&visitor)
  }
}

extension SequenceProblem {
  /// One sequence alone.
  fileprivate func sequence(_ row: Int) -> Self {
    var one = shape
    one.batch = 1
    func part(_ values: [Double], _ width: Int) -> [Double] { block(values, row, of: shape.batch, width) }
    return Self(
      one, states: states, x: part(x, shape.inputs), initial: part(initial, shape.units),
      outputGradients: part(outputGradients, shape.units), finalGradients: part(finalGradients, shape.units))
  }

  /// The same where the loss does not look at one sequence.
  fileprivate func silencing(_ row: Int) -> Self {
    var other = self
    for (index, _) in outputGradients.enumerated() where index / shape.units % shape.batch == row {
      other.outputGradients[index] = 0
    }
    for (index, _) in finalGradients.enumerated() where index / shape.units % shape.batch == row {
      other.finalGradients[index] = 0
    }
    return other
  }

  /// More steps than the sequences have.
  fileprivate func padded(by steps: Int) -> Self {
    var longer = shape
    longer.steps += steps
    longer.lengths = [Int](repeating: shape.steps, count: shape.batch)
    func zeros(_ width: Int) -> [Double] { [Double](repeating: 0, count: steps * shape.batch * width) }
    return Self(
      longer, states: states, x: x + zeros(shape.inputs), initial: initial,
      outputGradients: outputGradients + zeros(shape.units), finalGradients: finalGradients)
  }
}

extension SequenceResult {
  /// What one sequence of a batch got, with another gradient of the parameters.
  fileprivate func sequence<C: Cell>(
    _ row: Int, of batch: Int, _ stack: RecurrentStack<C, Scalar>, gradient: [Scalar]
  ) -> Self {
    Self(
      outputs: block(outputs, row, of: batch, stack.units), final: block(final, row, of: batch, stack.units),
      gradient: gradient, inputGradients: block(inputGradients, row, of: batch, stack.inputs),
      initialGradients: block(initialGradients, row, of: batch, stack.units))
  }
}

/// Row `row` of every [B, width] block.
private func block<Value>(_ values: [Value], _ row: Int, of batch: Int, _ width: Int) -> [Value] {
  values.indices.filter { $0 / width % batch == row }.map { values[$0] }
}

extension RecurrentStack where Scalar: TestScalar {
  /// Forward and backward over a problem, with a gradient that held `before` everywhere.
  fileprivate func solve(
    _ problem: SequenceProblem, _ path: SequencePath, _ control: BackpropagationControl?, onto before: Scalar,
    accumulates: Bool
  ) throws -> SequenceResult<Scalar> {
    let shape = problem.shape
    var tape = makeTape(
      steps: shape.steps, batch: shape.batch, threads: path.threads, ragged: shape.lengths != nil,
      keeping: path.keeping, smallestSplit: 0)
    if let control { tape.control = control }
    if path.poison { tape.poison() }
    let x = problem.x.map { Scalar($0) }
    var states = makeStates(batch: shape.batch)
    states.values = problem.initial.map { Scalar($0) }
    var result = SequenceResult<Scalar>(
      outputs: [Scalar](repeating: .nan, count: shape.steps * shape.batch * units), final: [],
      gradient: [Scalar](repeating: before, count: layout.count),
      inputGradients: [Scalar](repeating: .nan, count: x.count),
      initialGradients: problem.finalGradients.map { Scalar($0) })
    try forward(
      x, steps: shape.steps, batch: shape.batch, lengths: shape.lengths, states: &states, outputs: &result.outputs,
      tape: &tape)
    result.final = states.values
    let outputGradients = problem.outputGradients.map { Scalar($0) }
    unsafe x.withUnsafeBufferPointer { x in
      unsafe outputGradients.withUnsafeBufferPointer { outputGradients in
        unsafe result.gradient.withUnsafeMutableBufferPointer { gradient in
          unsafe result.inputGradients.withUnsafeMutableBufferPointer { inputGradients in
            unsafe result.initialGradients.withUnsafeMutableBufferPointer { states in
              unsafe backward(
                x, outputGradients: outputGradients, finalStateGradients: UnsafeBufferPointer(states),
                parameterGradients: gradient, accumulates: accumulates, inputGradients: inputGradients,
                initialStateGradients: states, tape: &tape)
            }
          }
        }
      }
    }
    return result
  }
}
