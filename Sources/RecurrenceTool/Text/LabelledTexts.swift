import Recurrence

/// A file of texts with labels, one a line: label, tab, text.
struct LabelledTexts {
  struct Example: Hashable {
    var label: Int
    var bytes: [UInt8]
  }

  /// In order of first use.
  private(set) var labels: [String] = []
  private(set) var examples: [Example] = []
  /// Lines that said the same as one before.
  private(set) var duplicates = 0
  private(set) var hasHeader = false

  /// Reads a file. The first line is a header where no other line has its label. Lines that repeat another are left out.
  ///
  /// Throws a sentence that names the line where one has no tab, or there are fewer than two labels.
  init(path: String) throws {
    let text = try TextFile.read(path)
    var rows: [(label: Substring, text: Substring)] = []
    var seen: Set<Substring> = []
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      if line.isEmpty { continue }
      guard let tab = line.firstIndex(of: "\t") else {
        throw Failure("\(path):\(number + 1): expected a label, a tab and a text, got no tab")
      }
      if !seen.insert(line).inserted {
        duplicates += 1
        continue
      }
      rows.append((line[..<tab], line[line.index(after: tab)...]))
    }
    if let first = rows.first, rows.count > 1, !rows.dropFirst().contains(where: { $0.label == first.label }) {
      hasHeader = true
      rows.removeFirst()
    }
    var index: [Substring: Int] = [:]
    for row in rows {
      if index[row.label] == nil {
        index[row.label] = labels.count
        labels.append(String(row.label))
      }
      examples.append(Example(label: index[row.label]!, bytes: Array(row.text.utf8)))
    }
    if labels.count < 2 { throw Failure("\(path): expected at least two labels, got \(labels.count)") }
  }

  /// Every fifth example is held out.
  var heldOut: [Example] { examples.indices.filter { $0 % 5 == 4 }.map { examples[$0] } }
  var training: [Example] { examples.indices.filter { $0 % 5 != 4 }.map { examples[$0] } }

  /// The label with the fewest examples: what a detector looks for.
  var rarest: Int {
    var counts = labels.map { _ in 0 }
    for example in examples { counts[example.label] += 1 }
    return counts.indices.min { counts[$0] < counts[$1] }!
  }
}

/// How often a classifier was right.
struct ClassificationScore {
  /// [true label][predicted label].
  private(set) var confusion: [[Int]]

  init(labels: Int) { confusion = Array(repeating: Array(repeating: 0, count: labels), count: labels) }

  mutating func add(label: Int, predicted: Int) { confusion[label][predicted] += 1 }

  var total: Int { confusion.reduce(0) { $0 + $1.reduce(0, +) } }
  var accuracy: Double {
    total == 0 ? 0 : Double(confusion.indices.reduce(0) { $0 + confusion[$1][$1] }) / Double(total)
  }
  /// Of the examples called so, those that are; 0 where none is called so.
  func precision(_ label: Int) -> Double {
    let called = confusion.reduce(0) { $0 + $1[label] }
    return called == 0 ? 0 : Double(confusion[label][label]) / Double(called)
  }
  /// Of the examples that are so, those called so.
  func recall(_ label: Int) -> Double {
    let are = confusion[label].reduce(0, +)
    return are == 0 ? 0 : Double(confusion[label][label]) / Double(are)
  }
  /// The harmonic mean of both.
  func f1(_ label: Int) -> Double {
    let (p, r) = (precision(label), recall(label))
    return p + r == 0 ? 0 : 2 * p * r / (p + r)
  }
}
