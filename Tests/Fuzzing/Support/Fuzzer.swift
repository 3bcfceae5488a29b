import CFuzzer
import Foundation
import Recurrence

/// One input after the other, and what must hold of each whatever it is.
public enum Fuzzer {
  /// Memory that an input may take: so many bytes for each of its own, and so many for any.
  public struct Allowance: Sendable {
    var factor: Int
    var constant: Int

    public init(factor: Int = 64, constant: Int = 1 << 20) {
      self.factor = factor
      self.constant = constant
    }
  }

  nonisolated(unsafe) private static var accepted = 0
  nonisolated(unsafe) private static var refused = 0
  private static let plant = Plant()

  /// Hands the command line to libFuzzer, with which the process ends. The last line says how many inputs were accepted
  /// and how many refused.
  public static func run(_ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt) -> Never {
    if fuzzer_watch_memory() == 0 { fatalError("memory: expected a sanitizer that counts it, got none") }
    atexit {
      let counts = unsafe "inputs accepted: \(Fuzzer.accepted), refused: \(Fuzzer.refused)\n"
      FileHandle.standardError.write(Data(counts.utf8))
    }
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    unsafe exit(LLVMFuzzerRunDriver(&count, &arguments, test))
  }

  /// Tries one input.
  ///
  /// - Parameters:
  ///   - allowance: `body` ends in a crash where it takes more memory.
  ///   - body: returns where it accepts the bytes. What it throws must be a sentence: see `checkSentence`.
  /// - Returns: 0, which libFuzzer asks for.
  public static func test(
    _ start: UnsafePointer<UInt8>?, _ count: Int, _ allowance: Allowance = Allowance(),
    _ body: ([UInt8]) throws -> Void
  ) -> CInt {
    plant.strike()
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    fuzzer_begin_peak()
    do {
      try body(bytes)
      unsafe accepted += 1
    } catch {
      checkSentence(error)
      unsafe refused += 1
    }
    let limit = allowance.constant + allowance.factor * count
    claim(fuzzer_peak() <= limit, "\(count) bytes took \(fuzzer_peak()) bytes of memory, expected at most \(limit)")
    return 0
  }

  /// What a user is told: one line that says what was expected and what came, and fits into a few lines of a terminal.
  public static func checkSentence(_ error: any Error) {
    let text = "\(error)"
    claim(text.contains("expected"), "not a sentence: \(text.prefix(700))")
    let isLine = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
    claim(isLine && text.unicodeScalars.count < 800, "not one line: \(text.prefix(2000).debugDescription)")
  }

  /// What must hold; ends the process with the sentence where it does not.
  public static func claim(_ holds: Bool, _ sentence: @autoclosure () -> String) {
    if !holds { fatalError("claim does not hold: \(sentence())") }
  }

  /// The error of what must refuse; nil where it accepts.
  public static func error(of body: () throws -> Void) -> (any Error)? {
    do {
      try body()
      return nil
    } catch {
      checkSentence(error)
      return error
    }
  }
}
