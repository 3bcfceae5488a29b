import Recurrence

/// One layer with everything that its passes read and write, and the loops that are timed.
///
/// Passes take buffers, as an engine's would, and gradients replace what was there. Training passes leave their outputs on the
/// tape, unless it keeps only some of the steps.
final class SequenceOperands<C: Cell, Scalar: RecurrenceScalar> {
  let problem: SequenceProblem
  let layer: RecurrentLayer<C, Scalar>
  private let threads: Int
  private let keeping: Int?
  private let values: SequenceValues
  private let kernels: Kernels<Scalar>
  private let input: [Scalar]
  private let outputGradients: [Scalar]
  /// Of passes whose outputs do not stay on the tape; otherwise empty.
  private var ownOutputs: [Scalar]
  /// After the last step.
  private var states: [Scalar]
  /// With respect to the states before the first step.
  private var stateGradients: [Scalar]
  /// With respect to the parameters.
  private var gradient: [Scalar]
  private var inputGradients: [Scalar]
  private var workspace: InferenceWorkspace<Scalar>
  private var tape: Tape<Scalar>
  private var stream: RecurrentStream<Scalar>
  private var step: [Scalar]

  /// - Parameter keeping: steps that the tape keeps at a time; nil for all.
  init(
    _ cell: C, _ problem: SequenceProblem, threads: Int, kernels: Kernels<Scalar>, trains: Bool, keeping: Int? = nil,
    values: SequenceValues = .ordinary
  ) {
    self.problem = problem
    self.keeping = keeping
    self.values = values
    self.threads = threads
    self.kernels = kernels
    var layer = RecurrentLayer(cell, inputs: problem.inputs, units: problem.units, seed: 1, kernels: kernels)
    if values != .ordinary {
      let biases = layer.layout.tensors.filter { $0.name == "b" || $0.name == "b_h" }.map(\.range)
      layer.withParameters { values in
        for range in biases { for index in range { values[index] = 0 } }
      }
    }
    self.layer = layer
    let (rows, last) = (problem.steps * problem.batch, problem.steps - 1)
    func elements(_ stream: UInt64, _ columns: Int, _ place: (Int) -> Int) -> [Scalar] {
      let scales = (0...last).map { values.scale(place($0), of: problem.steps) }
      let perStep = problem.batch * columns
      return (0..<problem.steps * perStep).map {
        Scalar(Double(operand(stream, $0, as: Scalar.self)) * scales[$0 / perStep])
      }
    }
    input = elements(1, problem.inputs) { $0 }
    outputGradients = trains ? elements(2, problem.units) { last - $0 } : []
    ownOutputs = [Scalar](repeating: 0, count: trains && keeping == nil ? 0 : rows * problem.units)
    states = layer.makeStates(batch: problem.batch).values
    stateGradients = layer.makeStates(batch: problem.batch).values
    gradient = layer.makeGradient().values
    inputGradients = [Scalar](repeating: 0, count: trains ? rows * problem.inputs : 0)
    workspace = layer.makeWorkspace(steps: trains ? 0 : problem.steps, batch: problem.batch, threads: threads)
    tape = layer.makeTape(
      steps: trains ? problem.steps : 0, batch: problem.batch, threads: threads, keeping: keeping)
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
    let kept = tape.bytesPerStep * tape.keptSteps * problem.batch
    return MemoryUse(
      tape: kept, workspace: tape.byteCount - kept, weights: bytes(layer.parameters.values),
      gradient: bytes(gradient),
      operands: bytes(input, ownOutputs, outputGradients, inputGradients, states, stateGradients))
  }

  /// Outputs of the last pass.
  private var outputs: [Scalar] { ownOutputs.isEmpty ? unsafe tape.withUnsafeOutputs { unsafe Array($0) } : ownOutputs }

  /// All gradients of the last training pass.
  var results: [Scalar] { gradient + inputGradients + stateGradients }

  /// The work of a mode, so many times.
  func run(_ mode: SequenceMode, repetitions: Int) {
    switch mode {
    case .infer: infer(repetitions: repetitions)
    case .train: train(repetitions: repetitions)
    case .step: step(repetitions: repetitions)
    }
  }

  /// Forward passes over the whole sequence, from zero states.
  private func infer(repetitions: Int) {
    unsafe withSequence { input, outputs, states in
      for _ in 0..<repetitions {
        unsafe layer.forward(
          input, steps: problem.steps, batch: problem.batch, outputs: outputs, finalStates: states,
          workspace: &workspace)
      }
    }
    BlackHole.consume(Double(ownOutputs[ownOutputs.count - 1]))
  }

  /// Forward and backward passes: gradients of weights, input and initial state.
  private func train(repetitions: Int) {
    unsafe withSequence { input, outputs, states in
      unsafe withDerivatives { outputGradients, gradient, inputGradients, stateGradients in
        for _ in 0..<repetitions {
          unsafe layer.forward(
            input, steps: problem.steps, batch: problem.batch, outputs: outputs.isEmpty ? nil : outputs,
            finalStates: states, tape: &tape)
          unsafe layer.backward(
            input, outputGradients: outputGradients, parameterGradients: gradient, accumulates: false,
            inputGradients: inputGradients, initialStateGradients: stateGradients, tape: &tape)
        }
      }
    }
    BlackHole.consume(Double(gradient[0]))
  }

  private func withSequence(
    _ body: (
      _ input: UnsafeBufferPointer<Scalar>, _ outputs: UnsafeMutableBufferPointer<Scalar>,
      _ states: UnsafeMutableBufferPointer<Scalar>
    ) -> Void
  ) {
    unsafe input.withUnsafeBufferPointer { input in
      unsafe ownOutputs.withUnsafeMutableBufferPointer { outputs in
        unsafe states.withUnsafeMutableBufferPointer { states in unsafe body(input, outputs, states) }
      }
    }
  }

  private func withDerivatives(
    _ body: (
      _ outputGradients: UnsafeBufferPointer<Scalar>, _ gradient: UnsafeMutableBufferPointer<Scalar>,
      _ inputGradients: UnsafeMutableBufferPointer<Scalar>, _ stateGradients: UnsafeMutableBufferPointer<Scalar>
    ) -> Void
  ) {
    unsafe outputGradients.withUnsafeBufferPointer { outputGradients in
      unsafe gradient.withUnsafeMutableBufferPointer { gradient in
        unsafe inputGradients.withUnsafeMutableBufferPointer { inputGradients in
          unsafe stateGradients.withUnsafeMutableBufferPointer { stateGradients in
            unsafe body(outputGradients, gradient, inputGradients, stateGradients)
          }
        }
      }
    }
  }

  /// Single steps with carried state; the input is that of step 0.
  private func step(repetitions: Int) {
    unsafe input.withUnsafeBufferPointer { input in
      let row = unsafe UnsafeBufferPointer(rebasing: input[0..<(problem.batch * problem.inputs)])
      unsafe step.withUnsafeMutableBufferPointer { step in
        for _ in 0..<repetitions { unsafe layer.step(row, into: step, stream: &stream) }
      }
    }
    BlackHole.consume(Double(step[step.count - 1]))
  }

  // MARK: Verification

  /// What numbers that are flushed to zero may add up to, many times over; nothing beside ordinary values.
  private var flushed: Double { 4096 * Double(Scalar.leastNormalMagnitude) }

  /// Why the last pass was not one of values that vanish; nil where it was.
  func objectionToVanishing(_ mode: SequenceMode) -> String? {
    let subnormals = input.count { $0 != 0 && abs($0) < Scalar.leastNormalMagnitude }
    if subnormals < input.count / 3 { return "only \(subnormals) inputs of \(input.count) are subnormal" }
    func isZero(_ values: [Scalar], atStep t: Int) -> Bool {
      let perStep = values.count / problem.steps
      return values[(t * perStep)..<((t + 1) * perStep)].allSatisfy { $0 == 0 }
    }
    let (last, outputs) = (problem.steps - 1, outputs)
    if isZero(outputs, atStep: 0) { return "the first outputs have vanished" }
    if !isZero(outputs, atStep: last) { return "the last outputs have not vanished" }
    if mode.trains && isZero(inputGradients, atStep: last) { return "∂L/∂input has vanished at the last step" }
    if mode.trains && !isZero(inputGradients, atStep: 0) { return "∂L/∂input has not vanished at the first step" }
    return nil
  }

  /// Checks the first steps' outputs against plain loops in Double, and in training all gradients against the same
  /// layer's in Double.
  func verify(_ label: String, _ mode: SequenceMode) throws(BenchmarkFailure) {
    do {
      if mode == .step { stream.reset() } else { run(mode, repetitions: 1) }
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
    // Of inputs in the first step, the largest of all.
    let magnitude = values.scale(0, of: problem.steps)
    let outputs = mode == .step ? [] : outputs
    for row in Set([0, problem.batch - 1]).sorted() {
      var states = [[Double]](repeating: [Double](repeating: 0, count: problem.units), count: C.states.count)
      for t in 0..<(mode == .step ? 3 : min(problem.steps, 3)) {
        if mode == .step { run(mode, repetitions: 1) }
        let place = mode == .step ? row : t * problem.batch + row
        let x = input[(place * problem.inputs)...].prefix(problem.inputs).map { Double($0) }
        states = PlainCell(layer.cell, layer.parameters).step(x, states)
        for unit in 0..<problem.units {
          let actual = Double((mode == .step ? step : outputs)[place * problem.units + unit])
          if !(abs(actual - states[0][unit]) <= 64 * Scalar.unitRoundoff * magnitude + flushed) {
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
  /// and number of threads, and a tape that keeps the same part of it. Where that is not all, the results must also be,
  /// to the bit, those of a tape that keeps all.
  private func verifyGradient(_ label: String) throws {
    let short = problem.shortened(toFlops: 4e9 / SequenceMode.train.passes, gates: C.gates.count)
    func operands(keeping: Int?) -> SequenceOperands {
      let operands = SequenceOperands(
        layer.cell, short, threads: threads, kernels: kernels, trains: true, keeping: keeping, values: values)
      operands.run(.train, repetitions: 1)
      return operands
    }
    let mine = short == problem ? self : operands(keeping: short.keeping(keeping, of: problem))
    if keeping != nil {
      let whole = operands(keeping: nil)
      if mine.results != whole.results || mine.outputs != whole.outputs {
        throw BenchmarkFailure.wrongResult(label, "other bits than with a tape that keeps all steps")
      }
    }
    let wide = SequenceOperands<C, Double>(
      layer.cell, short, threads: 1, kernels: try requireKernels(.baseline, of: Double.self), trains: true,
      values: values)
    wide.run(.train, repetitions: 1)
    for (name, mine, theirs) in [
      ("∂L/∂parameters", mine.gradient, wide.gradient),
      ("∂L/∂input", mine.inputGradients, wide.inputGradients),
    ] {
      let largest = theirs.reduce(0) { max($0, abs($1)) }
      // Not `max`: a NaN must win.
      let error = zip(mine, theirs).reduce(0.0) { abs(Double($1.0) - $1.1) <= $0 ? $0 : abs(Double($1.0) - $1.1) }
      let bound = 256 * Scalar.unitRoundoff * Double(short.steps).squareRoot()
      if !(error <= bound * largest + flushed) {
        throw BenchmarkFailure.wrongResult(label, "\(name): error \(error) of \(largest)")
      }
    }
  }
}
