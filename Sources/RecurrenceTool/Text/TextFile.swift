import Recurrence

/// Reading the user's text.
enum TextFile {
  /// The text of a file in UTF-8. Throws a sentence where there is none.
  static func read(_ path: String) throws -> String {
    let bytes = try FileAccess.system.contents(of: path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure("\(path): expected text in UTF-8, got other bytes")
    }
    if text.isEmpty { throw Failure("\(path): expected text, got an empty file") }
    return text
  }

  /// FNV-1a (Fowler, Noll and Vo) over the symbols: tells whether a text is the one a run began with.
  static func fingerprint(_ symbols: [Int32]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for symbol in symbols {
      var word = UInt32(bitPattern: symbol)
      for _ in 0..<4 {
        hash = (hash ^ UInt64(word & 0xff)) &* 0x100_0000_01b3
        word >>= 8
      }
    }
    return String(hash, radix: 16)
  }
}
