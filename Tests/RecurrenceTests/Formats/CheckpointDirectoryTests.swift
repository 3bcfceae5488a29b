import Foundation
import Recurrence
import Synchronization
import Testing

@Suite("Checkpoints")
struct CheckpointDirectoryTests {
  static let files: [(name: String, bytes: [UInt8])] = [
    ("model.safetensors", [UInt8](repeating: 7, count: 10_000)), ("state.json", Array("{}".utf8)), ("empty", []),
  ]

  @Test func generationsAppearInOrder() throws {
    let directory = try TemporaryDirectory()
    let checkpoints = CheckpointDirectory(directory.path + "/runs/7")
    #expect(try checkpoints.generations() == [])
    for step in [20, 3, 1_000_000_000_000, 100] { try checkpoints.publish(step: step, files: Self.files) }
    #expect(try checkpoints.generations().map(\.step) == [3, 20, 100, 1_000_000_000_000])
    #expect(
      try directory.entries("runs/7")
        == ["step-000000000003", "step-000000000020", "step-000000000100", "step-1000000000000"])
    let last = try #require(try checkpoints.generations().last)
    #expect(try last.files() == Self.files.map(\.name).sorted())
    for file in Self.files { #expect(try last.contents(of: file.name) == file.bytes) }
    #expect(throws: FormatError.self) { try last.contents(of: "nobody") }
  }

  /// The same content is no second checkpoint; another is a revision, and the later of the two.
  @Test func aStepIsNeverWrittenOver() throws {
    let directory = try TemporaryDirectory()
    let checkpoints = CheckpointDirectory(directory.path)
    let first = try checkpoints.publish(step: 5, files: Self.files)
    #expect(try checkpoints.publish(step: 5, files: Self.files.reversed()) == first)
    let changed = [Self.files[0], ("state.json", Array("[]".utf8)), Self.files[2]]
    for (files, revision) in [(changed, 1), (Array(Self.files.prefix(2)), 2), (Self.files + [("more", [1])], 3)] {
      let generation = try checkpoints.publish(step: 5, files: files)
      #expect(generation.revision == revision)
      #expect(try checkpoints.publish(step: 5, files: files) == generation)
    }
    try checkpoints.publish(step: 4, files: Self.files)
    #expect(
      try checkpoints.generations().map { [$0.step, $0.revision] } == [[4, 0], [5, 0], [5, 1], [5, 2], [5, 3]])
    #expect(try first.contents(of: "state.json") == Array("{}".utf8))
    #expect(try directory.entries().last == "step-000000000005-3")
  }

  /// Publishing and pruning remove them, where there are no checkpoints too.
  @Test(arguments: [true, false], [[], [1, 2, 3]])
  func leftoversAreIgnoredThenRemovedOthersAreLeftAlone(_ publishes: Bool, _ steps: [Int]) throws {
    let directory = try TemporaryDirectory()
    let checkpoints = CheckpointDirectory(directory.path)
    for step in steps { try checkpoints.publish(step: step, files: Self.files) }
    let leftovers = [".recurrence-unfinished-0123456789abcdef", ".recurrence-removed-fedcba9876543210"]
    let others = [
      ".recurrence-unfinished-", ".recurrence-unfinished-0123456789ABCDEF", ".recurrence-unfinished-0123456789abcdef0",
      "step-7", "step-000000000007-0", "step-000000000007-01", "step-0000000000007", "step--00000000007", "notes",
      "step-000000000007 ", "xstep-000000000007", "step-000000000007-1-1", "step-+00000000007",
    ]
    for name in leftovers + others {
      try FileManager.default.createDirectory(atPath: "\(directory.path)/\(name)", withIntermediateDirectories: true)
      try Data([1]).write(to: URL(fileURLWithPath: "\(directory.path)/\(name)/model"))
    }
    // A file and a link of a checkpoint's name are none.
    try Data([1]).write(to: URL(fileURLWithPath: directory.path + "/step-000000000008"))
    try FileManager.default.createSymbolicLink(
      atPath: directory.path + "/step-000000000009", withDestinationPath: "notes")
    #expect(try checkpoints.generations().map(\.step) == steps)
    if publishes {
      try checkpoints.publish(step: 4, files: Self.files)
    } else {
      try checkpoints.prune(keepingLatest: 2)
    }
    let left = publishes ? steps + [4] : steps.suffix(2)
    #expect(try checkpoints.generations().map(\.step) == left)
    let links = ["step-000000000008", "step-000000000009"]
    #expect(try directory.entries() == (others + links + left.map { "step-00000000000\($0)" }).sorted())
    for name in others { #expect(try directory.entries(name) == ["model"]) }
    for generation in try checkpoints.generations() {
      #expect(try generation.files() == Self.files.map(\.name).sorted())
    }
  }

  @Test func pruningKeepsWhatItIsTold() throws {
    let directory = try TemporaryDirectory()
    let checkpoints = CheckpointDirectory(directory.path)
    try checkpoints.prune(keepingLatest: 0)
    for step in 1...6 { try checkpoints.publish(step: step, files: Self.files) }
    try checkpoints.prune(keepingLatest: 4)
    #expect(try checkpoints.generations().map(\.step) == [3, 4, 5, 6])
    // The same checkpoint, found by another path.
    let kept = try CheckpointDirectory(directory.path + "/.").generations().filter { $0.step == 4 }
    try checkpoints.prune(keeping: kept)
    #expect(try directory.entries() == ["step-000000000004"])
    #expect(try checkpoints.generations()[0].contents(of: "empty") == [])
    try checkpoints.prune(keepingLatest: 0)
    #expect(try directory.entries() == [])
  }

  @Test func pruningNothingMakesNothing() throws {
    let directory = try TemporaryDirectory()
    let checkpoints = CheckpointDirectory(directory.path + "/none")
    try checkpoints.prune(keepingLatest: 0)
    try checkpoints.prune(keeping: [])
    #expect(try directory.entries() == [])
  }

  /// Names are permanent before a file goes, those that a killed process hid too. Where they cannot be, every file stays,
  /// and the next call removes what is hidden by then.
  @Test(arguments: [true, false], [true, false])
  func filesGoAfterTheirNames(_ publishes: Bool, _ fails: Bool) throws {
    let directory = try TemporaryDirectory()
    for step in 1...3 { try CheckpointDirectory(directory.path).publish(step: step, files: Self.files) }
    let leftover = directory.path + "/.recurrence-removed-0123456789abcdef"
    try FileManager.default.moveItem(atPath: directory.path + "/step-000000000001", toPath: leftover)
    let path = directory.path
    // Of each hidden directory, how many files it holds when the directory of checkpoints is made permanent.
    let hidden = Mutex<[[Int]]>([])
    var access = FileAccess.system
    let synchronize = access.synchronize
    access.synchronize = { file in
      let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      let counts = names.filter { $0.hasPrefix(".recurrence-removed-") }.map { name in
        (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(name)"))?.count ?? 0
      }
      hidden.withLock { $0.append(counts) }
      if !fails { return synchronize(file) }
      errno = EIO
      return -1
    }
    let checkpoints = CheckpointDirectory(path, access: access)
    func act() throws {
      if publishes {
        try checkpoints.publish(step: 3, files: Self.files)
      } else {
        try checkpoints.prune(keepingLatest: 1)
      }
    }
    let whole = [Int](repeating: Self.files.count, count: publishes ? 1 : 2)
    if !fails {
      try act()
      #expect(hidden.withLock { $0.first } == whole)
    } else {
      let error = #expect(throws: FormatError.self) { try act() }
      #expect(error?.description.contains("to make its entries permanent") == true)
      // Publishing goes on without removing, and comes to its own.
      #expect(hidden.withLock { $0 } == [[Int]](repeating: whole, count: publishes ? 2 : 1))
      let names = try directory.entries().filter { $0.hasPrefix(".recurrence-removed-") }
      #expect(names.count == whole.count)
      for name in names { #expect(try directory.entries(name) == Self.files.map(\.name).sorted()) }
      try CheckpointDirectory(path).prune(keeping: CheckpointDirectory(path).generations())
    }
    let kept = publishes ? ["step-000000000002", "step-000000000003"] : ["step-000000000003"]
    #expect(try directory.entries() == kept)
  }

  /// Where one cannot be hidden it stays whole, and so do those after it; the next call removes those before it.
  @Test func aCheckpointThatCannotBeHiddenStays() throws {
    let directory = try TemporaryDirectory()
    for step in 1...4 { try CheckpointDirectory(directory.path).publish(step: step, files: Self.files) }
    let checkpoints = CheckpointDirectory(directory.path, access: FailingCall.move.failing(at: 1, EACCES))
    let error = #expect(throws: FormatError.self) { try checkpoints.prune(keepingLatest: 1) }
    #expect(error?.file == directory.path + "/step-000000000002")
    let left = try checkpoints.generations()
    #expect(left.map(\.step) == [2, 3, 4])
    for generation in left { #expect(try generation.files() == Self.files.map(\.name).sorted()) }
    try checkpoints.prune(keeping: left)
    #expect(try directory.entries() == left.map { "step-00000000000\($0.step)" })
    try checkpoints.prune(keepingLatest: 1)
    #expect(try directory.entries() == ["step-000000000004"])
  }

  /// Writers in several threads wait for each other: none takes another's unfinished files for a leftover.
  @Test func writersWaitForEachOther() throws {
    let directory = try TemporaryDirectory()
    let failures = Mutex<[String]>([])
    let path = directory.path
    DispatchQueue.concurrentPerform(iterations: 4) { writer in
      do {
        for step in 0..<6 {
          try CheckpointDirectory(path).publish(step: step, files: [("a", [UInt8(writer), UInt8(step)])])
        }
      } catch {
        failures.withLock { $0.append("\(error)") }
      }
    }
    #expect(failures.withLock { $0 } == [])
    #expect(try CheckpointDirectory(path).generations().count == 24)
  }

  /// Whichever call fails, with whatever code: the sentence is the system's, nothing new is visible or left behind, and
  /// what was there is whole.
  @Test(arguments: FailingCall.allCases, [ENOSPC, EIO, EDQUOT, EFBIG])
  func everyFailureLeavesWhatWasThere(_ call: FailingCall, _ code: Int32) throws {
    let directory = try TemporaryDirectory()
    let before = try CheckpointDirectory(directory.path).publish(step: 1, files: Self.files)
    // Three files: two writes (the third is empty), four synchronisations before the rename.
    for position in 0..<call.count {
      let checkpoints = CheckpointDirectory(directory.path, access: call.failing(at: position, code))
      let error = #expect(throws: FormatError.self, "\(call) \(position)") {
        try checkpoints.publish(step: 2, files: Self.files)
      }
      let sentence = unsafe String(cString: strerror(code))
      #expect(error?.description.contains(sentence) == true, "\(call) \(position): \(error.map { "\($0)" } ?? "")")
      #expect(error?.file?.hasPrefix(directory.path) == true)
      #expect(try directory.entries() == ["step-000000000001"], "\(call) \(position)")
      for file in Self.files { #expect(try before.contents(of: file.name) == file.bytes) }
    }
    try CheckpointDirectory(directory.path).publish(step: 2, files: Self.files)
    #expect(try CheckpointDirectory(directory.path).generations().count == 2)
  }

  /// Files of one tensor: the same promise.
  @Test(arguments: FailingCall.allCases) func aFailedReplacementLeavesTheOldFile(_ call: FailingCall) throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/m.npy"
    try Npy([1] as [Float], shape: [1]).write(to: path)
    let access = call.failing(at: 0, ENOSPC)
    #expect(throws: FormatError.self) { try access.replace(path, with: [1, 2, 3]) }
    #expect(try directory.entries() == ["m.npy"])
    #expect(try Npy(path: path).values() == [1] as [Float])
  }

  /// Several files that belong together: where the last cannot be written, the first keeps what it held.
  @Test(arguments: FailingCall.allCases) func aFailedReplacementOfSeveralLeavesThemAll(_ call: FailingCall) throws {
    let directory = try TemporaryDirectory()
    let paths = ["a", "b"].map { directory.path + "/" + $0 }
    for path in paths { try FileAccess.system.replace(path, with: [1]) }
    // The name of the first is the last thing that may fail.
    let access = call.failing(at: call == .move ? 0 : 1, ENOSPC)
    let error = #expect(throws: FormatError.self) { try access.replace(paths.map { ($0, [2, 3]) }) }
    #expect(error?.file == paths[call == .move ? 0 : 1])
    #expect(try directory.entries() == ["a", "b"])
    for path in paths { #expect(try FileAccess.system.contents(of: path) == [1]) }
    try FileAccess.system.replace(paths.map { ($0, [2, 3]) })
    for path in paths { #expect(try FileAccess.system.contents(of: path) == [2, 3]) }
  }

  /// A write may take some bytes only, or be interrupted; neither is an error.
  @Test func shortAndInterruptedWritesGoOn() throws {
    let directory = try TemporaryDirectory()
    let calls = Mutex(0)
    var access = FileAccess.system
    let write = unsafe access.writeBytes
    unsafe access.writeBytes = { file, bytes in
      let call = calls.withLock { calls in
        calls += 1
        return calls
      }
      if call % 3 == 0 {
        errno = EINTR
        return -1
      }
      return unsafe write(file, UnsafeRawBufferPointer(rebasing: bytes.prefix(999)))
    }
    let interrupted = Mutex(true)
    let synchronize = access.synchronize
    access.synchronize = { file in
      let isInterrupted = interrupted.withLock { value in
        defer { value.toggle() }
        return value
      }
      if isInterrupted {
        errno = EINTR
        return -1
      }
      return synchronize(file)
    }
    let generation = try CheckpointDirectory(directory.path, access: access).publish(step: 1, files: Self.files)
    for file in Self.files { #expect(try generation.contents(of: file.name) == file.bytes) }
    #expect(calls.withLock { $0 } > 15)
  }

  /// Every file, then their directory, is permanent before the rename; the directory of checkpoints after it.
  @Test func orderOfPermanence() throws {
    let directory = try TemporaryDirectory()
    let log = Mutex<[String]>([])
    var access = FileAccess.system
    let (synchronize, move) = (access.synchronize, access.move)
    access.synchronize = { file in
      var status = stat()
      unsafe fstat(file, &status)
      log.withLock { $0.append(status.st_mode & S_IFMT == S_IFDIR ? "directory" : "file of \(status.st_size)") }
      return synchronize(file)
    }
    access.move = { from, to in
      log.withLock { $0.append("rename") }
      return move(from, to)
    }
    try CheckpointDirectory(directory.path, access: access).publish(step: 1, files: Self.files)
    let expected = ["file of 10000", "file of 2", "file of 0", "directory", "rename", "directory"]
    #expect(log.withLock { $0 } == expected)
  }

  @Test func placesThatCannotBeWrittenAreNamed() throws {
    let directory = try TemporaryDirectory()
    try Data([1]).write(to: URL(fileURLWithPath: directory.path + "/file"))
    for (path, sentence) in [("/file", "Not a directory"), ("/file/below", "Not a directory")] {
      let checkpoints = CheckpointDirectory(directory.path + path)
      let error = #expect(throws: FormatError.self) { try checkpoints.publish(step: 1, files: Self.files) }
      #expect(error?.description.contains(sentence) == true, "\(error.map { "\($0)" } ?? "")")
    }
    let error = #expect(throws: FormatError.self) {
      try Npy([1] as [Float], shape: [1]).write(to: directory.path + "/none/x.npy")
    }
    #expect(error?.description.contains("No such file or directory") == true)
  }

  #if os(Linux)
  @Test func aFullDeviceSaysSo() throws {
    let error = #expect(throws: FormatError.self) { try Npy([1] as [Float], shape: [1]).write(to: "/dev/full") }
    #expect(error?.description.hasSuffix("got \"No space left on device\"") == true)
  }
  #endif

  /// A limit on file sizes would end the process with a signal: here it is an error like others.
  @Test(.enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
  func aLimitOnFileSizesIsAnError() async {
    await #expect(processExitsWith: .success) {
      let directory = try TemporaryDirectory()
      let checkpoints = CheckpointDirectory(directory.path)
      try checkpoints.publish(step: 1, files: [("a", [1, 2, 3])])
      var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
      #if canImport(Glibc)
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      #else
      unsafe setrlimit(RLIMIT_FSIZE, &limit)
      #endif
      let error = #expect(throws: FormatError.self) {
        try checkpoints.publish(step: 2, files: [("a", [1]), ("b", [UInt8](repeating: 1, count: 4097))])
      }
      #expect(error?.description.hasSuffix("b: expected to write 4097 bytes, got \"File too large\"") == true)
      #expect(try directory.entries() == ["step-000000000001"])
      try checkpoints.publish(step: 2, files: [("b", [UInt8](repeating: 1, count: 4096))])
      #expect(try checkpoints.generations().count == 2)
    }
  }
}

/// One of the calls that publishing makes before the checkpoint is visible.
enum FailingCall: String, CaseIterable, CustomTestStringConvertible {
  case write, writeShort, synchronize, move

  var testDescription: String { rawValue }

  /// How often publishing makes it.
  var count: Int {
    switch self {
    case .write, .writeShort: 2
    case .synchronize: 4
    case .move: 1
    }
  }

  /// The system's calls, of which this one fails once.
  func failing(at position: Int, _ code: Int32) -> FileAccess {
    let calls = Countdown(position)
    var access = FileAccess.system
    let (write, synchronize, move) = unsafe (access.writeBytes, access.synchronize, access.move)
    switch self {
    case .write: unsafe access.writeBytes = { unsafe calls.isDue ? fail(code) : write($0, $1) }
    case .writeShort:
      // Half of the bytes fit, then none.
      let isHalf = Countdown(0)
      unsafe access.writeBytes = { file, bytes in
        guard calls.isDue else { return unsafe write(file, bytes) }
        calls.rewind()
        return isHalf.isDue
          ? unsafe write(file, UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2))) : fail(code)
      }
    case .synchronize: access.synchronize = { calls.isDue ? Int32(fail(code)) : synchronize($0) }
    case .move: access.move = { calls.isDue ? Int32(fail(code)) : move($0, $1) }
    }
    return access
  }

  private func fail(_ code: Int32) -> Int {
    errno = code
    return -1
  }

  /// Counts calls; due once, at the given one.
  private final class Countdown: Sendable {
    private let rest: Mutex<Int>
    init(_ count: Int) { rest = Mutex(count) }
    var isDue: Bool {
      rest.withLock { rest in
        defer { rest -= 1 }
        return rest == 0
      }
    }
    /// Due again at the next call.
    func rewind() { rest.withLock { $0 = 0 } }
  }
}
