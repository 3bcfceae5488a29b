// Operands whose surroundings are watched.

import Foundation
import Recurrence

/// A row-major matrix with every neighbour of its elements under guard.
///
/// Gaps between rows and the margins around the matrix hold `Scalar.canary`, a NaN that no arithmetic produces: who
/// reads it computes NaN, who writes to it is found by `damage`. Where the matrix ends, or begins, at the edge of an
/// inaccessible page, even a read that is thrown away ends the process.
@safe final class GuardedMatrix<Scalar: TestScalar> {
  enum Placement: Equatable {
    /// The first element lies this many scalars after a 64-byte boundary; margins of 64 scalars before and behind.
    case offset(Int)
    /// The last element is the last of its page, and the next page is inaccessible.
    case endOfPage
    /// The first element is the first of its page, and the page before is inaccessible.
    case startOfPage
  }

  let rows: Int
  let columns: Int
  let stride: Int
  let placement: Placement
  /// Margins, gaps and elements.
  private let cells: UnsafeMutableBufferPointer<Scalar>
  /// Index of element (0, 0).
  private let origin: Int
  private let release: () -> Void

  init(_ values: [Scalar], rows: Int, columns: Int, stride: Int? = nil, placement: Placement = .offset(0)) {
    precondition(values.count == rows * columns)
    let stride = stride ?? columns
    let extent = rows == 0 || columns == 0 ? 0 : (rows - 1) * stride + columns
    self.rows = rows
    self.columns = columns
    self.stride = stride
    self.placement = placement
    switch placement {
    case .offset(let offset):
      let margin = 64
      let count = margin + offset + extent + margin
      let size = MemoryLayout<Scalar>.stride
      let raw = UnsafeMutableRawPointer.allocate(byteCount: count * size, alignment: 64)
      unsafe cells = UnsafeMutableBufferPointer(start: raw.bindMemory(to: Scalar.self, capacity: count), count: count)
      origin = margin + offset
      release = { unsafe raw.deallocate() }
    case .endOfPage, .startOfPage:
      let pages = unsafe GuardedPages(bytes: extent * MemoryLayout<Scalar>.stride)
      unsafe cells = unsafe pages.usable.bindMemory(to: Scalar.self)
      origin = placement == .endOfPage ? unsafe cells.count - extent : 0
      release = { unsafe pages.unmap() }
    }
    unsafe cells.initialize(repeating: .canary)
    for row in 0..<rows {
      for column in 0..<columns { unsafe cells[origin + row * stride + column] = values[row * columns + column] }
    }
  }

  /// A row of values.
  convenience init(row values: [Scalar], placement: Placement = .offset(0)) {
    self.init(values, rows: 1, columns: values.count, placement: placement)
  }

  deinit { release() }

  /// The elements, dense.
  var values: [Scalar] {
    var result: [Scalar] = []
    result.reserveCapacity(rows * columns)
    for row in 0..<rows {
      for column in 0..<columns { unsafe result.append(cells[origin + row * stride + column]) }
    }
    return result
  }

  /// Says which guarded cell was written to; nil where none was.
  var damage: String? {
    for i in unsafe cells.indices where unsafe cells[i].wideBits != Scalar.canary.wideBits {
      let (row, column) = stride == 0 ? (0, i - origin) : (i - origin).quotientAndRemainder(dividingBy: stride)
      // A single row has no gap, whatever its stride.
      let isElement = i >= origin && row < rows && column < columns
      if isElement { continue }
      return unsafe "memory outside the matrix, \(i - origin) after its start, became \(cells[i].spelled)"
    }
    return nil
  }

  @unsafe var pointer: UnsafeMutablePointer<Scalar> { unsafe cells.baseAddress! + origin }

  @unsafe var view: MatrixView<Scalar> {
    unsafe MatrixView(UnsafePointer(pointer), rows: rows, columns: columns, stride: stride)
  }

  @unsafe var mutableView: MutableMatrixView<Scalar> {
    unsafe MutableMatrixView(pointer, rows: rows, columns: columns, stride: stride)
  }

  /// Rows, or columns, of the matrix.
  @unsafe func view(rows: Range<Int>? = nil, columns: Range<Int>? = nil) -> MatrixView<Scalar> {
    let rows = rows ?? 0..<self.rows
    let columns = columns ?? 0..<self.columns
    return unsafe MatrixView(
      UnsafePointer(pointer) + rows.lowerBound * stride + columns.lowerBound, rows: rows.count, columns: columns.count,
      stride: stride)
  }

  /// For messages.
  var layout: String { "stride \(stride) \(placement)" }
}

/// Whole pages between two inaccessible ones.
@unsafe private struct GuardedPages {
  let usable: UnsafeMutableRawBufferPointer
  private let whole: UnsafeMutableRawBufferPointer

  init(bytes: Int) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let size = max(1, (bytes + page - 1) / page) * page
    #if canImport(Darwin)
    let anonymous = MAP_ANON
    #else
    let anonymous = Int32(MAP_ANONYMOUS)
    #endif
    // Reserved without access first; only the middle is opened.
    let base = unsafe mmap(nil, size + 2 * page, PROT_NONE, MAP_PRIVATE | anonymous, -1, 0)
    guard let base = unsafe base, unsafe base != MAP_FAILED,
      unsafe mprotect(base + page, size, PROT_READ | PROT_WRITE) == 0
    else { fatalError("guarded pages: cannot map \(size + 2 * page) bytes") }
    unsafe whole = UnsafeMutableRawBufferPointer(start: base, count: size + 2 * page)
    unsafe usable = UnsafeMutableRawBufferPointer(start: base + page, count: size)
  }

  func unmap() { unsafe munmap(whole.baseAddress!, whole.count) }
}
