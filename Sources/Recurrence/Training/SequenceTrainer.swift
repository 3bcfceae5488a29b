import RecurrenceKernels

/// What one update did.
public struct TrainingStep: Hashable, Sendable {
  /// The loss before the update.
  public var loss: Double
  /// What clipping found and did; `clipping.norm` is the norm of the whole gradient before it.
  public var clipping: ClippingOutcome
  public var learningRate: Double
}

/// Trains a network: forward, loss, backward, clipping, update.
///
///     var trainer = SequenceTrainer(network, .adam(), steps: 50, batch: 32)
///     var states = trainer.network.recurrent.makeStates(batch: 32)
///     let step = try trainer.update(
///       .symbols(x), targets: .classes(y), steps: 50, batch: 32, states: &states, learningRate: 2e-3)
///
/// Owns the network and all memory. In steady state an update allocates nothing but what Dispatch does to start threads;
/// its bits do not depend on their number.
public struct SequenceTrainer<C: Cell, Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  public var network: SequenceNetwork<C, Scalar>
  public var optimizer: Optimizer<Scalar>
  public var clipping: GradientClipping
  /// Limits each unit's gradient by the size of its weights, after the policy of `clipping` for gradients that are not
  /// finite and before its other limits. Nil, as at first, for no such limit.
  public var unitwiseClipping: UnitwiseClipping?
  /// Limits the norm to a percentile of those of the gradients so far, last of all; where `clipping` has a norm, too, the
  /// smaller is the limit. Holds the norms: to go on after an interruption, keep it. Nil, as at first, for no such limit.
  public var percentileClipping: PercentileClipping?
  /// How often each kind of clipping fired.
  public var clippingCounts = ClippingCounts()
  /// ‖gradient‖ of the last updates as they came, before clipping: what a threshold may be taken from.
  public var norms = NormHistory()
  /// ∂loss/∂parameters of the last pass, in the order of `SequenceNetwork.parameterRanges`; after an update, clipped.
  public private(set) var gradient: [Scalar]
  var tape: Tape<Scalar>
  private var memory: NetworkMemory<Scalar>

  /// - Parameters:
  ///   - steps: most steps of a pass.
  ///   - batch: most sequences of a pass.
  ///   - readout: the steps that have a target.
  ///   - ragged: whether passes may be given lengths.
  ///   - keeping: steps that the tape keeps at a time; see `RecurrentStack.makeTape`.
  public init(
    _ network: SequenceNetwork<C, Scalar>, _ rule: OptimizerRule, clipping: GradientClipping = GradientClipping(),
    steps: Int, batch: Int, readout: Readout = .everyStep, ragged: Bool = false, threads: Int = 1, keeping: Int? = nil
  ) {
    self.network = network
    self.clipping = clipping
    let count = network.parameterCount
    optimizer = Optimizer(rule, count: count, kernels: network.recurrent.shape.kernels)
    gradient = [Scalar](repeating: 0, count: count)
    tape = network.recurrent.makeTape(steps: steps, batch: batch, threads: threads, ragged: ragged, keeping: keeping)
    memory = NetworkMemory(
      network, NetworkUse(steps: steps, batch: batch, threads: threads, ragged: ragged, readout: readout),
      isTraining: true, passes: tape.memory)
  }

  /// One update.
  ///
  /// - Parameters:
  ///   - input: [T, B] symbols or [T, B, I] vectors.
  ///   - targets: of every step, [T·B], or of the last, [B]; see `SequenceTargets`.
  ///   - lengths: [B], each from 0 to T, or nil; padded steps have no loss.
  ///   - weights: [T·B] or [B], finite and not negative; 0 and 1 make a mask. Nil for 1.
  ///   - states: in, the states before the first step; out, those after the last: carried, and detached.
  ///
  /// Throws `ShapeError` where a size does not fit; nothing is changed then. Throws `NonFiniteGradient` where that is the
  /// policy; the states have gone on then, the network has not changed.
  public mutating func update(
    _ input: SequenceInput<Scalar>, targets: SequenceTargets<Scalar>, steps: Int, batch: Int, lengths: [Int]? = nil,
    weights: [Scalar]? = nil, states: inout RecurrentStates<Scalar>, learningRate: Double
  ) throws -> TrainingStep {
    let loss = try computeGradient(
      input, targets: targets, steps: steps, batch: batch, lengths: lengths, weights: weights, states: &states)
    let outcome = try limitGradient()
    clippingCounts.add(outcome)
    norms.add(outcome.norm)
    if !outcome.isSkipped { apply(learningRate: learningRate) }
    return TrainingStep(loss: loss, clipping: outcome, learningRate: learningRate)
  }

  /// Whether passes measure the gradient flow; see `Tape.recordsGradientFlow`.
  public var recordsGradientFlow: Bool {
    get { tape.recordsGradientFlow }
    set { tape.recordsGradientFlow = newValue }
  }

  /// What the last pass measured; see `Tape.gradientFlow`.
  public func gradientFlow() -> GradientFlowRecord { tape.gradientFlow() }

  /// What is done to the gradient inside the backward loop; see `Tape.control`.
  public var control: BackpropagationControl {
    get { tape.control }
    set { tape.control = newValue }
  }

  /// What the control did in the last pass; see `Tape.controlOutcome`.
  public var controlOutcome: BackpropagationOutcome? { tape.controlOutcome }

  /// The loss, and in `gradient` its gradient, without an update. Parameters as above.
  public mutating func computeGradient(
    _ input: SequenceInput<Scalar>, targets: SequenceTargets<Scalar>, steps: Int, batch: Int, lengths: [Int]? = nil,
    weights: [Scalar]? = nil, states: inout RecurrentStates<Scalar>
  ) throws(ShapeError) -> Double {
    let call = NetworkCall(
      input: input, targets: targets, steps: steps, batch: batch, lengths: lengths, weights: weights)
    try network.check(call, memory, states)
    return unsafe withGradient { trainer, gradient in
      // The recurrent layers replace theirs.
      let ranges = trainer.network.parameterRanges
      unsafe clear(UnsafeMutableBufferPointer(rebasing: gradient[ranges.embedding]))
      unsafe clear(UnsafeMutableBufferPointer(rebasing: gradient[ranges.output]))
      return unsafe trainer.run(call, &states, gradient)
    }
  }

  /// The gradient, taken out for the time of `body`, which may change everything else.
  private mutating func withGradient<Result, Failure: Error>(
    _ body: (inout SequenceTrainer, UnsafeMutableBufferPointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var gradient: [Scalar] = []
    swap(&gradient, &self.gradient)
    defer { swap(&gradient, &self.gradient) }
    return unsafe try gradient.withUnsafeMutableBufferPointer { buffer throws(Failure) in
      unsafe try body(&self, buffer)
    }
  }

  private mutating func run(
    _ call: NetworkCall<Scalar>, _ states: inout RecurrentStates<Scalar>,
    _ gradient: UnsafeMutableBufferPointer<Scalar>
  ) -> Double {
    let network = network
    let ranges = network.parameterRanges
    let (rows, units) = (call.steps * call.batch, network.recurrent.units)
    let carried = unsafe memory.states(states.values.count)
    unsafe copy(states.values, to: carried)
    let embedded = unsafe memory.embedded(call, width: network.recurrent.inputs, tape.memory)
    return unsafe network.withInput(call, embedded: embedded) { x, symbols in
      unsafe withOptional(call.lengths) { lengths in
        unsafe network.recurrent.forward(
          ForwardBuffers(
            input: x, symbols: symbols, steps: call.steps, batch: call.batch, lengths: lengths,
            initialStates: UnsafeBufferPointer(carried), outputs: memory.hidden(rows * units), finalStates: carried),
          tape: &tape)
      }
      unsafe copy(carried, to: &states.values)
      let loss = unsafe network.loss(
        call, &memory, gradient: UnsafeMutableBufferPointer(rebasing: gradient[ranges.output]),
        inputGradient: outputLayerInputGradient(call, carried.count))
      let isEveryStep = memory.use.readout == .everyStep
      // To E itself where passes project it; otherwise to the vectors that were looked up, and from there to E.
      let isProjected = unsafe embedded == nil
      let vectors = unsafe network.embedding == nil || isProjected ? nil : memory.embeddedGradient(x.count)
      let inputGradients =
        unsafe isProjected ? UnsafeMutableBufferPointer(rebasing: gradient[ranges.embedding]) : vectors
      unsafe network.recurrent.backward(
        BackwardBuffers(
          input: x, outputGradients: isEveryStep ? UnsafeBufferPointer(memory.hiddenGradient(rows * units)) : nil,
          finalStateGradients: isEveryStep ? nil : UnsafeBufferPointer(memory.stateGradients(carried.count)),
          parameterGradients: UnsafeMutableBufferPointer(rebasing: gradient[ranges.recurrent]), accumulates: false,
          inputGradients: inputGradients),
        tape: &tape)
      if let vectors = unsafe vectors, let embedding = network.embedding, case .symbols(let symbols) = call.input {
        unsafe symbols.withUnsafeBufferPointer { symbols in
          guard let symbols = symbols.baseAddress else { return }
          unsafe network.recurrent.shape.kernels.table.addRows(
            MatrixView(UnsafeBufferPointer(vectors), rows: rows, columns: embedding.width), symbols,
            to: MutableMatrixView(gradient, rows: embedding.symbols, columns: embedding.width))
        }
      }
      return loss
    }
  }

  /// Where the output layer's pass leaves the gradient of what it read: that of every step's h, or of the top layer's final
  /// h, all other final states having none.
  private func outputLayerInputGradient(
    _ call: NetworkCall<Scalar>, _ stateCount: Int
  ) -> UnsafeMutableBufferPointer<Scalar> {
    let (rows, units) = (call.batch, network.recurrent.units)
    if memory.use.readout == .everyStep { return unsafe memory.hiddenGradient(call.steps * rows * units) }
    let all = unsafe memory.stateGradients(stateCount)
    unsafe clear(all)
    let top = (network.recurrent.layers - 1) * rows * units
    return unsafe UnsafeMutableBufferPointer(rebasing: all[top..<(top + rows * units)])
  }

  /// All limits, in the order of `ClippingPass`.
  private mutating func limitGradient() throws(NonFiniteGradient) -> ClippingOutcome {
    unsafe try withGradient { trainer, gradient throws(NonFiniteGradient) in
      var pass = ClippingPass(kernels: trainer.network.recurrent.shape.kernels)
      unsafe try pass.admit(gradient, trainer.clipping.nonFinite)
      if let unitwise = trainer.unitwiseClipping {
        unsafe pass.noteUnits(unitwise.clip(gradient, of: trainer.network), gradient)
      }
      unsafe pass.limitValues(gradient, to: trainer.clipping.values)
      let percentile = trainer.percentileClipping?.threshold(of: pass)
      unsafe pass.limitNorm(gradient, to: smaller(trainer.clipping.norm, percentile))
      return pass.outcome
    }
  }

  private mutating func apply(learningRate: Double) {
    let ranges = network.parameterRanges
    let threads = memory.use.threads
    optimizer.advance()
    unsafe withGradient { trainer, gradient in
      func update(_ parameters: inout [Scalar], _ optimizer: inout Optimizer<Scalar>, _ range: Range<Int>) {
        unsafe parameters.withUnsafeMutableBufferPointer {
          unsafe optimizer.update(
            $0, UnsafeBufferPointer(rebasing: gradient[range]), at: range.lowerBound, learningRate: learningRate,
            threads: threads)
        }
      }
      if trainer.network.embedding != nil {
        update(&trainer.network.embedding!.parameters, &trainer.optimizer, ranges.embedding)
      }
      trainer.network.recurrent.withParameters { update(&$0, &trainer.optimizer, ranges.recurrent) }
      update(&trainer.network.output.parameters, &trainer.optimizer, ranges.output)
    }
  }
}

/// Measures a network's loss, and leaves its outputs to be read.
public struct SequenceEvaluator<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  private var workspace: InferenceWorkspace<Scalar>
  private var memory: NetworkMemory<Scalar>
  /// Rows and columns of the last outputs.
  private var shape = (rows: 0, columns: 0)

  /// Memory for passes of at most these sizes. Parameters as in `SequenceTrainer`.
  public init<C: Cell>(
    _ network: SequenceNetwork<C, Scalar>, steps: Int, batch: Int, readout: Readout = .everyStep, ragged: Bool = false,
    threads: Int = 1
  ) {
    workspace = network.recurrent.makeWorkspace(steps: steps, batch: batch, threads: threads, ragged: ragged)
    memory = NetworkMemory(
      network, NetworkUse(steps: steps, batch: batch, threads: threads, ragged: ragged, readout: readout),
      isTraining: false, passes: workspace.memory)
  }

  /// The loss. The network is the one this was made for, its parameters may have changed since. Other parameters as in
  /// `SequenceTrainer.update`.
  public mutating func loss<C: Cell>(
    of network: SequenceNetwork<C, Scalar>, _ input: SequenceInput<Scalar>, targets: SequenceTargets<Scalar>,
    steps: Int, batch: Int, lengths: [Int]? = nil, weights: [Scalar]? = nil, states: inout RecurrentStates<Scalar>
  ) throws(ShapeError) -> Double {
    let call = NetworkCall(
      input: input, targets: targets, steps: steps, batch: batch, lengths: lengths, weights: weights)
    try network.check(call, memory, states)
    let carried = unsafe memory.states(states.values.count)
    unsafe copy(states.values, to: carried)
    let embedded = unsafe memory.embedded(call, width: network.recurrent.inputs, workspace.memory)
    unsafe network.withInput(call, embedded: embedded) { x, symbols in
      unsafe withOptional(call.lengths) { lengths in
        unsafe network.recurrent.forward(
          ForwardBuffers(
            input: x, symbols: symbols, steps: steps, batch: batch, lengths: lengths,
            initialStates: UnsafeBufferPointer(carried),
            outputs: memory.hidden(steps * batch * network.recurrent.units), finalStates: carried),
          workspace: &workspace)
      }
    }
    unsafe copy(carried, to: &states.values)
    shape = (memory.use.readout == .everyStep ? steps * batch : batch, network.output.outputs)
    return unsafe network.loss(call, &memory)
  }

  /// The outputs (logits) of the last pass, [rows, K].
  public var outputs: [Scalar] { unsafe Array(memory.logits(shape.rows * shape.columns)) }
}

private func withOptional<Element>(
  _ array: [Element]?, _ body: (UnsafeBufferPointer<Element>?) -> Void
) {
  guard let array else { return body(nil) }
  unsafe array.withUnsafeBufferPointer { unsafe body($0) }
}

// Of pointers: `update(from:)` of a collection goes from element to element, with a call for each.

private func copy<Scalar: RecurrenceScalar>(_ from: [Scalar], to buffer: UnsafeMutableBufferPointer<Scalar>) {
  unsafe from.withUnsafeBufferPointer { from in
    guard let source = from.baseAddress, let target = buffer.baseAddress else { return }
    unsafe target.update(from: source, count: from.count)
  }
}

private func copy<Scalar: RecurrenceScalar>(_ buffer: UnsafeMutableBufferPointer<Scalar>, to array: inout [Scalar]) {
  unsafe array.withUnsafeMutableBufferPointer { array in
    guard let source = buffer.baseAddress, let target = array.baseAddress else { return }
    unsafe target.update(from: source, count: array.count)
  }
}
