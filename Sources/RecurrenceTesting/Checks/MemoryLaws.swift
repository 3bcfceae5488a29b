import Recurrence

extension Trial {
  func threads() throws -> CheckVerdict {
    guard shape.batch > 1 else { return .skipped("one sequence") }
    return try first(
      [2, 3, 7].map { threads in
        { [self] in
          try compareBits(stack.solve(operands, SolutionPath(threads: threads)), "a pass on \(threads) threads")
        }
      })
  }

  func poison() throws -> CheckVerdict {
    try first(
      [1, 2].map { threads in
        { [self] in
          try compareBits(
            stack.solve(operands, SolutionPath(threads: threads, keeping: threads == 2 ? 2 : nil, isPoisoned: true)),
            "a pass in memory full of NaN")
        }
      })
  }

  /// Before, the tape held a larger pass with other parameters and, where this one is not ragged, with lengths: nothing that
  /// was made of them may last.
  func reuse() throws -> CheckVerdict {
    var larger = problem.reseeded(3)
    larger.shape = ProblemShape(
      steps: shape.steps + 2, batch: shape.batch + 3, inputs: shape.inputs, units: shape.units, layers: shape.layers)
    if shape.lengths == nil { larger.shape.lengths = (0..<larger.shape.batch).map { $0 % (larger.shape.steps + 1) } }
    var other = stack
    other.parameters.values = larger.parameters(layout).map { Scalar($0) }
    let before = Operands<Scalar>(larger, states: C.states.count)
    return try first(
      [nil, 2].map { (keeping: Int?) in
        { [self] in
          var tape = stack.makeTape(
            steps: larger.shape.steps, batch: larger.shape.batch, threads: 2, ragged: true, keeping: keeping,
            smallestSplit: 0)
          _ = try other.solve(before, tape: &tape)
          let again = [try stack.solve(operands, tape: &tape), try stack.solve(operands, tape: &tape)]
          return try first(
            again.map { solution in { [self] in try compareBits(solution, "a tape that was used before") } })
        }
      })
  }

  /// `solution` reads and writes states, and their gradients, in one place, and adds its gradient to zeros. Here states are
  /// apart, and the gradient replaces NaN, segment by segment.
  func aliasing() throws -> CheckVerdict {
    var tape = stack.makeTape(steps: shape.steps, batch: shape.batch, ragged: shape.lengths != nil, keeping: 2)
    var result = try solution()
    func fill(_ values: inout [Scalar]) { for index in values.indices { values[index] = .nan } }
    fill(&result.outputs)
    fill(&result.final)
    fill(&result.inputGradients)
    fill(&result.initialGradients)
    fill(&result.gradient)
    let (operands, shape) = (operands, shape)
    unsafe operands.x.withUnsafeBufferPointer { x in
      unsafe operands.initial.withUnsafeBufferPointer { initial in
        unsafe result.outputs.withUnsafeMutableBufferPointer { outputs in
          unsafe result.final.withUnsafeMutableBufferPointer { final in
            if let lengths = shape.lengths {
              unsafe lengths.withUnsafeBufferPointer { lengths in
                unsafe stack.forward(
                  x, steps: shape.steps, batch: shape.batch, lengths: lengths, initialStates: initial,
                  outputs: outputs, finalStates: final, tape: &tape)
              }
            } else {
              unsafe stack.forward(
                x, steps: shape.steps, batch: shape.batch, initialStates: initial, outputs: outputs,
                finalStates: final, tape: &tape)
            }
          }
        }
      }
    }
    unsafe backward(&result, &tape)
    return try compareBits(result, "a pass with states in two places, whose gradient replaces NaN")
  }

  @unsafe private func backward(_ result: inout Solution<Scalar>, _ tape: inout Tape<Scalar>) {
    unsafe operands.x.withUnsafeBufferPointer { x in
      unsafe operands.outputGradients.withUnsafeBufferPointer { outputGradients in
        unsafe operands.finalGradients.withUnsafeBufferPointer { finalGradients in
          unsafe result.gradient.withUnsafeMutableBufferPointer { gradient in
            unsafe result.inputGradients.withUnsafeMutableBufferPointer { inputGradients in
              unsafe result.initialGradients.withUnsafeMutableBufferPointer { initialGradients in
                unsafe stack.backward(
                  x, outputGradients: outputGradients, finalStateGradients: finalGradients,
                  parameterGradients: gradient, accumulates: false, inputGradients: inputGradients,
                  initialStateGradients: initialGradients, tape: &tape)
              }
            }
          }
        }
      }
    }
  }
}
