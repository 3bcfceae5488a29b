// Where the parameters of G gates lie, and the sums over them.
//
//   W [G·H, I], U [G·H, H], b [G·H], then what the cell adds of its own.
//
// The row of gate g and unit j is g·H + j: whole gates follow one another, in the cell's order.

/// Positions of W, U and b in a flat array of parameters.
struct NaiveGateLayout {
  /// G.
  let gates: Int
  /// I.
  let inputs: Int
  /// H.
  let hidden: Int

  func row(gate: Int, unit: Int) -> Int { gate * hidden + unit }

  func w(_ row: Int, _ column: Int) -> Int { row * inputs + column }
  func u(_ row: Int, _ column: Int) -> Int { gates * hidden * inputs + row * hidden + column }
  func b(_ row: Int) -> Int { gates * hidden * (inputs + hidden) + row }
  /// The first position after b.
  var end: Int { gates * hidden * (inputs + hidden + 1) }
}

extension NaiveGateLayout {
  /// y = b + Σ_k W[row, k] x_k.
  func inputSum(_ parameters: [Double], row: Int, x: [Double]) -> Double {
    var y = parameters[b(row)]
    for k in 0..<inputs {
      y += parameters[w(row, k)] * x[k]
    }
    return y
  }

  /// ∂L/∂b = dy, ∂L/∂W[row, k] = dy x_k, ∂L/∂x_k = dy W[row, k]; all are added to.
  func inputSumBackward(
    _ dy: Double, _ parameters: [Double], row: Int, x: [Double], dParameters: inout [Double], dx: inout [Double]
  ) {
    dParameters[b(row)] += dy
    for k in 0..<inputs {
      dParameters[w(row, k)] += dy * x[k]
      dx[k] += dy * parameters[w(row, k)]
    }
  }

  /// y = Σ_k U[row, k] h_k; no bias.
  func recurrentSum(_ parameters: [Double], row: Int, h: [Double]) -> Double {
    var y = 0.0
    for k in 0..<hidden {
      y += parameters[u(row, k)] * h[k]
    }
    return y
  }

  /// ∂L/∂U[row, k] = dy h_k, ∂L/∂h_k = dy U[row, k]; both are added to.
  func recurrentSumBackward(
    _ dy: Double, _ parameters: [Double], row: Int, h: [Double], dParameters: inout [Double], dh: inout [Double]
  ) {
    for k in 0..<hidden {
      dParameters[u(row, k)] += dy * h[k]
      dh[k] += dy * parameters[u(row, k)]
    }
  }
}

/// σ(a) = 1 / (1 + e^−a).
func naiveSigmoid(_ a: Double) -> Double { NaiveActivation.sigmoid.value(a) }
