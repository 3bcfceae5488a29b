/// One step of a program: register `index of the instruction` ← operation(registers a, b, c, d).
@frozen public struct PointwiseInstruction: Sendable {
  public let operation: PointwiseOperation
  public let a, b, c, d: Int
}

/// A plane and the register that holds it, or −1 for none.
@frozen public struct PointwiseBinding: Sendable {
  public let plane: PointwisePlane
  public let register: Int
}

/// Pointwise mathematics as data: a list of operations, each on whole blocks of elements.
///
/// A cell written outside this package is compiled with its own package's flags, in a debug build with none at all.
/// Recorded once and replayed by the kernels of an instruction set, it runs at their speed: a block of elements is
/// long enough that looking up what to do costs little beside doing it. Run backwards, the same list gives the gradient.
///
/// A program owns its memory, is never changed, and may be shared by threads.
@safe public final class PointwiseProgram: Sendable {
  nonisolated(unsafe) private let instructions: UnsafeMutableBufferPointer<PointwiseInstruction>
  nonisolated(unsafe) private let outputs: UnsafeMutableBufferPointer<PointwiseBinding>
  nonisolated(unsafe) private let differentiated: UnsafeMutableBufferPointer<PointwiseBinding>

  /// The program that computes `results`. What they do not need is left out; what they share is computed once.
  ///
  /// - Parameter differentiated: inputs that a run backwards gives the derivatives of, whether the results depend on
  ///   them or not.
  public init(_ results: [(PointwisePlane, RecordedValue)], differentiating differentiated: [PointwisePlane] = []) {
    var recorded: [PointwiseInstruction] = []
    var registers: [ObjectIdentifier: Int] = [:]
    var inputs: [PointwisePlane: Int] = [:]
    func register(_ node: RecordedValue.Node) -> Int {
      if let known = registers[ObjectIdentifier(node)] { return known }
      if case .input(let plane) = node.operation, let known = inputs[plane] { return known }
      let operands = node.operands.map(register) + [0, 0, 0, 0]
      recorded.append(
        PointwiseInstruction(
          operation: node.operation, a: operands[0], b: operands[1], c: operands[2], d: operands[3]))
      registers[ObjectIdentifier(node)] = recorded.count - 1
      if case .input(let plane) = node.operation { inputs[plane] = recorded.count - 1 }
      return recorded.count - 1
    }
    let outputs = results.map { PointwiseBinding(plane: $0.0, register: register($0.1.node)) }
    let bindings = differentiated.map { PointwiseBinding(plane: $0, register: inputs[$0] ?? -1) }
    unsafe self.instructions = .allocate(capacity: recorded.count)
    _ = unsafe self.instructions.initialize(from: recorded)
    unsafe self.outputs = .allocate(capacity: outputs.count)
    _ = unsafe self.outputs.initialize(from: outputs)
    unsafe self.differentiated = .allocate(capacity: bindings.count)
    _ = unsafe self.differentiated.initialize(from: bindings)
  }

  deinit {
    unsafe instructions.deallocate()
    unsafe outputs.deallocate()
    unsafe differentiated.deallocate()
  }

  /// Number of registers that a run takes.
  public var registers: Int { unsafe instructions.count }

  /// The planes that a run reads.
  var inputs: [PointwisePlane] {
    unsafe instructions.compactMap { if case .input(let plane) = $0.operation { plane } else { nil } }
  }

  /// The function that each gate is put through, as it is, nil where there is none or more than one.
  func activations(ofGates count: Int) -> [Activation?] {
    var found = [Set<Activation>](repeating: [], count: count)
    for index in unsafe instructions.indices {
      let instruction = unsafe instructions[index]
      guard case .activation(let activation) = instruction.operation else { continue }
      if case .input(.gate(let plane)) = unsafe instructions[instruction.a].operation, plane < count {
        found[plane].insert(activation)
      }
    }
    return found.map { $0.count == 1 ? $0.first : nil }
  }

  /// Valid while the program lives.
  @unsafe public var view: PointwiseProgramView {
    unsafe PointwiseProgramView(
      instructions: UnsafeBufferPointer(instructions), outputs: UnsafeBufferPointer(outputs),
      differentiated: UnsafeBufferPointer(differentiated))
  }
}

/// What the kernels see of a program.
@frozen @unsafe public struct PointwiseProgramView {
  public let instructions: UnsafeBufferPointer<PointwiseInstruction>
  public let outputs: UnsafeBufferPointer<PointwiseBinding>
  public let differentiated: UnsafeBufferPointer<PointwiseBinding>
}
