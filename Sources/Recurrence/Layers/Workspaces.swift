// What passes work in. Each has one owner at a time and may be moved between threads.

/// Memory for forward passes without a gradient. Made by `RecurrentStack.makeWorkspace`.
@safe public struct InferenceWorkspace<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  let memory: SequenceMemory<Scalar>
  /// Bytes that it takes.
  public var byteCount: Int { memory.byteCount }
}

/// What a forward pass leaves for the backward pass, and the memory that both work in. Made by `RecurrentStack.makeTape`.
///
/// One allocation, used again by every pass. A backward pass may be repeated: it leaves the tape as it is.
@safe public struct Tape<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  let memory: SequenceMemory<Scalar>
  /// Whether a forward pass has been taped.
  var isFilled = false
  /// Bytes that it takes in all.
  public var byteCount: Int { memory.byteCount }
  /// Bytes that each step of each sequence keeps for the backward pass, over all layers.
  public var bytesPerStep: Int { memory.tapeBytesPerStep }
  /// Steps that are kept at a time; where the sequence is longer, the others are run again.
  public var keptSteps: Int { memory.use.tapeSteps! }

  /// Calls `body` with the outputs of the last forward pass, [T, B, H] of the top layer, where the tape has them: a pass that is
  /// asked for no outputs does not write them twice. They are valid until `body` returns, and stay what they are until the next
  /// forward pass.
  ///
  /// Traps where no forward pass is on the tape, where it keeps fewer steps than the pass had, and where the pass had lengths: its
  /// rows lie in another order.
  @unsafe public func withUnsafeOutputs<Result>(
    _ body: (UnsafeBufferPointer<Scalar>) throws -> Result
  ) rethrows -> Result {
    let schedule = memory.schedule
    guard isFilled else { fatalError("outputs: expected a tape that holds a forward pass") }
    guard schedule.steps <= keptSteps else {
      fatalError("outputs: expected a tape that keeps all \(schedule.steps) steps, got one that keeps \(keptSteps)")
    }
    guard schedule.isUniform else { fatalError("outputs: expected a pass without lengths, whose rows are in order") }
    let count = schedule.steps * schedule.batch * memory.shape.units
    return unsafe try body(
      UnsafeBufferPointer(start: memory.tapeHidden(memory.shape.layers - 1), count: count))
  }

  /// Whether passes measure the gradient flow. The results of a pass keep their bits; see Docs/GradientFlow.md for what it
  /// costs. To be set before the forward pass.
  public var recordsGradientFlow: Bool {
    get { memory.recorder != nil }
    set {
      if newValue == recordsGradientFlow { return }
      memory.recorder =
        newValue
        ? FlowRecorder(
          memory.shape, memory.schedule, steps: memory.use.steps, batch: memory.use.batch, parts: memory.use.threads)
        : nil
    }
  }

  /// What the last forward and backward passes measured. Traps where `recordsGradientFlow` was not set.
  public func gradientFlow() -> GradientFlowRecord {
    guard let recorder = memory.recorder else {
      fatalError("gradientFlow: expected a tape that records the gradient flow")
    }
    return GradientFlowRecord(recorder, memory.schedule)
  }

  /// What is done to the gradient inside the backward loop; by default nothing.
  public var control: BackpropagationControl {
    get { memory.control?.policy ?? BackpropagationControl() }
    set {
      memory.control =
        newValue.isIdle
        ? nil
        : FlowControl(
          newValue, memory.shape, batch: memory.use.batch, parts: memory.use.threads, chunk: memory.gradientChunk)
    }
  }

  /// What the control of the last backward pass did; nil where it had nothing to do.
  public var controlOutcome: BackpropagationOutcome? { memory.control?.outcome }

  init(memory: SequenceMemory<Scalar>) { self.memory = memory }
}

/// The states of sequences that arrive step by step, and the memory a step works in. Made by `RecurrentStack.makeStream`.
@safe public struct RecurrentStream<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  let memory: SequenceMemory<Scalar>
  private let steps: StreamSteps<Scalar>
  public var batch: Int { memory.use.batch }

  init(memory: SequenceMemory<Scalar>) {
    self.memory = memory
    steps = StreamSteps(memory)
    memory.schedule.set(steps: 1, batch: memory.use.batch)
    reset()
  }

  /// Whether buffers of these sizes are a step's input and output.
  func fits(_ inputs: Int, _ outputs: Int) -> Bool { inputs == steps.inputCount && outputs == steps.outputCount }

  /// One step: input [B, I] to outputs [B, H].
  func step(
    _ packed: PackedStack<Scalar>, _ input: UnsafeBufferPointer<Scalar>, _ outputs: UnsafeMutableBufferPointer<Scalar>
  ) {
    guard let source = input.baseAddress, let target = outputs.baseAddress else { return }
    unsafe steps.run(packed, source, target)
  }

  /// Sets all states to zero.
  public mutating func reset() {
    for plane in 0..<memory.shape.plan.planes.states {
      unsafe memory.load(nil, plane: plane, into: memory.hidden(0), memory.other(0))
    }
  }

  /// The states after the last step. Setting states of another shape traps.
  public var states: RecurrentStates<Scalar> {
    get {
      var states = RecurrentStates<Scalar>(
        names: memory.shape.plan.stateNames, layers: memory.shape.layers, batch: batch, units: memory.shape.units)
      unsafe states.values.withUnsafeMutableBufferPointer { unsafe memory.storeStates($0.baseAddress) }
      return states
    }
    set {
      let (shape, names) = (memory.shape, memory.shape.plan.stateNames)
      if !newValue.hasShape(names, layers: shape.layers, batch: batch, units: shape.units) {
        let expected = RecurrentStates<Scalar>.describe(names, layers: shape.layers, batch: batch, units: shape.units)
        fatalError("states: expected \(expected), got \(newValue.shapeDescription)")
      }
      unsafe newValue.values.withUnsafeBufferPointer { unsafe memory.loadStates($0.baseAddress) }
    }
  }
}

extension StackShape {
  /// Elements of states, [S, L, B, H].
  func stateCount(batch: Int) -> Int { plan.planes.states * layers * batch * units }
}

extension SequenceMemory {
  /// Sets the states before the first step, from [S, L, B, H] or to zero.
  func loadStates(_ states: UnsafePointer<Scalar>?) {
    unsafe forEachState(states) { plane, source in unsafe load(source, plane: plane, into: hidden(0), other(0)) }
  }

  /// The states after the last step.
  func storeStates(_ states: UnsafeMutablePointer<Scalar>?) {
    unsafe forEachState(UnsafePointer(states)) { plane, target in
      if let target = unsafe target {
        unsafe store(UnsafeMutablePointer(mutating: target), plane: plane, from: hidden(0), other(0))
      }
    }
  }

  func loadStateGradients(_ gradients: UnsafePointer<Scalar>?) {
    unsafe forEachState(gradients) { plane, source in
      unsafe load(source, plane: plane, into: hiddenGradient(0), otherGradient(0))
    }
  }

  func storeStateGradients(_ gradients: UnsafeMutablePointer<Scalar>?) {
    unsafe forEachState(UnsafePointer(gradients)) { plane, target in
      if let target = unsafe target {
        unsafe store(UnsafeMutablePointer(mutating: target), plane: plane, from: hiddenGradient(0), otherGradient(0))
      }
    }
  }

  func forEachState(_ base: UnsafePointer<Scalar>?, _ body: (Int, UnsafePointer<Scalar>?) -> Void) {
    let size = shape.layers * schedule.batch * shape.units
    for plane in 0..<shape.plan.planes.states {
      let start =
        if let base = unsafe base { unsafe Optional(base + plane * size) } else { unsafe UnsafePointer<Scalar>?.none }
      unsafe body(plane, start)
    }
  }
}

extension InferenceWorkspace {
  /// Fills the memory with NaN: for tests that none of it reaches a result.
  package mutating func poison() { memory.poison() }
}

extension Tape {
  /// Fills the memory with NaN: for tests that none of it reaches a result.
  package mutating func poison() {
    memory.poison()
    isFilled = false
  }
}
