// A scalar loss of a naive stack, for checks of its gradients.

import Testing

/// Cells, lowest first, that checks are run for.
struct NaiveCase: Sendable, CustomTestStringConvertible {
  let name: String
  let cells: [any NaiveCell]
  /// `NaiveActivation.hasKink`.
  var hasKink = false

  var testDescription: String { name }

  /// Every cell, and a stack of unlike ones.
  static let all: [NaiveCase] =
    NaiveActivation.all.map { activation in
      NaiveCase(
        name: "RNN \(activation.name)", cells: [NaiveRNN(inputs: 3, hidden: 4, activation: activation)],
        hasKink: activation.hasKink)
    } + [
      NaiveCase(name: "LSTM", cells: [NaiveLSTM(inputs: 3, hidden: 4)]),
      NaiveCase(name: "LSTM with peepholes", cells: [NaiveLSTM(inputs: 3, hidden: 4, hasPeepholes: true)]),
      NaiveCase(name: "GRU, reset after", cells: [NaiveGRUResetAfter(inputs: 3, hidden: 4)]),
      NaiveCase(name: "GRU, reset before", cells: [NaiveGRUResetBefore(inputs: 3, hidden: 4)]),
      NaiveCase(name: "one input, one unit", cells: [NaiveLSTM(inputs: 1, hidden: 1, hasPeepholes: true)]),
      NaiveCase(
        name: "stack",
        cells: [
          NaiveLSTM(inputs: 3, hidden: 4), NaiveGRUResetBefore(inputs: 4, hidden: 2),
          NaiveRNN(inputs: 2, hidden: 3, activation: .tanh),
        ]),
    ]
}

/// L(variables) = Σ dOutputs · outputs + Σ dFinalStates · finalStates at one point, drawn at random.
struct NaiveProblem {
  /// A stretch of the variables.
  struct Block {
    let name: String
    let range: Range<Int>
  }

  let cells: [any NaiveCell]
  let T: Int
  let B: Int
  let lengths: [Int]?
  /// Every layer's parameters, x, every layer's initial states: end to end.
  let blocks: [Block]
  let point: [Double]
  let cotangents: NaiveStackCotangents

  init(_ cells: [any NaiveCell], T: Int, B: Int, lengths: [Int]?, _ random: inout SeededRandom) {
    self.cells = cells
    self.T = T
    self.B = B
    self.lengths = lengths
    var blocks: [Block] = []
    func append(_ name: String, _ count: Int) {
      let start = blocks.last?.range.upperBound ?? 0
      blocks.append(Block(name: name, range: start..<(start + count)))
    }
    for (layer, cell) in cells.enumerated() { append("parameters \(layer)", cell.parameterCount) }
    append("x", T * B * cells[0].inputs)
    for (layer, cell) in cells.enumerated() {
      for plane in 0..<cell.statePlanes { append("initial state \(layer).\(plane)", B * cell.hidden) }
    }
    self.blocks = blocks
    point = random.small(blocks.last!.range.upperBound)
    var dFinalStates: [[[Double]]] = []
    for cell in cells {
      dFinalStates.append((0..<cell.statePlanes).map { _ in random.small(B * cell.hidden) })
    }
    cotangents = NaiveStackCotangents(
      dOutputs: random.small(T * B * cells.last!.hidden), dFinalStates: dFinalStates)
  }

  /// ∂L/∂ variables at the point, by the reverse equations.
  func gradient() -> [Double] {
    let (parameters, x, initialStates) = split(point)
    let result = naiveStackBackward(
      cells, parameters, x: x, T: T, B: B, initialStates: initialStates, lengths: lengths, cotangents: cotangents)
    return result.dParameters.flatMap(\.self) + result.dx + result.dInitialStates.flatMap { $0.flatMap(\.self) }
  }

  /// The loss's slope at the point along a random direction of length 1, within a block or among all variables.
  ///
  /// - Returns: `nil` where the network has a kink at 0 and an output changes its sign between the four points
  ///   evaluated: draw another problem.
  func slope(
    in block: Int?, _ hasKink: Bool, _ random: inout SeededRandom
  ) -> (direction: [Double], slope: Double)? {
    let range = block.map { blocks[$0].range } ?? point.indices
    let s = 0x1p-9
    var direction = [Double](repeating: 0, count: point.count)
    for i in range { direction[i] = random.uniform(Double.self) }
    let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
    direction = direction.map { $0 / length }
    let values = [-s, -s / 2, s / 2, s].map { distance in
      evaluate(zip(point, direction).map { $0 + distance * $1 })
    }
    if hasKink, !values.allSatisfy({ $0.signs == values[0].signs }) { return nil }
    let wide = (values[3].loss - values[0].loss) / (2 * s)
    let narrow = (values[2].loss - values[1].loss) / s
    return (direction, (4 * narrow - wide) / 3)
  }

  private func evaluate(_ variables: [Double]) -> (loss: Double, signs: [Bool]) {
    let (parameters, x, initialStates) = split(variables)
    let (outputs, finalStates) = naiveStackForward(
      cells, parameters, x: x, T: T, B: B, initialStates: initialStates, lengths: lengths)
    var loss = 0.0
    for (d, y) in zip(cotangents.dOutputs, outputs) { loss += d * y }
    for (d, y) in zip(cotangents.dFinalStates.joined().joined(), finalStates.joined().joined()) { loss += d * y }
    return (loss, outputs.map { $0 > 0 })
  }

  private func split(_ variables: [Double]) -> (parameters: [[Double]], x: [Double], initialStates: [[[Double]]]) {
    let pieces = blocks.map { Array(variables[$0.range]) }
    var states = pieces[(cells.count + 1)...]
    let initialStates = cells.map { cell in
      let planes = Array(states.prefix(cell.statePlanes))
      states = states.dropFirst(cell.statePlanes)
      return planes
    }
    return (Array(pieces[..<cells.count]), pieces[cells.count], initialStates)
  }
}

extension SeededRandom {
  /// Uniform in [−1, 1): gates neither saturate nor idle.
  mutating func small(_ count: Int) -> [Double] { (0..<count).map { _ in uniform(Double.self) } }
}

/// The largest difference, relative to the largest magnitude in `expected`; NaN counts as infinite.
func largestError(_ values: [Double], _ expected: [Double]) -> Double {
  guard values.count == expected.count else { return .infinity }
  let scale = expected.map(\.magnitude).max() ?? 0
  let errors = zip(values, expected).map { ($0 - $1).magnitude }
  guard errors.allSatisfy(\.isFinite), let largest = errors.max() else { return errors.isEmpty ? 0 : .infinity }
  return largest == 0 ? 0 : largest / scale
}
