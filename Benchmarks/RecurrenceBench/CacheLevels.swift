import Foundation

/// The data caches of one core, as far as the system tells.
struct CacheLevels {
  /// Level and size in bytes, ascending.
  private let levels: [(level: Int, bytes: Int)]

  /// Reads what Linux says about the first processor; empty elsewhere.
  init(directory: String = "/sys/devices/system/cpu/cpu0/cache") {
    var levels: [(level: Int, bytes: Int)] = []
    for index in 0..<16 {
      let entry = "\(directory)/index\(index)"
      guard let type = Self.line("\(entry)/type") else { break }
      guard type != "Instruction", let level = Self.line("\(entry)/level").flatMap({ Int($0) }),
        let bytes = Self.line("\(entry)/size").flatMap(Self.bytes)
      else { continue }
      levels.append((level, bytes))
    }
    self.levels = levels.sorted { $0.bytes < $1.bytes }
  }

  /// The smallest cache that holds `bytes`: "L1", "L2", … or "memory"; "unknown" where the system says nothing.
  ///
  /// A working set of exactly a cache's size carries its name, and shares it with everything else in there.
  func name(holding bytes: Int) -> String {
    if levels.isEmpty { return "unknown" }
    return levels.first { $0.bytes >= bytes }.map { "L\($0.level)" } ?? "memory"
  }

  /// Of `bytes` that lie in that cache, as many as it can hold beside what else it must; in memory, all of them.
  ///
  /// At a cache's full size one run in two finds it shared with another program, or its sets unevenly filled.
  func comfortable(_ bytes: Int) -> Int {
    levels.first { $0.bytes >= bytes }.map { min(bytes, $0.bytes / 2) } ?? bytes
  }

  /// "L1 32 KiB, L2 512 KiB"; empty where the system says nothing.
  var summary: String { levels.map { "L\($0.level) \($0.bytes / 1024) KiB" }.joined(separator: ", ") }

  private static func line(_ path: String) -> String? {
    (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// "32K" → 32768.
  private static func bytes(_ text: String) -> Int? {
    let unit = text.last.map { "KMG".firstIndex(of: $0) } ?? nil
    guard let unit else { return Int(text) }
    let power = "KMG".distance(from: "KMG".startIndex, to: unit) + 1
    return Int(text.dropLast()).map { $0 << (10 * power) }
  }
}
