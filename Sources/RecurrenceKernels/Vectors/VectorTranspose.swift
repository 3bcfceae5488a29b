/// Transposition of a square block of `lanes` vectors in registers.
///
/// An element's place is a number of 2·log2(lanes) bits, row bits above column bits. Unzipping neighbouring vectors and
/// listing the even results before the odd ones rotates that number by one bit; log2(lanes) rotations exchange row and
/// column. Every step is one or two shuffles a vector.
@frozen public enum VectorTranspose<V: Vector, let lanes: Int> {
  /// Reads row i at `source + i * sourceStride`, writes column i at `destination + i * destinationStride`. All rows must
  /// be readable, all columns writable, and the regions disjoint.
  @inlinable @inline(__always)
  static func run(
    _ source: UnsafePointer<V.Scalar>, sourceStride: Int,
    to destination: UnsafeMutablePointer<V.Scalar>, destinationStride: Int
  ) {
    var block = InlineArray<lanes, V>(repeating: .zero)
    for i in 0..<lanes { block[i] = unsafe V.load(source + i &* sourceStride) }
    if lanes >= 16 { block = rotated(block) }
    if lanes >= 8 { block = rotated(block) }
    if lanes >= 4 { block = rotated(block) }
    block = rotated(block)
    for i in 0..<lanes { unsafe block[i].store(destination + i &* destinationStride) }
  }

  @inlinable @inline(__always)
  static func rotated(_ block: InlineArray<lanes, V>) -> InlineArray<lanes, V> {
    var result = block
    for i in 0..<(lanes / 2) {
      let (even, odd) = V.unzip(block[2 &* i], block[2 &* i &+ 1])
      result[i] = even
      result[lanes / 2 &+ i] = odd
    }
    return result
  }
}

extension Vector {
  /// Transposes one square block of `lanes` × `lanes`; see `VectorTranspose`.
  @inlinable @inline(__always)
  static func transpose(
    _ source: UnsafePointer<Scalar>, sourceStride: Int,
    to destination: UnsafeMutablePointer<Scalar>, destinationStride: Int
  ) {
    switch lanes {
    case 2:
      unsafe VectorTranspose<Self, 2>.run(
        source, sourceStride: sourceStride, to: destination, destinationStride: destinationStride)
    case 4:
      unsafe VectorTranspose<Self, 4>.run(
        source, sourceStride: sourceStride, to: destination, destinationStride: destinationStride)
    case 8:
      unsafe VectorTranspose<Self, 8>.run(
        source, sourceStride: sourceStride, to: destination, destinationStride: destinationStride)
    default:
      unsafe VectorTranspose<Self, 16>.run(
        source, sourceStride: sourceStride, to: destination, destinationStride: destinationStride)
    }
  }
}
