/// Whether the gradient of a layer survives its way back through time.
public enum GradientVerdict: String, Hashable, Sendable, Codable, CaseIterable {
  /// Less than 10⁻³ of a unit cotangent at the last step is left after the lag that the task needs.
  case vanishing
  case healthy
  /// A unit cotangent grows beyond 10³ on its way, or is not finite.
  case exploding
}

/// The one thing to try first.
public enum GradientRemedy: Hashable, Sendable, Codable {
  case none
  /// Biases of the forget gate that spread the units' memories up to this lag (`Initialization.chrono`).
  case chrono(longestLag: Int)
  /// Orthogonal recurrent weights (`Initialization.orthogonal`).
  case orthogonal
  /// Recurrent weights that are the identity (`Initialization.identity`).
  case identity
  /// A cell with gates: an LSTM with chrono biases for this lag.
  case gating(longestLag: Int)
  /// Clipping by norm at this threshold (`GradientClipping`).
  case clip(norm: Double)
  /// Ω, and clipping by norm at this threshold (`BackpropagationControl.normPreservation`): Ω alone usually fails.
  case normPreservation(clippingNorm: Double)
  /// A number that is not finite is to be found and mended before anything else.
  case repair
}

/// The gradient flow of a network on one batch: measurements, and what to make of them.
///
/// See Docs/GradientFlow.md for how each is defined.
public struct GradientFlowReport: Hashable, Sendable {
  /// The cell's name: `rnn`, `lstm`, …, or the type's.
  public var cell: String
  /// T, B, H.
  public var steps, batch, units: Int
  /// The lag over which the task needs the gradient; T unless said otherwise.
  public var neededLag: Int
  public var layers: [Layer]
  /// What clipping did in training so far; nil for a network that was not trained here.
  public var clipping: Clipping?
  /// Where the network first met a number that is not finite.
  public var firstNonFinite: NonFinitePlace?

  public struct Layer: Hashable, Sendable {
    /// From 0.
    public var index: Int
    /// What the passes with the loss measured: total gradients, gates, norms of the states.
    public var record: GradientFlowRecord.Layer
    /// The norm of all states' gradients together when a unit cotangent of this layer's h_T alone is pulled back: T + 1
    /// numbers, that of the initial state first, relative to that of the last, which is 1.
    public var transport: [Double]
    /// Steps in which the transport halves, from a line through its logarithm; nil where it does not decay.
    public var halfLife: Double?
    /// The largest lag, up to T, at which the transport is still at least 10⁻³.
    public var horizon: Int
    /// The largest singular value of ∂h_T/∂h_0, over all sequences.
    public var largestSingularValue: Double
    /// The leading Lyapunov exponents per step, descending; mean over sequences.
    public var lyapunovExponents: [Double]
    public var verdict: GradientVerdict
    public var remedy: GradientRemedy
  }

  public struct Clipping: Hashable, Sendable {
    /// Gradients seen.
    public var gradients: Int
    /// Share of them that were scaled by norm.
    public var share: Double
    /// Mean of what they were multiplied by.
    public var meanScale: Double
    /// A threshold for clipping by norm, from the running norm.
    public var suggestedThreshold: Double?

    public init(gradients: Int, share: Double, meanScale: Double, suggestedThreshold: Double?) {
      self.gradients = gradients
      self.share = share
      self.meanScale = meanScale
      self.suggestedThreshold = suggestedThreshold
    }
  }
}
