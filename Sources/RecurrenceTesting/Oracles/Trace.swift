import Recurrence

/// Every operation of a computation on `TracedNumber`s, and how each depends on the ones before it.
///
/// Two things can be asked of it. `pullBack`: the exact gradient of a weighted sum of results, by reverse accumulation. And
/// with it a bound on what rounding may do to that gradient when it is computed in another precision, in another order of
/// sums, and with derivatives taken from rounded values: a running error analysis (Higham, "Accuracy and Stability of
/// Numerical Algorithms", 2002, section 3.3), element by element, to first order. A gradient outside the bound is wrong, or
/// comes of a formula that loses digits which the equations keep.
public final class Trace {
  /// One argument of an operation.
  struct Edge {
    let node: Int32
    /// ∂result/∂argument, and how far a computed one may be from it.
    let partial, error: Double
  }

  /// Relative error of one operation of the precision that is judged, both its and the oracle's.
  let unit: Double
  /// What flushing a subnormal number to zero may cost.
  let smallest: Double
  let largest: Double
  let isFloat: Bool
  /// The longest sum that a derivative is accumulated in.
  private let terms: Double
  private var edges: [Edge] = []
  /// Where each node's edges end.
  private var ends: [Int] = []

  /// Which side each comparison took, folded into one number: two runs with the same have crossed no kink between them.
  public private(set) var decisions: UInt64 = 0
  /// A comparison was closer than its error bound: the judged precision may have taken the other side.
  public private(set) var isUndecided = false
  /// A number too large for the judged precision, or none at all.
  public private(set) var overflows = false

  /// - Parameters:
  ///   - scalar: the precision that is judged.
  ///   - terms: the longest sum that a derivative may be accumulated in, such as T·B for a weight.
  public init<Scalar: RecurrenceScalar>(judging scalar: Scalar.Type, terms: Int) {
    unit = Double(Scalar.ulpOfOne)
    smallest = Double(Scalar.leastNormalMagnitude)
    largest = Double(Scalar.greatestFiniteMagnitude) / 16
    isFloat = Scalar.self == Float.self
    self.terms = Double(terms)
    edges.reserveCapacity(1 << 14)
    ends.reserveCapacity(1 << 12)
  }

  /// Something to differentiate with respect to.
  public func variable(_ value: Double) -> TracedNumber {
    ends.append(edges.count)
    return TracedNumber(value: value, error: 0, node: Int32(ends.count - 1), trace: self)
  }

  /// The result of an operation. `error` is what its arguments' errors amount to; its own rounding is added.
  func number(_ value: Double, error: Double, rounding: Double = 1, _ arguments: Edge...) -> TracedNumber {
    append(value, error: error + rounding * unit * abs(value) + smallest, arguments)
  }

  func append(_ value: Double, error: Double, _ arguments: [Edge]) -> TracedNumber {
    if !(abs(value) <= largest) { overflows = true }
    for edge in arguments where edge.node >= 0 { edges.append(edge) }
    ends.append(edges.count)
    return TracedNumber(value: value, error: error, node: Int32(ends.count - 1), trace: self)
  }

  /// Notes which side of a kink, or of a comparison, was taken.
  func decide(_ side: Bool, distance: Double, error: Double) {
    note(side)
    // Equal, and both exact: no rounding can change that.
    if abs(distance) <= error + smallest, !(distance == 0 && error == 0) { isUndecided = true }
  }

  /// Notes a side that the value and the derivative do not depend on.
  func note(_ side: Bool) { decisions = (decisions &* 0x9e37_79b9_7f4a_7c15) &+ (side ? 3 : 1) }

  /// Derivatives of Σ weight·number with respect to every traced number.
  public func pullBack(_ seeds: [(number: TracedNumber, weight: Double)]) -> Adjoints {
    var values = [Double](repeating: 0, count: ends.count)
    var errors = values
    let accumulation = (terms + 8) * unit
    for seed in seeds where seed.number.node >= 0 {
      values[Int(seed.number.node)] += seed.weight
      // The weight is exact; what is added to it is rounded to its size.
      errors[Int(seed.number.node)] += accumulation * abs(seed.weight)
    }
    for node in stride(from: ends.count - 1, through: 0, by: -1) {
      let (value, error) = (values[node], errors[node])
      if value == 0 && error == 0 { continue }
      for index in (node == 0 ? 0 : ends[node - 1])..<ends[node] {
        let edge = edges[index]
        let argument = Int(edge.node)
        let contribution = value * edge.partial
        values[argument] += contribution
        errors[argument] +=
          error * (abs(edge.partial) + edge.error) + abs(value) * edge.error + accumulation * abs(contribution)
          + smallest
      }
    }
    return Adjoints(values: values, errors: errors)
  }

  /// What `pullBack` found.
  public struct Adjoints {
    private let values, errors: [Double]

    init(values: [Double], errors: [Double]) {
      self.values = values
      self.errors = errors
    }

    /// The derivative with respect to a number, zero for a constant.
    public func value(_ number: TracedNumber) -> Double { number.node < 0 ? 0 : values[Int(number.node)] }
    /// Bound on the error of that derivative in the judged precision.
    public func error(_ number: TracedNumber) -> Double { number.node < 0 ? 0 : errors[Int(number.node)] }
  }
}
