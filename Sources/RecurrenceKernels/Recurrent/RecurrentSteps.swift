// Consecutive time steps of the same rows of one layer, in one call: the loop through time of a chunk. What a driver does
// for a chunk (finding memory, checking shapes, entering these kernels) costs more than a step of a small layer.
//
//   for each step:  for each stage:  gates of t += operand · Uᵀ, then the cell's mathematics
//
// Few rows of few units have a kernel of their own (`RowStepsKernel`), which leaves states and what is saved, and not the
// pre-activations: whoever wants to see those runs the product and the mathematics apart (`RecurrentKernel`).

/// What `RecurrentStepsKernel` runs. Everything is that of the first step; from one step to the next, the states after it
/// become those before it, and the memory it writes moves on.
@frozen @unsafe public struct RecurrentSteps<Scalar: KernelScalar> {
  /// Before the first step, where it `projects`: its pre-activations ← biases + input · Wᵀ. Elsewhere they are there already.
  /// The bias is part of a row of biases for all columns of the pre-activations.
  public var projection: ProductOperands<Scalar>?
  public var projects = false
  /// C[rows, planes · units] += A · U of stage 0, where A is h of the step before, and of stage 1, where A is the operand.
  /// What the first wants moves on by itself from step to step; what it wants too is where h of the step goes.
  public var product: ProductOperands<Scalar>
  public var secondProduct: ProductOperands<Scalar>?
  public var mathematics: CellMathematics
  public var step: CellStep<Scalar>
  public var rows: Int
  /// Promises that these are steps of a layer: operands packed and aligned, each what its name says, and all of the same
  /// layer; nobody looks after it. Others are checked.
  public var isOfLayer = false
  /// Steps, at least 1. Without a step to go on to, nothing is changed here, and the same call may be made again.
  public var count: Int
  /// Elements from what one step writes to what the next one does.
  public var gatesAdvance = 0, hiddenAdvance = 0, otherAdvance = 0, savedAdvance = 0
  /// As in `RecurrentCall`.
  public var productScratch: UnsafeMutablePointer<Scalar>
  public var programScratch: UnsafeMutablePointer<Scalar>

  @inlinable
  public init(
    product: ProductOperands<Scalar>, mathematics: CellMathematics, step: CellStep<Scalar>, rows: Int, count: Int,
    productScratch: UnsafeMutablePointer<Scalar>, programScratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe projection = nil
    unsafe self.product = unsafe product
    unsafe secondProduct = nil
    unsafe self.mathematics = unsafe mathematics
    unsafe self.step = unsafe step
    unsafe self.rows = rows
    unsafe self.count = count
    unsafe self.productScratch = unsafe productScratch
    unsafe self.programScratch = unsafe programScratch
  }

  /// The step after becomes the one at hand.
  @inlinable @inline(__always)
  mutating func advance() {
    unsafe advanceStep()
    unsafe product.a.base = step.previousHidden!
    unsafe product.c.base += gatesAdvance
    if unsafe product.wanted.count > 0 { unsafe product.wanted.base! += product.wanted.count }
    if unsafe product.wantedToo.count > 0 { unsafe product.wantedToo.base = unsafe UnsafePointer(step.hidden) }
    if unsafe secondProduct != nil {
      unsafe secondProduct!.c.base += gatesAdvance
    } else {
      // In turns; with a second stage, the first finds nothing of its own in the caches.
      unsafe product.descending.toggle()
    }
  }

  /// The same of the cell's mathematics alone.
  @inlinable @inline(__always)
  mutating func advanceStep() {
    unsafe step.previousHidden = unsafe UnsafePointer(step.hidden)
    unsafe step.hidden! += hiddenAdvance
    unsafe step.previousOther = unsafe UnsafePointer(step.other)
    if unsafe step.other != nil { unsafe step.other! += otherAdvance }
    if unsafe step.saved != nil { unsafe step.saved! += savedAdvance }
    unsafe step.gates! += gatesAdvance
  }
}

@frozen public enum RecurrentStepsKernel<V: Vector> {
  public typealias Scalar = V.Scalar

  @inlinable @inline(__always)
  public static func run(_ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) {
    if unsafe runRowSteps(steps) { return }
    unsafe check(steps)
    if unsafe steps.pointee.projects { unsafe project(steps.pointee.projection!, steps) }
    var remaining = unsafe steps.pointee.count
    while true {
      unsafe runStep(steps)
      remaining &-= 1
      if remaining == 0 { return }
      unsafe steps.pointee.advance()
    }
  }

  @inlinable @inline(__always)
  static func check(_ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) {
    if unsafe steps.pointee.count < 1 { unsafe stepsFailure(steps.pointee.count) }
    unsafe ProductKernel<V>.check(steps.pointee.product, scratch: steps.pointee.productScratch)
    if let product = unsafe steps.pointee.secondProduct {
      unsafe ProductKernel<V>.check(product, scratch: steps.pointee.productScratch)
    }
    if unsafe steps.pointee.projects {
      guard let product = unsafe steps.pointee.projection else { projectionFailure() }
      unsafe ProductKernel<V>.check(product, scratch: steps.pointee.productScratch)
    }
  }

  /// The input's product, and the biases of the columns that it does not reach.
  @inlinable @inline(__always)
  static func project(_ projection: ProductOperands<Scalar>, _ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) {
    unsafe ProductKernel<V>.runUnchecked(projection, scratch: steps.pointee.productScratch)
    let (gates, columns) = unsafe (steps.pointee.step.gates!, steps.pointee.step.gateStride)
    let first = unsafe projection.c.base - gates
    let end = unsafe first &+ projection.c.columns
    if first == 0, end == columns { return }
    let biases = unsafe projection.bias! - first
    for r in unsafe 0..<projection.c.rows {
      let row = unsafe gates + r &* columns
      unsafe copy(biases, to: row, 0..<first)
      unsafe copy(biases, to: row, end..<columns)
    }
  }

  @inlinable @inline(__always)
  static func copy(_ from: UnsafePointer<Scalar>, to: UnsafeMutablePointer<Scalar>, _ columns: Range<Int>) {
    var j = columns.lowerBound
    while j < columns.upperBound {
      let count = min(V.lanes, columns.upperBound &- j)
      unsafe V.load(from + j, count: count).store(to + j, count: count)
      j &+= V.lanes
    }
  }

  @inlinable @inline(__always)
  static func runStep(_ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>) {
    if let second = unsafe steps.pointee.secondProduct {
      unsafe runStage(steps.pointee.product, .operand, steps)
      unsafe runStage(second, .forward, steps)
    } else {
      unsafe runStage(steps.pointee.product, .forward, steps)
    }
  }

  @inlinable @inline(__always)
  static func runStage(
    _ product: ProductOperands<Scalar>, _ action: CellAction, _ steps: UnsafeMutablePointer<RecurrentSteps<Scalar>>
  ) {
    unsafe ProductKernel<V>.runUnchecked(product, scratch: steps.pointee.productScratch)
    let step = unsafe UnsafePointer(steps.pointer(to: \.step)!)
    unsafe CellMathematicsKernel<V>.run(
      steps.pointee.mathematics, action, step, rows: 0..<steps.pointee.rows, units: 0..<step.pointee.units,
      scratch: steps.pointee.programScratch)
  }
}
