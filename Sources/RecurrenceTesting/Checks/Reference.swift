import Recurrence

/// The oracle's answer to a problem, with error bounds for one scalar type.
struct Reference<C: Cell> {
  /// One tensor: exact values, and how far a correct computation may be from them.
  struct Tensor {
    var values: [Double] = []
    var errors: [Double] = []
  }

  /// In the order of `TensorPlace.all`.
  let tensors: [Tensor]
  /// Why the judged precision cannot be held to this answer; nil where it can.
  let doubt: String?
  /// Which side every comparison took.
  let decisions: UInt64
  /// The run, and derivatives with respect to its numbers: for diagnosis.
  let visits: [NaiveDriver<C>.Visit<TracedNumber>]
  let adjoints: Trace.Adjoints
  private let source: Source

  /// What a pull-back starts from and ends at.
  private struct Source {
    let trace: Trace
    let parameters, x, initial: [TracedNumber]
    let run: NaiveDriver<C>.Run<TracedNumber>
    let layout: ParameterLayout
  }

  /// - Parameters:
  ///   - driver: the cell, the shape, and what is cut.
  ///   - parameters: exact in the judged scalar type, as are the operands.
  init<Scalar: RecurrenceScalar>(
    _ driver: NaiveDriver<C>, parameters: [Double], _ operands: Operands<Double>, judging scalar: Scalar.Type
  ) {
    let shape = driver.shape
    let trace = Trace(
      judging: scalar, terms: max(shape.steps * shape.batch, 8 * shape.units, shape.inputs))
    let variables = (
      parameters.map(trace.variable), operands.x.map(trace.variable), operands.initial.map(trace.variable)
    )
    let run = driver.run(parameters: variables.0, x: variables.1, initial: variables.2)
    source = Source(
      trace: trace, parameters: variables.0, x: variables.1, initial: variables.2, run: run, layout: driver.layout)
    visits = run.visits
    decisions = trace.decisions
    doubt =
      trace.overflows
      ? "numbers overflow" : trace.isUndecided ? "a kink or comparison is nearer than rounding errors" : nil
    (tensors, adjoints) = Self.pullBack(source, operands)
  }

  /// The answer to the same problem with other weights of the loss.
  func pullBack(_ operands: Operands<Double>) -> [Tensor] { Self.pullBack(source, operands).0 }

  private static func pullBack(_ source: Source, _ operands: Operands<Double>) -> ([Tensor], Trace.Adjoints) {
    let run = source.run
    let seeds =
      zip(run.outputs, operands.outputGradients).map { (number: $0, weight: $1) }
      + zip(run.final, operands.finalGradients).map { (number: $0, weight: $1) }
    let adjoints = source.trace.pullBack(seeds)
    func values(_ numbers: [TracedNumber]) -> Tensor {
      Tensor(values: numbers.map(\.value), errors: numbers.map { $0.error(in: source.trace) })
    }
    func derivatives(_ numbers: some Sequence<TracedNumber>) -> Tensor {
      Tensor(values: numbers.map(adjoints.value), errors: numbers.map(adjoints.error))
    }
    let tensors =
      [values(run.outputs), values(run.final), derivatives(source.x), derivatives(source.initial)]
      + source.layout.tensors.map { derivatives(source.parameters[$0.range]) }
    return (tensors, adjoints)
  }
}
