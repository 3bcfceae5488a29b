import AllocationCounter
import Foundation
import Recurrence
import Testing

/// Once memory is made, passes allocate nothing: not with one thread, and with several only what Dispatch needs to start
/// them.
@Suite(
  "Allocations", .serialized,
  .enabled(if: AllocationCounting.isPossible, "allocations cannot be counted here, see standard error"))
struct AllocationTests {
  /// A counter that saw nothing would pass every other test.
  @Test("the counter sees every function of the allocator, of this thread alone")
  func counterCounts() {
    let counted: [(String, () -> Void)] = [
      ("malloc", { unsafe free(kept(malloc(100))) }),
      ("calloc", { unsafe free(kept(calloc(10, 10))) }),
      ("realloc", { unsafe free(kept(realloc(nil, 100))) }),
      ("aligned_alloc", { unsafe free(kept(aligned_alloc(64, 128))) }),
      (
        "posix_memalign",
        {
          var memory: UnsafeMutableRawPointer?
          _ = unsafe posix_memalign(&memory, 64, 100)
          unsafe free(kept(memory))
        }
      ),
      ("valloc", { unsafe free(kept(valloc(100))) }),
      (
        "aligned memory", { unsafe kept(UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 64))?.deallocate() }
      ),
      ("an object", { withExtendedLifetime(makeSomething()) {} }),
    ]
    for (name, body) in counted {
      allocation_counter_start_thread()
      body()
      let calls = allocation_counter_stop_thread()
      #expect(calls == 1, "\(name)")
    }
    let other = Thread { for _ in 0..<1000 { unsafe free(kept(malloc(100))) } }
    allocation_counter_start_thread()
    other.start()
    while !other.isFinished { usleep(1000) }
    #expect(allocation_counter_stop_thread() < 1000, "calls of another thread were counted")
  }

  @Test("one thread: none at all", arguments: CountedCell.allCases)
  func oneThread(_ cell: CountedCell) throws {
    var floats = SteadyVisitor<Float, _>(kernels: Kernels.supported, threads: 1, meter: ThreadAllocationMeter())
    try cell.accept(&floats)
    var doubles = SteadyVisitor<Double, _>(kernels: Kernels.supported, threads: 1, meter: ThreadAllocationMeter())
    try cell.accept(&doubles)
    #expect(floats.meter.passes > 0 && doubles.meter.passes > 0)
  }

  /// In a process of its own: whatever is set up at first use must have been set up with the stream.
  @Test(
    "the first step of a process: none",
    .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
  func firstStep() async {
    await #expect(processExitsWith: .success) {
      let stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: 40, layers: 2)
      var stream = stack.makeStream()
      var outputs = [Float](repeating: 0, count: 40)
      let input: [Float] = [1, 2, 3]
      allocation_counter_start_thread()
      try stack.step(input, into: &outputs, stream: &stream)
      let calls = allocation_counter_stop_thread()
      if calls != 0 { fatalError("\(calls) calls of the allocator in the first step") }
    }
  }

  /// In a process of its own, where nothing else allocates: all its threads are counted.
  @Test(
    "two threads: none outside Dispatch",
    .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"),
    arguments: CountedCell.allCases)
  func twoThreads(_ cell: CountedCell) async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      [cell = cell as CountedCell] in
      allocation_counter_start_process()
      concurrentParts(4) { _ in unsafe free(kept(malloc(100))) }
      let seen = allocation_counter_stop_process()
      if seen.program != 4 { fatalError("the counter saw \(seen.program) of the program's 4 calls") }
      var floats = SteadyVisitor<Float, _>(kernels: [.selected], threads: 2, meter: ProcessAllocationMeter())
      try cell.accept(&floats)
      var doubles = SteadyVisitor<Double, _>(kernels: [.selected], threads: 2, meter: ProcessAllocationMeter())
      try cell.accept(&doubles)
      let meters = [floats.meter, doubles.meter]
      let findings = meters.flatMap(\.findings)
      let (dispatch, others) = (meters.map(\.dispatch).reduce(0, +), meters.map(\.others).reduce(0, +))
      let passes = meters.map(\.passes).reduce(0, +)
      SuiteSettings.announce(
        "\(cell.rawValue), two threads, \(passes) passes: \(findings.count) kinds of pass allocate in our modules;"
          + " \(dispatch) allocations inside Dispatch, \(others) of other threads")
      for finding in findings.prefix(5) { SuiteSettings.announce(finding) }
      if !findings.isEmpty || passes == 0 { exit(EXIT_FAILURE) }
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    FileHandle.standardError.write(Data(text.utf8))
    #expect(text.contains("allocations inside Dispatch"))
  }
}

/// Something on the heap.
private final class Something {}
@inline(never) @_optimize(none) private func makeSomething() -> Something { Something() }

/// Memory that the optimiser must believe in.
@inline(never) @_optimize(none)
@unsafe private func kept(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? { unsafe memory }
