import Recurrence
import Testing

@Suite("Dense and embedding layers")
struct DenseTests {
  @Test("dense: values and gradients equal the naive layer's; threads change no bit")
  func dense() throws {
    try check(Float.self, tolerance: 4e-6)
    try check(Double.self, tolerance: 1e-13)
  }

  private func check<S: TestScalar>(_: S.Type, tolerance: Double) throws {
    for kernels in Kernels<S>.supported {
      for (index, (rows, inputs, outputs)) in [(1, 1, 1), (13, 7, 5), (30, 33, 66), (3, 128, 1)].enumerated() {
        var random = SeededRandom(stream: index)
        let layer = Dense<S>(inputs: inputs, outputs: outputs, seed: 4, kernels: kernels)
        let naive = NaiveDense(inputs: inputs, outputs: outputs)
        let parameters = layer.parameters.map { Double($0) }
        let x = random.array(rows * inputs, .uniform, of: S.self)
        let dy = random.array(rows * outputs, .uniform, of: S.self)
        let y = naive.forward(parameters, x: x.map { Double($0) }, rows: rows)
        let expected = naive.backward(parameters, x: x.map { Double($0) }, rows: rows, dy: dy.map { Double($0) })
        let (output, gradient, dx) = unsafe run(layer, x, dy, rows)
        let place = "\(S.self) \(kernels.instructionSet) \(rows) × \(inputs) → \(outputs), seed \(SuiteSettings.seed)"
        #expect(relativeError(output, y) <= tolerance, "y, \(place)")
        #expect(relativeError(gradient, expected.dParameters) <= tolerance, "∂L/∂parameters, \(place)")
        #expect(relativeError(dx, expected.dx) <= tolerance, "∂L/∂x, \(place)")
        let threaded = unsafe run(layer, x, dy, rows, threads: 3)
        #expect(threaded.0 == output && threaded.1 == gradient && threaded.2 == dx, "threads, \(place)")
      }
    }
  }

  @unsafe private func run<S: TestScalar>(
    _ layer: Dense<S>, _ x: [S], _ dy: [S], _ rows: Int, threads: Int = 1
  ) -> ([S], [S], [S]) {
    var workspace = layer.makeWorkspace(threads: threads)
    var output = [S](repeating: .nan, count: rows * layer.outputs)
    var gradient = [S](repeating: 0, count: layer.parameters.count)
    var dx = [S](repeating: .nan, count: x.count)
    unsafe x.withUnsafeBufferPointer { x in
      unsafe dy.withUnsafeBufferPointer { dy in
        unsafe output.withUnsafeMutableBufferPointer { output in
          unsafe gradient.withUnsafeMutableBufferPointer { gradient in
            unsafe dx.withUnsafeMutableBufferPointer { dx in
              let input = unsafe MatrixView(x, rows: rows, columns: layer.inputs)
              unsafe layer.forward(
                input, into: MutableMatrixView(output, rows: rows, columns: layer.outputs), workspace: &workspace)
              unsafe layer.backward(
                input, outputGradient: MatrixView(dy, rows: rows, columns: layer.outputs), gradient: gradient,
                inputGradient: MutableMatrixView(dx, rows: rows, columns: layer.inputs), workspace: &workspace)
            }
          }
        }
      }
    }
    return (output, gradient, dx)
  }

  @Test("a dense layer's weights follow its parameters, and bad input throws")
  func denseEdits() throws {
    var layer = Dense<Float>(inputs: 2, outputs: 1)
    layer.parameters = [2, 3, 0.5]
    let copy = layer
    #expect(try layer([1, 1, 0, 2]) == [5.5, 6.5])
    layer.parameters[0] = -2
    #expect(try layer([1, 1]) == [1.5])
    #expect(try copy([1, 1]) == [5.5])
    let error = #expect(throws: ShapeError.self) { try layer([1, 2, 3]) }
    #expect(error?.description == "input: expected a multiple of I = 2 elements, got 3")
  }

  @Test("embedding: values, and the gradient of the rows used, equal the naive layer's")
  func embedding() throws {
    let table = Embedding<Double>(symbols: 7, width: 3, seed: 2)
    let naive = NaiveEmbedding(symbols: 7, width: 3)
    let indices = [2, 5, 2, 0, 5, 2]
    var random = SeededRandom()
    let dy: [Double] = random.array(18, .uniform)
    var output = [Double](repeating: .nan, count: 18)
    try table.forward(indices, into: &output)
    #expect(output == naive.forward(table.parameters, indices))
    var gradient = table.makeGradient()
    try table.backward(indices, outputGradient: dy, gradient: &gradient)
    #expect(Set(gradient.symbols) == [0, 2, 5])
    let expected = naive.backward(indices, dy: dy)
    for symbol in 0..<7 {
      let row = Array(expected[(symbol * 3)..<(symbol * 3 + 3)])
      if let mine = gradient[symbol] {
        #expect(relativeError(Array(mine), row) <= 1e-15)
      } else {
        #expect(row == [0, 0, 0])
      }
    }
    gradient.removeAll()
    #expect(gradient[2] == nil && gradient.symbols.isEmpty)
    #expect(throws: ShapeError("indices[1]", expected: "0 to 6", actual: "7")) {
      try table.forward([0, 7], into: &output)
    }
  }
}
