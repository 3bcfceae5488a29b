// Where the planes of a step lie: the element of row 0 and unit 0, and the distance from row to row.

extension CellStep {
  /// A plane that a cell reads.
  @inlinable @inline(__always)
  func source(_ plane: PointwisePlane) -> (base: UnsafePointer<Scalar>, stride: Int) {
    switch plane {
    case .gate(let p): unsafe (UnsafePointer(gates!) + gateColumns[p], gateStride)
    case .saved(let p): unsafe (UnsafePointer(saved!) + p * units, savedStride)
    case .unit(let p): unsafe (unitParameters! + p * units, 0)
    case .previous(let p):
      unsafe p == 0
        ? (previousHidden!, previousHiddenStride) : (previousOther! + (p - 1) * units, previousOtherStride)
    case .state(let p):
      unsafe p == 0
        ? (UnsafePointer(hidden!), hiddenStride) : (UnsafePointer(other!) + (p - 1) * units, otherStride)
    case .gradient(let p):
      unsafe p == 0
        ? (UnsafePointer(hiddenGradient!), hiddenGradientStride)
        : (UnsafePointer(otherGradient!) + (p - 1) * units, otherGradientStride)
    case .operand: unsafe (operandGradient!, operandGradientStride)
    }
  }

  /// A plane that a cell writes: backwards, ∂L/∂plane.
  @inlinable @inline(__always)
  func target(_ plane: PointwisePlane) -> (base: UnsafeMutablePointer<Scalar>, stride: Int) {
    switch plane {
    case .gate(let p): unsafe (gates! + gateColumns[p], gateStride)
    case .saved(let p): unsafe (saved! + p * units, savedStride)
    case .unit(let p): unsafe (gates! + unitColumn + p * units, gateStride)
    case .state(let p):
      unsafe p == 0 ? (hidden!, hiddenStride) : (other! + (p - 1) * units, otherStride)
    case .previous(let p), .gradient(let p):
      unsafe p == 0
        ? (hiddenGradient!, hiddenGradientStride) : (otherGradient! + (p - 1) * units, otherGradientStride)
    case .operand: unsafe (operand!, operandStride)
    }
  }
}
