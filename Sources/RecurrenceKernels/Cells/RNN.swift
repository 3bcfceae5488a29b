// h_t = φ(W x_t + U h_{t−1} + b)
//
// Backward, with δh = ∂L/∂h_t:
//   δa = δh ⊙ φ′(a)          φ′ from h_t where that is exact: tanh′ = 1 − h²

/// The vanilla (Elman) recurrent network: h_t = φ(W x_t + U h_{t−1} + b), φ any function, tanh unless said otherwise.
///
/// One gate, `a`, with one bias. PyTorch keeps two: b is their sum.
@frozen public struct RNN<Phi: PointwiseFunction>: Cell {
  public let activation: Phi

  /// - Parameter activation: φ.
  @inlinable public init(_ activation: Phi) { self.activation = activation }

  public static var gates: [Gate] { ["a"] }

  @inlinable @inline(__always)
  public func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(activation(input.gates[0])) }
}

extension RNN where Phi == Activation {
  /// h_t = tanh(W x_t + U h_{t−1} + b).
  @inlinable public init() { self.init(.tanh) }
  /// h_t = max(W x_t + U h_{t−1} + b, 0).
  public static var relu: RNN { RNN(.relu) }
}

/// `RNN` over a function of the library whose derivative comes from its value: nothing but h is kept.
@frozen @usableFromInline struct FusedRNN: DifferentiatedCell {
  @usableFromInline let activation: Activation
  @inlinable init(_ activation: Activation) { self.activation = activation }

  @usableFromInline static var gates: [Gate] { ["a"] }
  @inlinable @inline(__always) static var savedPlanes: Int { 0 }

  @inlinable @inline(__always)
  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    (Planes(activation(input.gates[0])), Planes())
  }

  @inlinable @inline(__always)
  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let h = input.states[0]
    return CellGradients(gates: Planes(input.gradients[0] * h.derivative(of: activation, value: h)))
  }
}

/// `RNN` over a function of the library whose derivative needs its argument (leaky ReLU, ELU): a is kept besides h.
@frozen @usableFromInline struct FusedRNNKeepingGate: DifferentiatedCell {
  @usableFromInline let activation: Activation
  @inlinable init(_ activation: Activation) { self.activation = activation }

  @usableFromInline static var gates: [Gate] { ["a"] }
  @inlinable @inline(__always) static var savedPlanes: Int { 1 }

  @inlinable @inline(__always)
  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    (Planes(activation(input.gates[0])), Planes(input.gates[0]))
  }

  @inlinable @inline(__always)
  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    let a = input.saved[0]
    return CellGradients(
      gates: Planes(input.gradients[0] * a.derivative(of: activation, value: input.states[0])))
  }
}

extension Activation {
  /// Whether the derivative comes from the value alone; see `ActivationFunction.derivativeUsesOnlyValue`.
  @inlinable public var derivativeUsesOnlyValue: Bool {
    switch self {
    case .leakyReLU: LeakyReLU.derivativeUsesOnlyValue
    case .elu: ELU.derivativeUsesOnlyValue
    default: true
    }
  }
}
