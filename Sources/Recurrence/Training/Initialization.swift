/// How the parameters of a stack are drawn.
///
///     RecurrentStack<LSTM, Float>(LSTM(), inputs: 8, units: 64, initialization: .chrono(longestLag: 500), seed: 1)
///
/// A value; presets are static members. Numbers are drawn in Double from a `SeededGenerator` and rounded: a seed gives
/// the same parameters on every platform. Drawn in the order of `ParameterLayout`, whatever becomes of some of them
/// afterwards: `.standard` and `.pyTorch` differ in the forget gate's bias alone. See Docs/Initialization.md.
public struct Initialization: Hashable, Sendable, Codable {
  /// How a matrix is drawn: in a recurrent layer each gate's block of W, [H, I], and of U, [H, H], by itself.
  ///
  /// Parameters that are not finite, and a negative deviation, trap with a sentence when the matrix is drawn.
  public enum Matrix: Hashable, Sendable, Codable {
    /// U(−1/√n, 1/√n), PyTorch's default: n = H in a recurrent layer, I in a dense one, D in an embedding.
    case uniform
    /// U(−a, a), a = √(6/(rows + columns)) (Glorot and Bengio 2010).
    case glorotUniform
    /// N(0, 2/(rows + columns)) (Glorot and Bengio 2010).
    case glorotNormal
    /// `gain` times a matrix whose rows or columns, whichever are fewer, are orthonormal, uniform among all such (Saxe,
    /// McClelland and Ganguli 2014). Time grows as rows · columns · the smaller of the two.
    case orthogonal(gain: Double = 1)
    /// `scale` on the diagonal, 0 elsewhere.
    case identity(scale: Double = 1)
    /// N(0, deviation²).
    case normal(deviation: Double)
    case zero
  }

  /// How biases, or parameters that each unit has for itself, are drawn.
  public enum Vector: Hashable, Sendable, Codable {
    /// U(−1/√n, 1/√n), n as for a matrix. A bias b of a gate with summed parts is PyTorch's `bias_ih` + `bias_hh`, and
    /// so the sum of two draws.
    case uniform
    case zero
  }

  /// What becomes of the bias of the gate that a cell calls its forget gate (`Cell.forgetGate`); nothing where it has
  /// none. All are biases towards memory: a gate that takes instead of keeping gets the negative. The recurrent bias
  /// b_h of a gate whose parts are apart is set to 0 beside it.
  public enum ForgetGateBias: Hashable, Sendable, Codable {
    /// As all other biases.
    case asDrawn
    /// The cell's own, `ForgetGate.usualBias`: 1 in an LSTM; in a GRU, as drawn.
    case usual
    /// This one.
    case constant(Double)
    /// ln u, u ∼ U(1, longestLag − 1), drawn for each unit, and the negative for the input gate where there is one:
    /// units that remember for up to `longestLag` steps, at least 2 (Tallec and Ollivier 2018).
    case chrono(longestLag: Int)
  }

  /// W of every layer.
  public var inputWeights: Matrix
  /// U of every layer.
  public var recurrentWeights: Matrix
  /// b and b_h.
  public var biases: Vector
  /// Parameters that each unit has for itself, such as peepholes.
  public var unitParameters: Vector
  public var forgetGateBias: ForgetGateBias

  /// PyTorch's distributions and the usual bias of the forget gate, unless said otherwise.
  public init(
    inputWeights: Matrix = .uniform, recurrentWeights: Matrix = .uniform, biases: Vector = .uniform,
    unitParameters: Vector = .uniform, forgetGateBias: ForgetGateBias = .usual
  ) {
    self.inputWeights = inputWeights
    self.recurrentWeights = recurrentWeights
    self.biases = biases
    self.unitParameters = unitParameters
    self.forgetGateBias = forgetGateBias
  }
}

extension Initialization {
  /// PyTorch's distributions, and the forget gate's bias of an LSTM set to 1: the default.
  public static var standard: Initialization { Initialization() }

  /// What PyTorch draws: uniform, biases included, the forget gate's not excepted.
  public static var pyTorch: Initialization { Initialization(forgetGateBias: .asDrawn) }

  /// Glorot's uniform matrices, biases 0, the forget gate's bias of an LSTM 1.
  public static var glorotUniform: Initialization {
    Initialization(inputWeights: .glorotUniform, recurrentWeights: .glorotUniform, biases: .zero)
  }

  /// Glorot's normal matrices, biases 0, the forget gate's bias of an LSTM 1.
  public static var glorotNormal: Initialization {
    Initialization(inputWeights: .glorotNormal, recurrentWeights: .glorotNormal, biases: .zero)
  }

  /// U orthogonal for each gate, W Glorot's uniform, biases 0, the forget gate's bias of an LSTM 1. Keras' default but
  /// for U, which there is orthogonal over all gates at once.
  public static func orthogonal(gain: Double = 1) -> Initialization {
    Initialization(inputWeights: .glorotUniform, recurrentWeights: .orthogonal(gain: gain), biases: .zero)
  }

  /// U = scale · identity, W normal, all biases 0: for `RNN.relu`, the IRNN of Le, Jaitly and Hinton (2015).
  public static func identity(scale: Double = 1, inputDeviation: Double = 0.001) -> Initialization {
    Initialization(
      inputWeights: .normal(deviation: inputDeviation), recurrentWeights: .identity(scale: scale), biases: .zero,
      forgetGateBias: .asDrawn)
  }

  /// PyTorch's matrices, biases 0 but for those that spread the units' memories over 1 to `longestLag` steps (Tallec and
  /// Ollivier 2018).
  public static func chrono(longestLag: Int) -> Initialization {
    Initialization(biases: .zero, forgetGateBias: .chrono(longestLag: longestLag))
  }
}
