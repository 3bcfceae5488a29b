import RecurrenceKernels

/// Recurrent layers of one cell, one upon the other: each layer's outputs are the next one's inputs.
///
///     var lstm = RecurrentStack<LSTM, Float>(LSTM(), inputs: 8, units: 64, layers: 2, seed: 1)
///     let (outputs, states) = try lstm.forward(x, steps: 100, batch: 32)
///
/// A value: copies are independent, and one may be used by any number of threads at once. Sequences are time-major and
/// row-major: inputs [T, B, I], outputs [T, B, H]. Memory to work in is the caller's, see `makeWorkspace`, `makeTape` and
/// `makeStream`; with it, passes allocate nothing.
///
/// Results do not depend on the number of threads, on the other sequences of the batch, or on padding, in any bit.
/// Subnormal numbers are zero inside a pass.
public struct RecurrentStack<C: Cell, Scalar: RecurrenceScalar>: Sendable {
  // The cell, whose size only its type knows, comes last: code for any cell finds the others without asking.
  let shape: StackShape<Scalar>
  private(set) var packed: PackedStack<Scalar>
  private(set) var storage: Parameters<Scalar>
  public let cell: C

  /// Layers with parameters drawn as `initialization` says, by default from PyTorch's distributions with the forget
  /// gate's bias of an LSTM set to 1.
  ///
  /// - Parameters:
  ///   - inputs: I, features of an input, at least 1.
  ///   - units: H, at least 1.
  ///   - layers: L, at least 1.
  ///   - initialization: `.pyTorch` for PyTorch's plain default; see Docs/Initialization.md for others.
  ///   - seed: the same seed gives the same parameters on every platform.
  public init(
    _ cell: C, inputs: Int, units: Int, layers: Int = 1, initialization: Initialization = .standard, seed: UInt64 = 0
  ) {
    self.init(
      cell, inputs: inputs, units: units, layers: layers, initialization: initialization, seed: seed,
      kernels: .selected)
  }

  /// - Parameter isRecorded: replays even a built-in cell from a recording.
  package init(
    _ cell: C, inputs: Int, units: Int, layers: Int = 1, initialization: Initialization = .standard, seed: UInt64 = 0,
    kernels: Kernels<Scalar>, isRecorded: Bool = false
  ) {
    self.cell = cell
    shape = StackShape(
      cell: CellImplementation(cell, isRecorded: isRecorded), kernels: kernels, inputs: inputs, units: units,
      layers: layers)
    packed = PackedStack(shape)
    storage = Parameters(shape.layout)
    var generator = SeededGenerator(seed: seed)
    initialize(initialization, using: &generator)
  }

  /// Draws all parameters anew.
  ///
  /// The generator goes on from where it was: a model of several layers draws from one. Parameters of `initialization`
  /// out of their range trap with a sentence.
  public mutating func initialize(_ initialization: Initialization, using generator: inout SeededGenerator) {
    let shape = shape
    withParameters { initialization.draw(into: &$0, shape.plan, shape.layout, using: &generator) }
  }

  public var inputs: Int { shape.inputs }
  public var units: Int { shape.units }
  public var layers: Int { shape.layers }
  /// Where each parameter lies in the flat vector.
  public var layout: ParameterLayout { shape.layout }

  /// All parameters.
  ///
  /// The kernels' copy follows when a change ends, at the cost of reading all weights once: make many changes to a
  /// variable, or within one `withParameters`, not one by one.
  public var parameters: Parameters<Scalar> {
    get { storage }
    _modify {
      defer {
        if storage.layout != shape.layout {
          fatalError("parameters: expected the layout of this stack, got that of another")
        }
        pack()
      }
      yield &storage
    }
  }

  /// Changes all parameters in place; the kernels' copy follows once, at the end, even where `body` throws.
  @discardableResult
  public mutating func withParameters<Result>(_ body: (inout [Scalar]) throws -> Result) rethrows -> Result {
    try body(&parameters.values)
  }

  /// A gradient of this stack's parameters, all zero.
  public func makeGradient() -> Parameters<Scalar> { Parameters(shape.layout) }

  /// States of this stack, all zero. Traps where `batch` is negative or the states overflow the address space.
  public func makeStates(batch: Int) -> RecurrentStates<Scalar> {
    if batch < 0 { fatalError("batch: expected at least 0, got \(batch)") }
    var size = SlabPlan<Scalar>()
    _ = size.reserve(shape.plan.planes.states, layers, batch, units)
    return RecurrentStates(names: shape.plan.stateNames, layers: layers, batch: batch, units: units)
  }

  private mutating func pack() {
    if !isKnownUniquelyReferenced(&packed) { packed = PackedStack(shape) }
    unsafe storage.values.withUnsafeBufferPointer { unsafe packed.pack($0.baseAddress!, shape) }
  }

  func withUnsafeParameters<Result, Failure: Error>(
    _ body: (UnsafePointer<Scalar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe try storage.values.withUnsafeBufferPointer { values throws(Failure) in
      unsafe try body(values.baseAddress!)
    }
  }
}

/// The name of a stack at a place where it has one layer, the default.
public typealias RecurrentLayer<C: Cell, Scalar: RecurrenceScalar> = RecurrentStack<C, Scalar>
