import Foundation
import Recurrence

/// Where the arrays are that a network is run on.
struct ArrayFiles {
  let input: String
  /// One for each state; empty where none are given.
  let initialStates: [String]
  let outputGradient: String?

  init(_ arguments: Arguments) throws(UsageError) {
    input = try arguments.required("--input")
    initialStates = try Self.list(arguments, "--initial-state")
    outputGradient = arguments.string("--output-gradient")
  }

  /// Paths with a comma between them; none where the option is not given.
  static func list(_ arguments: Arguments, _ name: String) throws(UsageError) -> [String] {
    guard let text = arguments.string(name) else { return [] }
    let paths = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    if paths.contains("") { throw UsageError("\(name): expected paths with a comma between them, got \"\(text)\"") }
    return paths
  }

  /// Throws where paths are given, but not one for each state.
  static func checkCount(_ option: String, _ paths: [String], _ states: [String]) throws(Failure) {
    if paths.isEmpty || paths.count == states.count { return }
    let expected = "\(states.count) file\(states.count == 1 ? "" : "s")"
    throw Failure("\(option): expected \(expected), for \(states.joined(separator: " and ")), got \(paths.count)")
  }
}

/// The arrays that a network is run on.
struct RunArrays {
  /// [T, B, I].
  let input: Npy
  /// [L, B, H] each, h first; empty for zeros.
  let initialStates: [Npy]
  /// [T, B, H].
  let outputGradient: Npy?

  /// Reads them. Throws where one does not fit the network or the input.
  init(_ files: ArrayFiles, _ model: RecurrentModel) throws {
    let shape = model.shape
    try ArrayFiles.checkCount("--initial-state", files.initialStates, model.states)
    input = try Npy(path: files.input)
    guard input.shape.count == 3, input.shape[2] == shape.inputs else {
      throw FormatError(
        file: files.input, "shape", expected: "[T, B, \(shape.inputs)]", actual: FormatError.describe(input.shape))
    }
    let (steps, batch) = (input.shape[0], input.shape[1])
    // A few bytes can claim any number of sequences without steps, or of steps without sequences.
    let states = Double(max(steps, 1)) * Double(max(batch, 1)) * Double(shape.layers * shape.units)
    if states * 8 > Double(ProcessInfo.processInfo.physicalMemory) { throw Self.tooLarge(input) }
    initialStates = try files.initialStates.map { path in
      try Self.read(path, shape: [shape.layers, batch, shape.units], "[L, B, H]")
    }
    outputGradient = try files.outputGradient.map {
      try Self.read($0, shape: [steps, batch, shape.units], "[T, B, H]")
    }
  }

  /// Whether any of them has 64 bits.
  var isDouble: Bool { ([input] + initialStates + [outputGradient].compactMap { $0 }).contains { $0.bitWidth == 64 } }

  /// Runs a network on them. Throws where its weights are not as they should be, or memory is too small.
  func run<C: Cell, Scalar: RecurrenceScalar>(
    _ model: RecurrentModel, _ cell: C, as _: Scalar.Type, threads: Int
  ) throws -> RunResults {
    let stack = try RecurrentStack<C, Scalar>(cell, loading: model.file, prefix: model.prefix)
    let (steps, batch) = (input.shape[0], input.shape[1])
    let x: [Scalar] = try input.values()
    var states = try states(of: stack)
    try checkMemory(
      of: Scalar.self,
      outputGradient == nil
        ? stack.workspaceCount(steps: steps, batch: batch, threads: threads)
        : stack.tapeCount(steps: steps, batch: batch, threads: threads))

    var y = [Scalar](repeating: 0, count: steps * batch * stack.units)
    var gradients: Safetensors?
    if let outputGradient {
      var tape = stack.makeTape(steps: steps, batch: batch, threads: threads)
      try stack.forward(x, steps: steps, batch: batch, states: &states, outputs: &y, tape: &tape)
      gradients = try self.gradients(model, stack, x, outputGradient.values(), &tape)
    } else {
      var workspace = stack.makeWorkspace(steps: steps, batch: batch, threads: threads)
      try stack.forward(x, steps: steps, batch: batch, states: &states, outputs: &y, workspace: &workspace)
    }
    let stateShape = [stack.layers, batch, stack.units]
    return RunResults(
      outputs: Npy(y, shape: [steps, batch, stack.units]),
      finalStates: states.names.map { Npy(states[$0], shape: stateShape) }, gradients: gradients)
  }

  /// The gradient flow of a network on them, of Σ dy ⊙ y or of the last output. Throws as `run` does.
  func flow<C: Cell, Scalar: RecurrenceScalar>(
    _ model: RecurrentModel, _ cell: C, as _: Scalar.Type, _ options: GradientFlowOptions
  ) throws -> GradientFlowReport {
    let stack = try RecurrentStack<C, Scalar>(cell, loading: model.file, prefix: model.prefix)
    let (steps, batch) = (input.shape[0], input.shape[1])
    try checkMemory(of: Scalar.self, stack.tapeCount(steps: steps, batch: batch, threads: options.threads))
    return try stack.gradientFlowReport(
      input.values(), steps: steps, batch: batch, initialStates: states(of: stack),
      outputGradients: outputGradient?.values(), options: options)
  }

  /// The states before the first step.
  private func states<C: Cell, Scalar: RecurrenceScalar>(
    of stack: RecurrentStack<C, Scalar>
  ) throws -> RecurrentStates<Scalar> {
    var states = stack.makeStates(batch: input.shape[1])
    for (name, array) in zip(states.names, initialStates) { states[name] = try array.values() }
    return states
  }

  private func checkMemory<Scalar: RecurrenceScalar>(of _: Scalar.Type, _ count: Int) throws(FormatError) {
    if UInt64(count * MemoryLayout<Scalar>.size) > ProcessInfo.processInfo.physicalMemory { throw Self.tooLarge(input) }
  }

  /// Gradients of Σ dy ⊙ y.
  private func gradients<C: Cell, Scalar: RecurrenceScalar>(
    _ model: RecurrentModel, _ stack: RecurrentStack<C, Scalar>, _ x: [Scalar], _ dy: [Scalar],
    _ tape: inout Tape<Scalar>
  ) throws -> Safetensors {
    let batch = input.shape[1]
    var gradient = stack.makeGradient()
    var dx = [Scalar](repeating: 0, count: x.count)
    var stateGradients = stack.makeStates(batch: batch)
    try stack.backward(
      x, outputGradients: .everyStep(dy), stateGradients: &stateGradients, gradient: &gradient, inputGradients: &dx,
      tape: &tape)
    var file = Safetensors()
    stack.store(gradient: gradient, into: &file, prefix: model.prefix)
    // Where the module has no biases, its state_dict has no such names.
    for layer in 0..<stack.layers where !model.shape.hasBiases {
      for stem in ["bias_ih", "bias_hh"] { file.remove("\(model.prefix)\(stem)_l\(layer)") }
    }
    file.set("input", shape: input.shape, dx)
    for name in stateGradients.names {
      file.set("\(name)0", shape: [stack.layers, batch, stack.units], stateGradients[name])
    }
    return file
  }

  private static func read(_ path: String, shape: [Int], _ letters: String) throws -> Npy {
    let array = try Npy(path: path)
    if array.shape == shape { return array }
    throw FormatError(
      file: path, "shape", expected: "\(letters) = \(FormatError.describe(shape))",
      actual: FormatError.describe(array.shape))
  }

  private static func tooLarge(_ input: Npy) -> FormatError {
    FormatError(
      file: input.file, "shape", expected: "sequences that this machine's memory can hold",
      actual: FormatError.describe(input.shape))
  }
}

/// What a run gives.
struct RunResults {
  let outputs: Npy
  let finalStates: [Npy]
  let gradients: Safetensors?

  /// Writes what was asked for: all of it, or nothing.
  func write(to files: RunFiles) throws {
    var written = [(path: files.output, bytes: outputs.encoded())]
    for (state, path) in zip(finalStates, files.finalStates) { written.append((path, state.encoded())) }
    if let gradients, let path = files.gradients { written.append((path, gradients.encoded())) }
    try FileAccess.system.replace(written)
  }
}
