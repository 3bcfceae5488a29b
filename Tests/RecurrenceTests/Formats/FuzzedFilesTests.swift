import Foundation
import Recurrence
import Testing

/// What fuzzing found (Docs/Fuzzing.md), one test each. Every one of these bytes ended the process, or took memory and
/// time that the file does not stand for.
@Suite("Files that fuzzing found")
struct FuzzedFilesTests {
  /// A directory under a name that no checkpoint comes after.
  @Test func theLargestRevisionHasNoNext() throws {
    let directory = try TemporaryDirectory()
    let last = directory.path + "/step-000000000007-\(Int.max)"
    try FileManager.default.createDirectory(atPath: last, withIntermediateDirectories: true)
    let checkpoints = CheckpointDirectory(directory.path)
    let error = try #require(throws: FormatError.self) { try checkpoints.publish(step: 7, files: [("model", [1])]) }
    #expect(error.description == "\(last): expected a revision that has a next one, got the largest")
    #expect(try directory.entries() == ["step-000000000007-\(Int.max)"])
    try checkpoints.publish(step: 8, files: [("model", [1])])
    #expect(try checkpoints.generations().map(\.step) == [7, 8])
  }

  /// Elements of an unknown type take no bytes, however many a shape claims; layers are not made of them.
  @Test(
    arguments: [
      ("weight", #""weight":{"dtype":"X9","shape":[1048576,1048576],"data_offsets":[0,0]}"#),
      ("weight", #""weight":{"dtype":"X9","shape":[2147483648,4294967295],"data_offsets":[0,0]}"#),
      (
        "weight_ih_l0",
        #""weight_ih_l0":{"dtype":"X9","shape":[1048576,2],"data_offsets":[0,0]},"#
          + #""weight_hh_l0":{"dtype":"X9","shape":[1048576,1048576],"data_offsets":[0,0]}"#
      ),
      (
        "weight_ih_l1",
        #""weight_ih_l0":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"#
          + #""weight_hh_l0":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]},"#
          + #""weight_ih_l1":{"dtype":"X9","shape":[1,1],"data_offsets":[8,8]},"#
          + #""weight_hh_l1":{"dtype":"X9","shape":[1,1],"data_offsets":[8,8]}"#
      ),
    ])
  func layersAreNotMadeOfUnknownTypes(_ tensor: String, _ entries: String) throws {
    let data = [UInt8](repeating: 0, count: entries.contains("F32") ? 8 : 0)
    let file = try Safetensors(bytes: safetensors("{\(entries)}", data), file: "hostile.bin")
    let sentence = "hostile.bin: tensor \"\(tensor)\": expected elements of type F32, F64, F16 or BF16, got \"X9\""
    func expectSentence(_ body: () throws -> Void) {
      let error = #expect(throws: FormatError.self) { try body() }
      #expect(error?.description == sentence)
    }
    if tensor == "weight" {
      expectSentence { _ = try Dense<Float>(loading: file) }
      expectSentence { _ = try Embedding<Double>(loading: file) }
    } else {
      expectSentence { _ = try RecurrentShape(file) }
      expectSentence { _ = try RecurrentStack<RNN, Float>(RNN(), loading: file) }
    }
  }

  /// The number of updates is counted on from there, and a message about it is one short line.
  @Test(arguments: ["9223372036854775807", "-1", "one\ntwo", String(repeating: "9", count: 100_000)])
  func stepsThatCannotBeAreRefused(_ steps: String) throws {
    let network = SequenceNetwork<GRU, Float>(GRU(), symbols: 3, embedding: 2, units: 3, outputs: 3, seed: 1)
    var trainer = SequenceTrainer(network, .adam(), steps: 2, batch: 2)
    var states = network.recurrent.makeStates(batch: 2)
    var files = Dictionary(uniqueKeysWithValues: try trainer.files(states: states).map { ($0.name, $0.bytes) })
    var optimizer = try Safetensors(bytes: files["optimizer.safetensors"]!)
    optimizer.metadata["steps"] = steps
    files["optimizer.safetensors"] = optimizer.encoded()
    do {
      try trainer.restore(states: &states) { name throws(FormatError) in files[name]! }
      Issue.record("\(steps.prefix(20)): expected an error, got none")
    } catch {
      let text = error.description
      #expect(text.hasPrefix("optimizer.safetensors: steps: expected a number from 0 to 2⁵³"))
      #expect(text.count < 200 && !text.contains("\n"))
    }
  }

  /// Counts from a checkpoint are added to.
  @Test(
    arguments: [
      #""gradients": 9223372036854775807"#, #""skipped": -1"#, #""byUnit": 9223372036854775807"#,
      #""scaleSum": 1e300"#, #""scaleSum": -1"#,
    ])
  func countsThatCannotBeDoNotDecode(_ field: String) throws {
    let names = ["gradients", "byNorm", "byValue", "skipped", "zeroed", "byUnit", "scales", "scaleSum"]
    let fields = names.map { field.contains("\"\($0)\"") ? field : "\"\($0)\": 7" }
    let right = "{\(names.map { "\"\($0)\": 7" }.joined(separator: ","))}"
    _ = try JSONDecoder().decode(ClippingCounts.self, from: Data(right.utf8))
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(ClippingCounts.self, from: Data("{\(fields.joined(separator: ","))}".utf8))
    }
  }

  /// What a plateau has waited is counted on, up to the patience.
  @Test(
    arguments: [
      ("\"patience\":10", "\"patience\":\(Int.max)"), ("\"waited\":0", "\"waited\":\(Int.max)"),
      ("\"waited\":0", "\"waited\":11"), ("\"cooldownLeft\":0", "\"cooldownLeft\":3"),
    ])
  func plateausThatCannotBeDoNotDecode(_ right: String, _ wrong: String) throws {
    let encoded = try JSONEncoder().encode(LearningRateSchedule.reduceOnPlateau(1e-3, cooldown: 2))
    let text = String(decoding: encoded, as: UTF8.self)
    try #require(text.contains(right))
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(LearningRateSchedule.self, from: Data(text.replacing(right, with: wrong).utf8))
    }
  }

  /// A name of control characters, each of which takes six to spell, stays one line of a terminal.
  @Test func namesOfControlCharactersStayShort() throws {
    let name = String(repeating: "\u{7f}", count: 200)
    let header = "{\"\(name)\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}"
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
    let error = try #require(throws: FormatError.self) { try Safetensors(bytes: length + Array(header.utf8)) }
    #expect(error.description.count < 300 && error.description.contains("\\u{7F}…"), "\(error)")
  }
}
