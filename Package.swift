// swift-tools-version: 6.3
import PackageDescription

// The modules that instantiate kernels are compiled for speed in every configuration: a debug build of an embedding
// application runs the same kernels as a release build, because `-Ounchecked` here follows (and so overrides) the
// configuration's own flag. Unsafe flags in a versioned dependency need tools version 6.2, `@specialized` needs 6.3. The compiler
// refuses to combine `-Ounchecked` with strict memory safety; the templates these modules instantiate live in
// RecurrenceKernels, where it holds.
let kernelSettings: [SwiftSetting] = [.unsafeFlags(["-Ounchecked"])]

/// Settings of a module that holds one instruction-set variant of the kernels.
func variantSettings(march: String) -> [SwiftSetting] {
  kernelSettings + [.unsafeFlags(["-Xcc", "-march=\(march)"])]
}

// `#if arch` in a manifest names the machine that builds, not the one that runs; see README, "Cross builds".
#if arch(x86_64)
let variants: [Target] = [
  .target(
    name: "RecurrenceKernelsX86V3", dependencies: ["CProcessor", "RecurrenceKernels"],
    swiftSettings: variantSettings(march: "x86-64-v3")),
  .target(
    name: "RecurrenceKernelsX86V4", dependencies: ["CProcessor", "RecurrenceKernels"],
    swiftSettings: variantSettings(march: "x86-64-v4")),
]
#else
let variants: [Target] = []
#endif

let package = Package(
  name: "swift-recurrence",
  platforms: [.macOS(.v26), .iOS(.v26), .tvOS(.v26), .watchOS(.v26), .visionOS(.v26)],
  products: [
    .library(name: "Recurrence", targets: ["Recurrence"]),
    .library(name: "RecurrenceTesting", targets: ["RecurrenceTesting"]),
    .executable(name: "recurrence", targets: ["RecurrenceTool"]),
    .executable(name: "recurrence-bench", targets: ["RecurrenceBench"]),
  ],
  targets: [
    .target(name: "CProcessor"),
    .target(
      name: "RecurrenceKernels", dependencies: ["CProcessor"], exclude: ["Activations/Coefficients"],
      swiftSettings: [.strictMemorySafety()]),
    .target(
      name: "RecurrenceKernelsBaseline", dependencies: ["CProcessor", "RecurrenceKernels"],
      swiftSettings: kernelSettings),
    .target(
      name: "Recurrence",
      dependencies: ["CProcessor", "RecurrenceKernels", "RecurrenceKernelsBaseline"]
        + variants.map { .init(stringLiteral: $0.name) },
      swiftSettings: [.strictMemorySafety()]),
    // Optimised in every configuration: oracles are slow enough as they are, and tests of applications are debug builds.
    .target(
      name: "RecurrenceTesting", dependencies: ["Recurrence"],
      swiftSettings: [.strictMemorySafety(), .unsafeFlags(["-O"])]),
    .executableTarget(
      name: "RecurrenceTool", dependencies: ["Recurrence"],
      swiftSettings: [.strictMemorySafety()]),
    .executableTarget(
      name: "RecurrenceBench", dependencies: ["Recurrence"], path: "Benchmarks/RecurrenceBench",
      swiftSettings: [.strictMemorySafety()]),
    // Replaces the allocator's functions in the process: for tests alone, no product may depend on it.
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    .testTarget(
      name: "RecurrenceTests", dependencies: ["AllocationCounter", "CProcessor", "Recurrence", "RecurrenceTesting"],
      exclude: ["Fixtures"],
      swiftSettings: [.strictMemorySafety()]),
  ] + variants
)
