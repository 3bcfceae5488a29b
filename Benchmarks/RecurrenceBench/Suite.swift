import Recurrence

/// A family of cases that measure the same thing: one file, and one line in `Suite.all`.
///
/// A file that adds a suite declares `extension Suite { static let name = Suite(…) }` with a function from options to
/// cases. A case is a closure that builds its operands, verifies the result, and only then measures; it throws
/// `BenchmarkFailure.wrongResult` instead of returning a number that nobody should see.
struct Suite: Sendable {
  /// What `--filter` and the `suite` field of the report say.
  let name: String
  /// One line for the table and the help text.
  let summary: String
  /// The letters of one `--shapes` argument that this suite takes, such as ["M", "N", "K"]; empty where it takes none.
  var shapeLetters: [String] = []
  /// Whether `--keeping` has a say in its cases.
  var keeps = false
  /// What `--svg` draws of its records; nil where there is nothing to see.
  var picture: Picture?
  let cases: @Sendable (Options) -> [BenchmarkCase]

  /// Every suite, in the order they run.
  static var all: [Suite] {
    [.peak, .bandwidth, .activation, .matmul, .infer, .train, .step, .memory, .scaling, .subnormal, .flow]
  }
}

/// One measurement: a line of the report, or as many as are measured together.
struct BenchmarkCase {
  /// Parts joined by slashes, the suite's name first. `--filter` looks for substrings of it.
  let label: String
  /// Builds, verifies, measures.
  let run: () throws(BenchmarkFailure) -> [Record]

  init(_ parts: [String], run: @escaping () throws(BenchmarkFailure) -> [Record]) {
    label = parts.joined(separator: "/")
    self.run = run
  }

  init(_ parts: [String], run: @escaping () throws(BenchmarkFailure) -> Record) {
    self.init(parts) { () throws(BenchmarkFailure) in [try run()] }
  }
}

/// Why a case, or the program, could not do its work: a sentence for the standard error stream.
struct BenchmarkFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  static func wrongResult(_ label: String, _ detail: String) -> BenchmarkFailure {
    BenchmarkFailure("\(label): wrong result: \(detail)")
  }
}

/// The element type of a case.
enum ElementType: String, CaseIterable, Sendable {
  case f32, f64
}

extension RecurrenceScalar {
  /// Half the distance from 1 to the next number: the largest relative error of one rounding.
  static var unitRoundoff: Double { Double(Self.ulpOfOne) / 2 }
}

/// Operands that are the same in every run: element `index` of stream `stream`, uniform in [−1, 1), with every bit of
/// the significand in play. A function of its arguments alone, so that an oracle needs no copy of what a kernel
/// overwrites.
func operand<Scalar: RecurrenceScalar>(_ stream: UInt64, _ index: Int, as: Scalar.Type = Scalar.self) -> Scalar {
  // SplitMix64 (Steele, Lea, Flood 2014).
  var z = (stream &<< 48) &+ UInt64(truncatingIfNeeded: index) &* 0x9e37_79b9_7f4a_7c15
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  z ^= z >> 31
  let bits = Scalar.fractionBits + 1
  return Scalar(Int64(z >> UInt64(64 - bits))) * Scalar.ulpOfOne - 1
}
