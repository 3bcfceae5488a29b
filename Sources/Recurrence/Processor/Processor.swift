import CProcessor
import RecurrenceKernels

/// What a processor can run.
public struct Processor: Sendable {
  /// The processor's name for itself; empty where it has none.
  public let name: String
  package let features: UInt32

  package init(name: String, features: UInt32) {
    self.name = name
    self.features = features
  }

  /// The processor this program runs on, asked once.
  public static let current = Processor(name: readName(), features: recurrence_processor_features())

  /// Conditions of each level beyond baseline. A level also needs that the operating system saves its registers, and
  /// that this build contains its kernels.
  package static func requirements(of set: InstructionSet) -> [(feature: UInt32, name: String)] {
    switch set {
    case .baseline: []
    case .x86_64_v3:
      [
        (bit(RECURRENCE_AVX), "AVX"), (bit(RECURRENCE_AVX2), "AVX2"), (bit(RECURRENCE_FMA), "FMA"),
        (bit(RECURRENCE_BMI1), "BMI1"), (bit(RECURRENCE_BMI2), "BMI2"), (bit(RECURRENCE_F16C), "F16C"),
        (bit(RECURRENCE_LZCNT), "LZCNT"), (bit(RECURRENCE_MOVBE), "MOVBE"), (bit(RECURRENCE_POPCNT), "POPCNT"),
        (bit(RECURRENCE_SSE42), "SSE4.2"),
        (bit(RECURRENCE_YMM_STATE), "an operating system that saves the YMM registers"),
      ]
    case .x86_64_v4:
      requirements(of: .x86_64_v3) + [
        (bit(RECURRENCE_AVX512F), "AVX-512F"), (bit(RECURRENCE_AVX512BW), "AVX-512BW"),
        (bit(RECURRENCE_AVX512CD), "AVX-512CD"), (bit(RECURRENCE_AVX512DQ), "AVX-512DQ"),
        (bit(RECURRENCE_AVX512VL), "AVX-512VL"),
        (bit(RECURRENCE_ZMM_STATE), "an operating system that saves the ZMM registers"),
      ]
    }
  }

  /// What `set` needs and this processor, or its operating system, lacks.
  public func missing(for set: InstructionSet) -> [String] {
    let missing = Self.requirements(of: set).filter { features & $0.feature == 0 }
    // A system cannot save registers that the processor has not.
    let instructions = missing.filter { !Self.isSystemState($0.feature) }
    return (instructions.isEmpty ? missing : instructions).map(\.name)
  }

  private static func isSystemState(_ feature: UInt32) -> Bool {
    feature == bit(RECURRENCE_YMM_STATE) || feature == bit(RECURRENCE_ZMM_STATE)
  }

  /// The instruction sets that this processor runs and this build contains, from the narrowest to the widest.
  public var supportedInstructionSets: [InstructionSet] {
    InstructionSet.allCases.filter { Self.compiledInstructionSets.contains($0) && missing(for: $0).isEmpty }
  }

  /// The instruction sets that this build contains kernels for.
  public static var compiledInstructionSets: [InstructionSet] {
    var sets: [InstructionSet] = [.baseline]
    #if canImport(RecurrenceKernelsX86V3) && arch(x86_64)
    sets.append(.x86_64_v3)
    #endif
    #if canImport(RecurrenceKernelsX86V4) && arch(x86_64)
    sets.append(.x86_64_v4)
    #endif
    return sets
  }

  private static func bit(_ feature: some BinaryInteger) -> UInt32 { UInt32(feature) }

  private static func readName() -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 49) { buffer in
      unsafe recurrence_processor_name(buffer.baseAddress!)
      return unsafe String(cString: buffer.baseAddress!).trimmingSpaces()
    }
  }
}

extension String {
  fileprivate func trimmingSpaces() -> String {
    var slice = self[...]
    while slice.last == " " { slice.removeLast() }
    while slice.first == " " { slice.removeFirst() }
    return String(slice)
  }
}
