/// A register of the CPU, seen as lanes of one scalar type.
///
/// Every kernel template is generic over `Vector` and is instantiated once per instruction set, with a concrete
/// type that belongs to that instruction set's module alone. Two rules keep this sound:
///
/// - A conforming type wraps a concrete SIMD type and is used in one module only. Specialised code is then named
///   after the module's own type, and the linker can never replace code of one instruction set by another's.
/// - Requirements are the operations that compile to one or two instructions. Swift's own `rounded`,
///   `squareRoot`, `min()`, `sum()` and float-to-integer conversions fall to scalar code and are not among them.
///
/// Lane i of a result depends on lane i of the operands, except in `sum()`.
public protocol Vector: PointwiseValue, Sendable {
  associatedtype Scalar: KernelScalar
  /// The result of a comparison, lane by lane.
  associatedtype Mask: Sendable

  /// Number of lanes, a power of two.
  static var lanes: Int { get }
  /// Number of architectural vector registers, 16 or 32; of pairs, half as many. Tiles of the matrix products are sized by it.
  static var registers: Int { get }

  /// All lanes equal to `value`.
  init(repeating value: Scalar)
  /// All lanes equal to the value with these bits (for `Float`, the low 32).
  init(repeatingBits bits: UInt64)

  /// Reads `lanes` scalars. Needs no alignment beyond the scalar's own.
  static func load(_ source: UnsafePointer<Scalar>) -> Self
  /// Writes `lanes` scalars. Needs no alignment beyond the scalar's own.
  func store(_ destination: UnsafeMutablePointer<Scalar>)

  /// Reads `count` scalars, 0 ≤ count ≤ lanes, and touches no other memory. Remaining lanes are +0.
  static func load(_ source: UnsafePointer<Scalar>, count: Int) -> Self
  /// Writes the first `count` lanes, 0 ≤ count ≤ lanes, and touches no other memory.
  func store(_ destination: UnsafeMutablePointer<Scalar>, count: Int)

  static func + (a: Self, b: Self) -> Self
  static func - (a: Self, b: Self) -> Self
  static func * (a: Self, b: Self) -> Self
  static func / (a: Self, b: Self) -> Self
  /// a·b + c: one rounding where the instruction set has a fused multiply-add (`isFused`), two where it has not.
  /// Never a call into the mathematics library.
  static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self
  /// Whether `multiplyAdd` rounds once.
  static var isFused: Bool { get }

  /// √a, correctly rounded.
  static func squareRoot(_ a: Self) -> Self

  /// b < a ? b : a. A NaN in `a` stays, a NaN in `b` is dropped.
  static func minimum(_ a: Self, _ b: Self) -> Self
  /// a < b ? b : a. A NaN in `a` stays, a NaN in `b` is dropped.
  static func maximum(_ a: Self, _ b: Self) -> Self

  /// Comparisons are false where either lane is NaN.
  static func isLess(_ a: Self, _ b: Self) -> Mask
  static func isLessOrEqual(_ a: Self, _ b: Self) -> Mask
  static func isEqual(_ a: Self, _ b: Self) -> Mask
  /// mask ? a : b.
  static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self

  /// The lanes of even and of odd index of `a` followed by `b`.
  static func unzip(_ a: Self, _ b: Self) -> (even: Self, odd: Self)

  /// Bitwise operations on the representation.
  static func bitAnd(_ a: Self, _ b: Self) -> Self
  static func bitOr(_ a: Self, _ b: Self) -> Self
  static func bitXor(_ a: Self, _ b: Self) -> Self
  /// Wrapping integer operations on the representation.
  static func addBits(_ a: Self, _ b: Self) -> Self
  static func subtractBits(_ a: Self, _ b: Self) -> Self
  /// Shifts of the representation; zeros enter. `count` is a constant from 0 to the scalar's width − 1.
  static func shiftBitsLeft(_ a: Self, by count: Int) -> Self
  static func shiftBitsRight(_ a: Self, by count: Int) -> Self
}

extension Vector {
  @inlinable @inline(__always) public static var zero: Self { Self(repeating: 0) }

  /// c − a·b, with the rounding of `multiplyAdd`.
  @inlinable @inline(__always)
  public static func negatedMultiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { multiplyAdd(a.negated, b, c) }

  /// −a, with the sign bit flipped (so −(+0) = −0 and the sign of a NaN flips).
  @inlinable @inline(__always) public var negated: Self { Self.bitXor(self, Self.signBit) }

  /// |a|, with the sign bit cleared.
  @inlinable @inline(__always) public var magnitude: Self {
    Self.bitAnd(self, Self(repeatingBits: Scalar.fractionBits == 23 ? 0x7fff_ffff : 0x7fff_ffff_ffff_ffff))
  }

  /// A vector whose lanes hold only the sign bit: −0.
  @inlinable @inline(__always) public static var signBit: Self {
    Self(repeatingBits: Scalar.fractionBits == 23 ? 0x8000_0000 : 0x8000_0000_0000_0000)
  }

  /// self with the sign of `other`; self must not be negative.
  @inlinable @inline(__always)
  public func withSign(of other: Self) -> Self { Self.bitOr(self, Self.bitAnd(other, Self.signBit)) }
}
