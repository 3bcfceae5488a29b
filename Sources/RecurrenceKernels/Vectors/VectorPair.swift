/// Two registers as one vector of twice the lanes: every operation is done on one and then on the other.
///
/// A processor looks a hundred operations ahead. Long chains, one after the other, fill that with operations that wait; two
/// chains in step keep both of its ports busy. Bits are those of the registers alone.
@frozen public struct VectorPair<V: Vector>: Vector {
  public typealias Scalar = V.Scalar
  @frozen public struct Mask: Sendable {
    @usableFromInline let a, b: V.Mask
    @inlinable @inline(__always) init(_ a: V.Mask, _ b: V.Mask) {
      self.a = a
      self.b = b
    }
  }

  @usableFromInline let a, b: V
  @inlinable @inline(__always) init(_ a: V, _ b: V) {
    self.a = a
    self.b = b
  }

  @inlinable @inline(__always) public static var lanes: Int { 2 &* V.lanes }
  /// Of these pairs, half as many as of their halves.
  @inlinable @inline(__always) public static var registers: Int { V.registers / 2 }

  @inlinable @inline(__always) public init(repeating value: Scalar) {
    self.init(V(repeating: value), V(repeating: value))
  }
  @inlinable @inline(__always) public init(repeatingBits bits: UInt64) {
    self.init(V(repeatingBits: bits), V(repeatingBits: bits))
  }

  @inlinable @inline(__always) public static func load(_ source: UnsafePointer<Scalar>) -> Self {
    unsafe Self(V.load(source), V.load(source + V.lanes))
  }
  @inlinable @inline(__always) public func store(_ destination: UnsafeMutablePointer<Scalar>) {
    unsafe a.store(destination)
    unsafe b.store(destination + V.lanes)
  }
  @inlinable @inline(__always)
  public static func load(_ source: UnsafePointer<Scalar>, count: Int) -> Self {
    let first = min(count, V.lanes)
    return unsafe Self(V.load(source, count: first), V.load(source + first, count: count &- first))
  }
  @inlinable @inline(__always)
  public func store(_ destination: UnsafeMutablePointer<Scalar>, count: Int) {
    let first = min(count, V.lanes)
    unsafe a.store(destination, count: first)
    unsafe b.store(destination + first, count: count &- first)
  }

  /// An operation on each of the registers.
  @inlinable @inline(__always) static func each(_ x: Self, _ f: (V) -> V) -> Self { Self(f(x.a), f(x.b)) }
  @inlinable @inline(__always) static func each(_ x: Self, _ y: Self, _ f: (V, V) -> V) -> Self {
    Self(f(x.a, y.a), f(x.b, y.b))
  }
  @inlinable @inline(__always) static func each(_ x: Self, _ y: Self, _ f: (V, V) -> V.Mask) -> Mask {
    Mask(f(x.a, y.a), f(x.b, y.b))
  }

  @inlinable @inline(__always) public static func + (x: Self, y: Self) -> Self { each(x, y) { $0 + $1 } }
  @inlinable @inline(__always) public static func - (x: Self, y: Self) -> Self { each(x, y) { $0 - $1 } }
  @inlinable @inline(__always) public static func * (x: Self, y: Self) -> Self { each(x, y) { $0 * $1 } }
  @inlinable @inline(__always) public static func / (x: Self, y: Self) -> Self { each(x, y) { $0 / $1 } }
  @inlinable @inline(__always) public static var isFused: Bool { V.isFused }
  @inlinable @inline(__always) public static func multiplyAdd(_ x: Self, _ y: Self, _ z: Self) -> Self {
    Self(V.multiplyAdd(x.a, y.a, z.a), V.multiplyAdd(x.b, y.b, z.b))
  }
  @inlinable @inline(__always) public static func squareRoot(_ x: Self) -> Self { each(x) { V.squareRoot($0) } }

  @inlinable @inline(__always) public static func minimum(_ x: Self, _ y: Self) -> Self {
    each(x, y) { V.minimum($0, $1) }
  }
  @inlinable @inline(__always) public static func maximum(_ x: Self, _ y: Self) -> Self {
    each(x, y) { V.maximum($0, $1) }
  }
  @inlinable @inline(__always) public static func isLess(_ x: Self, _ y: Self) -> Mask {
    each(x, y) { V.isLess($0, $1) }
  }
  @inlinable @inline(__always) public static func isLessOrEqual(_ x: Self, _ y: Self) -> Mask {
    each(x, y) { V.isLessOrEqual($0, $1) }
  }
  @inlinable @inline(__always) public static func isEqual(_ x: Self, _ y: Self) -> Mask {
    each(x, y) { V.isEqual($0, $1) }
  }
  @inlinable @inline(__always) public static func select(_ mask: Mask, _ x: Self, _ y: Self) -> Self {
    Self(V.select(mask.a, x.a, y.a), V.select(mask.b, x.b, y.b))
  }

  @inlinable @inline(__always) public static func unzip(_ x: Self, _ y: Self) -> (even: Self, odd: Self) {
    let (first, second) = (V.unzip(x.a, x.b), V.unzip(y.a, y.b))
    return (Self(first.even, second.even), Self(first.odd, second.odd))
  }

  @inlinable @inline(__always) public static func bitAnd(_ x: Self, _ y: Self) -> Self {
    each(x, y) { V.bitAnd($0, $1) }
  }
  @inlinable @inline(__always) public static func bitOr(_ x: Self, _ y: Self) -> Self {
    each(x, y) { V.bitOr($0, $1) }
  }
  @inlinable @inline(__always) public static func bitXor(_ x: Self, _ y: Self) -> Self {
    each(x, y) { V.bitXor($0, $1) }
  }
  @inlinable @inline(__always) public static func addBits(_ x: Self, _ y: Self) -> Self {
    each(x, y) { V.addBits($0, $1) }
  }
  @inlinable @inline(__always) public static func subtractBits(_ x: Self, _ y: Self) -> Self {
    each(x, y) { V.subtractBits($0, $1) }
  }
  @inlinable @inline(__always) public static func shiftBitsLeft(_ x: Self, by count: Int) -> Self {
    each(x) { V.shiftBitsLeft($0, by: count) }
  }
  @inlinable @inline(__always) public static func shiftBitsRight(_ x: Self, by count: Int) -> Self {
    each(x) { V.shiftBitsRight($0, by: count) }
  }
}
