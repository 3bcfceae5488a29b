// Layers without a state: a dense one and a table of rows.
//
//   dense:      y = W x + b        ∂L/∂W = Σ dy xᵀ    ∂L/∂b = Σ dy    ∂L/∂x = Wᵀ dy
//   embedding:  y_n = E[symbol_n]  ∂L/∂E[s] = Σ dy_n over all n with symbol_n = s
//
// Sums run over all rows, be they steps, rows of a batch, or both.

/// Parameters: W [outputs, inputs], b [outputs].
struct NaiveDense: Sendable {
  let inputs: Int
  let outputs: Int

  var parameterCount: Int { outputs * (inputs + 1) }

  /// - Parameters:
  ///   - x: [rows, inputs].
  /// - Returns: y, [rows, outputs].
  func forward(_ parameters: [Double], x: [Double], rows: Int) -> [Double] {
    precondition(parameters.count == parameterCount && x.count == rows * inputs, "wrong shape")
    var y = [Double](repeating: 0, count: rows * outputs)
    for n in 0..<rows {
      for j in 0..<outputs {
        y[n * outputs + j] = parameters[outputs * inputs + j]
        for k in 0..<inputs {
          y[n * outputs + j] += parameters[j * inputs + k] * x[n * inputs + k]
        }
      }
    }
    return y
  }

  /// - Parameters:
  ///   - dy: ∂L/∂y, [rows, outputs].
  /// - Returns: ∂L/∂ parameters and ∂L/∂x, [rows, inputs].
  func backward(
    _ parameters: [Double], x: [Double], rows: Int, dy: [Double]
  ) -> (dParameters: [Double], dx: [Double]) {
    precondition(parameters.count == parameterCount && x.count == rows * inputs, "wrong shape")
    precondition(dy.count == rows * outputs, "dy is not [rows, outputs]")
    var dParameters = [Double](repeating: 0, count: parameterCount)
    var dx = [Double](repeating: 0, count: rows * inputs)
    for n in 0..<rows {
      for j in 0..<outputs {
        dParameters[outputs * inputs + j] += dy[n * outputs + j]
        for k in 0..<inputs {
          dParameters[j * inputs + k] += dy[n * outputs + j] * x[n * inputs + k]
          dx[n * inputs + k] += dy[n * outputs + j] * parameters[j * inputs + k]
        }
      }
    }
    return (dParameters, dx)
  }
}

/// Parameters: E [symbols, width].
struct NaiveEmbedding: Sendable {
  /// How many different symbols there are.
  let symbols: Int
  let width: Int

  var parameterCount: Int { symbols * width }

  /// The rows of E, one for every element of `sequence`: [sequence.count, width].
  func forward(_ parameters: [Double], _ sequence: [Int]) -> [Double] {
    precondition(parameters.count == parameterCount, "parameters is not [symbols, width]")
    return sequence.flatMap { symbol in parameters[(symbol * width)..<((symbol + 1) * width)] }
  }

  /// ∂L/∂E from dy = ∂L/∂y, [sequence.count, width].
  func backward(_ sequence: [Int], dy: [Double]) -> [Double] {
    precondition(dy.count == sequence.count * width, "dy is not [sequence.count, width]")
    var dParameters = [Double](repeating: 0, count: parameterCount)
    for (n, symbol) in sequence.enumerated() {
      for k in 0..<width {
        dParameters[symbol * width + k] += dy[n * width + k]
      }
    }
    return dParameters
  }
}
