import RecurrenceKernels

// Forward mode: the exact derivative of a run in one direction, J v, by dual numbers. Backward mode is `backward`, Jᵀ u.

/// A direction in everything that a run of a stack depends on, and the derivative in it of everything that comes out.
public struct RecurrentTangents<Scalar: RecurrenceScalar>: Hashable, Sendable {
  /// In: x′, [T, B, I]; nil for zero.
  public var input: [Scalar]?
  /// In: θ′, in the layout of the stack; nil for zero.
  public var parameters: Parameters<Scalar>?
  /// In: s′₀, the tangents of the initial states. Out: those of the final states.
  public var states: RecurrentStates<Scalar>
  /// Out: y′, [T, B, H] of the top layer.
  public var outputs: [Scalar]

  public init(
    states: RecurrentStates<Scalar>, input: [Scalar]? = nil, parameters: Parameters<Scalar>? = nil
  ) {
    self.input = input
    self.parameters = parameters
    self.states = states
    outputs = []
  }
}

/// Memory for `RecurrentStack.pushForward`. Made by `RecurrentStack.makeTangentWorkspace`.
@safe public struct TangentWorkspace<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  let memory: SequenceMemory<Scalar>
  let tangents: TangentMemory<Scalar>
}

extension RecurrentStack {
  /// Memory for forward-mode runs of at most T steps and B sequences, all of one length.
  public func makeTangentWorkspace(steps: Int, batch: Int, threads: Int = 1) -> TangentWorkspace<Scalar> {
    let workspace = makeWorkspace(steps: steps, batch: batch, threads: threads)
    let tangents = TangentMemory(workspace.memory)
    workspace.memory.tangent = tangents
    return TangentWorkspace(memory: workspace.memory, tangents: tangents)
  }

  /// Runs sequences and, beside them, their derivative in one direction: for a small ε, a run from states + ε·tangents on
  /// input + ε·tangents with parameters + ε·tangents differs by ε·(what comes out), up to ε².
  ///
  /// The cell's equations are run on dual numbers, and so the derivative is exact up to rounding, for every cell. Outputs and
  /// states have the bits of a run without tangents. Costs two to three forward passes.
  ///
  /// - Parameters:
  ///   - input: [T, B, I].
  ///   - states: in, the initial states; out, the final ones.
  ///   - tangents: in, the direction; out, the derivatives.
  ///   - outputs: out, [T, B, H]: made as long as that.
  ///
  /// Throws `ShapeError` where a size does not fit; nothing is changed then.
  public func pushForward(
    _ input: [Scalar], steps: Int, batch: Int, states: inout RecurrentStates<Scalar>,
    tangents: inout RecurrentTangents<Scalar>, outputs: inout [Scalar], workspace: inout TangentWorkspace<Scalar>
  ) throws(ShapeError) {
    let memory = workspace.memory
    let own = workspace.tangents
    try shape.checkSizes(steps: steps, batch: batch, memory, "workspace")
    try ShapeError.check("input", input.count, is: ("T", steps), ("B", batch), ("I", inputs))
    if let direction = tangents.input {
      try ShapeError.check("tangents.input", direction.count, is: ("T", steps), ("B", batch), ("I", inputs))
    }
    if let direction = tangents.parameters, direction.layout != layout {
      throw ShapeError(
        "tangents.parameters", expected: "the layout of this stack (\(layout.count) parameters)",
        actual: "another's (\(direction.layout.count) parameters)")
    }
    try shape.checkLayout(states, "states", batch: batch)
    try shape.checkLayout(tangents.states, "tangents.states", batch: batch)
    own.parameters = packedTangents(tangents.parameters, own.parameters)
    let count = steps * batch * units
    if outputs.count != count { outputs = [Scalar](repeating: 0, count: count) }
    var outputTangents = tangents.outputs
    if outputTangents.count != count { outputTangents = [Scalar](repeating: 0, count: count) }
    memory.schedule.set(steps: steps, batch: batch)
    unsafe tangents.states.values.withUnsafeBufferPointer {
      unsafe memory.loadTangents($0.baseAddress, own)
    }
    unsafe outputTangents.withUnsafeMutableBufferPointer { target in
      unsafe withPointer(tangents.input) { direction in
        unsafe (own.input, own.output) = unsafe (direction, target.baseAddress)
        defer { unsafe (own.input, own.output) = (nil, nil) }
        run(input, states: &states, outputs: &outputs, memory)
      }
    }
    tangents.outputs = outputTangents
    unsafe tangents.states.values.withUnsafeMutableBufferPointer {
      unsafe memory.storeTangents($0.baseAddress, own)
    }
  }

  private func run(
    _ input: [Scalar], states: inout RecurrentStates<Scalar>, outputs: inout [Scalar], _ memory: SequenceMemory<Scalar>
  ) {
    let (steps, batch) = (memory.schedule.steps, memory.schedule.batch)
    unsafe input.withUnsafeBufferPointer { input in
      unsafe outputs.withUnsafeMutableBufferPointer { outputs in
        unsafe states.values.withUnsafeMutableBufferPointer { states in
          unsafe memory.run(
            ForwardBuffers(
              input: input, steps: steps, batch: batch, lengths: nil, initialStates: UnsafeBufferPointer(states),
              outputs: outputs, finalStates: states), packed)
        }
      }
    }
  }

  private func packedTangents(
    _ parameters: Parameters<Scalar>?, _ memory: PackedStack<Scalar>?
  ) -> PackedStack<Scalar>? {
    guard let parameters else { return nil }
    let packed = memory ?? PackedStack(shape)
    unsafe parameters.values.withUnsafeBufferPointer { unsafe packed.pack($0.baseAddress!, shape) }
    return packed
  }

  private func withPointer(_ array: [Scalar]?, _ body: (UnsafePointer<Scalar>?) -> Void) {
    guard let array else { return body(nil) }
    unsafe array.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
  }
}

extension SequenceMemory {
  func loadTangents(_ states: UnsafePointer<Scalar>?, _ tangents: TangentMemory<Scalar>) {
    unsafe forEachState(states) { plane, source in
      unsafe load(source, plane: plane, into: tangents.hidden(0), tangents.other(0))
    }
  }

  func storeTangents(_ states: UnsafeMutablePointer<Scalar>?, _ tangents: TangentMemory<Scalar>) {
    unsafe forEachState(UnsafePointer(states)) { plane, target in
      if let target = unsafe target {
        unsafe store(UnsafeMutablePointer(mutating: target), plane: plane, from: tangents.hidden(0), tangents.other(0))
      }
    }
  }
}
