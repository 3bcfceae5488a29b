/// A cell's mathematics as programs.
///
/// The forward of every cell is its `step`. The backward of a cell that writes none is `step` run backwards over the
/// saved pre-activations; one that a cell writes is a program of its own.
public final class RecordedCell: Sendable {
  public let savedPlanes: Int
  let forward: PointwiseProgram
  let operand: PointwiseProgram?
  let backward: PointwiseProgram
  let savedOperand: PointwiseProgram?
  let operandBackward: PointwiseProgram?
  /// Whether the backward is derived from `step`.
  public let isDerived: Bool

  /// The function that each pre-activation plane is put through, nil where it is not put through exactly one.
  public let gateActivations: [Activation?]

  /// Most registers that a run of one of the programs takes.
  public let registers: Int

  public init<C: Cell>(_ cell: C, planes: CellPlanes) {
    let gates = (0..<planes.gates).map { PointwisePlane.gate($0) }
    let previous = (0..<planes.states).map { PointwisePlane.previous($0) }
    let units = (0..<planes.units).map { PointwisePlane.unit($0) }
    let input = CellInput(
      gates: Self.inputs { .gate($0) }, states: Self.inputs { .previous($0) }, units: Self.inputs { .unit($0) })
    let check = PlaneCheck(C.self, planes)
    let differentiated = gates + previous + units
    if let cell = cell as? any DifferentiatedCell {
      isDerived = false
      let written = Self.written(cell, input, check)
      savedPlanes = written.saved
      forward = written.forward
      backward = written.backward
      savedOperand = planes.stages > 1 ? written.savedOperand : nil
      operandBackward = planes.stages > 1 ? written.operandBackward : nil
    } else {
      isDerived = true
      savedPlanes = planes.gates
      let states = check.results(cell.step(input), planes.states, "step", "states") { .state($0) }
      let saved = gates.indices.map { (PointwisePlane.saved($0), input.gates[$0]) }
      forward = PointwiseProgram(states + saved)
      backward = PointwiseProgram(states, differentiating: differentiated)
      let operand = PointwiseProgram([(.operand, cell.operand(input))], differentiating: differentiated)
      savedOperand = planes.stages > 1 ? operand : nil
      operandBackward = savedOperand
    }
    operand = planes.stages > 1 ? PointwiseProgram([(.operand, cell.operand(input))]) : nil
    check.inputs(of: forward, isDerived ? "step" : "forward")
    if let operand { check.inputs(of: operand, "operand", isOperand: true) }
    if !isDerived {
      check.inputs(of: backward, "backward", saved: savedPlanes)
      if let savedOperand { check.inputs(of: savedOperand, "savedOperand", saved: savedPlanes) }
      if let operandBackward { check.inputs(of: operandBackward, "operandBackward", saved: savedPlanes) }
    }
    gateActivations = forward.activations(ofGates: planes.gates)
    registers = [forward, operand, backward, savedOperand, operandBackward].compactMap { $0?.registers }.max() ?? 0
  }

  /// The programs of a cell that writes its backward.
  private static func written<C: DifferentiatedCell>(
    _ cell: C, _ input: CellInput<RecordedValue>, _ check: PlaneCheck
  ) -> (
    saved: Int, forward: PointwiseProgram, backward: PointwiseProgram, savedOperand: PointwiseProgram,
    operandBackward: PointwiseProgram
  ) {
    guard (0...Planes<RecordedValue>.capacity).contains(C.savedPlanes) else {
      fatalError("\(C.self).savedPlanes: expected 0 to \(Planes<RecordedValue>.capacity), got \(C.savedPlanes)")
    }
    let planes = check.planes
    let (states, saved) = cell.forward(input)
    let seen = CellBackwardInput(
      saved: inputs { .saved($0) }, previous: input.states, states: inputs { .state($0) }, units: input.units,
      gradients: inputs { .gradient($0) })
    func program(_ gradients: CellGradients<RecordedValue>, _ function: String) -> PointwiseProgram {
      PointwiseProgram(
        check.results(gradients.gates, planes.gates, function, "gates") { .gate($0) }
          + check.results(gradients.previous, planes.states, function, "previous") { .previous($0) }
          + check.results(gradients.units, planes.units, function, "units") { .unit($0) })
    }
    return (
      C.savedPlanes,
      PointwiseProgram(
        check.results(states, planes.states, "forward", "states") { .state($0) }
          + check.results(saved, C.savedPlanes, "forward", "saved") { .saved($0) }),
      program(cell.backward(seen), "backward"), PointwiseProgram([(.operand, cell.savedOperand(seen))]),
      program(cell.operandBackward(seen, gradient: .input(.operand)), "operandBackward")
    )
  }

  /// All planes that there can be: a cell that reads more than it declared is told so by `PlaneCheck`.
  private static func inputs(_ plane: (Int) -> PointwisePlane) -> Planes<RecordedValue> {
    Planes(count: Planes<RecordedValue>.capacity) { .input(plane($0)) }
  }

  /// Valid while the recorded cell lives.
  @unsafe public var view: RecordedCellView {
    unsafe RecordedCellView(
      forward: forward.view, operand: operand?.view, backward: backward.view, savedOperand: savedOperand?.view,
      operandBackward: operandBackward?.view, isDerived: isDerived)
  }
}

/// What the kernels see of a recorded cell.
@frozen @unsafe public struct RecordedCellView {
  @usableFromInline let forward: PointwiseProgramView
  @usableFromInline let operand: PointwiseProgramView?
  @usableFromInline let backward: PointwiseProgramView
  @usableFromInline let savedOperand: PointwiseProgramView?
  @usableFromInline let operandBackward: PointwiseProgramView?
  /// Whether `backward` and `operandBackward` are forward programs, to be run backwards.
  @usableFromInline let isDerived: Bool
}

/// How many planes of each kind a cell has.
@frozen public struct CellPlanes: Hashable, Sendable {
  /// Pre-activations, recurrent parts that are apart included.
  public let gates: Int
  public let states: Int
  public let units: Int
  /// 1, or 2 where a gate belongs to stage 1.
  public let stages: Int

  public init(gates: Int, states: Int, units: Int, stages: Int) {
    self.gates = gates
    self.states = states
    self.units = units
    self.stages = stages
  }
}
