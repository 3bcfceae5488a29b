import CProcessor
import RecurrenceKernels

/// The one owner of memory: `count` scalars at a 64-byte boundary, zero at first, freed with the owner; or borrowed.
///
/// Alignment is that of a cache line and of the widest vector. The allocation is rounded up to whole cache lines, so
/// that two buffers never share one.
@safe public struct AlignedBuffer<Scalar: KernelScalar>: ~Copyable, @unchecked Sendable {
  public let count: Int
  private let base: UnsafeMutablePointer<Scalar>
  private let isOwner: Bool

  public static var alignment: Int { kernelAlignment }

  /// Traps with a sentence where `count` is negative or overflows.
  public init(count: Int) {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Scalar>.stride)
    guard count >= 0, !overflow, bytes <= Int.max - Self.alignment else {
      fatalError("aligned buffer: the count must be from 0 to what memory can hold, got \(count)")
    }
    let rounded = max(Self.alignment, (bytes + Self.alignment - 1) / Self.alignment * Self.alignment)
    let raw = unsafe Self.allocate(rounded)
    unsafe recurrence_set_bytes(raw, 0, UInt64(rounded))
    unsafe base = raw.bindMemory(to: Scalar.self, capacity: rounded / MemoryLayout<Scalar>.stride)
    self.count = count
    isOwner = true
  }

  /// Large memory begins with a large page: weights beyond the caches, read from end to end, cost fewer page walks. Its end,
  /// where it is no whole page, is left to small ones, which take no more than is used.
  private static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
    if bytes < 2 * hugePage { return UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: alignment) }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: hugePage)
    unsafe recurrence_advise_huge_pages(raw, UInt64(bytes / hugePage * hugePage))
    return unsafe raw
  }

  private static var hugePage: Int { 2 << 20 }

  /// Memory of somebody else's, which must stay valid, and be used by nobody else, while this lives. It is not cleared.
  ///
  /// Traps with a sentence where it is shorter than `count` or not aligned.
  @unsafe init(borrowing memory: UnsafeMutableBufferPointer<Scalar>, count: Int) {
    guard let start = memory.baseAddress, memory.count >= count else {
      fatalError("memory: expected at least \(count) elements, got \(memory.count)")
    }
    guard Int(bitPattern: start) % Self.alignment == 0 else {
      fatalError(
        "memory: expected a \(Self.alignment)-byte aligned buffer, got one at 0x\(String(UInt(bitPattern: start), radix: 16))"
      )
    }
    unsafe base = start
    self.count = count
    isOwner = false
  }

  deinit { if isOwner { unsafe UnsafeMutableRawPointer(base).deallocate() } }

  /// The memory itself, valid while this buffer lives.
  @unsafe public var unsafePointer: UnsafeMutablePointer<Scalar> { unsafe base }

  public subscript(index: Int) -> Scalar {
    get {
      check(index)
      return unsafe base[index]
    }
    set {
      check(index)
      unsafe base[index] = newValue
    }
  }

  // `precondition` keeps its sentence to itself in release builds.
  private func check(_ index: Int) {
    if index < 0 || index >= count { fatalError("aligned buffer: index \(index) is outside 0..<\(count)") }
  }
}

/// Sets numbers to zero. As bytes: where code is not specialised, `update(repeating:)` goes from element to element.
func clear<Scalar: KernelScalar>(_ buffer: UnsafeMutableBufferPointer<Scalar>) {
  unsafe setBytes(buffer, 0)
}

/// Sets numbers to NaN.
func poison<Scalar: KernelScalar>(_ buffer: UnsafeMutableBufferPointer<Scalar>) {
  unsafe setBytes(buffer, 0xff)
}

private func setBytes<Scalar: KernelScalar>(_ buffer: UnsafeMutableBufferPointer<Scalar>, _ value: UInt8) {
  guard let start = buffer.baseAddress else { return }
  unsafe recurrence_set_bytes(start, value, UInt64(buffer.count * MemoryLayout<Scalar>.stride))
}
