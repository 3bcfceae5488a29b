import Recurrence
import RecurrenceTesting

/// Every kind of pass over one stack, each run again and again with the same memory.
struct SteadyPasses<Scalar: TestScalar> {
  let kernels: Kernels<Scalar>
  let shape: ProblemShape
  let threads: Int

  /// Shapes whose units are whole panels and are not, with and without lengths.
  static var shapes: [ProblemShape] {
    [
      ProblemShape(steps: 9, batch: 5, inputs: 3, units: 7, layers: 2),
      ProblemShape(steps: 9, batch: 5, inputs: 3, units: 7, layers: 2, lengths: [4, 9, 0, 9, 1]),
      ProblemShape(steps: 6, batch: 8, inputs: 40, units: 32, layers: 1),
      ProblemShape(steps: 6, batch: 8, inputs: 40, units: 32, layers: 1, lengths: [6, 6, 5, 0, 2, 3, 4, 6]),
    ]
  }

  func run<C: Cell>(_ cell: C, _ meter: inout some AllocationMeter) throws {
    var stack = RecurrentStack<C, Scalar>(
      cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 5, kernels: kernels)
    var random = SeededRandom(stream: 11)
    let problem = SequenceProblem(shape, states: C.states.count, random: &random)
    func label(_ pass: String) -> String { "\(C.self) \(Scalar.self) \(kernels.instructionSet) \(shape): \(pass)" }
    try runForward(stack, problem, label, &meter)
    try runTape(stack, problem, keeping: nil, label, &meter)
    try runTape(stack, problem, keeping: 4, label, &meter)
    try runStream(stack, problem, label, &meter)
    try runTruncated(stack, problem, label, &meter)
    meter.measure({ label("withParameters") }) { stack.withParameters { $0[0] += 1 } }
  }

  private func runForward<C: Cell>(
    _ stack: RecurrentStack<C, Scalar>, _ problem: SequenceProblem, _ label: (String) -> String,
    _ meter: inout some AllocationMeter
  ) throws {
    let (steps, batch, lengths) = (shape.steps, shape.batch, shape.lengths)
    let x = problem.x.map { Scalar($0) }
    var states = stack.makeStates(batch: batch)
    states.values = problem.initial.map { Scalar($0) }
    var outputs = [Scalar](repeating: 0, count: steps * batch * shape.units)
    var workspace = stack.makeWorkspace(
      steps: steps, batch: batch, threads: threads, ragged: lengths != nil, smallestSplit: 0)
    try meter.measure({ label("forward with a workspace, arrays") }) {
      try stack.forward(
        x, steps: steps, batch: batch, lengths: lengths, states: &states, outputs: &outputs, workspace: &workspace)
    }
    unsafe x.withUnsafeBufferPointer { x in
      unsafe states.values.withUnsafeMutableBufferPointer { states in
        unsafe outputs.withUnsafeMutableBufferPointer { outputs in
          unsafe withOptionalBuffer(lengths) { lengths in
            meter.measure({ label("forward with a workspace, buffers") }) {
              unsafe stack.forward(
                x, steps: steps, batch: batch, lengths: lengths, initialStates: UnsafeBufferPointer(states),
                outputs: outputs, finalStates: states, workspace: &workspace)
            }
          }
        }
      }
    }
  }

  private func runTape<C: Cell>(
    _ stack: RecurrentStack<C, Scalar>, _ problem: SequenceProblem, keeping: Int?, _ label: (String) -> String,
    _ meter: inout some AllocationMeter
  ) throws {
    let (steps, batch, lengths) = (shape.steps, shape.batch, shape.lengths)
    let kept = keeping.map { ", keeping \($0)" } ?? ""
    let x = problem.x.map { Scalar($0) }
    let each = problem.outputGradients.map { Scalar($0) }
    let losses: [(String, OutputGradients<Scalar>)] = [
      ("no output gradients", .none), ("every step", .everyStep(each)),
      ("last step", .lastStep(Array(each.prefix(batch * shape.units)))),
    ]
    var states = stack.makeStates(batch: batch)
    var stateGradients = states
    stateGradients.values = problem.finalGradients.map { Scalar($0) }
    var outputs = [Scalar](repeating: 0, count: steps * batch * shape.units)
    var inputGradients = [Scalar](repeating: 0, count: x.count)
    var gradient = stack.makeGradient()
    var tape = stack.makeTape(
      steps: steps, batch: batch, threads: threads, ragged: lengths != nil, keeping: keeping, smallestSplit: 0)
    try meter.measure({ label("forward with a tape\(kept), arrays") }) {
      try stack.forward(
        x, steps: steps, batch: batch, lengths: lengths, states: &states, outputs: &outputs, tape: &tape)
    }
    for (name, loss) in losses {
      try meter.measure({ label("backward\(kept), \(name), arrays") }) {
        try stack.backward(
          x, outputGradients: loss, stateGradients: &stateGradients, gradient: &gradient,
          inputGradients: &inputGradients, tape: &tape)
      }
    }
    unsafe x.withUnsafeBufferPointer { x in
      unsafe states.values.withUnsafeMutableBufferPointer { states in
        unsafe outputs.withUnsafeMutableBufferPointer { outputs in
          unsafe withOptionalBuffer(lengths) { lengths in
            meter.measure({ label("forward with a tape\(kept), buffers") }) {
              unsafe stack.forward(
                x, steps: steps, batch: batch, lengths: lengths, outputs: outputs, finalStates: states, tape: &tape)
            }
          }
        }
      }
      unsafe each.withUnsafeBufferPointer { each in
        unsafe gradient.values.withUnsafeMutableBufferPointer { gradient in
          unsafe inputGradients.withUnsafeMutableBufferPointer { inputGradients in
            meter.measure({ label("backward\(kept), buffers") }) {
              unsafe stack.backward(
                x, outputGradients: each, parameterGradients: gradient, inputGradients: inputGradients, tape: &tape)
            }
          }
        }
      }
    }
  }

  private func runStream<C: Cell>(
    _ stack: RecurrentStack<C, Scalar>, _ problem: SequenceProblem, _ label: (String) -> String,
    _ meter: inout some AllocationMeter
  ) throws {
    let batch = shape.batch
    let x = problem.x.prefix(batch * shape.inputs).map { Scalar($0) }
    var outputs = [Scalar](repeating: 0, count: batch * shape.units)
    var stream = stack.makeStream(batch: batch)
    try meter.measure({ label("step, arrays") }) { try stack.step(x, into: &outputs, stream: &stream) }
    unsafe x.withUnsafeBufferPointer { x in
      unsafe outputs.withUnsafeMutableBufferPointer { outputs in
        meter.measure({ label("step, buffers") }) { unsafe stack.step(x, into: outputs, stream: &stream) }
      }
    }
    meter.measure({ label("reset of a stream") }) { stream.reset() }
  }

  private func runTruncated<C: Cell>(
    _ stack: RecurrentStack<C, Scalar>, _ problem: SequenceProblem, _ label: (String) -> String,
    _ meter: inout some AllocationMeter
  ) throws {
    let (batch, window) = (shape.batch, 2)
    let x = problem.x.prefix(window * batch * shape.inputs).map { Scalar($0) }
    let outputGradients = problem.outputGradients.prefix(window * batch * shape.units).map { Scalar($0) }
    var outputs = [Scalar](repeating: 0, count: window * batch * shape.units)
    var inputGradients = [Scalar](repeating: 0, count: 3 * window * batch * shape.inputs)
    var gradient = stack.makeGradient()
    var truncated = TruncatedBackpropagation(
      stack, window: window, reach: 3 * window, batch: batch, threads: threads, smallestSplit: 0)
    for _ in 0..<3 { try truncated.forward(stack, x, outputs: &outputs) }
    try meter.measure({ label("truncated backpropagation, arrays") }) {
      try truncated.forward(stack, x, outputs: &outputs)
      try truncated.backward(
        stack, outputGradients: outputGradients, gradient: &gradient, inputGradients: &inputGradients)
    }
    unsafe x.withUnsafeBufferPointer { x in
      unsafe outputGradients.withUnsafeBufferPointer { outputGradients in
        unsafe outputs.withUnsafeMutableBufferPointer { outputs in
          unsafe gradient.values.withUnsafeMutableBufferPointer { gradient in
            meter.measure({ label("truncated backpropagation, buffers") }) {
              truncated.reset(rows: CollectionOfOne(0))
              unsafe truncated.forward(stack, x, outputs: outputs)
              unsafe truncated.backward(stack, outputGradients: outputGradients, parameterGradients: gradient)
            }
          }
        }
      }
    }
  }

  private func withOptionalBuffer(_ array: [Int]?, _ body: (UnsafeBufferPointer<Int>?) -> Void) {
    guard let array else { return body(nil) }
    unsafe array.withUnsafeBufferPointer { unsafe body($0) }
  }
}

/// All shapes of `SteadyPasses`, for one cell and scalar type.
struct SteadyVisitor<Scalar: TestScalar, Meter: AllocationMeter>: CellVisitor {
  let kernels: [Kernels<Scalar>]
  let threads: Int
  var meter: Meter

  mutating func visit<C: Cell>(_ cell: C) throws {
    for kernels in kernels {
      for shape in SteadyPasses<Scalar>.shapes {
        try SteadyPasses(kernels: kernels, shape: shape, threads: threads).run(cell, &meter)
      }
    }
  }
}
