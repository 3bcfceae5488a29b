import Foundation
import Recurrence

/// Where a tensor is not what it should be.
public struct Mismatch: CustomStringConvertible, Sendable {
  /// Which tensor.
  public let place: TensorPlace
  /// Index of the worst element; nil where a whole tensor was looked at along one direction.
  public let index: Int?
  /// What the library, or the cell's own backward, gave there.
  public let found: Double
  /// What it should be, and how far from it rounding may lead; zero where bits must agree.
  public let expected, tolerance: Double
  /// Elements that differ by more than their tolerance.
  public let wrong: [Int]
  /// What was compared with what, such as "the backward pass" with "the oracle".
  public let sources: (found: String, expected: String)
  /// All of the tensor, for the diagnosis.
  let values: (found: [Double], expected: [Double])

  /// Such as `∂L/∂U of layer 0 at gate f, unit 3, column 0`.
  public var location: String {
    guard let index else { return "\(place.title), along a random direction" }
    let coordinates = place.describe(index)
    return coordinates.isEmpty ? place.title : "\(place.title) at \(coordinates)"
  }

  public var description: String {
    let limit = tolerance == 0 ? "no difference is allowed" : "allowed is a difference of \(shortened(tolerance))"
    let count =
      index == nil || values.found.isEmpty ? "" : "; \(wrong.count) of \(values.found.count) elements are wrong"
    return "\(location): \(sources.found) gives \(found), \(sources.expected) \(expected); \(limit)\(count)"
  }

  /// A number that is wrong by itself.
  init(
    _ place: TensorPlace, found: Double, expected: Double, tolerance: Double,
    _ sources: (found: String, expected: String)
  ) {
    self.init(
      place: place, index: nil, found: found, expected: expected, tolerance: tolerance, wrong: [], sources: sources,
      values: ([], []))
  }

  init(
    place: TensorPlace, index: Int?, found: Double, expected: Double, tolerance: Double, wrong: [Int],
    sources: (found: String, expected: String), values: (found: [Double], expected: [Double])
  ) {
    self.place = place
    self.index = index
    self.found = found
    self.expected = expected
    self.tolerance = tolerance
    self.wrong = wrong
    self.sources = sources
    self.values = values
  }
}

/// Three significant digits.
func shortened(_ number: Double) -> String { String(format: "%.3g", number) }

/// Compares tensors and keeps the worst.
struct Comparison {
  let sources: (found: String, expected: String)
  /// The largest error so far, as a fraction of its tolerance.
  private(set) var worst = 0.0
  /// The worst mismatch of the first tensor that has one.
  private(set) var mismatch: Mismatch?
  /// Elements whose bound is so wide that agreement says nothing.
  private(set) var unjudged = 0
  private(set) var judged = 0

  init(_ found: String, _ expected: String) { sources = (found, expected) }

  /// Elements may differ by `slack` times the reference's bound.
  mutating func add<Scalar: RecurrenceScalar>(
    _ place: TensorPlace, _ values: [Scalar], _ expected: [Double], errors: [Double], slack: Double = 2
  ) {
    var wrong: [Int] = []
    var worstHere = (index: 0, ratio: 0.0)
    // Between saturated gates in a long sequence of Floats, rounding may change everything.
    let widest = max(0.1 * expected.reduce(0) { max($0, abs($1)) }, 1e-6)
    for index in values.indices {
      let tolerance = slack * errors[index]
      judged += 1
      if !(tolerance <= widest) { unjudged += 1 }
      guard tolerance.isFinite else { continue }
      let difference = abs(Double(values[index]) - expected[index])
      let ratio = difference == 0 ? 0 : difference.isNaN ? .infinity : difference / tolerance
      if ratio > 1 { wrong.append(index) }
      if ratio > worstHere.ratio { worstHere = (index, ratio) }
    }
    worst = max(worst, worstHere.ratio)
    guard !wrong.isEmpty, mismatch == nil else { return }
    let index = worstHere.index
    mismatch = Mismatch(
      place: place, index: index, found: Double(values[index]), expected: expected[index],
      tolerance: slack * errors[index], wrong: wrong, sources: sources,
      values: (values.map { Double($0) }, expected))
  }

  /// Bits must agree.
  mutating func addExact<Scalar: RecurrenceScalar>(_ place: TensorPlace, _ values: [Scalar], _ expected: [Scalar]) {
    judged += values.count
    // Equal numbers have equal bits, but for signed zeros; and which NaN comes of two is the processor's choice.
    let wrong = values.indices.filter {
      if values[$0].isNaN && expected[$0].isNaN { return false }
      return values[$0] != expected[$0] || (values[$0] == 0 && values[$0].sign != expected[$0].sign)
    }
    guard !wrong.isEmpty else { return }
    worst = .infinity
    guard mismatch == nil else { return }
    let index = wrong.max { abs(values[$0] - expected[$0]) < abs(values[$1] - expected[$1]) }!
    mismatch = Mismatch(
      place: place, index: index, found: Double(values[index]), expected: Double(expected[index]), tolerance: 0,
      wrong: wrong, sources: sources, values: (values.map { Double($0) }, expected.map { Double($0) }))
  }

  var verdict: CheckVerdict {
    if let mismatch { return .failed(mismatch) }
    if judged > 0 && 2 * unjudged > judged { return .skipped("rounding may change the result by a tenth") }
    return .passed(worst)
  }
}

/// What one check says of one problem.
public enum CheckVerdict: CustomStringConvertible, Sendable {
  /// The largest error, as a fraction of what is allowed; 0 where bits agree.
  case passed(Double)
  /// Nothing could be said, and why.
  case skipped(String)
  case failed(Mismatch)

  public var isFailure: Bool {
    if case .failed = self { true } else { false }
  }

  public var description: String {
    switch self {
    case .passed(0): "passed, exactly"
    case .passed(let ratio): "passed, with \(shortened(ratio)) of what is allowed"
    case .skipped(let reason): "skipped: \(reason)"
    case .failed(let mismatch): "failed: \(mismatch)"
    }
  }
}
