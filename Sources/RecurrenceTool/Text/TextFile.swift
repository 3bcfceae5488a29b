import Foundation
import Recurrence

/// Reading the user's text.
enum TextFile {
  /// The text of a file in UTF-8. Throws `Failure` with a sentence.
  static func read(_ path: String) throws -> String {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw Failure("\(path): cannot be read (\(reason(error)))")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw Failure("\(path): expected text in UTF-8, got other bytes")
    }
    if text.isEmpty { throw Failure("\(path): expected text, got an empty file") }
    return text
  }

  /// What the system says of an error.
  static func reason(_ error: any Error) -> String {
    if let code = ((error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError)?.code {
      return unsafe String(cString: strerror(Int32(code)))
    }
    return error.localizedDescription
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
