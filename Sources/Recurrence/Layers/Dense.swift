import RecurrenceKernels

/// A dense layer, y = W x + b: what reads the outputs of a recurrent layer.
///
/// A value. W [O, I], one row an output, and b [O] lie in one flat vector, W first. Rows of any number of time steps and
/// sequences are one matrix: T·B rows of a sequence, or B of its last step.
public struct Dense<Scalar: RecurrenceScalar>: Sendable {
  /// I.
  public let inputs: Int
  /// O.
  public let outputs: Int
  let kernels: Kernels<Scalar>
  private var storage: [Scalar]
  private(set) var packed: PackedDense<Scalar>

  /// Parameters drawn from U(−1/√I, 1/√I), PyTorch's default, unless `weights` and `bias` say otherwise.
  ///
  /// - Parameters:
  ///   - inputs: I, at least 1.
  ///   - outputs: O, at least 1.
  ///   - weights: how W is drawn, one matrix of O rows and I columns.
  ///   - bias: how b is drawn.
  ///   - seed: the same seed gives the same parameters on every platform.
  public init(
    inputs: Int, outputs: Int, weights: Initialization.Matrix = .uniform, bias: Initialization.Vector = .uniform,
    seed: UInt64 = 0
  ) {
    self.init(inputs: inputs, outputs: outputs, weights: weights, bias: bias, seed: seed, kernels: .selected)
  }

  package init(
    inputs: Int, outputs: Int, weights: Initialization.Matrix = .uniform, bias: Initialization.Vector = .uniform,
    seed: UInt64 = 0, kernels: Kernels<Scalar>
  ) {
    guard inputs > 0 else { fatalError("inputs: expected at least 1, got \(inputs)") }
    guard outputs > 0 else { fatalError("outputs: expected at least 1, got \(outputs)") }
    self.inputs = inputs
    self.outputs = outputs
    self.kernels = kernels
    storage = [Scalar](repeating: 0, count: outputs * inputs + outputs)
    packed = PackedDense(inputs: inputs, outputs: outputs, kernels: kernels)
    var generator = SeededGenerator(seed: seed)
    initialize(weights: weights, bias: bias, using: &generator)
  }

  /// Draws all parameters anew, W first; see `init`.
  public mutating func initialize(
    weights: Initialization.Matrix = .uniform, bias: Initialization.Vector = .uniform,
    using generator: inout SeededGenerator
  ) {
    let count = outputs * inputs
    weights.draw(into: &storage, at: 0, rows: outputs, columns: inputs, n: inputs, using: &generator)
    bias.draw(into: &storage, count..<(count + outputs), n: inputs, using: &generator)
    pack()
  }

  /// W and b, O·I + O elements. The kernels' copy follows when a change ends. Setting a different number of elements
  /// traps.
  public var parameters: [Scalar] {
    get { storage }
    _modify {
      defer { pack() }
      yield &storage
    }
  }

  private mutating func pack() {
    if storage.count != outputs * inputs + outputs {
      fatalError("parameters: expected \(outputs * inputs + outputs) elements, got \(storage.count)")
    }
    if !isKnownUniquelyReferenced(&packed) {
      packed = PackedDense(inputs: inputs, outputs: outputs, kernels: kernels)
    }
    unsafe storage.withUnsafeBufferPointer { parameters in
      unsafe packed.weights.packRows(MatrixView(parameters.baseAddress!, rows: outputs, columns: inputs))
    }
  }

  /// Memory for passes; see `MatrixProducts`.
  public func makeWorkspace(threads: Int = 1) -> DenseWorkspace<Scalar> {
    DenseWorkspace(inputs: inputs, outputs: outputs, threads: threads, kernels: kernels)
  }

  /// Y [N, O] = X [N, I] · Wᵀ + b.
  ///
  /// - Parameters:
  ///   - input: in, [N, I].
  ///   - output: out, [N, O]; must not overlap the input.
  ///
  /// Traps with a sentence where shapes do not fit. Allocates nothing.
  @unsafe public func forward(
    _ input: MatrixView<Scalar>, into output: MutableMatrixView<Scalar>, workspace: inout DenseWorkspace<Scalar>
  ) {
    unsafe storage.withUnsafeBufferPointer { parameters in
      let bias = unsafe UnsafeBufferPointer(rebasing: parameters[(outputs * inputs)...])
      unsafe workspace.products.multiply(input, packed.weights, bias: bias, into: output)
    }
  }

  /// The gradient of a loss, pulled back.
  ///
  /// - Parameters:
  ///   - input: in, [N, I], that of the forward pass.
  ///   - outputGradient: in, [N, O].
  ///   - gradient: in and out, O·I + O elements: ∂L/∂parameters is added, rows in descending order.
  ///   - inputGradient: out, [N, I], or nil.
  @unsafe public func backward(
    _ input: MatrixView<Scalar>, outputGradient: MatrixView<Scalar>, gradient: UnsafeMutableBufferPointer<Scalar>,
    inputGradient: MutableMatrixView<Scalar>? = nil, workspace: inout DenseWorkspace<Scalar>
  ) {
    guard gradient.count == outputs * inputs + outputs, let base = gradient.baseAddress else {
      fatalError("gradient: expected \(outputs * inputs + outputs) elements, got \(gradient.count)")
    }
    unsafe workspace.products.accumulateTransposed(
      outputGradient, input, into: MutableMatrixView(base, rows: outputs, columns: inputs))
    unsafe kernels.table.columnSums(outputGradient, into: base + outputs * inputs)
    guard let inputGradient = unsafe inputGradient else { return }
    unsafe storage.withUnsafeBufferPointer { parameters in
      unsafe workspace.backwardWeights.packColumns(
        MatrixView(parameters.baseAddress!, rows: outputs, columns: inputs))
    }
    unsafe workspace.products.multiply(outputGradient, workspace.backwardWeights, into: inputGradient)
  }

  /// There and back in one start of threads: of some rows Y, then what `between` does with them, then ∂L/∂X; of all rows
  /// the gradient of the parameters.
  ///
  /// - Parameters:
  ///   - between: turns rows of Y into rows of the output's gradient.
  ///   - way: where gradients go; nil for the way there alone.
  func forward(
    _ input: MatrixView<Scalar>, into output: MutableMatrixView<Scalar>, back way: DenseWayBack<Scalar>?,
    workspace: inout DenseWorkspace<Scalar>, between: @Sendable (Range<Int>) -> Void
  ) {
    let rows = unsafe input.rows
    // Of so few rows products are split by columns, each by itself.
    if rows < 2 * kernels.geometry.tileRows * workspace.products.threads {
      unsafe forward(input, into: output, workspace: &workspace)
      between(0..<rows)
      guard let way = unsafe way else { return }
      return unsafe backward(
        input, outputGradient: way.outputGradient, gradient: way.gradient, inputGradient: way.inputGradient,
        workspace: &workspace)
    }
    unsafe storage.withUnsafeBufferPointer { parameters in
      nonisolated(unsafe) let (input, output, way) = unsafe (input, output, way)
      if unsafe way != nil {
        unsafe workspace.backwardWeights.packColumns(
          MatrixView(parameters.baseAddress!, rows: outputs, columns: inputs))
      }
      nonisolated(unsafe) let there = unsafe ProductOperands(
        a: input, weights: packed.weights.unsafePointer, bias: parameters.baseAddress! + outputs * inputs, c: output,
        start: .bias)
      nonisolated(unsafe) let back = unsafe way.map {
        unsafe ProductOperands(
          a: $0.outputGradient, weights: workspace.backwardWeights.unsafePointer, bias: nil, c: $0.inputGradient,
          start: .bias)
      }
      let split = EvenSplit(rows, parts: workspace.products.parts(ofRows: rows, work: inputs * outputs))
      let parts = split.parts
      let (team, table) = (workspace.team, kernels.table)
      let scratch = unsafe workspace.products.partScratch
      let geometry = kernels.geometry
      team.begin()
      concurrentParts(parts) { _ in
        var phases = TeamPhases(team: team)
        phases.run(parts) { part in
          let some = split.range(part)
          unsafe table.product(there, rows: some, panels: 0..<geometry.panels(outputs), scratch: scratch[part])
          between(some)
          guard let back = unsafe back else { return }
          unsafe table.product(back, rows: some, panels: 0..<geometry.panels(inputs), scratch: scratch[part])
        }
        guard let way = unsafe way else { return }
        phases.run(parts) { part in
          unsafe addGradient(input, way, part, of: parts, scratch: scratch[part])
        }
      }
    }
  }

  /// The gradient of the parameters, one part of it.
  private func addGradient(
    _ input: MatrixView<Scalar>, _ way: DenseWayBack<Scalar>, _ part: Int, of parts: Int,
    scratch: UnsafeMutablePointer<Scalar>
  ) {
    let operands = unsafe TransposedProductOperands(
      a: way.outputGradient, b: input, c: MutableMatrixView(way.gradient, rows: outputs, columns: inputs))
    if let share = unsafe operands.share(part, of: parts) {
      unsafe kernels.table.transposedProduct(operands, rows: share.rows, columns: share.columns, scratch: scratch)
    }
    if part == 0 {
      unsafe kernels.table.columnSums(way.outputGradient, into: way.gradient.baseAddress! + outputs * inputs)
    }
  }

  /// Y [N, O] = X [N, I] · Wᵀ + b, new. Throws `ShapeError` where the input is not whole rows.
  public func callAsFunction(_ input: [Scalar]) throws(ShapeError) -> [Scalar] {
    if input.count % inputs != 0 {
      throw ShapeError("input", expected: "a multiple of I = \(inputs) elements", actual: "\(input.count)")
    }
    let rows = input.count / inputs
    var workspace = makeWorkspace()
    var output = [Scalar](repeating: 0, count: rows * outputs)
    unsafe input.withUnsafeBufferPointer { input in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe forward(
          MatrixView(input, rows: rows, columns: inputs, name: "input"),
          into: MutableMatrixView(output, rows: rows, columns: outputs, name: "output"), workspace: &workspace)
      }
    }
    return output
  }
}

/// Where the gradients of a dense layer's pass come from and go.
@unsafe struct DenseWayBack<Scalar: RecurrenceScalar> {
  /// In, [N, O], once the rows have been there.
  var outputGradient: MatrixView<Scalar>
  /// In and out, O·I + O elements: ∂L/∂parameters is added, rows in descending order.
  var gradient: UnsafeMutableBufferPointer<Scalar>
  /// Out, [N, I].
  var inputGradient: MutableMatrixView<Scalar>
}

/// The weights in the order that the kernels read them. Never changed while shared.
final class PackedDense<Scalar: RecurrenceScalar>: @unchecked Sendable {
  var weights: PackedWeights<Scalar>

  init(inputs: Int, outputs: Int, kernels: Kernels<Scalar>) {
    weights = PackedWeights(outputs: outputs, depth: inputs, kernels: kernels)
  }
}

/// What passes of a dense layer work in. Has one owner at a time and may be moved between threads.
public struct DenseWorkspace<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  var products: MatrixProducts<Scalar>
  var backwardWeights: PackedWeights<Scalar>
  let team = ThreadTeam()

  init(inputs: Int, outputs: Int, threads: Int, kernels: Kernels<Scalar>) {
    products = MatrixProducts(threads: threads, kernels: kernels)
    backwardWeights = PackedWeights(outputs: inputs, depth: outputs, kernels: kernels)
  }
}
