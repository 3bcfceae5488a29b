import Foundation
import Recurrence

enum FlowCommand: Command {
  static let name = "flow"
  static let usage = "flow [options]"
  static let summary = """
    Says what becomes of a gradient on its way back through time: how much of it is left at each step, whether it vanishes
    or explodes before it has come as far back as the task needs, and what to try then. It looks at a network that has
    learned nothing yet, on random inputs or on a text; at one that `recurrence train` made; or at weights and sequences
    from files.
    """
  static let options = [
    Option("--text", "FILE", "a character language model on the first window of a text, with its loss at every step"),
    Option(
      "--model", "PATH",
      "with --text: a model that `recurrence train --save DIR` made; with --input: a safetensors\nfile of weights, as `recurrence run` reads it"
    ),
    Option("--input", "x.npy", "with --model: sequences [T, B, I]"),
    Option("--output-gradient", "dy.npy", "with --input: ∂L/∂y [T, B, H] (a gradient of length 1 at the last output)"),
    Option("--initial-state", "FILES", "with --input: h0.npy, of an lstm h0.npy,c0.npy: each [L, B, H] (zeros)"),
    Option("--prefix", "P", "with --input: what the weights' names begin with (found where there is only one)"),
    Option("--cell", "KIND", "rnn, rnn-relu, lstm, gru or gru-before (lstm; with --input as the file says)"),
    Option("--T", "N", "steps (100; of a trained model those of a window)"),
    Option("--lag", "N", "steps back that the task needs the gradient (T); beyond T the trend is taken to go on"),
    Option("--batch", "B", "sequences (8; of a trained model those of an update)"),
    Option("--hidden", "N", "units of a layer (64)"),
    Option("--layers", "L", "layers (1)"),
    Option("--inputs", "N", "random inputs, or features of a character (8)"),
    Option("--input-scale", "s", "standard deviation of random inputs (1)"),
    Option(
      "--init", "NAME",
      "standard, pytorch, glorot, orthogonal, identity or chrono, which is told the lag (standard)"),
    Option("--gain", "g", "multiplies the recurrent weights (1)"),
    Option("--seed", "S", "of weights and random inputs (0)"),
    Option("--threads", "N", "threads (as many as there are cores); they change no bit of a result"),
    Option("--svg", "FILE", "draw the gradients through time as a picture"),
    Option("--json", nil, "one JSON object for each layer, on a line of its own"),
    Option("--help", nil, "this text"),
  ]

  static func run(_ arguments: Arguments) throws {
    let (source, report) = try measure(arguments)
    if let path = arguments.string("--svg") {
      try FileAccess.system.replace(path, with: Array(report.svg.utf8))
    }
    if arguments.has("--json") {
      for line in report.jsonLines { Terminal.write(line + "\n", to: 1) }
    } else {
      Terminal.write("\(source)\n\(report)\n", to: 1)
    }
  }

  /// What was looked at, and what was found.
  private static func measure(_ arguments: Arguments) throws -> (source: String, report: GradientFlowReport) {
    let isFile = arguments.has("--input")
    if arguments.has("--model") && !isFile && !arguments.has("--text") {
      throw UsageError("--model: expected --text FILE or --input x.npy with it, got neither")
    }
    if isFile {
      try refuse(["--text", "--T", "--batch"] + drawn, arguments, with: "--input", "the files say it")
      return try FileFlow(arguments).report()
    }
    for option in ["--output-gradient", "--initial-state", "--prefix"] where arguments.has(option) {
      throw UsageError("\(option): expected --input x.npy with it, which is not given")
    }
    if arguments.has("--text") {
      try refuse(["--input-scale"], arguments, with: "--text", "it is of random inputs")
      if arguments.has("--model") { try refuse(["--cell"] + drawn, arguments, with: "--model", "the model says it") }
      return try TextFlow(arguments).report()
    }
    return try FreshNetwork(arguments).report()
  }

  /// What makes a network that has learned nothing.
  private static let drawn = [
    "--hidden", "--layers", "--inputs", "--input-scale", "--init", "--gain", "--seed",
  ]

  private static func refuse(
    _ options: [String], _ arguments: Arguments, with other: String, _ reason: String
  ) throws(UsageError) {
    for option in options where arguments.has(option) {
      throw UsageError("\(option): cannot be given with \(other): \(reason)")
    }
  }
}
