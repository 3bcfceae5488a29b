// Naive recurrent networks: what every fast layer is judged by.
//
// Goals, in this order:
// 1. Correctness that a reader can see: every reverse equation stands beside the forward one, in `Double`.
// 2. Independence: nothing here imports the package, so that no mistake can be shared with it.
// 3. Brevity. Speed is no goal: a step of the reverse loop computes its gates again rather than remember them.
//
// A cell knows one row and one step. The loops over time and rows stand here, once for all cells.
//
// All arrays are row-major. Sequences are time-major, x [T, B, I] and outputs [T, B, H]; states are planes, each
// [B, H]: h, or h and c. Parameters lie in one flat array, in the order that `NaiveGateLayout` and the cell's file
// state.

/// A recurrent cell: one row, one step, forward and backward.
protocol NaiveCell: Sendable {
  /// I, the length of an input row.
  var inputs: Int { get }
  /// H, the length of a state row.
  var hidden: Int { get }
  /// S: 1 for h, 2 for h and c.
  var statePlanes: Int { get }
  /// The length of the flat array of parameters.
  var parameterCount: Int { get }

  /// The states after one step of one row; the first of them, h, is also the output.
  ///
  /// - Parameters:
  ///   - parameters: [parameterCount].
  ///   - x: one row of input, [I].
  ///   - states: one row of every state plane before the step, S times [H].
  func step(_ parameters: [Double], x: [Double], states: [[Double]]) -> [[Double]]

  /// The same step in reverse.
  ///
  /// - Parameters:
  ///   - parameters, x, states: what `step` was given.
  ///   - dNext: ∂L/∂ the states that `step` returned, S times [H]; that of the output is already in the first.
  ///   - dParameters: ∂L/∂ parameters, added to.
  /// - Returns: ∂L/∂x, [I], and ∂L/∂ the states before the step, S times [H].
  func stepBackward(
    _ parameters: [Double], x: [Double], states: [[Double]], dNext: [[Double]], dParameters: inout [Double]
  ) -> (dx: [Double], dStates: [[Double]])
}

extension NaiveCell {
  /// Runs T steps of B rows.
  ///
  /// - Parameters:
  ///   - x: [T, B, I].
  ///   - initialStates: S planes, each [B, H].
  ///   - lengths: [B], each in 0...T: row b ends before step `lengths[b]`. Steps beyond output 0, do not read x, and
  ///     leave the state alone. `nil` means T for every row.
  /// - Returns: outputs, [T, B, H], and S planes of final states, each [B, H].
  func forward(
    _ parameters: [Double], x: [Double], T: Int, B: Int, initialStates: [[Double]], lengths: [Int]? = nil
  ) -> (outputs: [Double], finalStates: [[Double]]) {
    let states = allStates(parameters, x, T, B, initialStates, lengths)
    var outputs = [Double](repeating: 0, count: T * B * hidden)
    for t in 0..<T {
      for b in 0..<B where lengths.map({ t < $0[b] }) ?? true {
        for j in 0..<hidden {
          outputs[(t * B + b) * hidden + j] = states[t + 1][0][b * hidden + j]
        }
      }
    }
    return (outputs, states[T])
  }

  /// Gradients of L = Σ dOutputs · outputs + Σ dFinalStates · finalStates.
  ///
  /// - Parameters:
  ///   - dOutputs: [T, B, H]; what it holds for steps beyond a row's length is not read.
  ///   - dFinalStates: S planes, each [B, H].
  /// - Returns: ∂L/∂ parameters; ∂L/∂x, [T, B, I], 0 beyond a row's length; ∂L/∂ initial states, S planes.
  func backward(
    _ parameters: [Double], x: [Double], T: Int, B: Int, initialStates: [[Double]], lengths: [Int]? = nil,
    dOutputs: [Double], dFinalStates: [[Double]]
  ) -> (dParameters: [Double], dx: [Double], dInitialStates: [[Double]]) {
    precondition(dOutputs.count == T * B * hidden, "dOutputs is not [T, B, H]")
    precondition(hasShapeOfStates(dFinalStates, B), "dFinalStates is not S planes of [B, H]")
    let states = allStates(parameters, x, T, B, initialStates, lengths)
    var dParameters = [Double](repeating: 0, count: parameterCount)
    var dx = [Double](repeating: 0, count: T * B * inputs)
    // ∂L/∂ the states after step t, on entry to the loop's body; those before it, on exit.
    var dStates = dFinalStates
    for t in (0..<T).reversed() {
      for b in 0..<B where lengths.map({ t < $0[b] }) ?? true {
        var dNext = dStates.map { naiveRow(b, of: $0, hidden) }
        for j in 0..<hidden {
          dNext[0][j] += dOutputs[(t * B + b) * hidden + j]
        }
        let gradients = stepBackward(
          parameters, x: naiveRow(t * B + b, of: x, inputs), states: states[t].map { naiveRow(b, of: $0, hidden) },
          dNext: dNext, dParameters: &dParameters)
        for k in 0..<inputs {
          dx[(t * B + b) * inputs + k] = gradients.dx[k]
        }
        for plane in 0..<statePlanes {
          for j in 0..<hidden {
            dStates[plane][b * hidden + j] = gradients.dStates[plane][j]
          }
        }
      }
    }
    return (dParameters, dx, dStates)
  }

  /// S planes of zeros, each [B, H].
  func zeroStates(B: Int) -> [[Double]] {
    [[Double]](repeating: [Double](repeating: 0, count: B * hidden), count: statePlanes)
  }

  /// The states before every step and after the last: T + 1 times S planes, each [B, H].
  private func allStates(
    _ parameters: [Double], _ x: [Double], _ T: Int, _ B: Int, _ initialStates: [[Double]], _ lengths: [Int]?
  ) -> [[[Double]]] {
    precondition(parameters.count == parameterCount, "parameters: expected \(parameterCount), got \(parameters.count)")
    precondition(x.count == T * B * inputs, "x is not [T, B, I]")
    precondition(hasShapeOfStates(initialStates, B), "initialStates is not S planes of [B, H]")
    if let lengths {
      precondition(lengths.count == B && lengths.allSatisfy { (0...T).contains($0) }, "lengths is not [B] in 0...T")
    }
    var all = [initialStates]
    for t in 0..<T {
      var next = all[t]
      for b in 0..<B where lengths.map({ t < $0[b] }) ?? true {
        let new = step(
          parameters, x: naiveRow(t * B + b, of: x, inputs), states: all[t].map { naiveRow(b, of: $0, hidden) })
        for plane in 0..<statePlanes {
          for j in 0..<hidden {
            next[plane][b * hidden + j] = new[plane][j]
          }
        }
      }
      all.append(next)
    }
    return all
  }

  private func hasShapeOfStates(_ planes: [[Double]], _ B: Int) -> Bool {
    planes.count == statePlanes && planes.allSatisfy { $0.count == B * hidden }
  }
}

/// One row of a matrix of `columns` columns.
func naiveRow(_ index: Int, of matrix: [Double], _ columns: Int) -> [Double] {
  Array(matrix[(index * columns)..<((index + 1) * columns)])
}
