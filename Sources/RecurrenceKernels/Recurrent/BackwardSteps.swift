// The way back through consecutive time steps of the same rows of one layer, in one call: the loop through time of a chunk,
// as `RecurrentSteps` is the forward's.
//
//   for each step, from the last:  δ ← the cell's backward
//                                  with two stages: ∂L/∂operand ← δ · U of stage 1, then the operand's backward
//                                  ∂L/∂h += δ · U of stage 0

/// What `BackwardStepsKernel` runs. Everything is that of the last step; from one step to the one before it, the states
/// before it become those after it, and the memory it reads and writes moves back.
@frozen @unsafe public struct BackwardSteps<Scalar: KernelScalar> {
  /// C += δ · U of stage 0, where C is ∂L/∂h, and ← δ · U of stage 1, where C is ∂L/∂operand. What the first wants, of the
  /// step before, moves back by itself from step to step.
  public var product: ProductOperands<Scalar>
  public var secondProduct: ProductOperands<Scalar>?
  public var mathematics: CellMathematics
  public var step: CellStep<Scalar>
  public var rows: Int
  /// Steps, at least 1.
  public var count = 1
  /// Elements from what belongs to the step before to what belongs to a step: δ; h, the operand and ∂L/∂output, all as
  /// wide; the other states; the saved planes.
  public var gatesAdvance = 0, hiddenAdvance = 0, otherAdvance = 0, savedAdvance = 0
  /// The same of what the product wants too; what it wants is as far apart as h.
  public var wantedTooAdvance = 0
  /// As in `RecurrentCall`.
  public var productScratch: UnsafeMutablePointer<Scalar>
  public var programScratch: UnsafeMutablePointer<Scalar>

  @inlinable
  public init(
    product: ProductOperands<Scalar>, secondProduct: ProductOperands<Scalar>?, mathematics: CellMathematics,
    step: CellStep<Scalar>, rows: Int, productScratch: UnsafeMutablePointer<Scalar>,
    programScratch: UnsafeMutablePointer<Scalar>
  ) {
    unsafe self.product = unsafe product
    unsafe self.secondProduct = unsafe secondProduct
    unsafe self.mathematics = unsafe mathematics
    unsafe self.step = unsafe step
    unsafe self.rows = rows
    unsafe self.productScratch = unsafe productScratch
    unsafe self.programScratch = unsafe programScratch
  }

  /// The step before becomes the one at hand.
  @inlinable @inline(__always)
  mutating func retreat() {
    unsafe step.gates! -= gatesAdvance
    unsafe step.hidden = unsafe UnsafeMutablePointer(mutating: step.previousHidden)
    unsafe step.previousHidden! -= hiddenAdvance
    unsafe step.other = unsafe UnsafeMutablePointer(mutating: step.previousOther)
    unsafe step.previousOther! -= otherAdvance
    unsafe step.saved! -= savedAdvance
    if unsafe step.operand != nil { unsafe step.operand! -= hiddenAdvance }
    if unsafe step.outputGradient != nil { unsafe step.outputGradient! -= hiddenAdvance }
    unsafe product.a.base -= gatesAdvance
    if unsafe product.wanted.count > 0 { unsafe product.wanted.base! -= hiddenAdvance }
    if unsafe product.wantedToo.count > 0 { unsafe product.wantedToo.base! -= wantedTooAdvance }
    if unsafe secondProduct != nil {
      unsafe secondProduct!.a.base -= gatesAdvance
    } else {
      // In turns, as in the forward.
      unsafe product.descending.toggle()
    }
  }
}

@frozen public enum BackwardStepsKernel<V: Vector> {
  public typealias Scalar = V.Scalar

  @inlinable @inline(__always)
  public static func run(_ steps: UnsafeMutablePointer<BackwardSteps<Scalar>>) {
    unsafe check(steps)
    var remaining = unsafe steps.pointee.count
    while true {
      unsafe runStep(steps)
      remaining &-= 1
      if remaining == 0 { return }
      unsafe steps.pointee.retreat()
    }
  }

  @inlinable @inline(__always)
  static func check(_ steps: UnsafeMutablePointer<BackwardSteps<Scalar>>) {
    if unsafe steps.pointee.count < 1 { unsafe stepsFailure(steps.pointee.count) }
    unsafe ProductKernel<V>.check(steps.pointee.product, scratch: steps.pointee.productScratch)
    if let product = unsafe steps.pointee.secondProduct {
      unsafe ProductKernel<V>.check(product, scratch: steps.pointee.productScratch)
    }
  }

  @inlinable @inline(__always)
  static func runStep(_ steps: UnsafeMutablePointer<BackwardSteps<Scalar>>) {
    unsafe runMathematics(.backward, steps)
    if let second = unsafe steps.pointee.secondProduct {
      unsafe ProductKernel<V>.runUnchecked(second, scratch: steps.pointee.productScratch)
      unsafe runMathematics(.operandBackward, steps)
    }
    unsafe ProductKernel<V>.runUnchecked(steps.pointee.product, scratch: steps.pointee.productScratch)
  }

  @inlinable @inline(__always)
  static func runMathematics(_ action: CellAction, _ steps: UnsafeMutablePointer<BackwardSteps<Scalar>>) {
    let step = unsafe UnsafePointer(steps.pointer(to: \.step)!)
    unsafe CellMathematicsKernel<V>.run(
      steps.pointee.mathematics, action, step, rows: 0..<steps.pointee.rows, units: 0..<step.pointee.units,
      scratch: steps.pointee.programScratch)
  }
}
