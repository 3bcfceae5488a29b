/// J taken apart as far as products with it go: J V = U B with orthonormal V, U and B upper bidiagonal (Golub and Kahan
/// 1965). The largest singular value of B tends to that of J from below.
///
///   α₁ u₁ = J v₁,   β_j v_{j+1} = Jᵀ u_j − α_j v_j,   α_{j+1} u_{j+1} = J v_{j+1} − β_j u_j
struct Bidiagonalization {
  private var rights: [[Double]]
  private var lefts: [[Double]] = []
  private var α: [Double] = []
  private var β: [Double] = []
  private var history: [Double] = []
  private var isDone = false

  init(start: [Double]) {
    var start = start
    _ = normalize(&start)
    rights = [start]
  }

  /// What J is to be multiplied by, and Jᵀ: zero when there is nothing left to learn.
  var right: [Double] { isDone ? rights[0].map { _ in 0 } : rights[rights.count - 1] }
  var left: [Double] { isDone ? rights[0].map { _ in 0 } : lefts[lefts.count - 1] }

  mutating func takeForward(_ product: [Double]) {
    if isDone { return }
    var u = product
    project(&u, off: lefts)
    let length = normalize(&u)
    α.append(length)
    lefts.append(u)
    finish(length)
  }

  mutating func takeBack(_ product: [Double]) {
    if isDone { return }
    history.append(largestOfBidiagonal)
    var v = product
    project(&v, off: rights)
    let length = normalize(&v)
    β.append(length)
    rights.append(v)
    finish(length)
  }

  /// Ends where a vector is nothing but rounding, or not finite.
  private mutating func finish(_ length: Double) {
    let scale = α.max() ?? 0
    if length.isFinite && length > 1e-14 * scale { return }
    if !length.isFinite { α[α.count - 1] = length }
    isDone = true
  }

  /// NaN or infinite where a product was.
  var largest: Double { largestOfBidiagonal }

  func hasSettled(_ tolerance: Double) -> Bool {
    if isDone { return true }
    guard history.count >= 3 else { return false }
    let last = history[history.count - 1]
    return history.suffix(3).allSatisfy { last - $0 <= tolerance * last }
  }

  private func project(_ vector: inout [Double], off others: [[Double]]) {
    // Twice is enough (Giraud, Langou and Rozložník 2005).
    for _ in 0..<2 {
      for other in others {
        var product = 0.0
        for index in vector.indices { product += vector[index] * other[index] }
        for index in vector.indices { vector[index] -= product * other[index] }
      }
    }
  }

  /// √(largest eigenvalue of BᵀB), by bisection: as many eigenvalues exceed x as the pivots of BᵀB − x that are positive.
  private var largestOfBidiagonal: Double {
    let scale = max(α.max() ?? 0, β.max() ?? 0)
    if scale == 0 { return 0 }
    if let wrong = (α + β).first(where: { !$0.isFinite }) { return wrong }
    let (a, b) = (α.map { $0 / scale }, β.map { $0 / scale })
    let diagonal = a.indices.map { a[$0] * a[$0] + ($0 > 0 ? b[$0 - 1] * b[$0 - 1] : 0) }
    let beside = a.indices.dropLast().map { a[$0] * b[$0] }
    func exceeds(_ x: Double) -> Bool {
      var pivot = diagonal[0] - x
      if pivot > 0 { return true }
      for index in 1..<max(1, diagonal.count) {
        pivot = diagonal[index] - x - beside[index - 1] * beside[index - 1] / (pivot == 0 ? -1e-300 : pivot)
        if pivot > 0 { return true }
      }
      return false
    }
    var (low, high) = (0.0, 4.0)
    while true {
      let middle = (low + high) / 2
      if middle <= low || middle >= high { break }
      if exceeds(middle) { low = middle } else { high = middle }
    }
    return scale * ((low + high) / 2).squareRoot()
  }
}

/// Directions that are kept orthonormal, and what that took.
struct OrthonormalFrame {
  var vectors: [[Double]]
  private var sums: [Double]
  private var steps = 0

  init(count: Int, length: Int, using generator: inout SeededGenerator) {
    let elements = orthonormal(rows: count, columns: length, using: &generator)
    vectors = (0..<count).map { Array(elements[($0 * length)..<(($0 + 1) * length)]) }
    sums = [Double](repeating: 0, count: count)
  }

  /// Makes the vectors orthonormal again, by Gram and Schmidt; `counting` adds the logarithms of the lengths.
  mutating func orthonormalize(counting: Bool) {
    if counting { steps += 1 }
    for index in vectors.indices {
      for _ in 0..<2 {
        for other in vectors[..<index] {
          var product = 0.0
          for i in other.indices { product += vectors[index][i] * other[i] }
          for i in other.indices { vectors[index][i] -= product * other[i] }
        }
      }
      let length = normalize(&vectors[index])
      if counting { sums[index] += length.isNaN || length > 0 ? DeterministicMath.log(length) : -.infinity }
    }
  }

  /// Mean logarithms, descending; NaN of no steps.
  var exponents: [Double] {
    if sums.contains(where: \.isNaN) { return sums.map { _ in .nan } }
    return sums.map { $0 / Double(steps) }.sorted(by: >)
  }
}

/// Divides by the norm, and returns it.
private func normalize(_ vector: inout [Double]) -> Double {
  let norm = unsafe vector.withUnsafeBufferPointer { unsafe combinedNorm($0) }
  if norm > 0 && norm.isFinite {
    for index in vector.indices { vector[index] /= norm }
  }
  return norm
}
