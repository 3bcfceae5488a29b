import RecurrenceKernels

// The way of a gradient through one layer, apart from any loss: J_{T,k} = ∂h_T/∂h_k along the path that the layer takes on
// a batch. Nothing here forms an H × H matrix: J v is a forward pass over dual numbers, Jᵀ u a backward pass.

/// One layer of a stack on one batch: what becomes of a cotangent, or of a small change, on its way through time.
///
///     var transport = try GradientTransport(lstm, input: x, steps: 100, batch: 8)
///     transport.profile()                        // how much of a unit cotangent on h_T arrives at each step
///     transport.largestSingularValues()          // of ∂h_T/∂h_0, one for each sequence
///     transport.lyapunovExponents(count: 4)
public struct GradientTransport<C: Cell, Scalar: RecurrenceScalar>: ~Copyable {
  /// T, B, H.
  public let steps, batch, units: Int
  private let stack: RecurrentStack<C, Scalar>
  private let input: [Scalar]
  private let initial: RecurrentStates<Scalar>
  private let threads: Int
  private var tape: Tape<Scalar>
  private var tangents: TangentWorkspace<Scalar>

  /// Runs the stack on a batch, as far as it takes.
  ///
  /// - Parameters:
  ///   - input: [T, B, I], of the whole stack.
  ///   - layer: the layer that is looked at; its inputs are held as they are.
  ///   - initialStates: of the whole stack; nil for zero.
  ///
  /// Throws `ShapeError` where a size does not fit. Traps where there is no such layer.
  public init(
    _ stack: RecurrentStack<C, Scalar>, layer: Int = 0, input: [Scalar], steps: Int, batch: Int,
    initialStates: RecurrentStates<Scalar>? = nil, threads: Int = 1
  ) throws(ShapeError) {
    if !(0..<stack.layers).contains(layer) {
      fatalError("layer: expected 0 to \(stack.layers - 1), got \(layer)")
    }
    if steps < 0 { throw ShapeError("steps", expected: "at least 0", actual: "\(steps)") }
    if batch < 0 { throw ShapeError("batch", expected: "at least 0", actual: "\(batch)") }
    let states = initialStates ?? stack.makeStates(batch: batch)
    try stack.shape.checkLayout(states, "initialStates", batch: batch)
    try ShapeError.check("input", input.count, is: ("T", steps), ("B", batch), ("I", stack.inputs))
    var x = input
    for below in 0..<layer {
      x = try stack.layer(below).forward(
        x, steps: steps, batch: batch, initialStates: stack.states(states, layer: below), threads: threads
      ).outputs
    }
    self.init(
      alone: stack.layer(layer), input: x, steps: steps, batch: batch, initial: stack.states(states, layer: layer),
      threads: threads)
  }

  private init(
    alone stack: RecurrentStack<C, Scalar>, input: [Scalar], steps: Int, batch: Int,
    initial: RecurrentStates<Scalar>, threads: Int
  ) {
    (self.steps, self.batch, units) = (steps, batch, stack.units)
    self.stack = stack
    self.input = input
    self.initial = initial
    self.threads = threads
    tape = stack.makeTape(steps: steps, batch: batch, threads: threads)
    tape.recordsGradientFlow = true
    tangents = stack.makeTangentWorkspace(steps: steps, batch: batch, threads: threads)
    var states = initial
    var outputs = [Scalar](repeating: 0, count: steps * batch * units)
    try! stack.forward(input, steps: steps, batch: batch, states: &states, outputs: &outputs, tape: &tape)
  }

  // MARK: A cotangent on its way back

  /// The norm of all states' gradients together, as a cotangent on h_T alone is pulled back: T + 1 numbers, that of the
  /// initial state first, relative to that of the last, which is 1; NaN where a forward pass left numbers that are not finite.
  ///
  /// Every element of the cotangent is +1 or −1, drawn from `seed`: the mean square of what arrives over such cotangents is
  /// that over all unit cotangents.
  public mutating func profile(seed: UInt64 = 0) -> [Double] {
    var generator = SeededGenerator(seed: seed)
    let size = 1 / Double(max(1, batch * units)).squareRoot()
    let cotangent = (0..<(batch * units)).map { _ in
      Scalar(generator.uniform(in: 0...1) < 0.5 ? -size : size)
    }
    _ = pullBack(cotangent)
    let states = tape.gradientFlow().layers[0].states
    let norms = (0...steps).map { time -> Double in
      let parts = states.map { $0.gradientNorms[time] }
      return unsafe parts.withUnsafeBufferPointer { unsafe combinedNorm($0) }
    }
    // Nothing to lose where there is no sequence.
    guard let last = norms.last, last != 0 else { return norms.map { _ in 1 } }
    return norms.map { $0 / last }
  }

  /// Jᵀ u: ∂(u · h_T)/∂h_0, [B, H], for u [B, H].
  public mutating func pullBack(_ cotangent: [Scalar]) -> [Scalar] {
    if cotangent.count != batch * units {
      fatalError("cotangent: expected \(batch * units) elements, got \(cotangent.count)")
    }
    var gradients = stack.makeStates(batch: batch)
    gradients[C.states[0]] = cotangent
    stack.pullBack(&gradients, input, &tape)
    return gradients[C.states[0]]
  }

  /// J v: the derivative of h_T in the direction v of h_0, [B, H].
  public mutating func pushForward(_ tangent: [Scalar]) -> [Scalar] {
    if tangent.count != batch * units {
      fatalError("tangent: expected \(batch * units) elements, got \(tangent.count)")
    }
    var states = initial
    var direction = RecurrentTangents(states: stack.makeStates(batch: batch))
    direction.states[C.states[0]] = tangent
    var outputs: [Scalar] = []
    try! stack.pushForward(
      input, steps: steps, batch: batch, states: &states, tangents: &direction, outputs: &outputs,
      workspace: &tangents)
    return direction.states[C.states[0]]
  }

  // MARK: Singular values

  /// The largest singular value of ∂h_T/∂h_0 of each sequence, the other initial states held.
  ///
  /// Golub and Kahan's bidiagonalisation from a random start, each vector made orthogonal to all before: it takes the
  /// products of power iteration, J v and Jᵀ u, and does not stall where the leading values lie close. It ends when the
  /// values stand still to 10⁻¹⁰ (Float: 10⁻⁶) in two steps, or after min(H, `iterations`).
  public mutating func largestSingularValues(iterations: Int = 60, seed: UInt64 = 0) -> [Double] {
    var generator = SeededGenerator(seed: seed)
    var rows = (0..<batch).map { _ in
      Bidiagonalization(start: (0..<units).map { _ in generator.normal() })
    }
    let tolerance = Scalar.self == Float.self ? 1e-6 : 1e-10
    for _ in 0..<min(units, max(1, iterations)) {
      let forward = pushForward(rows.flatMap { $0.right.map { Scalar($0) } })
      for row in 0..<batch { rows[row].takeForward(slice(forward, row)) }
      let back = pullBack(rows.flatMap { $0.left.map { Scalar($0) } })
      for row in 0..<batch { rows[row].takeBack(slice(back, row)) }
      if rows.allSatisfy({ $0.hasSettled(tolerance) }) { break }
    }
    return rows.map(\.largest)
  }

  private func slice(_ values: [Scalar], _ row: Int) -> [Double] {
    values[(row * units)..<((row + 1) * units)].map(\.asDouble)
  }

  // MARK: Lyapunov exponents

  /// The leading Lyapunov exponents of each sequence, per step, descending: how fast small changes of the state, all
  /// planes of it, grow in the direction that grows most, in the next, and so on.
  ///
  /// Benettin's way: orthonormal directions are pushed forward and made orthonormal again after each step; the exponents
  /// are the mean logarithms of the lengths. The first `discarding` steps, a tenth of T where nil, only turn the directions.
  /// −∞ where a direction dies; none where no step is left.
  ///
  /// - Parameter count: k, at most the number of a sequence's state elements.
  public func lyapunovExponents(count: Int, discarding: Int? = nil, seed: UInt64 = 0) -> [[Double]] {
    if count < 1 { fatalError("count: expected at least 1 exponent, got \(count)") }
    let planes = C.states.count
    let k = min(count, planes * units)
    let discarded = discarding ?? steps / 10
    var generator = SeededGenerator(seed: seed)
    var frames = (0..<batch).map { _ in
      OrthonormalFrame(count: k, length: planes * units, using: &generator)
    }
    var workspace = stack.makeTangentWorkspace(steps: 1, batch: batch * k, threads: threads)
    var states = stack.makeStates(batch: batch * k)
    var tangents = RecurrentTangents(states: states)
    states.values = spread(initial.values, planes: planes, width: units, copies: k)
    var outputs: [Scalar] = []
    let width = batch * stack.inputs
    for t in 0..<steps {
      let x = spread(Array(input[(t * width)..<((t + 1) * width)]), planes: 1, width: stack.inputs, copies: k)
      for (row, frame) in frames.enumerated() {
        for j in 0..<k { tangents.states.setRow(row * k + j, frame.vectors[j]) }
      }
      try! stack.pushForward(
        x, steps: 1, batch: batch * k, states: &states, tangents: &tangents, outputs: &outputs, workspace: &workspace)
      for row in frames.indices {
        for j in 0..<k { frames[row].vectors[j] = tangents.states.row(row * k + j) }
        frames[row].orthonormalize(counting: t >= discarded)
      }
    }
    return frames.map { steps > discarded ? $0.exponents : [] }
  }

  /// Each row of [planes, B, width] `copies` times.
  private func spread(_ values: [Scalar], planes: Int, width: Int, copies: Int) -> [Scalar] {
    var result: [Scalar] = []
    result.reserveCapacity(values.count * copies)
    for row in 0..<(planes * batch) {
      for _ in 0..<copies { result += values[(row * width)..<((row + 1) * width)] }
    }
    return result
  }
}

extension RecurrentStates {
  /// The planes of one sequence of a single layer, one after the other.
  fileprivate func row(_ row: Int) -> [Double] {
    var elements: [Double] = []
    for plane in names.indices {
      let start = (plane * batch + row) * units
      for index in start..<(start + units) { elements.append(values[index].asDouble) }
    }
    return elements
  }

  fileprivate mutating func setRow(_ row: Int, _ elements: [Double]) {
    for (index, element) in elements.enumerated() {
      values[(index / units * batch + row) * units + index % units] = Scalar(element)
    }
  }
}

extension RecurrentStack {
  /// One layer as a stack of its own.
  func layer(_ layer: Int) -> RecurrentStack {
    if layers == 1 { return self }
    var alone = RecurrentStack(
      cell, inputs: shape.inputs(of: layer), units: units,
      initialization: Initialization(
        inputWeights: .zero, recurrentWeights: .zero, biases: .zero, unitParameters: .zero, forgetGateBias: .asDrawn),
      kernels: shape.kernels)
    var parameters = Parameters<Scalar>(alone.layout)
    for tensor in alone.layout.tensors { parameters[tensor.name] = self.parameters[tensor.name, layer: layer] }
    alone.parameters = parameters
    return alone
  }

  /// The states of one layer.
  func states(_ states: RecurrentStates<Scalar>, layer: Int) -> RecurrentStates<Scalar> {
    if layers == 1 { return states }
    var alone = RecurrentStates<Scalar>(names: states.names, layers: 1, batch: states.batch, units: units)
    let size = states.batch * units
    for plane in states.names.indices {
      let start = (plane * layers + layer) * size
      alone.values.replaceSubrange((plane * size)..<((plane + 1) * size), with: states.values[start..<(start + size)])
    }
    return alone
  }

  /// ∂L/∂(initial states) from ∂L/∂(final states), through the forward pass on the tape, and no other gradient.
  func pullBack(
    _ gradients: inout RecurrentStates<Scalar>, _ input: [Scalar], _ tape: inout Tape<Scalar>,
    outputGradients: [Scalar]? = nil, steps: Int? = nil
  ) {
    let memory = tape.memory
    unsafe gradients.values.withUnsafeMutableBufferPointer { gradients in
      unsafe memory.loadStateGradients(UnsafePointer(gradients.baseAddress))
      unsafe input.withUnsafeBufferPointer { input in
        unsafe (outputGradients ?? []).withUnsafeBufferPointer { outputGradients in
          unsafe withUnsafeParameters { parameters in
            guard let input = input.baseAddress else { return }
            unsafe memory.backward(
              packed, parameters: parameters,
              BackwardCall(
                input: input, outputGradient: outputGradients.isEmpty ? nil : outputGradients.baseAddress,
                inputGradient: nil, gradient: nil, steps: steps))
          }
        }
      }
      unsafe memory.storeStateGradients(gradients.baseAddress)
    }
  }
}
