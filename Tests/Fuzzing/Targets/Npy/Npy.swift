import FuzzingSupport

@testable import Recurrence

/// Npy(bytes:), which Npy(path:) calls with a file's bytes.
@main enum NpyFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe Fuzzer.test(start, count) { bytes in
    let content = ArrayScript.file(bytes[...])
    let array = try Npy(bytes: content, file: "fuzzed")
    checkShape(array, content)
    checkReturn(array)
  }
}

/// The array has as many elements as its shape says, and they are the last bytes of the file.
private func checkShape(_ array: Npy, _ content: [UInt8]) {
  Fuzzer.claim(array.shape.allSatisfy { $0 >= 0 }, "\(array.shape)")
  Fuzzer.claim([32, 64].contains(array.bitWidth), "\(array.bitWidth) bits")
  let product = array.shape.contains(0) ? 0 : array.shape.reduce(1, *)
  let size = product * array.bitWidth / 8
  Fuzzer.claim(size <= content.count - 10, "\(size) bytes of \(content.count)")
  do throws(FormatError) {
    let values = try array.values(as: Double.self)
    Fuzzer.claim(values.count == product, "\(values.count) values of \(array.shape)")
    let last = content.suffix(array.bitWidth / 8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    if let value = values.last, !value.isNaN {
      let bits = array.bitWidth == 64 ? value.bitPattern : UInt64(Float(value).bitPattern)
      Fuzzer.claim(bits == last, "the last value is \(value), its bytes are \(last)")
    }
    Fuzzer.claim(try array.values(as: Float.self, rounding: true).count == product, "another number when rounded")
  } catch {
    fatalError("claim does not hold: an array that was read has no values: \(error)")
  }
  let narrow = Fuzzer.error { _ = try array.values(as: Float.self) }
  Fuzzer.claim((narrow == nil) == (array.bitWidth == 32), "\(array.bitWidth) bits as Float")
}

/// What is written again is read again, and the second writing has the bytes of the first.
private func checkReturn(_ array: Npy) {
  let written = array.encoded()
  do throws(FormatError) {
    let again = try Npy(bytes: written, file: array.file)
    Fuzzer.claim(again == array, "another array came back")
    Fuzzer.claim(again.encoded() == written, "other bytes were written the second time")
  } catch {
    fatalError("claim does not hold: what was written is refused: \(error)")
  }
}
