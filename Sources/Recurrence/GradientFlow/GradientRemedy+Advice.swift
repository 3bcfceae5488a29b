import Foundation

extension GradientRemedy: CustomStringConvertible {
  /// A word for machines: `none`, `chrono(100)`, `orthogonal`, `identity`, `gating(100)`, `clip(1.5)`,
  /// `omega+clip(1.5)`, `repair`.
  public var description: String {
    switch self {
    case .none: "none"
    case .chrono(let lag): "chrono(\(lag))"
    case .orthogonal: "orthogonal"
    case .identity: "identity"
    case .gating(let lag): "gating(\(lag))"
    case .clip(let norm): "clip(\(norm))"
    case .normPreservation(let norm): "omega+clip(\(norm))"
    case .repair: "repair"
    }
  }

  /// What to do, in a sentence; nil where there is nothing to do.
  var advice: String? {
    switch self {
    case .none: nil
    case .chrono(let lag):
      "begin training with biases of the forget gate that let units remember for up to \(lag) steps (chrono)."
    case .orthogonal:
      "begin training with orthogonal recurrent weights: they turn a gradient round and leave its length as it is."
    case .identity:
      "begin training with recurrent weights that are the identity: a unit then keeps its value until it learns not to."
    case .gating(let lag):
      "use a cell with gates, which can keep what it has seen: an LSTM whose units remember for up to \(lag) steps."
    case .clip(let norm):
      "clip the gradient: an update whose gradient is longer than \(Self.short(norm)) is shortened to that."
    case .normPreservation(let norm):
      """
      add the penalty Ω, which asks that the gradient keep its length from each step to the one before, and clip the \
      gradient at norm \(Self.short(norm)): Ω alone usually fails.
      """
    case .repair:
      """
      find where that number comes from: look at the inputs there and at the initial states; where they are finite the \
      weights have grown too far, and a lower learning rate or clipping keeps them from it.
      """
    }
  }

  /// How to say it in Swift.
  var expression: String? {
    switch self {
    case .none, .repair: nil
    case .chrono(let lag): "initialization: .chrono(longestLag: \(lag))"
    case .orthogonal: "initialization: .orthogonal()"
    case .identity: "initialization: .identity()"
    case .gating(let lag): "RecurrentStack(LSTM(), …, initialization: .chrono(longestLag: \(lag)))"
    case .clip(let norm): "GradientClipping(norm: \(Self.short(norm)))"
    case .normPreservation(let norm):
      "BackpropagationControl(normPreservation: 0.5), GradientClipping(norm: \(Self.short(norm)))"
    }
  }

  /// How to say it to `recurrence train`.
  var option: String? {
    switch self {
    case .none, .repair, .normPreservation: nil
    case .chrono: "--init chrono"
    case .orthogonal: "--init orthogonal"
    case .identity: "--init identity"
    case .gating: "--cell lstm --init chrono"
    case .clip(let norm): "--clip-norm \(Self.short(norm))"
    }
  }

  private static func short(_ number: Double) -> String { String(format: "%.3g", number) }
}
