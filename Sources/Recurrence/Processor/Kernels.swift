@_exported import RecurrenceKernels
import RecurrenceKernelsBaseline

#if canImport(RecurrenceKernelsX86V3) && arch(x86_64)
import RecurrenceKernelsX86V3
#endif
#if canImport(RecurrenceKernelsX86V4) && arch(x86_64)
import RecurrenceKernelsX86V4
#endif

/// A scalar type that every instruction set has kernels for: `Float` and `Double`.
public protocol RecurrenceScalar: KernelScalar {
  /// The kernel table of an instruction set that this build contains.
  static func _kernelTable(_ set: InstructionSet) -> any KernelTable<Self>.Type
}

/// The kernels that a layer, or a workspace, was made with.
public struct Kernels<Scalar: RecurrenceScalar>: Sendable {
  package let table: any KernelTable<Scalar>.Type
  /// Asked of the table once: the sizes are needed on every call.
  public let geometry: KernelGeometry
  public let instructionSet: InstructionSet

  private init(unchecked set: InstructionSet) {
    table = Scalar._kernelTable(set)
    geometry = table.geometry
    instructionSet = set
  }

  /// The kernels of this process; see `KernelSelection`.
  public static var selected: Kernels { Kernels(unchecked: KernelSelection.current.instructionSet) }

  /// The kernels of one instruction set, or nil where they cannot run here. For tests and benchmarks.
  package init?(_ set: InstructionSet) {
    guard Processor.current.supportedInstructionSets.contains(set) else { return nil }
    self.init(unchecked: set)
  }

  /// The kernels of every instruction set that runs here, from the narrowest to the widest.
  package static var supported: [Kernels] {
    Processor.current.supportedInstructionSets.map { Kernels(unchecked: $0) }
  }
}

extension Float: RecurrenceScalar {
  public static func _kernelTable(_ set: InstructionSet) -> any KernelTable<Float>.Type {
    switch set {
    #if canImport(RecurrenceKernelsX86V4) && arch(x86_64)
    case .x86_64_v4: X86V4Float.self
    #endif
    #if canImport(RecurrenceKernelsX86V3) && arch(x86_64)
    case .x86_64_v3: X86V3Float.self
    #endif
    default: BaselineFloat.self
    }
  }
}

extension Double: RecurrenceScalar {
  public static func _kernelTable(_ set: InstructionSet) -> any KernelTable<Double>.Type {
    switch set {
    #if canImport(RecurrenceKernelsX86V4) && arch(x86_64)
    case .x86_64_v4: X86V4Double.self
    #endif
    #if canImport(RecurrenceKernelsX86V3) && arch(x86_64)
    case .x86_64_v3: X86V3Double.self
    #endif
    default: BaselineDouble.self
    }
  }
}
