import Foundation
import Recurrence
import Testing

/// The limits of a trainer, one after the other.
@Suite("A trainer's limits")
struct TrainerClippingTests {
  private static let units = UnitwiseClipping(factor: 0.02)
  private static let rest = GradientClipping(value: 2e-3)

  /// Each limit by its own public function, in the documented order. Without values, too: the norm is then that which
  /// units have left.
  @Test(
    "an update is units, values and percentile in this order, of the one flat vector", arguments: [nil, 7],
    [rest, GradientClipping()])
  func composition(symbols: Int?, rest: GradientClipping) throws {
    let shape = NetworkShape(symbols: symbols, lengths: [3, 5, 0, 4], isWeighted: true)
    for kernels in Kernels<Float>.supported {
      let network: SequenceNetwork<GRU, Float> = shape.network(GRU(), kernels)
      let ranges = network.parameterRanges
      var random = SeededRandom()
      var trainer = SequenceTrainer(network, .sgd, clipping: rest, steps: 5, batch: 4, ragged: true)
      trainer.unitwiseClipping = Self.units
      trainer.percentileClipping = PercentileClipping(percentile: 40, window: 3)
      var reference = SequenceTrainer(network, .sgd, steps: 5, batch: 4, ragged: true)
      var percentile = PercentileClipping(percentile: 40, window: 3)
      var scaled = 0
      for step in 0..<6 {
        let problem = NetworkProblem<Float>(shape, states: 1, &random)
        var states = network.recurrent.makeStates(batch: 4)
        states.values = problem.initial
        reference.network = trainer.network
        let result = try trainer.update(problem, &states, learningRate: 0.5)
        let expected = try reference.solve(problem)

        var gradient = expected.gradient
        let norm = try GradientClipping().clip(&gradient).norm
        var rows = Array(gradient[ranges.embedding])
        let table = reference.network.embedding?.parameters ?? []
        var units = Self.units.clip(&rows, parameters: table, columns: shape.inputs)
        var stack = network.recurrent.makeGradient()
        stack.values = Array(gradient[ranges.recurrent])
        units += Self.units.clip(&stack, parameters: reference.network.recurrent.parameters)
        gradient = rows + stack.values + gradient[ranges.output]
        let outcome = try percentile.clip(&gradient, rest)

        let context = "update \(step + 1), \(kernels.label)"
        let (mine, history) = (trainer.gradient, trainer.percentileClipping)
        #expect(result.clipping.norm == norm && result.clipping.clippedUnits == units && units > 0, "\(context)")
        #expect(result.clipping.clippedValues == outcome.clippedValues, "\(context)")
        #expect((outcome.clippedValues > 0) == (rest.values != nil), "\(context)")
        #expect(result.clipping.threshold == outcome.threshold && outcome.threshold != nil, "\(context)")
        #expect(result.clipping.scale == outcome.scale, "\(context)")
        #expect(mine.map(\.bitPattern) == gradient.map(\.bitPattern), "\(context)")
        #expect(history == percentile, "\(context)")
        if outcome.scale < 1 { scaled += 1 }
      }
      let counts = trainer.clippingCounts
      #expect(counts.byUnit == 6 && counts.byNorm == scaled && scaled > 0, "\(kernels.label)")
      #expect(counts.byValue == (rest.values == nil ? 0 : 6), "\(kernels.label)")
      #expect(counts.scales == 6 && counts.meanScale! < 1 && counts.shareClippedByNorm == Double(scaled) / 6)
    }
  }

  @Test("a fixed norm and a percentile: the smaller is the limit") func smaller() throws {
    let shape = NetworkShape(symbols: 7)
    for norm in [1e-3, 1e3] {
      var random = SeededRandom()
      var trainer = SequenceTrainer(
        shape.network(GRU(), Kernels<Float>.selected), .sgd, clipping: GradientClipping(norm: norm), steps: 5, batch: 4)
      trainer.percentileClipping = PercentileClipping()
      var states = trainer.network.recurrent.makeStates(batch: 4)
      let step = try trainer.update(NetworkProblem(shape, states: 1, &random), &states, learningRate: 0.1)
      let own = step.clipping.norm
      #expect(own > 1e-3 && own < 1e3 && step.clipping.threshold == min(own, norm), "seed \(SuiteSettings.seed)")
    }
  }

  @Test("the output layer is limited where that is asked for, its bias as one vector", arguments: [false, true])
  func output(isIncluded: Bool) throws {
    let shape = NetworkShape(symbols: 7)
    var random = SeededRandom()
    let problem = NetworkProblem<Double>(shape, states: 2, &random)
    var trainer = SequenceTrainer(shape.network(LSTM(), Kernels<Double>.selected), .sgd, steps: 5, batch: 4)
    let network = trainer.network
    let gradient = try trainer.solve(problem).gradient
    let units = UnitwiseClipping(factor: 1e-3, includesOutput: isIncluded)
    trainer.unitwiseClipping = units
    var states = network.recurrent.makeStates(batch: 4)
    states.values = problem.initial
    _ = try trainer.update(problem, &states, learningRate: 0.1)
    let (range, clipped) = (network.parameterRanges.output, trainer.gradient)
    if !isIncluded {
      #expect(clipped[range] == gradient[range] && clipped[..<range.lowerBound] != gradient[..<range.lowerBound])
      return
    }
    // H = 6, K = 5.
    let starts = (0..<5).map { ($0 * 6, 6) } + [(30, 5)]
    for (start, count) in starts {
      let unit = (range.lowerBound + start)..<(range.lowerBound + start + count)
      let finding = UnitwiseClippingTests.complaint(
        clipped[unit], from: gradient[unit], weights: network.parameters[unit], units)
      #expect(finding == nil && clipped[unit] != gradient[unit], "\(unit), seed \(SuiteSettings.seed)")
    }
  }

  /// Sizes at which products, losses and updates are split.
  @Test("threads change no bit") func threads() throws {
    func result(_ threads: Int) throws -> [[UInt32]] {
      var random = SeededRandom()
      let shape = NetworkShape.split
      var trainer = SequenceTrainer(
        shape.network(LSTM(), Kernels<Float>.selected), .adam(), clipping: Self.rest, steps: shape.steps,
        batch: shape.batch, threads: threads)
      trainer.unitwiseClipping = UnitwiseClipping(factor: 1e-3, includesOutput: true)
      trainer.percentileClipping = PercentileClipping(percentile: 50)
      var states = trainer.network.recurrent.makeStates(batch: shape.batch)
      var bits: [[UInt32]] = []
      for _ in 0..<3 {
        let step = try trainer.update(NetworkProblem(shape, states: 2, &random), &states, learningRate: 0.01)
        #expect(step.clipping.clippedUnits > 0)
        bits += [trainer.gradient.map(\.bitPattern), trainer.network.parameters.map(\.bitPattern)]
      }
      return bits
    }
    let one = try result(1)
    for threads in [2, 3] { #expect(try result(threads) == one, "\(threads) threads, seed \(SuiteSettings.seed)") }
  }

  /// A target that is infinite makes the gradient so.
  @Test("a gradient that is not finite leaves the norms so far as they were", arguments: NonFinitePolicy.allCases)
  func nonFinite(_ policy: NonFinitePolicy) throws {
    let shape = NetworkShape(symbols: 7, loss: .values)
    var random = SeededRandom()
    let good = NetworkProblem<Float>(shape, states: 2, &random)
    var bad = good
    guard case .values(var targets) = good.targets else { return }
    targets[3] = .infinity
    bad.targets = .values(targets)
    var trainer = SequenceTrainer(
      shape.network(LSTM(), Kernels<Float>.selected), .adam(), clipping: GradientClipping(nonFinite: policy), steps: 5,
      batch: 4)
    (trainer.unitwiseClipping, trainer.percentileClipping) = (UnitwiseClipping(), PercentileClipping())
    var states = trainer.network.recurrent.makeStates(batch: 4)
    _ = try trainer.update(good, &states, learningRate: 0.01)
    let (before, parameters) = (trainer.percentileClipping, trainer.network.parameters)
    switch policy {
    case .throw:
      #expect(throws: NonFiniteGradient.self) { try trainer.update(bad, &states, learningRate: 0.01) }
      #expect(trainer.gradient.count == parameters.count && trainer.gradient.contains { !$0.isFinite })
    case .skip:
      let outcome = try trainer.update(bad, &states, learningRate: 0.01).clipping
      #expect(outcome.isSkipped && outcome.clippedUnits == 0 && outcome.threshold == nil)
    case .zero:
      let outcome = try trainer.update(bad, &states, learningRate: 0.01).clipping
      #expect(!outcome.isSkipped && outcome.nonFiniteValues > 0 && outcome.threshold == before?.threshold)
    }
    let (history, after) = (trainer.percentileClipping, trainer.network.parameters)
    #expect(history == before && history?.history.count == 1)
    #expect((after == parameters) == (policy != .zero))
    _ = try trainer.update(good, &states, learningRate: 0.01)
    let count = trainer.percentileClipping?.history.count
    #expect(count == 2)
  }

  @Test("a run that was interrupted goes on with the same bits, its policies from a file") func resumed() throws {
    let shape = NetworkShape(symbols: 7)
    func problem(_ step: Int) -> NetworkProblem<Float> {
      var random = SeededRandom(stream: step)
      return NetworkProblem(shape, states: 2, &random)
    }
    func make(_ network: SequenceNetwork<LSTM, Float>) -> SequenceTrainer<LSTM, Float> {
      SequenceTrainer(network, .adam(), steps: 5, batch: 4)
    }
    var straight = make(shape.network(LSTM()))
    (straight.unitwiseClipping, straight.percentileClipping) = (Self.units, PercentileClipping(window: 3))
    var states = straight.network.recurrent.makeStates(batch: 4)
    for step in 0..<5 { _ = try straight.update(problem(step), &states, learningRate: 0.01) }

    var resumed = make(straight.network)
    resumed.optimizer = straight.optimizer
    resumed.unitwiseClipping = try JSONDecoder().decode(
      UnitwiseClipping.self, from: JSONEncoder().encode(straight.unitwiseClipping!))
    resumed.percentileClipping = try JSONDecoder().decode(
      PercentileClipping.self, from: JSONEncoder().encode(straight.percentileClipping!))
    var copy = states
    for step in 5..<10 {
      let one = try straight.update(problem(step), &states, learningRate: 0.01)
      let other = try resumed.update(problem(step), &copy, learningRate: 0.01)
      #expect(one == other && one.clipping.clippedUnits > 0)
      let (mine, theirs) = (resumed.network.parameters, straight.network.parameters)
      #expect(mine.map(\.bitPattern) == theirs.map(\.bitPattern), "update \(step + 1), seed \(SuiteSettings.seed)")
    }
  }
}
