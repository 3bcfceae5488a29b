import RecurrenceKernels

/// Sizes of a stack of layers, and everything that follows from them and the cell alone.
final class StackShape<Scalar: RecurrenceScalar>: Sendable {
  let cell: CellImplementation
  let kernels: Kernels<Scalar>
  let inputs: Int
  let units: Int
  let layers: Int
  let layout: ParameterLayout
  let gateColumns: InlineArray<8, Int>
  /// Stages of the recurrent product.
  let stages: Int
  /// First column of the pre-activations that the input reaches, and how many they are.
  let inputColumn, inputColumns: Int
  private let firstColumnsOfStages: (Int, Int)
  /// Where each layer's tensors begin in the flat vector.
  let offsets: [LayerOffsets]
  /// Whether the way back can read W and U where they lie: their columns are whole vectors, and the rows of each stage in
  /// the order of δ.
  let canReadInPlace: Bool
  /// Whether the way back of many rows can read the first layer's W where it lies, and should: it takes 2 MiB and more, and a
  /// copy would show in the memory of a pass.
  let hasLargeInputWeights: Bool
  /// Multiply-adds of one step of one sequence through all layers, and so, weights in all W and U.
  let work: Double

  init(cell: CellImplementation, kernels: Kernels<Scalar>, inputs: Int, units: Int, layers: Int) {
    guard inputs > 0 else { fatalError("inputs: expected at least 1, got \(inputs)") }
    guard units > 0 else { fatalError("units: expected at least 1, got \(units)") }
    guard layers > 0 else { fatalError("layers: expected at least 1, got \(layers)") }
    self.cell = cell
    self.kernels = kernels
    self.inputs = inputs
    self.units = units
    self.layers = layers
    layout = ParameterLayout(cell.plan, inputs: inputs, units: units, layers: layers)
    gateColumns = cell.plan.columns(units: units)
    let plan = cell.plan
    stages = plan.planes.stages
    (inputColumn, inputColumns) = (plan.inputs.lowerBound * units, plan.inputs.count * units)
    firstColumnsOfStages = (plan.recurrent[0].lowerBound * units, plan.recurrent.last!.lowerBound * units)
    offsets = (0..<layers).map { [layout] in LayerOffsets(layout, cell.plan, layer: $0) }
    let lanes = kernels.geometry.lanes
    canReadInPlace =
      inputs % lanes == 0 && units % lanes == 0 && plan.recurrentRuns.allSatisfy { $0.count == 1 }
    // More than 32 inputs: δ is summed in one chain, as it must be where several rows meet W where it lies.
    hasLargeInputWeights =
      inputs % lanes == 0 && inputs > 32 && inputColumns * inputs * MemoryLayout<Scalar>.stride >= 2 << 20
    work = (0..<layers).reduce(0.0) {
      $0 + Double(cell.plan.gates * units) * Double(($1 == 0 ? inputs : units) + units)
    }
  }

  var plan: CellPlan { cell.plan }
  /// Whether all weights of a step together are more than L2 keeps beside what else a step touches.
  var weightsExceedL2: Bool { work * Double(MemoryLayout<Scalar>.stride) > 0x1p20 }
  /// States besides h.
  var otherStates: Int { plan.planes.states - 1 }
  /// Columns of a row of pre-activations.
  var gateStride: Int { plan.planes.gates * units }
  /// Columns of a row of ∂L/∂pre-activations and ∂L/∂(unit parameters).
  var gradientStride: Int { plan.gradientPlanes * units }
  /// Columns of a row of other states, and of saved planes.
  var otherStride: Int { otherStates * units }
  var savedStride: Int { cell.savedPlanes * units }
  /// First column of the pre-activations that a stage's recurrent product reaches.
  func stageColumn(_ stage: Int) -> Int { stage == 0 ? firstColumnsOfStages.0 : firstColumnsOfStages.1 }
  /// Chains that δ of so many planes is summed in on the way back: one after the other, each output of few waits for the
  /// latency of a multiply-add at every term. A matter of the shape alone: no bit depends on the batch. Onto more than 32 outputs
  /// there are chains enough, and no part may be deeper than a block, of which the least is 512.
  func chains(_ planes: Int, columns: Int) -> Int { columns <= 32 && units <= 512 ? max(1, planes) : 1 }
  /// Chains that h · Uᵀ is summed in: of few units, one chain takes as long as the cell's mathematics.
  var forwardChains: Int { units <= 32 && units % 2 == 0 ? 2 : 1 }
  /// Features that a layer reads.
  func inputs(of layer: Int) -> Int { layer == 0 ? inputs : units }

  /// Where each tensor of a layer begins in the flat vector, found once: passes search for no names.
  struct LayerOffsets: Sendable {
    let w, u, b: Int
    /// `b_h`; where no gate is apart, unused.
    let recurrentB: Int
    /// All unit parameters, one after the other; where there are none, unused.
    let units: Int

    init(_ layout: ParameterLayout, _ plan: CellPlan, layer: Int) {
      func offset(_ name: String) -> Int { layout.tensor(name, layer: layer)!.range.lowerBound }
      (w, u, b) = (offset("W"), offset("U"), offset("b"))
      recurrentB = plan.apartGates.isEmpty ? 0 : offset("b_h")
      units = plan.unitNames.first.map(offset) ?? 0
    }
  }
}
