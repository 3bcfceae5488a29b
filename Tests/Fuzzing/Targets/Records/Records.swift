import Foundation
import FuzzingSupport

@testable import Recurrence
@testable import RecurrenceTool

/// The lines that `recurrence experiment --json` writes and `--report` reads.
@main enum RecordsFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe Fuzzer.test(start, count, Fuzzer.Allowance(factor: 1 << 9)) { bytes in
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    let records = try ExperimentRecord.read(text, path: "fuzzed")
    let lines = text.split(separator: "\n").count
    Fuzzer.claim(records.count == lines, "\(records.count) records of \(lines) lines")
    // Four digits are kept, so that the first writing may change a record and the second may not.
    let written = records.map(\.line)
    do {
      let again = try ExperimentRecord.read(written.joined(separator: "\n"), path: "written")
      Fuzzer.claim(again.map(\.line) == written, "other lines were written the second time")
      Fuzzer.claim(again.map(\.updates) == records.map(\.updates), "other updates came back")
    } catch {
      fatalError("claim does not hold: what was written is refused: \(written)")
    }
  }
}
