import RecurrenceKernels

/// How the planes of a cell lie in memory, and which products make them.
///
/// Within a row the pre-activation planes are ordered so that those the input reaches are neighbours, and those that
/// each stage's recurrent weights reach are, too:
///
///     recurrent parts of stage 1 · gates of stage 1 · input parts · gates of stage 0 · recurrent parts of stage 0
///
/// One product then serves all gates of a side. For cells without apart gates and stages that is the cell's own order.
struct CellPlan: Sendable {
  let planes: CellPlanes
  /// Number of gates, G.
  let gates: Int
  /// Gates whose recurrent part is apart, in order: each has a recurrent bias.
  let apartGates: [Int]
  let unitNames: [String]
  let gateNames: [String]
  let stateNames: [String]
  let forgetGate: ForgetGate?
  /// Position in a row of each plane, in the cell's order.
  let position: [Int]
  /// The gate at each position.
  let gate: [Int]
  /// Positions that the input reaches.
  let inputs: Range<Int>
  /// Positions that the recurrent weights of each stage reach.
  let recurrent: [Range<Int>]
  /// `inputs`, and each of `recurrent`, in the fewest runs. Found once: passes allocate nothing.
  let inputRuns: [Run]
  let recurrentRuns: [[Run]]
  /// All positions, in the fewest runs whose gradients of weights are made of the same products.
  let weightRuns: [WeightRun]

  /// Neighbouring positions that hold neighbouring gates.
  struct Run: Sendable {
    let position: Int
    let gate: Int
    var count: Int
  }

  /// Neighbouring positions that hold neighbouring gates, and what their pre-activations are products of.
  struct WeightRun: Sendable {
    let run: Run
    let readsInput: Bool
    /// The stage whose recurrent weights they are sums of; nil for none.
    let stage: Int?
  }

  init<C: Cell>(_ cell: C.Type) {
    let name = "\(C.self)"
    let gates = C.gates
    Self.check(gates.map(\.name), name, "gates", 1)
    Self.check(C.states, name, "states", 1)
    Self.check(C.unitParameters, name, "unitParameters", 0)
    for parameter in C.unitParameters where ["W", "U", "b", "b_h"].contains(parameter) {
      fatalError("\(name).unitParameters: \(parameter) is the name of a tensor that every cell has")
    }
    for gate in gates where !(0...1).contains(gate.stage) {
      fatalError("\(name).gates: gate \(gate.name) is of stage \(gate.stage), expected 0 or 1")
    }
    for part in [C.forgetGate?.name, C.forgetGate?.inputGate] {
      if let part, !gates.contains(where: { $0.name == part }) {
        fatalError("\(name).forgetGate: expected one of \(gates.map(\.name).joined(separator: ", ")), got \(part)")
      }
    }
    let apart = gates.indices.filter { gates[$0].isApart }
    guard gates.count + apart.count <= 8 else {
      fatalError(
        "\(name).gates: expected at most 8 planes, got \(gates.count) and \(apart.count) recurrent parts")
    }
    func summed(_ stage: Int) -> [Int] { gates.indices.filter { !gates[$0].isApart && gates[$0].stage == stage } }
    // Planes in the cell's numbering: gates first, recurrent parts after them.
    func recurrentParts(_ stage: Int) -> [Int] {
      apart.indices.filter { gates[apart[$0]].stage == stage }.map { gates.count + $0 }
    }
    let blocks = [recurrentParts(1), summed(1), apart, summed(0), recurrentParts(0)]
    let order = blocks.flatMap { $0 }
    let starts = blocks.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    var position = [Int](repeating: 0, count: order.count)
    for (place, plane) in order.enumerated() { position[plane] = place }
    self.position = position
    gate = order.map { $0 < gates.count ? $0 : apart[$0 - gates.count] }
    inputs = starts[1]..<starts[4]
    let second = starts[0]..<starts[2]
    recurrent = second.isEmpty ? [starts[3]..<starts[5]] : [starts[3]..<starts[5], second]
    inputRuns = Self.runs(inputs, gate)
    recurrentRuns = recurrent.map { [gate] in Self.runs($0, gate) }
    // Whether the input reaches a block, and the stage of its recurrent weights.
    let reach: [(input: Bool, stage: Int?)] = [(false, 1), (true, 1), (true, nil), (true, 0), (false, 0)]
    weightRuns = blocks.indices.flatMap { [gate] block in
      Self.runs(starts[block]..<starts[block + 1], gate).map {
        WeightRun(run: $0, readsInput: reach[block].input, stage: reach[block].stage)
      }
    }
    self.gates = gates.count
    apartGates = apart
    gateNames = gates.map(\.name)
    stateNames = C.states
    forgetGate = C.forgetGate
    unitNames = C.unitParameters
    planes = CellPlanes(
      gates: order.count, states: C.states.count, units: C.unitParameters.count, stages: recurrent.count)
  }

  private static func check(_ names: [String], _ cell: String, _ what: String, _ least: Int) {
    guard (least...8).contains(names.count) else {
      fatalError("\(cell).\(what): expected \(least) to 8, got \(names.count)")
    }
    guard Set(names).count == names.count else { fatalError("\(cell).\(what): names must differ, got \(names)") }
  }

  /// Planes of ∂L/∂pre-activations and, after them, of ∂L/∂(unit parameters).
  var gradientPlanes: Int { planes.gates + planes.units }

  /// Whether `positions` hold gates in ascending order without gaps, so that weights need not be brought into order.
  func isInOrder(_ positions: Range<Int>) -> Bool {
    positions.dropFirst().allSatisfy { gate[$0 - 1] + 1 == gate[$0] }
  }

  private static func runs(_ positions: Range<Int>, _ gate: [Int]) -> [Run] {
    var runs: [Run] = []
    for place in positions {
      if let last = runs.last, last.gate + last.count == gate[place] {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(Run(position: place, gate: gate[place], count: 1))
      }
    }
    return runs
  }

  /// First column of each plane, in the cell's order, for planes of `units` units.
  func columns(units: Int) -> InlineArray<8, Int> {
    var columns = InlineArray<8, Int>(repeating: 0)
    for (plane, place) in position.enumerated() { columns[plane] = place * units }
    return columns
  }
}

/// A cell, ready for the drivers: its plan, and which kernels run its mathematics.
@safe final class CellImplementation: Sendable {
  let plan: CellPlan
  /// Planes that the tape keeps besides the states.
  let savedPlanes: Int
  /// Registers of the cell's programs, zero for a cell with kernels of its own.
  let registers: Int
  /// Valid while the implementation lives.
  nonisolated(unsafe) let mathematics: CellMathematics
  /// What a recorder measures of the gates.
  let observedGates: [ObservedGate]
  /// Whether the kernels know ∂L/∂(states besides h) in total, and not only what is carried.
  let knowsTotalGradients: Bool
  /// Records the cell's derivative in a direction.
  let makeTangent: @Sendable () -> RecordedTangent
  /// Owns what `mathematics` of a recorded cell points to.
  private let recorded: RecordedCell?

  /// - Parameter isRecorded: replays even a built-in cell from a recording; tests compare.
  init<C: Cell>(_ cell: C, isRecorded: Bool = false) {
    let plan = CellPlan(C.self)
    self.plan = plan
    makeTangent = { RecordedTangent(cell, planes: plan.planes) }
    if !isRecorded, let fused = unsafe Self.fused(cell) {
      unsafe (mathematics, savedPlanes) = unsafe fused
      recorded = nil
      registers = 0
      observedGates = Self.observedGates(cell)
      knowsTotalGradients = true
    } else {
      let recorded = RecordedCell(cell, planes: plan.planes)
      self.recorded = recorded
      unsafe mathematics = unsafe CellMathematics(.recorded, recorded: recorded.view)
      registers = recorded.registers
      savedPlanes = recorded.savedPlanes
      observedGates = ObservedGate.list(of: recorded, plan)
      knowsTotalGradients = recorded.isDerived
    }
  }

  /// Built-in cells keep the values of their gates, or are them.
  private static func observedGates(_ cell: some Cell) -> [ObservedGate] {
    func saved(_ names: [String], _ activations: [Activation]) -> [ObservedGate] {
      zip(names, activations).enumerated().map {
        ObservedGate(name: $1.0, source: .saved($0), activation: $1.1, isApplied: true)
      }
    }
    return switch cell {
    case let cell as RNN<Activation>:
      [ObservedGate(name: "a", source: .state(0), activation: cell.activation, isApplied: true)]
    case is LSTM, is PeepholeLSTM: saved(["i", "f", "g", "o"], [.sigmoid, .sigmoid, .tanh, .sigmoid])
    default: saved(["r", "z", "n"], [.sigmoid, .sigmoid, .tanh])
    }
  }

  /// The kernels of a built-in cell, and what they save.
  private static func fused(_ cell: some Cell) -> (CellMathematics, savedPlanes: Int)? {
    switch cell {
    case let cell as RNN<Activation>:
      cell.activation.derivativeUsesOnlyValue
        ? unsafe (CellMathematics(.rnn, cell.activation), 0)
        : unsafe (CellMathematics(.rnnKeepingGate, cell.activation), 1)
    case is LSTM: unsafe (CellMathematics(.lstm), LSTM.savedPlanes)
    case is PeepholeLSTM: unsafe (CellMathematics(.peepholeLSTM), PeepholeLSTM.savedPlanes)
    case is GRU: unsafe (CellMathematics(.gru), GRU.savedPlanes)
    case is GRUResetBefore: unsafe (CellMathematics(.gruResetBefore), GRUResetBefore.savedPlanes)
    default: nil
    }
  }
}
