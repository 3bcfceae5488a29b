import RecurrenceKernels

/// Plans one allocation for many arrays, each starting at a cache line.
struct SlabPlan<Scalar: RecurrenceScalar> {
  private(set) var count = 0

  /// Space for `elements`; returns where it begins. Traps with a sentence where the whole overflows.
  mutating func reserve(_ elements: Int...) -> Int {
    let start = count
    var size = 1
    for factor in elements {
      let (product, overflow) = size.multipliedReportingOverflow(by: factor)
      if overflow || factor < 0 { fatalError("workspace: \(elements) elements overflow the address space") }
      size = product
    }
    // Both are at most a sixteenth of all integers: neither the sum nor its bytes overflow.
    if size > Int.max / 16 || count > Int.max / 16 - size {
      fatalError("workspace: \(elements) elements overflow the address space")
    }
    count += (size + 15) / 16 * 16
    return start
  }
}
