import Recurrence
import Testing

/// The passes over buffers, and what is made before them, stop at what does not fit, with a sentence. See
/// `BadInputTests`.
@Suite(
  "Misuse of stacks",
  .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct RecurrentMisuseTests {
  @Test(arguments: PassMisuse.allCases) func passesOverBuffersCheckShapes(_ misuse: PassMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as PassMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }

  @Test(arguments: ValueMisuse.allCases) func valuesCheckTheirElements(_ misuse: ValueMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as ValueMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }

  @Test(arguments: CellMisuse.allCases) func cellsAreCheckedWhenALayerIsMade(_ misuse: CellMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as CellMisuse] in misuse.commit()
    }
    expectWords(misuse, result)
  }
}

/// Buffers of one pass, against each other and against the memory it works in. T = 3, B = 2, I = 3, H = 4, one layer.
enum PassMisuse: String, Misuse {
  case input, outputs, initialStates, finalStates, lengthsCount, lengthAboveSteps, negativeLength, lengthsWithoutRagged
  case stepsAbove, negativeSteps, batchAbove, foreignWorkspace, tapeInput, foreignTape
  case backwardInput, outputGradients, finalStateGradients, parameterGradients, inputGradients, initialStateGradients
  case emptyTape, foreignTapeBackward, stepInput, stepOutputs, foreignStream

  var words: [String] {
    switch self {
    case .input, .tapeInput, .backwardInput: ["input: expected 18 elements (T = 3, B = 2, I = 3), got 17"]
    case .outputs: ["outputs: expected 24 elements (T = 3, B = 2, H = 4), got 23"]
    case .initialStates: ["initialStates: expected 16 elements (S = 2, L = 1, B = 2, H = 4), got 8"]
    case .finalStates: ["finalStates: expected 16 elements (S = 2, L = 1, B = 2, H = 4), got 24"]
    case .lengthsCount: ["lengths: expected 2 elements (B = 2), got 1"]
    case .lengthAboveSteps: ["lengths[1]: expected 0 to 3, the number of steps, got 4"]
    case .negativeLength: ["lengths[0]: expected 0 to 3, the number of steps, got -1"]
    case .lengthsWithoutRagged: ["lengths: expected none", "ragged: false", "got 2"]
    case .stepsAbove: ["steps: expected 0 to 3, which the workspace was made for, got 4"]
    case .negativeSteps: ["steps: expected 0 to 3, which the workspace was made for, got -1"]
    case .batchAbove: ["batch: expected 0 to 2, which the workspace was made for, got 3"]
    case .foreignWorkspace:
      ["workspace: expected one made by this stack", "got another's (3 inputs, 4 units, 1 layers)"]
    case .foreignTape, .foreignTapeBackward: ["tape: expected one made by this stack", "got another's"]
    case .outputGradients: ["outputGradients: expected 24 elements (T = 3, B = 2, H = 4), got 8"]
    case .finalStateGradients: ["finalStateGradients: expected 16 elements (S = 2, L = 1, B = 2, H = 4), got 8"]
    case .parameterGradients: ["parameterGradients: expected 128 elements (parameters = 128), got 127"]
    case .inputGradients: ["inputGradients: expected 18 elements (T = 3, B = 2, I = 3), got 6"]
    case .initialStateGradients: ["initialStateGradients: expected 16 elements", "got 15"]
    case .emptyTape: ["tape: expected a forward pass, got an empty tape"]
    case .stepInput: ["input: expected 6 elements (B = 2, I = 3), got 18"]
    case .stepOutputs: ["outputs: expected 8 elements (B = 2, H = 4), got 9"]
    case .foreignStream: ["stream: expected one made by this stack", "got another's"]
    }
  }

  func commit() {
    switch self {
    case .input: unsafe forward(input: 17)
    case .outputs: unsafe forward(outputs: 23)
    case .initialStates: unsafe forward(initialStates: 8)
    case .finalStates: unsafe forward(finalStates: 24)
    case .lengthsCount: unsafe forward(lengths: [3])
    case .lengthAboveSteps: unsafe forward(lengths: [3, 4])
    case .negativeLength: unsafe forward(lengths: [-1, 4])
    case .lengthsWithoutRagged: unsafe forward(lengths: [1, 2], ragged: false)
    case .stepsAbove: unsafe forward(steps: 4)
    case .negativeSteps: unsafe forward(steps: -1)
    case .batchAbove: unsafe forward(batch: 3)
    case .foreignWorkspace:
      var foreign = Self.makeStack().makeWorkspace(steps: 3, batch: 2)
      unsafe Self.makeStack().forward(zeros(18), steps: 3, batch: 2, workspace: &foreign)
    case .foreignTape:
      var foreign = Self.makeStack().makeTape(steps: 3, batch: 2)
      unsafe Self.makeStack().forward(zeros(18), steps: 3, batch: 2, tape: &foreign)
    case .tapeInput:
      let stack = Self.makeStack()
      var tape = stack.makeTape(steps: 3, batch: 2)
      unsafe stack.forward(zeros(17), steps: 3, batch: 2, tape: &tape)
    case .backwardInput: unsafe backward(input: 17)
    case .outputGradients: unsafe backward(outputGradients: 8)
    case .finalStateGradients: unsafe backward(finalStateGradients: 8)
    case .parameterGradients: unsafe backward(parameterGradients: 127)
    case .inputGradients: unsafe backward(inputGradients: 6)
    case .initialStateGradients: unsafe backward(initialStateGradients: 15)
    case .emptyTape: unsafe backward(isFilled: false)
    case .foreignTapeBackward: unsafe backward(by: Self.makeStack())
    case .stepInput: unsafe step(input: 18)
    case .stepOutputs: unsafe step(outputs: 9)
    case .foreignStream: unsafe step(by: Self.makeStack())
    }
  }

  private static func makeStack() -> RecurrentStack<LSTM, Float> { RecurrentStack(LSTM(), inputs: 3, units: 4) }

  @unsafe private func forward(
    input: Int = 18, steps: Int = 3, batch: Int = 2, lengths: [Int] = [], ragged: Bool = true,
    initialStates: Int = 16, outputs: Int = 24, finalStates: Int = 16
  ) {
    let stack = Self.makeStack()
    var workspace = stack.makeWorkspace(steps: 3, batch: 2, ragged: ragged)
    unsafe lengths.withUnsafeBufferPointer {
      unsafe stack.forward(
        zeros(input), steps: steps, batch: batch, lengths: lengths.isEmpty ? nil : $0,
        initialStates: zeros(initialStates), outputs: mutableZeros(outputs), finalStates: mutableZeros(finalStates),
        workspace: &workspace)
    }
  }

  @unsafe private func backward(
    input: Int = 18, outputGradients: Int = 24, finalStateGradients: Int = 16, parameterGradients: Int = 128,
    inputGradients: Int = 18, initialStateGradients: Int = 16, isFilled: Bool = true,
    by other: RecurrentStack<LSTM, Float>? = nil
  ) {
    let stack = Self.makeStack()
    var tape = stack.makeTape(steps: 3, batch: 2)
    if isFilled { unsafe stack.forward(zeros(18), steps: 3, batch: 2, tape: &tape) }
    unsafe (other ?? stack).backward(
      zeros(input), outputGradients: zeros(outputGradients), finalStateGradients: zeros(finalStateGradients),
      parameterGradients: mutableZeros(parameterGradients), inputGradients: mutableZeros(inputGradients),
      initialStateGradients: mutableZeros(initialStateGradients), tape: &tape)
  }

  @unsafe private func step(input: Int = 6, outputs: Int = 8, by other: RecurrentStack<LSTM, Float>? = nil) {
    let stack = Self.makeStack()
    var stream = stack.makeStream(batch: 2)
    unsafe (other ?? stack).step(zeros(input), into: mutableZeros(outputs), stream: &stream)
  }
}

/// Sizes of stacks and of memory, and values with the wrong number of elements or an unknown name.
enum ValueMisuse: String, Misuse {
  case noInputs, noUnits, negativeLayers, overflowingUnits, overflowingGates, overflowingBatch
  case negativeSteps, negativeBatch, noThreads, tooManyThreads, keepingNothing, overflowingTape, streamBatch
  case parametersCount, parametersOfAnother, withParametersCount, throwingChange, stateBatch
  case unknownTensor, unknownLayer, tensorCount, elementOutside, statesCount, unknownState, stateCount, streamStates
  case streamStatesOfAnother, shortMemory, misalignedMemory

  var words: [String] {
    switch self {
    case .noInputs: ["inputs: expected at least 1, got 0"]
    case .noUnits: ["units: expected at least 1, got 0"]
    case .negativeLayers: ["layers: expected at least 1, got -2"]
    case .overflowingUnits: ["\(Int.max / 8) units", "overflow"]
    case .overflowingGates: ["\(Int.max / 2) units", "overflow"]
    case .overflowingBatch: ["overflow the address space", "\(Int.max / 4)"]
    case .negativeSteps: ["steps: expected at least 0, got -1"]
    case .negativeBatch, .streamBatch, .stateBatch: ["batch: expected at least 0, got -1"]
    case .noThreads: ["threads: expected 1 to 1024, got 0"]
    case .tooManyThreads: ["threads: expected 1 to 1024, got 1025"]
    case .keepingNothing: ["keeping: expected at least 1 step, got 0"]
    case .overflowingTape: ["overflow the address space", "\(Int.max / 4)"]
    case .parametersCount, .withParametersCount: ["values: expected 128 elements, as the layout says, got 127"]
    case .throwingChange: ["values: expected 128 elements, as the layout says, got 1"]
    case .parametersOfAnother: ["parameters: expected the layout of this stack, got that of another"]
    case .unknownTensor: ["parameter: layer 0 has W, U, b, not V"]
    case .unknownLayer: ["parameter: layer 1 has nothing, not W"]
    case .tensorCount: ["b: expected 16 elements, got 3"]
    case .elementOutside: ["W: expected an element of 16 × 3, got (16, 0)"]
    case .statesCount: ["values: expected 16 elements, got 17"]
    case .unknownState: ["state: expected one of h, c, got m"]
    case .stateCount: ["c: expected 8 elements, got 1"]
    case .streamStates: ["states: expected h, c of L = 1, B = 2, H = 4, got h, c of L = 1, B = 1, H = 4"]
    case .shortMemory: ["memory: expected at least ", ", got 8"]
    case .misalignedMemory: ["memory: expected a 64-byte aligned buffer, got one at 0x"]
    // The same number of elements.
    case .streamStatesOfAnother:
      ["states: expected h, c of L = 1, B = 2, H = 4, got h, c of L = 2, B = 2, H = 2"]
    }
  }

  func commit() {
    var stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: 4)
    var states = stack.makeStates(batch: 2)
    switch self {
    case .noInputs: _ = RecurrentStack<LSTM, Float>(LSTM(), inputs: 0, units: 4)
    case .noUnits: _ = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: 0)
    case .negativeLayers: _ = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: 4, layers: -2)
    case .overflowingUnits: _ = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: Int.max / 8)
    case .overflowingGates: _ = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: Int.max / 2)
    case .overflowingBatch: _ = stack.makeWorkspace(steps: 1, batch: Int.max / 4)
    case .stateBatch: _ = stack.makeStates(batch: -1)
    case .negativeSteps: _ = stack.makeWorkspace(steps: -1, batch: 2)
    case .negativeBatch: _ = stack.makeTape(steps: 3, batch: -1)
    case .noThreads: _ = stack.makeWorkspace(steps: 3, batch: 2, threads: 0)
    case .tooManyThreads: _ = stack.makeTape(steps: 3, batch: 2, threads: 1025)
    case .keepingNothing: _ = stack.makeTape(steps: 3, batch: 2, keeping: 0)
    case .overflowingTape: _ = stack.makeTape(steps: Int.max / 4, batch: 2)
    case .streamBatch: _ = stack.makeStream(batch: -1)
    case .parametersCount: stack.parameters.values.removeLast()
    case .parametersOfAnother:
      stack.parameters = RecurrentStack<LSTM, Float>(LSTM(), inputs: 4, units: 4).parameters
    case .withParametersCount: stack.withParameters { _ = $0.removeLast() }
    case .throwingChange: try? stack.withParameters { try Self.shorten(&$0) }
    case .unknownTensor: print(stack.parameters["V"])
    case .unknownLayer: print(stack.parameters["W", layer: 1])
    case .tensorCount: stack.parameters["b"] = [1, 2, 3]
    case .elementOutside: stack.parameters["W", 16, 0] = 1
    case .statesCount: states.values.append(0)
    case .unknownState: print(states["m"])
    case .stateCount: states["c"] = [1]
    case .streamStates:
      var stream = stack.makeStream(batch: 2)
      stream.states = stack.makeStates(batch: 1)
    case .streamStatesOfAnother:
      var stream = stack.makeStream(batch: 2)
      stream.states = RecurrentStack<LSTM, Float>(LSTM(), inputs: 3, units: 2, layers: 2).makeStates(batch: 2)
    case .shortMemory: unsafe _ = stack.makeTape(steps: 3, batch: 2, in: mutableZeros(8))
    case .misalignedMemory:
      let count = stack.streamCount(batch: 2)
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 * count + 64, alignment: 64)
      unsafe _ = stack.makeStream(
        batch: 2, in: UnsafeMutableRawBufferPointer(rebasing: memory[4...]).bindMemory(to: Float.self))
    }
  }

  /// Ends with an error: within `withParameters`, observers of the array are not called then.
  private static func shorten(_ values: inout [Float]) throws {
    values = [1]
    throw CancellationError()
  }
}

/// Cells that no layer can be made of.
enum CellMisuse: String, Misuse {
  case noGates, tooManyGates, tooManyPlanes, equalGates, equalStates, noStates, equalUnitParameters, thirdStage
  case tooManySavedPlanes, unitParameterNamedAsTensor
  case unknownForgetGate, unknownInputGate
  case undeclaredGate, undeclaredState, undeclaredUnit, undeclaredResult, undeclaredSaved, laterStage

  var words: [String] {
    switch self {
    case .noGates: ["NoGates.gates: expected 1 to 8, got 0"]
    case .tooManyGates: ["NineGates.gates: expected 1 to 8, got 9"]
    case .tooManyPlanes: ["TenPlanes.gates: expected at most 8 planes, got 5 and 5 recurrent parts"]
    case .equalGates: ["EqualGates.gates: names must differ", "a"]
    case .equalStates: ["EqualStates.states: names must differ"]
    case .noStates: ["NoStates.states: expected 1 to 8, got 0"]
    case .equalUnitParameters: ["EqualUnits.unitParameters: names must differ"]
    case .thirdStage: ["ThirdStage.gates: gate b is of stage 2, expected 0 or 1"]
    case .unitParameterNamedAsTensor: ["NamedAsTensor.unitParameters: b is the name of a tensor that every cell has"]
    case .tooManySavedPlanes: ["NineSaved.savedPlanes: expected 0 to 8, got 9"]
    case .unknownForgetGate: ["UnknownForgetGate.forgetGate: expected one of a, b, got f"]
    case .unknownInputGate: ["UnknownInputGate.forgetGate: expected one of a, b, got i"]
    case .undeclaredGate: ["SecondGate.step: gates: expected planes 0..<1, got plane 1"]
    case .undeclaredState: ["SecondState.step: states before the step: expected planes 0..<1, got plane 1"]
    case .undeclaredUnit: ["FirstUnit.step: units: expected planes 0..<0, got plane 0"]
    case .undeclaredResult: ["SecondResult.step: states: expected planes 0..<1, got plane 1"]
    case .undeclaredSaved: ["FirstSaved.backward: saved: expected planes 0..<0, got plane 0"]
    case .laterStage: ["LaterStage.operand: expected gates of stage 0, got gates[1]"]
    }
  }

  func commit() {
    switch self {
    case .noGates: make(NoGates())
    case .tooManyGates: make(NineGates())
    case .tooManyPlanes: make(TenPlanes())
    case .equalGates: make(EqualGates())
    case .equalStates: make(EqualStates())
    case .noStates: make(NoStates())
    case .equalUnitParameters: make(EqualUnits())
    case .thirdStage: make(ThirdStage())
    case .tooManySavedPlanes: make(NineSaved())
    case .unitParameterNamedAsTensor: make(NamedAsTensor())
    case .unknownForgetGate: make(UnknownForgetGate())
    case .unknownInputGate: make(UnknownInputGate())
    case .undeclaredGate: make(SecondGate())
    case .undeclaredState: make(SecondState())
    case .undeclaredUnit: make(FirstUnit())
    case .undeclaredResult: make(SecondResult())
    case .undeclaredSaved: make(FirstSaved())
    case .laterStage: make(LaterStage())
    }
  }

  private func make<C: Cell>(_ cell: C) { _ = RecurrentStack<C, Float>(cell, inputs: 2, units: 3) }
}

/// A cell whose planes matter and whose mathematics does not.
private protocol Hollow: Cell {}

extension Hollow {
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.states[0]) }
}

private struct NoGates: Hollow { static var gates: [Gate] { [] } }
private struct NineGates: Hollow { static var gates: [Gate] { (0..<9).map { Gate("\($0)") } } }
private struct TenPlanes: Hollow { static var gates: [Gate] { (0..<5).map { Gate.apart("\($0)") } } }
private struct EqualGates: Hollow { static var gates: [Gate] { ["a", "b", "a"] } }
private struct EqualStates: Hollow {
  static var gates: [Gate] { ["a"] }
  static var states: [String] { ["h", "h"] }
}
private struct NoStates: Hollow {
  static var gates: [Gate] { ["a"] }
  static var states: [String] { [] }
}
private struct EqualUnits: Hollow {
  static var gates: [Gate] { ["a"] }
  static var unitParameters: [String] { ["p", "p"] }
}
private struct ThirdStage: Hollow { static var gates: [Gate] { ["a", Gate("b", stage: 2)] } }
private struct NamedAsTensor: Hollow {
  static var gates: [Gate] { ["a"] }
  static var unitParameters: [String] { ["p", "b"] }
}
private struct UnknownForgetGate: Hollow {
  static var gates: [Gate] { ["a", "b"] }
  static var forgetGate: ForgetGate? { ForgetGate("f") }
}
private struct UnknownInputGate: Hollow {
  static var gates: [Gate] { ["a", "b"] }
  static var forgetGate: ForgetGate? { ForgetGate("b", inputGate: "i") }
}

private struct NineSaved: DifferentiatedCell {
  static var gates: [Gate] { ["a"] }
  static var savedPlanes: Int { 9 }
  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    (Planes(input.gates[0]), Planes())
  }
  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    CellGradients(gates: Planes(input.gradients[0]))
  }
}

private struct SecondGate: Cell {
  static var gates: [Gate] { ["a"] }
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.gates[0] + input.gates[1]) }
}
private struct SecondState: Cell {
  static var gates: [Gate] { ["a"] }
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.gates[0] + input.states[1]) }
}
private struct FirstUnit: Cell {
  static var gates: [Gate] { ["a"] }
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.gates[0] + input.units[0]) }
}
private struct SecondResult: Cell {
  static var gates: [Gate] { ["a"] }
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.gates[0], input.gates[0]) }
}
private struct FirstSaved: DifferentiatedCell {
  static var gates: [Gate] { ["a"] }
  static var savedPlanes: Int { 0 }
  func forward<V: PointwiseValue>(_ input: CellInput<V>) -> (states: Planes<V>, saved: Planes<V>) {
    (Planes(input.gates[0]), Planes())
  }
  func backward<V: PointwiseValue>(_ input: CellBackwardInput<V>) -> CellGradients<V> {
    CellGradients(gates: Planes(input.gradients[0] * input.saved[0]))
  }
}
private struct LaterStage: Cell {
  static var gates: [Gate] { ["a", Gate("b", stage: 1)] }
  func operand<V: PointwiseValue>(_ input: CellInput<V>) -> V { input.gates[1] * input.states[0] }
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.gates[0] + input.gates[1]) }
}

/// A few zeros, never freed: the process is about to end.
@unsafe private func zeros(_ count: Int) -> UnsafeBufferPointer<Float> {
  unsafe UnsafeBufferPointer(mutableZeros(count))
}

@unsafe private func mutableZeros(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
  let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
  unsafe buffer.initialize(repeating: 0)
  return unsafe buffer
}
