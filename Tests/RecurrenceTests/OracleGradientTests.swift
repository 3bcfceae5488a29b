import Foundation
import Testing

/// The naive cells' reverse equations against differences of their forward ones, which nobody derived by hand.
@Suite struct OracleGradientTests {
  /// Every gradient along random directions, for every cell, with and without rows that end early.
  ///
  /// A direction v has length 1. Central differences at steps s = 2⁻⁹ and s/2, combined so that the s² terms cancel
  /// (Richardson), are off by s⁴/480 ≈ 3·10⁻¹⁴ times the loss's fifth derivative, and by some 2⁻⁵²·|L|/s ≈ 10⁻¹³·|L|
  /// for rounding. Errors are compared with the size of a sum of terms g_i v_i of random signs, √Σ(g_i v_i)²: a chance
  /// cancellation in Σ g_i v_i itself does not matter. The largest error that 13 seeds have shown is 2·10⁻¹⁰ of it;
  /// the tolerance leaves room for unlucky seeds, where all of a block's gradients are small.
  @Test(arguments: NaiveCase.all) func gradientsEqualDifferences(_ testCase: NaiveCase) {
    for (stream, lengths) in [nil, [5, 2, 0, 4], [0, 0, 0, 0]].enumerated() {
      var random = SeededRandom(stream: stream)
      func draw() -> NaiveProblem { NaiveProblem(testCase.cells, T: 5, B: 4, lengths: lengths, &random) }
      let blocks = draw().blocks
      for block in [nil] + blocks.indices.map(Optional.some) {
        let place = "\(testCase.name), \(block.map { blocks[$0].name } ?? "all"), lengths \(lengths ?? [])"
        var checks = 0
        for _ in 0..<200 where checks < 4 {
          let problem = draw()
          guard let (direction, slope) = problem.slope(in: block, testCase.hasKink, &random) else { continue }
          let terms = zip(problem.gradient(), direction).map { $0 * $1 }
          let size = terms.reduce(0) { $0 + $1 * $1 }.squareRoot()
          let error = (terms.reduce(0, +) - slope).magnitude
          #expect(error <= 1e-7 * size, "\(place), seed \(SuiteSettings.seed): \(error) of \(size)")
          checks += 1
        }
        #expect(checks == 4, "\(place), seed \(SuiteSettings.seed): almost every direction crosses a kink")
      }
    }
  }

  /// Beyond a row's length nothing is read, whatever it holds, and nothing flows.
  @Test(arguments: NaiveCase.all) func paddingIsInert(_ testCase: NaiveCase) {
    let (T, B, lengths) = (5, 3, [3, 5, 0])
    let cell = testCase.cells[0]
    var random = SeededRandom()
    let parameters = random.small(cell.parameterCount)
    let initial = (0..<cell.statePlanes).map { _ in random.small(B * cell.hidden) }
    let dFinal = (0..<cell.statePlanes).map { _ in random.small(B * cell.hidden) }
    var x = random.small(T * B * cell.inputs)
    var dOutputs = random.small(T * B * cell.hidden)
    for t in 0..<T {
      for b in 0..<B where t >= lengths[b] {
        for k in 0..<cell.inputs { x[(t * B + b) * cell.inputs + k] = .nan }
        for j in 0..<cell.hidden { dOutputs[(t * B + b) * cell.hidden + j] = .nan }
      }
    }
    let (outputs, finalStates) = cell.forward(
      parameters, x: x, T: T, B: B, initialStates: initial, lengths: lengths)
    let gradients = cell.backward(
      parameters, x: x, T: T, B: B, initialStates: initial, lengths: lengths, dOutputs: dOutputs, dFinalStates: dFinal)

    // Each row alone, cut to its length, as a batch of one.
    var dParameters = [Double](repeating: 0, count: cell.parameterCount)
    for b in 0..<B {
      func cut(_ sequence: [Double], _ width: Int) -> [Double] {
        (0..<lengths[b]).flatMap { t in naiveRow(t * B + b, of: sequence, width) }
      }
      func row(_ planes: [[Double]]) -> [[Double]] {
        planes.map { naiveRow(b, of: $0, cell.hidden) }
      }
      let alone = cell.forward(
        parameters, x: cut(x, cell.inputs), T: lengths[b], B: 1, initialStates: row(initial))
      let aloneGradients = cell.backward(
        parameters, x: cut(x, cell.inputs), T: lengths[b], B: 1, initialStates: row(initial),
        dOutputs: cut(dOutputs, cell.hidden), dFinalStates: row(dFinal))
      #expect(cut(outputs, cell.hidden) == alone.outputs)
      #expect(row(finalStates) == alone.finalStates)
      #expect(cut(gradients.dx, cell.inputs) == aloneGradients.dx)
      #expect(row(gradients.dInitialStates) == aloneGradients.dInitialStates)
      for i in dParameters.indices { dParameters[i] += aloneGradients.dParameters[i] }
      for t in lengths[b]..<T {
        #expect(naiveRow(t * B + b, of: outputs, cell.hidden).allSatisfy { $0 == 0 })
        #expect(naiveRow(t * B + b, of: gradients.dx, cell.inputs).allSatisfy { $0 == 0 })
      }
    }
    // Sums of T·B terms in another order.
    #expect(largestError(gradients.dParameters, dParameters) <= 1e-14, "seed \(SuiteSettings.seed)")
  }

  /// h_t = Uᵗ h_0 + Σ_s Uᵗ⁻ˢ (W x_s + b) of an RNN with φ = identity, and the gradients of that; in integers, so exact.
  @Test func linearNetworkIsAMatrixPower() {
    let T = 12
    let cell = NaiveRNN(inputs: 1, hidden: 2, activation: .identity)
    // U = [[1, 1], [1, 0]], whose powers are [[F(t+1), F(t)], [F(t), F(t−1)]] of Fibonacci's F.
    var fibonacci = [1.0, 0, 1]  // F(−1), F(0), F(1)
    while fibonacci.count < T + 3 { fibonacci.append(fibonacci.suffix(2).reduce(0, +)) }
    func F(_ t: Int) -> Double { fibonacci[t + 1] }
    /// Uᵗ v.
    func power(_ t: Int, _ v: [Double]) -> [Double] {
      [F(t + 1) * v[0] + F(t) * v[1], F(t) * v[0] + F(t - 1) * v[1]]
    }
    func sum(_ terms: [[Double]]) -> [Double] {
      var total = [0.0, 0]
      for term in terms {
        total[0] += term[0]
        total[1] += term[1]
      }
      return total
    }

    let (w, u, b, h0) = ([2.0, -1], [1.0, 1, 1, 0], [1.0, 3], [5.0, -4])
    let x = (1...T).map { Double($0 % 5 - 2) }
    func input(_ t: Int) -> [Double] { [w[0] * x[t - 1] + b[0], w[1] * x[t - 1] + b[1]] }
    /// After t steps.
    func h(_ t: Int) -> [Double] {
      var terms = [power(t, h0)]
      for s in 1..<max(1, t + 1) { terms.append(power(t - s, input(s))) }
      return sum(terms)
    }
    let result = cell.forward(w + u + b, x: x, T: T, B: 1, initialStates: [h0])
    #expect(result.outputs == (1...T).flatMap(h))
    #expect(result.finalStates == [h(T)])

    // U is symmetric: δ_t = Uᵀ⁻ᵗ d for a loss d · h_T.
    let d = [3.0, 7]
    func delta(_ t: Int) -> [Double] { power(T - t, d) }
    let gradients = cell.backward(
      w + u + b, x: x, T: T, B: 1, initialStates: [h0], dOutputs: [Double](repeating: 0, count: 2 * T),
      dFinalStates: [d])
    var (dw, db, dx) = ([[Double]](), [[Double]](), [Double]())
    var du: [[[Double]]] = [[], []]
    for t in 1...T {
      let delta = delta(t)
      dw.append([delta[0] * x[t - 1], delta[1] * x[t - 1]])
      du[0].append([delta[0] * h(t - 1)[0], delta[0] * h(t - 1)[1]])
      du[1].append([delta[1] * h(t - 1)[0], delta[1] * h(t - 1)[1]])
      db.append(delta)
      dx.append(w[0] * delta[0] + w[1] * delta[1])
    }
    #expect(gradients.dParameters == sum(dw) + sum(du[0]) + sum(du[1]) + sum(db))
    #expect(gradients.dx == dx)
    #expect(gradients.dInitialStates == [delta(0)])
  }

  /// y = W x + b and its gradients, worked by hand.
  @Test func denseLayer() {
    let dense = NaiveDense(inputs: 3, outputs: 2)
    let (w, b, x, dy) = ([1.0, 2, 3, 4, 5, 6], [10.0, 20], [1.0, 0, -1, 2, 1, 0], [1.0, 2, 3, -1])
    #expect(dense.forward(w + b, x: x, rows: 2) == [8, 18, 14, 33])
    let gradients = dense.backward(w + b, x: x, rows: 2, dy: dy)
    #expect(gradients.dParameters == [7, 3, -1, 0, -1, -2] + [4, 1])
    #expect(gradients.dx == [9, 12, 15, -1, 1, 3])
  }

  /// A symbol used twice collects two gradients, one not used none.
  @Test func embedding() {
    let embedding = NaiveEmbedding(symbols: 3, width: 2)
    #expect(embedding.forward([1, 2, 3, 4, 5, 6], [2, 0, 2]) == [5, 6, 1, 2, 5, 6])
    #expect(embedding.backward([2, 0, 2], dy: [1, 2, 10, 20, 100, 200]) == [10, 20, 0, 0, 101, 202])
  }

  /// φ′ is the derivative of φ: a check of what `NaiveRNN` is given.
  @Test(arguments: NaiveActivation.all) func activationDerivatives(_ activation: NaiveActivation) {
    for a in stride(from: -3.9, through: 4, by: 0.2) {
      // The same combination of differences as above; f⁽⁵⁾ of all these is below 100 here.
      func slope(_ s: Double) -> Double { (activation.value(a + s) - activation.value(a - s)) / (2 * s) }
      let difference = (4 * slope(0x1p-10) - slope(0x1p-9)) / 3
      #expect((difference - activation.derivative(a)).magnitude <= 1e-9, "\(activation.name) at \(a)")
    }
  }
}
