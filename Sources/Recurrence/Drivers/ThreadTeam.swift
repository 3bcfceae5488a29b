import CProcessor
import RecurrenceKernels
import Synchronization

/// Threads that go through a pass together.
///
/// Starting threads takes longer than many a phase of a pass, so that they start once and every one runs the same loop.
/// What it meets on the way are phases, each of some blocks: parts of the batch, parts of the weights' gradients, or, where
/// there is but one sequence, parts of a step's units, each of whose pre-activations is a sum of its own. It claims blocks
/// that nobody has claimed, and goes on when none is left.
///
///     a block is run after all blocks of the phases before it have ended
///
/// Nobody waits for a thread to start: a block that is waited for was claimed, and so is being run by a thread that
/// waits, if at all, for earlier blocks. A thread that never starts, or starts late, finds everything claimed.
package final class ThreadTeam: Sendable {
  /// Blocks claimed and blocks ended since the pass began, of all phases together.
  private let claimed = Atomic<Int>(0)
  private let ended = Atomic<Int>(0)

  package init() {}

  /// To be called before the threads start.
  package func begin() {
    claimed.store(0, ordering: .relaxed)
    ended.store(0, ordering: .relaxed)
  }

  /// Runs what blocks of a phase are left. `first` is the number of blocks of all phases before it.
  package func run(blocks: Int, after first: Int, _ body: (Int) -> Void) {
    let end = first + blocks
    var next = claimed.load(ordering: .relaxed)
    while next < end {
      let (isMine, current) = claimed.weakCompareExchange(
        expected: next, desired: next + 1, ordering: .relaxed)
      if !isMine {
        next = current
        continue
      }
      wait(until: first)
      body(next - first)
      ended.add(1, ordering: .acquiringAndReleasing)
      next = claimed.load(ordering: .relaxed)
    }
  }

  /// Spins, for most phases are shorter than a thread's sleep; gives its processor away where the wait is longer, for then
  /// the other thread may be without one; and naps where it is long, for then there is less to do than there are threads.
  private func wait(until blocks: Int) {
    var spins = 0
    while ended.load(ordering: .acquiring) < blocks {
      spins += 1
      if spins < 4096 {
        recurrence_pause()
      } else if spins < 4352 {
        recurrence_yield()
      } else {
        recurrence_nap()
      }
    }
  }
}

/// The phases that one thread of a team has met so far.
struct TeamPhases {
  /// Nil where one thread runs all blocks.
  private let team: ThreadTeam?
  private var blocks = 0

  init(team: ThreadTeam?) { self.team = team }

  mutating func run(_ count: Int, _ body: (Int) -> Void) {
    guard let team else {
      for block in 0..<count { body(block) }
      return
    }
    team.run(blocks: count, after: blocks, body)
    blocks += count
  }

  /// A stage of a step of one sequence, in blocks of units, whole panels each.
  mutating func run<Scalar: RecurrenceScalar>(_ call: inout RecurrentCall<Scalar>, _ memory: SequenceMemory<Scalar>) {
    let width = memory.shape.kernels.geometry.panelWidth
    let panels = EvenSplit(memory.shape.units / width, parts: memory.use.threads)
    run(panels.parts) { block in
      let range = panels.range(block)
      unsafe call.units = (range.lowerBound * width)..<(range.upperBound * width)
      unsafe memory.shape.kernels.table.recurrentStep(call)
    }
  }
}
