import FuzzingSupport

@testable import Recurrence

/// Safetensors(bytes:), which Safetensors(path:) calls with a file's bytes.
@main enum SafetensorsFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe Fuzzer.test(start, count) { bytes in
    let content = TensorScript.file(bytes[...])
    let file = try Safetensors(bytes: content, file: "fuzzed")
    checkTensors(file, content)
    checkValues(file)
    checkReturn(file)
  }
}

/// Tensors have the bytes that their shapes ask for, and fill what follows the header without overlap or hole.
private func checkTensors(_ file: Safetensors, _ content: [UInt8]) {
  let header = content.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
  var end = 8 + header
  for tensor in file.tensors {
    Fuzzer.claim(
      tensor.bytes.startIndex == end && tensor.bytes.endIndex <= content.count,
      "\(tensor.name) lies at \(tensor.bytes.indices), after \(end) of \(content.count) bytes")
    end = tensor.bytes.endIndex
    let product = tensor.shape.reduce(1.0) { $0 * Double($1) }
    if let width = tensor.elementType.bitWidth {
      Fuzzer.claim(product * Double(width) / 8 == Double(tensor.bytes.count), "\(tensor.name): \(tensor.shape)")
    }
    Fuzzer.claim(tensor.shape.allSatisfy { $0 >= 0 }, "\(tensor.name): \(tensor.shape)")
    Fuzzer.claim(file[tensor.name] == tensor, "\(tensor.name) is not found by its name")
    Fuzzer.claim(tensor.name != "__metadata__", "a tensor has the metadata's name")
  }
  Fuzzer.claim(end == content.count, "tensors end at \(end) of \(content.count) bytes")
}

/// Numbers are as many as the shape has elements; what is no number is refused.
private func checkValues(_ file: Safetensors) {
  for tensor in file.tensors {
    let isNumber = ["F64", "F32", "F16", "BF16"].contains(tensor.elementType.rawValue)
    let error = Fuzzer.error {
      let values = try file.values(tensor.name, shape: tensor.shape, as: Double.self)
      Fuzzer.claim(values.count == tensor.shape.reduce(1, *), "\(values.count) values of \(tensor.shape)")
    }
    Fuzzer.claim((error == nil) == isNumber, "\(tensor.elementType.rawValue): \(error.map { "\($0)" } ?? "read")")
    let narrow = Fuzzer.error { _ = try file.values(tensor.name, as: Float.self) }
    Fuzzer.claim((narrow == nil) == (isNumber && tensor.elementType != .f64), "\(tensor.elementType.rawValue) as Float")
    let other = Fuzzer.error { _ = try file.values(tensor.name, shape: tensor.shape + [1], as: Double.self) }
    Fuzzer.claim(other != nil, "\(tensor.name) has any shape")
  }
}

/// What is written again is read again, and the second writing has the bytes of the first.
private func checkReturn(_ file: Safetensors) {
  let written = file.encoded()
  do throws(FormatError) {
    let again = try Safetensors(bytes: written, file: "written")
    Fuzzer.claim(again.metadata == file.metadata, "other metadata came back")
    Fuzzer.claim(Set(again.tensors) == Set(file.tensors), "other tensors came back")
    Fuzzer.claim(again.tensors.count == file.tensors.count, "another number of tensors came back")
    Fuzzer.claim(again.encoded() == written, "other bytes were written the second time")
  } catch {
    fatalError("claim does not hold: what was written is refused: \(error)")
  }
}
