// Checks at the entries of kernels. The conditions are inlined, the sentences are not. `fatalError`, not
// `precondition`: kernel modules are compiled with `-Ounchecked`, which deletes preconditions and takes what they say
// for granted.

/// Bytes to which packed weights and scratch memory are aligned: a cache line, and the widest vector.
@inlinable @inline(__always) public var kernelAlignment: Int { 64 }

@inlinable @inline(__always)
func checkRange(_ range: Range<Int>, within count: Int, _ name: StaticString) {
  if range.lowerBound < 0 || range.upperBound > count || range.lowerBound > range.upperBound {
    rangeFailure(range.lowerBound, range.upperBound, count, name)
  }
}

@inlinable @inline(__always)
func checkAlignment(_ pointer: UnsafeRawPointer, _ name: StaticString) {
  if UInt(bitPattern: pointer) % UInt(kernelAlignment) != 0 {
    alignmentFailure(UInt(bitPattern: pointer), name)
  }
}

@inlinable @inline(__always)
func checkEqual(_ actual: Int, _ expected: Int, _ name: StaticString, _ source: StaticString) {
  if actual != expected { equalityFailure(actual, expected, name, source) }
}

@inlinable @inline(__always)
func checkCount(_ count: Int) {
  if count < 0 { countFailure(count) }
}

@usableFromInline @inline(never)
func countFailure(_ count: Int) -> Never {
  fatalError("count: expected at least 0, got \(count)")
}

@usableFromInline @inline(never)
func rangeFailure(_ lower: Int, _ upper: Int, _ count: Int, _ name: StaticString) -> Never {
  fatalError("\(name): expected a range within 0..<\(count), got \(lower)..<\(upper)")
}

@usableFromInline @inline(never)
func rowsFailure(_ row: Int, _ count: Int, _ all: Int) -> Never {
  fatalError("rows: expected at most \(all) in all, got \(count) from \(row) on")
}

@usableFromInline @inline(never)
func stepsFailure(_ count: Int) -> Never {
  fatalError("steps: expected at least 1, got \(count)")
}

@usableFromInline @inline(never)
func chainsFailure(_ chains: Int, _ depth: Int, _ most: Int) -> Never {
  fatalError("chains: expected equal parts of at most \(most), got \(chains) parts of \(depth)")
}

@usableFromInline @inline(never)
func inPlaceFailure(_ columns: Int, _ stride: Int, _ lanes: Int) -> Never {
  fatalError(
    "weights that are not packed: expected whole vectors of \(lanes) columns, and a stride of no less, got \(columns) and "
      + "\(stride)")
}

@usableFromInline @inline(never)
func inPlaceChainsFailure(_ chains: Int, _ rows: Int) -> Never {
  fatalError(
    "weights that are not packed: expected one row, or sums of one chain, got \(rows) rows of \(chains) chains")
}

@usableFromInline @inline(never)
func startFailure() -> Never {
  fatalError("start: expected .bias, which is zero here, or .accumulate, got .add")
}

@usableFromInline @inline(never)
func projectionFailure() -> Never {
  fatalError("projection: expected the product that steps begin with, got none")
}

@usableFromInline @inline(never)
func panelFailure(_ row: Int, _ width: Int) -> Never {
  fatalError("row: expected the first of a panel of \(width), got \(row)")
}

@usableFromInline @inline(never)
func alignmentFailure(_ address: UInt, _ name: StaticString) -> Never {
  fatalError("\(name): expected a \(kernelAlignment)-byte aligned pointer, got 0x\(String(address, radix: 16))")
}

@usableFromInline @inline(never)
func equalityFailure(_ actual: Int, _ expected: Int, _ name: StaticString, _ source: StaticString) -> Never {
  fatalError("\(name): expected \(expected) (\(source)), got \(actual)")
}
