import Foundation
import Recurrence

enum RunCommand: Command {
  static let name = "run"
  static let usage = "run MODEL.safetensors --input x.npy --output y.npy [options]"
  static let operands = 1
  static let summary = """
    Runs a recurrent network whose weights PyTorch saved: the state_dict of an nn.RNN, nn.LSTM or nn.GRU, or of a module
    that holds one. Sequences x are a NumPy array [T, B, I]; y, the outputs of the top layer, is written as [T, B, H].
    Everything is computed and written in float32, or in float64 where the weights or any array are float64.
    """
  static let options = [
    Option("--input", "x.npy", "sequences [T, B, I]"),
    Option("--output", "y.npy", "where the outputs [T, B, H] go"),
    Option(
      "--cell", "KIND",
      "rnn, rnn-relu, lstm, gru or gru-before (what the metadata calls \"cell\"; else by the gates,\n"
        + "1 rnn, 3 gru, 4 lstm: rnn-relu and gru-before must be asked for)"),
    Option("--prefix", "P", "what the weights' names begin with, such as rnn. (found where there is only one)"),
    Option("--initial-state", "FILES", "h0.npy, of an lstm h0.npy,c0.npy: each [L, B, H] (zeros)"),
    Option("--final-state", "FILES", "hT.npy, of an lstm hT.npy,cT.npy: where the states after the last step go"),
    Option("--output-gradient", "dy.npy", "∂L/∂y [T, B, H], of L = Σ dy ⊙ y"),
    Option(
      "--gradients", "FILE",
      "safetensors file where the gradients of L go: of the weights under their names, and\ninput, h0 and, of an lstm, c0"
    ),
    Option("--threads", "N", "threads (as many as there are cores); they change no bit of a result"),
    Option("--help", nil, "this text"),
  ]

  static func run(_ arguments: Arguments) throws {
    let files = try RunFiles(arguments)
    let kind = try arguments.choice("--cell", CellKind.self)
    let threads = try arguments.integer("--threads", 1...1024) ?? ProcessInfo.processInfo.activeProcessorCount
    let model = try RecurrentModel(files.model, prefix: arguments.string("--prefix"), cell: kind)
    try ArrayFiles.checkCount("--final-state", files.finalStates, model.states)
    let arrays = try RunArrays(files.arrays, model)
    let isDouble = model.isDouble || arrays.isDouble
    func results<C: Cell>(_ cell: C) throws -> RunResults {
      isDouble
        ? try arrays.run(model, cell, as: Double.self, threads: threads)
        : try arrays.run(model, cell, as: Float.self, threads: threads)
    }
    try results(model.cell).write(to: files)
    let (steps, batch) = (arrays.input.shape[0], arrays.input.shape[1])
    let type = isDouble ? "float64" : "float32"
    Terminal.write("\(model.description), \(type): T = \(steps), B = \(batch) to \(files.output)\n", to: 1)
    if let other = model.alternative?.rawValue {
      Terminal.write("\(model.kind.rawValue) by the number of gates: if it is \(other), say --cell \(other)\n", to: 1)
    }
  }
}

/// The paths that a command line gives.
struct RunFiles {
  let model: String
  let arrays: ArrayFiles
  let output: String
  /// One for each state; empty where none are given.
  let finalStates: [String]
  let gradients: String?

  /// Throws where paths are missing or contradict each other, before any file is opened.
  init(_ arguments: Arguments) throws(UsageError) {
    guard let model = arguments.operands.first else { throw UsageError("MODEL.safetensors: expected, and not given") }
    self.model = model
    arrays = try ArrayFiles(arguments)
    output = try arguments.required("--output")
    finalStates = try ArrayFiles.list(arguments, "--final-state")
    gradients = arguments.string("--gradients")
    switch (arrays.outputGradient, gradients) {
    case (nil, nil), (_?, _?): break
    case (_?, nil): throw UsageError("--output-gradient: expected --gradients FILE with it, which is not given")
    case (nil, _?): throw UsageError("--gradients: expected --output-gradient dy.npy with it, which is not given")
    }
    var taken: Set<String> = []
    for path in [output] + finalStates + (gradients.map { [$0] } ?? []) {
      if !taken.insert(URL(fileURLWithPath: path).standardizedFileURL.path).inserted {
        throw UsageError("\(path): expected a file for each result, got two results for this one")
      }
    }
  }
}
