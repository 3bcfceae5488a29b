import Recurrence
import Testing

/// The built-in cells, and those of a user, as arguments that an exit test can carry to its process.
enum CountedCell: String, CaseIterable, Codable, Sendable, CustomTestStringConvertible {
  case rnn, rnnKeepingGate, lstm, peepholeLSTM, gru, gruResetBefore, linearCell, busyCell

  func accept(_ visitor: inout some CellVisitor) throws {
    switch self {
    case .rnn: try visitor.visit(RNN())
    case .rnnKeepingGate: try visitor.visit(RNN(Activation.elu))
    case .lstm: try visitor.visit(LSTM())
    case .peepholeLSTM: try visitor.visit(PeepholeLSTM())
    case .gru: try visitor.visit(GRU())
    case .gruResetBefore: try visitor.visit(GRUResetBefore())
    case .linearCell: try visitor.visit(LinearCell())
    case .busyCell: try visitor.visit(BusyCell())
    }
  }

  var testDescription: String { rawValue }
}
