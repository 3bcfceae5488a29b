import Recurrence
import Testing

/// What is done with every cell in turn, whatever its type.
protocol CountedCellVisitor {
  mutating func visit<C: Cell>(_ cell: C) throws
}

/// The built-in cells, and two as a user would write them.
enum CountedCell: String, CaseIterable, Codable, Sendable, CustomTestStringConvertible {
  case rnn, rnnKeepingGate, lstm, peepholeLSTM, gru, gruResetBefore, ownCell, ownCellOfTwoStages

  func accept(_ visitor: inout some CountedCellVisitor) throws {
    switch self {
    case .rnn: try visitor.visit(RNN())
    case .rnnKeepingGate: try visitor.visit(RNN(Activation.elu))
    case .lstm: try visitor.visit(LSTM())
    case .peepholeLSTM: try visitor.visit(PeepholeLSTM())
    case .gru: try visitor.visit(GRU())
    case .gruResetBefore: try visitor.visit(GRUResetBefore())
    case .ownCell: try visitor.visit(LeakyMemoryCell())
    case .ownCellOfTwoStages: try visitor.visit(Underived(base: GRUResetBefore()))
    }
  }

  var testDescription: String { rawValue }
}

/// A cell as a user would write one: a gate with its parts apart, a memory that leaks at a rate of each unit's own, and
/// no backward.
struct LeakyMemoryCell: Cell {
  static var gates: [Gate] { ["in", .apart("new"), "out"] }
  static var states: [String] { ["h", "memory"] }
  static var unitParameters: [String] { ["rate"] }

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let new = tanh(input.gates[1] + sigmoid(input.gates[0]) * input.gates[3])
    let kept = sigmoid(input.units[0])
    let memory = kept * input.states[1] + (1 - kept) * new
    return Planes(sigmoid(input.gates[2]) * minimum(memory, 0.75), memory)
  }
}
