import Foundation
import FuzzingSupport

@testable import Recurrence
@testable import RecurrenceTool

/// `recurrence run`: a file of weights, spelled as TensorScript says, and arrays, spelled as ArrayScript says: x, dy, and
/// the states before the first step. Empty parts are not given, but for x: where it is empty, there is one that fits.
@main enum RunFilesFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

private let home = PrivateDirectory()

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe Fuzzer.test(start, count, Fuzzer.Allowance(factor: 1 << 11, constant: 64 << 20)) { bytes in
    let parts = Sections.split(bytes, atLeast: 5)
    let model = home.write("model.safetensors", TensorScript.file(parts[0]))
    let input = home.write("x.npy", parts[1].isEmpty ? try fittingInput(model) : ArrayScript.file(parts[1]))
    var arguments = [model, "--input", input, "--output", home.path(of: "y.npy"), "--threads", "1"]
    if !parts[2].isEmpty {
      arguments += ["--output-gradient", home.write("dy.npy", ArrayScript.file(parts[2]))]
      arguments += ["--gradients", home.path(of: "gradients.safetensors")]
    }
    let states = parts[3...4].enumerated().filter { !$1.isEmpty }.map { index, part in
      home.write("s\(index).npy", ArrayScript.file(part))
    }
    if !states.isEmpty { arguments += ["--initial-state", states.joined(separator: ",")] }
    try refuseLarge(model, input)
    try RunCommand.run(Arguments(arguments, options: RunCommand.options, operands: 1))
    try checkResults(model, input, hasGradients: !parts[2].isEmpty)
  }
}

/// Two steps of three sequences.
private func fittingInput(_ model: String) throws -> [UInt8] {
  let inputs = try RecurrentModel(model, prefix: nil, cell: nil).shape.inputs
  return ArrayScript.file(Array("#<f4 2 3 \(inputs)".utf8)[...])
}

/// An array without elements may claim any number of steps or sequences, and a run on it takes memory in proportion to
/// them: up to that of the machine, which RunArrays sees to. Here, up to 64 KB.
private func refuseLarge(_ model: String, _ input: String) throws {
  let shape = try Npy(path: input).shape
  let units = try RecurrentModel(model, prefix: nil, cell: nil).shape
  let states = shape.prefix(2).reduce(Double(units.layers) * Double(units.units)) { $0 * Double(max($1, 1)) }
  if states > 65536 { throw FormatError(file: input, "shape", expected: "a small one", actual: "\(states) states") }
}

/// What was written is an array for each step and sequence, and a gradient for every tensor of the weights.
private func checkResults(_ path: String, _ input: String, hasGradients: Bool) throws {
  let (x, y) = try (Npy(path: input), Npy(path: home.path(of: "y.npy")))
  let model = try RecurrentModel(path, prefix: nil, cell: nil)
  let shape = Array(x.shape.prefix(2)) + [model.shape.units]
  Fuzzer.claim(y.shape == shape, "outputs of shape \(y.shape), expected \(shape)")
  if !hasGradients { return }
  let gradients = try Safetensors(path: home.path(of: "gradients.safetensors"))
  for tensor in model.file.tensors where tensor.name.hasPrefix(model.prefix) {
    Fuzzer.claim(gradients[tensor.name]?.shape == tensor.shape, "no gradient of \(tensor.name)")
  }
  Fuzzer.claim(gradients["input"]?.shape == x.shape, "a gradient of x of another shape")
}
