// Reading trusts nothing: the header is parsed for the one structure it may have, every number is checked before it is
// used, and no more memory is taken than the bytes themselves take.

extension Safetensors {
  /// Reads the content of a file.
  ///
  /// - Parameter file: for messages.
  ///
  /// Throws `FormatError` where the bytes are not those of a safetensors file, to the letter of its description: a
  /// header of at most 100 MB within the file, every name once, and tensors whose bytes fill the rest without overlaps
  /// and holes. An element type nobody knows is no error until the tensor's values are asked for.
  public init(bytes: [UInt8], file: String? = nil) throws(FormatError) {
    self.init()
    self.file = file
    do throws(FormatError) {
      try read(bytes)
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

  static var largestHeader: Int { 100_000_000 }

  private mutating func read(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 8 else {
      throw FormatError("header", expected: "8 bytes that say its length", actual: "\(bytes.count) bytes in all")
    }
    let length = bytes[0..<8].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    let room = min(bytes.count - 8, Self.largestHeader)
    guard length <= UInt64(room) else {
      throw FormatError("header", expected: "at most \(room) bytes", actual: "a length of \(length)")
    }
    let start = 8 + Int(length)
    let header = try SafetensorsHeader(bytes[8..<start])
    metadata = header.metadata
    try read(header.entries, from: bytes[start...])
  }

  private mutating func read(_ entries: [SafetensorsHeader.Entry], from data: ArraySlice<UInt8>) throws(FormatError) {
    var end = 0
    for entry in entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
      let field = FormatError.tensor(entry.name)
      guard entry.begin <= entry.end, entry.end <= data.count else {
        throw FormatError(
          field, expected: "data_offsets in order, within \(data.count) bytes", actual: "\(entry.begin), \(entry.end)")
      }
      guard entry.begin == end else {
        throw FormatError(
          field, expected: "bytes from offset \(end), where those of the tensor before end",
          actual: "\(entry.begin), \(entry.begin < end ? "an overlap" : "a hole")")
      }
      end = entry.end
      let bytes = data[(data.startIndex + entry.begin)..<(data.startIndex + entry.end)]
      let tensor = Tensor(
        name: entry.name, elementType: ElementType(rawValue: entry.type), shape: entry.shape, bytes: bytes)
      if let error = tensor.sizeError { throw error }
      append(tensor)
    }
    guard end == data.count else {
      throw FormatError(nil, expected: "\(end) bytes of tensors, as the header says", actual: "\(data.count)")
    }
  }
}
