import Foundation
import Recurrence

@main enum Tool {
  static var commands: [any Command.Type] {
    [
      TrainCommand.self, GenerateCommand.self, ClassifyCommand.self, ForecastCommand.self, FlowCommand.self,
      RunCommand.self, ExperimentCommand.self, KernelsCommand.self, Demonstration.self,
    ]
  }

  static var usage: String {
    """
    usage: recurrence [command] [options]

    With no argument: trains an RNN, an LSTM and a GRU on a task with a long lag, in under a minute, and shows what the
    gradient does on its way back through time.

    \(commands.map { "  recurrence \($0.usage)" }.joined(separator: "\n"))

    recurrence COMMAND --help says what a command does and which options it takes.

    environment: RECURRENCE_ISA = baseline | x86-64-v3 | x86-64-v4 overrides the choice of kernels.
    exit status: 0 done, 1 failed with a sentence on standard error, 2 usage.
    """
  }

  static func main() {
    do {
      try run(Array(CommandLine.arguments.dropFirst()))
    } catch let error as UsageError {
      fail("\(error)", status: 2)
    } catch {
      fail("\(error)", status: 1)
    }
  }

  /// Runs what the arguments ask for.
  private static func run(_ arguments: [String]) throws {
    guard let name = arguments.first else {
      try KernelSelection.validate()
      return try Demonstration.run(Arguments([], options: Demonstration.options))
    }
    if ["--help", "-h", "help"].contains(name) { return print(usage) }
    guard let command = commands.first(where: { $0.name == name }) else {
      throw UsageError("unknown command \"\(name)\"\ntry: recurrence --help")
    }
    let rest = Array(arguments.dropFirst())
    if rest.contains("--help") || rest.contains("-h") { return print(command.help, terminator: "") }
    try KernelSelection.validate()
    do {
      try command.run(Arguments(rest, options: command.options, operands: command.operands))
    } catch let error as UsageError {
      throw UsageError("\(error)\ntry: recurrence \(name) --help")
    }
  }

  private static func fail(_ sentence: String, status: Int32) -> Never {
    Terminal.write("recurrence: \(sentence)\n", to: 2)
    exit(status)
  }
}
