import Synchronization

/// Where results go so that the optimiser must compute them, and where operands come from so that it must read them
/// again.
///
/// A timed loop whose result nobody uses may be deleted, and a call whose operands do not change may be made once and
/// its result reused. Two independent facts forbid both here:
///
/// - **The memory model.** `consume` stores to an atomic that any other thread may read. The stored bits depend on the
///   result, so the result must exist; the store happens in every sample, so it must be computed in every sample.
/// - **Opacity.** The functions are never inlined and never optimised (`optnone` in LLVM's terms), and LLVM infers
///   nothing about such functions: neither that they leave memory alone nor that `opaque` returns its argument. After
///   `opaque(pointer)` the optimiser must assume that the pointer is another one, that somebody else knows its address,
///   and that what it points to has been rewritten. A load or a call on it cannot leave the loop.
///
/// Either would do today. Relying on both means that a cleverer compiler must break two things before a number lies.
///
/// A call costs two or three nanoseconds. It is made once per call of a kernel, the shortest of which takes 100 ns.
enum BlackHole {
  private static let sink = Atomic<UInt64>(0)

  /// Takes a result. Summing the results of many calls and giving up the sum once keeps all of them alive.
  @inline(never) @_optimize(none)
  static func consume(_ value: Double) { sink.store(value.bitPattern, ordering: .relaxed) }

  /// The same pointer, which the optimiser cannot know.
  @unsafe @inline(never) @_optimize(none)
  static func opaque(_ pointer: UnsafeRawPointer) -> UnsafeRawPointer {
    sink.store(UInt64(UInt(bitPattern: pointer)), ordering: .relaxed)
    return unsafe pointer
  }

  /// The same number, which the optimiser cannot know.
  @inline(never) @_optimize(none)
  static func opaque(_ number: Int) -> Int {
    sink.store(UInt64(bitPattern: Int64(number)), ordering: .relaxed)
    return number
  }

  /// The same number, which the optimiser cannot know.
  @inline(never) @_optimize(none)
  static func opaque(_ number: Double) -> Double {
    sink.store(number.bitPattern, ordering: .relaxed)
    return number
  }

  /// The same memory, of which the optimiser must assume that its address is known elsewhere and its content changed.
  @unsafe @inline(__always)
  static func opaque<Scalar>(_ pointer: UnsafeMutablePointer<Scalar>) -> UnsafePointer<Scalar> {
    unsafe opaque(UnsafeRawPointer(pointer)).assumingMemoryBound(to: Scalar.self)
  }
}
