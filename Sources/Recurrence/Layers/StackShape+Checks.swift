import RecurrenceKernels

/// The buffers of a forward pass, checked before anything is written.
@unsafe struct ForwardBuffers<Scalar: RecurrenceScalar> {
  /// [T, B, I], or E, [V, I], where rows are symbols.
  var input: UnsafeBufferPointer<Scalar>
  /// [T, B], each checked to be below V, where the memory projects an embedding.
  var symbols: UnsafeBufferPointer<Int32>? = nil
  var steps: Int
  var batch: Int
  var lengths: UnsafeBufferPointer<Int>?
  var initialStates: UnsafeBufferPointer<Scalar>?
  var outputs: UnsafeMutableBufferPointer<Scalar>?
  var finalStates: UnsafeMutableBufferPointer<Scalar>?
}

/// The buffers of a backward pass.
@unsafe struct BackwardBuffers<Scalar: RecurrenceScalar> {
  /// As in the forward pass.
  var input: UnsafeBufferPointer<Scalar>
  var outputGradients: UnsafeBufferPointer<Scalar>?
  var finalStateGradients: UnsafeBufferPointer<Scalar>?
  var parameterGradients: UnsafeMutableBufferPointer<Scalar>
  /// Whether ∂L/∂parameters is added to what is there, and does not replace it.
  var accumulates = true
  /// As `input`; where that is E, ∂L/∂E is added.
  var inputGradients: UnsafeMutableBufferPointer<Scalar>?
  var initialStateGradients: UnsafeMutableBufferPointer<Scalar>?
}

// Of the shape, not of the stack, which is generic over its cell: code that knows the cell only at run time looks up what
// it needs at every call, and a pass of a small layer takes no longer than some of these lookups.

extension StackShape {
  func checkOwner(_ memory: SequenceMemory<Scalar>, _ name: String) throws(ShapeError) {
    if memory.shape !== self {
      throw ShapeError(
        name, expected: "one made by this stack (\(inputs) inputs, \(units) units, \(layers) layers)",
        actual: "another's (\(memory.shape.inputs) inputs, \(memory.shape.units) units, \(memory.shape.layers) layers)")
    }
  }

  /// Checks what the memory was made for. Before all else, so that a wrong number of steps or sequences is not taken for
  /// a wrong buffer.
  func checkSizes(
    steps: Int, batch: Int, _ memory: SequenceMemory<Scalar>, _ name: String
  ) throws(ShapeError) {
    try checkOwner(memory, name)
    let use = memory.use
    if !(0...use.steps).contains(steps) {
      throw ShapeError("steps", expected: "0 to \(use.steps), which the \(name) was made for", actual: "\(steps)")
    }
    if !(0...use.batch).contains(batch) {
      throw ShapeError("batch", expected: "0 to \(use.batch), which the \(name) was made for", actual: "\(batch)")
    }
  }

  /// Checks that the tape holds a forward pass of this stack.
  func checkFilled(_ tape: borrowing Tape<Scalar>) throws(ShapeError) {
    try checkOwner(tape.memory, "tape")
    if !tape.isFilled { throw ShapeError("tape", expected: "a forward pass", actual: "an empty tape") }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func check(_ buffers: ForwardBuffers<Scalar>, _ memory: SequenceMemory<Scalar>) throws(ShapeError) {
    let name = memory.name
    let (steps, batch) = unsafe (buffers.steps, buffers.batch)
    try checkSizes(steps: steps, batch: batch, memory, name)
    unsafe try checkInput("input", buffers.input.count, memory, steps, batch)
    if memory.embedding != nil {
      guard let symbols = unsafe buffers.symbols else {
        throw ShapeError("input", expected: "symbols, which this memory projects", actual: "vectors")
      }
      try ShapeError.check("symbols", symbols.count, is: ("T", steps), ("B", batch))
    }
    if let outputs = unsafe buffers.outputs {
      try ShapeError.check("outputs", outputs.count, is: ("T", steps), ("B", batch), ("H", units))
    }
    if let states = unsafe buffers.initialStates { try checkStates("initialStates", states.count, batch) }
    if let states = unsafe buffers.finalStates { try checkStates("finalStates", states.count, batch) }
    guard let lengths = unsafe buffers.lengths else { return }
    if !memory.use.ragged {
      throw ShapeError(
        "lengths", expected: "none, because the \(name) was made with ragged: false", actual: "\(lengths.count)")
    }
    try ShapeError.check("lengths", lengths.count, is: ("B", batch))
    for row in 0..<batch {
      let length = unsafe lengths[row]
      if !(0...steps).contains(length) {
        throw ShapeError("lengths[\(row)]", expected: "0 to \(steps), the number of steps", actual: "\(length)")
      }
    }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func check(_ buffers: BackwardBuffers<Scalar>, _ tape: borrowing Tape<Scalar>) throws(ShapeError) {
    try checkFilled(tape)
    let (steps, batch) = (tape.memory.schedule.steps, tape.memory.schedule.batch)
    unsafe try checkInput("input", buffers.input.count, tape.memory, steps, batch)
    if let gradients = unsafe buffers.outputGradients {
      try ShapeError.check("outputGradients", gradients.count, is: ("T", steps), ("B", batch), ("H", units))
    }
    if let gradients = unsafe buffers.inputGradients {
      try checkInput("inputGradients", gradients.count, tape.memory, steps, batch)
    }
    if let gradients = unsafe buffers.finalStateGradients {
      try checkStates("finalStateGradients", gradients.count, batch)
    }
    if let gradients = unsafe buffers.initialStateGradients {
      try checkStates("initialStateGradients", gradients.count, batch)
    }
    unsafe try ShapeError.check(
      "parameterGradients", buffers.parameterGradients.count, is: ("parameters", layout.count))
  }

  private func checkInput(
    _ name: String, _ count: Int, _ memory: SequenceMemory<Scalar>, _ steps: Int, _ batch: Int
  ) throws(ShapeError) {
    if let embedding = memory.embedding {
      try ShapeError.check(name, count, is: ("V", embedding.symbols), ("I", inputs))
    } else {
      try ShapeError.check(name, count, is: ("T", steps), ("B", batch), ("I", inputs))
    }
  }

  private func checkStates(_ name: String, _ count: Int, _ batch: Int) throws(ShapeError) {
    try ShapeError.check(name, count, is: ("S", plan.planes.states), ("L", layers), ("B", batch), ("H", units))
  }

  /// Throws where `step` cannot take buffers of these sizes.
  func check(_ stream: borrowing RecurrentStream<Scalar>, inputs count: Int, outputs: Int) throws(ShapeError) {
    try checkOwner(stream.memory, "stream")
    try ShapeError.check("input", count, is: ("B", stream.batch), ("I", inputs))
    try ShapeError.check("outputs", outputs, is: ("B", stream.batch), ("H", units))
  }

  func checkLayout(_ states: RecurrentStates<Scalar>, _ name: String, batch: Int) throws(ShapeError) {
    let names = plan.stateNames
    if !states.hasShape(names, layers: layers, batch: batch, units: units) {
      throw ShapeError(
        name,
        expected: RecurrentStates<Scalar>.describe(names, layers: layers, batch: batch, units: units),
        actual: states.shapeDescription)
    }
  }
}
