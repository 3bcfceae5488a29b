// The handles through which kernels see memory they do not own. A view states its shape once, and its initialiser is
// where a wrong shape stops: everything below trusts it.

/// A row-major matrix in memory owned by somebody else: element (r, c) is `base[r * stride + c]`.
///
/// The memory must stay valid and unwritten for as long as the view is used.
@frozen @unsafe public struct MatrixView<Scalar: KernelScalar> {
  /// First element. Meaningless, and never read, where `rows` or `columns` is zero.
  public var base: UnsafePointer<Scalar>
  public let rows: Int
  public let columns: Int
  /// Elements from the start of one row to the start of the next, at least `columns` where there are several.
  public let stride: Int

  /// Traps with a sentence where a size is negative, the stride is below `columns` (of a single row it may be anything),
  /// the extent overflows, or a non-empty view has no memory.
  @inlinable
  public init(
    _ base: UnsafePointer<Scalar>?, rows: Int, columns: Int, stride: Int? = nil, name: StaticString = "matrix"
  ) {
    let stride = stride ?? columns
    // What the call would find right is seen here: views are made for every step of small layers.
    if unsafe base == nil || rows > 1 && stride < columns || !areOrdinary(rows, columns, stride) {
      _ = unsafe checkedExtent(
        rows: rows, columns: columns, stride: stride, hasMemory: base != nil, elementSize: MemoryLayout<Scalar>.stride,
        name: name)
    }
    unsafe self.base = base ?? UnsafePointer(bitPattern: MemoryLayout<Scalar>.alignment)!
    unsafe self.rows = rows
    unsafe self.columns = columns
    unsafe self.stride = stride
  }

  /// Traps besides where `buffer` is shorter than the matrix.
  public init(
    _ buffer: UnsafeBufferPointer<Scalar>, rows: Int, columns: Int, stride: Int? = nil, name: StaticString = "matrix"
  ) {
    let extent = unsafe checkedExtent(
      rows: rows, columns: columns, stride: stride ?? columns, hasMemory: buffer.baseAddress != nil,
      elementSize: MemoryLayout<Scalar>.stride, name: name)
    if buffer.count < extent {
      fatalError(
        "\(name): \(rows) × \(columns) with stride \(stride ?? columns) needs \(extent) elements, the buffer has \(buffer.count)"
      )
    }
    unsafe self.init(buffer.baseAddress, rows: rows, columns: columns, stride: stride, name: name)
  }

  /// The rows without a column.
  @inlinable @inline(__always)
  init(withoutColumnsOf view: Self) {
    unsafe (base, stride) = unsafe (view.base, view.stride)
    unsafe (rows, columns) = unsafe (view.rows, 0)
  }

  @inlinable @inline(__always)
  func pointer(row: Int, column: Int) -> UnsafePointer<Scalar> { unsafe base + (row &* stride &+ column) }
}

/// A row-major matrix to write to. As `MatrixView`, and the memory must be exclusive while it is written.
@frozen @unsafe public struct MutableMatrixView<Scalar: KernelScalar> {
  public var base: UnsafeMutablePointer<Scalar>
  public let rows: Int
  public let columns: Int
  public let stride: Int

  @inlinable
  public init(
    _ base: UnsafeMutablePointer<Scalar>?, rows: Int, columns: Int, stride: Int? = nil, name: StaticString = "matrix"
  ) {
    let view = unsafe MatrixView(UnsafePointer(base), rows: rows, columns: columns, stride: stride, name: name)
    unsafe self.base = UnsafeMutablePointer(mutating: view.base)
    unsafe self.rows = rows
    unsafe self.columns = columns
    unsafe self.stride = view.stride
  }

  public init(
    _ buffer: UnsafeMutableBufferPointer<Scalar>, rows: Int, columns: Int, stride: Int? = nil,
    name: StaticString = "matrix"
  ) {
    let view = unsafe MatrixView(UnsafeBufferPointer(buffer), rows: rows, columns: columns, stride: stride, name: name)
    unsafe self.base = UnsafeMutablePointer(mutating: view.base)
    unsafe self.rows = rows
    unsafe self.columns = columns
    unsafe self.stride = view.stride
  }

  /// The rows without a column.
  @inlinable @inline(__always)
  init(withoutColumnsOf view: Self) {
    unsafe (base, stride) = unsafe (view.base, view.stride)
    unsafe (rows, columns) = unsafe (view.rows, 0)
  }

  @inlinable @inline(__always)
  func pointer(row: Int, column: Int) -> UnsafeMutablePointer<Scalar> { unsafe base + (row &* stride &+ column) }
}

/// Whether sizes are neither negative nor so large that the bytes of a matrix could overflow.
@inlinable @inline(__always)
func areOrdinary(_ rows: Int, _ columns: Int, _ stride: Int) -> Bool {
  UInt(bitPattern: rows | columns | stride) < 1 << 24
}

/// Number of elements from the first to one past the last, zero for an empty matrix.
///
/// `fatalError`, not `precondition`: callers may be compiled with `-Ounchecked`, which deletes preconditions.
@usableFromInline func checkedExtent(
  rows: Int, columns: Int, stride: Int, hasMemory: Bool, elementSize: Int, name: StaticString
) -> Int {
  if rows < 0 || columns < 0 { fatalError("\(name): sizes must not be negative, got \(rows) × \(columns)") }
  if rows > 1 && stride < columns {
    fatalError("\(name): the row stride must be at least the \(columns) columns, got \(stride)")
  }
  if rows == 0 || columns == 0 { return 0 }
  let (whole, overflow) = (rows - 1).multipliedReportingOverflow(by: stride)
  let (extent, overflow2) = whole.addingReportingOverflow(columns)
  let (_, overflow3) = extent.multipliedReportingOverflow(by: elementSize)
  if overflow || overflow2 || overflow3 {
    fatalError("\(name): \(rows) × \(columns) with stride \(stride) overflows the address space")
  }
  if !hasMemory { fatalError("\(name): a matrix of \(rows) × \(columns) needs memory, got a null pointer") }
  return extent
}
