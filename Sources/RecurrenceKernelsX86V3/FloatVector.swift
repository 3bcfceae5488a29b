// 256-bit vectors of AVX2 and FMA.
// Internal on purpose: code generated for these types must never reach a module with other flags.

import RecurrenceKernels

struct FloatVector: Vector {
  typealias Scalar = Float
  typealias Raw = SIMD8<Float>
  typealias Bits = SIMD8<UInt32>
  typealias Mask = SIMDMask<SIMD8<Int32>>

  var raw: Raw
  @inline(__always) init(_ raw: Raw) { self.raw = raw }
  @inline(__always) init(_ bits: Bits) { raw = unsafe unsafeBitCast(bits, to: Raw.self) }
  @inline(__always) var bits: Bits { unsafe unsafeBitCast(raw, to: Bits.self) }

  @inline(__always) static var lanes: Int { 8 }
  @inline(__always) static var registers: Int { 16 }

  @inline(__always) init(repeating value: Float) { raw = Raw(repeating: value) }
  @inline(__always) init(repeatingBits bits: UInt64) { self.init(Bits(repeating: UInt32(truncatingIfNeeded: bits))) }

  @inline(__always) static func load(_ source: UnsafePointer<Float>) -> Self {
    unsafe Self(UnsafeRawPointer(source).loadUnaligned(as: Raw.self))
  }
  @inline(__always) func store(_ destination: UnsafeMutablePointer<Float>) {
    unsafe UnsafeMutableRawPointer(destination).storeBytes(of: raw, as: Raw.self)
  }

  @inline(__always) static func + (a: Self, b: Self) -> Self { Self(a.raw + b.raw) }
  @inline(__always) static func - (a: Self, b: Self) -> Self { Self(a.raw - b.raw) }
  @inline(__always) static func * (a: Self, b: Self) -> Self { Self(a.raw * b.raw) }
  @inline(__always) static func / (a: Self, b: Self) -> Self { Self(a.raw / b.raw) }
  @inline(__always) static var isFused: Bool { true }
  @inline(__always) static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self {
    Self(c.raw.addingProduct(a.raw, b.raw))
  }

  @inline(__always) static func unzip(_ a: Self, _ b: Self) -> (even: Self, odd: Self) {
    (
      Self(Raw(lowHalf: a.raw.evenHalf, highHalf: b.raw.evenHalf)),
      Self(Raw(lowHalf: a.raw.oddHalf, highHalf: b.raw.oddHalf))
    )
  }

  @inline(__always) static func minimum(_ a: Self, _ b: Self) -> Self { select(isLess(b, a), b, a) }
  @inline(__always) static func maximum(_ a: Self, _ b: Self) -> Self { select(isLess(a, b), b, a) }
  @inline(__always) static func isLess(_ a: Self, _ b: Self) -> Mask { a.raw .< b.raw }
  @inline(__always) static func isLessOrEqual(_ a: Self, _ b: Self) -> Mask { a.raw .<= b.raw }
  @inline(__always) static func isEqual(_ a: Self, _ b: Self) -> Mask { a.raw .== b.raw }
  @inline(__always) static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self {
    Self(b.raw.replacing(with: a.raw, where: mask))
  }

  @inline(__always) static func bitAnd(_ a: Self, _ b: Self) -> Self { Self(a.bits & b.bits) }
  @inline(__always) static func bitOr(_ a: Self, _ b: Self) -> Self { Self(a.bits | b.bits) }
  @inline(__always) static func bitXor(_ a: Self, _ b: Self) -> Self { Self(a.bits ^ b.bits) }
  @inline(__always) static func addBits(_ a: Self, _ b: Self) -> Self { Self(a.bits &+ b.bits) }
  @inline(__always) static func subtractBits(_ a: Self, _ b: Self) -> Self { Self(a.bits &- b.bits) }
  @inline(__always) static func shiftBitsLeft(_ a: Self, by count: Int) -> Self {
    Self(a.bits &<< Bits(repeating: UInt32(truncatingIfNeeded: count)))
  }
  @inline(__always) static func shiftBitsRight(_ a: Self, by count: Int) -> Self {
    Self(a.bits &>> Bits(repeating: UInt32(truncatingIfNeeded: count)))
  }
}
