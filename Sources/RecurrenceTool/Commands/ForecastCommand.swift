import Foundation
import Recurrence

enum ForecastCommand: Command {
  static let name = "forecast"
  static let usage = "forecast [options]"
  static let summary = """
    Learns to forecast a generated series (two waves of incommensurable periods, and noise) by mean squared error: many to
    many, the next value at every step; and many to one, the value after each window. Compares with persistence, which
    says that the next value is the last.
    """
  static let options = [
    Option("--cell", "KIND", "rnn, rnn-relu, lstm, gru or gru-before (gru)"),
    Option("--hidden", "N", "units (32)"),
    Option("--seq", "T", "steps of a window (64)"),
    Option("--updates", "N", "updates of each network (400)"),
    Option("--lr", "RATE", "learning rate (0.005)"),
    Option("--seed", "S", "of the series and the weights (0)"),
    Option("--json", nil, "one JSON object a line"),
    Option("--help", nil, "this text"),
  ]

  static func run(_ arguments: Arguments) throws {
    let kind = try arguments.choice("--cell", CellKind.self) ?? .gru
    let units = try arguments.integer("--hidden", 1...100_000) ?? 32
    let steps = try arguments.integer("--seq", 2...100_000) ?? 64
    let updates = try arguments.integer("--updates", 1...Int.max) ?? 400
    let rate = try arguments.number("--lr", above: 0) ?? 5e-3
    let seed = try arguments.seed() ?? 0
    let log = Terminal(json: arguments.has("--json"))
    func open<C: Cell>(_ cell: C) throws {
      try NetworkSize(inputs: 1, units: units, outputs: 1, steps: steps, batch: Forecaster<C>.batch).check(cell)
      for readout in [Readout.everyStep, .lastStep] {
        var forecaster = Forecaster(cell, units: units, steps: steps, readout: readout, seed: seed)
        for update in 1...updates {
          let loss = try forecaster.update(learningRate: rate)
          log.bar(fraction: Double(update) / Double(updates), String(format: " loss %.4f", loss))
        }
        log.endBar()
        try report(forecaster.test(), readout, log)
      }
    }
    try open(kind.cell)
  }

  private static func report(_ error: (network: Double, persistence: Double), _ readout: Readout, _ log: Terminal) {
    if log.style == .json {
      var line = JSONLine()
      line.add("readout", readout == .everyStep ? "every step" : "last step")
      line.add("mse", error.network)
      line.add("persistence", error.persistence)
      line.add("ratio", error.network / error.persistence)
      return log.line(line.text)
    }
    log.line(
      String(
        format: "%@  one step ahead: mean squared error %.4f, persistence %.4f, ratio %.3f",
        readout == .everyStep ? "many to many" : "many to one ", error.network, error.persistence,
        error.network / error.persistence))
  }
}

/// A network that reads a series and says what comes next.
struct Forecaster<C: Cell>: ~Copyable {
  private var trainer: SequenceTrainer<C, Float>
  private var generator: SeededGenerator
  private let steps: Int
  private let readout: Readout
  private let series: [Float]

  static var batch: Int { 32 }
  /// Values that are trained on; those after them are for the test.
  private static var trained: Int { 8000 }

  init(_ cell: C, units: Int, steps: Int, readout: Readout, seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    var series: [Float] = []
    for t in 0..<(Self.trained + 2000 + 2 * steps) {
      let wave = sin(2 * .pi * Double(t) / 17) + 0.7 * sin(2 * .pi * Double(t) / (17 * 0.618))
      series.append(Float(wave + 0.05 * generator.normal()))
    }
    self.series = series
    self.steps = steps
    self.readout = readout
    trainer = SequenceTrainer(
      SequenceNetwork(cell, inputs: 1, units: units, outputs: 1, seed: seed), .adam(),
      clipping: GradientClipping(norm: 1), steps: steps, batch: Self.batch, readout: readout)
  }

  /// Windows that begin at `starts`: inputs [T, B, 1], and the values one step later.
  private func windows(_ starts: [Int]) -> (inputs: [Float], targets: [Float]) {
    var inputs: [Float] = []
    var targets: [Float] = []
    for t in 0..<steps {
      for start in starts {
        inputs.append(series[start + t])
        if readout == .everyStep || t == steps - 1 { targets.append(series[start + t + 1]) }
      }
    }
    return (inputs, targets)
  }

  mutating func update(learningRate: Double) throws -> Double {
    let starts = (0..<Self.batch).map { _ in generator.index(below: Self.trained - steps) }
    let (inputs, targets) = windows(starts)
    var states = trainer.network.recurrent.makeStates(batch: Self.batch)
    return try trainer.update(
      .vectors(inputs), targets: .values(targets), steps: steps, batch: Self.batch, states: &states,
      learningRate: learningRate
    ).loss
  }

  /// Mean squared errors over values that were not trained on. The first half of a window is left out: a network needs
  /// to see some of a series.
  mutating func test() throws -> (network: Double, persistence: Double) {
    let network = trainer.network
    var evaluator = SequenceEvaluator(network, steps: steps, batch: Self.batch, readout: readout)
    var sums = (network: 0.0, persistence: 0.0)
    var count = 0
    for round in 0..<20 {
      let starts = (0..<Self.batch).map { Self.trained + (round * Self.batch + $0) * 2000 / (20 * Self.batch) }
      let (inputs, targets) = windows(starts)
      var states = network.recurrent.makeStates(batch: Self.batch)
      _ = try evaluator.loss(
        of: network, .vectors(inputs), targets: .values(targets), steps: steps, batch: Self.batch, states: &states)
      let outputs = evaluator.outputs
      let first = readout == .everyStep ? targets.count / 2 : 0
      for index in first..<targets.count {
        let last = inputs[inputs.count - targets.count + index]
        sums.network += Double((outputs[index] - targets[index]) * (outputs[index] - targets[index]))
        sums.persistence += Double((last - targets[index]) * (last - targets[index]))
        count += 1
      }
    }
    return (sums.network / Double(count), sums.persistence / Double(count))
  }
}
