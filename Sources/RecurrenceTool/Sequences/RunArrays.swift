import Foundation
import Recurrence

/// The arrays that a network is run on.
struct RunArrays {
  /// [T, B, I].
  let input: Npy
  /// [L, B, H] each, h first; empty for zeros.
  let initialStates: [Npy]
  /// [T, B, H].
  let outputGradient: Npy?

  /// Reads them. Throws where one does not fit the network or the input.
  init(_ files: RunFiles, _ model: RecurrentModel) throws {
    let (shape, names) = (model.shape, model.states)
    for (option, paths) in [("--initial-state", files.initialStates), ("--final-state", files.finalStates)]
    where !paths.isEmpty && paths.count != names.count {
      let expected = "\(names.count) file\(names.count == 1 ? "" : "s")"
      throw Failure("\(option): expected \(expected), for \(names.joined(separator: " and ")), got \(paths.count)")
    }
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
    outputGradient = try files.gradient.map { try Self.read($0.of, shape: [steps, batch, shape.units], "[T, B, H]") }
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
    var states = stack.makeStates(batch: batch)
    for (name, array) in zip(states.names, initialStates) { states[name] = try array.values() }

    let count =
      outputGradient == nil
      ? stack.workspaceCount(steps: steps, batch: batch, threads: threads)
      : stack.tapeCount(steps: steps, batch: batch, threads: threads)
    if UInt64(count * MemoryLayout<Scalar>.size) > ProcessInfo.processInfo.physicalMemory { throw Self.tooLarge(input) }

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
    if let gradients, let path = files.gradient?.to { written.append((path, gradients.encoded())) }
    try FileAccess.system.replace(written)
  }
}
