import Foundation

/// Files that only this process has: in memory where `run` says so (TMPDIR), for what reads paths.
public struct PrivateDirectory: Sendable {
  public let path: String

  public init() {
    path = NSTemporaryDirectory() + "recurrence-fuzzing-\(getpid())"
    unsafe mkdir(path, 0o700)
  }

  public func path(of name: String) -> String { "\(path)/\(name)" }

  /// A directory in it, as it was left.
  public func directory(_ name: String) -> String {
    unsafe mkdir(path(of: name), 0o700)
    return path(of: name)
  }

  /// Writes a file, over the one of this name.
  @discardableResult
  public func write(_ name: String, _ bytes: some Collection<UInt8>) -> String {
    let path = path(of: name)
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    let content = Array(bytes)
    let count = unsafe content.withUnsafeBytes { unsafe Foundation.write(file, $0.baseAddress, $0.count) }
    close(file)
    if count != content.count { fatalError("\(path): expected \(content.count) bytes to be written, got \(count)") }
    return path
  }

  /// Removes a file or a directory with all it holds; does nothing where there is none.
  public func remove(_ name: String) { try? FileManager.default.removeItem(atPath: path(of: name)) }
}
