/// A few planes of the same kind, one value each: a unit's gates, its states, its parameters.
///
/// A plane is a quantity that every unit has. Inside a cell's equations, `planes[p]` is that quantity for the unit (or
/// the vector of units) at hand.
@frozen public struct Planes<V: PointwiseValue> {
  @usableFromInline var p0, p1, p2, p3, p4, p5, p6, p7: V

  /// Most planes of one kind.
  @inlinable @inline(__always) public static var capacity: Int { 8 }

  /// The planes in order; those left out are zero.
  @inlinable @inline(__always)
  public init(
    _ p0: V = 0, _ p1: V = 0, _ p2: V = 0, _ p3: V = 0, _ p4: V = 0, _ p5: V = 0, _ p6: V = 0, _ p7: V = 0
  ) {
    (self.p0, self.p1, self.p2, self.p3) = (p0, p1, p2, p3)
    (self.p4, self.p5, self.p6, self.p7) = (p4, p5, p6, p7)
  }

  /// Plane p = `make(p)` for p < count; the others are zero. Written out, so that with a constant count nothing is
  /// left to decide.
  @inlinable @inline(__always)
  public init(count: Int, _ make: (Int) -> V) {
    p0 = count > 0 ? make(0) : 0
    p1 = count > 1 ? make(1) : 0
    p2 = count > 2 ? make(2) : 0
    p3 = count > 3 ? make(3) : 0
    p4 = count > 4 ? make(4) : 0
    p5 = count > 5 ? make(5) : 0
    p6 = count > 6 ? make(6) : 0
    p7 = count > 7 ? make(7) : 0
  }

  /// Calls `body` for the first `count` planes.
  @inlinable @inline(__always)
  public func forEach(count: Int, _ body: (Int, V) -> Void) {
    if count > 0 { body(0, p0) }
    if count > 1 { body(1, p1) }
    if count > 2 { body(2, p2) }
    if count > 3 { body(3, p3) }
    if count > 4 { body(4, p4) }
    if count > 5 { body(5, p5) }
    if count > 6 { body(6, p6) }
    if count > 7 { body(7, p7) }
  }

  @inlinable @inline(__always)
  public subscript(plane: Int) -> V {
    get {
      switch plane {
      case 0: p0
      case 1: p1
      case 2: p2
      case 3: p3
      case 4: p4
      case 5: p5
      case 6: p6
      case 7: p7
      default: planeFailure(plane)
      }
    }
    set {
      switch plane {
      case 0: p0 = newValue
      case 1: p1 = newValue
      case 2: p2 = newValue
      case 3: p3 = newValue
      case 4: p4 = newValue
      case 5: p5 = newValue
      case 6: p6 = newValue
      case 7: p7 = newValue
      default: planeFailure(plane)
      }
    }
  }
}

@usableFromInline @inline(never)
func planeFailure(_ plane: Int) -> Never {
  fatalError("plane: expected 0..<8, got \(plane)")
}
