import Foundation
import Recurrence
import Testing

/// A fault is put in at a known place; the record must name it.
@Suite("Numbers that are not finite are found where they are")
struct NonFiniteTests {
  private static let (steps, batch, inputs, units, layers) = (50, 5, 3, 17, 2)

  /// What is wrong, on a stack that is sound otherwise.
  private struct Faults<C: Cell, S: TestScalar> {
    var stack: RecurrentStack<C, S>
    var x: [S]
    var initial: RecurrentStates<S>
    var outputGradients: [S]
    var lengths: [Int]?
    var control = BackpropagationControl()

    init(_ cell: C) {
      let count = NonFiniteTests.steps * NonFiniteTests.batch
      stack = RecurrentStack(
        cell, inputs: NonFiniteTests.inputs, units: NonFiniteTests.units, layers: NonFiniteTests.layers, seed: 6)
      var random = SeededRandom(stream: 11)
      x = random.array(count * NonFiniteTests.inputs, .uniform)
      initial = stack.makeStates(batch: NonFiniteTests.batch)
      outputGradients = random.array(count * NonFiniteTests.units, .uniform)
    }

    func record(threads: Int = 1, keeping: Int? = nil) throws -> GradientFlowRecord {
      let (steps, batch) = (NonFiniteTests.steps, NonFiniteTests.batch)
      var tape = stack.makeTape(
        steps: steps, batch: batch, threads: threads, ragged: lengths != nil, keeping: keeping, smallestSplit: 0)
      tape.recordsGradientFlow = true
      tape.control = control
      var states = initial
      var outputs = [S](repeating: 0, count: outputGradients.count)
      try stack.forward(
        x, steps: steps, batch: batch, lengths: lengths, states: &states, outputs: &outputs, tape: &tape)
      var gradients = stack.makeStates(batch: batch)
      var gradient = stack.makeGradient()
      var inputGradients = x
      try stack.backward(
        x, outputGradients: .everyStep(outputGradients), stateGradients: &gradients, gradient: &gradient,
        inputGradients: &inputGradients, tape: &tape)
      return tape.gradientFlow()
    }
  }

  private func expectPlace<C: Cell, S: TestScalar>(
    _ faults: Faults<C, S>, _ pass: NonFinitePlace.Pass, _ quantity: NonFinitePlace.Quantity, layer: Int, step: Int,
    row: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let expected = NonFinitePlace(pass: pass, quantity: quantity, layer: layer, step: step, row: row)
    for (threads, keeping) in [(1, nil), (3, nil), (2, 7 as Int?)] {
      let record = try faults.record(threads: threads, keeping: keeping)
      #expect(
        record.firstNonFinite == expected, "\(C.self) \(S.self), \(threads) threads", sourceLocation: sourceLocation)
    }
  }

  private func index(_ t: Int, _ row: Int, _ width: Int) -> Int { (t * Self.batch + row) * width }

  @Test("NaN and ∞ in the input at (t = 37, row 3)")
  func input() throws {
    for value in [Float.nan, .infinity, -.infinity] {
      func check<C: Cell>(_ cell: C) throws {
        var faults = Faults<C, Float>(cell)
        faults.x[index(37, 3, Self.inputs) + 1] = value
        try expectPlace(faults, .forward, .input, layer: 0, step: 37, row: 3)
      }
      try check(LSTM())
      try check(GRU())
      try check(GRUResetBefore())
      try check(RNN())
      try check(BusyCell())
    }
  }

  @Test("∞ in a weight of gate f, of U and of W, in either layer")
  func weight() throws {
    for layer in 0..<Self.layers {
      for name in ["W", "U"] {
        var faults = Faults<LSTM, Double>(LSTM())
        let range = faults.stack.layout.range(name, gate: "f", layer: layer)!
        faults.stack.withParameters { $0[range.lowerBound + 5] = .infinity }
        // The first h is zero: ∞ · 0 is not a number.
        try expectPlace(faults, .forward, .gate("f"), layer: layer, step: 0, row: 0)
      }
    }
  }

  @Test("a gate whose parts are apart")
  func apartGate() throws {
    for name in ["W", "U"] {
      var faults = Faults<GRU, Float>(GRU())
      let range = faults.stack.layout.range(name, gate: "n", layer: 1)!
      faults.stack.withParameters { $0[range.lowerBound] = -.infinity }
      try expectPlace(faults, .forward, .gate("n"), layer: 1, step: 0, row: 0)
    }
  }

  @Test("NaN in an initial state")
  func initialState() throws {
    var faults = Faults<LSTM, Float>(LSTM())
    faults.initial.values[(Self.layers + 1) * Self.batch * Self.units + 2 * Self.units] = .nan
    try expectPlace(faults, .forward, .initialState("c"), layer: 1, step: 0, row: 2)
    faults.initial.values[Self.batch * Self.units + 4 * Self.units] = .infinity
    try expectPlace(faults, .forward, .initialState("h"), layer: 1, step: 0, row: 4)
  }

  @Test("NaN in the loss's gradient at (t = 21, row 1)")
  func outputGradient() throws {
    func check<C: Cell>(_ cell: C) throws {
      var faults = Faults<C, Float>(cell)
      faults.outputGradients[index(21, 1, Self.units) + 16] = .nan
      try expectPlace(faults, .backward, .outputGradient, layer: 1, step: 21, row: 1)
    }
    try check(LSTM())
    try check(RNN.relu)
    try check(GRUResetBefore())
  }

  @Test("a gradient that overflows on its way back")
  func overflow() throws {
    // Each step back doubles it 40 times over, from 1: beyond Float after 3 steps and a bit.
    var faults = Faults<LinearCell, Float>(LinearCell())
    faults.x = faults.x.map { _ in 0 }
    faults.stack.withParameters { values in values = values.map { _ in 0 } }
    var parameters = faults.stack.parameters
    for unit in 0..<Self.units { parameters["U", unit, unit, layer: 1] = 0x1p40 }
    faults.stack.parameters = parameters
    faults.outputGradients = faults.outputGradients.map { _ in 0 }
    faults.outputGradients[index(49, 2, Self.units)] = 1
    try expectPlace(faults, .backward, .gate("a"), layer: 1, step: 45, row: 2)
  }

  @Test("clipping does not hide an infinity, and one at the initial state alone is found")
  func clippedAndInitial() throws {
    var faults = Faults<LSTM, Float>(LSTM())
    faults.outputGradients[index(21, 1, Self.units)] = .infinity
    faults.control = BackpropagationControl(stepClipping: .value(1))
    try expectPlace(faults, .backward, .outputGradient, layer: 1, step: 21, row: 1)

    var growing = Faults<LinearCell, Float>(LinearCell())
    growing.x = growing.x.map { _ in 0 }
    growing.stack.withParameters { values in values = values.map { _ in 0 } }
    var parameters = growing.stack.parameters
    // After 49 steps 2^126, after 50 beyond Float.
    for unit in 0..<Self.units { parameters["U", unit, unit, layer: 1] = Float(exp2(2.58)) }
    growing.stack.parameters = parameters
    growing.outputGradients = growing.outputGradients.map { _ in 0 }
    growing.outputGradients[index(49, 3, Self.units)] = 1
    try expectPlace(growing, .backward, .initialState("h"), layer: 1, step: 0, row: 3)
  }

  @Test("rows are the caller's where sequences differ in length, and padding is not looked at")
  func lengths() throws {
    var faults = Faults<GRU, Double>(GRU())
    faults.lengths = [3, 50, 0, 44, 50]
    faults.x[index(10, 0, Self.inputs)] = .nan
    faults.x[index(49, 3, Self.inputs)] = .nan
    #expect(try faults.record().firstNonFinite == nil)
    faults.x[index(20, 4, Self.inputs)] = .nan
    try expectPlace(faults, .forward, .input, layer: 0, step: 20, row: 4)
    faults.x[index(20, 3, Self.inputs)] = .nan
    try expectPlace(faults, .forward, .input, layer: 0, step: 20, row: 3)
    faults.x[index(2, 0, Self.inputs)] = .nan
    try expectPlace(faults, .forward, .input, layer: 0, step: 2, row: 0)
  }

  @Test("a state of a user's cell that is not finite though its pre-activations are")
  func state() throws {
    struct Divider: Cell {
      static let gates: [Gate] = ["a"]
      func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(1 / input.gates[0]) }
    }
    var faults = Faults<Divider, Double>(Divider())
    faults.stack.withParameters { values in values = values.map { _ in 0 } }
    try expectPlace(faults, .forward, .state("h"), layer: 0, step: 0, row: 0)
  }
}
