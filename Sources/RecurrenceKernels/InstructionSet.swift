/// A set of instructions that kernels are compiled for.
///
/// Results are the same bits for every thread count and tile; between instruction sets they may differ in the last
/// places, because `baseline` on x86-64 has no fused multiply-add.
@frozen public enum InstructionSet: String, Sendable, Hashable, CaseIterable, Comparable, CustomStringConvertible {
  /// What every processor of the architecture has: SSE2 on x86-64, NEON with FMA on arm64. 128-bit vectors.
  case baseline
  /// AVX2, FMA, BMI, F16C, LZCNT, MOVBE: 256-bit vectors.
  case x86_64_v3 = "x86-64-v3"
  /// AVX-512 F, BW, CD, DQ, VL besides: 512-bit vectors.
  case x86_64_v4 = "x86-64-v4"

  public var description: String { rawValue }

  /// From the narrowest to the widest.
  public static func < (a: InstructionSet, b: InstructionSet) -> Bool { a.rank < b.rank }

  private var rank: Int {
    switch self {
    case .baseline: 0
    case .x86_64_v3: 1
    case .x86_64_v4: 2
    }
  }
}
