/// One option of a command.
struct Option {
  /// With its dashes: `--hidden`.
  let name: String
  /// What the value is called in help; nil for a flag.
  let value: String?
  let help: String

  init(_ name: String, _ value: String? = nil, _ help: String) {
    self.name = name
    self.value = value
    self.help = help
  }
}

/// A command line that makes no sense: exit status 2.
struct UsageError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Work that could not be done: exit status 1.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The arguments of a command, `--name value` or `--name=value`, checked against its options.
struct Arguments {
  private var values: [String: String] = [:]
  private var flags: Set<String> = []
  let operands: [String]

  init(_ list: [String], options: [Option], operands limit: Int = 0) throws(UsageError) {
    let known = Dictionary(uniqueKeysWithValues: options.map { ($0.name, $0) })
    var operands: [String] = []
    var rest = list[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("--"), argument != "--" else {
        operands.append(argument)
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      guard let option = known[name] else {
        let close = options.map(\.name).filter { $0.hasPrefix(name) || name.hasPrefix($0) }
        let hint = close.isEmpty ? "" : " (did you mean \(close.joined(separator: " or "))?)"
        throw UsageError("unknown option \"\(name)\"\(hint)")
      }
      if values[name] != nil || flags.contains(name) { throw UsageError("\(name): given twice") }
      if option.value == nil {
        if parts.count > 1 { throw UsageError("\(name): takes no value") }
        flags.insert(name)
      } else if parts.count > 1 {
        values[name] = String(parts[1])
      } else if let value = rest.popFirst() {
        values[name] = value
      } else {
        throw UsageError("\(name): expected \(option.value!) after it")
      }
    }
    if operands.count > limit { throw UsageError("unexpected argument \"\(operands[limit])\"") }
    self.operands = operands
  }

  func has(_ name: String) -> Bool { values[name] != nil || flags.contains(name) }
  func string(_ name: String) -> String? { values[name] }

  func required(_ name: String) throws(UsageError) -> String {
    guard let value = values[name] else { throw UsageError("\(name): expected, and not given") }
    return value
  }

  func integer(_ name: String, _ range: ClosedRange<Int>) throws(UsageError) -> Int? {
    guard let text = values[name] else { return nil }
    guard let value = Int(text), range.contains(value) else {
      let limits =
        range.upperBound == .max ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
      throw UsageError("\(name): expected a whole number \(limits), got \"\(text)\"")
    }
    return value
  }

  func seed(_ name: String = "--seed") throws(UsageError) -> UInt64? {
    guard let text = values[name] else { return nil }
    guard let value = UInt64(text) else {
      throw UsageError("\(name): expected a whole number from 0 to \(UInt64.max), got \"\(text)\"")
    }
    return value
  }

  /// A finite number; greater than `above`, or at least `least`.
  func number(_ name: String, above: Double? = nil, least: Double? = nil) throws(UsageError) -> Double? {
    guard let text = values[name] else { return nil }
    if let value = Double(text), value.isFinite, above.map({ value > $0 }) ?? true, least.map({ value >= $0 }) ?? true {
      return value
    }
    let limit = above.map { " greater than \($0)" } ?? least.map { " of at least \($0)" } ?? ""
    throw UsageError("\(name): expected a number\(limit), got \"\(text)\"")
  }

  /// One of a list of words.
  func choice<Value: RawRepresentable & CaseIterable>(
    _ name: String, _: Value.Type
  ) throws(UsageError) -> Value? where Value.RawValue == String {
    guard let text = values[name] else { return nil }
    guard let value = Value(rawValue: text) else {
      throw UsageError(
        "\(name): expected one of \(Value.allCases.map(\.rawValue).joined(separator: ", ")), got \"\(text)\"")
    }
    return value
  }
}

/// A command of the tool.
protocol Command {
  static var name: String { get }
  /// How it is called, without the program's name.
  static var usage: String { get }
  static var summary: String { get }
  static var options: [Option] { get }
  /// Most operands that it takes.
  static var operands: Int { get }
  static func run(_ arguments: Arguments) throws
}

extension Command {
  static var operands: Int { 0 }

  static var help: String {
    let widest = options.map { $0.name.count + ($0.value.map { $0.count + 1 } ?? 0) }.max() ?? 0
    let lines = options.map { option in
      let head = option.name + (option.value.map { " \($0)" } ?? "")
      let gap = String(repeating: " ", count: widest - head.count + 2)
      let margin = "\n" + String(repeating: " ", count: widest + 4)
      return "  " + head + gap + option.help.split(separator: "\n").joined(separator: margin)
    }
    return "usage: recurrence \(usage)\n\n\(summary)\n\n\(lines.joined(separator: "\n"))\n"
  }
}
