// The primitives of the vector layer, one array operation each. The vector types themselves never leave their modules;
// this is how tests reach every one of them on every instruction set.

/// A requirement of `Vector` that can be run over arrays.
@frozen public enum VectorOperation: String, Sendable, CaseIterable {
  /// out ← a + b, a − b, a·b, a/b
  case add, subtract, multiply, divide
  /// out ← a·b + c
  case multiplyAdd
  case minimum, maximum
  /// out ← comparison(a, b) ? b : c
  case selectLess, selectLessOrEqual, selectEqual
  case bitAnd, bitOr, bitXor, addBits, subtractBits
  /// The representation of `a` shifted by 5.
  case shiftLeft, shiftRight
  case negate, magnitude
  /// |a| with the sign of b
  case withSign
  /// Every lane ← sum of the lanes of its vector of `a` (lanes beyond the count are zero).
  case sum
  /// out ← a, whatever the count: partial load and store.
  case copy
}

@frozen @unsafe public struct ProbeOperands<Scalar: KernelScalar> {
  public var a: UnsafePointer<Scalar>
  public var b: UnsafePointer<Scalar>
  public var c: UnsafePointer<Scalar>
  public var out: UnsafeMutablePointer<Scalar>
  public var count: Int

  @inlinable
  public init(
    a: UnsafePointer<Scalar>, b: UnsafePointer<Scalar>, c: UnsafePointer<Scalar>, out: UnsafeMutablePointer<Scalar>,
    count: Int
  ) {
    unsafe self.a = a
    unsafe self.b = b
    unsafe self.c = c
    unsafe self.out = out
    unsafe self.count = count
  }
}

@frozen public enum VectorProbe<V: Vector> {
  /// Vector by vector, the last one partial.
  @inlinable @inline(__always)
  public static func run(_ operation: VectorOperation, _ operands: ProbeOperands<V.Scalar>) {
    var i = 0
    while unsafe i < operands.count {
      let count = unsafe min(V.lanes, operands.count &- i)
      let a = unsafe V.load(operands.a + i, count: count)
      let b = unsafe V.load(operands.b + i, count: count)
      let c = unsafe V.load(operands.c + i, count: count)
      unsafe apply(operation, a, b, c).store(operands.out + i, count: count)
      i &+= count
    }
  }

  @inlinable @inline(__always)
  static func apply(_ operation: VectorOperation, _ a: V, _ b: V, _ c: V) -> V {
    switch operation {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .multiplyAdd: V.multiplyAdd(a, b, c)
    case .minimum: V.minimum(a, b)
    case .maximum: V.maximum(a, b)
    case .selectLess: V.select(V.isLess(a, b), b, c)
    case .selectLessOrEqual: V.select(V.isLessOrEqual(a, b), b, c)
    case .selectEqual: V.select(V.isEqual(a, b), b, c)
    case .bitAnd: V.bitAnd(a, b)
    case .bitOr: V.bitOr(a, b)
    case .bitXor: V.bitXor(a, b)
    case .addBits: V.addBits(a, b)
    case .subtractBits: V.subtractBits(a, b)
    case .shiftLeft: V.shiftBitsLeft(a, by: 5)
    case .shiftRight: V.shiftBitsRight(a, by: 5)
    case .negate: a.negated
    case .magnitude: a.magnitude
    case .withSign: a.magnitude.withSign(of: b)
    case .sum: V(repeating: a.sum())
    case .copy: a
    }
  }
}
