import RecurrenceKernels

/// The built-in cells by the names that the command line, checkpoints and benchmarks use.
public enum CellKind: String, Hashable, Sendable, Codable, CaseIterable {
  case rnn
  case rnnReLU = "rnn-relu"
  case lstm
  /// Reset after the product, PyTorch's.
  case gru
  /// Reset before the product, as first published.
  case gruBefore = "gru-before"

  /// The kind of a built-in cell, nil of any other.
  public init?(_ cell: some Cell) {
    switch cell {
    case let cell as RNN<Activation> where cell.activation == .tanh: self = .rnn
    case let cell as RNN<Activation> where cell.activation == .relu: self = .rnnReLU
    case is LSTM: self = .lstm
    case is GRU: self = .gru
    case is GRUResetBefore: self = .gruBefore
    default: return nil
    }
  }

  /// The cell, for code that is generic over it: `func train<C: Cell>(_ cell: C)` may be called with `kind.cell`.
  public var cell: any Cell {
    switch self {
    case .rnn: RNN()
    case .rnnReLU: RNN.relu
    case .lstm: LSTM()
    case .gru: GRU()
    case .gruBefore: GRUResetBefore()
    }
  }
}
