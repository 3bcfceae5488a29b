import RecurrenceKernels

/// Truncated backpropagation through time, BPTT(k₁, k₂): for sequences without an end (Williams and Peng 1990).
///
///     var truncated = TruncatedBackpropagation(stack, window: 50, reach: 100, batch: 32)
///     for window in windows {
///       try truncated.forward(stack, window, outputs: &outputs)
///       …                                                            // the loss of these 50 steps, ∂L/∂outputs
///       try truncated.backward(stack, outputGradients: outputGradients, gradient: &gradient)
///     }
///
/// Every k₁ = `window` steps, the losses of these steps are pulled back through them and the steps before them, k₂ =
/// `reach` in all. States go on from window to window; gradients end where the reach does. With k₂ = k₁ that is the usual
/// way to train on long text, states detached between windows. With k₂ ≥ T the sum of all windows' gradients is that of
/// the whole sequence, as long as parameters do not change.
///
/// A window costs k₁ steps forward; its backward k₂ steps backward, and k₂ − k₁ steps forward: windows before the newest
/// are run again, each from the states that were stored before it, with the parameters as they are now. Memory is a tape
/// of k₁ steps, and inputs and first states of k₂/k₁ windows. In steady state nothing is allocated.
@safe public struct TruncatedBackpropagation<C: Cell, Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  /// k₁.
  public let window: Int
  /// k₂.
  public let reach: Int
  /// B.
  public let batch: Int
  private var tape: Tape<Scalar>
  private var history: WindowHistory<Scalar>
  /// The age of the window on the tape, −1 for none.
  private var tapedAge = -1
  /// The states after the last step, and ∂L/∂states on the way back: [S, L, B, H] each.
  private let memory: AlignedBuffer<Scalar>
  private let stateNames: [String]
  private let layers: Int
  private let units: Int
  /// Rows whose states do not come from the last window.
  private var isCut: [Bool]

  private var states: UnsafeMutablePointer<Scalar> { unsafe memory.unsafePointer }
  private var carried: UnsafeMutablePointer<Scalar> { unsafe memory.unsafePointer + memory.count / 2 }
  private var stateCount: Int { stateNames.count * layers * batch * units }

  /// Memory for a stack and its copies, all states zero.
  ///
  /// - Parameters:
  ///   - window: k₁, at least 1.
  ///   - reach: k₂, a multiple of k₁; k₁ itself where nil.
  ///   - batch: B, at least 0.
  ///   - threads: from 1 to 1024; no bit depends on it.
  ///
  /// Traps with a sentence where these do not fit.
  public init(_ stack: RecurrentStack<C, Scalar>, window: Int, reach: Int? = nil, batch: Int, threads: Int = 1) {
    self.init(
      stack, window: window, reach: reach, batch: batch, threads: threads,
      smallestSplit: MatrixProducts<Scalar>.smallestSplit)
  }

  package init(
    _ stack: RecurrentStack<C, Scalar>, window: Int, reach: Int?, batch: Int, threads: Int, smallestSplit: Double
  ) {
    let reach = reach ?? window
    if window < 1 { fatalError("window: expected at least 1 step, got \(window)") }
    if reach < window || reach % window != 0 {
      fatalError("reach: expected a multiple of the window, \(window) steps, got \(reach)")
    }
    self.window = window
    self.reach = reach
    self.batch = batch
    tape = stack.makeTape(
      steps: window, batch: batch, threads: threads, ragged: false, keeping: nil, smallestSplit: smallestSplit)
    let states = stack.makeStates(batch: batch)
    stateNames = states.names
    layers = states.layers
    units = states.units
    history = WindowHistory(
      windows: reach / window, steps: window, batch: batch, inputs: stack.inputs, stateCount: states.values.count)
    memory = AlignedBuffer(count: 2 * states.values.count)
    isCut = [Bool](repeating: true, count: batch)
  }

  /// What is done to the gradient inside the backward loop; see `Tape.control`.
  public var control: BackpropagationControl {
    get { tape.control }
    set { tape.control = newValue }
  }

  /// Bytes that it takes.
  public var byteCount: Int { tape.byteCount + history.byteCount + memory.count * MemoryLayout<Scalar>.stride }

  /// Steps that a backward pass reaches now, R: those of the last window and of the windows before it, k₂ at most. 0 before
  /// the first forward pass.
  public var reachedSteps: Int { history.allSteps }

  // MARK: States

  /// The states after the last step. Setting them cuts the past off: no gradient reaches steps before. Setting states of
  /// another shape traps.
  ///
  /// States are all that a checkpoint needs where k₂ = k₁. Where k₂ > k₁, the first windows after it reach back to it only.
  public var currentStates: RecurrentStates<Scalar> {
    get {
      var result = RecurrentStates<Scalar>(names: stateNames, layers: layers, batch: batch, units: units)
      for index in result.values.indices { result.values[index] = unsafe states[index] }
      return result
    }
    set {
      if !newValue.hasShape(stateNames, layers: layers, batch: batch, units: units)
        || newValue.values.count != stateCount
      {
        let expected = RecurrentStates<Scalar>.describe(stateNames, layers: layers, batch: batch, units: units)
        fatalError("states: expected \(expected), got \(newValue.shapeDescription)")
      }
      for index in newValue.values.indices { unsafe states[index] = newValue.values[index] }
      for row in 0..<batch { isCut[row] = true }
    }
  }

  /// Sets all states to zero, as at the beginning of a sequence, and cuts the past off.
  public mutating func reset() {
    for row in 0..<batch { reset(row) }
  }

  /// Sets the states of some rows to zero: their next window begins a sequence, the others go on. Traps where there is no
  /// such row.
  public mutating func reset(rows: some Sequence<Int>) {
    for row in rows {
      if !(0..<batch).contains(row) { fatalError("rows: expected 0 to \(batch - 1), got \(row)") }
      reset(row)
    }
  }

  private mutating func reset(_ row: Int) {
    unsafe clear(states, row)
    isCut[row] = true
  }

  /// Sets a row of states, or of their gradients, to zero.
  private func clear(_ planes: UnsafeMutablePointer<Scalar>, _ row: Int) {
    for plane in 0..<(stateNames.count * layers) {
      unsafe (planes + (plane * batch + row) * units).update(repeating: 0, count: units)
    }
  }

  // MARK: Passes over arrays

  /// Runs the next window from the states after the last one.
  ///
  /// - Parameters:
  ///   - stack: the one that this was made for, or a copy of it; its parameters may have changed.
  ///   - input: [steps, B, I]; copied.
  ///   - steps: from 1 to k₁, k₁ where nil.
  ///   - outputs: out, [steps, B, H].
  ///
  /// Throws `ShapeError` where a size does not fit, and changes nothing then.
  public mutating func forward(
    _ stack: RecurrentStack<C, Scalar>, _ input: [Scalar], steps: Int? = nil, outputs: inout [Scalar]
  ) throws(ShapeError) {
    let steps = steps ?? window
    unsafe try input.withUnsafeBufferPointer { input throws(ShapeError) in
      unsafe try outputs.withUnsafeMutableBufferPointer { outputs throws(ShapeError) in
        unsafe try check(stack, input, steps, outputs)
        unsafe run(stack, input, steps, outputs)
      }
    }
  }

  /// Pulls the losses of the last window back. May be repeated.
  ///
  /// - Parameters:
  ///   - stack: that of the last forward pass, with the same parameters.
  ///   - outputGradients: [steps, B, H]: ∂L/∂(outputs of the last window).
  ///   - gradient: in and out: ∂L/∂parameters is added.
  ///
  /// Throws `ShapeError` where a size does not fit, and changes nothing then.
  public mutating func backward(
    _ stack: RecurrentStack<C, Scalar>, outputGradients: [Scalar], gradient: inout Parameters<Scalar>
  ) throws(ShapeError) {
    try checkLayout(gradient, stack)
    unsafe try outputGradients.withUnsafeBufferPointer { outputGradients throws(ShapeError) in
      unsafe try gradient.values.withUnsafeMutableBufferPointer { gradient throws(ShapeError) in
        unsafe try check(stack, outputGradients, gradient, nil)
        unsafe run(stack, outputGradients, gradient, nil)
      }
    }
  }

  /// The same, with ∂L/∂input of all steps that were reached.
  ///
  /// - Parameters:
  ///   - inputGradients: out, [R, B, I], R = `reachedSteps`, the oldest step first. Of k₂/k₁ backward passes each adds its
  ///     part to the gradient of an input's step: what lies below the stack takes all of them.
  public mutating func backward(
    _ stack: RecurrentStack<C, Scalar>, outputGradients: [Scalar], gradient: inout Parameters<Scalar>,
    inputGradients: inout [Scalar]
  ) throws(ShapeError) {
    try checkLayout(gradient, stack)
    unsafe try outputGradients.withUnsafeBufferPointer { outputGradients throws(ShapeError) in
      unsafe try gradient.values.withUnsafeMutableBufferPointer { gradient throws(ShapeError) in
        unsafe try inputGradients.withUnsafeMutableBufferPointer { inputGradients throws(ShapeError) in
          unsafe try check(stack, outputGradients, gradient, inputGradients)
          unsafe run(stack, outputGradients, gradient, inputGradients)
        }
      }
    }
  }

  // MARK: Passes over buffers

  /// The same over memory of the caller: input [steps, B, I], outputs [steps, B, H], which must not overlap. What does not
  /// fit traps with a sentence.
  @unsafe public mutating func forward(
    _ stack: RecurrentStack<C, Scalar>, _ input: UnsafeBufferPointer<Scalar>, steps: Int? = nil,
    outputs: UnsafeMutableBufferPointer<Scalar>
  ) {
    let steps = steps ?? window
    do throws(ShapeError) { unsafe try check(stack, input, steps, outputs) } catch { fatalError(error.description) }
    unsafe run(stack, input, steps, outputs)
  }

  /// The same over memory of the caller: outputGradients [steps, B, H], parameterGradients as the layout says, added to,
  /// and inputGradients [R, B, I], or nil. What does not fit traps with a sentence.
  @unsafe public mutating func backward(
    _ stack: RecurrentStack<C, Scalar>, outputGradients: UnsafeBufferPointer<Scalar>,
    parameterGradients: UnsafeMutableBufferPointer<Scalar>,
    inputGradients: UnsafeMutableBufferPointer<Scalar>? = nil
  ) {
    do throws(ShapeError) {
      unsafe try check(stack, outputGradients, parameterGradients, inputGradients)
    } catch {
      fatalError(error.description)
    }
    unsafe run(stack, outputGradients, parameterGradients, inputGradients)
  }

  // MARK: Checks

  private func check(
    _ stack: RecurrentStack<C, Scalar>, _ input: UnsafeBufferPointer<Scalar>, _ steps: Int,
    _ outputs: UnsafeMutableBufferPointer<Scalar>
  ) throws(ShapeError) {
    try stack.shape.checkOwner(tape.memory, "truncated backpropagation")
    if !(1...window).contains(steps) {
      throw ShapeError("steps", expected: "1 to \(window), those of a window", actual: "\(steps)")
    }
    try ShapeError.check("input", input.count, is: ("T", steps), ("B", batch), ("I", stack.inputs))
    try ShapeError.check("outputs", outputs.count, is: ("T", steps), ("B", batch), ("H", units))
  }

  private func check(
    _ stack: RecurrentStack<C, Scalar>, _ outputGradients: UnsafeBufferPointer<Scalar>,
    _ gradient: UnsafeMutableBufferPointer<Scalar>, _ inputGradients: UnsafeMutableBufferPointer<Scalar>?
  ) throws(ShapeError) {
    try stack.shape.checkOwner(tape.memory, "truncated backpropagation")
    if history.count == 0 {
      throw ShapeError("truncated backpropagation", expected: "a forward pass before this", actual: "none")
    }
    try ShapeError.check(
      "outputGradients", outputGradients.count, is: ("T", history.steps(0)), ("B", batch), ("H", units))
    try ShapeError.check("parameterGradients", gradient.count, is: ("parameters", stack.layout.count))
    if let inputGradients = unsafe inputGradients {
      try ShapeError.check(
        "inputGradients", inputGradients.count, is: ("R", reachedSteps), ("B", batch), ("I", stack.inputs))
    }
  }

  private func checkLayout(
    _ gradient: borrowing Parameters<Scalar>, _ stack: RecurrentStack<C, Scalar>
  ) throws(ShapeError) {
    if gradient.layout != stack.layout {
      throw ShapeError(
        "gradient", expected: "the layout of this stack (\(stack.layout.count) parameters)",
        actual: "another's (\(gradient.layout.count) parameters)")
    }
  }

  // MARK: Work

  private mutating func run(
    _ stack: RecurrentStack<C, Scalar>, _ input: UnsafeBufferPointer<Scalar>, _ steps: Int,
    _ outputs: UnsafeMutableBufferPointer<Scalar>
  ) {
    // Where no row goes on, nothing before this window is reached any more.
    if isCut.allSatisfy({ $0 }) { history.removeAll() }
    unsafe history.append(input, steps: steps, states: states, cut: isCut)
    for row in 0..<batch { isCut[row] = false }
    let final = unsafe UnsafeMutableBufferPointer(start: states, count: stateCount)
    unsafe stack.forward(
      history.input(0), steps: steps, batch: batch, initialStates: history.states(0), outputs: outputs,
      finalStates: final, tape: &tape)
    tapedAge = 0
  }

  private mutating func run(
    _ stack: RecurrentStack<C, Scalar>, _ outputGradients: UnsafeBufferPointer<Scalar>,
    _ gradient: UnsafeMutableBufferPointer<Scalar>, _ inputGradients: UnsafeMutableBufferPointer<Scalar>?
  ) {
    unsafe carried.update(repeating: 0, count: stateCount)
    let stateGradients = unsafe UnsafeMutableBufferPointer(start: carried, count: stateCount)
    var start = reachedSteps
    for age in 0..<history.count {
      let steps = history.steps(age)
      if tapedAge != age {
        unsafe stack.forward(
          history.input(age), steps: steps, batch: batch, initialStates: history.states(age), tape: &tape)
        tapedAge = age
      }
      start -= steps
      let width = batch * stack.inputs
      let some = unsafe inputGradients.map {
        unsafe UnsafeMutableBufferPointer(rebasing: $0[(start * width)..<((start + steps) * width)])
      }
      unsafe stack.backward(
        history.input(age), outputGradients: age == 0 ? outputGradients : nil,
        finalStateGradients: UnsafeBufferPointer(stateGradients), parameterGradients: gradient, inputGradients: some,
        initialStateGradients: stateGradients, tape: &tape)
      for row in 0..<batch where history.isCut(age, row: row) { unsafe clear(carried, row) }
    }
  }
}
