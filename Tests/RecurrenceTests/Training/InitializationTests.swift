import Foundation
import Recurrence
import Testing

/// Parameters are drawn as asked, the same on every platform.
///
/// Statistical bounds are five standard deviations of what is measured; seeds are fixed.
@Suite("Initialization")
struct InitializationTests {
  private func make<C: Cell>(
    _ cell: C, _ initialization: Initialization, inputs: Int = 6, units: Int = 5, layers: Int = 2, seed: UInt64 = 3
  ) -> RecurrentStack<C, Double> {
    RecurrentStack(cell, inputs: inputs, units: units, layers: layers, initialization: initialization, seed: seed)
  }

  private func matrix(_ scheme: Initialization.Matrix, rows: Int, columns: Int, seed: UInt64) -> [Double] {
    let weights = Dense<Double>(inputs: columns, outputs: rows, weights: scheme, bias: .zero, seed: seed).parameters
    return Array(weights.prefix(rows * columns))
  }

  // MARK: Matrices

  @Test("uniform and normal schemes: mean 0, and the variance and bound of their formulae")
  func moments() {
    let (rows, columns) = (150, 250)
    let schemes: [(Initialization.Matrix, variance: Double, bound: Double, kurtosis: Double)] = [
      (.uniform, 1.0 / (3 * 250), 1 / 250.0.squareRoot(), 9.0 / 5),
      (.glorotUniform, 2.0 / 400, (6.0 / 400).squareRoot(), 9.0 / 5),
      (.glorotNormal, 2.0 / 400, .infinity, 3),
      (.normal(deviation: 0.25), 0.0625, .infinity, 3),
    ]
    for (scheme, variance, bound, kurtosis) in schemes {
      let elements = matrix(scheme, rows: rows, columns: columns, seed: 1)
      let count = Double(elements.count)
      let mean = elements.reduce(0, +) / count
      let square = elements.reduce(0) { $0 + $1 * $1 } / count
      #expect(abs(mean) <= 5 * (variance / count).squareRoot(), "\(scheme)")
      #expect(abs(square - variance) <= 5 * variance * ((kurtosis - 1) / count).squareRoot(), "\(scheme)")
      let largest = elements.map(\.magnitude).max()!
      #expect(largest <= bound, "\(scheme)")
      if bound.isFinite { #expect(largest >= 0.999 * bound, "\(scheme)") }
    }
    #expect(matrix(.normal(deviation: 0), rows: 3, columns: 2, seed: 1).allSatisfy { $0 == 0 })
    #expect(matrix(.zero, rows: 3, columns: 2, seed: 1).allSatisfy { $0 == 0 })
  }

  @Test("orthogonal: rows or columns, whichever are fewer, are orthonormal times the gain")
  func orthogonal() {
    for (rows, columns) in [(1, 1), (1, 7), (7, 1), (4, 4), (64, 64), (30, 41), (41, 30), (128, 2), (2, 3)] {
      let q = matrix(.orthogonal(gain: 1.5), rows: rows, columns: columns, seed: 8)
      let (count, length) = (min(rows, columns), max(rows, columns))
      func element(_ vector: Int, _ index: Int) -> Double {
        rows <= columns ? q[vector * columns + index] : q[index * columns + vector]
      }
      var worst = 0.0
      for i in 0..<count {
        for j in 0..<count {
          let product = (0..<length).reduce(0) { $0 + element(i, $1) * element(j, $1) }
          worst = max(worst, abs(product - (i == j ? 2.25 : 0)))
        }
      }
      // A sum of `length` products of numbers below 1.5, and the rounding of the elements themselves.
      #expect(worst <= 2.25 * 0x1p-52 * (4 + 2 * Double(length).squareRoot()), "\(rows) × \(columns)")
    }
  }

  /// Of a matrix that is uniform in O(n), the trace has mean 0 and variance 1, an element mean 0 and variance 1/n, and
  /// either determinant is as likely. Signs left by a factorisation that fixes none would show in the diagonal.
  @Test("orthogonal: uniform in the orthogonal group")
  func haar() {
    let trials = 4000
    var traces = (sum: 0.0, squares: 0.0)
    var diagonal = [Double](repeating: 0, count: 3)
    var squares = [Double](repeating: 0, count: 9)
    var rotations = 0
    for trial in 0..<trials {
      let q = matrix(.orthogonal(), rows: 3, columns: 3, seed: UInt64(trial))
      let trace = q[0] + q[4] + q[8]
      traces.sum += trace
      traces.squares += trace * trace
      for index in 0..<3 { diagonal[index] += q[index * 4] }
      for index in 0..<9 { squares[index] += q[index] * q[index] }
      let minors = [
        q[0] * (q[4] * q[8] - q[5] * q[7]), -q[1] * (q[3] * q[8] - q[5] * q[6]), q[2] * (q[3] * q[7] - q[4] * q[6]),
      ]
      if minors.reduce(0, +) > 0 { rotations += 1 }
    }
    let n = Double(trials)
    #expect(abs(traces.sum / n) <= 5 / n.squareRoot())
    // E trace⁴ = 3 for n ≥ 2: Var trace² = 2.
    #expect(abs(traces.squares / n - 1) <= 5 * (2 / n).squareRoot())
    for sum in diagonal { #expect(abs(sum / n) <= 5 * (1 / 3.0 / n).squareRoot()) }
    // An element squared has E = 1/3, E of its square 3/(n(n + 2)) = 1/5.
    for sum in squares { #expect(abs(sum / n - 1 / 3.0) <= 5 * ((1 / 5.0 - 1 / 9.0) / n).squareRoot()) }
    #expect(abs(Double(rotations) / n - 0.5) <= 5 * 0.5 / n.squareRoot())
  }

  @Test("identity: the diagonal, of matrices that are not square too")
  func identity() {
    #expect(matrix(.identity(scale: 0.5), rows: 2, columns: 3, seed: 1) == [0.5, 0, 0, 0, 0.5, 0])
    #expect(matrix(.identity(), rows: 3, columns: 2, seed: 1) == [1, 0, 0, 1, 0, 0])
  }

  @Test("fans and orthogonality are those of each gate's block")
  func gates() {
    let stack = make(GRU(), Initialization(inputWeights: .glorotUniform, recurrentWeights: .orthogonal()), units: 40)
    let (w, u) = (stack.parameters["W", layer: 1], stack.parameters["U", layer: 1])
    for gate in 0..<3 {
      let largest = w[(gate * 1600)..<((gate + 1) * 1600)].map(\.magnitude).max()!
      #expect((0.99...1).contains(largest / (6.0 / 80).squareRoot()))
      let block = Array(u[(gate * 1600)..<((gate + 1) * 1600)])
      let product = (0..<40).reduce(0) { $0 + block[$1] * block[40 + $1] }
      let length = (0..<40).reduce(0) { $0 + block[$1] * block[$1] }
      #expect(abs(product) <= 1e-14 && abs(length - 1) <= 1e-14)
    }
  }

  // MARK: Biases

  /// Elements of b that belong to a gate, in every layer.
  private func biases<C: Cell>(_ stack: RecurrentStack<C, Double>, _ gate: String) -> [Double] {
    (0..<stack.layers).flatMap { stack.parameters.values[stack.layout.range("b", gate: gate, layer: $0)!] }
  }

  @Test("the standard differs from PyTorch's default in the LSTM's forget gate alone, whose bias is 1")
  func standard() {
    func differing<C: Cell>(_ cell: C) -> Set<Int> {
      let (one, other) = (make(cell, .standard).parameters.values, make(cell, .pyTorch).parameters.values)
      return Set(one.indices.filter { one[$0] != other[$0] })
    }
    func forgetGate(_ layout: ParameterLayout) -> Set<Int> {
      Set((0..<2).flatMap { Array(layout.range("b", gate: "f", layer: $0)!) })
    }
    #expect(differing(LSTM()) == forgetGate(make(LSTM(), .standard).layout))
    #expect(differing(PeepholeLSTM()) == forgetGate(make(PeepholeLSTM(), .standard).layout))
    #expect(biases(make(LSTM(), .standard), "f").allSatisfy { $0 == 1 })
    #expect(differing(GRU()).isEmpty && differing(GRUResetBefore()).isEmpty && differing(RNN()).isEmpty)
    #expect(differing(BusyCell()).isEmpty)
    #expect(RecurrentLayer<LSTM, Float>(LSTM(), inputs: 3, units: 2).parameters["b"][2...3] == [1, 1])
  }

  @Test("PyTorch's default: one uniform draw for each of its parameters, a merged bias being the sum of two")
  func pyTorch() {
    let units = 400
    let stack = make(GRU(), .pyTorch, inputs: 2, units: units, layers: 1)
    let bound = 1 / Double(units).squareRoot()
    func expect(_ values: some Collection<Double>, draws: Double, _ name: String) {
      let variance = draws * bound * bound / 3
      let square = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
      // The fourth moment is at most 3 times the squared variance.
      #expect(abs(square - variance) <= 5 * variance * (2 / Double(values.count)).squareRoot(), "\(name)")
      #expect(values.allSatisfy { abs($0) <= draws * bound }, "\(name)")
    }
    expect(stack.parameters["W"], draws: 1, "W")
    expect(stack.parameters["U"], draws: 1, "U")
    for (gate, draws) in [("r", 2.0), ("z", 2), ("n", 1)] { expect(biases(stack, gate), draws: draws, gate) }
    expect(stack.parameters["b_h"], draws: 1, "b_h")
    let peephole = make(PeepholeLSTM(), .pyTorch, inputs: 2, units: units, layers: 1)
    for name in ["p_i", "p_f", "p_o"] { expect(peephole.parameters[name], draws: 1, name) }
    expect(biases(peephole, "f"), draws: 2, "f")
    // W comes first.
    var generator = SeededGenerator(seed: 3)
    let drawn = (0..<10).map { _ in generator.uniform(in: -bound...bound) }
    #expect(Array(stack.parameters.values.prefix(10)) == drawn)
  }

  @Test("a constant bias towards memory: positive where the gate keeps, negative where it takes, 0 beside it in b_h")
  func constant() {
    let initialization = Initialization(biases: .zero, forgetGateBias: .constant(2.5))
    #expect(biases(make(LSTM(), initialization), "f").allSatisfy { $0 == 2.5 })
    #expect(biases(make(LSTM(), initialization), "i").allSatisfy { $0 == 0 })
    #expect(biases(make(GRU(), initialization), "z").allSatisfy { $0 == 2.5 })
    #expect(biases(make(GRU(), initialization), "r").allSatisfy { $0 == 0 })
    #expect(biases(make(GRUResetBefore(), initialization), "z").allSatisfy { $0 == -2.5 })
    #expect(make(RNN(), initialization).parameters["b"].allSatisfy { $0 == 0 })
    let apart = make(ApartForgetCell(), Initialization(forgetGateBias: .constant(2.5)))
    #expect(biases(apart, "f").allSatisfy { $0 == 2.5 })
    for layer in 0..<2 {
      let own = apart.parameters["b_h", layer: layer]
      #expect(own[..<5].allSatisfy { $0 != 0 } && own[5...].allSatisfy { $0 == 0 })
    }
  }

  @Test("chrono: log-uniform memories, the input gate's bias their negative, all other biases 0")
  func chrono() {
    let (units, layers, longest) = (300, 10, 102)
    func check<C: Cell>(_ cell: C, gate: String, sign: Double, input: String?) {
      let stack = make(cell, .chrono(longestLag: longest), inputs: 1, units: units, layers: layers)
      let biases = biases(stack, gate).map { sign * $0 }
      #expect(biases.allSatisfy { $0 >= 0 && $0 <= log(101) }, "\(C.self)")
      // Quartiles of u ∼ U(1, 101).
      for quarter in [0.25, 0.5, 0.75] {
        let share = Double(biases.count { exp($0) <= 1 + 100 * quarter }) / Double(biases.count)
        #expect(abs(share - quarter) <= 5 * (quarter * (1 - quarter) / 3000).squareRoot(), "\(C.self)")
      }
      if let input { #expect(self.biases(stack, input) == biases.map { -$0 }, "\(C.self)") }
      for other in C.gates.map(\.name) where other != gate && other != input {
        #expect(self.biases(stack, other).allSatisfy { $0 == 0 }, "\(C.self) \(other)")
      }
      if C.self == GRU.self { #expect(stack.parameters["b_h", layer: 1].allSatisfy { $0 == 0 }) }
    }
    check(LSTM(), gate: "f", sign: 1, input: "i")
    check(PeepholeLSTM(), gate: "f", sign: 1, input: "i")
    check(GRU(), gate: "z", sign: 1, input: nil)
    check(GRUResetBefore(), gate: "z", sign: -1, input: nil)
    #expect(biases(make(LSTM(), .chrono(longestLag: 2)), "f").allSatisfy { $0 == 0 })
    // Layers and units are drawn independently.
    #expect(Set(biases(make(LSTM(), .chrono(longestLag: 50)), "f")).count == 10)
  }

  @Test("presets")
  func presets() throws {
    let irnn = make(RNN.relu, .identity(scale: 0.5, inputDeviation: 0), units: 3)
    #expect(irnn.parameters["U", layer: 1] == [0.5, 0, 0, 0, 0.5, 0, 0, 0, 0.5])
    #expect(irnn.parameters["W"].allSatisfy { $0 == 0 } && irnn.parameters["b"].allSatisfy { $0 == 0 })
    let w = make(RNN.relu, .identity(), inputs: 100, units: 100, layers: 1).parameters["W"]
    let variance = w.reduce(0) { $0 + $1 * $1 } / 1e4
    #expect(abs(variance - 1e-6) <= 5e-6 * (2 / 1e4).squareRoot())
    for initialization in [Initialization.glorotUniform, .glorotNormal, .orthogonal(gain: 0.9)] {
      let stack = make(LSTM(), initialization)
      #expect(biases(stack, "f").allSatisfy { $0 == 1 } && biases(stack, "o").allSatisfy { $0 == 0 })
    }
    let all: [Initialization] = [
      .standard, .pyTorch, .glorotUniform, .glorotNormal, .orthogonal(), .identity(), .chrono(longestLag: 9),
      Initialization(
        inputWeights: .zero, biases: .zero, unitParameters: .zero, forgetGateBias: .constant(.pi)),
    ]
    for initialization in all {
      let decoded = try JSONDecoder().decode(Initialization.self, from: JSONEncoder().encode(initialization))
      #expect(decoded == initialization)
    }
    #expect(Set(all).count == all.count)
    #expect(make(PeepholeLSTM(), all.last!).parameters["p_f", layer: 1].allSatisfy { $0 == 0 })
  }

  // MARK: Drawing

  @Test("drawn anew, a stack is another one, and the kernels know; the generator goes on")
  func again() throws {
    let x: [Double] = [1, 2, 3, 4, 5, 6]
    var generator = SeededGenerator(seed: 3)
    var stack = make(GRU(), .pyTorch, seed: 99)
    stack.initialize(.orthogonal(), using: &generator)
    let first = stack
    stack.initialize(.orthogonal(), using: &generator)
    let fresh = make(GRU(), .orthogonal(), seed: 3)
    #expect(first.parameters == fresh.parameters)
    #expect(try first.forward(x, steps: 1, batch: 1).outputs == fresh.forward(x, steps: 1, batch: 1).outputs)
    #expect(stack.parameters != first.parameters)
    #expect(try stack.forward(x, steps: 1, batch: 1).outputs != first.forward(x, steps: 1, batch: 1).outputs)

    var dense = Dense<Float>(inputs: 2, outputs: 3, weights: .glorotNormal, bias: .zero, seed: 5)
    #expect(dense.parameters.suffix(3) == [0, 0, 0])
    let before = try dense([1, 1])
    generator = SeededGenerator(seed: 5)
    dense.initialize(using: &generator)
    #expect(dense.parameters == Dense<Float>(inputs: 2, outputs: 3, seed: 5).parameters)
    #expect(try dense([1, 1]) != before)

    var table = Embedding<Double>(symbols: 3, width: 2, seed: 6)
    generator = SeededGenerator(seed: 6)
    #expect(table.parameters == (0..<6).map { _ in generator.normal() })
    table.initialize(.identity(), using: &generator)
    #expect(table.parameters == [1, 0, 0, 1, 0, 0])
  }

  /// Every platform is held to these bits. Written down from another implementation of the same formulae.
  @Test("the first parameters of every scheme, to the bit")
  func fixed() {
    let schemes: [(Initialization.Matrix, [Double])] = [
      (.uniform, [0.07685868668680373, 0.2838043274350396, 0.5438671331447836]),
      (.glorotUniform, [0.1331231503445618, 0.49156351452540226, 0.9420055071735924]),
      (.glorotNormal, [-0.019784247460932956, -1.4434146402893262, 0.050646590695578086]),
      (.orthogonal(), [-0.013696843934392336, -0.9992912340840513, 0.035063170835089606]),
      (.normal(deviation: 0.1), [-0.003426732179185144, -0.2500067493369868, 0.008772246831488643]),
    ]
    for (scheme, expected) in schemes {
      let elements = Array(matrix(scheme, rows: 3, columns: 3, seed: 1).prefix(3))
      #expect(elements == expected, "\(scheme)")
      let floats = Dense<Float>(inputs: 3, outputs: 3, weights: scheme, seed: 1).parameters.prefix(3)
      #expect(Array(floats) == expected.map { Float($0) }, "\(scheme)")
    }
    let biases = biases(make(LSTM(), .chrono(longestLag: 100), seed: 1), "f").prefix(3)
    #expect(Array(biases) == [3.5173406773345586, 0.8358360632365752, 4.092760866511421])
  }
}

/// A cell whose forget gate has its parts apart, beside another such gate.
private struct ApartForgetCell: Cell {
  static let gates: [Gate] = [.apart("n"), .apart("f")]
  static var forgetGate: ForgetGate? { ForgetGate("f") }

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let (f, n) = (sigmoid(input.gates[1] + input.gates[3]), tanh(input.gates[0] + input.gates[2]))
    return Planes(f * input.states[0] + (1 - f) * n)
  }
}
