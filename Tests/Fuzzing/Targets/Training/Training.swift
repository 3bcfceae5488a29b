import FuzzingSupport

@testable import Recurrence

/// What training goes on from: the five files of SequenceTrainer.files, each spelled as TensorScript says, after a byte
/// that chooses the cell. Where the optimizer's or the states' is empty, there is one that fits the network.
@main enum TrainingFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

private let names = [
  "embedding.safetensors", "recurrent.safetensors", "output.safetensors", "optimizer.safetensors", "states.safetensors",
]

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe Fuzzer.test(start, count, Fuzzer.Allowance(factor: 1 << 10, constant: 16 << 20)) { bytes in
    let parts = Sections.split(Array(bytes.dropFirst()), atLeast: names.count)
    let files = Dictionary(uniqueKeysWithValues: zip(names, parts.map(TensorScript.file)))
    let kinds = CellKind.allCases
    let cell: any Cell = kinds[Int(bytes.first ?? 0) % kinds.count].cell
    try restore(cell, files)
  }
}

private func restore<C: Cell>(_ cell: C, _ files: [String: [UInt8]]) throws {
  let network = try SequenceNetwork<C, Float>(cell, hasEmbedding: true) { name throws(FormatError) in files[name]! }
  let ranges = network.parameterRanges
  Fuzzer.claim(ranges.output.upperBound == network.parameters.count, "\(ranges)")
  // Memory for a pass grows with the network; what is proven of a small one holds of all.
  if network.parameterCount > 4096 { return }
  let fitting = try SequenceTrainer(network, .adam(), steps: 2, batch: 2)
    .files(states: network.recurrent.makeStates(batch: 2))
  func contents(_ name: String) throws(FormatError) -> [UInt8] {
    let given = files[name]!
    return given.isEmpty ? fitting.first { $0.name == name }!.bytes : given
  }
  var trainer = SequenceTrainer(network, .adam(), clipping: GradientClipping(nonFinite: .skip), steps: 2, batch: 2)
  var states = network.recurrent.makeStates(batch: 2)
  let (before, statesBefore) = (trainer.optimizer.slots, states)
  do {
    try trainer.restore(states: &states, loading: contents)
  } catch {
    Fuzzer.claim(trainer.optimizer.steps == 0 && trainer.optimizer.slots == before, "an optimizer changed")
    Fuzzer.claim(states == statesBefore, "states changed though their file was refused")
    throw error
  }
  try checkReturn(trainer.files(states: states), cell)
  // What was accepted can be gone on with.
  let symbols = (0..<4).map { Int32($0 % network.embedding!.symbols) }
  let classes = (0..<4).map { Int32($0 % network.output.outputs) }
  let steps = trainer.optimizer.steps
  let step = try trainer.update(
    .symbols(symbols), targets: .classes(classes), steps: 2, batch: 2, states: &states, learningRate: 1e-3)
  Fuzzer.claim(step.clipping.isSkipped || trainer.optimizer.steps == steps + 1, "an update was not counted")
}

/// What is written of the restored trainer restores another to the same files.
private func checkReturn<C: Cell>(_ written: [(name: String, bytes: [UInt8])], _ cell: C) throws {
  let files = Dictionary(uniqueKeysWithValues: written.map { ($0.name, $0.bytes) })
  func contents(_ name: String) throws(FormatError) -> [UInt8] { files[name]! }
  let network = try SequenceNetwork<C, Float>(cell, hasEmbedding: true, loading: contents)
  var trainer = SequenceTrainer(network, .adam(), steps: 2, batch: 2)
  var states = network.recurrent.makeStates(batch: 2)
  if let error = Fuzzer.error(of: { try trainer.restore(states: &states, loading: contents) }) {
    fatalError("claim does not hold: what was written is refused: \(error)")
  }
  for (name, bytes) in try trainer.files(states: states) {
    Fuzzer.claim(files[name] == bytes, "\(name): other bytes were written the second time")
  }
}
