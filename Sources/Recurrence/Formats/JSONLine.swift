/// One JSON object on one line, fields in the order they were added.
///
/// Numbers are printed with the fewest digits that give the same Double again; those that are not finite are null.
package struct JSONLine {
  private var fields: [String] = []

  package init() {}

  package mutating func add(_ name: String, _ value: Int) { append(name, "\(value)") }
  package mutating func add(_ name: String, _ value: Double) { append(name, Self.number(value)) }
  package mutating func add(_ name: String, _ value: Bool) { append(name, "\(value)") }
  package mutating func add(_ name: String, _ value: String) { append(name, Self.quoted(value)) }
  package mutating func add(_ name: String, _ values: [Double]) {
    append(name, "[\(values.map(Self.number).joined(separator: ","))]")
  }
  /// An object in the object.
  package mutating func add(_ name: String, _ object: JSONLine) { append(name, object.text) }
  package mutating func addNull(_ name: String) { append(name, "null") }

  package var text: String { "{\(fields.joined(separator: ","))}" }

  private mutating func append(_ name: String, _ value: String) { fields.append("\(Self.quoted(name)):\(value)") }

  private static func number(_ value: Double) -> String { value.isFinite ? "\(value)" : "null" }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
