import Recurrence
import Testing

/// h = W x + U h + b: with it, a network is a matrix power, and small integers make it exact.
struct LinearCell: Cell {
  static let gates: [Gate] = ["a"]
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.gates[0]) }
}

/// An activation function of a user's: x σ(x).
struct Swish: PointwiseFunction {
  func callAsFunction<V: PointwiseValue>(_ x: V) -> V { x * sigmoid(x) }
}

/// A coupled-gate LSTM whose unit parameters set how far each cell leaks: every feature of a user's cell at once
/// (an apart gate, a second stage, unit parameters, a constant, a division, a selection).
struct BusyCell: Cell {
  static let gates: [Gate] = ["f", .apart("g"), Gate("n", stage: 1), .apart("k", stage: 1)]
  static let states = ["h", "c"]
  static let unitParameters = ["leak", "scale"]

  func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V {
    sigmoid(input.gates[0]) * input.states[0] + 0.25 * input.states[1]
  }

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let a = input.gates
    let f = sigmoid(a[0])
    let g = tanh(a[1] + f * a[4])
    let n = a[2] / (1 + exp(-a[2]))
    let k = maximum(a[3] - a[5], 0.1 * a[5])
    let c = f * input.states[1] + (1 - f) * g + input.units[0] * n
    return Planes(tanh(c) * (1 - input.units[1] * k / (2 + k * k)), c)
  }
}

/// All gates in the second stage, their operand made of the state alone; a state that is never changed, one that is
/// another's copy; a gate that nothing uses.
struct LateCell: Cell {
  static let gates: [Gate] = [Gate("a", stage: 1), Gate("idle", stage: 1), .apart("b", stage: 1)]
  static let states = ["h", "k", "twin"]
  static let unitParameters = ["s"]

  func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { 0.5 * tanh(input.states[0]) }

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let h = tanh(input.gates[0] + input.gates[2] * input.gates[3]) * input.states[1] + input.units[0]
    return Planes(h, input.states[1], h)
  }
}

/// Runs `body` for every cell of the suite: the built-in ones and some that a user might write.
protocol CellVisitor {
  mutating func visit<C: Cell>(_ cell: C) throws
}

func forEachCell(_ visitor: inout some CellVisitor) throws {
  try visitor.visit(RNN())
  try visitor.visit(RNN.relu)
  try visitor.visit(RNN(Activation.elu))
  try visitor.visit(RNN(Swish()))
  try visitor.visit(LSTM())
  try visitor.visit(PeepholeLSTM())
  try visitor.visit(GRU())
  try visitor.visit(GRUResetBefore())
  try visitor.visit(LinearCell())
  try visitor.visit(BusyCell())
  try visitor.visit(LateCell())
}

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
