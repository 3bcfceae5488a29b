// Follows the text of the package's own Package.swift: `run` joins the two in its scratch directory, so that the fuzz
// targets see the same modules with the same settings, and no other build sees the fuzz targets.

/// libFuzzer's coverage and AddressSanitizer; `@testable import` for what has no other entry.
let instrumented: [SwiftSetting] = [
  .strictMemorySafety(), .unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing"]),
]
let linked: [LinkerSetting] = [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]

let unused = ["RecurrenceTool", "RecurrenceBench", "AllocationCounter", "RecurrenceTests"]
package.products = []
package.targets.removeAll { unused.contains($0.name) }
package.targets.first { $0.name == "Recurrence" }!.swiftSettings = instrumented
package.targets += [
  // A library here: all of the command-line tool but its `main`.
  .target(
    name: "RecurrenceTool", dependencies: ["Recurrence"], exclude: ["Tool.swift"], swiftSettings: instrumented),
  .target(name: "CFuzzer", path: "Tests/Fuzzing/CFuzzer"),
  .target(
    name: "FuzzingSupport", dependencies: ["CFuzzer", "Recurrence"], path: "Tests/Fuzzing/Support",
    swiftSettings: instrumented),
]
for name in fuzzTargets {
  package.targets.append(
    .executableTarget(
      name: "Fuzz\(name)", dependencies: ["FuzzingSupport", "Recurrence", "RecurrenceTool"],
      path: "Tests/Fuzzing/Targets/\(name)", swiftSettings: instrumented, linkerSettings: linked))
}
