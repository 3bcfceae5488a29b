import Foundation
import Recurrence
import RecurrenceTesting
import Testing

/// A stack is a value that any number of threads may use at once. Under ThreadSanitizer this is where races would show.
@Suite("Shared models")
struct SharedModelTests {
  @Test("one model used from eight threads at once", arguments: [CountedCell.lstm, .gruResetBefore, .busyCell])
  func eightThreads(_ cell: CountedCell) async throws {
    var floats = SharingVisitor<Float>()
    try cell.accept(&floats)
    for job in floats.jobs { try await job() }
    var doubles = SharingVisitor<Double>()
    try cell.accept(&doubles)
    for job in doubles.jobs { try await job() }
  }
}

private struct SharingVisitor<Scalar: TestScalar>: CellVisitor {
  private(set) var jobs: [@Sendable () async throws -> Void] = []

  mutating func visit<C: Cell>(_ cell: C) {
    for threads in [1, 2] {
      jobs.append { try await Self.share(cell, threads: threads) }
    }
  }

  /// Every thread runs forward, backward and steps with memory of its own, over one model, in which another thread's
  /// changes to a copy must not show.
  private static func share<C: Cell>(_ cell: C, threads: Int) async throws {
    let shape = ProblemShape(steps: 6, batch: 4, inputs: 5, units: 18, layers: 2, lengths: [6, 2, 0, 5])
    let stack = RecurrentStack<C, Scalar>(cell, inputs: 5, units: 18, layers: 2, seed: 9)
    var random = SeededRandom(stream: 21)
    let problem = SequenceProblem(shape, states: C.states.count, random: &random)
    let alone = try run(stack, problem, threads: threads)
    let results = try await withThrowingTaskGroup(of: [UInt64].self) { group in
      for _ in 0..<8 {
        group.addTask {
          try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Result { try run(stack, problem, threads: threads) }) }.start()
          }
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(results.count == 8)
    #expect(results.allSatisfy { $0 == alone }, "\(C.self) \(Scalar.self), \(threads) threads for each pass")
  }

  /// The bits of everything that a few passes give.
  private static func run<C: Cell>(
    _ stack: RecurrentStack<C, Scalar>, _ problem: SequenceProblem, threads: Int
  ) throws -> [UInt64] {
    let shape = problem.shape
    var bits: [UInt64] = []
    var tape = stack.makeTape(
      steps: shape.steps, batch: shape.batch, threads: threads, ragged: true, keeping: 2, smallestSplit: 0)
    var stream = stack.makeStream(batch: shape.batch)
    let x = problem.x.prefix(shape.batch * shape.inputs).map { Scalar($0) }
    var outputs = [Scalar](repeating: 0, count: shape.batch * shape.units)
    for round in 0..<3 {
      bits += try stack.solve(problem, tape: &tape).tensors.flatMap { $0.values.map(\.wideBits) }
      try stack.step(x, into: &outputs, stream: &stream)
      bits += (outputs + stream.states.values).map(\.wideBits)
      var copy = stack
      copy.withParameters { for i in $0.indices { $0[i] += 1 } }
      if round == 1 { bits += try copy.solve(problem).tensors.flatMap { $0.values.map(\.wideBits) } }
    }
    return bits
  }
}
