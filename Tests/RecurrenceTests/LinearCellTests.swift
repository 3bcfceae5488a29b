import Recurrence
import RecurrenceTesting
import Testing

@Suite("A linear cell")
struct LinearCellTests {
  @Test("a linear cell is a matrix power, exactly")
  func linear() throws {
    // Entries −1, 0, 1 and few steps: all sums are integers below 2²⁴.
    let shape = ProblemShape(steps: 6, batch: 4, inputs: 2, units: 19)
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
