import Foundation
import Recurrence
import Testing

@Suite("Verdicts")
struct VerdictTests {
  private static let labels: [GradientVerdict] = [.vanishing, .healthy, .exploding]

  /// Networks labelled by a dense transport in Double that NumPy computed (Fixtures/GradientFlow/verdicts.py): no false
  /// alarm, no miss.
  @Test("twenty labelled networks, healthy and sick", arguments: 0..<20)
  func labelled(_ number: Int) throws {
    let fixture = try FlowFixture("verdicts", prefix: String(format: "n%02d.", number))
    switch try Int(fixture("kind")[0]) {
    case 0: try check(fixture, RNN())
    case 1: try check(fixture, RNN.relu)
    case 2: try check(fixture, LSTM())
    default: try check(fixture, GRU())
    }
  }

  private func check<C: Cell>(_ fixture: FlowFixture, _ cell: C) throws {
    let label = Self.labels[try Int(fixture("label")[0])]
    for seed in 0..<3 as Range<UInt64> {
      try expect(label, fixture, fixture.stack(cell, Double.self), seed)
      try expect(label, fixture, fixture.stack(cell, Float.self), seed)
    }
  }

  private func expect<C: Cell, S: TestScalar>(
    _ label: GradientVerdict, _ fixture: FlowFixture, _ stack: RecurrentStack<C, S>, _ seed: UInt64
  ) throws {
    let (steps, batch) = try fixture.size()
    let report = try stack.gradientFlowReport(
      fixture("x").map { S($0) }, steps: steps, batch: batch, options: GradientFlowOptions(exponents: 1, seed: seed))
    let layer = report.layers[0]
    let gain = try fixture("gain")[0]
    #expect(
      layer.verdict == label,
      "\(fixture.prefix) \(S.self) seed \(seed): transport over T \(layer.transport[0]), NumPy's \(gain)"
    )
    switch layer.verdict {
    case .healthy: #expect(layer.remedy == .none)
    case .exploding: #expect(layer.remedy == .clip(norm: 1))
    case .vanishing: #expect(layer.remedy != .none)
    }
  }

  /// A tanh RNN with W = g·Q, Q orthogonal, on inputs too small to bend tanh.
  private func report(gain: Double, steps: Int) throws -> GradientFlowReport {
    let (batch, inputs) = (4, 3)
    let stack = RecurrentStack<RNN<Activation>, Float>(
      RNN(), inputs: inputs, units: 32, initialization: .orthogonal(gain: gain), seed: 4)
    var generator = SeededGenerator(seed: 5)
    let x = (0..<(steps * batch * inputs)).map { _ in Float(1e-6 * generator.normal()) }
    return try stack.gradientFlowReport(x, steps: steps, batch: batch)
  }

  @Test("g = 0.9 vanishes with half-life 6.58")
  func vanishing() throws {
    let layer = try report(gain: 0.9, steps: 100).layers[0]
    #expect(layer.verdict == .vanishing)
    #expect(layer.remedy == .orthogonal)
    #expect(abs(layer.halfLife! - 6.58) <= 0.05 * 6.58)
    // 0.9⁶⁵ > 10⁻³ > 0.9⁶⁶
    #expect(layer.horizon == 65)
    #expect(abs(layer.lyapunovExponents[0] - log(0.9)) <= 1e-3)
    #expect(abs(layer.largestSingularValue - pow(0.9, 100)) <= 1e-3 * pow(0.9, 100))
  }

  @Test("g = 1.5 explodes within 25 steps")
  func exploding() throws {
    let layer = try report(gain: 1.5, steps: 25).layers[0]
    #expect(layer.verdict == .exploding)
    #expect(layer.remedy == .clip(norm: 1))
    #expect(layer.halfLife == nil)
    #expect(layer.horizon == 25)
  }

  @Test("an LSTM with chrono biases for its lag of 200 is healthy, one with bias 1 is not")
  func chrono() throws {
    let (steps, batch, inputs) = (200, 4, 2)
    var generator = SeededGenerator(seed: 5)
    let x = (0..<(steps * batch * inputs)).map { _ in Float(generator.uniform(in: -1...1)) }
    for seed in 0..<3 as Range<UInt64> {
      func verdict(_ initialization: Initialization) throws -> GradientFlowReport.Layer {
        try RecurrentStack<LSTM, Float>(
          LSTM(), inputs: inputs, units: 64, initialization: initialization, seed: seed
        ).gradientFlowReport(x, steps: steps, batch: batch, options: GradientFlowOptions(exponents: 1)).layers[0]
      }
      #expect(try verdict(.chrono(longestLag: 200)).verdict == .healthy)
      let standard = try verdict(.standard)
      #expect(standard.verdict == .vanishing)
      #expect(standard.remedy == .chrono(longestLag: 200))
    }
  }

  @Test("remedies fit the cell, and what it already has")
  func remedies() throws {
    let (steps, batch) = (120, 3)
    var generator = SeededGenerator(seed: 1)
    let x = (0..<(steps * batch * 2)).map { _ in Float(generator.uniform(in: -1...1)) }
    func remedy<C: Cell>(
      _ cell: C, _ initialization: Initialization, scale: Float = 1, clipping: GradientFlowReport.Clipping? = nil
    ) throws -> GradientRemedy {
      let stack = RecurrentStack<C, Float>(cell, inputs: 2, units: 16, initialization: initialization, seed: 3)
      return try stack.gradientFlowReport(
        x.map { $0 * scale }, steps: steps, batch: batch,
        options: GradientFlowOptions(exponents: 1, clipping: clipping)
      ).layers[0].remedy
    }
    #expect(try remedy(RNN(), .pyTorch) == .orthogonal)
    #expect(try remedy(RNN.relu, .pyTorch) == .identity)
    #expect(try remedy(GRU(), .pyTorch) == .chrono(longestLag: 120))
    #expect(try remedy(GRUResetBefore(), .pyTorch) == .chrono(longestLag: 120))
    // Orthogonal weights, and still nothing arrives: inputs bend tanh until it is flat.
    #expect(try remedy(RNN(), .orthogonal(), scale: 20) == .gating(longestLag: 120))
    let clipping = GradientFlowReport.Clipping(gradients: 10, share: 0.5, meanScale: 0.7, suggestedThreshold: 0.25)
    #expect(try remedy(RNN(), .orthogonal(gain: 3), scale: 1e-9, clipping: clipping) == .clip(norm: 0.25))
    var broken = x
    broken[77] = .nan
    let stack = RecurrentStack<GRU, Float>(GRU(), inputs: 2, units: 16, seed: 3)
    let report = try stack.gradientFlowReport(broken, steps: steps, batch: batch)
    #expect(report.layers[0].remedy == .repair)
    #expect(report.firstNonFinite?.quantity == .input)
  }

  @Test("a needed lag beyond the batch is judged by the half-life")
  func beyond() throws {
    let stack = RecurrentStack<LinearCell, Double>(
      LinearCell(), inputs: 1, units: 6, initialization: .orthogonal(gain: 0.99), seed: 1)
    let x = [Double](repeating: 0, count: 50)
    func verdict(_ lag: Int?) throws -> GradientVerdict {
      try stack.gradientFlowReport(x, steps: 50, batch: 1, options: GradientFlowOptions(neededLag: lag)).layers[0]
        .verdict
    }
    // 0.99⁶⁸⁷ > 10⁻³ > 0.99⁶⁸⁸
    #expect(try verdict(nil) == .healthy)
    #expect(try verdict(0) == .healthy)
    #expect(try verdict(680) == .healthy)
    #expect(try verdict(695) == .vanishing)
  }

  @Test("a network that is broken is not called vanishing, one without sequences is not called sick")
  func edges() throws {
    let stack = RecurrentStack<RNN<Activation>, Float>(RNN.relu, inputs: 1, units: 5, seed: 1)
    var x = [Float](repeating: 1, count: 40)
    x[7] = .nan
    let broken = try stack.gradientFlowReport(x, steps: 40, batch: 1).layers[0]
    #expect(broken.verdict == .exploding)
    #expect(broken.remedy == .repair)
    #expect(broken.horizon >= 0)
    // A layer below the fault is sound.
    var two = RecurrentStack<LSTM, Float>(
      LSTM(), inputs: 1, units: 4, layers: 2, initialization: .chrono(longestLag: 9))
    let weight = two.layout.tensor("W", layer: 1)!.range.lowerBound
    two.withParameters { $0[weight] = .nan }
    let layers = try two.gradientFlowReport([Float](repeating: 0.5, count: 9), steps: 9, batch: 1).layers
    #expect(layers.map(\.verdict) == [.healthy, .exploding])
    #expect(layers.map(\.remedy) == [.none, .repair])
    let exponents = layers[1].lyapunovExponents
    #expect(!exponents.isEmpty && exponents.allSatisfy { $0.isNaN })
    let empty = try stack.gradientFlowReport([], steps: 40, batch: 0).layers[0]
    #expect(empty.verdict == .healthy)
  }

  @Test("no steps and one step") func short() throws {
    let stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 1, units: 4, layers: 2, seed: 1)
    for steps in 0...1 {
      let report = try stack.gradientFlowReport([Float](repeating: 0, count: steps * 2), steps: steps, batch: 2)
      #expect(report.layers.map(\.verdict) == [.healthy, .healthy])
      #expect(report.layers[0].transport.count == steps + 1)
      #expect(!report.layers[0].lyapunovExponents.contains { !$0.isFinite })
    }
  }
}
