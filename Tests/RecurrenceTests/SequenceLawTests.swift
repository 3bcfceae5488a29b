import Recurrence
import RecurrenceTesting
import Testing

/// Laws of borrowed memory and of parameters that change, to the last bit, for every cell, both
/// scalar types, and every instruction set. The other laws are `RecurrenceTesting`'s, run by `BatteryTests`.
@Suite("Laws of sequences")
struct SequenceLawTests {
  static let shapes = [
    ProblemShape(steps: 6, batch: 9, inputs: 5, units: 7, layers: 2),
    ProblemShape(steps: 7, batch: 14, inputs: 17, units: 32),
    ProblemShape(steps: 5, batch: 1, inputs: 3, units: 33, layers: 2),
    ProblemShape(steps: 6, batch: 5, inputs: 4, units: 16, lengths: [3, 6, 0, 6, 1]),
    ProblemShape(steps: 5, batch: 7, inputs: 2, units: 19, layers: 2, lengths: [2, 2, 4, 0, 1, 4, 0]),
  ]

  /// One law: given a stack, a shape and a random generator, the complaints.
  struct Check: CellVisitor {
    let law: String
    let body: (any StackCase) throws -> [String]

    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      let sets = SuiteSettings.isThin ? [Kernels<S>.selected] : Kernels<S>.supported
      for kernels in sets {
        for (index, shape) in SequenceLawTests.shapes.enumerated() {
          let stack = RecurrentStack<C, S>(
            cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 11, kernels: kernels)
          var random = SeededRandom(stream: index)
          let problem = SequenceProblem(shape, states: C.states.count, random: &random)
          for complaint in try body(TypedCase(stack: stack, problem: problem)) {
            Issue.record(
              "\(law): \(C.self) \(S.self) \(kernels.instructionSet) \(shape): \(complaint); seed \(SuiteSettings.seed)"
            )
          }
        }
      }
    }
  }

  private func check(_ law: String, _ body: @escaping (any StackCase) throws -> [String]) throws {
    var visitor = Check(law: law, body: body)
    try forEachCell(&visitor)
  }

  @Test("a tape in memory of the caller, full of NaN, gives the same bits")
  func borrowedMemory() throws {
    try check("borrowed memory") { try $0.borrowedMemory() }
  }

  @Test("a changed weight shows in the next step, and copies of a stack are independent")
  func edits() throws {
    try check("edits") { try $0.edits() }
  }

  @Test("a stream goes on with the weights of the stack that steps it")
  func streamEdits() throws {
    try check("edits under a stream") { try $0.streamEdits() }
  }
}

/// A stack and a problem, their types hidden.
protocol StackCase {
  func borrowedMemory() throws -> [String]
  func edits() throws -> [String]
  func streamEdits() throws -> [String]
}

struct TypedCase<C: Cell, S: TestScalar>: StackCase {
  let stack: RecurrentStack<C, S>
  let problem: SequenceProblem
  private var shape: ProblemShape { problem.shape }

  func borrowedMemory() throws -> [String] {
    let isRagged = shape.lengths != nil
    let count = stack.tapeCount(steps: shape.steps, batch: shape.batch, ragged: isRagged, keeping: 2)
    let memory = AlignedBuffer<S>(count: count + 16)
    for index in 0..<(count + 16) { unsafe memory.unsafePointer[index] = .nan }
    let result = try run {
      unsafe stack.makeTape(
        steps: shape.steps, batch: shape.batch, ragged: isRagged, keeping: 2,
        in: UnsafeMutableBufferPointer(start: memory.unsafePointer, count: count))
    }
    let isIntact = (count..<(count + 16)).allSatisfy { unsafe memory.unsafePointer[$0].isNaN }
    return try stack.solve(problem).differences(from: result) + (isIntact ? [] : ["memory behind the tape"])
  }

  private func run(_ makeTape: () -> Tape<S>) throws -> SequenceResult<S> {
    var tape = makeTape()
    return try stack.solve(problem, tape: &tape)
  }

  func edits() throws -> [String] {
    guard shape.lengths == nil else { return [] }
    var edited = stack
    let before = try stack.solve(problem)
    for tensor in stack.layout.tensors {
      var changed = edited
      // The whole tensor: a single weight may belong to a unit that a ReLU keeps silent.
      changed.withParameters { values in
        for index in tensor.range { values[index] += 0.5 }
      }
      if try changed.solve(problem).outputs == before.outputs { return ["\(tensor.name): the change does not show"] }
      if try edited.solve(problem) != before { return ["\(tensor.name): a copy's change shows"] }
    }
    if C.self == LSTM.self {
      var changed = stack
      changed.parameters["U", 0, 0] += 0.5
      if try changed.solve(problem).outputs == before.outputs { return ["U[0, 0]: the change does not show"] }
    }
    let weight = edited.parameters["W", 0, 0]
    edited.parameters["W", 0, 0] = 0.25
    edited.parameters["W", 0, 0] = weight
    return try before.differences(from: edited.solve(problem))
  }
  func streamEdits() throws -> [String] {
    guard shape.steps >= 4 else { return [] }
    var edited = stack
    var copy = stack
    copy.withParameters { values in for index in values.indices { values[index] *= 0.5 } }
    var stream = stack.makeStream(batch: shape.batch)
    var complaints: [String] = []
    for (t, name) in ["its own", "a copy's", "its own again", "its own, changed in place"].enumerated() {
      if t == 3 { edited.withParameters { values in for index in values.indices { values[index] *= 0.75 } } }
      let stepping = t == 1 ? copy : edited
      // A stream that begins here knows nothing of the steps before but their states.
      var fresh = stepping.makeStream(batch: shape.batch)
      fresh.states = stream.states
      let x = problem.x[(t * shape.batch * shape.inputs)...].prefix(shape.batch * shape.inputs).map { S($0) }
      var (output, expected) = (
        [S](repeating: 0, count: shape.batch * shape.units), [S](repeating: 1, count: shape.batch * shape.units)
      )
      try stepping.step(x, into: &output, stream: &stream)
      try stepping.step(x, into: &expected, stream: &fresh)
      if output != expected { complaints.append("step \(t), with \(name) weights") }
    }
    return complaints
  }
}
