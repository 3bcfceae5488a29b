import Recurrence
import Testing

/// No steps, no sequences and no elements are legal: states pass through, and nothing is added to a gradient.
@Suite("Zero sizes")
struct ZeroSizeTests {
  @Test("sizes of zero, with every cell", arguments: CountedCell.allCases)
  func zeroSizes(_ cell: CountedCell) throws {
    var floats = ZeroVisitor<Float>()
    try cell.accept(&floats)
    var doubles = ZeroVisitor<Double>()
    try cell.accept(&doubles)
  }
}

private struct ZeroVisitor<Scalar: TestScalar>: CellVisitor {
  func visit<C: Cell>(_ cell: C) throws {
    let stack = RecurrentStack<C, Scalar>(cell, inputs: 3, units: 5, layers: 2, seed: 1)
    for (steps, batch) in [(0, 0), (0, 2), (4, 0)] {
      for lengths in [nil, [Int](repeating: 0, count: batch)] {
        for threads in [1, 2] {
          // Memory made for just this, and for more.
          try check(stack, steps, batch, lengths, capacity: (steps, batch), threads)
          try check(stack, steps, batch, lengths, capacity: (7, 3), threads)
        }
      }
    }
    try check(stack, 4, 2, [0, 0], capacity: (4, 2), 2)
    let (outputs, states) = try stack.forward([], steps: 0, batch: 2)
    #expect(outputs.isEmpty && states == stack.makeStates(batch: 2))
    var stream = stack.makeStream(batch: 0)
    var none: [Scalar] = []
    try stack.step([], into: &none, stream: &stream)
    try checkNull(stack)
  }

  private func check<C: Cell>(
    _ stack: RecurrentStack<C, Scalar>, _ steps: Int, _ batch: Int, _ lengths: [Int]?, capacity: (Int, Int),
    _ threads: Int
  ) throws {
    let x = [Scalar](repeating: 0.5, count: steps * batch * 3)
    let zeros = [Scalar](repeating: 0, count: steps * batch * 5)
    var initial = stack.makeStates(batch: batch)
    for i in initial.values.indices { initial.values[i] = Scalar(i) / 8 }
    var states = initial
    var outputs = [Scalar](repeating: 9, count: zeros.count)
    var workspace = stack.makeWorkspace(
      steps: capacity.0, batch: capacity.1, threads: threads, ragged: lengths != nil, smallestSplit: 0)
    try stack.forward(
      x, steps: steps, batch: batch, lengths: lengths, states: &states, outputs: &outputs, workspace: &workspace)
    #expect(states == initial && outputs == zeros)

    var tape = stack.makeTape(
      steps: capacity.0, batch: capacity.1, threads: threads, ragged: lengths != nil, keeping: 2, smallestSplit: 0)
    outputs = [Scalar](repeating: 9, count: zeros.count)
    try stack.forward(
      x, steps: steps, batch: batch, lengths: lengths, states: &states, outputs: &outputs, tape: &tape)
    #expect(states == initial && outputs == zeros)
    var gradient = stack.makeGradient()
    var inputGradients = [Scalar](repeating: 9, count: x.count)
    let ones = [Scalar](repeating: 1, count: zeros.count)
    try stack.backward(
      x, outputGradients: .everyStep(ones), stateGradients: &states, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
    #expect(states == initial && gradient == stack.makeGradient())
    #expect(inputGradients == [Scalar](repeating: 0, count: x.count))
  }

  /// Empty buffers without an address.
  private func checkNull<C: Cell>(_ stack: RecurrentStack<C, Scalar>) throws {
    let initial = [Scalar](repeating: 2, count: stack.makeStates(batch: 2).values.count)
    var states = initial
    let null = unsafe UnsafeBufferPointer<Scalar>(start: nil, count: 0)
    let nullOutputs = unsafe UnsafeMutableBufferPointer<Scalar>(start: nil, count: 0)
    var tape = stack.makeTape(steps: 3, batch: 2)
    var gradient = stack.makeGradient()
    unsafe states.withUnsafeMutableBufferPointer { states in
      unsafe stack.forward(
        null, steps: 0, batch: 2, initialStates: UnsafeBufferPointer(states), outputs: nullOutputs,
        finalStates: states, tape: &tape)
      unsafe gradient.values.withUnsafeMutableBufferPointer { gradient in
        unsafe stack.backward(
          null, outputGradients: null, finalStateGradients: UnsafeBufferPointer(states), parameterGradients: gradient,
          inputGradients: nullOutputs, initialStateGradients: states, tape: &tape)
        for index in gradient.indices { unsafe gradient[index] = .nan }
        unsafe stack.backward(
          null, finalStateGradients: UnsafeBufferPointer(states), parameterGradients: gradient, accumulates: false,
          initialStateGradients: states, tape: &tape)
      }
    }
    #expect(states == initial && gradient == stack.makeGradient())
    var stream = stack.makeStream(batch: 0)
    unsafe stack.step(null, into: nullOutputs, stream: &stream)
  }
}
