import Foundation

/// A directory of checkpoints. Each is a directory of its own, `step-000000001234`, that holds a few named files; it
/// appears with all of them or not at all, whenever and however the process ends.
///
///     let checkpoints = CheckpointDirectory("runs/7")
///     try checkpoints.publish(step: 1000, files: [("model.safetensors", model.encoded())])
///     try checkpoints.prune(keepingLatest: 3)
///     if let last = try checkpoints.generations().last { model = try Safetensors(path: last.path(of: "model.safetensors")) }
///
/// Files are first written to a hidden directory and made permanent there; one rename(2) makes them visible. What a
/// killed process left hidden is never listed, and the next `publish` or `prune` removes it. Processes may read at any
/// time. Those that write wait for each other, by flock(2) on the directory; on a file system without locks there may be
/// only one.
public struct CheckpointDirectory: Sendable {
  /// Where it is. Made by the first `publish`.
  public let path: String
  private let access: FileAccess

  public init(_ path: String) { self.init(path, access: .system) }

  package init(_ path: String, access: FileAccess) {
    self.path = path
    self.access = access
  }

  /// One checkpoint. Ordered by step, then by revision.
  public struct Generation: Hashable, Comparable, Sendable {
    public let step: Int
    /// 0; from 1 for what was published later for the same step.
    public let revision: Int
    /// Its directory.
    public let path: String

    public static func < (a: Self, b: Self) -> Bool { (a.step, a.revision) < (b.step, b.revision) }

    /// The checkpoint whose own directory this is; nil where it is none.
    public init?(at path: String) {
      let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
      let name = path.split(separator: "/").last.map(String.init) ?? ""
      guard let found = CheckpointDirectory(FileAccess.directory(of: path)).generation(name) else { return nil }
      self = found
    }

    init(step: Int, revision: Int, path: String) {
      self.step = step
      self.revision = revision
      self.path = path
    }

    /// Where one of its files is.
    public func path(of file: String) -> String { FileAccess.join(path, file) }

    /// The bytes of one of its files. Throws `FormatError` where there is none, or it cannot be read.
    public func contents(of file: String) throws(FormatError) -> [UInt8] {
      try FileAccess.system.contents(of: path(of: file))
    }

    /// The names of its files, in order. Throws `FormatError` where the directory cannot be read, or is gone.
    public func files() throws(FormatError) -> [String] { try FileAccess.system.entries(of: path) }
  }

  /// All checkpoints, the latest last; none where the directory does not exist.
  ///
  /// Throws `FormatError` where the directory cannot be read.
  public func generations() throws(FormatError) -> [Generation] {
    if isMissing { return [] }
    return try access.entries(of: path).compactMap(generation).sorted()
  }

  /// Writes a checkpoint and makes it permanent, then visible. Removes first what killed processes left hidden,
  /// as far as the system lets it.
  ///
  /// A step that is there already is never written over. Where its latest revision holds the same files, nothing is
  /// done; else the new one becomes its next revision, `step-000000001234-1`, and the latest of that step.
  ///
  /// - Parameters:
  ///   - step: at least 0.
  ///   - files: at least one. Names must differ, and be names of files, not paths.
  ///
  /// Throws `FormatError` with the system's sentence where something cannot be written. Nothing of it is visible then,
  /// with one exception: an error that says the entries of the directory cannot be made permanent comes after the
  /// checkpoint became visible. Those before it are never touched.
  @discardableResult
  public func publish(step: Int, files: [(name: String, bytes: [UInt8])]) throws(FormatError) -> Generation {
    Self.check(step, files.map(\.name))
    try access.createDirectories(path)
    let lock = try Lock(path)
    defer { lock.release() }
    // What cannot be removed keeps nothing from being written.
    try? removeLeftovers()

    var revision = 0
    if let latest = try generations().last(where: { $0.step == step }) {
      if Self.holds(latest, files) {
        // Whoever published it may not have lived to do this.
        try access.synchronizeDirectory(path)
        return latest
      }
      if latest.revision == .max {
        throw FormatError(file: latest.path, nil, expected: "a revision that has a next one", actual: "the largest")
      }
      revision = latest.revision + 1
    }
    let temporary = FileAccess.join(path, Self.unfinished + FileAccess.randomName())
    let generation = Generation(step: step, revision: revision, path: FileAccess.join(path, Self.name(step, revision)))
    do throws(FormatError) {
      try access.createDirectory(temporary)
      for file in files { try access.create(FileAccess.join(temporary, file.name), file.bytes) }
      try access.synchronizeDirectory(temporary)
      if access.retrying({ access.move(temporary, generation.path) }) != 0 {
        throw FormatError.system(generation.path, expected: "to become visible", errno)
      }
    } catch {
      access.remove(temporary)
      throw error
    }
    try access.synchronizeDirectory(path)
    return generation
  }

  /// Removes all checkpoints but those of `kept`, and what killed processes left hidden. Does nothing where the directory
  /// does not exist.
  ///
  /// Each checkpoint is hidden by one rename(2) before its files go, so that none is ever seen without some of them. A
  /// process that is reading one of them gets an error.
  ///
  /// Throws `FormatError` where one cannot be hidden; it and those not yet hidden remain whole, and the next `publish` or
  /// `prune` removes the files of the others. Throws too where the names cannot be made permanent; no file is gone then.
  public func prune(keeping kept: some Sequence<Generation>) throws(FormatError) {
    let names = Set(kept.map { Self.name($0.step, $0.revision) })
    if isMissing { return }
    let lock = try Lock(path)
    defer { lock.release() }
    for generation in try generations() where !names.contains(Self.name(generation.step, generation.revision)) {
      let hidden = FileAccess.join(path, Self.removed + FileAccess.randomName())
      if access.retrying({ access.move(generation.path, hidden) }) != 0 {
        throw .system(generation.path, expected: "to be removed", errno)
      }
    }
    try removeLeftovers()
  }

  /// Removes all checkpoints but the `count` latest. As above. Traps where `count` is negative.
  public func prune(keepingLatest count: Int) throws(FormatError) {
    if count < 0 { fatalError("count: expected at least 0, got \(count)") }
    try prune(keeping: generations().suffix(count))
  }
}

// Names.

extension CheckpointDirectory {
  /// Begins the name of a checkpoint that is being written, and of one that is being removed.
  private static let unfinished = ".recurrence-unfinished-"
  private static let removed = ".recurrence-removed-"

  private static func name(_ step: Int, _ revision: Int) -> String {
    let digits = String(step)
    let padding = String(repeating: "0", count: max(0, 12 - digits.count))
    return "step-\(padding)\(digits)" + (revision == 0 ? "" : "-\(revision)")
  }

  /// The checkpoint of this name, nil where it is another's file.
  private func generation(_ name: String) -> Generation? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard (2...3).contains(parts.count), let step = Int(parts[1]), let revision = parts.count == 3 ? Int(parts[2]) : 0,
      name == Self.name(step, revision)
    else { return nil }
    let path = FileAccess.join(path, name)
    var status = stat()
    guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
    return Generation(step: step, revision: revision, path: path)
  }

  /// Whether there is nothing of its name.
  private var isMissing: Bool {
    var status = stat()
    return unsafe stat(path, &status) != 0 && errno == ENOENT
  }

  /// Removes what is hidden. Only whoever holds the lock may: else it might be what another is writing.
  private func removeLeftovers() throws(FormatError) {
    let leftovers = try access.entries(of: path).filter(Self.isLeftover)
    if leftovers.isEmpty { return }
    // Without it a loss of power might bring a name back to a directory whose files are gone.
    try access.synchronizeDirectory(path)
    for name in leftovers { access.remove(FileAccess.join(path, name)) }
  }

  private static func isLeftover(_ name: String) -> Bool {
    guard let start = [unfinished, removed].first(where: name.hasPrefix) else { return false }
    let random = name.dropFirst(start.count)
    return random.count == 16 && random.allSatisfy { $0.isHexDigit && !$0.isUppercase }
  }

  private static func check(_ step: Int, _ names: [String]) {
    if step < 0 { fatalError("step: expected at least 0, got \(step)") }
    if names.isEmpty { fatalError("files: expected at least one, got none") }
    if Set(names).count != names.count { fatalError("files: expected names that differ, got \(names)") }
    for name in names where ["", ".", ".."].contains(name) || name.utf8.contains(UInt8(ascii: "/")) {
      fatalError("files: expected names of files, got \(FormatError.quote(name))")
    }
  }

  private static func holds(_ generation: Generation, _ files: [(name: String, bytes: [UInt8])]) -> Bool {
    guard let names = try? generation.files(), Set(names) == Set(files.map(\.name)) else { return false }
    return files.allSatisfy { file in (try? generation.contents(of: file.name)) == file.bytes }
  }
}

/// The right to change a directory.
private struct Lock: ~Copyable {
  private let directory: Descriptor

  /// Waits until no other process, and no other call, holds it.
  init(_ path: String) throws(FormatError) {
    directory = try Descriptor(path, O_RDONLY | O_DIRECTORY, expected: "a directory")
    // Where the file system knows no locks, the caller has been told to be alone.
    while flock(directory.number, LOCK_EX) != 0 && errno == EINTR {}
  }

  /// Ends the wait of others.
  borrowing func release() { _ = flock(directory.number, LOCK_UN) }
}

extension FileAccess {
  /// The names in a directory, sorted.
  func entries(of path: String) throws(FormatError) -> [String] {
    // For the system's sentence; Foundation has its own.
    _ = try Descriptor(path, O_RDONLY | O_DIRECTORY, expected: "a directory")
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    } catch {
      throw FormatError(file: path, nil, expected: "a directory to read", actual: error.localizedDescription)
    }
  }

  func createDirectory(_ path: String) throws(FormatError) {
    try Self.checkPath(path)
    if retrying({ unsafe mkdir(path, 0o777) }) != 0 {
      throw .system(path, expected: "to become a directory", errno)
    }
  }

  /// Creates a directory and those it lies in, where they do not exist, and makes their entries permanent.
  func createDirectories(_ path: String) throws(FormatError) {
    try Self.checkPath(path)
    var status = stat()
    if unsafe stat(path, &status) == 0 {
      if status.st_mode & S_IFMT != S_IFDIR { throw .system(path, expected: "a directory", ENOTDIR) }
      return
    }
    var trimmed = path
    while trimmed.utf8.count > 1 && trimmed.hasSuffix("/") { trimmed.removeLast() }
    let parent = Self.directory(of: trimmed)
    if parent != trimmed { try createDirectories(parent) }
    if retrying({ unsafe mkdir(trimmed, 0o777) }) != 0 && errno != EEXIST {
      throw .system(path, expected: "to become a directory", errno)
    }
    // Whoever may not read that directory cannot ask for more.
    try? synchronizeDirectory(parent)
  }

  /// Removes a directory and what it holds, as far as the system lets it: nobody sees what remains, and the next
  /// `publish` or `prune` tries again.
  func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }
}
