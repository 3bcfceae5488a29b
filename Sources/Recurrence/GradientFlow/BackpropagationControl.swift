// With δa_t = ∂L/∂(pre-activations of step t), all planes of one sequence:
//
//   by value   δa ← min(max(δa, −v), v), element by element
//   by norm    δa ← δa · θ/‖δa‖ where ‖δa‖ > θ by more than rounding
//
// before δa goes on through U to step t − 1, through W to the input, and into the weights' gradients. In a cell of two
// stages what goes through the second stage's U is clipped first, and all of δa again when the first stage's is known. The
// gradients of unit parameters, and what passes from state to state within the cell (c, peepholes), are the cell's backward's
// and are not clipped.
//
// With v_t = ∂L/∂h_{t−1} by way of step t, and (t, b) running over all steps of all sequences, N of them:
//
//   Ω = 1/N Σ_{t,b} (‖v_{t,b}‖²/‖δ_{t,b}‖² − 1)²
//
// where terms with ‖δ‖² < 10⁻²⁰ count as 0. Its gradient is taken with respect to U alone, δ_t and the states held
// constant: v_t = Uᵀδa_t + (what does not pass through U), so that
//
//   ∂Ω/∂U = Σ_{t,b} δa_t · (4/N · (‖v_t‖²/‖δ_t‖² − 1)/‖δ_t‖² · v_t)ᵀ
//
// Pascanu, Mikolov and Bengio 2013, equations 9 and 10, with squared norms as in their code. They take δ with respect to
// the pre-activations; here it is ∂L/∂h, what this library measures.

/// What is done to the gradient on its way back through time, inside the loop.
///
///     tape.control = BackpropagationControl(stepClipping: .value(1))
///
/// Clipping the whole gradient afterwards is `GradientClipping`'s.
public struct BackpropagationControl: Hashable, Sendable, Codable {
  /// Clips the derivative with respect to the pre-activations of every step, each sequence by itself.
  public enum StepClipping: Hashable, Sendable, Codable {
    /// Each element to ±v, v ≥ 0 (Graves 2013).
    case value(Double)
    /// All planes of a step to norm θ > 0.
    case norm(Double)
  }

  public var stepClipping: StepClipping?
  /// α ≥ 0: adds α·∂Ω/∂U to the gradient of each layer, 0 for nothing. Ω is 0 where the gradient keeps its norm from each
  /// step to the one before. For cells of one stage.
  public var normPreservation: Double

  /// Traps with a sentence where a number is outside its range.
  public init(stepClipping: StepClipping? = nil, normPreservation: Double = 0) {
    self.stepClipping = stepClipping
    self.normPreservation = normPreservation
    if let complaint { fatalError(complaint) }
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    stepClipping = try values.decodeIfPresent(StepClipping.self, forKey: .stepClipping)
    normPreservation = try values.decode(Double.self, forKey: .normPreservation)
    if let complaint {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: complaint))
    }
  }

  var isIdle: Bool { stepClipping == nil && normPreservation == 0 }

  /// What is wrong with its numbers; nil where nothing is.
  package var complaint: String? {
    switch stepClipping {
    case .value(let value) where !(value >= 0):
      return "stepClipping: expected a value of at least 0, got \(value)"
    case .norm(let norm) where !(norm > 0 && norm.isFinite):
      return "stepClipping: expected a finite norm greater than 0, got \(norm)"
    default: break
    }
    if !(normPreservation >= 0 && normPreservation.isFinite) {
      return "normPreservation: expected a finite number of at least 0, got \(normPreservation)"
    }
    return nil
  }
}

/// What a backward pass's control did.
public struct BackpropagationOutcome: Hashable, Sendable {
  /// Steps of sequences that were clipped, over all layers, and all that there were.
  public var clippedSteps: Int
  public var steps: Int
  /// Ω of each layer; empty where `normPreservation` is 0.
  public var normPenalties: [Double]

  public init(clippedSteps: Int, steps: Int, normPenalties: [Double]) {
    self.clippedSteps = clippedSteps
    self.steps = steps
    self.normPenalties = normPenalties
  }
}
