import CProcessor
import Dispatch
import Recurrence
import RecurrenceTesting
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// Subnormal numbers are zero inside a pass, and as the caller had them before and after it.
@Suite("Subnormal numbers")
struct SubnormalTests {
  @Test("a pass leaves the caller's floating-point mode as it was", arguments: [1, 2])
  func modeIsRestored(threads: Int) throws {
    #expect(flushedOperations() == [], "before any pass")
    try runPasses(threads: threads)
    #expect(flushedOperations() == [], "on the caller's thread, after passes")
    // Dispatch runs these on the threads that ran parts of the passes, among others.
    let flushed = Mutex(0)
    DispatchQueue.concurrentPerform(iterations: 64) { _ in
      if !flushedOperations().isEmpty { flushed.withLock { $0 += 1 } }
    }
    #expect(flushed.withLock { $0 } == 0, "on Dispatch's threads, after passes")

    let mode = recurrence_flush_subnormals()
    let flushes = !flushedOperations().isEmpty
    try runPasses(threads: threads)
    let flushesAfter = !flushedOperations().isEmpty
    recurrence_restore_subnormals(mode)
    #expect(flushes == flushesAfter, "a caller who flushes goes on flushing")
    #expect(flushedOperations() == [], "restored")
    #if arch(x86_64) || arch(arm64)
    #expect(flushes)
    #endif
  }

  @Test("a step leaves all of the mode as it was: on x86, exception flags too, but for the inexact one")
  func flagsAreRestored() {
    let layer = RecurrentLayer<LSTM, Float>(LSTM(), inputs: 40, units: 17, seed: 1)
    var stream = layer.makeStream(batch: 1)
    var output = [Float](repeating: 0, count: 17)
    let input = [Float](repeating: .greatestFiniteMagnitude, count: 40)
    unsafe input.withUnsafeBufferPointer { input in
      unsafe output.withUnsafeMutableBufferPointer { output in
        #if canImport(Glibc) && arch(x86_64)
        feclearexcept(0x3d)
        #endif
        let before = mode()
        unsafe layer.step(input, into: output, stream: &stream)
        #expect(mode() | inexact == before | inexact)
      }
    }
  }

  /// Its flag, where the mode has any.
  private let inexact: UInt64 = {
    #if arch(x86_64)
    0x20
    #else
    0
    #endif
  }()

  private func mode() -> UInt64 {
    let mode = recurrence_flush_subnormals()
    recurrence_restore_subnormals(mode)
    return mode
  }

  @Test("inside, a subnormal number is zero", arguments: CountedCell.allCases)
  func subnormalsAreZero(_ cell: CountedCell) throws {
    var floats = SubnormalVisitor<Float>(tiny: 1e-40)
    try cell.accept(&floats)
    var doubles = SubnormalVisitor<Double>(tiny: Double.leastNormalMagnitude / 1024)
    try cell.accept(&doubles)
  }

  private func runPasses(threads: Int) throws {
    var random = SeededRandom(stream: 3)
    let problem = SequenceProblem(
      ProblemShape(steps: 7, batch: 6, inputs: 5, units: 33, layers: 2), states: 2, random: &random)
    let stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 5, units: 33, layers: 2, seed: 1)
    _ = try stack.solve(problem, SequencePath(threads: threads))
    var workspace = stack.makeWorkspace(steps: 7, batch: 6, threads: threads, ragged: false, smallestSplit: 0)
    var states = stack.makeStates(batch: 6)
    var outputs = [Float](repeating: 0, count: 7 * 6 * 33)
    let x = problem.x.map { Float($0) }
    try stack.forward(x, steps: 7, batch: 6, states: &states, outputs: &outputs, workspace: &workspace)
    var stream = stack.makeStream(batch: 6)
    var last = [Float](repeating: 0, count: 6 * 33)
    try stack.step(Array(x.prefix(30)), into: &last, stream: &stream)
  }
}

/// Operations on subnormal numbers that this thread gets wrong now.
private func flushedOperations() -> [String] {
  var flushed: [String] = []
  if opaque(Float.leastNormalMagnitude) * opaque(0.5) != Float(bitPattern: 0x40_0000) { flushed.append("Float result") }
  if opaque(Float(bitPattern: 3)) * opaque(Float(0x1p24)) == 0 { flushed.append("Float operand") }
  if opaque(Double.leastNormalMagnitude) * opaque(0.5) != Double(bitPattern: 0x8_0000_0000_0000) {
    flushed.append("Double result")
  }
  if opaque(Double(bitPattern: 3)) * opaque(Double(0x1p53)) == 0 { flushed.append("Double operand") }
  return flushed
}

@inline(never) @_optimize(none) private func opaque<Scalar: TestScalar>(_ value: Scalar) -> Scalar { value }

/// Compares a problem with subnormal numbers in it with the one that has zeros there.
private struct SubnormalVisitor<Scalar: TestScalar>: CellVisitor {
  let tiny: Double

  func visit<C: Cell>(_ cell: C) throws {
    let shape = ProblemShape(steps: 5, batch: 4, inputs: 6, units: 9, layers: 2)
    for kernels in Kernels<Scalar>.supported {
      let stack = RecurrentStack<C, Scalar>(cell, inputs: 6, units: 9, layers: 2, seed: 2, kernels: kernels)
      for threads in [1, 2] {
        try check(stack, shape, threads, kernels.instructionSet) { $0.x = replaced($0.x, $1) }
        try check(stack, shape, threads, kernels.instructionSet) { $0.initial = replaced($0.initial, $1) }
        try check(stack, shape, threads, kernels.instructionSet) {
          $0.outputGradients = replaced($0.outputGradients, $1)
          $0.finalGradients = replaced($0.finalGradients, $1)
        }
        try check(stack, shape, threads, kernels.instructionSet) { problem, value in
          for keyPath in [\SequenceProblem.x, \.initial, \.outputGradients, \.finalGradients] {
            problem[keyPath: keyPath] = problem[keyPath: keyPath].map { _ in value }
          }
        }
      }
    }
  }

  /// Every third number becomes `value`.
  private func replaced(_ numbers: [Double], _ value: Double) -> [Double] {
    numbers.enumerated().map { $0.offset % 3 == 0 ? value : $0.element }
  }

  private func check<C: Cell>(
    _ stack: RecurrentStack<C, Scalar>, _ shape: ProblemShape, _ threads: Int, _ set: InstructionSet,
    _ change: (inout SequenceProblem, Double) -> Void
  ) throws {
    var random = SeededRandom(stream: 4)
    var withTiny = SequenceProblem(shape, states: C.states.count, random: &random)
    var withZero = withTiny
    change(&withTiny, tiny)
    change(&withZero, 0)
    #expect(Scalar(tiny) != 0 && Scalar(tiny) < Scalar.leastNormalMagnitude)
    let path = SequencePath(threads: threads)
    let differences = try stack.solve(withTiny, path).differences(from: stack.solve(withZero, path))
    #expect(differences == [], "\(C.self) \(Scalar.self) \(set), \(threads) threads")
  }
}
