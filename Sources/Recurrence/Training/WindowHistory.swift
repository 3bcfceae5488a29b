import RecurrenceKernels

/// The last windows of truncated backpropagation: what it takes to run each again.
///
/// A ring. A window's age is 0 for the newest, 1 for the one before it.
@safe struct WindowHistory<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  /// Windows that are kept at most.
  let capacity: Int
  /// Windows that are kept now.
  private(set) var count = 0
  private let batch: Int
  private let inputs: Int
  /// Elements of one window's inputs [k₁, B, I], and of states [S, L, B, H].
  private let inputCount: Int
  private let stateCount: Int
  private var newest = 0
  private var steps: [Int]
  /// [capacity, B]: whether a row's states before the window came from outside and not from the window before it.
  private var isCut: [Bool]
  private let inputOffset: Int
  private let stateOffset: Int
  private let slab: AlignedBuffer<Scalar>

  init(windows: Int, steps: Int, batch: Int, inputs: Int, stateCount: Int) {
    capacity = windows
    self.batch = batch
    self.inputs = inputs
    self.stateCount = stateCount
    var plan = SlabPlan<Scalar>()
    inputOffset = plan.reserve(windows, steps, batch, inputs)
    stateOffset = plan.reserve(windows, stateCount)
    inputCount = steps * batch * inputs
    slab = AlignedBuffer(count: plan.count)
    self.steps = [Int](repeating: 0, count: windows)
    isCut = [Bool](repeating: true, count: windows * batch)
  }

  var byteCount: Int { slab.count * MemoryLayout<Scalar>.stride }

  /// Steps of all windows.
  var allSteps: Int {
    var sum = 0
    for age in 0..<count { sum += steps[slot(age)] }
    return sum
  }

  /// Forgets all windows.
  mutating func removeAll() { count = 0 }

  /// Adds a window, in place of the oldest where all places are taken.
  ///
  /// - Parameters:
  ///   - input: in, [steps, B, I]; copied.
  ///   - states: in, [S, L, B, H]: the states before its first step; copied.
  ///   - cut: B flags: whether no gradient is to leave the window for the one before it.
  mutating func append(
    _ input: UnsafeBufferPointer<Scalar>, steps: Int, states: UnsafePointer<Scalar>, cut: [Bool]
  ) {
    newest = (newest + 1) % capacity
    count = min(count + 1, capacity)
    self.steps[newest] = steps
    for row in 0..<batch { isCut[newest * batch + row] = cut[row] }
    if let source = input.baseAddress {
      unsafe (slab.unsafePointer + inputOffset + newest * inputCount).update(from: source, count: input.count)
    }
    unsafe (slab.unsafePointer + stateOffset + newest * stateCount).update(from: states, count: stateCount)
  }

  func steps(_ age: Int) -> Int { steps[slot(age)] }

  func isCut(_ age: Int, row: Int) -> Bool { isCut[slot(age) * batch + row] }

  /// [steps, B, I].
  func input(_ age: Int) -> UnsafeBufferPointer<Scalar> {
    unsafe UnsafeBufferPointer(
      start: slab.unsafePointer + inputOffset + slot(age) * inputCount, count: steps(age) * batch * inputs)
  }

  /// [S, L, B, H].
  func states(_ age: Int) -> UnsafeBufferPointer<Scalar> {
    unsafe UnsafeBufferPointer(start: slab.unsafePointer + stateOffset + slot(age) * stateCount, count: stateCount)
  }

  private func slot(_ age: Int) -> Int { (newest - age + capacity) % capacity }
}
