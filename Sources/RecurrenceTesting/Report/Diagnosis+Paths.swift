import Recurrence

// Mistakes of the passes themselves: what they leave out, or take the wrong way round.

extension Diagnosis {
  /// A forward pass that leaves something out: moving it moves the oracle's results and not the library's.
  func independence() -> String? {
    guard case .failed? = try? trial.values(), let here = try? trial.solution() else { return nil }
    let parameters = trial.problem.parameters(trial.layout)
    let initial = trial.problem.initialStates(C.states.count)
    let oracle = results(parameters, initial)
    func isLost(_ parameters: [Double], _ initial: [Double]) -> Bool {
      let moved = results(parameters, initial)
      guard zip(oracle, moved).contains(where: { abs($0 - $1) > 1e-6 }) else { return false }
      var (stack, operands) = (trial.stack, trial.operands)
      stack.parameters.values = parameters.map { Scalar($0) }
      operands.initial = initial.map { Scalar($0) }
      guard let there = try? stack.solve(operands) else { return false }
      return there.outputs == here.outputs && there.final == here.final
    }
    func moved(_ values: [Double], _ range: Range<Int>) -> [Double] {
      var values = values
      for index in range { values[index] += 0.5 }
      return values
    }
    for (tensor, place) in zip(trial.layout.tensors, trial.places[trial.parameterPlaces]) {
      let own = Array(parameters[tensor.range])
      for block in Pattern(place: place, found: own, expected: own, precision: 0).blocks {
        let start = tensor.range.lowerBound
        if isLost(moved(parameters, (start + block.range.lowerBound)..<(start + block.range.upperBound)), initial) {
          let gate = block.gate.map { ", gate \($0)" } ?? ""
          return "a term is missing: the forward pass does not depend on \(tensor.name) of layer \(tensor.layer)\(gate)"
        }
      }
    }
    let size = trial.shape.batch * trial.shape.units
    for (state, name) in C.states.enumerated() {
      for layer in 0..<trial.shape.layers {
        let start = (state * trial.shape.layers + layer) * size
        if isLost(parameters, moved(initial, start..<(start + size))) {
          return "a term is missing: the forward pass does not depend on the initial \(name) of layer \(layer)"
        }
      }
    }
    return nil
  }

  /// Outputs and final states by the naive driver.
  private func results(_ parameters: [Double], _ initial: [Double]) -> [Double] {
    func plain(_ values: [Double]) -> [PlainNumber] { values.map { PlainNumber($0) } }
    let run = NaiveDriver(trial.cell, trial.shape, layout: trial.layout).run(
      parameters: plain(parameters), x: plain(trial.problem.input()), initial: plain(initial))
    return run.outputs.map(\.value) + run.final.map(\.value)
  }

  /// Where the gradient is right: differences are taken of passes without a tape.
  func inference() -> String? {
    guard case .failed(let mismatch)? = try? trial.inference() else { return nil }
    return "not the gradient: a pass without a tape is not the pass with it, in \(mismatch.location)"
  }

  /// ∂L/∂h_{t−1} with U in place of Uᵀ; one step tells.
  func transposedWay(_ found: [Double], _ reference: Reference<C>) -> String? {
    let (shape, gates) = (trial.shape, C.gates)
    guard shape.steps == 1, gates.allSatisfy({ $0.stage == 0 }) else { return nil }
    let parameters = trial.problem.parameters(trial.layout)
    let apart = gates.indices.filter { gates[$0].isApart }
    var guess = reference.tensors[3].values
    if Pattern.distance(found, guess) <= precision { return nil }
    for visit in reference.visits {
      let u = trial.layout.tensor("U", layer: visit.layer)!.range.lowerBound
      let start = (visit.layer * shape.batch + visit.b) * shape.units
      for gate in gates.indices {
        let plane = apart.firstIndex(of: gate).map { gates.count + $0 } ?? gate
        func weight(_ unit: Int, _ column: Int) -> Double {
          parameters[u + (gate * shape.units + unit) * shape.units + column]
        }
        for unit in 0..<shape.units {
          let δa = reference.adjoints.value(visit.gates[plane][unit])
          for k in 0..<shape.units { guess[start + k] += (weight(k, unit) - weight(unit, k)) * δa }
        }
      }
    }
    guard Pattern.distance(found, guess) <= precision else { return nil }
    return "transposed: ∂L/∂h_{t−1} is U δa and should be Uᵀ δa"
  }
}
