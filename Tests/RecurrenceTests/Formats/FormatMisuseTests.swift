import Recurrence
import Testing

/// What only a program's author can get wrong stops it, with a sentence.
@Suite(
  "Misuse of formats",
  .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
struct FormatMisuseTests {
  @Test(arguments: FormatMisuse.allCases) func stopsWithASentence(_ misuse: FormatMisuse) async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      [misuse = misuse as FormatMisuse] in misuse.commit()
    }
    guard let result else { return }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    for word in misuse.words where !text.contains(word) {
      Issue.record("\(misuse.rawValue): \"\(word)\" is missing from \"\(text)\"")
    }
  }
}

enum FormatMisuse: String, Misuse {
  case tensorCount, tensorBytes, negativeDimension, metadataAsTensor, arrayCount, arrayOverflow
  case foreignGradient, unitNamedAsWeight, negativeStep, noFiles, equalNames, pathAsName, emptyName, negativeKeep

  var words: [String] {
    switch self {
    case .tensorCount: ["tensor \"x\": expected 8 bytes, [2] of F32, got 4"]
    case .tensorBytes: ["tensor \"x\": expected 2 bytes, [2] of U8, got 3"]
    case .negativeDimension: ["tensor \"x\": expected a shape that memory can hold, got [-1]"]
    case .metadataAsTensor: ["name: expected that of a tensor, got __metadata__"]
    case .arrayCount: ["values: expected 6 elements ([2, 3]), got 5"]
    case .arrayOverflow: ["values: expected a shape's number of elements"]
    case .foreignGradient: ["gradient: expected the layout of this stack, got that of another"]
    case .unitNamedAsWeight: ["unitParameters: expected names that files have no other use for, got weight_ih"]
    case .negativeStep: ["step: expected at least 0, got -1"]
    case .noFiles: ["files: expected at least one, got none"]
    case .equalNames: ["files: expected names that differ"]
    case .pathAsName: ["files: expected names of files, got \"../a\""]
    case .emptyName: ["files: expected names of files, got \"\""]
    case .negativeKeep: ["count: expected at least 0, got -1"]
    }
  }

  func commit() {
    var file = Safetensors()
    let gru = RecurrentLayer<GRU, Float>(GRU(), inputs: 1, units: 2)
    let nowhere = CheckpointDirectory("/nonexistent/checkpoints")
    switch self {
    case .tensorCount: file.set("x", shape: [2], [1] as [Float])
    case .tensorBytes: file.set("x", .init(rawValue: "U8"), shape: [2], bytes: [1, 2, 3])
    case .negativeDimension: file.set("x", shape: [-1], [1] as [Float])
    case .metadataAsTensor: file.set("__metadata__", shape: [1], [1] as [Float])
    case .arrayCount: _ = Npy([1, 2, 3, 4, 5] as [Float], shape: [2, 3])
    case .arrayOverflow: _ = Npy([1] as [Float], shape: [.max, 2])
    case .foreignGradient:
      gru.store(gradient: RecurrentLayer<GRU, Float>(GRU(), inputs: 1, units: 3).makeGradient(), into: &file)
    case .unitNamedAsWeight:
      try? RecurrentLayer<ClashingCell, Float>(ClashingCell(), inputs: 1, units: 1).store(into: &file)
    case .negativeStep: _ = try? nowhere.publish(step: -1, files: [("a", [])])
    case .noFiles: _ = try? nowhere.publish(step: 1, files: [])
    case .equalNames: _ = try? nowhere.publish(step: 1, files: [("a", []), ("a", [])])
    case .pathAsName: _ = try? nowhere.publish(step: 1, files: [("../a", [])])
    case .emptyName: _ = try? nowhere.publish(step: 1, files: [("", [])])
    case .negativeKeep: _ = try? nowhere.prune(keepingLatest: -1)
    }
  }
}

/// A unit parameter of the name that files give to W.
struct ClashingCell: Cell {
  static let gates: [Gate] = ["a"]
  static let unitParameters = ["weight_ih"]
  func step<V: PointwiseValue>(_ input: CellInput<V>) -> Planes<V> { Planes(input.gates[0] * input.units[0]) }
}
