import Foundation
import FuzzingSupport

@testable import Recurrence

/// CheckpointDirectory on a directory that others have written to. Each part of the input is an entry: `d`, `f` or `l` (a
/// directory, a file, a link), its name, and after a line feed what is in it.
@main enum DirectoryFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

private let home = PrivateDirectory()

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe Fuzzer.test(start, count, Fuzzer.Allowance(constant: 4 << 20)) { bytes in
    home.remove("checkpoints")
    let path = home.directory("checkpoints")
    for part in Sections.split(bytes).prefix(6) { make(part) }
    let directory = CheckpointDirectory(path)
    let found = try directory.generations()
    checkListed(found, path)
    try checkPublished(directory, found)
    if found.isEmpty { throw FormatError(file: path, nil, expected: "a checkpoint", actual: "none") }
  }
}

/// Makes an entry, if its name is one.
private func make(_ part: ArraySlice<UInt8>) {
  let line = part.dropFirst().prefix { $0 != 0x0a }
  let name = String(decoding: line, as: UTF8.self)
  if ["", ".", ".."].contains(name) || name.utf8.count > 200 || name.utf8.contains(where: { $0 == 0 || $0 == 0x2f }) {
    return
  }
  let content = part.dropFirst(line.count + 2)
  let entry = "checkpoints/" + name
  switch part.first {
  case UInt8(ascii: "d"):
    if unsafe mkdir(home.path(of: entry), 0o700) == 0 { home.write(entry + "/model", content) }
  case UInt8(ascii: "l"): unsafe symlink(home.path, home.path(of: entry))
  case UInt8(ascii: "f"):
    if unsafe access(home.path(of: entry), F_OK) != 0 { home.write(entry, content) }
  default: break
  }
}

/// Checkpoints are directories, in order, each under the one name that it can have.
private func checkListed(_ found: [CheckpointDirectory.Generation], _ path: String) {
  for (a, b) in zip(found, found.dropFirst()) { Fuzzer.claim(a < b, "\(a) is listed before \(b)") }
  for generation in found {
    Fuzzer.claim(generation.step >= 0 && generation.revision >= 0, "\(generation)")
    var isDirectory = ObjCBool(false)
    let exists = unsafe FileManager.default.fileExists(atPath: generation.path, isDirectory: &isDirectory)
    Fuzzer.claim(exists && isDirectory.boolValue, "\(generation.path) is no directory")
    Fuzzer.claim(CheckpointDirectory.Generation(at: generation.path) == generation, "\(generation) is not its path's")
    _ = Fuzzer.error { _ = try generation.contents(of: "model") }
  }
}

/// What is published after what was found is listed, and the others are as they were; the same again changes nothing.
private func checkPublished(_ directory: CheckpointDirectory, _ found: [CheckpointDirectory.Generation]) throws {
  let step = found.last?.step ?? 7
  let files: [(name: String, bytes: [UInt8])] = [("model", [1, 2, 3]), ("state", [])]
  let before = found.map { try? $0.contents(of: "model") }
  let published = try directory.publish(step: step, files: files)
  Fuzzer.claim(try published.files() == ["model", "state"], "other files in \(published)")
  Fuzzer.claim(try directory.publish(step: step, files: files) == published, "the same files were published twice")
  let now = try directory.generations()
  Fuzzer.claim(Set(now) == Set(found).union([published]), "\(now) after \(found) and \(published)")
  Fuzzer.claim(now.last == published, "\(published) is not the latest of \(now)")
  for (generation, content) in zip(found, before) where generation != published {
    Fuzzer.claim((try? generation.contents(of: "model")) == content, "\(generation) has changed")
  }
  try directory.prune(keepingLatest: 1)
  Fuzzer.claim(try directory.generations() == [published], "others than \(published) after pruning")
}
