import RecurrenceKernels

/// Plans one allocation for many arrays, each starting at a cache line.
struct SlabPlan<Scalar: RecurrenceScalar> {
  private(set) var count = 0

  /// Space for a·b·c·d elements; returns where it begins. Traps with a sentence where the whole overflows.
  mutating func reserve(_ a: Int, _ b: Int = 1, _ c: Int = 1, _ d: Int = 1) -> Int {
    let start = count
    let size = product(a, b, c, d)
    if start > Int.max / 32 { overflows(a, b, c, d) }
    count = start + (size + 15) / 16 * 16
    return start
  }

  /// a·b·c·d. Traps with a sentence where that is more than memory can hold, or a size is negative.
  func product(_ a: Int, _ b: Int = 1, _ c: Int = 1, _ d: Int = 1) -> Int {
    let (ab, overflow) = a.multipliedReportingOverflow(by: b)
    let (abc, overflow2) = ab.multipliedReportingOverflow(by: c)
    let (size, overflow3) = abc.multipliedReportingOverflow(by: d)
    let isTooLarge = overflow || overflow2 || overflow3 || size > Int.max / 32
    if isTooLarge || min(a, b, c, d) < 0 { overflows(a, b, c, d) }
    return size
  }

  private func overflows(_ a: Int, _ b: Int, _ c: Int, _ d: Int) -> Never {
    fatalError("workspace: \(a) × \(b) × \(c) × \(d) elements overflow the address space")
  }
}
