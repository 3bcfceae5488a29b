import FuzzingSupport

@testable import Recurrence

/// Layers from safetensors files under PyTorch's names: RecurrentShape, RecurrentStack, Dense, Embedding, Parameters.
@main enum StateDictFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // A script makes up 64 KB at most, of which every cell holds copies.
  unsafe Fuzzer.test(start, count, Fuzzer.Allowance(factor: 1 << 10, constant: 16 << 20)) { bytes in
    let file = try Safetensors(bytes: TensorScript.file(bytes[...]), file: "fuzzed")
    var errors: [any Error] = []
    for prefix in Set(RecurrentShape.prefixes(in: file).prefix(1) + [""]).sorted() {
      if let error = checkStacks(file, prefix) { errors.append(error) }
    }
    checkRefusal(file)
    for prefix in ["", "fc."] { checkDense(file, prefix) }
    checkEmbedding(file)
    if let error = errors.first, file.tensors.count != 1 { throw error }
  }
}

/// Every cell takes the file, or refuses it and stays as it was. Returns the error of the shape.
private func checkStacks(_ file: Safetensors, _ prefix: String) -> (any Error)? {
  var found: RecurrentShape?
  let error = Fuzzer.error { found = try RecurrentShape(file, prefix: prefix) }
  func check<C: Cell>(_ cell: C) {
    checkStack(cell, Double.self, file, prefix, found)
    // Where the sizes do not fit, types do not matter.
    if found?.gates == C.gates.count { checkStack(cell, Float.self, file, prefix, found) }
  }
  for kind in CellKind.allCases { check(kind.cell) }
  check(PeepholeLSTM())
  return error
}

/// A stack of other sizes, or of the same, stays as it was where it refuses the file.
private func checkRefusal(_ file: Safetensors) {
  var small = RecurrentStack<GRU, Float>(GRU(), inputs: 2, units: 3)
  let before = small.parameters.values
  if Fuzzer.error(of: { try small.load(file) }) != nil {
    Fuzzer.claim(same(small.parameters.values, before), "a stack changed though its file was refused")
  }
}

private func checkStack<C: Cell, Scalar: RecurrenceScalar>(
  _ cell: C, _: Scalar.Type, _ file: Safetensors, _ prefix: String, _ found: RecurrentShape?
) {
  let error = Fuzzer.error {
    let stack = try RecurrentStack<C, Scalar>(cell, loading: file, prefix: prefix)
    guard let found else { fatalError("claim does not hold: a stack without a shape was read") }
    Fuzzer.claim(
      (stack.inputs, stack.units, stack.layers, C.gates.count)
        == (found.inputs, found.units, found.layers, found.gates), "\(found) is not that of the stack")
    var written = Safetensors()
    try stack.store(into: &written, prefix: prefix)
    let again = try Safetensors(bytes: written.encoded())
    let back = try RecurrentStack<C, Scalar>(cell, loading: again, prefix: prefix)
    Fuzzer.claim(same(back.parameters.values, stack.parameters.values), "other parameters of \(C.self) came back")
    var vector = Safetensors()
    stack.parameters.store(into: &vector, prefix: "v.")
    var loaded = Parameters<Scalar>(stack.layout)
    try loaded.load(vector, prefix: "v.")
    Fuzzer.claim(same(loaded.values, stack.parameters.values), "another vector of \(C.self) came back")
  }
  if error == nil { Fuzzer.claim(found != nil, "a stack without a shape was read") }
}

/// Bit for bit, but for what no number is.
private func same<Scalar: RecurrenceScalar>(_ a: [Scalar], _ b: [Scalar]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { ($0 == $1 && $0.sign == $1.sign) || ($0.isNaN && $1.isNaN) }
}

private func checkDense(_ file: Safetensors, _ prefix: String) {
  _ = Fuzzer.error {
    let dense = try Dense<Float>(loading: file, prefix: prefix)
    Fuzzer.claim(dense.parameters.count == dense.outputs * (dense.inputs + 1), "\(dense.parameters.count)")
    var written = Safetensors()
    try dense.store(into: &written, prefix: prefix)
    let back = try Dense<Float>(loading: Safetensors(bytes: written.encoded()), prefix: prefix)
    Fuzzer.claim(same(back.parameters, dense.parameters), "another dense layer came back")
  }
}

private func checkEmbedding(_ file: Safetensors) {
  _ = Fuzzer.error {
    let embedding = try Embedding<Double>(loading: file)
    var written = Safetensors()
    embedding.store(into: &written)
    let back = try Embedding<Double>(loading: Safetensors(bytes: written.encoded()))
    Fuzzer.claim(same(back.parameters, embedding.parameters), "another embedding came back")
  }
}
