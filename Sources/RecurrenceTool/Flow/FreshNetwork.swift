import Foundation
import Recurrence

/// A network that has learned nothing yet, as a command line describes it.
struct FreshNetwork {
  let kind: CellKind
  let steps: Int
  let batch: Int
  let units: Int
  let layers: Int
  let inputs: Int
  let inputScale: Double
  let initialization: Initialization
  /// What it is called in the report.
  let drawing: String
  /// What the recurrent weights are multiplied by.
  let gain: Double
  let seed: UInt64
  let options: GradientFlowOptions

  init(_ arguments: Arguments) throws(UsageError) {
    let sizes = 1...1_000_000
    kind = try arguments.choice("--cell", CellKind.self) ?? .lstm
    steps = try arguments.integer("--T", sizes) ?? 100
    batch = try arguments.integer("--batch", sizes) ?? 8
    units = try arguments.integer("--hidden", sizes) ?? 64
    layers = try arguments.integer("--layers", 1...1000) ?? 1
    inputs = try arguments.integer("--inputs", sizes) ?? (arguments.has("--text") ? 64 : 8)
    inputScale = try arguments.number("--input-scale", least: 0) ?? 1
    gain = try arguments.number("--gain", least: 0) ?? 1
    seed = try arguments.seed() ?? 0
    options = try FlowCommand.options(arguments)
    let name = try arguments.choice("--init", InitializationName.self) ?? .standard
    // The shortest that chrono knows is 2.
    initialization = name.initialization(lag: max(2, options.neededLag ?? steps))
    drawing = "--init \(name.rawValue)\(gain == 1 ? "" : " --gain \(gain)"), seed \(seed)"
  }

  /// On random inputs: independent normal numbers.
  func report() throws -> (source: String, report: GradientFlowReport) {
    func open<C: Cell>(_ cell: C) throws -> GradientFlowReport {
      try NetworkSize(inputs: inputs, units: units, layers: layers, outputs: 1, steps: steps, batch: batch).check(cell)
      var stack = RecurrentStack<C, Float>(
        cell, inputs: inputs, units: units, layers: layers, initialization: initialization, seed: seed)
      amplify(&stack)
      var generator = SeededGenerator(seed: seed ^ 0xf10)
      let x = (0..<(steps * batch * inputs)).map { _ in Float(inputScale * generator.normal()) }
      return try stack.gradientFlowReport(x, steps: steps, batch: batch, options: options)
    }
    let source = "a fresh \(kind.rawValue) (\(drawing)) on random inputs"
    return try (source, open(kind.cell))
  }

  func amplify<C: Cell>(_ stack: inout RecurrentStack<C, Float>) {
    if gain == 1 { return }
    let ranges = stack.layout.tensors.filter { $0.name == "U" }.map(\.range)
    stack.withParameters { values in
      for range in ranges { for index in range { values[index] *= Float(gain) } }
    }
  }
}

extension FlowCommand {
  /// What all reports are told.
  static func options(_ arguments: Arguments) throws(UsageError) -> GradientFlowOptions {
    GradientFlowOptions(
      neededLag: try arguments.integer("--lag", 1...1_000_000),
      threads: try arguments.integer("--threads", 1...1024) ?? ProcessInfo.processInfo.activeProcessorCount)
  }
}
