/// What a forward and a backward pass measured of the gradient's way back through time.
///
/// Norms are Frobenius norms over all sequences and units, in Double, of total derivatives: through all later steps and
/// layers, and through the output of the step itself; what automatic differentiation gives. Bits do not depend on the
/// number of threads. Times run from 0, the initial state, to T.
public struct GradientFlowRecord: Hashable, Sendable {
  /// T.
  public let steps: Int
  /// B.
  public let batch: Int
  /// H.
  public let units: Int
  public let layers: [Layer]

  public struct Layer: Hashable, Sendable {
    /// The states, h first.
    public let states: [State]
    /// The gates whose values can be told, in the cell's order: all of a built-in cell, and of others those that go through
    /// one function. An `RNN` has one, a, whose value is h.
    public let gates: [Gate]
    /// Where this layer first met a number that is not finite, on the way forward or, where there was none, back.
    public let firstNonFinite: NonFinitePlace?

    /// A state by its name, nil where there is none.
    public func state(_ name: String) -> State? { states.first { $0.name == name } }
    /// A gate by its name, nil where there is none, or its values cannot be told.
    public func gate(_ name: String) -> Gate? { gates.first { $0.name == name } }
  }

  /// One state of a layer; every array has T + 1 elements.
  public struct State: Hashable, Sendable {
    public let name: String
    /// ‖state_t‖.
    public let norms: [Double]
    /// ‖∂L/∂state_t‖. Of a state besides h in a cell with a backward of its own and no `totalGradients`: without what
    /// reaches it through the other states of its own step.
    public let gradientNorms: [Double]
    /// Shares of the elements of ∂L/∂state_t that are below 2⁻¹⁰⁰ in magnitude, exactly zero, and not finite. The tiny
    /// include the zeros: subnormal numbers are zero inside a pass.
    public let tinyShares, zeroShares, nonFiniteShares: [Double]
  }

  /// One gate of a layer; every array has T elements, one for each step.
  public struct Gate: Hashable, Sendable {
    public let name: String
    /// Mean of its values.
    public let means: [Double]
    /// Share of its values that are saturated: below 0.01 or above 0.99 for σ, beyond ±0.99 for tanh, zero for a
    /// rectifier.
    public let saturations: [Double]

    /// Mean over all steps.
    public var mean: Double { Self.average(means) }
    /// Share over all steps.
    public var saturation: Double { Self.average(saturations) }
    /// 1/(1 − mean): steps after which a state that this gate multiplies is down to 1/e. Of use for a forget gate.
    public var impliedMemory: Double { 1 / (1 - mean) }

    private static func average(_ values: [Double]) -> Double {
      values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
    }
  }

  /// Where the network first met a number that is not finite: forward before backward; forward the lowest layer first,
  /// backward the topmost, as the passes go.
  public var firstNonFinite: NonFinitePlace? {
    let places = layers.compactMap(\.firstNonFinite)
    return places.first { $0.pass == .forward } ?? places.last { $0.pass == .backward }
  }
}

/// Where a number that is not finite appeared first.
///
/// Forward, pre-activations are looked at, because σ(±∞) hides an infinity; within a step the input first, then initial
/// states, gates in public order, and states. Backward, ∂L/∂pre-activations are, from the last step on.
public struct NonFinitePlace: Hashable, Sendable, Codable, CustomStringConvertible {
  public enum Pass: String, Hashable, Sendable, Codable { case forward, backward }

  public enum Quantity: Hashable, Sendable, Codable {
    /// x_t of the lowest layer.
    case input
    /// The state before the first step; backward, the derivative with respect to it.
    case initialState(String)
    /// Pre-activations of a gate; backward, the derivative with respect to them.
    case gate(String)
    /// A state after the step, all pre-activations being finite.
    case state(String)
    /// ∂L/∂output of the step, as the loss gave it.
    case outputGradient
  }

  public var pass: Pass
  public var quantity: Quantity
  /// From 0.
  public var layer: Int
  /// The step, from 0: the input's row t.
  public var step: Int
  /// The sequence, from 0.
  public var row: Int

  public init(pass: Pass, quantity: Quantity, layer: Int, step: Int, row: Int) {
    (self.pass, self.quantity) = (pass, quantity)
    (self.layer, self.step, self.row) = (layer, step, row)
  }

  public var description: String {
    let what =
      switch quantity {
      case .input: "the input"
      case .initialState(let name): pass == .forward ? "the initial \(name)" : "the gradient of the initial \(name)"
      case .gate(let name): pass == .forward ? "gate \(name)" : "the gradient of gate \(name)"
      case .state(let name): "state \(name)"
      case .outputGradient: "the loss's gradient of the output"
      }
    return "\(what), layer \(layer), step \(step), sequence \(row), on the way \(pass == .forward ? "forward" : "back")"
  }
}

extension GradientFlowRecord {
  init<Scalar: RecurrenceScalar>(_ recorder: FlowRecorder<Scalar>, _ schedule: RowSchedule) {
    steps = schedule.steps
    batch = schedule.batch
    units = recorder.shape.units
    layers = (0..<recorder.shape.layers).map { Layer(recorder, schedule, $0) }
  }
}

extension GradientFlowRecord.Layer {
  fileprivate init<Scalar: RecurrenceScalar>(
    _ recorder: FlowRecorder<Scalar>, _ schedule: RowSchedule, _ layer: Int
  ) {
    let plan = recorder.shape.plan
    let (steps, batch, units) = (schedule.steps, schedule.batch, recorder.shape.units)
    func count(_ time: Int) -> Double { Double((time == 0 ? batch : schedule.count(time - 1)) * units) }
    func share(_ part: Double, _ time: Int) -> Double { part == 0 ? 0 : part / count(time) }
    states = plan.stateNames.enumerated().map { state, name in
      let counts = (0...steps).map { recorder.counts(layer: layer, state: state, time: $0) }
      return GradientFlowRecord.State(
        name: name,
        norms: recorder.norms(of: .forward, layer: layer, state: state, steps: steps, batch: batch),
        gradientNorms: recorder.norms(of: .backward, layer: layer, state: state, steps: steps, batch: batch),
        tinyShares: counts.enumerated().map { share($1.tiny, $0) },
        zeroShares: counts.enumerated().map { share($1.zero, $0) },
        nonFiniteShares: counts.enumerated().map { share($1.nonFinite, $0) })
    }
    gates = recorder.gates.enumerated().map { index, gate in
      let all = (0..<steps).map { recorder.gate(index, layer: layer, t: $0, batch: batch) }
      return GradientFlowRecord.Gate(
        name: gate.name, means: all.enumerated().map { share($1.sum, $0 + 1) },
        saturations: all.enumerated().map { share($1.saturated, $0 + 1) })
    }
    func place(_ pass: NonFinitePlace.Pass) -> NonFinitePlace? {
      guard let found = recorder.firstNonFinite(pass == .forward ? .forward : .backward, layer: layer) else {
        return nil
      }
      let limit = FlowQuantity.limit
      let quantity: NonFinitePlace.Quantity =
        switch found.quantity {
        case FlowQuantity.input: pass == .forward ? .input : .outputGradient
        case ..<0: .initialState(plan.stateNames[found.quantity + limit])
        case limit...: .state(plan.stateNames[found.quantity - limit])
        default: .gate(plan.gateNames[found.quantity])
        }
      return NonFinitePlace(pass: pass, quantity: quantity, layer: layer, step: max(0, found.t), row: found.row)
    }
    firstNonFinite = place(.forward) ?? place(.backward)
  }
}
