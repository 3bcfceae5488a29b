import Foundation
import Recurrence
import Testing

/// One double with the mathematics library's functions: a value that shares nothing with the kernels.
struct PlainValue: PointwiseValue {
  var value: Double
  init(_ value: Double) { self.value = value }
  static func + (a: Self, b: Self) -> Self { Self(a.value + b.value) }
  static func - (a: Self, b: Self) -> Self { Self(a.value - b.value) }
  static func * (a: Self, b: Self) -> Self { Self(a.value * b.value) }
  static func / (a: Self, b: Self) -> Self { Self(a.value / b.value) }
  static prefix func - (a: Self) -> Self { Self(-a.value) }
  static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { Self(a.value * b.value + c.value) }
  static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self {
    a.value < b.value ? x : y
  }
  func applying(_ activation: Activation) -> Self {
    switch activation {
    case .tanh: Self(Foundation.tanh(value))
    case .sigmoid: Self(1 / (1 + Foundation.exp(-value)))
    case .exponential: Self(Foundation.exp(value))
    case .relu: Self(max(value, 0))
    case .elu(let alpha): Self(value < 0 ? alpha * Foundation.expm1(value) : value)
    default: fatalError("no plain \(activation)")
    }
  }
  func derivative(of activation: Activation, value y: Self) -> Self {
    switch activation {
    case .tanh: Self(1 - y.value * y.value)
    case .sigmoid: Self(y.value * (1 - y.value))
    case .exponential: y
    case .relu: Self(value > 0 ? 1 : 0)
    case .elu(let alpha): Self(value > 0 ? 1 : y.value + alpha)
    default: fatalError("no plain derivative of \(activation)")
    }
  }
}

typealias Tangent = Dual<PlainValue>

/// A stack run step by step over dual numbers, with plain loops: outputs and final states with their derivatives in one
/// direction, J v.
struct TangentDriver<C: Cell> {
  let cell: C
  let shape: SequenceShape
  let layout: ParameterLayout
  /// Parameters with the direction.
  let parameters: [Tangent]

  func run(_ x: [Tangent], _ initial: [Tangent]) -> (outputs: [Tangent], final: [Tangent]) {
    let (batch, units) = (shape.batch, shape.units)
    var states = initial
    var outputs = [Tangent](repeating: 0, count: shape.steps * batch * units)
    for t in 0..<shape.steps {
      for b in 0..<batch where t < (shape.lengths?[b] ?? shape.steps) {
        var row = Array(x[((t * batch + b) * shape.inputs)..<((t * batch + b + 1) * shape.inputs)])
        for layer in 0..<shape.layers {
          func place(_ state: Int) -> Range<Int> {
            let start = ((state * shape.layers + layer) * batch + b) * units
            return start..<(start + units)
          }
          let next = step(row, C.states.indices.map { Array(states[place($0)]) }, layer)
          for state in C.states.indices { states.replaceSubrange(place(state), with: next[state]) }
          row = next[0]
        }
        outputs.replaceSubrange(((t * batch + b) * units)..<((t * batch + b + 1) * units), with: row)
      }
    }
    return (outputs, states)
  }

  private func step(_ x: [Tangent], _ states: [[Tangent]], _ layer: Int) -> [[Tangent]] {
    let gates = C.gates
    let apart = gates.indices.filter { gates[$0].isApart }
    var planes = [[Tangent]](
      repeating: [Tangent](repeating: 0, count: shape.units), count: gates.count + apart.count)
    for g in gates.indices {
      planes[g] = sum(product("W", g, x, layer), tensor("b", g, layer))
    }
    let units = C.unitParameters.map { Array(parameters[layout.tensor($0, layer: layer)!.range]) }
    func input(_ unit: Int) -> CellInput<Tangent> {
      CellInput(
        gates: Planes(count: planes.count) { planes[$0][unit] },
        states: Planes(count: states.count) { states[$0][unit] },
        units: Planes(count: units.count) { units[$0][unit] })
    }
    for stage in 0...1 {
      let operand = stage == 0 ? states[0] : (0..<shape.units).map { cell.operand(input($0)) }
      for g in gates.indices where gates[g].stage == stage {
        let recurrent = product("U", g, operand, layer)
        if let index = apart.firstIndex(of: g) {
          planes[gates.count + index] = sum(recurrent, tensor("b_h", index, layer))
        } else {
          planes[g] = sum(planes[g], recurrent)
        }
      }
    }
    let results = (0..<shape.units).map { cell.step(input($0)) }
    return C.states.indices.map { state in results.map { $0[state] } }
  }

  private func sum(_ a: [Tangent], _ b: [Tangent]) -> [Tangent] { zip(a, b).map { $0 + $1 } }

  private func tensor(_ name: String, _ block: Int, _ layer: Int) -> [Tangent] {
    let start = layout.tensor(name, layer: layer)!.range.lowerBound + block * shape.units
    return Array(parameters[start..<(start + shape.units)])
  }

  private func product(_ name: String, _ gate: Int, _ x: [Tangent], _ layer: Int) -> [Tangent] {
    let matrix = layout.tensor(name, layer: layer)!
    return (0..<shape.units).map { unit in
      var sum: Tangent = 0
      for k in x.indices {
        sum = sum + parameters[matrix.range.lowerBound + (gate * shape.units + unit) * matrix.columns + k] * x[k]
      }
      return sum
    }
  }
}

@Suite("Forward mode against backward mode")
struct TangentTests {
  struct Adjoint: CellVisitor {
    let index: Int
    let shape: SequenceShape

    mutating func visit<C: Cell>(_ cell: C) throws {
      for kernels in Kernels<Double>.supported {
        let stack = RecurrentStack<C, Double>(
          cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 5, kernels: kernels)
        var random = SeededRandom(stream: index)
        let problem = SequenceProblem(shape, states: C.states.count, random: &random)
        let result = try stack.solve(problem)
        func direction(_ values: [Double]) -> [Tangent] {
          values.map { Tangent(PlainValue($0), tangent: PlainValue(random.uniform(Double.self))) }
        }
        let parameters = direction(stack.parameters.values)
        let x = direction(problem.x)
        let initial = direction(problem.initial)
        let driver = TangentDriver(cell: cell, shape: shape, layout: stack.layout, parameters: parameters)
        let (outputs, final) = driver.run(x, initial)
        let place = "\(C.self) \(kernels.instructionSet) \(shape), seed \(SuiteSettings.seed)"
        #expect(relativeError(result.outputs, outputs.map(\.value.value)) <= 1e-12, "outputs of \(place)")
        #expect(relativeError(result.final, final.map(\.value.value)) <= 1e-12, "final states of \(place)")

        // ⟨J v, u⟩ = ⟨v, Jᵀ u⟩
        let active = (0..<(shape.steps * shape.batch)).map { row in
          row / shape.batch < (shape.lengths?[row % shape.batch] ?? shape.steps)
        }
        var left = 0.0
        var scale = 0.0
        for i in outputs.indices where active[i / shape.units] {
          left += outputs[i].tangent.value * problem.outputGradients[i]
          scale += abs(outputs[i].tangent.value * problem.outputGradients[i])
        }
        for i in final.indices {
          left += final[i].tangent.value * problem.finalGradients[i]
          scale += abs(final[i].tangent.value * problem.finalGradients[i])
        }
        func dot(_ values: [Tangent], _ gradient: [Double]) -> Double {
          zip(values, gradient).reduce(0) { $0 + $1.0.tangent.value * $1.1 }
        }
        let right =
          dot(parameters, result.gradient) + dot(x, result.inputGradients) + dot(initial, result.initialGradients)
        #expect(abs(left - right) <= 1e-12 * scale, "⟨Jv, u⟩ = \(left), ⟨v, Jᵀu⟩ = \(right): \(place)")
      }
    }
  }

  @Test(
    "⟨Jv, u⟩ = ⟨v, Jᵀu⟩, J v from dual numbers",
    arguments: [
      SequenceShape(steps: 5, batch: 3, inputs: 4, units: 5),
      SequenceShape(steps: 4, batch: 2, inputs: 3, units: 9, layers: 2),
      SequenceShape(steps: 6, batch: 4, inputs: 2, units: 16, lengths: [6, 1, 0, 4]),
      SequenceShape(steps: 20, batch: 5, inputs: 1, units: 3),
    ])
  func adjoint(_ shape: SequenceShape) throws {
    var visitor = Adjoint(index: shape.steps, shape: shape)
    try forEachCell(&visitor)
  }

  @Test("a linear cell is a matrix power, exactly")
  func linear() throws {
    // Entries −1, 0, 1 and few steps: all sums are integers below 2²⁴.
    let shape = SequenceShape(steps: 6, batch: 4, inputs: 2, units: 19)
    var random = SeededRandom(stream: 9)
    for kernels in Kernels<Float>.supported {
      var stack = RecurrentStack<LinearCell, Float>(
        LinearCell(), inputs: shape.inputs, units: shape.units, kernels: kernels)
      func small(_ count: Int) -> [Float] { (0..<count).map { _ in Float(random.index(below: 3) - 1) } }
      var u = small(shape.units * shape.units)
      for i in u.indices where random.index(below: 4) != 0 { u[i] = 0 }
      stack.parameters["U"] = u
      stack.parameters["W"] = small(shape.units * shape.inputs)
      stack.parameters["b"] = [Float](repeating: 0, count: shape.units)
      let start = small(shape.batch * shape.units)
      var states = stack.makeStates(batch: shape.batch)
      states.values = start
      // Without input, h_T = U^T h_0; and ∂(v·h_T)/∂h_0 = (Uᵀ)^T v.
      let x = [Float](repeating: 0, count: shape.steps * shape.batch * shape.inputs)
      var outputs = [Float](repeating: 0, count: shape.steps * shape.batch * shape.units)
      var tape = stack.makeTape(steps: shape.steps, batch: shape.batch)
      try stack.forward(
        x, steps: shape.steps, batch: shape.batch, states: &states, outputs: &outputs, tape: &tape)
      func power(_ rows: [Float], transposed: Bool) -> [Float] {
        var rows = rows
        for _ in 0..<shape.steps {
          rows = (0..<shape.batch).flatMap { b in
            (0..<shape.units).map { i in
              (0..<shape.units).reduce(Float(0)) {
                $0 + rows[b * shape.units + $1] * (transposed ? u[$1 * shape.units + i] : u[i * shape.units + $1])
              }
            }
          }
        }
        return rows
      }
      #expect(states.values == power(start, transposed: false), "\(kernels.instructionSet)")
      let v = small(shape.batch * shape.units)
      var gradients = stack.makeStates(batch: shape.batch)
      var gradient = stack.makeGradient()
      var inputGradients = x
      try stack.backward(
        x, outputGradients: .lastStep(v), stateGradients: &gradients, gradient: &gradient,
        inputGradients: &inputGradients, tape: &tape)
      #expect(gradients.values == power(v, transposed: true), "\(kernels.instructionSet)")
    }
  }
}
