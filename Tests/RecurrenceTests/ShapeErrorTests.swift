import Recurrence
import Testing

/// The passes over arrays: what does not fit throws an error that names the parameter, what was expected and what came,
/// and nothing is written.
@Suite("Shape errors")
struct ShapeErrorTests {
  @Test(arguments: ShapeMistake.allCases) func mistakesThrowAndWriteNothing(_ mistake: ShapeMistake) throws {
    let fixture = try ShapeFixture()
    let before = fixture.bits
    let error = try #require(throws: ShapeError.self) { try mistake.commit(fixture) }
    let (parameter, expected, actual) = mistake.says
    #expect(error.parameter == parameter)
    #expect(error.expected.contains(expected), "\(error)")
    #expect(error.actual.contains(actual), "\(error)")
    #expect(error.description == "\(error.parameter): expected \(error.expected), got \(error.actual)")
    #expect(fixture.bits == before, "something was written")
    // What the tape and the workspace hold is still good.
    let untouched = try ShapeFixture()
    #expect(try fixture.finish() == untouched.finish())
  }
}

/// One stack, and memory and arrays that fit it. T = 3, B = 2, I = 3, H = 4, L = 2.
final class ShapeFixture {
  typealias Stack = RecurrentStack<LSTM, Float>
  let stack = ShapeFixture.makeStack()
  /// Of the same sizes.
  let other = ShapeFixture.makeStack()
  let x = (0..<18).map { Float($0) / 18 }
  var states: RecurrentStates<Float>
  var stateGradients: RecurrentStates<Float>
  var outputs = [Float](repeating: .canary, count: 24)
  var inputGradients = [Float](repeating: .canary, count: 18)
  var gradient: Parameters<Float>
  var stepOutputs = [Float](repeating: .canary, count: 8)
  var workspace: InferenceWorkspace<Float>
  /// Made with `ragged: false`.
  var rectangular: InferenceWorkspace<Float>
  /// Holds a pass.
  var tape: Tape<Float>
  var emptyTape: Tape<Float>
  var stream: RecurrentStream<Float>

  static func makeStack() -> Stack { Stack(LSTM(), inputs: 3, units: 4, layers: 2, seed: 7) }

  init() throws(ShapeError) {
    states = stack.makeStates(batch: 2)
    for i in states.values.indices { states.values[i] = Float(i) / 64 }
    stateGradients = states
    gradient = stack.makeGradient()
    for i in gradient.values.indices { gradient.values[i] = Float(i) }
    workspace = stack.makeWorkspace(steps: 3, batch: 2, ragged: true)
    rectangular = stack.makeWorkspace(steps: 3, batch: 2)
    tape = stack.makeTape(steps: 3, batch: 2, ragged: true)
    emptyTape = stack.makeTape(steps: 3, batch: 2)
    stream = stack.makeStream(batch: 2)
    var (someStates, someOutputs) = (states, outputs)
    try stack.forward(
      x, steps: 3, batch: 2, lengths: [2, 3], states: &someStates, outputs: &someOutputs, tape: &tape)
    try stack.step(Array(x.prefix(6)), into: &someOutputs[in: 0..<8], stream: &stream)
  }

  /// Everything that a pass writes to.
  var bits: [UInt64] {
    let all = [
      states.values, stateGradients.values, outputs, inputGradients, gradient.values, stepOutputs, stream.states.values,
    ]
    return all.flatMap { $0.map(\.wideBits) }
  }

  /// A pass back through the tape, one through the workspace and a step.
  func finish() throws -> [UInt64] {
    try stack.backward(
      x, outputGradients: .none, stateGradients: &stateGradients, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
    try stack.forward(x, steps: 3, batch: 2, states: &states, outputs: &outputs, workspace: &workspace)
    try stack.step(Array(x.prefix(6)), into: &stepOutputs, stream: &stream)
    return bits
  }

  func forward(
    _ input: [Float]? = nil, steps: Int = 3, batch: Int = 2, lengths: [Int]? = nil
  ) throws(ShapeError) {
    try stack.forward(
      input ?? x, steps: steps, batch: batch, lengths: lengths, states: &states, outputs: &outputs,
      workspace: &workspace)
  }

  func backward(
    _ input: [Float]? = nil, _ outputGradients: OutputGradients<Float> = .none
  ) throws(ShapeError) {
    try stack.backward(
      input ?? x, outputGradients: outputGradients, stateGradients: &stateGradients, gradient: &gradient,
      inputGradients: &inputGradients, tape: &tape)
  }
}

extension [Float] {
  /// A part of an array as an array of its own.
  fileprivate subscript(in range: Range<Int>) -> [Float] {
    get { Array(self[range]) }
    set { replaceSubrange(range, with: newValue) }
  }
}

enum ShapeMistake: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case inputCount, outputsCount, statesOfAnotherBatch, statesOfOtherUnits, statesOfAnotherCell
  case lengthsCount, lengthAboveSteps, negativeLength, lengthsWithoutRagged
  case stepsAbove, negativeSteps, batchAbove, negativeBatch, stepsOfTape
  case foreignWorkspace, foreignTape, foreignTapeBackward, foreignStream, workspaceOfOtherSizes
  case emptyTape, backwardInputCount, stateGradientsBatch, gradientLayout, inputGradientsCount
  case everyStepCount, lastStepCount, stepInputCount, stepOutputsCount
  case newNegativeSteps, newNegativeBatch, newInputCount, newOverflow, newLengthsCount, newStates

  var testDescription: String { rawValue }

  /// The parameter, and parts of what was expected and what came.
  var says: (parameter: String, expected: String, actual: String) {
    let sizes = "(3 inputs, 4 units, 2 layers)"
    return switch self {
    case .inputCount: ("input", "18 elements (T = 3, B = 2, I = 3)", "17")
    case .outputsCount: ("outputs", "24 elements (T = 3, B = 2, H = 4)", "25")
    case .statesOfAnotherBatch: ("states", "h, c of L = 2, B = 2, H = 4", "h, c of L = 2, B = 3, H = 4")
    case .statesOfOtherUnits: ("states", "L = 2, B = 2, H = 4", "h, c of L = 2, B = 2, H = 5")
    case .statesOfAnotherCell: ("states", "h, c of L", "h of L = 2, B = 2, H = 4")
    case .lengthsCount: ("lengths", "2 elements (B = 2)", "3")
    case .lengthAboveSteps: ("lengths[1]", "0 to 3", "4")
    case .negativeLength: ("lengths[0]", "0 to 3", "-1")
    case .lengthsWithoutRagged: ("lengths", "none, because the workspace was made with ragged: false", "2")
    case .stepsAbove: ("steps", "0 to 3, which the workspace was made for", "4")
    case .negativeSteps: ("steps", "0 to 3", "-1")
    case .batchAbove: ("batch", "0 to 2, which the workspace was made for", "3")
    case .negativeBatch: ("batch", "0 to 2", "-2")
    case .stepsOfTape: ("steps", "0 to 3, which the tape was made for", "5")
    case .foreignWorkspace: ("workspace", "one made by this stack \(sizes)", "another's \(sizes)")
    case .foreignTape, .foreignTapeBackward: ("tape", "one made by this stack \(sizes)", "another's \(sizes)")
    case .foreignStream: ("stream", "one made by this stack \(sizes)", "another's \(sizes)")
    case .workspaceOfOtherSizes: ("workspace", sizes, "another's (3 inputs, 5 units, 1 layers)")
    case .emptyTape: ("tape", "a forward pass", "an empty tape")
    case .backwardInputCount: ("input", "18 elements", "12")
    case .stateGradientsBatch: ("stateGradients", "B = 2", "B = 1")
    case .gradientLayout: ("gradient", "the layout of this stack (", "another's (")
    case .inputGradientsCount: ("inputGradients", "18 elements (T = 3, B = 2, I = 3)", "0")
    case .everyStepCount: ("outputGradients", "24 elements (T = 3, B = 2, H = 4)", "8")
    case .lastStepCount: ("outputGradients", "8 elements (B = 2, H = 4)", "24")
    case .stepInputCount: ("input", "6 elements (B = 2, I = 3)", "18")
    case .stepOutputsCount: ("outputs", "8 elements (B = 2, H = 4)", "24")
    case .newNegativeSteps: ("steps", "at least 0", "-1")
    case .newNegativeBatch: ("batch", "at least 0", "-1")
    case .newInputCount: ("input", "36 elements (T = 6, B = 2, I = 3)", "18")
    case .newOverflow: ("input", "no more than memory holds (T = \(Int.max), B = 2, I = 3)", "18")
    case .newLengthsCount: ("lengths", "2 elements", "1")
    case .newStates: ("states", "B = 2", "B = 3")
    }
  }

  func commit(_ f: ShapeFixture) throws {
    let (x, stack) = (f.x, f.stack)
    switch self {
    case .inputCount: try f.forward(Array(x.dropLast()))
    case .outputsCount:
      f.outputs.append(.canary)
      defer { f.outputs.removeLast() }
      try f.forward()
    case .statesOfAnotherBatch: try forward(f, stack.makeStates(batch: 3))
    case .statesOfOtherUnits:
      try forward(f, ShapeFixture.Stack(LSTM(), inputs: 3, units: 5, layers: 2).makeStates(batch: 2))
    case .statesOfAnotherCell:
      try forward(f, RecurrentStack<GRU, Float>(GRU(), inputs: 3, units: 4, layers: 2).makeStates(batch: 2))
    case .lengthsCount: try f.forward(lengths: [1, 2, 3])
    case .lengthAboveSteps: try f.forward(lengths: [1, 4])
    case .negativeLength: try f.forward(lengths: [-1, 2])
    case .lengthsWithoutRagged:
      try stack.forward(
        x, steps: 3, batch: 2, lengths: [1, 2], states: &f.states, outputs: &f.outputs, workspace: &f.rectangular)
    case .stepsAbove: try f.forward(steps: 4)
    case .negativeSteps: try f.forward(steps: -1)
    case .batchAbove: try f.forward(batch: 3)
    case .negativeBatch: try f.forward(batch: -2)
    case .stepsOfTape:
      try stack.forward(x, steps: 5, batch: 2, states: &f.states, outputs: &f.outputs, tape: &f.tape)
    case .foreignWorkspace:
      var foreign = f.other.makeWorkspace(steps: 3, batch: 2)
      try stack.forward(x, steps: 3, batch: 2, states: &f.states, outputs: &f.outputs, workspace: &foreign)
    case .foreignTape:
      var foreign = f.other.makeTape(steps: 3, batch: 2)
      try stack.forward(x, steps: 3, batch: 2, states: &f.states, outputs: &f.outputs, tape: &foreign)
    case .foreignTapeBackward:
      try f.other.backward(
        x, outputGradients: .none, stateGradients: &f.stateGradients, gradient: &f.gradient,
        inputGradients: &f.inputGradients, tape: &f.tape)
    case .foreignStream: try f.other.step(Array(x.prefix(6)), into: &f.stepOutputs, stream: &f.stream)
    case .workspaceOfOtherSizes:
      var foreign = ShapeFixture.Stack(LSTM(), inputs: 3, units: 5).makeWorkspace(steps: 3, batch: 2)
      try stack.forward(x, steps: 3, batch: 2, states: &f.states, outputs: &f.outputs, workspace: &foreign)
    case .emptyTape:
      try stack.backward(
        x, outputGradients: .none, stateGradients: &f.stateGradients, gradient: &f.gradient,
        inputGradients: &f.inputGradients, tape: &f.emptyTape)
    case .backwardInputCount: try f.backward(Array(x.prefix(12)))
    case .stateGradientsBatch:
      var gradients = stack.makeStates(batch: 1)
      try stack.backward(
        x, outputGradients: .none, stateGradients: &gradients, gradient: &f.gradient,
        inputGradients: &f.inputGradients, tape: &f.tape)
    case .gradientLayout:
      var gradient = ShapeFixture.Stack(LSTM(), inputs: 4, units: 4, layers: 2).makeGradient()
      try stack.backward(
        x, outputGradients: .none, stateGradients: &f.stateGradients, gradient: &gradient,
        inputGradients: &f.inputGradients, tape: &f.tape)
    case .inputGradientsCount:
      var none: [Float] = []
      try stack.backward(
        x, outputGradients: .none, stateGradients: &f.stateGradients, gradient: &f.gradient, inputGradients: &none,
        tape: &f.tape)
    case .everyStepCount: try f.backward(nil, .everyStep(Array(repeating: 1, count: 8)))
    case .lastStepCount: try f.backward(nil, .lastStep(Array(repeating: 1, count: 24)))
    case .stepInputCount: try stack.step(x, into: &f.stepOutputs, stream: &f.stream)
    case .stepOutputsCount: try stack.step(Array(x.prefix(6)), into: &f.outputs, stream: &f.stream)
    case .newNegativeSteps: _ = try stack.forward(x, steps: -1, batch: 2)
    case .newNegativeBatch: _ = try stack.forward(x, steps: 3, batch: -1)
    case .newInputCount: _ = try stack.forward(x, steps: 6, batch: 2)
    case .newOverflow: _ = try stack.forward(x, steps: Int.max, batch: 2)
    case .newLengthsCount: _ = try stack.forward(x, steps: 3, batch: 2, lengths: [1])
    case .newStates: _ = try stack.forward(x, steps: 3, batch: 2, initialStates: stack.makeStates(batch: 3))
    }
  }

  /// A pass from states that do not fit; they, too, must not change.
  private func forward(_ f: ShapeFixture, _ states: RecurrentStates<Float>) throws {
    var mine = states
    defer { #expect(mine == states) }
    try f.stack.forward(f.x, steps: 3, batch: 2, states: &mine, outputs: &f.outputs, workspace: &f.workspace)
  }
}
