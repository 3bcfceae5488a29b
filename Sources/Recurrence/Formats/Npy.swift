/// One array: the content of a NumPy `.npy` file.
///
///     let x = try Npy(path: "x.npy")
///     let values = try x.values(as: Float.self)         // x.shape says how they lie
///     try Npy(y, shape: [100, 32, 64]).write(to: "y.npy")
///
/// Versions 1, 2 and 3 of the format, row-major ("C order"), little-endian 32- and 64-bit floating-point numbers.
/// Anything else is refused. A value; copies are independent.
public struct Npy: Hashable, Sendable {
  /// Empty for a single number.
  public let shape: [Int]
  /// For messages; nil where the array came from no file.
  public let file: String?
  /// Bits of an element: 32 or 64.
  public var bitWidth: Int { 8 * encoding.byteCount }
  private let encoding: FloatEncoding
  private let bytes: ArraySlice<UInt8>

  /// An array of 32- or 64-bit numbers, as `Scalar` is. Traps where the values are not as many as the shape has elements.
  public init<Scalar: RecurrenceScalar>(_ values: [Scalar], shape: [Int]) {
    if elementCount(shape) != values.count {
      let count = elementCount(shape).map(String.init) ?? "a shape's number of"
      fatalError("values: expected \(count) elements (\(FormatError.describe(shape))), got \(values.count)")
    }
    self.shape = shape
    file = nil
    encoding = .of(Scalar.self)
    bytes = FloatEncoding.encode(values)[...]
  }

  /// Reads the content of a file.
  ///
  /// - Parameter file: for messages.
  ///
  /// Throws `FormatError` where the bytes are not those of such an array, and of nothing else.
  public init(bytes: [UInt8], file: String? = nil) throws(FormatError) {
    do throws(FormatError) {
      let (header, end) = try NpyHeader.read(bytes)
      encoding = try header.encoding()
      shape = header.shape
      self.file = file
      self.bytes = bytes[end...]
      let size = elementCount(shape).map { $0.multipliedReportingOverflow(by: encoding.byteCount) }
      guard let size, !size.overflow else {
        throw FormatError("shape", expected: "one that memory can hold", actual: FormatError.describe(shape))
      }
      guard size.partialValue == self.bytes.count else {
        let what = "\(FormatError.describe(shape)) of \(header.type)"
        throw FormatError("data", expected: "\(size.partialValue) bytes, \(what)", actual: "\(self.bytes.count)")
      }
    } catch {
      var error = error
      error.file = file
      throw error
    }
  }

  /// Reads a file. Throws `FormatError` where it cannot be read, or is none of this format.
  public init(path: String) throws(FormatError) {
    try self.init(bytes: FileAccess.system.contents(of: path), file: path)
  }

  /// The elements, row-major.
  ///
  /// - Parameter rounding: whether 64-bit numbers may be rounded to `Float`, to nearest, ties to even.
  ///
  /// Throws `FormatError` where `Scalar` would round them and may not.
  public func values<Scalar: RecurrenceScalar>(
    as _: Scalar.Type = Scalar.self, rounding: Bool = false
  ) throws(FormatError) -> [Scalar] {
    guard rounding || encoding.isExact(in: Scalar.self) else {
      throw FormatError(
        file: file, "descr", expected: "elements that \(Scalar.self) holds without rounding", actual: "'<f8'")
    }
    return encoding.decode(bytes)
  }

  /// The bytes of the file: version 1.0, or 2.0 where the header is too long for it, and the same that NumPy writes.
  public func encoded() -> [UInt8] { NpyHeader(type: encoding == .f32 ? "<f4" : "<f8", shape: shape).encoded() + bytes }

  /// Writes the file: all of it appears under `path` at once, or nothing does and what was there remains.
  ///
  /// Throws `FormatError` with the system's sentence where it cannot be written.
  public func write(to path: String) throws(FormatError) { try FileAccess.system.replace(path, with: encoded()) }
}
