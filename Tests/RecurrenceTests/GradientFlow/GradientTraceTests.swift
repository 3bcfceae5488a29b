import Recurrence
import RecurrenceTesting
import Testing

/// ‖∂L/∂h_t‖ of a traced backward pass against the same derivative taken apart.
///
/// Each layer alone: what the layer above says of its inputs is what this one's outputs are told. Each t alone: a pass
/// that ends at t, and one that begins there; what it says of its initial h, and what is said of the output of step t,
/// are all that h_t does.
@Suite("Gradient through time")
struct GradientTraceTests {
  static let shapes = [
    ProblemShape(steps: 6, batch: 5, inputs: 3, units: 7, layers: 2),
    ProblemShape(steps: 1, batch: 1, inputs: 2, units: 33),
    ProblemShape(steps: 7, batch: 6, inputs: 4, units: 5, layers: 2, lengths: [3, 7, 0, 7, 1, 2]),
    // Threads whose sequences have no step.
    ProblemShape(steps: 4, batch: 4, inputs: 3, units: 5, layers: 2, lengths: [0, 4, 0, 0]),
    ProblemShape(steps: 3, batch: 2, inputs: 3, units: 5, lengths: [0, 0]),
    ProblemShape(steps: 0, batch: 3, inputs: 3, units: 5, layers: 2),
  ]

  struct Check: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for (index, shape) in GradientTraceTests.shapes.enumerated() {
        let stack = RecurrentStack<C, S>(
          cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 13)
        var random = SeededRandom(stream: index)
        let problem = SequenceProblem(shape, states: C.states.count, random: &random)
        for complaint in try Traced(stack: stack, problem: problem).complaints() {
          Issue.record("\(C.self) \(S.self) \(shape): \(complaint); seed \(SuiteSettings.seed)")
        }
      }
    }
  }

  @Test("norms are those of the derivative taken apart, for every cell, and tracing changes no bit")
  func everyCell() throws {
    var visitor = Check()
    try forEachCell(&visitor)
  }

  /// h_t = x_t + h_{t−1}/2 in every unit, a loss of the last output alone: the gradient halves with each step back.
  @Test func halves() throws {
    let (steps, batch, units) = (9, 3, 4)
    var stack = RecurrentStack<LinearCell, Double>(LinearCell(), inputs: units, units: units)
    var parameters = Parameters<Double>(stack.layout)
    for unit in 0..<units { parameters["U", unit, unit] = 0.5 }
    stack.parameters = parameters
    var tape = stack.makeTape(steps: steps, batch: batch)
    tape.recordsGradientFlow = true
    var outputGradients = [Double](repeating: 0, count: steps * batch * units)
    for index in ((steps - 1) * batch * units)..<outputGradients.count { outputGradients[index] = 1 }
    let shape = ProblemShape(steps: steps, batch: batch, inputs: units, units: units)
    let zeros = [Double](repeating: 0, count: batch * units)
    let problem = SequenceProblem(
      shape, states: 1, x: [Double](repeating: 1, count: outputGradients.count), initial: zeros,
      outputGradients: outputGradients, finalGradients: zeros)
    _ = try stack.solve(problem, tape: &tape)
    var expected = Double(batch * units).squareRoot()
    for norm in tape.gradientFlow().layers[0].states[0].gradientNorms.reversed() {
      // Powers of 2: the squares and their sum are exact.
      #expect(norm == expected)
      expected /= 2
    }
  }

  /// A trace is of the last pass, and of its own size.
  @Test func anotherPass() throws {
    let stack = RecurrentStack<GRU, Float>(GRU(), inputs: 3, units: 5, seed: 2)
    var tape = stack.makeTape(steps: 8, batch: 6, threads: 2, ragged: true)
    tape.recordsGradientFlow = true
    for shape in [
      ProblemShape(steps: 8, batch: 6, inputs: 3, units: 5),
      ProblemShape(steps: 5, batch: 2, inputs: 3, units: 5, lengths: [5, 1]),
      ProblemShape(steps: 3, batch: 6, inputs: 3, units: 5, lengths: [0, 1, 3, 0, 0, 0]),
    ] {
      var random = SeededRandom(stream: shape.steps)
      let problem = SequenceProblem(shape, states: 1, random: &random)
      _ = try stack.solve(problem, tape: &tape)
      let expected = try Traced(stack: stack, problem: problem).norms(SequencePath())
      let norms = tape.gradientFlow().layers[0].states[0].gradientNorms
      #expect(norms == expected[0], "\(shape)")
    }
  }
}

/// A stack, and a problem to trace.
private struct Traced<C: Cell, S: TestScalar> {
  let stack: RecurrentStack<C, S>
  let problem: SequenceProblem
  private var shape: ProblemShape { problem.shape }

  func complaints() throws -> [String] {
    let untraced = try stack.solve(problem)
    var complaints: [String] = []
    let norms = try norms(SequencePath())
    for path in [SequencePath(), SequencePath(threads: 3), SequencePath(threads: 2, keeping: 2)] {
      var tape = makeTape(path)
      complaints += try untraced.differences(from: stack.solve(problem, tape: &tape)).map { "tracing changes \($0)" }
      let some = (0..<shape.layers).map { tape.gradientFlow().layers[$0].states[0].gradientNorms }
      if some != norms { complaints.append("\(path): norms \(some) instead of \(norms)") }
    }
    for (layer, (actual, expected)) in zip(norms, try reference()).enumerated() {
      if actual.count != shape.steps + 1 { complaints.append("\(actual.count) norms") }
      for (t, (norm, expected)) in zip(actual, expected).enumerated() {
        // The gradients have the same bits; sums of B·H squares, in Double, have another order.
        let tolerance = Double(shape.batch * shape.units + 2) * Double.ulpOfOne * expected
        if !(abs(norm - expected) <= tolerance) {
          complaints.append("layer \(layer), t = \(t): expected \(expected), got \(norm)")
        }
      }
    }
    return complaints
  }

  func norms(_ path: SequencePath) throws -> [[Double]] {
    var tape = makeTape(path)
    _ = try stack.solve(problem, tape: &tape)
    return (0..<shape.layers).map { tape.gradientFlow().layers[$0].states[0].gradientNorms }
  }

  private func makeTape(_ path: SequencePath) -> Tape<S> {
    var tape = stack.makeTape(
      steps: shape.steps, batch: shape.batch, threads: path.threads, ragged: shape.lengths != nil,
      keeping: path.keeping, smallestSplit: 0)
    tape.recordsGradientFlow = true
    return tape
  }

  /// [L][T + 1].
  private func reference() throws -> [[Double]] {
    var layers: [(stack: RecurrentStack<C, S>, problem: SequenceProblem)] = []
    var x = problem.x
    for layer in 0..<shape.layers {
      let alone = (stack: single(layer), problem: single(layer, x))
      x = try alone.stack.solve(alone.problem).outputs.map { Double($0) }
      layers.append(alone)
    }
    var norms: [[Double]] = []
    var outputGradients = problem.outputGradients
    for (stack, alone) in layers.reversed() {
      var problem = alone
      problem.outputGradients = outputGradients
      norms.insert(try (0...shape.steps).map { try norm(stack, problem, t: $0) }, at: 0)
      outputGradients = try stack.solve(problem).inputGradients.map { Double($0) }
    }
    return norms
  }

  private func single(_ layer: Int) -> RecurrentStack<C, S> {
    var alone = RecurrentStack<C, S>(
      stack.cell, inputs: layer == 0 ? shape.inputs : shape.units, units: shape.units)
    var parameters = Parameters<S>(alone.layout)
    for tensor in alone.layout.tensors { parameters[tensor.name] = stack.parameters[tensor.name, layer: layer] }
    alone.parameters = parameters
    return alone
  }

  private func single(_ layer: Int, _ x: [Double]) -> SequenceProblem {
    let size = shape.batch * shape.units
    func planes(_ values: [Double]) -> [Double] {
      var result: [Double] = []
      for state in 0..<problem.states {
        let start = (state * shape.layers + layer) * size
        result += values[start..<(start + size)]
      }
      return result
    }
    return SequenceProblem(
      ProblemShape(
        steps: shape.steps, batch: shape.batch, inputs: layer == 0 ? shape.inputs : shape.units, units: shape.units,
        lengths: shape.lengths),
      states: problem.states, x: x, initial: planes(problem.initial), outputGradients: problem.outputGradients,
      finalGradients: planes(problem.finalGradients))
  }

  /// ‖∂L/∂h_t‖ of one layer alone, over the sequences that have an h_t.
  private func norm(_ stack: RecurrentStack<C, S>, _ problem: SequenceProblem, t: Int) throws -> Double {
    let (T, B, H) = (shape.steps, shape.batch, shape.units)
    var first = problem.shape
    first.steps = t
    first.lengths = shape.lengths.map { $0.map { min($0, t) } }
    var second = problem.shape
    second.steps = T - t
    second.lengths = shape.lengths.map { $0.map { max($0 - t, 0) } }
    let inputs = t * B * problem.shape.inputs
    let before = SequenceProblem(
      first, states: problem.states, x: Array(problem.x.prefix(inputs)), initial: problem.initial,
      outputGradients: [Double](repeating: 0, count: t * B * H), finalGradients: problem.finalGradients)
    let after = SequenceProblem(
      second, states: problem.states, x: Array(problem.x.dropFirst(inputs)),
      initial: try stack.solve(before).final.map { Double($0) },
      outputGradients: Array(problem.outputGradients.dropFirst(t * B * H)), finalGradients: problem.finalGradients)
    let gradients = try stack.solve(after).initialGradients
    var sum = 0.0
    for row in 0..<B where shape.lengths.map({ $0[row] >= t }) ?? true {
      for unit in 0..<H {
        var value = gradients[row * H + unit]
        if t > 0 { value += S(problem.outputGradients[((t - 1) * B + row) * H + unit]) }
        sum += Double(value) * Double(value)
      }
    }
    return sum.squareRoot()
  }
}
