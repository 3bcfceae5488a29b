import Recurrence
import Testing

/// Who judges the judges: sums known beforehand, and the judges against each other.
@Suite struct OracleTests {
  /// C = 10 + [[1, 2, 3], [4, 5, 6]] · [[1, 2], [3, 4], [5, 6]], worked by hand.
  @Test func modelsMultiplyMatrices() {
    for isFused in [false, true] {
      let model = ChainModel<Float>(isFused: isFused)
      let start = [Float](repeating: 10, count: 4)
      let w: [Float] = [1, 2, 3, 4, 5, 6]
      #expect(model.product([1, 2, 3, 4, 5, 6], w, start: start, m: 2, n: 2, k: 3) == [32, 38, 59, 74])
      #expect(model.transposedProduct([1, 4, 2, 5, 3, 6], w, start: start, m: 2, n: 2, k: 3) == [32, 38, 59, 74])
    }
  }

  /// Orders and roundings that differ must give results that differ, or the sweeps prove nothing about them.
  @Test func modelsTellOrdersApart() {
    // Ascending: (1 + 2⁻²⁴) rounds to 1, twice. Descending: 2⁻²⁴ + 2⁻²⁴ survives.
    let ones: [Float] = [1, 1, 1]
    let terms: [Float] = [1, 0x1p-24, 0x1p-24]
    let model = ChainModel<Float>(isFused: true)
    #expect(model.product(terms, ones, start: [0], m: 1, n: 1, k: 3) == [1])
    #expect(model.transposedProduct(terms, ones, start: [0], m: 1, n: 1, k: 3) == [1 + 0x1p-23])
    // (1 + 2⁻¹²)² − 1: the square's last bit falls to the first of two roundings, not to one.
    let x: Float = 1 + 0x1p-12
    #expect(ChainModel<Float>(isFused: true).product([x], [x], start: [-1], m: 1, n: 1, k: 1) == [0x1p-11 + 0x1p-24])
    #expect(ChainModel<Float>(isFused: false).product([x], [x], start: [-1], m: 1, n: 1, k: 1) == [0x1p-11])
  }

  /// 1 + 2¹⁰⁰·2¹⁰⁰ − 2¹⁰⁰·2¹⁰⁰ = 1, which neither `Double` nor `Float80` alone sees.
  @Test func compensatedSumRecoversCancellation() {
    var sum = CompensatedSum(1)
    sum.add(0x1p100, times: 0x1p100)
    sum.add(-0x1p100, times: 0x1p100)
    #expect(sum.distance(to: 1) == 0)
    #expect(sum.distance(to: 0.5) == 0.5)
  }

  #if arch(x86_64)
  /// Two wide sums, written differently, differ by their own errors only: (K+1)·2⁻⁶⁴·S for `Float80`; for Dot2
  /// the last rounding, 2⁻⁵³ of the difference measured, and γ(K)²·S, far below. Twice the former covers all.
  @Test func wideSumsAgree() {
    var random = SeededRandom(stream: 1)
    let count = 1000
    let a: [Double] = random.array(count, .wide)
    let b: [Double] = random.array(count, .wide)
    var extended = ExtendedSum(0)
    var compensated = CompensatedSum(0)
    var chain = 0.0
    var magnitudes = 0.0
    for i in 0..<count {
      extended.add(a[i], times: b[i])
      compensated.add(a[i], times: b[i])
      chain += a[i] * b[i]
      magnitudes += (a[i] * b[i]).magnitude
    }
    let difference = (extended.distance(to: chain) - compensated.distance(to: chain)).magnitude
    #expect(difference <= 2 * Double(count + 1) * 0x1p-64 * magnitudes, "seed \(SuiteSettings.seed)")
  }
  #endif

  /// The guard must see a write to a gap, to either margin, and nothing else.
  @Test func guardsSeeStrayWrites() {
    for placement in [GuardedMatrix<Float>.Placement.offset(1), .endOfPage, .startOfPage] {
      let matrix = GuardedMatrix<Float>([1, 2, 3, 4], rows: 2, columns: 2, stride: 3, placement: placement)
      #expect(matrix.values == [1, 2, 3, 4])
      unsafe matrix.pointer[3] = 5
      #expect(matrix.damage == nil)
      #expect(matrix.values == [1, 2, 5, 4])
      unsafe matrix.pointer[2] = 0
      #expect(matrix.damage != nil)
      unsafe matrix.pointer[2] = .canary
      let neighbour = placement == .endOfPage ? -1 : 5
      unsafe matrix.pointer[neighbour] = 0
      #expect(matrix.damage != nil)
    }
  }
}
