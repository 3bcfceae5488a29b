import Foundation

/// Reading and writing whole files, with the system's own sentence where it refuses.
///
/// The calls that can fail half-way are members, so that tests can make each of them fail.
@safe package struct FileAccess: Sendable {
  /// write(2).
  package var writeBytes: @Sendable (Int32, UnsafeRawBufferPointer) -> Int
  /// Makes a file's or a directory's content permanent: fsync(2) or what the system has for it.
  package var synchronize: @Sendable (Int32) -> Int32
  /// rename(2).
  package var move: @Sendable (_ from: String, _ to: String) -> Int32

  package static let system = unsafe FileAccess(
    writeBytes: { unsafe write($0, $1.baseAddress, $1.count) }, synchronize: synchronizeFile,
    move: { unsafe rename($0, $1) })

  /// The bytes of a regular file.
  ///
  /// Throws `FormatError` where there is none, the system does not let it be read, or it is larger than the machine's
  /// memory.
  package func contents(of path: String) throws(FormatError) -> [UInt8] {
    try Self.checkPath(path)
    // A pipe without a writer would never open.
    let file = try Descriptor(path, O_RDONLY | O_NONBLOCK, expected: "a file to read")
    var status = stat()
    if unsafe fstat(file.number, &status) != 0 { throw .system(path, expected: "a file to read", errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw FormatError(file: path, nil, expected: "a regular file", actual: "a directory, a device or a pipe")
    }
    let memory = ProcessInfo.processInfo.physicalMemory
    guard let count = Int(exactly: status.st_size), UInt64(count) <= memory else {
      throw FormatError(
        file: path, nil, expected: "at most \(memory) bytes, this machine's memory", actual: "\(status.st_size)")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let part = unsafe bytes.withUnsafeMutableBytes { unsafe read(file.number, $0.baseAddress! + done, count - done) }
      if part < 0 && errno == EINTR { continue }
      if part < 0 { throw .system(path, expected: "a file to read", errno) }
      if part == 0 { throw FormatError(file: path, nil, expected: "\(count) bytes", actual: "\(done), then its end") }
      done += part
    }
    return bytes
  }

  /// Writes a file so that all of it appears under `path` at once, or nothing does and what was there remains.
  ///
  /// The bytes go to a file beside it, which then takes its name. A device or a pipe is written as it is.
  package func replace(_ path: String, with bytes: [UInt8]) throws(FormatError) { try replace([(path, bytes)]) }

  /// Writes files as above. None takes its name before the bytes of all are permanent: where one cannot be written, what
  /// was there before remains under every path.
  package func replace(_ files: [(path: String, bytes: [UInt8])]) throws(FormatError) {
    var staged: [(temporary: String, target: String, file: (path: String, bytes: [UInt8]))] = []
    // What was moved has left its temporary name.
    defer { for part in staged { unsafe unlink(part.temporary) } }
    var streams: [(path: String, bytes: [UInt8])] = []
    for (path, bytes) in files {
      try Self.checkPath(path)
      var status = stat()
      let exists = unsafe stat(path, &status) == 0
      if exists && status.st_mode & S_IFMT != S_IFREG {
        streams.append((path, bytes))
        continue
      }
      // Through a link: what it names is replaced, not the link.
      let target = exists ? Self.resolve(path) : path
      let temporary = Self.join(Self.directory(of: target), ".recurrence-write-" + Self.randomName())
      do throws(FormatError) {
        try create(temporary, bytes)
      } catch {
        // The name that the caller knows.
        throw FormatError(file: path, error.field, expected: error.expected, actual: error.actual)
      }
      staged.append((temporary, target, (path, bytes)))
    }
    for (path, bytes) in streams {
      let file = try Descriptor(path, O_WRONLY, expected: "to write \(bytes.count) bytes")
      try writeAll(bytes, to: file)
    }
    for (temporary, target, file) in staged {
      if retrying({ move(temporary, target) }) == 0 { continue }
      let code = errno
      throw .system(file.path, expected: "to put \(file.bytes.count) bytes in its place", code)
    }
    for directory in Set(staged.map { Self.directory(of: $0.target) }) { try synchronizeDirectory(directory) }
  }

  /// Writes a new file and makes its content permanent. Removes it where that fails.
  func create(_ path: String, _ bytes: [UInt8]) throws(FormatError) {
    let expected = "to write \(bytes.count) bytes"
    let file = try Descriptor(path, O_WRONLY | O_CREAT | O_EXCL, expected: expected)
    do throws(FormatError) {
      try Self.checkLimit(path, bytes.count)
      try writeAll(bytes, to: file)
      if retrying({ synchronize(file.number) }) != 0 { throw FormatError.system(path, expected: expected, errno) }
    } catch {
      unsafe unlink(path)
      throw error
    }
  }

  private func writeAll(_ bytes: [UInt8], to file: borrowing Descriptor) throws(FormatError) {
    var done = 0
    while done < bytes.count {
      let part = unsafe bytes.withUnsafeBytes { bytes in
        unsafe writeBytes(file.number, UnsafeRawBufferPointer(rebasing: bytes[done...]))
      }
      if part < 0 && errno == EINTR { continue }
      // A file system that takes nothing and gives no reason would be asked for ever.
      if part <= 0 {
        throw .system(file.path, expected: "to write \(bytes.count) bytes", part < 0 ? errno : ENOSPC)
      }
      done += part
    }
  }

  func synchronizeDirectory(_ path: String) throws(FormatError) {
    let directory = try Descriptor(path, O_RDONLY | O_DIRECTORY, expected: "a directory")
    // Some network file systems have no such call for directories, and nothing else to offer.
    if retrying({ synchronize(directory.number) }) != 0 && errno != EINVAL && errno != ENOTSUP {
      throw .system(path, expected: "to make its entries permanent", errno)
    }
  }

  func retrying(_ call: () -> Int32) -> Int32 {
    while true {
      let result = call()
      if result == 0 || errno != EINTR { return result }
    }
  }

  /// A write beyond the process's limit does not fail, it ends the process with a signal; so it is not tried.
  private static func checkLimit(_ path: String, _ count: Int) throws(FormatError) {
    var limit = rlimit()
    #if canImport(Glibc)
    let result = unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    #else
    let result = unsafe getrlimit(RLIMIT_FSIZE, &limit)
    #endif
    if result == 0 && UInt64(limit.rlim_cur) < UInt64(count) {
      throw .system(path, expected: "to write \(count) bytes", EFBIG)
    }
  }
}

/// Gives back what the system calls −1 for an error and 0 otherwise. A disk of Apple's may keep what it is given in a
/// cache that fsync(2) leaves alone.
@Sendable private func synchronizeFile(_ descriptor: Int32) -> Int32 {
  #if canImport(Darwin)
  if fcntl(descriptor, F_FULLFSYNC) == 0 { return 0 }
  #endif
  return fsync(descriptor)
}

/// An open file, closed when it goes.
struct Descriptor: ~Copyable {
  let number: Int32
  let path: String

  init(_ path: String, _ flags: Int32, expected: String) throws(FormatError) {
    try FileAccess.checkPath(path)
    var number: Int32
    repeat { number = unsafe open(path, flags | O_CLOEXEC, 0o666) } while number < 0 && errno == EINTR
    if number < 0 { throw .system(path, expected: expected, errno) }
    self.number = number
    self.path = path
  }

  deinit { close(number) }
}

// Paths as the system sees them: bytes between slashes.

extension FileAccess {
  /// A zero byte would end the path early, and name another file.
  static func checkPath(_ path: String) throws(FormatError) {
    if path.isEmpty || path.utf8.contains(0) {
      throw FormatError("path", expected: "one that a file can have", actual: FormatError.quote(path))
    }
  }

  static func join(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
  }

  /// The directory that a path lies in.
  static func directory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// 16 hexadecimal digits.
  static func randomName() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The one name without links and dots of what is there; the path itself where nothing is.
  package static func resolve(_ path: String) -> String {
    guard let resolved = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}
