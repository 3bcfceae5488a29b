import RecurrenceKernels

/// A weight matrix in the order that one instruction set's products read it: packed once, used many times.
public struct PackedWeights<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  /// N, columns of the product.
  public let outputs: Int
  /// K, columns of the left operand.
  public let depth: Int
  public let kernels: Kernels<Scalar>
  private let storage: AlignedBuffer<Scalar>

  /// Space for weights of `outputs` × `depth`, all zero. Traps with a sentence where a size is negative or overflows.
  public init(outputs: Int, depth: Int) { self.init(outputs: outputs, depth: depth, kernels: .selected) }

  package init(outputs: Int, depth: Int, kernels: Kernels<Scalar>) {
    self.outputs = outputs
    self.depth = depth
    self.kernels = kernels
    storage = AlignedBuffer(count: kernels.table.packedCount(outputs: outputs, depth: depth))
  }

  /// Bytes that the packed weights take.
  public var byteCount: Int { storage.count * MemoryLayout<Scalar>.stride }

  /// Packs W[N, K], one row an output, for A·Wᵀ. Traps with a sentence where the shape is another. Allocates nothing.
  @unsafe public mutating func packRows(_ weights: MatrixView<Scalar>) {
    unsafe expect(weights.rows, weights.columns, shape: "[N, K]", is: outputs, depth)
    unsafe kernels.table.packRows(weights, from: 0, into: storage.unsafePointer)
  }

  /// Packs W[K, N], one column an output, for A·W. Traps with a sentence where the shape is another. Allocates nothing.
  @unsafe public mutating func packColumns(_ weights: MatrixView<Scalar>) {
    unsafe expect(weights.rows, weights.columns, shape: "[K, N]", is: depth, outputs)
    unsafe kernels.table.packColumns(weights, from: 0, of: depth, into: storage.unsafePointer)
  }

  private func expect(_ rows: Int, _ columns: Int, shape: String, is expectedRows: Int, _ expectedColumns: Int) {
    if rows != expectedRows || columns != expectedColumns {
      fatalError("weights: expected \(shape) = \(expectedRows) × \(expectedColumns), got \(rows) × \(columns)")
    }
  }

  @unsafe package var unsafePointer: UnsafePointer<Scalar> { unsafe UnsafePointer(storage.unsafePointer) }
}
