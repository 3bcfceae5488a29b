import AllocationCounter
import Testing

/// Whether calls to the allocator can be counted, and mean something. Says so on standard error where not.
enum AllocationCounting {
  static let isPossible: Bool = {
    guard allocation_counter_is_available() else {
      let why = unsafe String(cString: allocation_counter_absence())
      SuiteSettings.announce("ALLOCATIONS ARE NOT COUNTED: \(why)")
      return false
    }
    #if DEBUG
    SuiteSettings.announce("ALLOCATIONS ARE NOT COUNTED: a debug build allocates where the optimiser would not")
    return false
    #else
    return true
    #endif
  }()

  /// The first call of the last count: addresses for `llvm-symbolizer -e FILE OFFSET`.
  static var first: String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { text in
      unsafe allocation_counter_describe_first(text.baseAddress!, text.count)
      return unsafe String(cString: text.baseAddress!)
    }
  }
}

/// Runs passes and counts what they allocate.
protocol AllocationMeter {
  /// Runs a pass often enough that it has all it keeps, then counts while it runs again.
  mutating func measure(_ pass: () -> String, _ body: () throws -> Void) rethrows
}

/// Counts the calls of the thread that runs the passes; other tests may run meanwhile. Expects none.
struct ThreadAllocationMeter: AllocationMeter {
  private(set) var passes = 0

  mutating func measure(_ pass: () -> String, _ body: () throws -> Void) rethrows {
    try body()
    allocation_counter_start_thread()
    do {
      for _ in 0..<3 { try body() }
    } catch {
      _ = allocation_counter_stop_thread()
      throw error
    }
    let calls = allocation_counter_stop_thread()
    passes += 1
    if calls > 0 {
      Issue.record(
        "\(pass()): \(calls) calls of the allocator in 3 passes, the first from\n\(AllocationCounting.first)")
    }
  }
}

/// Counts the calls of all threads, those made inside Dispatch apart. For a process that runs nothing else.
struct ProcessAllocationMeter: AllocationMeter {
  /// Passes counted.
  private(set) var passes = 0
  private(set) var dispatch: UInt64 = 0
  private(set) var others: UInt64 = 0
  /// What was found in the program itself, as sentences.
  private(set) var findings: [String] = []

  mutating func measure(_ pass: () -> String, _ body: () throws -> Void) rethrows {
    for _ in 0..<2 { try body() }
    allocation_counter_start_process()
    do {
      for _ in 0..<8 { try body() }
    } catch {
      _ = allocation_counter_stop_process()
      throw error
    }
    let origins = allocation_counter_stop_process()
    passes += 8
    dispatch += origins.dispatch
    others += origins.others
    if origins.program > 0 {
      findings.append(
        "\(pass()): \(origins.program) calls of the allocator in 8 passes, the first from\n\(AllocationCounting.first)")
    }
  }
}
