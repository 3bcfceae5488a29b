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
    let (end, overflow) = count.addingReportingOverflow((size + 15) / 16 * 16)
    if overflow || end > Int.max / 16 { fatalError("workspace: \(elements) elements overflow the address space") }
    count = end
    return start
  }
}
