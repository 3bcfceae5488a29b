import Foundation

/// What the environment asks of the test suite. Read once; whatever weakens the suite says so on standard error.
///
/// | variable | effect |
/// |---|---|
/// | `RECURRENCE_TEST_THIN=1` | long sweeps visit a handful of shapes |
/// | `RECURRENCE_TEST_EMULATED=1` | the binary runs under a CPU emulator: tests that start a process are skipped |
/// | `RECURRENCE_TEST_PROBLEMS=n` | random problems for each cell, precision and instruction set; 12 otherwise |
/// | `RECURRENCE_TEST_SEED=n` | another seed for every random operand |
enum SuiteSettings {
  /// Long sweeps visit few shapes.
  ///
  /// A debug build thins them of its own accord: the naive products are not optimised there and are slower by two
  /// orders of magnitude, while the kernels, the thing under test, are the same code as in a release build.
  static let isThin: Bool = {
    if flag("RECURRENCE_TEST_THIN") {
      announce("RECURRENCE_TEST_THIN is set: SWEEPS ARE THINNED, most shapes are NOT tested")
      return true
    }
    #if DEBUG
    announce("debug build: SWEEPS ARE THINNED, most shapes are NOT tested; run with `-c release` for all of them")
    return true
    #else
    return false
    #endif
  }()

  /// This process is emulated. Its children would not be: they would test the host's processor instead.
  static let isEmulated: Bool = {
    let set = flag("RECURRENCE_TEST_EMULATED")
    if set { announce("RECURRENCE_TEST_EMULATED is set: tests that start a process are SKIPPED") }
    return set
  }()

  /// Seed of all random operands. Every failure prints it, and what it takes to reach the failing case from it.
  static let seed: UInt64 = {
    guard let text = ProcessInfo.processInfo.environment["RECURRENCE_TEST_SEED"] else { return 20_240_607 }
    guard let seed = UInt64(text) else {
      fatalError("RECURRENCE_TEST_SEED: expected an unsigned integer, got \"\(text)\"")
    }
    return seed
  }()

  /// Random problems for each cell, precision and instruction set.
  static let problems: Int = {
    guard let text = ProcessInfo.processInfo.environment["RECURRENCE_TEST_PROBLEMS"] else { return isThin ? 2 : 12 }
    guard let count = Int(text), count > 0 else {
      fatalError("RECURRENCE_TEST_PROBLEMS: expected a positive integer, got \"\(text)\"")
    }
    return count
  }()

  private static func flag(_ name: String) -> Bool {
    switch ProcessInfo.processInfo.environment[name] {
    case nil, "", "0": false
    default: true
    }
  }

  static func announce(_ sentence: String) {
    FileHandle.standardError.write(Data("*** \(sentence)\n".utf8))
  }
}
