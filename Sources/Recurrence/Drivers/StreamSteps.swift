import CProcessor
import RecurrenceKernels

/// The step of a stream, as the kernels want it told.
///
/// The memory of a stream never moves: all that changes from one step to the next is where the input lies. So the calls
/// are written down once, and a step of a small layer is little more than its arithmetic. States lie where they are kept,
/// and each step overwrites them.
@safe final class StreamSteps<Scalar: RecurrenceScalar>: @unchecked Sendable {
  /// Elements of a step's input, B·I, and output, B·H.
  let inputCount, outputCount: Int
  private let memory: SequenceMemory<Scalar>
  private let table: any KernelTable<Scalar>.Type
  /// One for each layer.
  private let calls: UnsafeMutablePointer<RecurrentSteps<Scalar>>
  private let layers: Int
  /// The weights that the calls point to. Those of a copy that was changed lie elsewhere.
  private var weights: UnsafePointer<Scalar>?
  /// h of the top layer.
  private let hidden: UnsafePointer<Scalar>

  init(_ memory: SequenceMemory<Scalar>) {
    let (shape, batch) = (memory.shape, memory.use.batch)
    self.memory = memory
    (inputCount, outputCount) = (batch * shape.inputs, batch * shape.units)
    (table, layers) = (shape.kernels.table, shape.layers)
    unsafe calls = .allocate(capacity: layers)
    unsafe hidden = UnsafePointer(memory.hidden(layers - 1))
  }

  deinit { unsafe calls.deallocate() }

  /// One step of all sequences: input [B, I] to output [B, H] of the top layer.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ packed: PackedStack<Scalar>, _ input: UnsafePointer<Scalar>, _ output: UnsafeMutablePointer<Scalar>) {
    if unsafe weights != packed.w(0) { prepare(packed) }
    unsafe calls.pointee.projection!.a.base = unsafe input
    let mode = recurrence_flush_subnormals()
    for layer in 0..<layers { unsafe table.recurrentSteps(calls + layer) }
    recurrence_restore_subnormals(mode)
    unsafe output.update(from: hidden, count: outputCount)
  }

  private func prepare(_ packed: PackedStack<Scalar>) {
    let batch = memory.use.batch
    let gates = unsafe memory.gates(first: 0)
    for layer in 0..<layers {
      var steps = unsafe memory.steps(
        layer, packed, SequenceMemory.Part(index: 0, first: 0, rows: batch), gates: gates,
        hidden: memory.hidden(layer))
      // Of the first layer, each step says where its input lies.
      let input = unsafe layer == 0 ? gates : memory.hidden(layer - 1)
      unsafe steps.projection = unsafe memory.projection(
        layer, packed, UnsafePointer(input), rows: batch, gates: gates)
      unsafe (calls + layer).initialize(to: steps)
    }
    unsafe weights = unsafe packed.w(0)
  }
}
