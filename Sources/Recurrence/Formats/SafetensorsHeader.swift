/// The header of a safetensors file: a JSON object of a structure known beforehand, which is all that this reads. It
/// never calls itself, so that no nesting exhausts the stack.
struct SafetensorsHeader {
  struct Entry {
    var name: String
    var type: String
    var shape: [Int]
    var begin: Int
    var end: Int
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]
  private var text: JSONCursor

  /// Throws `FormatError` where the text is anything else.
  init(_ bytes: ArraySlice<UInt8>) throws(FormatError) {
    text = JSONCursor(bytes)
    guard bytes.first == UInt8(ascii: "{") else { throw text.error(expected: "\"{\" as its first byte") }
    // Names are compared as Swift compares strings: two spellings of one text, composed and decomposed, are one name.
    var names: Set<String> = []
    try object { (header: inout SafetensorsHeader, name: String) throws(FormatError) in
      guard names.insert(name).inserted else {
        throw FormatError(FormatError.tensor(name), expected: "one of this name", actual: "a second")
      }
      if name == Safetensors.metadataName { try header.readMetadata() } else { try header.readEntry(name) }
    }
    while let byte = text.next {
      guard byte == UInt8(ascii: " ") else { throw text.error(expected: "nothing but spaces after the object") }
      text.advance()
    }
  }

  private mutating func readMetadata() throws(FormatError) {
    try object { (header: inout SafetensorsHeader, key: String) throws(FormatError) in
      let value = try header.text.string()
      guard header.metadata.updateValue(value, forKey: key) == nil else {
        throw FormatError("metadata \(FormatError.quote(key))", expected: "one of this name", actual: "a second")
      }
    }
  }

  private mutating func readEntry(_ name: String) throws(FormatError) {
    var (type, shape, offsets): (String?, [Int]?, [Int]?)
    try object { (header: inout SafetensorsHeader, field: String) throws(FormatError) in
      let isFirst: Bool
      switch field {
      case "dtype":
        isFirst = type == nil
        type = try header.text.string()
      case "shape":
        isFirst = shape == nil
        shape = try header.integers()
      case "data_offsets":
        isFirst = offsets == nil
        offsets = try header.integers()
      default:
        throw FormatError(
          FormatError.tensor(name), expected: "the fields dtype, shape and data_offsets",
          actual: FormatError.quote(field))
      }
      if !isFirst { throw FormatError(FormatError.tensor(name), expected: "one \(field)", actual: "two") }
    }
    guard let type, let shape, let offsets else {
      let missing = type == nil ? "dtype" : shape == nil ? "shape" : "data_offsets"
      throw FormatError(FormatError.tensor(name), expected: "the field \(missing)", actual: "none")
    }
    guard offsets.count == 2 else {
      throw FormatError(
        FormatError.tensor(name), expected: "two data_offsets", actual: FormatError.describe(offsets))
    }
    entries.append(Entry(name: name, type: type, shape: shape, begin: offsets[0], end: offsets[1]))
  }

  /// Reads an object; `value` reads what belongs to a key.
  private mutating func object(
    _ value: (inout SafetensorsHeader, String) throws(FormatError) -> Void
  ) throws(FormatError) {
    try text.expect("{")
    if text.skip("}") { return }
    repeat {
      let key = try text.string()
      try text.expect(":")
      try value(&self, key)
    } while text.skip(",")
    try text.expect("}")
  }

  private mutating func integers() throws(FormatError) -> [Int] {
    var numbers: [Int] = []
    try text.expect("[")
    if text.skip("]") { return numbers }
    repeat { numbers.append(try text.integer()) } while text.skip(",")
    try text.expect("]")
    return numbers
  }
}
