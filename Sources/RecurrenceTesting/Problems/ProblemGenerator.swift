import Recurrence

/// An endless series of problems, from a seed: sizes across the edges of vectors, panels and tiles; ragged batches; stacks;
/// operands that leave gates linear and that saturate them.
public struct ProblemGenerator: IteratorProtocol, Sequence, Sendable {
  private var generator: SeededGenerator
  private let units, batches, inputs, steps: [Int]
  private let mostWork: Int

  /// - Parameters:
  ///   - geometry: of the kernels whose edges are to be crossed, `Kernels.selected.geometry`.
  ///   - mostWork: bound on T·B·L·H·(H + I), which the time of a check grows with.
  public init(seed: UInt64, geometry: KernelGeometry, mostWork: Int = 40_000) {
    generator = SeededGenerator(seed: seed)
    let (lanes, panel, rows) = (geometry.lanes, geometry.panelWidth, geometry.tileRows)
    units = [1, 2, 3, lanes - 1, lanes, lanes + 1, panel - 1, panel, panel + 1, panel + lanes + 3].filter { $0 > 0 }
    batches = [1, 2, 3, rows - 1, rows, rows + 1, 2 * rows + 1].filter { $0 > 0 }
    inputs = [1, 2, 5, lanes - 1, lanes + 1].filter { $0 > 0 }
    steps = [1, 2, 3, 4, 5, 7, 11]
    self.mostWork = mostWork
  }

  /// Never nil.
  public mutating func next() -> CellProblem? {
    while true {
      var shape = ProblemShape(
        steps: pick(steps), batch: pick(batches), inputs: pick(inputs), units: pick(units),
        layers: pick([1, 1, 1, 2, 3]))
      let isRagged = generator.index(below: 4) == 0
      let lengths = (0..<shape.batch).map { _ in generator.index(below: shape.steps + 1) }
      if isRagged { shape.lengths = lengths }
      let regime = pick([CellProblem.Regime.ordinary, .ordinary, .saturating, .small])
      let problem = CellProblem(shape, regime, seed: generator.next())
      if shape.work <= mostWork { return problem }
    }
  }

  private mutating func pick<Element>(_ choices: [Element]) -> Element {
    choices[generator.index(below: choices.count)]
  }
}
