/// Makes a failing problem smaller for as long as it fails.
///
/// Tried in turn, the boldest first: everything at once, half of a size, one less. What is left fails, and fails no more
/// when any one size is made smaller.
package enum Shrinking {
  /// - Parameter fails: whether a problem fails. Called a few dozen times.
  package static func smallest(_ problem: CellProblem, fails: (CellProblem) -> Bool) -> CellProblem {
    var best = problem
    var attempts = 0
    while let smaller = candidates(best).first(where: { candidate in
      attempts += 1
      return attempts <= 400 && fails(candidate)
    }) {
      best = smaller
    }
    return best
  }

  package static func candidates(_ problem: CellProblem) -> [CellProblem] {
    var result: [CellProblem] = []
    let shape = problem.shape
    func add(_ change: (inout CellProblem) -> Void) {
      var candidate = problem
      change(&candidate)
      if size(candidate) < size(problem) { result.append(candidate) }
    }
    add { $0.shape = ProblemShape(steps: 1, batch: 1, inputs: 1, units: 1) }
    add { $0.shape = ProblemShape(steps: 2, batch: 1, inputs: 1, units: 1) }
    add { $0.shape = ProblemShape(steps: 2, batch: 1, inputs: 1, units: 2) }
    add { $0.shape.lengths = nil }
    for smaller in sizes(shape.layers) { add { $0.shape.layers = smaller } }
    for smaller in sizes(shape.batch) {
      add {
        $0.shape.batch = smaller
        $0.shape.lengths = shape.lengths.map { Array($0.prefix(smaller)) }
      }
    }
    for smaller in sizes(shape.steps) {
      add {
        $0.shape.steps = smaller
        $0.shape.lengths = shape.lengths.map { $0.map { Swift.min($0, smaller) } }
      }
    }
    for smaller in sizes(shape.units) { add { $0.shape.units = smaller } }
    for smaller in sizes(shape.inputs) { add { $0.shape.inputs = smaller } }
    if problem.regime != .ordinary { add { $0.regime = .ordinary } }
    return result
  }

  /// What shrinking makes smaller with every move.
  private static func size(_ problem: CellProblem) -> Int {
    let shape = problem.shape
    return 4 * (shape.steps + shape.batch + shape.inputs + shape.units + shape.layers)
      + (shape.lengths == nil ? 0 : 2) + (problem.regime == .ordinary ? 0 : 1)
  }

  /// 1, half, one less.
  private static func sizes(_ size: Int) -> [Int] {
    var sizes: [Int] = []
    for smaller in [1, size / 2, size - 1] where smaller >= 1 && smaller < size && !sizes.contains(smaller) {
      sizes.append(smaller)
    }
    return sizes
  }
}
