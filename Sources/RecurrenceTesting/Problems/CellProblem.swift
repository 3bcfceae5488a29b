import Recurrence

/// A forward and a backward pass with every operand drawn at random: parameters, input, initial states, and the loss
/// L = Σ u·outputs + Σ w·(final states).
///
/// A value of a few numbers: the operands come from the seed. Each comes from its own place (which tensor, step, row,
/// unit) and not from the order of drawing, so that a smaller problem of the same seed has the same numbers where the two
/// overlap. All are exact in Float: both scalar types see the same problem.
public struct CellProblem: Hashable, Sendable {
  public var shape: ProblemShape
  public var regime: Regime
  public var seed: UInt64

  public init(
    steps: Int, batch: Int, inputs: Int, units: Int, layers: Int = 1, lengths: [Int]? = nil,
    regime: Regime = .ordinary, seed: UInt64 = 0
  ) {
    self.init(
      ProblemShape(steps: steps, batch: batch, inputs: inputs, units: units, layers: layers, lengths: lengths), regime,
      seed: seed)
  }

  init(_ shape: ProblemShape, _ regime: Regime, seed: UInt64) {
    self.shape = shape
    self.regime = regime
    self.seed = seed
  }

  /// How large the operands are.
  public enum Regime: String, Hashable, Sendable, CaseIterable {
    /// Near zero, where gates are almost linear.
    case small
    /// As after initialisation: parameters within ±1/√H, the rest within ±1.
    case ordinary
    /// Many gates at their ends: parameters six times as large, inputs four times.
    case saturating

    var parameterScale: Double { self == .small ? 0.125 : self == .ordinary ? 1 : 6 }
    var inputScale: Double { self == .small ? 0.25 : self == .ordinary ? 1 : 4 }
  }

  // MARK: Operands

  private enum Stream: UInt64 { case input = 1, initial, outputGradients, finalGradients, parameters, directions }

  /// In [−1, 1), 24 bits.
  private func number(_ stream: Stream, _ place: Int...) -> Double {
    var state = mix(seed ^ (stream.rawValue &* 0xd134_2543_de82_ef95))
    for coordinate in place { state = mix(state &+ 0x9e37_79b9_7f4a_7c15 &* UInt64(coordinate + 1)) }
    return Double(Int64(bitPattern: state) >> 40) * 0x1p-23
  }

  private func mix(_ x: UInt64) -> UInt64 {
    var z = x &+ 0x9e37_79b9_7f4a_7c15
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// x, [T, B, I].
  public func input() -> [Double] {
    sequence(.input, width: shape.inputs, scale: regime.inputScale)
  }

  /// ∂L/∂outputs, [T, B, H].
  public func outputGradients() -> [Double] { sequence(.outputGradients, width: shape.units, scale: 1) }

  /// [S, L, B, H].
  public func initialStates(_ states: Int) -> [Double] {
    self.states(.initial, states, scale: regime == .small ? 0.25 : 1)
  }

  /// ∂L/∂(final states), [S, L, B, H].
  public func finalGradients(_ states: Int) -> [Double] { self.states(.finalGradients, states, scale: 1) }

  private func sequence(_ stream: Stream, width: Int, scale: Double) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(shape.steps * shape.batch * width)
    for t in 0..<shape.steps {
      for b in 0..<shape.batch { for i in 0..<width { result.append(scale * number(stream, t, b, i)) } }
    }
    return result
  }

  private func states(_ stream: Stream, _ states: Int, scale: Double) -> [Double] {
    var result: [Double] = []
    for state in 0..<states {
      for layer in 0..<shape.layers {
        for b in 0..<shape.batch {
          for unit in 0..<shape.units { result.append(scale * number(stream, state, layer, b, unit)) }
        }
      }
    }
    return result
  }

  /// All parameters, as the layout says.
  public func parameters(_ layout: ParameterLayout) -> [Double] {
    let scale = regime.parameterScale / Double(shape.units).squareRoot()
    return values(.parameters, layout) { Double(Float(scale * $0)) }
  }

  /// A direction of the parameters, within ±1; `index` tells several apart.
  func parameterDirection(_ layout: ParameterLayout, _ index: Int) -> [Double] {
    var other = self
    other.seed = mix(seed &+ UInt64(index))
    return other.values(.directions, layout) { $0 }
  }

  /// Places of a parameter: layer, tensor, block of H rows (a gate), unit, column.
  private func values(_ stream: Stream, _ layout: ParameterLayout, _ value: (Double) -> Double) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(layout.count)
    var (layer, ordinal) = (-1, 0)
    for tensor in layout.tensors {
      ordinal = tensor.layer == layer ? ordinal + 1 : 0
      layer = tensor.layer
      for row in 0..<tensor.rows {
        for column in 0..<tensor.columns {
          result.append(value(number(stream, layer, ordinal, row / layout.units, row % layout.units, column)))
        }
      }
    }
    return result
  }

  /// A problem that draws other operands.
  func reseeded(_ index: Int) -> CellProblem {
    var other = self
    other.seed = mix(seed &+ 0x1234_5678 &* UInt64(index + 1))
    return other
  }
}

extension CellProblem: CustomStringConvertible {
  /// The Swift that makes it again.
  public var description: String {
    var text =
      "CellProblem(steps: \(shape.steps), batch: \(shape.batch), inputs: \(shape.inputs), units: \(shape.units)"
    if shape.layers != 1 { text += ", layers: \(shape.layers)" }
    if let lengths = shape.lengths { text += ", lengths: \(lengths)" }
    if regime != .ordinary { text += ", regime: .\(regime.rawValue)" }
    return text + ", seed: \(seed))"
  }
}
