import Foundation

/// A fault put into the harness on purpose, to prove that it would be seen: RECURRENCE_FUZZ_PLANT names it. None of it is
/// in what is fuzzed.
struct Plant: Sendable {
  private enum Fault: String {
    case claim, trap, overflow, leak, hang, memory, slow
  }

  private let fault: Fault?
  /// Strikes after so many inputs: later than what is tried to begin with.
  private static let delay = 200
  nonisolated(unsafe) private static var inputs = 0
  nonisolated(unsafe) private static var kept: UnsafeMutablePointer<Int>?

  init() {
    let name = ProcessInfo.processInfo.environment["RECURRENCE_FUZZ_PLANT"]
    fault = name.flatMap(Fault.init)
    if let name, fault == nil { fatalError("RECURRENCE_FUZZ_PLANT: expected the name of a fault, got \(name)") }
  }

  func strike() {
    guard let fault else { return }
    unsafe Self.inputs += 1
    // For a few inputs to take their time.
    if fault == .slow { usleep(1_000_000) }
    if unsafe Self.inputs < Self.delay { return }
    switch fault {
    case .claim: Fuzzer.claim(unsafe Self.inputs < Self.delay, "a planted one")
    case .trap:
      let none: [Int] = []
      print(none[unsafe Self.inputs])
    case .overflow: overflow()
    case .leak: leak()
    case .hang: while unsafe Self.inputs > 0 { usleep(1000) }
    case .memory: unsafe Self.kept = UnsafeMutablePointer.allocate(capacity: 1 << 28)
    case .slow: break
    }
  }

  @inline(never)
  private func overflow() {
    let count = unsafe Self.inputs
    let memory = UnsafeMutablePointer<Int>.allocate(capacity: count)
    unsafe memory.initialize(repeating: 1, count: count)
    unsafe print(memory[count])
    unsafe memory.deallocate()
  }

  @inline(never)
  private func leak() {
    unsafe Self.kept = UnsafeMutablePointer.allocate(capacity: 1000)
    unsafe Self.kept!.initialize(repeating: 1, count: 1000)
    unsafe Self.kept = nil
  }
}
