import Recurrence

/// Several ways to train a network on one task, each from several seeds.
struct Experiment {
  let name: String
  /// One sentence: who claimed what.
  let claim: String
  let task: any SequenceTask
  var recipe: Recipe
  var goal: Goal
  var variants: [Variant]
  /// A loss to compare with, and what reaches it.
  var floor: (loss: Double, name: String)?
}

/// What all variants of an experiment have in common.
struct Recipe {
  var units: Int
  var batch: Int
  var rule: OptimizerRule
  var learningRate: Double
  /// Updates at most.
  var updates: Int
  /// Updates from one line to the next.
  var every: Int
  var threads = 1
}

/// One way to train.
struct Variant {
  let name: String
  var cell: CellKind
  var start: Start
  var remedy: Remedy

  /// How parameters begin.
  enum Start {
    case drawn(Initialization)
    /// Pascanu's "smart tanh"; see `SmartTanh`.
    case smartTanh
  }
}

/// What is done about gradients that explode or vanish.
enum Remedy {
  /// Nothing; an update whose gradient is not finite is left out, and counted.
  case none
  /// Clipped at this norm.
  case clip(Double)
  /// Clipped at this norm, and with Pascanu's regulariser Ω of this weight, which keeps the norm of the gradient on its
  /// way back through time.
  case clipAndPreserve(norm: Double, weight: Double)

  var clipping: GradientClipping {
    switch self {
    case .none: GradientClipping(nonFinite: .skip)
    case .clip(let norm), .clipAndPreserve(let norm, _): GradientClipping(norm: norm, nonFinite: .skip)
    }
  }

  /// The weight of Ω.
  var preservation: Double {
    if case .clipAndPreserve(_, let weight) = self { return weight }
    return 0
  }
}

/// When a variant has succeeded.
struct Goal {
  enum Kind {
    /// Fewer than this share of the test's sequences are wrong.
    case wrong(below: Double)
    /// The loss of the test's sequences is less.
    case loss(below: Double)
    /// Hochreiter and Schmidhuber's: so many sequences of training in a row were right, each judged before the update it
    /// was used for, and the mean of their absolute errors is less than `error`. A batch whose loss is at least `loss`
    /// must have a wrong sequence in it.
    case streak(right: Int, error: Double, loss: Double)
  }

  var kind: Kind
  /// Fresh sequences that decide, or that are tested at the end.
  var tests: Int
  /// Fresh sequences for the lines on the way.
  var samples: Int
  /// The loss at which a run ends; nil to end at success.
  var lastLoss: Double?

  /// What `ExperimentRecord.testError` is.
  var measure: String {
    switch kind {
    case .wrong, .streak: "wrong"
    case .loss: "test loss"
    }
  }
}
