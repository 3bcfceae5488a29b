import Foundation
import Recurrence

/// What a newcomer sees first: three networks learn a task with a long lag, and what the gradient does on its way back.
///
/// The adding problem (Hochreiter and Schmidhuber 1997, in the form of Le, Jaitly and Hinton 2015): T pairs of a number in
/// [0, 1] and a mark; two numbers are marked, one in each half; the network says their sum after the last step. Always
/// to say 1 has a mean squared error of 1/6.
enum Demonstration: Command {
  static let name = "demonstrate"
  static let usage = "demonstrate [--svg FILE]"
  static let summary = """
    What the tool does without a command: an RNN, an LSTM and a GRU learn to add two numbers that were marked up to 100
    steps ago; then it shows how much of the gradient arrives at each step on its way back through time.
    """
  static let options = [
    Option("--svg", "FILE", "draw the gradients through time as a picture"),
    Option("--help", nil, "this text"),
  ]

  private static let steps = 100
  private static let units = 64
  private static let secondsForEach = 14.0
  private static let solved = 0.01

  static func run(_ arguments: Arguments) throws {
    Interruption.listen()
    let log = Terminal(json: false)
    log.line("instruction set  \(KernelSelection.current.instructionSet) (\(KernelSelection.current.reason))")
    log.line("")
    log.line("the adding problem: \(steps) numbers, two of them marked; what is the sum of the two?")
    log.line(
      String(
        format: "always to say 1 has a mean squared error of %.3f; below %.2f the task is solved", 1.0 / 6, solved))
    log.line("each network: \(units) units, Adam, gradient clipped at norm 1, at most \(Int(secondsForEach)) s")
    log.line("")
    var results: [Result] = []
    for (name, cell) in [("RNN", RNN() as any Cell), ("LSTM", LSTM()), ("GRU", GRU())] {
      guard let result = try train(name, cell, log) else {
        log.endBar()
        throw Failure("interrupted")
      }
      results.append(result)
    }
    log.line("")
    plot(results, log)
    log.line("")
    for line in verdict(results) { log.line(line) }
    if let path = arguments.string("--svg") {
      try FileAccess.system.replace(path, with: Array(picture(results).svg.utf8))
    }
  }

  struct Result {
    var name: String
    var error: Double
    var updates: Int
    var seconds: Double
    /// ‖∂L/∂h_t‖ of the trained network, t from 0 to T.
    var norms: [Double]

    var isSolved: Bool { error < Demonstration.solved }
    /// What of the gradient at the last step is left at the first.
    var transport: Double { norms[1] / norms[norms.count - 1] }
  }

  private static func train(_ name: String, _ cell: any Cell, _ log: Terminal) throws -> Result? {
    func open<C: Cell>(_ cell: C) throws -> Result? {
      var adding = AddingProblem(cell, steps: steps, units: units, threads: 2)
      let start = ContinuousClock.now
      var elapsed = 0.0
      var error = try adding.error()
      while elapsed < secondsForEach && error >= solved {
        for _ in 0..<100 {
          if Interruption.isAsked { return nil }
          try adding.update()
        }
        error = try adding.error()
        elapsed = (ContinuousClock.now - start) / .seconds(1)
        let progress = max(elapsed / secondsForEach, 1 - max(0, error - solved) * 6)
        log.bar(
          fraction: progress,
          String(format: " %@  %d updates  error %.4f  %.0f s", name, adding.updates, error, elapsed))
      }
      log.endBar()
      let result = try Result(
        name: name, error: error, updates: adding.updates, seconds: elapsed, norms: adding.gradientNorms())
      log.line(
        String(
          format: "%@  %5d updates in %4.1f s  error %.4f  %@", name.padding(toLength: 4, withPad: " ", startingAt: 0),
          result.updates, result.seconds, error, result.isSolved ? "solved" : "not solved"))
      return result
    }
    return try open(cell)
  }

  /// ‖∂L/∂h_t‖ against t, on a logarithmic scale.
  private static func plot(_ results: [Result], _ log: Terminal) {
    log.line("how much gradient is left, going back from the last step (‖∂L/∂h_t‖, that of the last step being 1)")
    for line in picture(results).lines(columns: 60) { log.line(line) }
    log.line("        " + results.map { "\($0.name.prefix(1)): \($0.name)" }.joined(separator: ", "))
  }

  private static func picture(_ results: [Result]) -> LogarithmicPlot {
    var plot = LogarithmicPlot(
      title: "Gradient of the loss with respect to the state of step t, relative to the last step",
      xLabel: "step t (the loss is at step \(steps))",
      series: results.enumerated().map { .init($1.name, norms: $1.norms, style: $0, mark: $1.name.first!) })
    plot.yLabel = "‖∂L/∂h_t‖ / ‖∂L/∂h_T‖"
    return plot
  }

  private static func verdict(_ results: [Result]) -> [String] {
    var lines: [String] = []
    for result in results {
      let share = result.transport == 0 ? "nothing" : String(format: "%.0e", result.transport)
      let fate = result.transport < 1e-3 ? "vanishes" : "survives"
      lines.append(
        "\(result.name): \(result.isSolved ? "solved the task" : "did not solve the task"); its gradient \(fate), "
          + "\(share) of it arrives \(steps - 1) steps back")
    }
    let gated = results.dropFirst()
    if let plain = results.first, !plain.isSolved, gated.allSatisfy(\.isSolved) {
      lines.append(
        "verdict: where the gradient vanishes, a network cannot learn what happened \(steps) steps ago. "
          + "Gates keep it alive.")
    } else if results.allSatisfy(\.isSolved) {
      lines.append("verdict: all three solved the task this time.")
    } else {
      let names = results.filter { !$0.isSolved }.map(\.name).joined(separator: ", ")
      lines.append("verdict: not solved in the time given: \(names). A faster machine, or more time, may.")
    }
    return lines
  }
}

/// A network that learns to add two marked numbers.
struct AddingProblem<C: Cell>: ~Copyable {
  private var trainer: SequenceTrainer<C, Float>
  private var generator = SeededGenerator(seed: 1)
  private let steps: Int
  private(set) var updates = 0

  private static var batch: Int { 64 }

  init(_ cell: C, steps: Int, units: Int, threads: Int) {
    self.steps = steps
    trainer = SequenceTrainer(
      SequenceNetwork(cell, inputs: 2, units: units, outputs: 1, initialization: .orthogonal(), seed: 1), .adam(),
      clipping: GradientClipping(norm: 1),
      steps: steps, batch: Self.batch, readout: .lastStep, threads: threads)
  }

  /// [T, B, 2], and the sums.
  private static func sequences(_ steps: Int, _ generator: inout SeededGenerator) -> (inputs: [Float], sums: [Float]) {
    var inputs = [Float](repeating: 0, count: steps * batch * 2)
    var sums = [Float](repeating: 0, count: batch)
    for index in stride(from: 0, to: inputs.count, by: 2) { inputs[index] = Float(generator.uniform(in: 0...1)) }
    for row in 0..<batch {
      for t in [generator.index(below: steps / 2), steps / 2 + generator.index(below: steps - steps / 2)] {
        inputs[(t * batch + row) * 2 + 1] = 1
        sums[row] += inputs[(t * batch + row) * 2]
      }
    }
    return (inputs, sums)
  }

  mutating func update() throws {
    let (inputs, sums) = Self.sequences(steps, &generator)
    var states = trainer.network.recurrent.makeStates(batch: Self.batch)
    _ = try trainer.update(
      .vectors(inputs), targets: .values(sums), steps: steps, batch: Self.batch, states: &states, learningRate: 2e-3)
    updates += 1
  }

  /// The mean squared error over fresh sequences.
  mutating func error() throws -> Double {
    var generator = SeededGenerator(seed: 2)
    let network = trainer.network
    var evaluator = SequenceEvaluator(network, steps: steps, batch: Self.batch, readout: .lastStep)
    var total = 0.0
    for _ in 0..<8 {
      let (inputs, sums) = Self.sequences(steps, &generator)
      var states = network.recurrent.makeStates(batch: Self.batch)
      total += try evaluator.loss(
        of: network, .vectors(inputs), targets: .values(sums), steps: steps, batch: Self.batch, states: &states)
    }
    return total / 8
  }

  /// ‖∂L/∂h_t‖ of one batch, t from 0 to T.
  mutating func gradientNorms() throws -> [Double] {
    let (inputs, sums) = Self.sequences(steps, &generator)
    var states = trainer.network.recurrent.makeStates(batch: Self.batch)
    trainer.recordsGradientFlow = true
    _ = try trainer.computeGradient(
      .vectors(inputs), targets: .values(sums), steps: steps, batch: Self.batch, states: &states)
    return trainer.gradientFlow().layers[0].states[0].gradientNorms
  }
}
