import RecurrenceKernels

extension TransposedProductOperands {
  /// Splits C, by rows or, where there are more of them, by columns, and calls `body(part, rows, columns)` for each part,
  /// on `threads` threads at most. Sums are not split, so that no bit of C depends on the number of parts.
  ///
  /// - Parameter smallestSplit: multiply-adds below which all is one part, on the caller's thread.
  func inParts(
    threads: Int, smallestSplit: Double, _ body: @Sendable (Int, Range<Int>, Range<Int>) -> Void
  ) {
    let (m, n) = unsafe (c.rows, c.columns)
    let threads = unsafe usefulThreads(threads, m, n, a.rows, smallestSplit: smallestSplit)
    let parts = min(threads, max(m, n))
    nonisolated(unsafe) let operands = unsafe self
    concurrentParts(parts) { part in
      guard let share = unsafe operands.share(part, of: parts) else { return }
      body(part, share.rows, share.columns)
    }
  }

  /// The rows and columns of C that one of `parts` parts computes; nil where there are more parts than rows and columns.
  func share(_ part: Int, of parts: Int) -> (rows: Range<Int>, columns: Range<Int>)? {
    let (m, n) = unsafe (c.rows, c.columns)
    let split = EvenSplit(max(m, n), parts: min(parts, max(m, n)))
    if part >= split.parts { return nil }
    return m >= n ? (split.range(part), 0..<n) : (0..<m, split.range(part))
  }
}

/// `threads`, or one for a product of too few multiply-adds to gain.
func usefulThreads(_ threads: Int, _ m: Int, _ n: Int, _ k: Int, smallestSplit: Double) -> Int {
  Double(m) * Double(n) * Double(k) < smallestSplit ? 1 : threads
}

/// The columns of a matrix that one of `parts` parts sums: whole cache lines of 16 Floats, so that no two parts write to one.
func columnShare(_ part: Int, of parts: Int, columns: Int) -> Range<Int> {
  let lines = EvenSplit((columns + 15) / 16, parts: parts).range(part)
  return min(lines.lowerBound * 16, columns)..<min(lines.upperBound * 16, columns)
}
