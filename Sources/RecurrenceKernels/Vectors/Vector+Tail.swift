// Partial loads and stores, written without masks so that one body serves every instruction set. The copy goes
// through a vector-sized buffer by `memmove`: taking the count apart into powers of two looks faster, but lets the
// optimiser split the buffer, and with it every vector operation that follows, into 8-byte pieces.

extension Vector {
  @inlinable @inline(__always)
  public static func load(_ source: UnsafePointer<Scalar>, count: Int) -> Self {
    if count == lanes { return unsafe load(source) }
    var buffer = Self.zero
    unsafe withUnsafeMutableBytes(of: &buffer) { buffer in
      unsafe buffer.baseAddress!.copyMemory(
        from: UnsafeRawPointer(source), byteCount: count &* MemoryLayout<Scalar>.stride)
    }
    return buffer
  }

  @inlinable @inline(__always)
  public func store(_ destination: UnsafeMutablePointer<Scalar>, count: Int) {
    if count == Self.lanes { return unsafe store(destination) }
    unsafe withUnsafeBytes(of: self) { buffer in
      unsafe UnsafeMutableRawPointer(destination).copyMemory(
        from: buffer.baseAddress!, byteCount: count &* MemoryLayout<Scalar>.stride)
    }
  }
}
