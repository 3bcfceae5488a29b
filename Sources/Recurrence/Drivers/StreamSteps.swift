import CProcessor
import RecurrenceKernels

/// The step of a stream.
///
/// States lie where they are kept, and each step overwrites them: all that changes from one step to the next is where the
/// input lies, so that a step of a small layer is little more than its arithmetic.
@safe final class StreamSteps<Scalar: RecurrenceScalar>: @unchecked Sendable {
  /// Elements of a step's input, B·I, and output, B·H.
  let inputCount, outputCount: Int
  private let memory: SequenceMemory<Scalar>
  private let table: any KernelTable<Scalar>.Type
  /// One for each layer.
  private let calls: UnsafeMutablePointer<RecurrentSteps<Scalar>>
  private let layers: Int
  /// h of the top layer.
  private let hidden: UnsafePointer<Scalar>

  init(_ memory: SequenceMemory<Scalar>) {
    let (shape, batch) = (memory.shape, memory.use.batch)
    self.memory = memory
    (inputCount, outputCount) = (batch * shape.inputs, batch * shape.units)
    (table, layers) = (shape.kernels.table, shape.layers)
    unsafe calls = unsafe memory.calls.forward(0, thread: 0)
    unsafe hidden = UnsafePointer(memory.hidden(layers - 1))
  }

  /// One step of all sequences: input [B, I] to output [B, H] of the top layer.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func run(_ packed: PackedStack<Scalar>, _ input: UnsafePointer<Scalar>, _ output: UnsafeMutablePointer<Scalar>) {
    if unsafe memory.calls.weights != packed.base { prepare(packed) }
    unsafe calls.pointee.projection!.a.base = unsafe input
    let mode = recurrence_flush_subnormals()
    for layer in 0..<layers { unsafe table.recurrentSteps(calls + layer) }
    recurrence_restore_subnormals(mode)
    unsafe output.update(from: hidden, count: outputCount)
  }

  private func prepare(_ packed: PackedStack<Scalar>) {
    let batch = memory.use.batch
    let gates = unsafe memory.gates(first: 0)
    memory.prepare(packed)
    for layer in 0..<layers {
      let steps = unsafe memory.placeForward(
        layer, thread: 0, first: 0, rows: batch, gates: gates, hidden: memory.hidden(layer))
      // Of the first layer, each step says where its input lies.
      let input = unsafe layer == 0 ? gates : memory.hidden(layer - 1)
      unsafe memory.placeProjection(steps, UnsafePointer(input), rows: batch)
    }
  }
}
