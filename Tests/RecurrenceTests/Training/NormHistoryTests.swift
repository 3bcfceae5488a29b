import Foundation
import Recurrence
import Testing

/// Percentiles of a running window of norms, against sorting it anew.
@Suite("Histories of norms")
struct NormHistoryTests {
  private static let percentiles: [Double] = [0, 0.1, 10, 25, 33.3, 50, 66.6, 90, 99.9, 100]

  /// The p-th percentile of numbers in any order, and how far a rounded one may be from it.
  ///
  /// The place is rounded twice here and twice there, each time by 2⁻⁵³ of itself; between two neighbours a percentile
  /// rises by their distance for each place, which no two norms are further apart than the largest. Three roundings
  /// more of numbers up to the largest on either side, or to the next subnormal number.
  static func percentile(_ p: Double, of norms: some Sequence<Double>) -> (value: Double, tolerance: Double) {
    let sorted = norms.sorted()
    let place = p * Double(sorted.count - 1) / 100
    let below = Int(place.rounded(.down))
    let share = place - Double(below)
    let value = sorted[below] * (1 - share) + (share > 0 ? sorted[below + 1] * share : 0)
    return (value, (4 * place + 6) * 0x1p-53 * sorted.last! + 2 * .leastNonzeroMagnitude)
  }

  /// Norms of few kinds, so that most meet their like; of many magnitudes; and falling, so that each goes to the front.
  enum Norms: String, CaseIterable {
    case ties, wide, extreme, falling

    func next(_ step: Int, _ random: inout SeededRandom) -> Double {
      switch self {
      case .ties: random.pick([0, 0.5, 0.5, 1, 2, 3])
      case .wide: random.wide(Double.self).magnitude
      case .extreme: random.pick([1e30, 1e-30, 0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1])
      case .falling: 1000 - Double(step)
      }
    }
  }

  @Test("percentiles are those of the last norms, sorted", arguments: Norms.allCases)
  func percentiles(_ norms: Norms) {
    var complaints = Complaints()
    for window in [1, 2, 3, 7, 10, 64, 100] {
      var random = SeededRandom(stream: window)
      var history = NormHistory(window: window)
      var all: [Double] = []
      for step in 0..<(3 * window + 5) {
        let norm = norms.next(step, &random)
        all.append(norm)
        let taken = history.add(norm)
        let last = Array(all.suffix(window))
        let context = "\(norms), window \(window), step \(step), seed \(SuiteSettings.seed)"
        complaints.note(taken && history.norms == last && history.count == last.count ? nil : "\(history)", context)
        var previous = -1.0
        for p in Self.percentiles {
          let expected = Self.percentile(p, of: last)
          let value = history.percentile(p) ?? .nan
          let isNear = (value - expected.value).magnitude <= expected.tolerance
          complaints.note(isNear ? nil : "percentile \(p): \(value), expected \(expected)", context)
          complaints.note(value >= previous ? nil : "percentile \(p) falls from \(previous) to \(value)", context)
          previous = value
        }
        complaints.note(history.percentile(0) == last.min() ? nil : "the least is \(last.min()!)", context)
        complaints.note(history.percentile(100) == last.max() ? nil : "the largest is \(last.max()!)", context)
        let median = history.percentile(50)
        complaints.note(history.median == median ? nil : "median \(history.median!)", context)
      }
    }
  }

  /// numpy.percentile(h, p) of NumPy 2.4, every bit.
  @Test("percentiles have NumPy's bits") func numpy() {
    var history = NormHistory(window: 7)
    for norm in [9, 0.1, 2.5, 2.5, 7.0, 1e-3, 40.0, 0.3] { history.add(norm) }
    let expected = [
      (0, 0.001), (1, 0.00694), (10, 0.06040000000000001), (25, 0.2), (33.3, 0.2995999999999999), (50, 2.5),
      (66.6, 2.5), (75, 4.75), (90, 20.20000000000001), (99, 38.01999999999998), (100, 40.0),
    ]
    for (p, value) in expected { #expect(history.percentile(p) == value, "percentile \(p)") }
  }

  @Test("equal norms are each of their percentiles, to the bit") func equal() {
    var history = NormHistory(window: 9)
    for _ in 0..<12 {
      history.add(0.1)
      #expect(Self.percentiles.allSatisfy { history.percentile($0) == 0.1 })
    }
  }

  /// Sums of integers are exact; the quotient is rounded once.
  @Test("the mean is that of the last norms, and does not overflow") func mean() {
    var history = NormHistory(window: 3)
    #expect(history.mean == nil)
    for (norm, mean) in [(3, 3), (4, 3.5), (5, 4), (0, 3), (1e300, 1e300 / 3)] {
      history.add(norm)
      #expect(history.mean == mean, "after \(norm)")
    }
    for _ in 0..<3 { history.add(.greatestFiniteMagnitude) }
    #expect(history.mean == .greatestFiniteMagnitude)
    for _ in 0..<3 { history.add(.leastNonzeroMagnitude) }
    #expect(history.mean == .leastNonzeroMagnitude)
  }

  @Test("norms that are not finite are not taken; −0 is 0") func notFinite() {
    var history = NormHistory(window: 4)
    for norm in [Double.nan, .infinity, -.infinity] {
      let taken = history.add(norm)
      #expect(!taken && history.count == 0 && history.percentile(50) == nil && history.median == nil)
    }
    history.add(-0.0)
    #expect(history.norms == [0] && history.norms[0].sign == .plus && history.percentile(10)?.sign == .plus)
  }

  @Test("the suggested threshold is the median, whatever explodes; none of nothing or zeros") func suggestion() {
    var history = NormHistory(window: 100)
    #expect(history.suggestedThreshold == nil)
    for _ in 0..<10 { history.add(0) }
    #expect(history.suggestedThreshold == nil)
    for step in 0..<100 { history.add(step % 20 == 7 ? 1e6 : 1 + Double(step % 3) / 4) }
    #expect(history.suggestedThreshold == 1.25 && history.mean! > 1e4)
  }

  /// Also where the ring has begun anew, and in the middle of it.
  @Test("a history from a file is the same, and goes on the same") func codable() throws {
    for count in [0, 1, 4, 5, 8, 12] {
      var random = SeededRandom(stream: count)
      var history = NormHistory(window: 5)
      for _ in 0..<count { history.add(random.wide(Double.self).magnitude) }
      var copy = try JSONDecoder().decode(NormHistory.self, from: JSONEncoder().encode(history))
      for _ in 0..<7 {
        #expect(copy == history && copy.hashValue == history.hashValue && copy.median == history.median)
        let norm = random.wide(Double.self).magnitude
        history.add(norm)
        #expect(copy != history)
        copy.add(norm)
      }
    }
  }

  @Test(
    "a file that holds something else is refused with a sentence",
    arguments: [
      (#"{"window": 0, "norms": []}"#, "window: expected 1 to 1048576 norms, got 0"),
      (#"{"window": 1048577, "norms": []}"#, "window: expected 1 to 1048576 norms, got 1048577"),
      (#"{"window": 1, "norms": [1, 2]}"#, "norms: expected at most 1, as the window says, got 2"),
      (#"{"window": 2, "norms": [1, -2]}"#, "norm: expected a finite number of at least 0, got -2.0"),
    ])
  func refused(_ json: String, _ sentence: String) {
    let error = #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(NormHistory.self, from: Data(json.utf8))
    }
    #expect("\(error as Any)".contains(sentence), "\(error as Any)")
  }
}
