import Recurrence

/// The cells that sequences are measured with. FLOPs count the matrix products only.
enum BenchCell: String, CaseIterable, Sendable {
  case rnn, rnnReLU = "rnn-relu", lstm, gru, gruBefore = "gru-before"
  /// A cell written outside the package, as a user would: the coupled-gate LSTM below.
  case user

  var gates: Int {
    switch self {
    case .rnn, .rnnReLU: 1
    case .lstm: 4
    case .gru, .gruBefore, .user: 3
    }
  }
}

/// f = σ(a_f), c_t = f ⊙ c_{t−1} + (1 − f) ⊙ tanh(a_g), h_t = σ(a_o) ⊙ tanh(c_t): a user's cell.
struct CoupledLSTM: Cell {
  static let gates: [Gate] = ["f", "g", "o"]
  static let states = ["h", "c"]

  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> {
    let f = sigmoid(input.gates[0])
    let c = f * input.states[1] + (1 - f) * tanh(input.gates[1])
    return Planes(sigmoid(input.gates[2]) * tanh(c), c)
  }
}

/// Work that is generic over cell and element type.
protocol CellWork {
  associatedtype Result
  func callAsFunction<C: Cell, Scalar: RecurrenceScalar>(_ cell: C, _: Scalar.Type) throws(BenchmarkFailure) -> Result
}

extension BenchCell {
  /// Does the work with this cell.
  ///
  /// A switch, and not an `any Cell` that is opened: each branch is compiled for its own types, as the code of a user
  /// who names them is.
  func perform<Work: CellWork>(_ work: Work, _ type: ElementType) throws(BenchmarkFailure) -> Work.Result {
    switch type {
    case .f32: try perform(work, Float.self)
    case .f64: try perform(work, Double.self)
    }
  }

  private func perform<Work: CellWork, Scalar: RecurrenceScalar>(
    _ work: Work, _: Scalar.Type
  ) throws(BenchmarkFailure) -> Work.Result {
    switch self {
    case .rnn: try work(RNN(), Scalar.self)
    case .rnnReLU: try work(RNN.relu, Scalar.self)
    case .lstm: try work(LSTM(), Scalar.self)
    case .gru: try work(GRU(), Scalar.self)
    case .gruBefore: try work(GRUResetBefore(), Scalar.self)
    case .user: try work(CoupledLSTM(), Scalar.self)
    }
  }
}
