import Recurrence

/// A stack of a cell, run step by step with plain loops over any kind of number: the reference that fast drivers are
/// judged by.
///
/// Over `PlainNumber` it gives values, over `Dual<PlainNumber>` exact derivatives in one direction, over `TracedNumber` the
/// exact gradient with error bounds. It knows nothing of chunks, tiles, tapes or threads.
public struct NaiveDriver<C: Cell> {
  public let cell: C
  public let shape: ProblemShape
  /// Where parameters lie in the flat vector.
  public let layout: ParameterLayout
  /// Paths that no derivative passes: what the gradient would be if they were forgotten.
  public var cut = Cut()

  /// Paths on which numbers are taken for constants.
  public struct Cut: Hashable, Sendable {
    /// h_{t−1} on its way to U, or `operand` on its way to U of the second stage.
    public var recurrentWeights = false
    /// States before the step, by index, as the cell's equations use them.
    public var states: Set<Int> = []
    /// All states, before every step that is a multiple of this: truncated backpropagation.
    public var window: Int?
    /// The outputs of each layer on their way to the next.
    public var layers = false

    public init() {}
  }

  /// - Parameter layout: of a `RecurrentStack` of this cell and shape.
  public init(_ cell: C, _ shape: ProblemShape, layout: ParameterLayout) {
    self.cell = cell
    self.shape = shape
    self.layout = layout
  }

  /// What a run gives.
  public struct Run<V: OracleNumber> {
    /// [T, B, H] of the top layer, zero in padded steps.
    public var outputs: [V]
    /// [S, L, B, H].
    public var final: [V]
    /// Pre-activations of every step, and what U multiplied, in the order in which they were computed: [L] of each row's
    /// steps. For diagnosis.
    package var visits: [Visit<V>] = []
  }

  /// One row of one layer in one step.
  package struct Visit<V: OracleNumber> {
    package let t, b, layer: Int
    /// What W multiplied, [I], and U in each stage, [H].
    package let x: [V]
    package var operands: [[V]] = []
    /// The states after the step, S times [H].
    package var states: [[V]] = []
    /// Planes of pre-activations, as `CellInput.gates`, each [H].
    package var gates: [[V]] = []
  }

  /// - Parameters:
  ///   - parameters: as `layout` says.
  ///   - x: [T, B, I].
  ///   - initial: [S, L, B, H].
  public func run<V: OracleNumber>(parameters: [V], x: [V], initial: [V]) -> Run<V> {
    let (batch, units) = (shape.batch, shape.units)
    var run = Run<V>(outputs: [V](repeating: 0, count: shape.steps * batch * units), final: initial)
    for t in 0..<shape.steps {
      if let window = cut.window, t % window == 0 { run.final = run.final.map(\.detached) }
      for b in 0..<batch where t < shape.length(b) {
        var row = Array(x[((t * batch + b) * shape.inputs)..<((t * batch + b + 1) * shape.inputs)])
        for layer in 0..<shape.layers {
          func place(_ state: Int) -> Range<Int> {
            let start = ((state * shape.layers + layer) * batch + b) * units
            return start..<(start + units)
          }
          var visit = Visit(t: t, b: b, layer: layer, x: row)
          step(&visit, C.states.indices.map { Array(run.final[place($0)]) }, parameters)
          for state in C.states.indices { run.final.replaceSubrange(place(state), with: visit.states[state]) }
          run.visits.append(visit)
          row = cut.layers ? visit.states[0].map(\.detached) : visit.states[0]
        }
        // Above the top layer nothing is cut.
        let top = run.visits[run.visits.count - 1].states[0]
        run.outputs.replaceSubrange(((t * batch + b) * units)..<((t * batch + b + 1) * units), with: top)
      }
    }
    return run
  }

  private func step<V: OracleNumber>(_ visit: inout Visit<V>, _ states: [[V]], _ parameters: [V]) {
    let (gates, layer, units) = (C.gates, visit.layer, shape.units)
    let apart = gates.indices.filter { gates[$0].isApart }
    let w = layout.tensor("W", layer: layer)!
    let u = layout.tensor("U", layer: layer)!
    let b = layout.tensor("b", layer: layer)!.range.lowerBound
    func sums(_ matrix: ParameterLayout.Tensor, _ gate: Int, _ x: [V], from start: (Int) -> V) -> [V] {
      (0..<units).map { unit in
        let row = matrix.range.lowerBound + (gate * units + unit) * matrix.columns
        return V.affine(start(unit), parameters[row..<(row + matrix.columns)], x)
      }
    }
    visit.gates = gates.indices.map { gate in sums(w, gate, visit.x) { parameters[b + gate * units + $0] } }
    visit.gates += apart.map { _ in [V](repeating: 0, count: units) }
    let own = C.unitParameters.map { layout.tensor($0, layer: layer)!.range.lowerBound }
    func input(_ visit: Visit<V>, _ unit: Int) -> CellInput<V> {
      CellInput(
        gates: Planes(count: visit.gates.count) { visit.gates[$0][unit] },
        states: Planes(count: states.count) {
          cut.states.contains($0) ? states[$0][unit].detached : states[$0][unit]
        },
        units: Planes(count: own.count) { parameters[own[$0] + unit] })
    }
    for stage in 0...(gates.map(\.stage).max() ?? 0) {
      var operand = stage == 0 ? states[0] : (0..<units).map { cell.operand(input(visit, $0)) }
      if cut.recurrentWeights { operand = operand.map(\.detached) }
      visit.operands.append(operand)
      for gate in gates.indices where gates[gate].stage == stage {
        if let index = apart.firstIndex(of: gate) {
          let bias = layout.tensor("b_h", layer: layer)!.range.lowerBound + index * units
          visit.gates[gates.count + index] = sums(u, gate, operand) { parameters[bias + $0] }
        } else {
          let inputs = visit.gates[gate]
          visit.gates[gate] = sums(u, gate, operand) { inputs[$0] }
        }
      }
    }
    let results = (0..<units).map { cell.step(input(visit, $0)) }
    visit.states = C.states.indices.map { state in results.map { $0[state] } }
  }
}
