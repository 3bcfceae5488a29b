import Foundation
import FuzzingSupport

@testable import Recurrence
@testable import RecurrenceTool

/// The checkpoints of `recurrence train`: model.json, training.json and the five files of tensors, spelled as TensorScript
/// says. They are read as `recurrence generate`, `classify --predict` and `train --resume` read them.
@main enum ResumeFuzzing {
  static func main() { unsafe Fuzzer.run(testOneInput) }
}

private let home = PrivateDirectory()
private let generation = "run/step-000000000007"
private let names = [
  ModelFile.name, TrainingProgress.name, "embedding.safetensors", "recurrent.safetensors", "output.safetensors",
  "optimizer.safetensors", "states.safetensors",
]

/// 120 characters of the vocabulary "abc".
private let text = String(repeating: "abcabbacca", count: 12)

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // 16 MB for the largest history of norms, and as much again for Foundation and copies.
  unsafe Fuzzer.test(start, count, Fuzzer.Allowance(factor: 1 << 11, constant: 64 << 20)) { bytes in
    // What the last input saved.
    home.remove("run")
    _ = home.directory("run")
    _ = home.directory(generation)
    for (name, part) in zip(names, Sections.split(bytes, atLeast: names.count)) {
      home.write("\(generation)/\(name)", name.hasSuffix(".json") ? Array(part) : TensorScript.file(part))
    }
    let run = home.path(of: "run")
    let failures = [
      Fuzzer.error { try generate(run) }, Fuzzer.error { try predict(run) }, Fuzzer.error { try readProgress(run) },
      Fuzzer.error { try resume(run) },
    ]
    let errors = failures.compactMap { $0 }
    if errors.count == failures.count { throw errors[0] }
  }
}

private func generate(_ run: String) throws {
  let saved = try SavedModel(run, best: true, purpose: .languageModel)
  let vocabulary = try saved.vocabulary
  Fuzzer.claim(vocabulary.scalars == vocabulary.scalars.sorted(), "\(vocabulary.scalars) is not in order")
  let text = String(String.UnicodeScalarView(vocabulary.scalars))
  Fuzzer.claim(try vocabulary.encode(text) == vocabulary.scalars.indices.map(Int32.init), "\(text) has other numbers")
  let arguments = ["--model", run, "--length", "3", "--prompt", String(text.unicodeScalars.prefix(1))]
  try GenerateCommand.run(Arguments(arguments, options: GenerateCommand.options))
}

private func predict(_ run: String) throws {
  let arguments = ["--model", run, "--predict", "some text"]
  try ClassifyCommand.run(Arguments(arguments, options: ClassifyCommand.options))
}

/// Progress that was read is written and read again as the same, and has a learning rate.
private func readProgress(_ run: String) throws {
  let found = try SavedModel.find(run, best: true)
  let progress = try TrainingProgress.read(found)
  let rate = progress.schedule.rate(at: progress.step)
  Fuzzer.claim(rate >= 0 && rate.isFinite, "a learning rate of \(rate) from \(progress.schedule)")
  Fuzzer.claim(progress.epochsWithoutGain >= 0, "\(progress.epochsWithoutGain) epochs without gain")
  _ = home.directory("again")
  _ = home.directory("again/step-000000000001")
  home.write("again/step-000000000001/\(TrainingProgress.name)", progress.encoded())
  let again = try TrainingProgress.read(SavedModel.find(home.path(of: "again"), best: false))
  Fuzzer.claim(again.encoded() == progress.encoded(), "other progress came back")
}

/// Trains to the end of an epoch on a text of 120 characters, and saves.
private func resume(_ run: String) throws {
  home.write("text", text.utf8)
  let arguments = [
    "--resume", run, "--text", home.path(of: "text"), "--epochs", "2", "--threads", "1", "--json", "--log-every", "1",
    "--checkpoint-every", "1000",
  ]
  try TrainCommand.run(Arguments(arguments, options: TrainCommand.options))
}
