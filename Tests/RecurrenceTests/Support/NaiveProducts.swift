// The products that the kernels are judged by, written from the documentation of `MatrixProducts` alone.
//
// Two judges, because they catch different mistakes:
// - `ChainModel` carries out the documented order of roundings. A kernel must agree with it in every bit.
// - `WideSum` sums in a wider format, in no particular order. A kernel must agree within the error bound of a chain,
//   and so must the model: a law that both misread would show here.
//
// Operands are dense row-major arrays; strides and alignment are the business of `GuardedMatrix`.

import Recurrence

/// The documented order of roundings: every element of C is one chain of multiply-adds.
struct ChainModel<Scalar: TestScalar> {
  /// Whether a multiply-add rounds once.
  let isFused: Bool

  init(_ kernels: Kernels<Scalar>) { isFused = kernels.geometry.isFused }

  init(isFused: Bool) { self.isFused = isFused }

  /// start[M, N] + A[M, K] · W[K, N], k ascending.
  ///
  /// The innermost loop runs over columns, so that chains do not wait for their own latency; each is still one chain.
  func product(_ a: [Scalar], _ w: [Scalar], start: [Scalar], m: Int, n: Int, k: Int) -> [Scalar] {
    unsafe chains(from: start, rows: m, columns: n) { row, sums in
      for depth in 0..<k { unsafe addMultiple(of: a[row * k + depth], row: depth, of: w, to: sums) }
    }
  }

  /// start[M, N] + A[K, M]ᵀ · B[K, N], k descending.
  func transposedProduct(_ a: [Scalar], _ b: [Scalar], start: [Scalar], m: Int, n: Int, k: Int) -> [Scalar] {
    unsafe chains(from: start, rows: m, columns: n) { row, sums in
      for depth in (0..<k).reversed() { unsafe addMultiple(of: a[depth * m + row], row: depth, of: b, to: sums) }
    }
  }

  /// Row by row, the sums of one row at a time.
  @inline(__always)
  private func chains(
    from start: [Scalar], rows: Int, columns: Int, _ body: (Int, UnsafeMutableBufferPointer<Scalar>) -> Void
  ) -> [Scalar] {
    var c = start
    unsafe c.withUnsafeMutableBufferPointer { c in
      for row in 0..<rows {
        unsafe body(row, UnsafeMutableBufferPointer(rebasing: c[(row * columns)..<((row + 1) * columns)]))
      }
    }
    return c
  }

  /// One step of every chain of a row. Buffers rather than arrays: a sweep takes billions of these steps.
  @inline(__always)
  private func addMultiple(
    of factor: Scalar, row: Int, of w: [Scalar], to sums: UnsafeMutableBufferPointer<Scalar>
  ) {
    unsafe w.withUnsafeBufferPointer { w in
      let terms = unsafe UnsafeBufferPointer(rebasing: w[(row * sums.count)..<((row + 1) * sums.count)])
      if isFused {
        for column in sums.indices { unsafe sums[column] = sums[column].addingProduct(factor, terms[column]) }
      } else {
        for column in sums.indices { unsafe sums[column] = factor * terms[column] + sums[column] }
      }
    }
  }
}

/// The matrix with rows and columns exchanged.
func transposed<Scalar>(_ values: [Scalar], rows: Int, columns: Int) -> [Scalar] {
  var result: [Scalar] = []
  result.reserveCapacity(values.count)
  for column in 0..<columns {
    for row in 0..<rows { result.append(values[row * columns + column]) }
  }
  return result
}

/// A sum of products in a wider format.
protocol WideProductSum {
  associatedtype Scalar
  init(_ start: Scalar)
  mutating func add(_ a: Scalar, times b: Scalar)
  /// |sum − value|.
  func distance(to value: Scalar) -> Double
}

/// Products of two `Float`s are exact in `Double`, sums of K of them are off by at most K·2⁻⁵³ of Σ|a||w|.
struct DoubleSum: WideProductSum {
  private var sum: Double
  init(_ start: Float) { sum = Double(start) }
  mutating func add(_ a: Float, times b: Float) { sum += Double(a) * Double(b) }
  func distance(to value: Float) -> Double { (sum - Double(value)).magnitude }
}

#if arch(x86_64)
/// Products of two `Double`s round to 64 bits: off by at most (K+1)·2⁻⁶⁴ of Σ|a||w|.
struct ExtendedSum: WideProductSum {
  private var sum: Float80
  init(_ start: Double) { sum = Float80(start) }
  mutating func add(_ a: Double, times b: Double) { sum += Float80(a) * Float80(b) }
  func distance(to value: Double) -> Double { Double((sum - Float80(value)).magnitude) }
}
#endif

/// Ogita, Rump and Oishi's Dot2 (2005): as if summed in twice the precision, then rounded once.
///
/// For processors without a wider format. Finite operands only, and no product so small that its error underflows.
struct CompensatedSum: WideProductSum {
  private var sum: Double
  private var error = 0.0
  init(_ start: Double) { sum = start }

  mutating func add(_ a: Double, times b: Double) {
    let product = a * b
    let productError = (-product).addingProduct(a, b)
    // Knuth's TwoSum: exact whichever summand is the larger.
    let total = sum + product
    let shifted = total - sum
    error += ((sum - (total - shifted)) + (product - shifted)) + productError
    sum = total
  }

  // The two large parts first: they nearly cancel, and their difference is then exact.
  func distance(to value: Double) -> Double { ((sum - value) + error).magnitude }
}
