import RecurrenceKernels

// Passes over arrays. What does not fit throws a `ShapeError`, and nothing is written.

/// Where a loss looks at the outputs of the top layer.
public enum OutputGradients<Scalar: RecurrenceScalar>: Hashable, Sendable {
  /// Not at all: the loss is one of the final states.
  case none
  /// [T, B, H]: at every step.
  case everyStep([Scalar])
  /// [B, H]: at each sequence's own last step; of a sequence without steps, at its initial h.
  case lastStep([Scalar])
}

extension RecurrentStack {
  /// Runs sequences and returns outputs [T, B, H] and final states, both new.
  ///
  /// - Parameters:
  ///   - input: [T, B, I].
  ///   - lengths: B numbers from 0 to T, or nil where every sequence has T steps; see the pass over buffers.
  ///   - initialStates: nil for zero.
  ///
  /// Throws `ShapeError` where a size does not fit.
  public func forward(
    _ input: [Scalar], steps: Int, batch: Int, lengths: [Int]? = nil,
    initialStates: RecurrentStates<Scalar>? = nil, threads: Int = 1
  ) throws(ShapeError) -> (outputs: [Scalar], states: RecurrentStates<Scalar>) {
    if steps < 0 { throw ShapeError("steps", expected: "at least 0", actual: "\(steps)") }
    if batch < 0 { throw ShapeError("batch", expected: "at least 0", actual: "\(batch)") }
    try ShapeError.check("input", input.count, is: ("T", steps), ("B", batch), ("I", inputs))
    var workspace = makeWorkspace(steps: steps, batch: batch, threads: threads, ragged: lengths != nil)
    var states = initialStates ?? makeStates(batch: batch)
    var outputs = [Scalar](repeating: 0, count: steps * batch * units)
    try forward(
      input, steps: steps, batch: batch, lengths: lengths, states: &states, outputs: &outputs, workspace: &workspace)
    return (outputs, states)
  }

  /// Runs sequences.
  ///
  /// - Parameters:
  ///   - states: in, the initial states; out, the final ones.
  ///   - outputs: out, T·B·H elements.
  ///   - workspace: made by this stack, for at least as many steps and sequences.
  public func forward(
    _ input: [Scalar], steps: Int, batch: Int, lengths: [Int]? = nil, states: inout RecurrentStates<Scalar>,
    outputs: inout [Scalar], workspace: inout InferenceWorkspace<Scalar>
  ) throws(ShapeError) {
    let memory = workspace.memory
    try shape.forward(input, steps: steps, batch: batch, lengths, &states, &outputs, packed, memory)
  }

  /// Runs sequences and keeps on the tape what their gradient needs. Parameters as above.
  public func forward(
    _ input: [Scalar], steps: Int, batch: Int, lengths: [Int]? = nil, states: inout RecurrentStates<Scalar>,
    outputs: inout [Scalar], tape: inout Tape<Scalar>
  ) throws(ShapeError) {
    try shape.forward(input, steps: steps, batch: batch, lengths, &states, &outputs, packed, tape.memory)
    tape.isFilled = true
  }

  /// The gradient of a loss, pulled back through the forward pass on the tape.
  ///
  /// - Parameters:
  ///   - input: as in the forward pass.
  ///   - outputGradients: ∂L/∂outputs.
  ///   - stateGradients: in, ∂L/∂(final states); out, ∂L/∂(initial states).
  ///   - gradient: in and out: ∂L/∂parameters is added.
  ///   - inputGradients: out, T·B·I elements: ∂L/∂input.
  ///   - tape: holds a forward pass of this stack, with the same parameters. It is left as it is.
  public func backward(
    _ input: [Scalar], outputGradients: OutputGradients<Scalar>, stateGradients: inout RecurrentStates<Scalar>,
    gradient: inout Parameters<Scalar>, inputGradients: inout [Scalar], tape: inout Tape<Scalar>
  ) throws(ShapeError) {
    unsafe try withUnsafeParameters { parameters throws(ShapeError) in
      unsafe try shape.backward(
        input, outputGradients, &stateGradients, &gradient, &inputGradients, packed, parameters, &tape)
    }
  }

  /// One step of every sequence of a stream: input [B, I] to outputs [B, H] of the top layer.
  public func step(
    _ input: [Scalar], into outputs: inout [Scalar], stream: inout RecurrentStream<Scalar>
  ) throws(ShapeError) {
    try shape.check(stream, inputs: input.count, outputs: outputs.count)
    unsafe input.withUnsafeBufferPointer { input in
      unsafe outputs.withUnsafeMutableBufferPointer { outputs in
        unsafe step(input, into: outputs, stream: &stream)
      }
    }
  }
}

// Of the shape: see `StackShape.check`.

extension StackShape {
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  fileprivate func forward(
    _ input: [Scalar], steps: Int, batch: Int, _ lengths: [Int]?, _ states: inout RecurrentStates<Scalar>,
    _ outputs: inout [Scalar], _ packed: PackedStack<Scalar>, _ memory: SequenceMemory<Scalar>
  ) throws(ShapeError) {
    try checkSizes(steps: steps, batch: batch, memory, memory.name)
    try checkLayout(states, "states", batch: batch)
    unsafe try input.withUnsafeBufferPointer { input throws(ShapeError) in
      unsafe try outputs.withUnsafeMutableBufferPointer { outputs throws(ShapeError) in
        unsafe try states.values.withUnsafeMutableBufferPointer { states throws(ShapeError) in
          unsafe try withOptional(lengths) { lengths throws(ShapeError) in
            let buffers = unsafe ForwardBuffers(
              input: input, steps: steps, batch: batch, lengths: lengths,
              initialStates: UnsafeBufferPointer(states), outputs: outputs, finalStates: states)
            unsafe try check(buffers, memory)
            unsafe memory.run(buffers, packed)
          }
        }
      }
    }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  fileprivate func backward(
    _ input: [Scalar], _ outputGradients: OutputGradients<Scalar>, _ stateGradients: inout RecurrentStates<Scalar>,
    _ gradient: inout Parameters<Scalar>, _ inputGradients: inout [Scalar], _ packed: PackedStack<Scalar>,
    _ parameters: UnsafePointer<Scalar>, _ tape: inout Tape<Scalar>
  ) throws(ShapeError) {
    try checkFilled(tape)
    let memory = tape.memory
    let batch = memory.schedule.batch
    try checkLayout(stateGradients, "stateGradients", batch: batch)
    if gradient.layout != layout {
      throw ShapeError(
        "gradient", expected: "the layout of this stack (\(layout.count) parameters)",
        actual: "another's (\(gradient.layout.count) parameters)")
    }
    var everyStep: [Scalar]? = nil
    var lastStep: [Scalar]? = nil
    switch outputGradients {
    case .none: break
    case .everyStep(let values): everyStep = values
    case .lastStep(let values):
      try ShapeError.check("outputGradients", values.count, is: ("B", batch), ("H", units))
      lastStep = values
    }
    unsafe try input.withUnsafeBufferPointer { input throws(ShapeError) in
      unsafe try inputGradients.withUnsafeMutableBufferPointer { inputGradients throws(ShapeError) in
        unsafe try gradient.values.withUnsafeMutableBufferPointer { gradient throws(ShapeError) in
          unsafe try stateGradients.values.withUnsafeMutableBufferPointer { states throws(ShapeError) in
            unsafe try withOptional(everyStep) { outputGradients throws(ShapeError) in
              let buffers = unsafe BackwardBuffers(
                input: input, outputGradients: outputGradients,
                finalStateGradients: UnsafeBufferPointer(states), parameterGradients: gradient,
                inputGradients: inputGradients, initialStateGradients: states)
              unsafe try check(buffers, tape)
              // The last output of a sequence is its final h in the top layer.
              if let lastStep {
                let top = (layers - 1) * batch * units
                for index in lastStep.indices { unsafe states[top + index] += lastStep[index] }
              }
              unsafe memory.run(buffers, packed, parameters: parameters)
            }
          }
        }
      }
    }
  }

  private func withOptional<Element>(
    _ array: [Element]?, _ body: (UnsafeBufferPointer<Element>?) throws(ShapeError) -> Void
  ) throws(ShapeError) {
    guard let array else { return try body(nil) }
    unsafe try array.withUnsafeBufferPointer { buffer throws(ShapeError) in unsafe try body(buffer) }
  }
}
