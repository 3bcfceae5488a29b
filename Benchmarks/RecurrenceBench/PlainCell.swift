import Foundation
import Recurrence

/// One double, with the functions of the mathematics library.
private struct Plain: PointwiseValue {
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
    case .relu: Self(max(value, 0))
    default: fatalError("no plain \(activation)")
    }
  }
  func derivative(of activation: Activation, value: Self) -> Self { fatalError("no derivatives here") }
}

/// A cell's step for one row in plain loops: what the outputs of the kernels are checked against.
struct PlainCell<C: Cell, Scalar: RecurrenceScalar> {
  private let cell: C
  private let parameters: Parameters<Scalar>

  init(_ cell: C, _ parameters: Parameters<Scalar>) {
    self.cell = cell
    self.parameters = parameters
  }

  /// States after a step of one row, from input [I] and states S times [H].
  func step(_ x: [Double], _ states: [[Double]]) -> [[Double]] {
    let units = states[0].count
    let apart = C.gates.indices.filter { C.gates[$0].isApart }
    var planes = C.gates.indices.map { product("W", $0, x, bias: ("b", $0), units) }
    planes += apart.map { _ in [Double](repeating: 0, count: units) }
    func input(_ unit: Int) -> CellInput<Plain> {
      CellInput(
        gates: Planes(count: planes.count) { Plain(planes[$0][unit]) },
        states: Planes(count: states.count) { Plain(states[$0][unit]) }, units: Planes())
    }
    for stage in 0...1 where C.gates.contains(where: { $0.stage == stage }) {
      let operand = stage == 0 ? states[0] : (0..<units).map { cell.operand(input($0)).value }
      for gate in C.gates.indices where C.gates[gate].stage == stage {
        if let index = apart.firstIndex(of: gate) {
          planes[C.gates.count + index] = product("U", gate, operand, bias: ("b_h", index), units)
        } else {
          for (unit, sum) in product("U", gate, operand, bias: nil, units).enumerated() { planes[gate][unit] += sum }
        }
      }
    }
    let next = (0..<units).map { cell.step(input($0)) }
    return C.states.indices.map { state in next.map { $0[state].value } }
  }

  private func product(_ name: String, _ gate: Int, _ x: [Double], bias: (String, Int)?, _ units: Int) -> [Double] {
    let matrix = parameters.layout.tensor(name)!
    return (0..<units).map { unit in
      var sum = 0.0
      if let bias {
        let start = parameters.layout.tensor(bias.0)!.range.lowerBound
        sum = Double(parameters.values[start + bias.1 * units + unit])
      }
      let row = matrix.range.lowerBound + (gate * units + unit) * matrix.columns
      for k in x.indices { sum += Double(parameters.values[row + k]) * x[k] }
      return sum
    }
  }
}
