/// The memory of one time step of some rows, as a cell's kernels see it. Row r of every matrix belongs to sequence r.
///
/// All planes are `units` wide. Matrices that a kernel's action does not use may be null.
@frozen @unsafe public struct CellStep<Scalar: KernelScalar> {
  /// H.
  public var units: Int

  /// Pre-activations, in for the forward, planes at `gateColumns`. ∂L/∂pre-activations, out of the backward, and after
  /// them ∂L/∂(unit parameters), planes from `unitColumn` on.
  public var gates: UnsafeMutablePointer<Scalar>?
  public var gateStride: Int
  /// First column of each gate plane, in the cell's order.
  public var gateColumns: InlineArray<8, Int>
  public var unitColumn: Int

  /// States before the step, in. The first is apart from the others, being the output of the step before.
  public var previousHidden: UnsafePointer<Scalar>?
  public var previousHiddenStride: Int
  public var previousOther: UnsafePointer<Scalar>?
  public var previousOtherStride: Int

  /// States after the step: out of the forward, in for the backward. May be the memory of those before.
  public var hidden: UnsafeMutablePointer<Scalar>?
  public var hiddenStride: Int
  public var other: UnsafeMutablePointer<Scalar>?
  public var otherStride: Int

  /// Unit parameters, in; one plane after the other.
  public var unitParameters: UnsafePointer<Scalar>?

  /// Saved planes, out of the forward, in for the backward; null to save nothing.
  public var saved: UnsafeMutablePointer<Scalar>?
  public var savedStride: Int

  /// What the recurrent weights of stage 1 multiply: out.
  public var operand: UnsafeMutablePointer<Scalar>?
  public var operandStride: Int
  /// ∂L/∂operand, in for the backward of the operand.
  public var operandGradient: UnsafePointer<Scalar>?
  public var operandGradientStride: Int

  /// ∂L/∂output of this step by the loss itself, in; null for zero.
  public var outputGradient: UnsafePointer<Scalar>?
  public var outputGradientStride: Int
  /// ∂L/∂h, carried: in, after the step; out, before it, without the way through U.
  public var hiddenGradient: UnsafeMutablePointer<Scalar>?
  public var hiddenGradientStride: Int
  /// ∂L/∂(other states), carried likewise.
  public var otherGradient: UnsafeMutablePointer<Scalar>?
  public var otherGradientStride: Int

  /// ∂L/∂(states besides h) in total, planes of these states: out of `CellAction.backwardWithTotals`.
  public var totals: UnsafeMutablePointer<Scalar>?
  public var totalsStride: Int

  /// Of a step whose derivative in a direction is taken: the tangents of its planes, at the places that their own planes
  /// have. Otherwise null. Only programs that were recorded for it look at it (`RecordedTangent`).
  public var tangent: UnsafePointer<CellStep>?

  @inlinable
  public init(units: Int, gateColumns: InlineArray<8, Int>, unitColumn: Int) {
    unsafe self.units = units
    unsafe self.gateColumns = gateColumns
    unsafe self.unitColumn = unitColumn
    unsafe (gates, gateStride) = (nil, 0)
    unsafe (previousHidden, previousHiddenStride, previousOther, previousOtherStride) = (nil, 0, nil, 0)
    unsafe (hidden, hiddenStride, other, otherStride) = (nil, 0, nil, 0)
    unsafe unitParameters = nil
    unsafe (saved, savedStride) = (nil, 0)
    unsafe (operand, operandStride, operandGradient, operandGradientStride) = (nil, 0, nil, 0)
    unsafe (outputGradient, outputGradientStride) = (nil, 0)
    unsafe (hiddenGradient, hiddenGradientStride, otherGradient, otherGradientStride) = (nil, 0, nil, 0)
    unsafe (totals, totalsStride, tangent) = (nil, 0, nil)
  }
}

/// Which cell's mathematics a kernel runs.
///
/// A plain kind beside what some kinds need, because the tag of an enumeration with payloads is found by a call.
@frozen @unsafe public struct CellMathematics {
  @frozen public enum Kind: UInt8, Sendable {
    case rnn, rnnKeepingGate, lstm, peepholeLSTM, gru, gruResetBefore, recorded
  }

  public let kind: Kind
  /// Of the RNNs.
  public let activation: Activation
  /// Of recorded cells.
  public let recorded: RecordedCellView?

  @inlinable
  public init(_ kind: Kind, _ activation: Activation = .identity, recorded: RecordedCellView? = nil) {
    unsafe self.kind = kind
    unsafe self.activation = activation
    unsafe self.recorded = unsafe recorded
  }
}

/// Which part of a cell's mathematics a kernel runs.
@frozen public enum CellAction: Sendable {
  /// `Cell.step`.
  case forward
  /// `Cell.operand`.
  case operand
  /// `DifferentiatedCell.backward`.
  case backward
  /// `DifferentiatedCell.operandBackward`, added to what `backward` wrote, and `savedOperand`.
  case operandBackward
  /// The same as `backward`, and `DifferentiatedCell.totalGradients` into `totals`. Not of recorded cells that write their
  /// backward.
  case backwardWithTotals
}
