import RecurrenceKernels

// Passes over memory of the caller: the level that the others stand on. What does not fit traps with a sentence.

extension RecurrentStack {
  /// Runs sequences without keeping what a gradient needs.
  ///
  /// - Parameters:
  ///   - input: in, [T, B, I].
  ///   - steps: T. Zero is legal: the final states are the initial ones.
  ///   - batch: B. Zero is legal.
  ///   - lengths: in, B numbers from 0 to T, or nil where every sequence has T steps. What lies in padded steps is not
  ///     read; outputs of padded steps are zero; final states are those after each sequence's own last step.
  ///   - initialStates: in, [S, L, B, H], or nil for zero.
  ///   - outputs: out, [T, B, H] of the top layer, or nil. Must not overlap the input.
  ///   - finalStates: out, [S, L, B, H], or nil. May be the memory of the initial states.
  ///   - workspace: made by this stack.
  @unsafe public func forward(
    _ input: UnsafeBufferPointer<Scalar>, steps: Int, batch: Int, lengths: UnsafeBufferPointer<Int>? = nil,
    initialStates: UnsafeBufferPointer<Scalar>? = nil, outputs: UnsafeMutableBufferPointer<Scalar>? = nil,
    finalStates: UnsafeMutableBufferPointer<Scalar>? = nil, workspace: inout InferenceWorkspace<Scalar>
  ) {
    let sequence = unsafe ForwardBuffers(
      input: input, steps: steps, batch: batch, lengths: lengths, initialStates: initialStates, outputs: outputs,
      finalStates: finalStates)
    unsafe forward(sequence, workspace: &workspace)
  }

  func forward(_ buffers: ForwardBuffers<Scalar>, workspace: inout InferenceWorkspace<Scalar>) {
    orTrap { () throws(ShapeError) in unsafe try shape.check(buffers, workspace.memory) }
    unsafe workspace.memory.run(buffers, packed)
  }

  /// Runs sequences and keeps on the tape what their gradient needs. Parameters as above.
  @unsafe public func forward(
    _ input: UnsafeBufferPointer<Scalar>, steps: Int, batch: Int, lengths: UnsafeBufferPointer<Int>? = nil,
    initialStates: UnsafeBufferPointer<Scalar>? = nil, outputs: UnsafeMutableBufferPointer<Scalar>? = nil,
    finalStates: UnsafeMutableBufferPointer<Scalar>? = nil, tape: inout Tape<Scalar>
  ) {
    let sequence = unsafe ForwardBuffers(
      input: input, steps: steps, batch: batch, lengths: lengths, initialStates: initialStates, outputs: outputs,
      finalStates: finalStates)
    unsafe forward(sequence, tape: &tape)
  }

  func forward(_ buffers: ForwardBuffers<Scalar>, tape: inout Tape<Scalar>) {
    orTrap { () throws(ShapeError) in unsafe try shape.check(buffers, tape.memory) }
    unsafe tape.memory.run(buffers, packed)
    tape.isFilled = true
  }

  /// The gradient of a loss, pulled back through the forward pass on the tape.
  ///
  /// - Parameters:
  ///   - input: in, [T, B, I], unchanged since the forward pass.
  ///   - outputGradients: in, [T, B, H]: ∂L/∂outputs, or nil for zero. Padded steps are not read.
  ///   - finalStateGradients: in, [S, L, B, H]: ∂L/∂(final states), or nil for zero.
  ///   - parameterGradients: as `layout` says. In and out: ∂L/∂parameters is added.
  ///   - accumulates: false where ∂L/∂parameters is to replace what is in `parameterGradients`, which is then not read.
  ///   - inputGradients: out, [T, B, I]: ∂L/∂input, zero in padded steps; or nil. Must not overlap the input or
  ///     `outputGradients`.
  ///   - initialStateGradients: out, [S, L, B, H]: ∂L/∂(initial states); or nil. May be the memory of
  ///     `finalStateGradients`.
  ///   - tape: holds a forward pass of this stack, with the same parameters. It is left as it is.
  @unsafe public func backward(
    _ input: UnsafeBufferPointer<Scalar>, outputGradients: UnsafeBufferPointer<Scalar>? = nil,
    finalStateGradients: UnsafeBufferPointer<Scalar>? = nil,
    parameterGradients: UnsafeMutableBufferPointer<Scalar>, accumulates: Bool = true,
    inputGradients: UnsafeMutableBufferPointer<Scalar>? = nil,
    initialStateGradients: UnsafeMutableBufferPointer<Scalar>? = nil, tape: inout Tape<Scalar>
  ) {
    let buffers = unsafe BackwardBuffers(
      input: input, outputGradients: outputGradients, finalStateGradients: finalStateGradients,
      parameterGradients: parameterGradients, accumulates: accumulates, inputGradients: inputGradients,
      initialStateGradients: initialStateGradients)
    unsafe backward(buffers, tape: &tape)
  }

  func backward(_ buffers: BackwardBuffers<Scalar>, tape: inout Tape<Scalar>) {
    orTrap { () throws(ShapeError) in unsafe try shape.check(buffers, tape) }
    unsafe tape.memory.run(buffers, packed, storage)
  }

  /// One step of every sequence of a stream.
  ///
  /// - Parameters:
  ///   - input: in, [B, I].
  ///   - outputs: out, [B, H] of the top layer. Must not overlap the input.
  ///   - stream: made by this stack; its states go one step on.
  @unsafe public func step(
    _ input: UnsafeBufferPointer<Scalar>, into outputs: UnsafeMutableBufferPointer<Scalar>,
    stream: inout RecurrentStream<Scalar>
  ) {
    if stream.memory.shape !== shape || !stream.fits(input.count, outputs.count) {
      orTrap { () throws(ShapeError) in try shape.check(stream, inputs: input.count, outputs: outputs.count) }
    }
    unsafe stream.step(packed, input, outputs)
  }
}

/// A shape that does not fit is a programmer's error here.
func orTrap(_ body: () throws(ShapeError) -> Void) {
  do throws(ShapeError) {
    try body()
  } catch {
    fatalError(error.description)
  }
}
