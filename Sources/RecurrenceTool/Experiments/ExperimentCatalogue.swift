import Recurrence

/// The experiments that train, by name.
enum ExperimentName: String, CaseIterable {
  case temporalOrder = "temporal-order"
  case adding
  case temporalOrder6a = "temporal-order-6a"
  case copy
  case addingChrono = "adding-chrono"

  /// T, unless a user says otherwise; nil where the task has lengths of its own.
  var steps: (usual: Int, least: Int)? {
    switch self {
    case .temporalOrder: nil
    case .adding: (100, 20)
    case .temporalOrder6a: (100, 62)
    case .copy, .addingChrono: (200, 2)
    }
  }

  var summary: String {
    switch self {
    case .temporalOrder: "RNN, lengths 20 to 50, with and without clipping (Pascanu, Mikolov and Bengio 2013)"
    case .adding: "T = 100, LSTM, GRU and RNN (Hochreiter and Schmidhuber 1997, experiment 4)"
    case .temporalOrder6a: "T = 100, LSTM, GRU and RNN (Hochreiter and Schmidhuber 1997, experiment 6a)"
    case .copy: "T = 200, LSTM, forget bias 1 against chrono (Tallec and Ollivier 2018)"
    case .addingChrono: "T = 200, LSTM, forget bias 1 against chrono (Tallec and Ollivier 2018)"
    }
  }

  func experiment(steps: Int) -> Experiment {
    switch self {
    case .temporalOrder: .temporalOrder()
    case .adding: .adding(steps)
    case .temporalOrder6a: .temporalOrder6a(steps)
    case .copy: .copy(lag: steps)
    case .addingChrono: .addingChrono(steps)
    }
  }
}

extension Experiment {
  /// Pascanu, Mikolov and Bengio (2013), at the lengths and the size at which others have reproduced it.
  fileprivate static func temporalOrder() -> Experiment {
    func variant(_ name: String, _ remedy: Remedy) -> Variant {
      Variant(name: name, cell: .rnn, start: .smartTanh, remedy: remedy)
    }
    return Experiment(
      name: ExperimentName.temporalOrder.rawValue,
      claim: "clipping the gradient's norm lets a plain RNN learn what it does not learn without",
      task: TemporalOrder(lengths: 20...50),
      recipe: Recipe(units: 100, batch: 20, rule: .sgd, learningRate: 0.01, updates: 300_000, every: 2500),
      goal: Goal(kind: .wrong(below: 0.01), tests: 10_000, samples: 10_000),
      variants: [
        variant("no clip", .none), variant("clip 1", .clip(1)),
        variant("clip 1 + Ω", .clipAndPreserve(norm: 1, weight: 0.5)),
      ],
      floor: (1.3862943611198906, "chance, ln 4"))
  }

  /// Hochreiter and Schmidhuber (1997), experiment 4.
  fileprivate static func adding(_ steps: Int) -> Experiment {
    Experiment(
      name: ExperimentName.adding.rawValue,
      claim: "gated cells add two numbers that lie up to T steps back, a plain RNN does not",
      task: HochreiterAdding(steps: steps),
      recipe: Recipe(units: 64, batch: 20, rule: .adam(), learningRate: 1e-3, updates: 15_000, every: 250),
      // All right within 0.04: the mean squared error is less than its square.
      goal: Goal(kind: .streak(right: 2000, error: 0.01, loss: 0.0016), tests: 2560, samples: 500),
      variants: cells + longMemories(steps), floor: (1.0 / 24, "always 0.5: 1/24 (1/6 for sums of U[0,1])"))
  }

  /// Hochreiter and Schmidhuber (1997), experiment 6a.
  fileprivate static func temporalOrder6a(_ steps: Int) -> Experiment {
    Experiment(
      name: ExperimentName.temporalOrder6a.rawValue,
      claim: "gated cells tell the order of two symbols 40 to 100 steps back, a plain RNN does not",
      task: HochreiterOrder(steps: steps),
      recipe: Recipe(units: 64, batch: 20, rule: .adam(), learningRate: 1e-3, updates: 50_000, every: 500),
      // All right within 0.3: the cross-entropy is less than −ln 0.7.
      goal: Goal(kind: .streak(right: 2000, error: 0.1, loss: 0.3567), tests: 2560, samples: 500),
      variants: cells + longMemories(steps), floor: (1.3862943611198906, "chance, ln 4"))
  }

  private static var cells: [Variant] {
    [("LSTM bias 1", CellKind.lstm), ("GRU", .gru), ("RNN", .rnn)].map {
      Variant(name: $0.0, cell: $0.1, start: .drawn(.orthogonal()), remedy: .clip(1))
    }
  }

  /// Gates that begin with long memories. The original's LSTM had no forget gate: it forgot nothing.
  private static func longMemories(_ steps: Int) -> [Variant] {
    [("LSTM chrono", CellKind.lstm), ("GRU chrono", .gru)].map {
      var start = Initialization.orthogonal()
      start.forgetGateBias = .chrono(longestLag: steps)
      return Variant(name: $0.0, cell: $0.1, start: .drawn(start), remedy: .clip(1))
    }
  }

  /// Tallec and Ollivier (2018), the copy task.
  fileprivate static func copy(lag: Int) -> Experiment {
    let task = CopyTask(lag: lag)
    return Experiment(
      name: ExperimentName.copy.rawValue,
      claim: "an LSTM leaves the plateau of a network without memory if its gates begin with long memories",
      task: task,
      recipe: Recipe(
        units: 128, batch: 32, rule: .rmsProp(decay: 0.9), learningRate: 1e-3, updates: 8000, every: 100),
      // Without memory no network is below the plateau: a tenth below it is one that has left it.
      goal: Goal(kind: .loss(below: 0.9 * task.plateau), tests: 500, samples: 100, lastLoss: task.plateau / 10),
      variants: biases(longestLag: lag * 3 / 2),
      floor: (task.plateau, "no memory: 10\u{A0}ln\u{A0}8/(T\u{A0}+\u{A0}20)"))
  }

  /// Tallec and Ollivier (2018), the adding problem.
  fileprivate static func addingChrono(_ steps: Int) -> Experiment {
    Experiment(
      name: ExperimentName.addingChrono.rawValue,
      claim: "an LSTM adds sooner, 7 times sooner at T = 750, if its gates begin with long memories",
      task: UniformAdding(steps: steps),
      recipe: Recipe(
        units: 128, batch: 32, rule: .rmsProp(decay: 0.9), learningRate: 1e-3, updates: 10_000, every: 100),
      goal: Goal(kind: .loss(below: 0.01), tests: 1000, samples: 1000),
      variants: biases(longestLag: steps), floor: (1.0 / 6, "always 1: 1/6"))
  }

  /// Forget gates that begin at 1, and chrono's. All else is the same: other biases 0, matrices drawn from one seed.
  private static func biases(longestLag: Int) -> [Variant] {
    [("bias 1", Initialization.ForgetGateBias.constant(1)), ("chrono", .chrono(longestLag: longestLag))].map {
      Variant(
        name: $0.0, cell: .lstm, start: .drawn(Initialization(biases: .zero, forgetGateBias: $0.1)), remedy: .none)
    }
  }
}
