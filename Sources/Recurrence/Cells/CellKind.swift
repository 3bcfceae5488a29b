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
