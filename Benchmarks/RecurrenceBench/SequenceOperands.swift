import Recurrence

/// One layer with everything that its passes read and write, and the loops that are timed.
final class SequenceOperands<C: Cell, Scalar: RecurrenceScalar> {
  let problem: SequenceProblem
  let layer: RecurrentLayer<C, Scalar>
  private let threads: Int
  private let kernels: Kernels<Scalar>
  private let input: [Scalar]
  private let outputGradients: OutputGradients<Scalar>
  private var outputs: [Scalar]
  private var states: RecurrentStates<Scalar>
  private var stateGradients: RecurrentStates<Scalar>
  private var gradient: Parameters<Scalar>
  private var inputGradients: [Scalar]
  private var workspace: InferenceWorkspace<Scalar>
  private var tape: Tape<Scalar>
  private var stream: RecurrentStream<Scalar>
  private var step: [Scalar]

  init(_ cell: C, _ problem: SequenceProblem, threads: Int, kernels: Kernels<Scalar>, trains: Bool) {
    self.problem = problem
    self.threads = threads
    self.kernels = kernels
    layer = RecurrentLayer(cell, inputs: problem.inputs, units: problem.units, seed: 1, kernels: kernels)
    let rows = problem.steps * problem.batch
    input = (0..<rows * problem.inputs).map { operand(1, $0) }
    outputGradients = .everyStep(trains ? (0..<rows * problem.units).map { operand(2, $0) } : [])
    outputs = [Scalar](repeating: 0, count: rows * problem.units)
    states = layer.makeStates(batch: problem.batch)
    stateGradients = states
    gradient = layer.makeGradient()
    inputGradients = [Scalar](repeating: 0, count: trains ? rows * problem.inputs : 0)
    workspace = layer.makeWorkspace(steps: trains ? 0 : problem.steps, batch: problem.batch, threads: threads)
    tape = layer.makeTape(steps: trains ? problem.steps : 0, batch: problem.batch, threads: threads)
    stream = layer.makeStream(batch: problem.batch)
    step = [Scalar](repeating: 0, count: problem.batch * problem.units)
  }

  /// Whether training passes record the gradient flow.
  var records: Bool {
    get { tape.recordsGradientFlow }
    set { tape.recordsGradientFlow = newValue }
  }

  /// Whether every norm that the last training pass recorded is a number, and ∂L/∂h is not zero everywhere.
  var recordIsSound: Bool {
    let states = tape.gradientFlow().layers[0].states
    return states.allSatisfy { $0.gradientNorms.allSatisfy(\.isFinite) && $0.norms.allSatisfy(\.isFinite) }
      && states[0].gradientNorms.contains { $0 > 0 }
  }

  /// What the library says of its memory, and the arrays beside it; the peak is left to the process.
  var memoryUse: MemoryUse {
    func bytes(_ arrays: [Scalar]...) -> Int { arrays.reduce(0) { $0 + $1.count } * MemoryLayout<Scalar>.stride }
    let kept = tape.bytesPerStep * problem.steps * problem.batch
    return MemoryUse(
      tape: kept, workspace: tape.byteCount - kept, weights: bytes(layer.parameters.values),
      gradient: bytes(gradient.values),
      operands: bytes(input, outputs, outputs, inputGradients, states.values, stateGradients.values))
  }

  /// All gradients of the last training pass.
  var results: [Scalar] { gradient.values + inputGradients + stateGradients.values }

  /// Forward passes over the whole sequence, from zero states.
  func infer(repetitions: Int) throws(ShapeError) {
    for _ in 0..<repetitions {
      clear(&states)
      try layer.forward(
        input, steps: problem.steps, batch: problem.batch, states: &states, outputs: &outputs, workspace: &workspace)
    }
    BlackHole.consume(Double(outputs[outputs.count - 1]))
  }

  /// Forward and backward passes: gradients of weights, input and initial state.
  func train(repetitions: Int) throws(ShapeError) {
    for _ in 0..<repetitions {
      clear(&states)
      clear(&stateGradients)
      unsafe gradient.values.withUnsafeMutableBufferPointer { buffer in unsafe buffer.update(repeating: 0) }
      try layer.forward(
        input, steps: problem.steps, batch: problem.batch, states: &states, outputs: &outputs, tape: &tape)
      try layer.backward(
        input, outputGradients: outputGradients, stateGradients: &stateGradients, gradient: &gradient,
        inputGradients: &inputGradients, tape: &tape)
    }
    BlackHole.consume(Double(gradient.values[0]))
  }

  /// Single steps with carried state; the input is that of step 0.
  func step(repetitions: Int) throws(ShapeError) {
    unsafe try input.withUnsafeBufferPointer { input throws(ShapeError) in
      let row = unsafe UnsafeBufferPointer(rebasing: input[0..<(problem.batch * problem.inputs)])
      unsafe step.withUnsafeMutableBufferPointer { step in
        for _ in 0..<repetitions { unsafe layer.step(row, into: step, stream: &stream) }
      }
    }
    BlackHole.consume(Double(step[step.count - 1]))
  }

  private func clear(_ states: inout RecurrentStates<Scalar>) {
    unsafe states.values.withUnsafeMutableBufferPointer { buffer in unsafe buffer.update(repeating: 0) }
  }

  // MARK: Verification

  /// Checks the first steps' outputs against plain loops in Double, and in training all gradients against the same
  /// layer's in Double.
  func verify(_ label: String, _ mode: SequenceMode) throws(BenchmarkFailure) {
    do {
      switch mode {
      case .infer: try infer(repetitions: 1)
      case .train: try train(repetitions: 1)
      case .step: stream.reset()
      }
      try verifyOutputs(label, mode)
      if mode.trains { try verifyGradient(label) }
    } catch let failure as BenchmarkFailure {
      throw failure
    } catch {
      throw BenchmarkFailure("\(label): \(error)")
    }
  }

  /// The last pass's outputs of the first and last row, at up to three steps; of a stream, of three steps from now on.
  private func verifyOutputs(_ label: String, _ mode: SequenceMode) throws {
    for row in Set([0, problem.batch - 1]).sorted() {
      var states = [[Double]](repeating: [Double](repeating: 0, count: problem.units), count: C.states.count)
      for t in 0..<(mode == .step ? 3 : min(problem.steps, 3)) {
        if mode == .step { try step(repetitions: 1) }
        let place = mode == .step ? row : t * problem.batch + row
        let x = input[(place * problem.inputs)...].prefix(problem.inputs).map { Double($0) }
        states = PlainCell(layer.cell, layer.parameters).step(x, states)
        for unit in 0..<problem.units {
          let actual = Double((mode == .step ? step : outputs)[place * problem.units + unit])
          if !(abs(actual - states[0][unit]) <= 64 * Scalar.unitRoundoff) {
            throw BenchmarkFailure.wrongResult(
              label, "h[\(t), \(row), \(unit)]: expected \(states[0][unit]), got \(actual)")
          }
        }
      }
    }
  }

  /// Gradients of weights and input against those of the same layer in Double with the baseline's kernels.
  ///
  /// Those take a minute for the largest shapes, of which a shorter sequence is checked, with the same weights, kernels
  /// and number of threads.
  private func verifyGradient(_ label: String) throws {
    let short = problem.shortened(toFlops: 4e9 / SequenceMode.train.passes, gates: C.gates.count)
    let mine =
      short == problem ? self : SequenceOperands(layer.cell, short, threads: threads, kernels: kernels, trains: true)
    if mine !== self { try mine.train(repetitions: 1) }
    let wide = SequenceOperands<C, Double>(
      layer.cell, short, threads: 1, kernels: try requireKernels(.baseline, of: Double.self), trains: true)
    try wide.train(repetitions: 1)
    for (name, mine, theirs) in [
      ("∂L/∂parameters", mine.gradient.values, wide.gradient.values),
      ("∂L/∂input", mine.inputGradients, wide.inputGradients),
    ] {
      let largest = theirs.reduce(0) { max($0, abs($1)) }
      // Not `max`: a NaN must win.
      let error = zip(mine, theirs).reduce(0.0) { abs(Double($1.0) - $1.1) <= $0 ? $0 : abs(Double($1.0) - $1.1) }
      let bound = 256 * Scalar.unitRoundoff * Double(short.steps).squareRoot()
      if !(error <= bound * largest) {
        throw BenchmarkFailure.wrongResult(label, "\(name): error \(error) of \(largest)")
      }
    }
  }
}
