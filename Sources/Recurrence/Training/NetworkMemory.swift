import RecurrenceKernels

/// The sizes of a pass through a network.
struct NetworkUse: Hashable {
  var steps: Int
  var batch: Int
  var threads: Int
  var ragged: Bool
  var readout: Readout
}

/// What a pass through a network reads, checked.
struct NetworkCall<Scalar: RecurrenceScalar> {
  var input: SequenceInput<Scalar>
  var targets: SequenceTargets<Scalar>
  var steps: Int
  var batch: Int
  var lengths: [Int]?
  /// One for each row that the loss is of.
  var weights: [Scalar]?
}

/// The arrays between the layers of a network: one slab, laid out once.
///
/// Rows that the output layer reads, M: T·B where it reads every step, B where it reads the last.
struct NetworkMemory<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  let use: NetworkUse
  /// Of the network it was made for.
  private let shape: StackShape<Scalar>
  private let outputs: Int
  private let parameterCount: Int
  private let slab: AlignedBuffer<Scalar>
  private let at: Offsets
  var loss: LossEvaluator<Scalar>
  var output: DenseWorkspace<Scalar>

  private struct Offsets {
    /// [T·B, D], [T·B, H], [M, K], and the gradients of each.
    var embedded = 0, hidden = 0, logits = 0
    var embeddedGradient = 0, hiddenGradient = 0, logitsGradient = 0
    /// [S, L, B, H]: states and their gradients.
    var states = 0, stateGradients = 0
    /// [M].
    var weights = 0
    var stateCount = 0
  }

  /// - Parameter passes: the stack's memory for passes of the same sizes, which is told to project symbols where that pays.
  init<C: Cell>(
    _ network: SequenceNetwork<C, Scalar>, _ use: NetworkUse, isTraining: Bool, passes: SequenceMemory<Scalar>
  ) {
    self.use = use
    shape = network.recurrent.shape
    outputs = network.output.outputs
    parameterCount = network.parameterCount
    let (steps, batch) = (use.steps, use.batch)
    let (units, width) = (network.recurrent.units, network.recurrent.inputs)
    var plan = SlabPlan<Scalar>()
    let positions = plan.product(steps, batch)
    if let symbols = network.embedding?.symbols, ProjectedEmbedding<Scalar>.pays(symbols: symbols, rows: positions) {
      passes.embedding = ProjectedEmbedding(shape, symbols: symbols, rows: positions, isTraining: isTraining)
    }
    let looksUp = network.embedding != nil && passes.embedding == nil
    var at = Offsets()
    let rows = use.readout == .everyStep ? positions : batch
    let stateCount = network.recurrent.shape.stateCount(batch: batch)
    if looksUp { at.embedded = plan.reserve(steps, batch, width) }
    at.hidden = plan.reserve(steps, batch, units)
    at.logits = plan.reserve(rows, outputs)
    at.logitsGradient = plan.reserve(rows, outputs)
    at.states = plan.reserve(stateCount)
    at.weights = plan.reserve(rows)
    if isTraining {
      if looksUp { at.embeddedGradient = plan.reserve(steps, batch, width) }
      if use.readout == .everyStep { at.hiddenGradient = plan.reserve(steps, batch, units) }
      at.stateGradients = plan.reserve(stateCount)
    }
    at.stateCount = stateCount
    self.at = at
    slab = AlignedBuffer(count: plan.count)
    let kernels = network.recurrent.shape.kernels
    loss = LossEvaluator(rows: rows, threads: use.threads, kernels: kernels)
    output = network.output.makeWorkspace(threads: use.threads)
  }

  /// Throws where the network is not the one this was made for, or a copy: its arrays would not fit.
  func checkOwner<C: Cell>(_ network: SequenceNetwork<C, Scalar>) throws(ShapeError) {
    if network.recurrent.shape === shape && network.output.outputs == outputs
      && network.parameterCount == parameterCount
    {
      return
    }
    func sizes(_ shape: StackShape<Scalar>, _ outputs: Int, _ parameters: Int) -> String {
      "I = \(shape.inputs), H = \(shape.units), L = \(shape.layers), K = \(outputs), \(parameters) parameters"
    }
    throw ShapeError(
      "network",
      expected:
        "the one this was made for, or a copy whose `parameters` were set (\(sizes(shape, outputs, parameterCount)))",
      actual: "another (\(sizes(network.recurrent.shape, network.output.outputs, network.parameterCount)))")
  }

  private func buffer(_ offset: Int, _ count: Int) -> UnsafeMutableBufferPointer<Scalar> {
    unsafe UnsafeMutableBufferPointer(start: slab.unsafePointer + offset, count: count)
  }

  /// Where symbols of a call are looked up; nil where passes project them, empty where the network reads vectors.
  func embedded(
    _ call: NetworkCall<Scalar>, width: Int, _ passes: SequenceMemory<Scalar>
  ) -> UnsafeMutableBufferPointer<Scalar>? {
    if passes.embedding != nil { return nil }
    guard case .symbols(let symbols) = call.input else { return unsafe buffer(0, 0) }
    return unsafe buffer(at.embedded, symbols.count * width)
  }
  func hidden(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> { unsafe buffer(at.hidden, count) }
  func logits(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> { unsafe buffer(at.logits, count) }
  func embeddedGradient(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> {
    unsafe buffer(at.embeddedGradient, count)
  }
  func hiddenGradient(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> { unsafe buffer(at.hiddenGradient, count) }
  func logitsGradient(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> { unsafe buffer(at.logitsGradient, count) }
  func states(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> { unsafe buffer(at.states, count) }
  func stateGradients(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> { unsafe buffer(at.stateGradients, count) }
  func weights(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> { unsafe buffer(at.weights, count) }
}

extension SequenceNetwork {
  /// Checks everything that a pass reads, before anything is written.
  func check(
    _ call: NetworkCall<Scalar>, _ memory: borrowing NetworkMemory<Scalar>, _ states: RecurrentStates<Scalar>
  ) throws(ShapeError) {
    try memory.checkOwner(self)
    let use = memory.use
    let (steps, batch) = (call.steps, call.batch)
    if !(0...use.steps).contains(steps) {
      throw ShapeError("steps", expected: "0 to \(use.steps), which this was made for", actual: "\(steps)")
    }
    if !(0...use.batch).contains(batch) {
      throw ShapeError("batch", expected: "0 to \(use.batch), which this was made for", actual: "\(batch)")
    }
    switch (call.input, embedding) {
    case (.symbols(let symbols), let embedding?):
      try ShapeError.check("symbols", symbols.count, is: ("T", steps), ("B", batch))
      try embedding.check(symbols)
    case (.vectors(let vectors), nil):
      try ShapeError.check("vectors", vectors.count, is: ("T", steps), ("B", batch), ("I", recurrent.inputs))
    case (.symbols, nil):
      throw ShapeError("input", expected: "vectors: the network has no embedding", actual: "symbols")
    case (.vectors, _): throw ShapeError("input", expected: "symbols: the network has an embedding", actual: "vectors")
    }
    let rows = use.readout == .everyStep ? steps * batch : batch
    switch call.targets {
    case .classes(let classes):
      try ShapeError.check("classes", classes.count, is: ("rows", rows))
      if let row = firstOutside(classes, below: output.outputs) {
        throw ShapeError("classes[\(row)]", expected: "0 to \(output.outputs - 1)", actual: "\(classes[row])")
      }
    case .probabilities(let targets), .values(let targets):
      try ShapeError.check("targets", targets.count, is: ("rows", rows), ("K", output.outputs))
    }
    if let weights = call.weights { try ShapeError.check(weights: weights, is: ("rows", rows)) }
    try recurrent.shape.checkLayout(states, "states", batch: batch)
    guard let lengths = call.lengths else { return }
    if !use.ragged {
      throw ShapeError("lengths", expected: "none: this was made with ragged: false", actual: "\(lengths.count)")
    }
    try ShapeError.check("lengths", lengths.count, is: ("B", batch))
    for (row, length) in lengths.enumerated() where !(0...steps).contains(length) {
      throw ShapeError("lengths[\(row)]", expected: "0 to \(steps), the number of steps", actual: "\(length)")
    }
  }

  /// The input as the recurrent stack reads it: vectors [T, B, I], those of the call or looked up into `embedded`; or E and the
  /// symbols of the call, where passes project them and `embedded` is nil.
  func withInput<Result>(
    _ call: NetworkCall<Scalar>, embedded: UnsafeMutableBufferPointer<Scalar>?,
    _ body: (UnsafeBufferPointer<Scalar>, _ symbols: UnsafeBufferPointer<Int32>?) -> Result
  ) -> Result {
    switch call.input {
    case .vectors(let vectors): return unsafe vectors.withUnsafeBufferPointer { unsafe body($0, nil) }
    case .symbols(let symbols):
      return unsafe symbols.withUnsafeBufferPointer { symbols in
        guard let embedded = unsafe embedded else {
          return unsafe embedding!.parameters.withUnsafeBufferPointer { unsafe body($0, symbols) }
        }
        unsafe embedding!.gather(symbols, into: embedded)
        return unsafe body(UnsafeBufferPointer(embedded), nil)
      }
    }
  }

  /// What the output layer reads: h of every step, or the final h of the top layer.
  func readOut(_ call: NetworkCall<Scalar>, _ memory: borrowing NetworkMemory<Scalar>) -> MatrixView<Scalar> {
    let (rows, units) = (call.steps * call.batch, recurrent.units)
    if memory.use.readout == .everyStep {
      return unsafe MatrixView(UnsafeBufferPointer(memory.hidden(rows * units)), rows: rows, columns: units)
    }
    let size = call.batch * units
    let top = unsafe UnsafeMutableBufferPointer(
      rebasing: memory.states(recurrent.layers * size)[((recurrent.layers - 1) * size)...])
    return unsafe MatrixView(UnsafeBufferPointer(top), rows: call.batch, columns: units)
  }

  /// Outputs, the loss and its gradient with respect to the outputs, from what the recurrent stack left.
  ///
  /// - Parameters:
  ///   - gradient: in and out, ∂loss/∂(output layer's parameters) is added; nil where that is not wanted.
  ///   - inputGradient: out, ∂loss/∂(what the output layer reads).
  func loss(
    _ call: NetworkCall<Scalar>, _ memory: inout NetworkMemory<Scalar>,
    gradient: UnsafeMutableBufferPointer<Scalar>? = nil, inputGradient: UnsafeMutableBufferPointer<Scalar>? = nil
  ) -> Double {
    let x = unsafe readOut(call, memory)
    let (rows, outputs) = unsafe (x.rows, output.outputs)
    let logits = unsafe MutableMatrixView(memory.logits(rows * outputs), rows: rows, columns: outputs)
    let logitsGradient = unsafe MutableMatrixView(memory.logitsGradient(rows * outputs), rows: rows, columns: outputs)
    var way: DenseWayBack<Scalar>?
    if let gradient = unsafe gradient, let inputGradient = unsafe inputGradient {
      unsafe way = unsafe DenseWayBack(
        outputGradient: MatrixView(UnsafePointer(logitsGradient.base), rows: rows, columns: outputs),
        gradient: gradient,
        inputGradient: MutableMatrixView(inputGradient, rows: rows, columns: output.inputs))
    }
    let weights = unsafe rowWeights(call, memory)
    return unsafe withTargets(call) { targets in
      guard let targets = unsafe targets else { return 0 }
      let pass = unsafe memory.loss.begin(
        MatrixView(UnsafePointer(logits.base), rows: rows, columns: outputs), targets: targets, weights: weights,
        gradient: logitsGradient)
      unsafe output.forward(x, into: logits, back: way, workspace: &memory.output) { unsafe pass.run($0) }
      return unsafe pass.mean()
    }
  }

  /// The targets of a call; nil where there are none.
  private func withTargets(_ call: NetworkCall<Scalar>, _ body: (LossTargets<Scalar>?) -> Double) -> Double {
    switch call.targets {
    case .classes(let classes):
      return unsafe classes.withUnsafeBufferPointer { unsafe body($0.baseAddress.map { unsafe .classes($0) }) }
    case .probabilities(let values):
      return unsafe values.withUnsafeBufferPointer { unsafe body($0.baseAddress.map { unsafe .probabilities($0) }) }
    case .values(let values):
      return unsafe values.withUnsafeBufferPointer { unsafe body($0.baseAddress.map { unsafe .values($0) }) }
    }
  }

  /// Weights of the rows: those of the call, and 0 for padded steps. Nil where all are 1.
  private func rowWeights(
    _ call: NetworkCall<Scalar>, _ memory: borrowing NetworkMemory<Scalar>
  ) -> UnsafePointer<Scalar>? {
    let isEveryStep = memory.use.readout == .everyStep
    let rows = isEveryStep ? call.steps * call.batch : call.batch
    if call.weights == nil && (call.lengths == nil || !isEveryStep) { return nil }
    let weights = unsafe memory.weights(rows)
    if let given = call.weights {
      unsafe given.withUnsafeBufferPointer { given in
        if let source = given.baseAddress { unsafe weights.baseAddress!.update(from: source, count: rows) }
      }
    } else {
      unsafe weights.update(repeating: 1)
    }
    if let lengths = call.lengths, isEveryStep {
      for (column, length) in lengths.enumerated() {
        for t in length..<call.steps { unsafe weights[t * call.batch + column] = 0 }
      }
    }
    return unsafe UnsafePointer(weights.baseAddress)
  }
}
