import RecurrenceKernels

/// A gate as a recorder measures it: where its values are in a forward pass, and when they count as saturated.
struct ObservedGate: Sendable {
  let name: String
  /// A saved plane, the output, or a plane of pre-activations.
  let source: PointwisePlane
  let activation: Activation
  /// Whether the source holds what the activation gave; otherwise it is put through it for the measurement.
  let isApplied: Bool

  /// The gates of a cell that is not built in: those that it puts, as they are, through one function.
  static func list(of cell: RecordedCell, _ plan: CellPlan) -> [ObservedGate] {
    (0..<plan.gates).compactMap { gate in
      guard !plan.apartGates.contains(gate), let activation = cell.gateActivations[gate] else { return nil }
      return ObservedGate(name: plan.gateNames[gate], source: .gate(gate), activation: activation, isApplied: false)
    }
  }

  /// Values outside are saturated: nearly shut or open, nearly ±1, or for a rectifier, zero. Functions without bounds
  /// are never saturated.
  func bounds<Scalar: RecurrenceScalar>(_: Scalar.Type) -> Observation<Scalar>.Bounds {
    let (lower, upper): (Scalar, Scalar) =
      switch activation {
      case .sigmoid, .hardSigmoid: (Scalar(0.01), Scalar(0.99))
      case .tanh, .softsign, .hardTanh: (Scalar(-0.99), Scalar(0.99))
      case .relu: (Scalar.leastNormalMagnitude, Scalar.infinity)
      default: (-Scalar.infinity, Scalar.infinity)
      }
    return Observation.Bounds(lower: lower, upper: upper, ofMagnitude: false)
  }
}
