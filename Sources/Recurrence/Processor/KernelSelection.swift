import Foundation
import RecurrenceKernels

/// Which kernels this process runs, and why.
///
/// Chosen once, at first use: the widest instruction set that the processor, the operating system and this build
/// support, unless the environment variable `RECURRENCE_ISA` names another (`baseline`, `x86-64-v3`, `x86-64-v4`).
public struct KernelSelection: Sendable, CustomStringConvertible {
  public let instructionSet: InstructionSet
  /// Why this one, as a sentence.
  public let reason: String

  public var description: String { "\(instructionSet): \(reason)" }

  /// The name of the environment variable that overrides the choice.
  public static let environmentVariable = "RECURRENCE_ISA"

  /// The choice of this process, or the error that `RECURRENCE_ISA` caused.
  private static let result = Result {
    try KernelSelection(
      override: ProcessInfo.processInfo.environment[environmentVariable], processor: .current)
  }

  /// The choice of this process. Traps with a sentence where `RECURRENCE_ISA` asks for what cannot be had; programs
  /// that would rather say so themselves call `validate()` first.
  public static var current: KernelSelection {
    switch result {
    case .success(let selection): selection
    case .failure(let error): fatalError("\(error)")
    }
  }

  /// Throws `InstructionSetError` where `RECURRENCE_ISA` names no instruction set, or one that cannot run here.
  public static func validate() throws { _ = try result.get() }

  package init(override: String?, processor: Processor) throws {
    let supported = processor.supportedInstructionSets
    if let override {
      guard let set = InstructionSet(rawValue: override) else { throw InstructionSetError.unknown(override) }
      guard supported.contains(set) else {
        throw InstructionSetError.unavailable(
          set, missing: processor.missing(for: set), compiled: Processor.compiledInstructionSets.contains(set))
      }
      instructionSet = set
      reason = "asked for by \(Self.environmentVariable)"
      return
    }
    instructionSet = supported.max() ?? .baseline
    if let wider = Processor.compiledInstructionSets.filter({ $0 > supported.max() ?? .baseline }).min() {
      reason =
        "the widest that this processor runs; \(wider) lacks \(processor.missing(for: wider).joined(separator: ", "))"
    } else {
      reason = "the widest that this build contains"
    }
  }
}

/// `RECURRENCE_ISA` asked for something that cannot be had.
public enum InstructionSetError: Error, Sendable, Equatable, CustomStringConvertible {
  case unknown(String)
  case unavailable(InstructionSet, missing: [String], compiled: Bool)

  public var description: String {
    let variable = KernelSelection.environmentVariable
    switch self {
    case .unknown(let name):
      let known = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
      return "\(variable) is \"\(name)\", which names no instruction set; it takes one of \(known)"
    case .unavailable(let set, _, compiled: false):
      return "\(variable) asks for \(set), which this build does not contain"
    case .unavailable(let set, let missing, compiled: true):
      return "\(variable) asks for \(set), but this processor lacks \(missing.joined(separator: ", "))"
    }
  }
}
