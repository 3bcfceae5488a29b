import Foundation

/// One line of the report: named values, in order.
struct Record {
  struct Field {
    let name: String
    let value: Value
    /// Least width of the table's column.
    var width = 9
    /// Which forms of the report have the field: the names of JSON's are fixed, and the table's columns few.
    var place = Place.everywhere
  }

  enum Place {
    case everywhere, table, json
  }

  enum Value {
    case text(String)
    case integer(Int)
    /// `digits` decimals in the table; JSON has six significant digits.
    case number(Double, digits: Int)
  }

  let suite: String
  /// Whether other libraries have lines of this form, so that each says whose it is.
  var isCompared = false
  let fields: [Field]
  /// What it is in the picture of its suite.
  var point: PicturePoint?

  /// `{"suite":…,…}` without a line break.
  var json: String {
    let peer: [Field] = isCompared ? [.text("peer", "swift-recurrence")] : []
    return Self.json(peer + [.text("suite", suite)] + fields.filter { $0.place != .table })
  }

  /// One JSON object without a line break.
  static func json(_ fields: [Field]) -> String {
    "{" + fields.map { "\(quoted($0.name)):\($0.value.json)" }.joined(separator: ",") + "}"
  }

  var header: String { line { $0.name } }

  var row: String { line { $0.value.cell } }

  private func line(_ cell: (Field) -> String) -> String {
    let cells = fields.filter { $0.place != .json }.map { field in
      pad(cell(field), to: max(field.name.count, field.width), left: field.value.isText)
    }
    let line = cells.joined(separator: "  ")
    return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)])
  }
}

extension Record.Field {
  static func text(_ name: String, _ value: String, width: Int = 9) -> Self {
    Self(name: name, value: .text(value), width: width)
  }

  static func integer(_ name: String, _ value: Int, width: Int = 6) -> Self {
    Self(name: name, value: .integer(value), width: width)
  }

  static func number(_ name: String, _ value: Double, digits: Int = 3, width: Int = 9) -> Self {
    Self(name: name, value: .number(value, digits: digits), width: width)
  }

  /// The same field, in the table alone.
  var inTableOnly: Self { Self(name: name, value: value, width: width, place: .table) }

  /// The same field, in JSON alone.
  var inJSONOnly: Self { Self(name: name, value: value, width: width, place: .json) }
}

extension Record.Value {
  var isText: Bool {
    if case .text = self { true } else { false }
  }

  var cell: String {
    switch self {
    case .text(let text): text
    case .integer(let integer): "\(integer)"
    case .number(let number, let digits): String(format: "%.\(digits)f", number)
    }
  }

  var json: String {
    switch self {
    case .text(let text): quoted(text)
    case .integer(let integer): "\(integer)"
    // JSON has no infinities and no NaN.
    case .number(let number, _): number.isFinite ? "\(roundedToSixDigits(number))" : "null"
    }
  }
}

/// Writes records as they come: a table, or one JSON object per line. Unbuffered, so that a reader at the other end of
/// a pipe sees each case when it is done.
struct Reporter {
  let json: Bool
  private var lastHeader = ""

  init(json: Bool) { self.json = json }

  mutating func add(_ record: Record, of suite: Suite) {
    if json {
      print(record.json)
      return
    }
    let header = record.header
    if header != lastHeader {
      print("\n\(suite.name): \(suite.summary)\n\(header)")
      lastHeader = header
    }
    print(record.row)
  }

  func print(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

  static func complain(_ sentence: String) {
    FileHandle.standardError.write(Data("recurrence-bench: \(sentence)\n".utf8))
  }
}

private func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": result += "\\\(scalar)"
    case _ where scalar.value < 0x20: result += String(format: "\\u%04x", scalar.value)
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

private func pad(_ text: String, to width: Int, left: Bool) -> String {
  let space = String(repeating: " ", count: max(0, width - text.count))
  return left ? text + space : space + text
}

/// The double whose shortest decimal form has at most six significant digits.
private func roundedToSixDigits(_ value: Double) -> Double { Double(String(format: "%.6g", value)) ?? value }
