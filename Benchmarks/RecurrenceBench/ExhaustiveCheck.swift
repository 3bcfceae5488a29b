// Checks an activation function on every one of the 2³² floats.
//
// The reference is the platform's mathematics library in double precision; its own error, about one double ulp, is
// 2⁻²⁹ of the unit in which errors are counted here. That unit is the spacing of floats at the reference value, and
// the spacing of subnormals, 2⁻¹⁴⁹, below the normal range. +∞ counts as 2¹²⁸.
//
// All variants of a function are checked in one pass, because the reference takes most of the time.

import Recurrence

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What is to hold besides accuracy.
struct FunctionLaws: Sendable {
  /// f(−x) = −f(x), bit for bit.
  var isOdd = false
  /// Finite and infinite arguments give results in this range.
  var range: ClosedRange<Float> = -Float.infinity...Float.infinity
  /// Arguments around which f must not decrease, not even by an ulp: clamps, and the seams of a case distinction.
  var seams: [Float] = [0, .infinity, -.infinity]
  /// Exact results.
  var values: [(x: Float, y: Float)] = []
}

/// One implementation: output[i] = f(input[i]) for 0 ≤ i < count.
@safe struct FunctionVariant: Sendable {
  var name: String
  var evaluate: @Sendable (UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
}

/// What was found, for one variant. A correct function has a small `maximumUlp`, `largestDrop` ≤ 1, and no violations.
struct ExhaustiveReport: Sendable, CustomStringConvertible {
  var function: String
  var variant: String
  /// Greatest error over all arguments that are not NaN, and where.
  var maximumUlp = 0.5
  var worst: Float = 0
  /// Greatest error where the result is subnormal.
  var maximumSubnormalUlp = 0.0
  /// f(x) − f(next x) in ulps where positive: the greatest, where, and how often.
  var largestDrop = 0
  var dropAt: Float = 0
  var drops = 0
  /// NaN given where none was due, or not given where it was.
  var nanViolations = 0
  var oddViolations = 0
  var rangeViolations = 0
  var seamViolations = 0
  var valueViolations = 0
  /// Results that differ from the first variant's.
  var differences = 0

  /// Whether everything holds: the error, order to within an ulp everywhere and exactly around seams, and the laws.
  func passes(maximumUlp limit: Double) -> Bool {
    maximumUlp <= limit && maximumSubnormalUlp <= limit && largestDrop <= 1 && nanViolations == 0 && oddViolations == 0
      && rangeViolations == 0 && seamViolations == 0 && valueViolations == 0
  }

  mutating func merge(_ other: ExhaustiveReport) {
    if other.maximumUlp > maximumUlp { (maximumUlp, worst) = (other.maximumUlp, other.worst) }
    maximumSubnormalUlp = max(maximumSubnormalUlp, other.maximumSubnormalUlp)
    if other.largestDrop > largestDrop { (largestDrop, dropAt) = (other.largestDrop, other.dropAt) }
    drops += other.drops
    nanViolations += other.nanViolations
    oddViolations += other.oddViolations
    rangeViolations += other.rangeViolations
    seamViolations += other.seamViolations
    valueViolations += other.valueViolations
    differences += other.differences
  }

  var description: String {
    func rounded(_ x: Double) -> String { "\((x * 1000).rounded() / 1000)" }
    return
      "\(function) [\(variant)]: max \(rounded(maximumUlp)) ulp at \(worst) (0x\(String(worst.bitPattern, radix: 16)))"
      + ", subnormal results \(rounded(maximumSubnormalUlp))"
      + "; largest drop \(largestDrop) ulp at \(dropAt), \(drops) drops"
      + "; violations: NaN \(nanViolations), odd \(oddViolations), range \(rangeViolations), seams \(seamViolations)"
      + ", values \(valueViolations); differs from first variant: \(differences)"
  }
}

/// Checks several implementations of one function on all floats, and counts the results in which they differ.
///
/// The order of work is fixed: 4,096 chunks of 2²⁰ consecutive bit patterns; reports merge in that order, so that the
/// outcome does not depend on the number of threads.
func exhaustiveCheck(
  name: String, laws: FunctionLaws = FunctionLaws(), variants: [FunctionVariant],
  reference: @escaping @Sendable (Double) -> Double
) -> [ExhaustiveReport] {
  let chunks = 4096
  let blank = variants.map { ExhaustiveReport(function: name, variant: $0.name) }
  let reports = UnsafeMutableBufferPointer<[ExhaustiveReport]>.allocate(capacity: chunks)
  unsafe reports.initialize(repeating: blank)
  defer {
    unsafe reports.deinitialize()
    unsafe reports.deallocate()
  }
  // Every iteration writes its own element.
  nonisolated(unsafe) let slots = unsafe reports
  concurrentParts(chunks) { chunk in
    unsafe slots[chunk] = checkChunk(chunk, laws, variants, reference, blank)
  }
  var result = blank
  for chunk in 0..<chunks {
    for v in variants.indices { unsafe result[v].merge(reports[chunk][v]) }
  }
  for v in variants.indices { checkPoints(laws, variants[v], &result[v]) }
  return result
}

/// 2²⁰ bit patterns in blocks that fit the first-level cache. All patterns of a chunk have the same sign.
private func checkChunk(
  _ chunk: Int, _ laws: FunctionLaws, _ variants: [FunctionVariant], _ reference: (Double) -> Double,
  _ blank: [ExhaustiveReport]
) -> [ExhaustiveReport] {
  let block = 1024
  var reports = blank
  // One more than a block: the next argument, for monotonicity.
  var x = [Float](repeating: 0, count: block + 1)
  var negative = x
  var y = x
  var mirrored = x
  var first = x
  var expected = [Double](repeating: 0, count: block)
  for start in stride(from: chunk << 20, to: (chunk + 1) << 20, by: block) {
    for i in 0...block {
      // The pattern after the last one wraps to +0 and ends a run of NaNs, which no comparison looks at.
      x[i] = Float(bitPattern: UInt32(truncatingIfNeeded: start + i))
    }
    for i in 0..<block { expected[i] = reference(Double(x[i])) }
    for v in variants.indices {
      unsafe variants[v].evaluate(x, &y, block + 1)
      if v == 0 {
        first = y
      } else if !identical(y, first, block) {
        for i in 0..<block where y[i].bitPattern != first[i].bitPattern { reports[v].differences += 1 }
      }
      checkErrors(x, y, expected, block, laws.range, &reports[v])
      checkOrder(x, y, block, &reports[v])
      if laws.isOdd, chunk < 2048 {
        for i in 0..<block { negative[i] = -x[i] }
        unsafe variants[v].evaluate(negative, &mirrored, block + 1)
        for i in 0..<block { mirrored[i] = -mirrored[i] }
        if !identical(y, mirrored, block) {
          for i in 0..<block where y[i].bitPattern != mirrored[i].bitPattern && !x[i].isNaN {
            reports[v].oddViolations += 1
          }
        }
      }
    }
  }
  return reports
}

private func identical(_ a: [Float], _ b: [Float], _ count: Int) -> Bool {
  unsafe a.withUnsafeBytes { a in
    unsafe b.withUnsafeBytes { b in unsafe memcmp(a.baseAddress!, b.baseAddress!, 4 * count) == 0 }
  }
}

/// Errors, NaN, range. A result that is the reference rounded to nearest is right and needs no arithmetic; errors
/// up to ½ ulp are therefore reported as ½.
private func checkErrors(
  _ x: [Float], _ y: [Float], _ expected: [Double], _ count: Int, _ range: ClosedRange<Float>,
  _ report: inout ExhaustiveReport
) {
  for i in 0..<count {
    let y = y[i]
    if !(y >= range.lowerBound && y <= range.upperBound) {
      if x[i].isNaN != y.isNaN { report.nanViolations += 1 }
      if !y.isNaN { report.rangeViolations += 1 }
      continue
    }
    if x[i].isNaN {
      report.nanViolations += 1
      continue
    }
    if y == Float(expected[i]) { continue }
    let error = errorInUlps(y, expected[i])
    if error > report.maximumUlp { (report.maximumUlp, report.worst) = (error, x[i]) }
    if abs(expected[i]) < 0x1p-126, error > report.maximumSubnormalUlp { report.maximumSubnormalUlp = error }
  }
}

/// Monotonicity between neighbours. Among negative numbers the next bit pattern is the next smaller number.
private func checkOrder(_ x: [Float], _ y: [Float], _ count: Int, _ report: inout ExhaustiveReport) {
  let direction = x[0].sign == .minus ? 1 : -1
  var last = ordinal(y[0])
  for i in 0..<count {
    let next = ordinal(y[i + 1])
    let drop = (next - last) * direction
    last = next
    if drop > 0, !x[i].isNaN, !x[i + 1].isNaN {
      report.drops += 1
      if drop > report.largestDrop { (report.largestDrop, report.dropAt) = (drop, x[i]) }
    }
  }
}

/// Seams and exact values.
private func checkPoints(_ laws: FunctionLaws, _ variant: FunctionVariant, _ report: inout ExhaustiveReport) {
  func f(_ x: Float) -> Float {
    var y: Float = 0
    unsafe withUnsafePointer(to: x) { x in unsafe variant.evaluate(x, &y, 1) }
    return y
  }
  for seam in laws.seams {
    var x = seam
    for _ in 0..<64 { x = x.nextDown }
    for _ in 0..<128 where x < .infinity {
      if f(x) > f(x.nextUp) { report.seamViolations += 1 }
      x = x.nextUp
    }
  }
  for (x, y) in laws.values where f(x).bitPattern != y.bitPattern { report.valueViolations += 1 }
}

/// |y − reference| in units of the spacing of floats at the reference.
private func errorInUlps(_ y: Float, _ reference: Double) -> Double {
  if y.isInfinite || reference.isInfinite {
    if Double(y) == reference { return 0 }
    // +∞ counts as 2¹²⁸, and so does all that lies beyond.
    let top = 0x1p128
    let value = min(max(Double(y), -top), top)
    return abs(value - min(max(reference, -top), top)) * 0x1p-104
  }
  let error = abs(Double(y) - reference)
  if error == 0 { return 0 }
  let exponent = max(Int(reference.bitPattern >> 52) & 0x7ff, 1023 - 126)
  return error * Double(bitPattern: UInt64(2046 - exponent + 23) << 52)
}

/// Position of a float in ascending order; both zeros are at 0.
private func ordinal(_ x: Float) -> Int {
  let magnitude = Int(x.bitPattern & 0x7fff_ffff)
  return x.sign == .minus ? -magnitude : magnitude
}
