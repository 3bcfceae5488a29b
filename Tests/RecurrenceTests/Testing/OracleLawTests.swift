import Foundation
import Recurrence
import RecurrenceTesting
import Testing

/// The oracles of `RecurrenceTesting`, against each other and against formulas.
@Suite("Oracles of RecurrenceTesting")
struct OracleLawTests {
  @Test(
    "reference activations have the derivatives that differences find",
    arguments: Activation.standard.map(\.description))
  func references(_ name: String) throws {
    let activation = Activation.standard.first { $0.description == name }!
    let breaks = activation.kinks + activation.bends
    for step in -40...40 {
      let x = Double(step) * 0.237 + 0.013
      guard breaks.allSatisfy({ abs($0 - x) > 0.02 }) else { continue }
      let reference = activation.reference(at: x)
      let slope = RichardsonDifference(distance: 0x1p-7) { h in
        let y = activation.reference(at: x + h).value
        return (y, abs(y))
      }
      #expect(abs(slope.value - reference.slope) <= 2 * slope.error + 1e-12, "\(name)′(\(x))")
      let curvature = RichardsonDifference(distance: 0x1p-7) { h in
        let y = activation.reference(at: x + h).slope
        return (y, abs(y))
      }
      #expect(abs(curvature.value - reference.curvature) <= 2 * curvature.error + 1e-12, "\(name)″(\(x))")
    }
  }

  /// f = Σ over all operations that a cell may use.
  private func formula<V: PointwiseValue>(_ x: [V]) -> V {
    let divisor: V = 2 + x[1] * x[1]
    let a: V = x[0] * x[1] - x[2] / divisor
    let bent: V = sigmoid(x[2]) - softplus(a)
    let b: V = V.multiplyAdd(a, tanh(x[0]), bent)
    let half: V = 0.5
    let c: V = V.select(where: x[0], isLessThan: x[1], then: exp(half * a), else: relu(b) - b)
    let limits: V = maximum(x[2], a) - minimum(a, b)
    let tenth: V = 0.1
    return c * b + limits + (-a) * tenth
  }

  @Test("traced gradients are those of dual numbers")
  func tracedAgainstDual() {
    var random = SeededRandom(stream: 301)
    for _ in 0..<200 {
      let point = (0..<3).map { _ in 2 * random.uniform(Double.self) }
      let trace = Trace(judging: Double.self, terms: 8)
      let variables = point.map(trace.variable)
      let result = formula(variables)
      let adjoints = trace.pullBack([(result, 1)])
      for index in point.indices {
        let dual = formula(
          point.indices.map { Dual(PlainNumber(point[$0]), tangent: PlainNumber($0 == index ? 1 : 0)) })
        #expect(dual.value.value == result.value || abs(dual.value.value - result.value) < 1e-15)
        let found = adjoints.value(variables[index])
        #expect(abs(found - dual.tangent.value) <= 1e-13 * (1 + abs(found)), "seed \(SuiteSettings.seed)")
      }
    }
  }

  @Test("a traced number's bound holds for the same formula in Float, and is not vacuous")
  func bounds() {
    var random = SeededRandom(stream: 302)
    var ratios: [Double] = []
    for _ in 0..<2000 {
      let point: [Float] = (0..<3).map { _ in 2 * random.uniform(Float.self) }
      let trace = Trace(judging: Float.self, terms: 8)
      let result = formula(point.map { trace.variable(Double($0)) })
      if trace.isUndecided { continue }
      let single = formula(point.map { SingleNumber(value: $0) })
      let error = abs(Double(single.value) - result.value)
      #expect(error <= result.error, "\(point): \(error) of \(result.error), seed \(SuiteSettings.seed)")
      ratios.append(error / result.error)
    }
    #expect(ratios.count > 1500)
    #expect(ratios.max()! > 0.02, "the bound is \(1 / ratios.max()!) times the largest error")
  }

  /// A Float with the C library's functions.
  private struct SingleNumber: PointwiseValue {
    var value: Float
    init(value: Float) { self.value = value }
    init(_ value: Double) { self.value = Float(value) }
    static func + (a: Self, b: Self) -> Self { Self(value: a.value + b.value) }
    static func - (a: Self, b: Self) -> Self { Self(value: a.value - b.value) }
    static func * (a: Self, b: Self) -> Self { Self(value: a.value * b.value) }
    static func / (a: Self, b: Self) -> Self { Self(value: a.value / b.value) }
    static prefix func - (a: Self) -> Self { Self(value: -a.value) }
    static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { Self(value: a.value * b.value + c.value) }
    static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self {
      a.value < b.value ? x : y
    }
    func applying(_ activation: Activation) -> Self {
      Self(value: Float(activation.reference(at: Double(value)).value))
    }
    func derivative(of activation: Activation, value: Self) -> Self { fatalError("not used") }
  }

  @Test("comparisons nearer than rounding are undecided, others are not")
  func decisions() {
    func run(_ a: Double, _ b: Double) -> Trace {
      let trace = Trace(judging: Float.self, terms: 1)
      _ = maximum(trace.variable(a) * trace.variable(1 / 3), trace.variable(b))
      return trace
    }
    #expect(!run(1, 0.25).isUndecided)
    #expect(run(1, 1 / 3).isUndecided)
    #expect(run(1, 1 / 3 + 1e-9).isUndecided)
    #expect(run(1, 0.25).decisions != run(1, 0.75).decisions)
    // Both exact, and equal: no rounding can change the side.
    let trace = Trace(judging: Float.self, terms: 1)
    _ = maximum(trace.variable(0.5), trace.variable(0.5))
    #expect(!trace.isUndecided)
  }

  @Test("a Jacobian by differences is that of a formula")
  func jacobians() {
    let matrix = jacobian(at: [0.5, -1.25, 2]) { (x: [Double]) -> [Double] in [x[0] * x[1], x[2] * x[2] * x[0]] }
    let expected: [[Double]] = [[-1.25, 0.5, 0], [4, 0, 2]]
    #expect(matrix.count == 2)
    for (row, right) in zip(matrix, expected) {
      for (value, other) in zip(row, right) { #expect(abs(value - other) < 1e-11) }
    }
  }

  @Test("the naive driver of any cell gives what naive cells, written from the equations, give")
  func drivers() throws {
    let shape = ProblemShape(steps: 4, batch: 3, inputs: 2, units: 3, layers: 2, lengths: [4, 2, 0])
    try compare(LSTM(), shape) { NaiveLSTM(inputs: $0, hidden: 3) }
    try compare(PeepholeLSTM(), shape) { NaiveLSTM(inputs: $0, hidden: 3, hasPeepholes: true) }
    try compare(GRU(), shape) { NaiveGRUResetAfter(inputs: $0, hidden: 3) }
    try compare(GRUResetBefore(), shape) { NaiveGRUResetBefore(inputs: $0, hidden: 3) }
  }

  private func compare<C: Cell>(_ cell: C, _ shape: ProblemShape, _ naive: (Int) -> any NaiveCell) throws {
    var random = SeededRandom(stream: 303)
    let problem = SequenceProblem(shape, states: C.states.count, random: &random)
    let stack = RecurrentStack<C, Double>(cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 8)
    let parameters = stack.parameters.values
    let expected = try NaiveSolution(problem, parameters, [naive(shape.inputs), naive(shape.units)])
    let trace = Trace(judging: Double.self, terms: 16)
    let variables = (
      parameters.map(trace.variable), problem.x.map(trace.variable), problem.initial.map(trace.variable)
    )
    let run = NaiveDriver(cell, shape, layout: stack.layout)
      .run(parameters: variables.0, x: variables.1, initial: variables.2)
    let adjoints = trace.pullBack(
      zip(run.outputs, problem.outputGradients).map { ($0, $1) }
        + zip(run.final, problem.finalGradients).map { ($0, $1) })
    let found = [
      run.outputs.map(\.value), run.final.map(\.value), variables.1.map(adjoints.value),
      variables.2.map(adjoints.value),
      variables.0.map(adjoints.value),
    ]
    for (mine, theirs) in zip(found, expected.tensors) {
      #expect(largestError(mine, theirs.values) <= 1e-13, "\(C.self): \(theirs.name), seed \(SuiteSettings.seed)")
    }
  }
}
