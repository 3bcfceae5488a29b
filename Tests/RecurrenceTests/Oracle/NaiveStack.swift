// Layers on top of one another: the outputs of a layer are the next one's x.
//
// Lengths hold for all layers. Outputs beyond a row's length are 0 and are not read by the layer above.

/// Runs a stack of layers, the lowest first.
///
/// - Parameters:
///   - cells: L cells; each but the first has as many inputs as the one before has hidden units.
///   - parameters: L flat arrays.
///   - x: [T, B, I] of the first cell.
///   - initialStates: for every layer S planes, each [B, H].
/// - Returns: outputs of the last layer, [T, B, H], and for every layer S planes of final states.
func naiveStackForward(
  _ cells: [any NaiveCell], _ parameters: [[Double]], x: [Double], T: Int, B: Int, initialStates: [[[Double]]],
  lengths: [Int]? = nil
) -> (outputs: [Double], finalStates: [[[Double]]]) {
  var outputs = x
  var finalStates: [[[Double]]] = []
  for layer in cells.indices {
    let result = cells[layer].forward(
      parameters[layer], x: outputs, T: T, B: B, initialStates: initialStates[layer], lengths: lengths)
    outputs = result.outputs
    finalStates.append(result.finalStates)
  }
  return (outputs, finalStates)
}

/// What a loss says about a stack: its gradients with respect to all that the stack returned.
struct NaiveStackCotangents {
  /// [T, B, H] of the last layer.
  var dOutputs: [Double]
  /// For every layer S planes, each [B, H].
  var dFinalStates: [[[Double]]]
}

/// Gradients of L = Σ dOutputs · outputs + Σ dFinalStates · finalStates, sums over all layers' final states.
///
/// - Returns: L arrays of ∂L/∂ parameters; ∂L/∂x, [T, B, I]; for every layer S planes of ∂L/∂ initial states.
func naiveStackBackward(
  _ cells: [any NaiveCell], _ parameters: [[Double]], x: [Double], T: Int, B: Int, initialStates: [[[Double]]],
  lengths: [Int]? = nil, cotangents: NaiveStackCotangents
) -> (dParameters: [[Double]], dx: [Double], dInitialStates: [[[Double]]]) {
  var inputs = [x]
  for layer in cells.indices {
    let result = cells[layer].forward(
      parameters[layer], x: inputs[layer], T: T, B: B, initialStates: initialStates[layer], lengths: lengths)
    inputs.append(result.outputs)
  }
  var dParameters = [[Double]](repeating: [], count: cells.count)
  var dInitialStates = [[[Double]]](repeating: [], count: cells.count)
  var dOutputs = cotangents.dOutputs
  for layer in cells.indices.reversed() {
    let gradients = cells[layer].backward(
      parameters[layer], x: inputs[layer], T: T, B: B, initialStates: initialStates[layer], lengths: lengths,
      dOutputs: dOutputs, dFinalStates: cotangents.dFinalStates[layer])
    dParameters[layer] = gradients.dParameters
    dInitialStates[layer] = gradients.dInitialStates
    dOutputs = gradients.dx
  }
  return (dParameters, dOutputs, dInitialStates)
}
