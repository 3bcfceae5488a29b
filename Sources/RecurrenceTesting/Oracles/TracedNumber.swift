import Recurrence

/// A Double that remembers where it came from, with a bound on its error in the precision that is judged; see `Trace`.
public struct TracedNumber: OracleNumber {
  public let value: Double
  /// Bound on the error of this number in the judged precision; of a constant of the equations see `error(in:)`.
  public let error: Double
  /// −1 for a constant.
  let node: Int32
  /// Nil for a constant of the equations.
  let trace: Trace?
  /// What becomes of a constant of the equations in Float, whose arithmetic is Float's: 1 − 0.999 is off by 5·10⁻⁵.
  private let single: Float
  /// Whether it is a number that the equations spell, and not one that they compute from such.
  private let isLiteral: Bool

  init(value: Double, error: Double, node: Int32, trace: Trace?) {
    self.value = value
    self.error = error
    self.node = node
    self.trace = trace
    single = 0
    isLiteral = false
  }

  /// A constant of the equations.
  public init(_ value: Double) { self.init(constant: value, Float(value), isLiteral: true) }

  private init(constant value: Double, _ single: Float, isLiteral: Bool = false) {
    self.value = value
    error = 0
    node = -1
    trace = nil
    self.single = single
    self.isLiteral = isLiteral
  }

  public var detached: TracedNumber {
    trace == nil ? self : TracedNumber(value: value, error: error, node: -1, trace: trace)
  }

  /// Bound on the error in the precision that a trace judges, of constants of the equations, too.
  func error(in trace: Trace) -> Double {
    if self.trace != nil { return error }
    let own = trace.isFloat ? abs(Double(single) - value) : 0
    // A literal of Float that is exact has no error; what is computed from literals may be rounded once more.
    return isLiteral ? own : own + trace.unit * abs(value)
  }

  /// The trace of two arguments and the errors of both in it; nil where both are constants.
  private static func common(_ a: Self, _ b: Self) -> (trace: Trace, a: Double, b: Double)? {
    guard let trace = a.trace ?? b.trace else { return nil }
    return (trace, a.error(in: trace), b.error(in: trace))
  }

  public static func + (a: Self, b: Self) -> Self {
    guard let (trace, ea, eb) = common(a, b) else { return Self(constant: a.value + b.value, a.single + b.single) }
    return trace.number(
      a.value + b.value, error: ea + eb, .init(node: a.node, partial: 1, error: 0),
      .init(node: b.node, partial: 1, error: 0))
  }

  public static func - (a: Self, b: Self) -> Self {
    guard let (trace, ea, eb) = common(a, b) else { return Self(constant: a.value - b.value, a.single - b.single) }
    return trace.number(
      a.value - b.value, error: ea + eb, .init(node: a.node, partial: 1, error: 0),
      .init(node: b.node, partial: -1, error: 0))
  }

  public static func * (a: Self, b: Self) -> Self {
    guard let (trace, ea, eb) = common(a, b) else { return Self(constant: a.value * b.value, a.single * b.single) }
    return trace.number(
      a.value * b.value, error: abs(a.value) * eb + abs(b.value) * ea + ea * eb,
      .init(node: a.node, partial: b.value, error: eb), .init(node: b.node, partial: a.value, error: ea))
  }

  public static func / (a: Self, b: Self) -> Self {
    guard let (trace, ea, eb) = common(a, b) else { return Self(constant: a.value / b.value, a.single / b.single) }
    let quotient = a.value / b.value
    // A divisor that may be zero leaves nothing to be said.
    let least = abs(b.value) - eb
    let error = least > 0 ? (ea + abs(quotient) * eb) / least : .infinity
    let reciprocalError =
      least > 0 ? eb / (least * abs(b.value)) + 2 * trace.unit / abs(b.value) + trace.smallest : .infinity
    return trace.number(
      quotient, error: error, .init(node: a.node, partial: 1 / b.value, error: reciprocalError),
      .init(
        node: b.node, partial: -quotient / b.value,
        error: least > 0 ? error / least + abs(quotient) * reciprocalError : .infinity))
  }

  public static prefix func - (a: Self) -> Self { 0 - a }

  public static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { a * b + c }

  public static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self {
    let side = a.value < b.value
    if let (trace, ea, eb) = common(a, b) { trace.decide(side, distance: a.value - b.value, error: ea + eb) }
    return side ? x : y
  }

  public func applying(_ activation: Activation) -> Self {
    let f = activation.reference(at: value)
    guard let trace else { return Self(constant: f.value, Float(activation.reference(at: Double(single)).value)) }
    for kink in activation.kinks {
      trace.decide(value < kink, distance: value - kink, error: error + trace.unit * abs(kink))
    }
    for bend in activation.bends { trace.note(value < bend) }
    let slopeError = abs(f.curvature) * error + f.slopeError * trace.unit + trace.smallest
    return trace.number(
      f.value, error: (abs(f.slope) + slopeError) * error, rounding: 4,
      .init(node: node, partial: f.slope, error: slopeError))
  }

  /// Traps: the oracle differentiates `step` and `operand`, which have no use for it.
  public func derivative(of activation: Activation, value: Self) -> Self {
    fatalError("step: expected the equations of the forward pass, which take no derivative of \(activation)")
  }

  /// One node for the whole sum; its bound holds for every order of summation.
  public static func affine(_ bias: Self, _ weights: ArraySlice<Self>, _ x: [Self]) -> Self {
    guard let trace = bias.trace ?? weights.first?.trace ?? x.first?.trace else {
      return zip(weights, x).reduce(bias) { $0 + $1.0 * $1.1 }
    }
    var edges = [Trace.Edge(node: bias.node, partial: 1, error: 0)]
    edges.reserveCapacity(2 * x.count + 1)
    var (value, magnitude, error) = (bias.value, abs(bias.value), bias.error(in: trace))
    for (w, x) in zip(weights, x) {
      let (product, ew, ex) = (w.value * x.value, w.error(in: trace), x.error(in: trace))
      value += product
      magnitude += abs(product)
      error += abs(w.value) * ex + abs(x.value) * ew + ew * ex
      edges.append(Trace.Edge(node: w.node, partial: x.value, error: ex))
      edges.append(Trace.Edge(node: x.node, partial: w.value, error: ew))
    }
    let terms = Double(x.count + 2)
    return trace.append(value, error: error + terms * (trace.unit * magnitude + trace.smallest), edges)
  }
}
