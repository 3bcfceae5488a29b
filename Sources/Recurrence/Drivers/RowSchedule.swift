import RecurrenceKernels

/// Which sequences are still running at each step, and where their rows lie.
///
/// Sequences are ordered by length, the longest first (those of equal length as they came), so that the ones running
/// at a step are the first ones, and those of a step are among those of the step before. Rows of all steps lie packed:
/// row `offset(t) + j` belongs to step t and the j-th sequence in this order. Without lengths this is the order of the
/// caller's own [T, B] rows.
@safe final class RowSchedule {
  private(set) var steps = 0
  private(set) var batch = 0
  /// Whether every sequence runs through all steps.
  private(set) var isUniform = true
  private let active: UnsafeMutablePointer<Int>
  private let offsets: UnsafeMutablePointer<Int>
  private let order: UnsafeMutablePointer<Int>
  private let lengths: UnsafeMutablePointer<Int>

  init(steps: Int, batch: Int, ragged: Bool) {
    unsafe active = .allocate(capacity: ragged ? steps + 1 : 0)
    unsafe offsets = .allocate(capacity: ragged ? steps + 1 : 0)
    unsafe order = .allocate(capacity: ragged ? batch : 0)
    unsafe lengths = .allocate(capacity: ragged ? batch : 0)
  }

  deinit {
    unsafe active.deallocate()
    unsafe offsets.deallocate()
    unsafe order.deallocate()
    unsafe lengths.deallocate()
  }

  /// All sequences of `steps` steps.
  func set(steps: Int, batch: Int) {
    self.steps = steps
    self.batch = batch
    isUniform = true
  }

  /// Sequences of the given lengths, each from 0 to `steps`. Allocates nothing.
  func set(steps: Int, lengths given: UnsafeBufferPointer<Int>) {
    self.steps = steps
    batch = given.count
    isUniform = false
    // Counting sort by length, descending: active[t] sequences are longer than t, so that those of length n come after
    // the active[n] longer ones.
    for t in 0...steps { unsafe active[t] = 0 }
    for index in 0..<batch {
      let length = unsafe given[index]
      if length > 0 { unsafe active[length - 1] += 1 }
    }
    var t = steps - 1
    while t > 0 {
      t -= 1
      unsafe active[t] += active[t + 1]
    }
    for t in 0...steps { unsafe offsets[t] = unsafe active[t] }
    for row in 0..<batch {
      let length = unsafe given[row]
      let place = unsafe offsets[length]
      unsafe offsets[length] += 1
      unsafe order[place] = row
      unsafe lengths[place] = length
    }
    var offset = 0
    for t in 0...steps {
      unsafe offsets[t] = offset
      unsafe offset += active[t]
    }
  }

  /// Sequences that run at step t.
  func count(_ t: Int) -> Int { unsafe isUniform ? batch : active[t] }
  /// Packed row of the first sequence at step t, 0 ≤ t ≤ steps.
  func offset(_ t: Int) -> Int { unsafe isUniform ? t * batch : offsets[t] }
  /// Packed rows from the first of the step before t to the first of step t. On a tape, those before its first step are
  /// of the whole batch.
  func rowsBefore(_ t: Int, tapeStart: Int) -> Int { t == tapeStart ? batch : count(t - 1) }
  /// The caller's row of the j-th sequence.
  func row(_ j: Int) -> Int { unsafe isUniform ? j : order[j] }
  /// Steps of the j-th sequence.
  func length(_ j: Int) -> Int { unsafe isUniform ? steps : lengths[j] }

  /// Splits the sequences into `parts` ranges of about equal work; returns where range `part` begins.
  func start(ofPart part: Int, of parts: Int) -> Int {
    if isUniform { return EvenSplit(batch, parts: parts).start(part) }
    if part == parts { return batch }
    let share = offset(steps) * part / parts
    var sum = 0
    var j = 0
    while j < batch, sum < share {
      sum += length(j)
      j += 1
    }
    return j
  }
}
