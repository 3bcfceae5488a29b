import Dispatch
import Foundation
import Recurrence
import RecurrenceTesting
import Synchronization
import Testing

/// Threads that share the units of one sequence: the bits of one thread, whoever starts when.
@Suite("Threads that share a sequence")
struct UnitTeamTests {
  static let shapes = [
    ProblemShape(steps: 1, batch: 1, inputs: 3, units: 96),
    ProblemShape(steps: 9, batch: 1, inputs: 40, units: 64, layers: 2),
    // More than one chunk, and a last one of its own length.
    ProblemShape(steps: 150, batch: 1, inputs: 7, units: 128),
    ProblemShape(steps: 6, batch: 1, inputs: 5, units: 96, layers: 2, lengths: [4]),
    ProblemShape(steps: 4, batch: 1, inputs: 5, units: 96, lengths: [0]),
  ]

  private struct SameBits: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      try visit(cell, Float.self)
      try visit(cell, Double.self)
    }

    private func visit<C: Cell, S: TestScalar>(_ cell: C, _: S.Type) throws {
      for kernels in Kernels<S>.supported {
        for (index, shape) in UnitTeamTests.shapes.enumerated() where !SuiteSettings.isThin || shape.steps < 100 {
          let stack = RecurrentStack<C, S>(
            cell, inputs: shape.inputs, units: shape.units, layers: shape.layers, seed: 5, kernels: kernels)
          var random = SeededRandom(stream: index)
          let problem = SequenceProblem(shape, states: C.states.count, random: &random)
          let alone = try stack.solve(problem)
          let inferred = try infer(stack, problem, threads: 1)
          for threads in SuiteSettings.isThin ? [2] : [2, 3] {
            let label = "\(C.self) \(S.self) \(kernels.instructionSet) \(shape) threads \(threads)"
            #expect(try infer(stack, problem, threads: threads) == inferred, "\(label), seed \(SuiteSettings.seed)")
            for keeping in [nil, 2] as [Int?] {
              let path = SequencePath(threads: threads, keeping: keeping, poison: true)
              let differences = try stack.solve(problem, path).differences(from: alone)
              #expect(differences.isEmpty, "\(label) keeping \(keeping ?? 0), seed \(SuiteSettings.seed)")
            }
          }
        }
      }
    }

    /// Bits of outputs and final states without a tape.
    private func infer<C: Cell, S: TestScalar>(
      _ stack: RecurrentStack<C, S>, _ problem: SequenceProblem, threads: Int
    ) throws -> [UInt64] {
      let shape = problem.shape
      var workspace = stack.makeWorkspace(
        steps: shape.steps, batch: 1, threads: threads, ragged: shape.lengths != nil, smallestSplit: 0)
      workspace.poison()
      var states = stack.makeStates(batch: 1)
      states.values = problem.initial.map { S($0) }
      var outputs = [S](repeating: .nan, count: shape.steps * stack.units)
      try stack.forward(
        problem.x.map { S($0) }, steps: shape.steps, batch: 1, lengths: shape.lengths, states: &states,
        outputs: &outputs, workspace: &workspace)
      return (outputs + states.values).map(\.wideBits)
    }
  }

  @Test("outputs, states and gradients have the bits of one thread")
  func sameBits() throws {
    var visitor = SameBits()
    try forEachCell(&visitor)
  }

  @Test("blocks run once each, after all blocks of the phases before, whichever thread comes when", arguments: 1...4)
  func phases(threads: Int) {
    let counts = (0..<100).map { 1 + $0 % 5 }
    let total = counts.reduce(0, +)
    let team = ThreadTeam()
    let log = BlockLog(count: total)
    for late in 0..<threads {
      log.clear()
      team.begin()
      DispatchQueue.concurrentPerform(iterations: threads) { thread in
        // One comes when all may be done.
        if thread == late { Thread.sleep(forTimeInterval: 0.002) }
        var first = 0
        for (phase, count) in counts.enumerated() {
          team.run(blocks: count, after: first) { block in log.append(phase * 10 + block) }
          first += count
        }
      }
      let blocks = log.blocks
      #expect(blocks.map { $0 / 10 } == counts.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element) })
      #expect(Set(blocks).count == total)
    }
  }

  @Test("passes within passes, more threads than processors")
  func nested() throws {
    let stack = RecurrentStack<LSTM, Float>(LSTM(), inputs: 9, units: 128, seed: 3)
    var random = SeededRandom(stream: 1)
    let problem = SequenceProblem(
      ProblemShape(steps: 8, batch: 1, inputs: 9, units: 128), states: 2, random: &random)
    let alone = try stack.solve(problem)
    let differing = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      for _ in 0..<(SuiteSettings.isThin ? 1 : 10) {
        let result = try? stack.solve(problem, SequencePath(threads: 4))
        if result?.differences(from: alone) != [] { differing.add(1, ordering: .relaxed) }
      }
    }
    #expect(differing.load(ordering: .relaxed) == 0)
  }
}

/// Which blocks ran, in order. Without a lock, which would order what the team is to order.
@safe private final class BlockLog: @unchecked Sendable {
  private let next = Atomic<Int>(0)
  private let count: Int
  private let slots: UnsafeMutablePointer<Int>

  init(count: Int) {
    self.count = count
    unsafe slots = .allocate(capacity: count)
    unsafe slots.initialize(repeating: -1, count: count)
  }

  deinit { unsafe slots.deallocate() }

  func clear() { next.store(0, ordering: .relaxed) }

  func append(_ block: Int) {
    let slot = next.add(1, ordering: .relaxed).oldValue
    if slot < count { unsafe slots[slot] = block }
  }

  var blocks: [Int] { (0..<min(count, next.load(ordering: .relaxed))).map { unsafe slots[$0] } }
}
