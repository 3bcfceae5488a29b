/// An activation function chosen at run time.
///
/// Each case stands for the `ActivationFunction` of the same name, which documents formula, derivative, and edge cases.
public enum Activation: Hashable, Sendable {
  case exponential
  case tanh
  case sigmoid
  case softplus
  case relu
  case leakyReLU(slope: Double)
  case elu(alpha: Double)
  case softsign
  case hardSigmoid(slope: Double, offset: Double)
  case hardTanh(minimum: Double, maximum: Double)
  case identity
}

extension Activation {
  /// Leaky ReLU with slope 0.01.
  public static var leakyReLU: Activation { .leakyReLU(slope: 0.01) }
  /// ELU with α = 1.
  public static var elu: Activation { .elu(alpha: 1) }
  /// Hard sigmoid of PyTorch and Keras 3: x/6 + ½.
  public static var hardSigmoid: Activation { .hardSigmoid(slope: 1 / 6, offset: 0.5) }
  /// Hard sigmoid of ONNX and Keras 2: 0.2·x + ½.
  public static var hardSigmoidONNX: Activation { .hardSigmoid(slope: 0.2, offset: 0.5) }
  /// Hard tanh on [−1, 1].
  public static var hardTanh: Activation { .hardTanh(minimum: -1, maximum: 1) }

  /// Every function once, with default parameters.
  public static var standard: [Activation] {
    [
      .exponential, .tanh, .sigmoid, .softplus, .relu, .leakyReLU, .elu, .softsign, .hardSigmoid, .hardTanh, .identity,
    ]
  }
}

extension Activation: CustomStringConvertible {
  /// The name of the function, with its parameters where they are not the defaults: `tanh`, `leaky_relu(0.2)`.
  public var description: String {
    switch self {
    case .leakyReLU(let slope) where self != .leakyReLU: "leaky_relu(\(slope))"
    case .elu(let alpha) where self != .elu: "elu(\(alpha))"
    case .hardSigmoid(let slope, let offset) where self != .hardSigmoid: "hard_sigmoid(\(slope), \(offset))"
    case .hardTanh(let minimum, let maximum) where self != .hardTanh: "hard_tanh(\(minimum), \(maximum))"
    case .exponential: "exp"
    case .tanh: "tanh"
    case .sigmoid: "sigmoid"
    case .softplus: "softplus"
    case .relu: "relu"
    case .leakyReLU: "leaky_relu"
    case .elu: "elu"
    case .softsign: "softsign"
    case .hardSigmoid: "hard_sigmoid"
    case .hardTanh: "hard_tanh"
    case .identity: "identity"
    }
  }
}
