extension Safetensors {
  /// The bytes of the file.
  ///
  /// The same tensors and metadata give the same bytes, whatever the order in which they were set: tensors lie in the
  /// order of their element size, the widest first, so that each begins at a multiple of it, then of their names.
  public func encoded() -> [UInt8] {
    let sorted = tensors.sorted { a, b in
      let (width, other) = (a.elementType.bitWidth ?? 0, b.elementType.bitWidth ?? 0)
      return width == other ? a.name.utf8.lexicographicallyPrecedes(b.name.utf8) : width > other
    }
    var fields: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      let words = pairs.map { "\(Self.spell($0.key)):\(Self.spell($0.value))" }
      fields.append("\"\(Self.metadataName)\":{\(words.joined(separator: ","))}")
    }
    var offset = 0
    for tensor in sorted {
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      let end = offset + tensor.bytes.count
      fields.append(
        Self.spell(tensor.name) + ":{\"dtype\":\(Self.spell(tensor.elementType.rawValue)),\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var header = Array("{\(fields.joined(separator: ","))}".utf8)
    header += [UInt8](repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    if header.count > Self.largestHeader {
      fatalError("tensors: expected a header of at most \(Self.largestHeader) bytes, got \(header.count)")
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + header.count + offset)
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: header.count >> (8 * shift))) }
    bytes += header
    for tensor in sorted { bytes += tensor.bytes }
    return bytes
  }

  /// Writes the file: all of it appears under `path` at once, or nothing does and what was there remains.
  ///
  /// Throws `FormatError` with the system's sentence where it cannot be written.
  public func write(to path: String) throws(FormatError) {
    try FileAccess.system.replace(path, with: encoded())
  }

  /// A string of JSON.
  private static func spell(_ text: String) -> String {
    var spelled = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": spelled += "\\\""
      case "\\": spelled += "\\\\"
      case "\n": spelled += "\\n"
      case "\r": spelled += "\\r"
      case "\t": spelled += "\\t"
      case "\u{8}": spelled += "\\b"
      case "\u{c}": spelled += "\\f"
      case "\0"..<" ":
        let code = String(scalar.value, radix: 16)
        spelled += "\\u" + String(repeating: "0", count: 4 - code.count) + code
      default: spelled.unicodeScalars.append(scalar)
      }
    }
    return spelled + "\""
  }
}
