import Recurrence
import Testing

/// A scalar whose bits tests can see, with the wider arithmetic that judges it.
protocol TestScalar: RecurrenceScalar {
  /// A sum of products, carried in a format wider than `Self`.
  associatedtype WideSum: WideProductSum where WideSum.Scalar == Self

  /// The representation, in the low bits.
  var wideBits: UInt64 { get }
  init(wideBits: UInt64)
}

extension Float: TestScalar {
  typealias WideSum = DoubleSum
  var wideBits: UInt64 { UInt64(bitPattern) }
  init(wideBits: UInt64) { self.init(bitPattern: UInt32(truncatingIfNeeded: wideBits)) }
}

extension Double: TestScalar {
  #if arch(x86_64)
  typealias WideSum = ExtendedSum
  #else
  typealias WideSum = CompensatedSum
  #endif
  var wideBits: UInt64 { bitPattern }
  init(wideBits: UInt64) { self.init(bitPattern: wideBits) }
}

extension TestScalar {
  static var bitWidth: Int { MemoryLayout<Self>.size * 8 }
  /// Ones in the bits of the representation.
  static var bitMask: UInt64 { UInt64.max >> UInt64(64 - bitWidth) }

  /// A quiet NaN that no arithmetic produces: memory that nobody may write holds it, and whatever reads it by mistake
  /// computes NaN.
  static var canary: Self { Self(wideBits: nan.wideBits | 0x2_a5a5) }

  /// Everything that arithmetic treats apart, NaNs last but one; all are quiet.
  static var specialValues: [Self] {
    let positive: [Self] = [
      0, .leastNonzeroMagnitude, .leastNormalMagnitude.nextDown, .leastNormalMagnitude, .ulpOfOne, 1, 1.5,
      .greatestFiniteMagnitude, .infinity, .nan, Self(wideBits: Self.nan.wideBits | 0x1234),
    ]
    return positive + positive.map { -$0 }
  }

  /// The same bits, or both NaN. Which NaN an operation on two NaNs returns is the processor's choice.
  @inline(__always)
  func isSame(as other: Self) -> Bool { wideBits == other.wideBits || (isNaN && other.isNaN) }

  /// The value and its bits, for messages.
  var spelled: String { "\(self) (0x\(String(wideBits, radix: 16)))" }
}

/// An instruction set and a scalar type: what almost every test of the kernels is run for.
struct KernelCase: Sendable, CustomTestStringConvertible {
  enum Element: String, Sendable, CaseIterable { case float = "Float", double = "Double" }

  let set: InstructionSet
  let element: Element

  /// Whatever runs on this processor.
  static let all = Processor.current.supportedInstructionSets.flatMap { set in
    Element.allCases.map { KernelCase(set: set, element: $0) }
  }

  var testDescription: String { "\(element.rawValue) \(set)" }

  /// Hands the kernels to a check, which callers name twice: `run(check, check)`. Both instances are then concrete, and
  /// the naive loops in them are specialised. An opened existential would run them fifty times slower.
  func run(_ float: (Kernels<Float>) -> Void, _ double: (Kernels<Double>) -> Void) {
    switch element {
    case .float: float(Kernels(set)!)
    case .double: double(Kernels(set)!)
    }
  }
}

extension Kernels where Scalar: TestScalar {
  /// For messages: what it takes to run a failing case again.
  var label: String { "\(Scalar.self) \(instructionSet), seed \(SuiteSettings.seed)" }
}
