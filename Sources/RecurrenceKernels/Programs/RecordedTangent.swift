/// A cell's derivative in one direction as programs: its `step`, run on dual numbers over recorded values.
///
/// Inputs are the planes of a step and, numbered from `Planes.capacity` on, their tangents. Results are the tangents of
/// states, and of the operand. The values themselves are the cell's own kernels' to compute.
public final class RecordedTangent: Sendable {
  let states: PointwiseProgram
  let operand: PointwiseProgram?
  /// Most registers that a run of one of the programs takes.
  public let registers: Int

  /// - Parameter planes: of a cell whose planes are known to be those it declares.
  public init<C: Cell>(_ cell: C, planes: CellPlanes) {
    let input = CellInput(
      gates: Self.inputs { .gate($0) }, states: Self.inputs { .previous($0) }, units: Self.inputs { .unit($0) })
    let after = cell.step(input)
    states = PointwiseProgram((0..<planes.states).map { (.state($0), after[$0].tangent) })
    operand = planes.stages > 1 ? PointwiseProgram([(.operand, cell.operand(input).tangent)]) : nil
    registers = max(states.registers, operand?.registers ?? 0)
  }

  private static func inputs(_ plane: (Int) -> PointwisePlane) -> Planes<Dual<RecordedValue>> {
    let capacity = Planes<RecordedValue>.capacity
    return Planes(count: capacity) {
      Dual(.input(plane($0)), tangent: .input(plane($0 + capacity)))
    }
  }

  /// To be run by the actions `forward` and `operand` on a step that has `CellStep.tangent`. Valid while this lives.
  @unsafe public var view: RecordedCellView {
    unsafe RecordedCellView(
      forward: states.view, operand: operand?.view, backward: states.view, savedOperand: nil, operandBackward: nil,
      isDerived: false)
  }
}
