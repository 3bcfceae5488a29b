import RecurrenceKernels

// The memory that passes work in.

extension RecurrentStack {
  /// Memory for forward passes.
  ///
  /// - Parameters:
  ///   - steps: most steps of a pass, T.
  ///   - batch: most sequences of a pass, B.
  ///   - threads: threads that a pass is split between, from 1 to 1024; 1 never enters Dispatch.
  ///   - ragged: whether passes may be given lengths.
  public func makeWorkspace(
    steps: Int, batch: Int, threads: Int = 1, ragged: Bool = false
  ) -> InferenceWorkspace<Scalar> {
    makeWorkspace(
      steps: steps, batch: batch, threads: threads, ragged: ragged, smallestSplit: MatrixProducts<Scalar>.smallestSplit)
  }

  package func makeWorkspace(
    steps: Int, batch: Int, threads: Int, ragged: Bool, smallestSplit: Double
  ) -> InferenceWorkspace<Scalar> {
    unsafe InferenceWorkspace(
      memory: memory(
        SequenceUse(steps: steps, batch: batch, threads: threads, ragged: ragged, tapeSteps: nil), smallestSplit))
  }

  /// Memory for forward passes that are followed by backward passes.
  ///
  /// - Parameters:
  ///   - keeping: steps that the tape keeps at a time, all of them where nil. With k < T steps, the states before every
  ///     k-th step are kept and the rest is run again on the way back: k ≈ √T makes memory grow as √T, for one more
  ///     forward pass. The bits of all results are the same.
  ///
  /// Other parameters as in `makeWorkspace`.
  public func makeTape(
    steps: Int, batch: Int, threads: Int = 1, ragged: Bool = false, keeping: Int? = nil
  ) -> Tape<Scalar> {
    makeTape(
      steps: steps, batch: batch, threads: threads, ragged: ragged, keeping: keeping,
      smallestSplit: MatrixProducts<Scalar>.smallestSplit)
  }

  package func makeTape(
    steps: Int, batch: Int, threads: Int, ragged: Bool, keeping: Int?, smallestSplit: Double
  ) -> Tape<Scalar> {
    unsafe Tape(memory: memory(tapeUse(steps, batch, threads, ragged, keeping), smallestSplit))
  }

  /// Memory for sequences that arrive step by step, all states zero.
  public func makeStream(batch: Int = 1) -> RecurrentStream<Scalar> {
    let use = SequenceUse(steps: 1, batch: batch, threads: 1, ragged: false, tapeSteps: nil)
    return unsafe warmedUp(RecurrentStream(memory: memory(use, MatrixProducts<Scalar>.smallestSplit)))
  }

  /// Takes one step on zeros. What the run-time library sets up when code is run for the first time in a process is set
  /// up here, and not in the first step of an audio callback.
  private func warmedUp(_ stream: consuming RecurrentStream<Scalar>) -> RecurrentStream<Scalar> {
    let input = [Scalar](repeating: 0, count: stream.batch * inputs)
    var outputs = [Scalar](repeating: 0, count: stream.batch * units)
    try! step(input, into: &outputs, stream: &stream)
    stream.reset()
    return stream
  }

  // MARK: Memory of the caller

  // For engines that have their own: an arena, huge pages, memory locked for a real-time thread. Only small tables of
  // lengths, for ragged batches, are allocated beside it.

  /// Elements of memory that `makeWorkspace` with these parameters takes.
  public func workspaceCount(steps: Int, batch: Int, threads: Int = 1, ragged: Bool = false) -> Int {
    sequenceLayout(SequenceUse(steps: steps, batch: batch, threads: threads, ragged: ragged, tapeSteps: nil)).count
  }

  /// Elements of memory that `makeTape` with these parameters takes.
  public func tapeCount(
    steps: Int, batch: Int, threads: Int = 1, ragged: Bool = false, keeping: Int? = nil
  ) -> Int {
    sequenceLayout(tapeUse(steps, batch, threads, ragged, keeping)).count
  }

  /// Elements of memory that `makeStream` takes.
  public func streamCount(batch: Int = 1) -> Int {
    sequenceLayout(SequenceUse(steps: 1, batch: batch, threads: 1, ragged: false, tapeSteps: nil)).count
  }

  /// A workspace in memory of the caller.
  ///
  /// - Parameters:
  ///   - memory: at least `workspaceCount` elements, 64-byte aligned; valid, and used by nobody else, while the workspace
  ///     lives. Need not be cleared. Traps with a sentence where it is shorter or not aligned.
  @unsafe public func makeWorkspace(
    steps: Int, batch: Int, threads: Int = 1, ragged: Bool = false, in memory: UnsafeMutableBufferPointer<Scalar>
  ) -> InferenceWorkspace<Scalar> {
    let use = SequenceUse(steps: steps, batch: batch, threads: threads, ragged: ragged, tapeSteps: nil)
    return unsafe InferenceWorkspace(
      memory: self.memory(use, MatrixProducts<Scalar>.smallestSplit, in: memory))
  }

  /// A tape in memory of the caller, at least `tapeCount` elements; otherwise as above.
  @unsafe public func makeTape(
    steps: Int, batch: Int, threads: Int = 1, ragged: Bool = false, keeping: Int? = nil,
    in memory: UnsafeMutableBufferPointer<Scalar>
  ) -> Tape<Scalar> {
    unsafe Tape(
      memory: self.memory(
        tapeUse(steps, batch, threads, ragged, keeping), MatrixProducts<Scalar>.smallestSplit, in: memory))
  }

  /// A stream in memory of the caller, at least `streamCount` elements; otherwise as above.
  @unsafe public func makeStream(
    batch: Int = 1, in memory: UnsafeMutableBufferPointer<Scalar>
  ) -> RecurrentStream<Scalar> {
    let use = SequenceUse(steps: 1, batch: batch, threads: 1, ragged: false, tapeSteps: nil)
    return unsafe warmedUp(RecurrentStream(memory: self.memory(use, MatrixProducts<Scalar>.smallestSplit, in: memory)))
  }

  private func memory(
    _ use: SequenceUse, _ smallestSplit: Double, in memory: UnsafeMutableBufferPointer<Scalar>? = nil
  ) -> SequenceMemory<Scalar> {
    unsafe SequenceMemory(sequenceLayout(use), smallestSplit: smallestSplit, in: memory)
  }

  private func tapeUse(
    _ steps: Int, _ batch: Int, _ threads: Int, _ ragged: Bool, _ keeping: Int?
  ) -> SequenceUse {
    if let keeping, keeping < 1 { fatalError("keeping: expected at least 1 step, got \(keeping)") }
    return SequenceUse(
      steps: steps, batch: batch, threads: threads, ragged: ragged, tapeSteps: min(steps, keeping ?? steps))
  }

  private func sequenceLayout(_ use: SequenceUse) -> SequenceLayout<Scalar> {
    if use.steps < 0 { fatalError("steps: expected at least 0, got \(use.steps)") }
    if use.batch < 0 { fatalError("batch: expected at least 0, got \(use.batch)") }
    if !(1...1024).contains(use.threads) { fatalError("threads: expected 1 to 1024, got \(use.threads)") }
    return SequenceLayout(shape, use)
  }
}
