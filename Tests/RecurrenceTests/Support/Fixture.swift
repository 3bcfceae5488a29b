// What other systems computed: the text files in Tests/RecurrenceTests/Fixtures, and the script that wrote them.
//
// Lines of text. "#" begins a comment; "tensor NAME DIMENSIONS" begins a tensor, whose values follow in row-major order.

import Foundation

/// One file: tensors by name.
struct Fixture: Sendable {
  struct Tensor: Sendable, Equatable {
    let shape: [Int]
    /// Row-major.
    let values: [Double]
  }

  /// A test that throws this fails, and its message names the file.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  let name: String
  let tensors: [String: Tensor]

  /// Every file in the folder, in alphabetical order, without ".txt".
  static let names: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return files.filter { $0.hasSuffix(".txt") }.map { String($0.dropLast(4)) }.sorted()
  }()

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  /// - Parameters:
  ///   - name: of the file, without ".txt".
  /// - Throws: `Failure` if the file is missing or malformed.
  init(_ name: String) throws(Failure) {
    let path = Self.folder.appendingPathComponent(name + ".txt").path
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Failure(description: "fixture \(path): no such file")
    }
    try self.init(name, text: String(decoding: data, as: UTF8.self))
  }

  /// - Throws: `Failure` if the text is malformed.
  init(_ name: String, text: String) throws(Failure) {
    self.name = name
    func failure(_ line: Int, _ sentence: String) -> Failure {
      Failure(description: "fixture \(name).txt, line \(line + 1): \(sentence)")
    }
    var parser = Parser()
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (number, line) in lines.enumerated() where !line.hasPrefix("#") {
      if let sentence = parser.read(line.split(separator: " ")) { throw failure(number, sentence) }
    }
    if let sentence = parser.finishTensor() { throw failure(lines.count - 1, sentence) }
    tensors = parser.tensors
  }

  /// A tensor's values.
  ///
  /// - Parameters:
  ///   - shape: what the caller expects; `nil` if it takes any.
  /// - Throws: `Failure` that names file and tensor, if it is missing or has another shape.
  func callAsFunction(_ tensor: String, shape: [Int]? = nil) throws(Failure) -> [Double] {
    guard let found = tensors[tensor] else {
      throw Failure(description: "fixture \(name).txt: no tensor \"\(tensor)\"")
    }
    if let shape, shape != found.shape {
      throw Failure(description: "fixture \(name).txt: \"\(tensor)\" is \(found.shape), expected \(shape)")
    }
    return found.values
  }

  /// A tensor's shape.
  func shape(_ tensor: String) throws(Failure) -> [Int] {
    _ = try self(tensor)
    return tensors[tensor]!.shape
  }

  /// A tensor cut along its first dimension: [L, B, H] becomes L planes [B, H].
  func planes(_ tensor: String) throws(Failure) -> [[Double]] {
    let values = try self(tensor)
    let count = try shape(tensor)[0]
    return (0..<count).map { naiveRow($0, of: values, values.count / count) }
  }
}

extension Fixture {
  /// Collects tensors line by line; what it returns instead of `nil` is a complaint.
  private struct Parser {
    var tensors: [String: Tensor] = [:]
    private var name: String?
    private var shape: [Int] = []
    private var values: [Double] = []

    mutating func read(_ words: [Substring]) -> String? {
      guard words.first == "tensor" else {
        for word in words {
          guard let value = Double(word), name != nil else { return "\"\(word)\" is not a value of a tensor" }
          values.append(value)
        }
        return nil
      }
      if let complaint = finishTensor() { return complaint }
      let dimensions = words.dropFirst(2).map { Int($0) ?? 0 }
      guard !dimensions.isEmpty, dimensions.allSatisfy({ $0 > 0 }) else { return "expected a name and dimensions" }
      (name, shape, values) = (String(words[1]), dimensions, [])
      return nil
    }

    mutating func finishTensor() -> String? {
      guard let name else { return nil }
      let count = shape.reduce(1, *)
      guard values.count == count else { return "\"\(name)\" has \(values.count) values, expected \(count)" }
      guard tensors.updateValue(Tensor(shape: shape, values: values), forKey: name) == nil else {
        return "a second \"\(name)\""
      }
      self.name = nil
      return nil
    }
  }
}
