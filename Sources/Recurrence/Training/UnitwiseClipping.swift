import RecurrenceKernels

// Adaptive gradient clipping (AGC). With w_i the weights of unit i and g_i their gradient:
//
//   limit_i = λ · max(‖w_i‖, ε)
//   g_i ← g_i · limit_i/‖g_i‖  where ‖g_i‖ > limit_i by more than rounding, otherwise g_i stays as it is, to the bit
//
// A unit is
//
//   W, U      a row: what one unit of one gate gives to its inputs, and apart from it, to the last step's h
//   b, b_h    the H elements of one gate
//   p         the H elements of one unit parameter
//   E         a row: the vector of one symbol
//
// The authors' code takes a vector's whole norm, where single elements would each be held to 1 % of themselves. A
// recurrent layer is as many layers of H units as it has gates, only that their vectors lie end to end: of a forget gate
// whose bias is 1, beside others that are 0, the whole norm would speak for all. So the vectors are a gate's.
//
// Brock, De, Smith and Simonyan, "High-performance large-scale image recognition without normalization", 2021, section
// 4: λ from 0.01 up, the smaller the larger the batch; ε = 10⁻³ lets weights that begin at 0 leave it; and not the last
// layer.

/// Clipping of each unit's gradient by the size of its own weights: adaptive gradient clipping, AGC.
///
///     trainer.unitwiseClipping = UnitwiseClipping()                           // in a trainer, or
///     UnitwiseClipping().clip(&gradient, parameters: stack.parameters)        // of a stack
///
/// No unit's weights change by more than about λ of their size in an update of plain descent at a learning rate of 1.
public struct UnitwiseClipping: Hashable, Sendable {
  /// λ, finite and greater than 0. Setting another traps.
  public var factor: Double { didSet { if let complaint { fatalError(complaint) } } }
  /// ε, the least size that weights count as; finite and greater than 0. Setting another traps.
  public var epsilon: Double { didSet { if let complaint { fatalError(complaint) } } }
  /// Whether a trainer limits the output layer, too: rows of its W, and b as one vector.
  public var includesOutput: Bool

  /// - Parameters:
  ///   - factor: λ.
  ///   - epsilon: ε.
  ///   - includesOutput: against the paper's advice.
  ///
  /// Traps with a sentence where a number is outside its range.
  public init(factor: Double = 0.01, epsilon: Double = 1e-3, includesOutput: Bool = false) {
    self.factor = factor
    self.epsilon = epsilon
    self.includesOutput = includesOutput
    if let complaint { fatalError(complaint) }
  }

  private var complaint: String? {
    for (name, value) in [("factor", factor), ("epsilon", epsilon)] where !(value > 0 && value.isFinite) {
      return "\(name): expected a finite number greater than 0, got \(value)"
    }
    return nil
  }

  /// Limits the gradient of a stack in place.
  ///
  /// - Parameters:
  ///   - gradient: ∂L/∂parameters. A unit that has an element which is not finite is left as it is.
  ///   - parameters: of the same layout.
  /// - Returns: how many units were scaled.
  ///
  /// Norms are sums in Double in a fixed order, the same on every instruction set; they neither overflow nor underflow.
  /// Clipping twice is clipping once. Traps with a sentence where the layouts differ.
  @discardableResult
  public func clip<Scalar: RecurrenceScalar>(
    _ gradient: inout Parameters<Scalar>, parameters: Parameters<Scalar>
  ) -> Int {
    if gradient.layout != parameters.layout {
      fatalError(
        "parameters: expected the layout of the gradient (\(gradient.layout.count) parameters), "
          + "got another (\(parameters.layout.count) parameters)")
    }
    let layout = parameters.layout
    return unsafe gradient.values.withUnsafeMutableBufferPointer { gradient in
      unsafe clip(gradient, parameters.values, layout, kernels: .selected)
    }
  }

  /// Limits each row of a gradient in place, as of an embedding.
  ///
  /// - Parameters:
  ///   - gradient: [rows, columns].
  ///   - parameters: [rows, columns].
  ///   - columns: of a row, at least 1.
  /// - Returns: how many rows were scaled.
  ///
  /// Traps with a sentence where sizes do not fit.
  @discardableResult
  public func clip<Scalar: RecurrenceScalar>(
    _ gradient: inout [Scalar], parameters: [Scalar], columns: Int
  ) -> Int {
    if columns < 1 { fatalError("columns: expected at least 1, got \(columns)") }
    if gradient.count % columns != 0 {
      fatalError("gradient: expected whole rows of \(columns) elements, got \(gradient.count) elements")
    }
    if parameters.count != gradient.count {
      fatalError("parameters: expected \(gradient.count) elements, as the gradient has, got \(parameters.count)")
    }
    return unsafe gradient.withUnsafeMutableBufferPointer { gradient in
      unsafe clip(gradient, parameters, columns: columns, kernels: .selected)
    }
  }
}

extension UnitwiseClipping {
  /// Limits the flat gradient of a network, in the order of its `parameterRanges`.
  func clip<C: Cell, Scalar>(
    _ gradient: UnsafeMutableBufferPointer<Scalar>, of network: SequenceNetwork<C, Scalar>
  ) -> Int {
    let ranges = network.parameterRanges
    let kernels = network.recurrent.shape.kernels
    var clipped = 0
    if let embedding = network.embedding {
      clipped += unsafe clip(
        UnsafeMutableBufferPointer(rebasing: gradient[ranges.embedding]), embedding.parameters,
        columns: embedding.width, kernels: kernels)
    }
    clipped += unsafe clip(
      UnsafeMutableBufferPointer(rebasing: gradient[ranges.recurrent]), network.recurrent.parameters.values,
      network.recurrent.layout, kernels: kernels)
    if includesOutput {
      let output = unsafe UnsafeMutableBufferPointer(rebasing: gradient[ranges.output])
      let (rows, columns) = (network.output.outputs, network.output.inputs)
      unsafe network.output.parameters.withUnsafeBufferPointer { parameters in
        guard let g = output.baseAddress, let w = parameters.baseAddress else { return }
        clipped += unsafe clip(g, w, rows: rows, columns: columns, kernels: kernels)
        clipped += unsafe clip(g + rows * columns, w + rows * columns, rows: 1, columns: rows, kernels: kernels)
      }
    }
    return clipped
  }

  /// Limits a stack's gradient.
  package func clip<Scalar: RecurrenceScalar>(
    _ gradient: UnsafeMutableBufferPointer<Scalar>, _ parameters: [Scalar], _ layout: ParameterLayout,
    kernels: Kernels<Scalar>
  ) -> Int {
    unsafe parameters.withUnsafeBufferPointer { parameters in
      guard let g = gradient.baseAddress, let w = parameters.baseAddress else { return 0 }
      var clipped = 0
      for tensor in layout.tensors {
        // By name: W of one input has one column, too.
        let isMatrix = tensor.name == "W" || tensor.name == "U"
        let start = tensor.range.lowerBound
        clipped += unsafe clip(
          g + start, w + start, rows: isMatrix ? tensor.rows : tensor.rows / layout.units,
          columns: isMatrix ? tensor.columns : layout.units, kernels: kernels)
      }
      return clipped
    }
  }

  /// Limits rows that have nothing beside them.
  package func clip<Scalar: RecurrenceScalar>(
    _ gradient: UnsafeMutableBufferPointer<Scalar>, _ parameters: [Scalar], columns: Int, kernels: Kernels<Scalar>
  ) -> Int {
    unsafe parameters.withUnsafeBufferPointer { parameters in
      guard let g = gradient.baseAddress, let w = parameters.baseAddress else { return 0 }
      return unsafe clip(g, w, rows: gradient.count / columns, columns: columns, kernels: kernels)
    }
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func clip<Scalar: RecurrenceScalar>(
    _ g: UnsafeMutablePointer<Scalar>, _ w: UnsafePointer<Scalar>, rows: Int, columns: Int, kernels: Kernels<Scalar>
  ) -> Int {
    var clipped = 0
    for row in 0..<rows {
      let g = unsafe g + row * columns
      let norm = unsafe ScaledNorm(g, count: columns, kernels: kernels)
      // Below every limit, as the rows of symbols that did not occur; their weights need not be read.
      if !(norm.value > factor * epsilon) || !norm.isFinite { continue }
      let size = unsafe ScaledNorm(w + row * columns, count: columns, kernels: kernels).value
      // No limit, and no trap, where weights are not numbers.
      let limit = factor * (size < epsilon ? epsilon : size)
      if norm.exceeds(limit, count: columns) {
        unsafe norm.scale(g, count: columns, to: limit, kernels.table)
        clipped += 1
      }
    }
    return clipped
  }
}

extension UnitwiseClipping: Codable {
  private enum CodingKeys: CodingKey { case factor, epsilon, includesOutput }

  /// Throws `DecodingError` where a number is out of its range.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    factor = try values.decode(Double.self, forKey: .factor)
    epsilon = try values.decode(Double.self, forKey: .epsilon)
    includesOutput = try values.decode(Bool.self, forKey: .includesOutput)
    if let complaint {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: complaint))
    }
  }
}
