/// One gate of a cell: a pre-activation plane a = W x + U h + b, or its two parts.
public struct Gate: Hashable, Sendable, ExpressibleByStringLiteral {
  public var name: String
  /// False: the cell is given the sum W x + b + U h. True: it is given W x + b and U h + b_h, each in a plane of its
  /// own, and the gate has a recurrent bias b_h of its own.
  public var isApart: Bool
  /// 0: U multiplies h_{t−1}. 1: U multiplies what `Cell.operand` computes from the gates of stage 0.
  public var stage: Int

  /// A gate with summed parts.
  public init(_ name: String, stage: Int = 0) { self.init(name, isApart: false, stage: stage) }

  public init(stringLiteral name: String) { self.init(name) }

  /// A gate whose input and recurrent parts reach the cell apart, such as the candidate of a reset-after GRU.
  public static func apart(_ name: String, stage: Int = 0) -> Gate { Gate(name, isApart: true, stage: stage) }

  private init(_ name: String, isApart: Bool, stage: Int) {
    self.name = name
    self.isApart = isApart
    self.stage = stage
  }
}

/// What a cell sees of one unit in one time step.
@frozen public struct CellInput<V: PointwiseValue> {
  /// Pre-activations: one plane for each gate in the order of `Cell.gates` (for a gate whose parts are apart, the input
  /// part), then the recurrent parts of those gates whose parts are apart, in the same order.
  public var gates: Planes<V>
  /// The states before the step, in the order of `Cell.states`.
  public var states: Planes<V>
  /// The unit's own parameters, in the order of `Cell.unitParameters`.
  public var units: Planes<V>

  @inlinable @inline(__always)
  public init(gates: Planes<V>, states: Planes<V>, units: Planes<V>) {
    self.gates = gates
    self.states = states
    self.units = units
  }
}

/// A recurrent cell: pointwise mathematics between gates and states.
///
/// A cell says which planes it has, and what happens to one unit in one step. It never sees time, batch, memory or
/// threads: the drivers multiply W x and U h, walk through time, and keep what the gradient needs. The gradient itself
/// is derived from `step`; a cell that knows a better one conforms to `DifferentiatedCell`.
///
/// A cell's mathematics must not depend on anything but its arguments and the cell's own, unchanging values: it is run
/// once, when a layer is made, and recorded. `if` on a number of a step is not possible; `PointwiseValue.select` is.
///
/// See Docs/AddingACell.md.
public protocol Cell: Sendable {
  /// The gates, in the order in which their weights are stored. At most eight planes, recurrent parts included.
  static var gates: [Gate] { get }
  /// Names of the states, the output h first. At most eight.
  static var states: [String] { get }
  /// Names of the parameters that each unit has for itself. At most eight.
  static var unitParameters: [String] { get }
  /// The gate that decides how much of the state survives, for initialisers that set its bias; nil, the default, where
  /// there is none.
  static var forgetGate: ForgetGate? { get }

  /// The states after the step.
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V>

  /// What the recurrent weights of the gates of stage 1 multiply. Only the gates of stage 0 may be used.
  func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V
}

extension Cell {
  public static var states: [String] { ["h"] }
  public static var unitParameters: [String] { [] }
  public static var forgetGate: ForgetGate? { nil }
  @inlinable @inline(__always)
  public func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { input.states[0] }
}

/// What the backward of a cell sees of one unit in one time step.
@frozen public struct CellBackwardInput<V: PointwiseValue> {
  /// What `DifferentiatedCell.forward` saved.
  public var saved: Planes<V>
  /// The states before and after the step.
  public var previous: Planes<V>
  public var states: Planes<V>
  /// The unit's own parameters.
  public var units: Planes<V>
  /// ∂L/∂states, the derivatives with respect to the states after the step.
  public var gradients: Planes<V>

  @inlinable @inline(__always)
  public init(
    saved: Planes<V>, previous: Planes<V>, states: Planes<V>, units: Planes<V>, gradients: Planes<V>
  ) {
    self.saved = saved
    self.previous = previous
    self.states = states
    self.units = units
    self.gradients = gradients
  }
}

/// Derivatives of the loss with respect to what a step used, for one unit in one time step.
@frozen public struct CellGradients<V: PointwiseValue> {
  /// With respect to the pre-activations, planes as in `CellInput.gates`.
  public var gates: Planes<V>
  /// With respect to the states before the step, as far as the cell used them directly; the way through U is the
  /// driver's.
  public var previous: Planes<V>
  /// With respect to the unit's own parameters.
  public var units: Planes<V>

  @inlinable @inline(__always)
  public init(gates: Planes<V>, previous: Planes<V> = Planes(), units: Planes<V> = Planes()) {
    self.gates = gates
    self.previous = previous
    self.units = units
  }
}

/// A cell with a backward of its own, and a choice of what is kept for it.
public protocol DifferentiatedCell: Cell {
  /// Planes that `forward` saves for `backward`. At most eight.
  static var savedPlanes: Int { get }

  /// The states after the step, and what the backward wants to see again.
  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>)

  /// Pulls derivatives back through `forward`. In a cell of two stages, without the way through `operand`.
  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V>

  /// ∂L/∂states in total: what comes back from the step after, `input.gradients`, and what reaches a state by way of the
  /// others of its own step, as h_t = o ⊙ tanh(c_t) is a way to c_t. For measuring alone; by default, the former.
  func totalGradients<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> Planes<V>

  /// `operand` again, from what was saved.
  func savedOperand<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> V

  /// Pulls ∂L/∂operand back through `operand`. `input.gradients` is not to be used. What it returns is added to what
  /// `backward` gave.
  func operandBackward<V: PointwiseValue>(_ input: CellBackwardInput<V>, gradient: V) -> CellGradients<V>
}

extension DifferentiatedCell {
  @inlinable @inline(__always)
  public func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { forward(input).states }

  @inlinable @inline(__always)
  public func totalGradients<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> Planes<V> { input.gradients }

  @inlinable @inline(__always)
  public func savedOperand<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> V { input.previous[0] }

  @inlinable @inline(__always)
  public func operandBackward<V: PointwiseValue>(_ input: CellBackwardInput<V>, gradient: V) -> CellGradients<V> {
    CellGradients(gates: Planes(), previous: Planes(gradient))
  }
}
