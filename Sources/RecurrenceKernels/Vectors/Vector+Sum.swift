extension Vector {
  /// Sum over lanes in a fixed tree: the upper half is added to the lower half until one lane remains.
  ///
  /// For use after a loop, not inside one: the lanes pass through memory.
  @inlinable @inline(__always)
  public func sum() -> Scalar {
    var buffer = self
    return unsafe withUnsafeMutableBytes(of: &buffer) { buffer in
      unsafe Self.sumTree(buffer.baseAddress!.assumingMemoryBound(to: Scalar.self))
    }
  }

  /// Reduces `lanes` scalars in place. Never inlined: taking lanes out of a vector in registers makes the optimiser
  /// split that vector, and everything it was computed from, into halves.
  @inlinable @inline(never)
  static func sumTree(_ lane: UnsafeMutablePointer<Scalar>) -> Scalar {
    var half = lanes / 2
    while half > 0 {
      for i in 0..<half { unsafe lane[i] += lane[half &+ i] }
      half /= 2
    }
    return unsafe lane[0]
  }

  /// The largest lane, by the same tree. A NaN may be dropped.
  @inlinable @inline(__always)
  public func maximum() -> Scalar {
    var buffer = self
    return unsafe withUnsafeMutableBytes(of: &buffer) { buffer in
      unsafe Self.maximumTree(buffer.baseAddress!.assumingMemoryBound(to: Scalar.self))
    }
  }

  @inlinable @inline(never)
  static func maximumTree(_ lane: UnsafeMutablePointer<Scalar>) -> Scalar {
    var half = lanes / 2
    while half > 0 {
      for i in 0..<half where unsafe lane[half &+ i] > lane[i] { unsafe lane[i] = lane[half &+ i] }
      half /= 2
    }
    return unsafe lane[0]
  }
}
