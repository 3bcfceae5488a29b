/// The gate of a cell that decides how much of the state survives a step, as far as an initialiser must know it.
///
/// Mathematics does not use it. A memory that is to last d steps wants its gate near 1 − 1/d, which is a matter of the
/// bias that training begins with.
public struct ForgetGate: Hashable, Sendable {
  /// One of `Cell.gates`.
  public var name: String
  /// Whether a gate at 1 keeps the state (an LSTM's f, z of a reset-after GRU). Otherwise it takes what is new (z of a
  /// reset-before GRU), and biases towards memory change their sign.
  public var keeps: Bool
  /// The gate that lets new content in, where the cell has one of its own (an LSTM's i).
  public var inputGate: String?
  /// The bias towards memory that is usual for this cell in the literature; nil where there is none.
  public var usualBias: Double?

  public init(_ name: String, keeps: Bool = true, inputGate: String? = nil, usualBias: Double? = nil) {
    self.name = name
    self.keeps = keeps
    self.inputGate = inputGate
    self.usualBias = usualBias
  }
}
