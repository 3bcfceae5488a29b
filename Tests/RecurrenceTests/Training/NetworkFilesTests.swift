import Recurrence
import Testing

/// Files by name, as a checkpoint has them.
private struct Files {
  var bytes: [String: [UInt8]]

  init(_ list: [(name: String, bytes: [UInt8])]) {
    bytes = Dictionary(uniqueKeysWithValues: list.map { ($0.name, $0.bytes) })
  }

  func contents(of name: String) throws(FormatError) -> [UInt8] {
    guard let found = bytes[name] else { throw FormatError(file: name, nil, expected: "a file", actual: "none") }
    return found
  }
}

@Suite("Networks as files")
struct NetworkFilesTests {
  struct RoundTrip: CellVisitor {
    mutating func visit<C: Cell>(_ cell: C) throws {
      let symbols = SequenceNetwork<C, Float>(cell, symbols: 7, embedding: 3, units: 5, layers: 2, outputs: 4, seed: 1)
      try check(symbols, ["embedding.safetensors", "recurrent.safetensors", "output.safetensors"])
      let vectors = SequenceNetwork<C, Float>(cell, inputs: 3, units: 5, outputs: 2, seed: 2)
      try check(vectors, ["recurrent.safetensors", "output.safetensors"])
    }

    private func check<C: Cell>(_ network: SequenceNetwork<C, Float>, _ names: [String]) throws {
      let list = try network.files()
      #expect(list.map(\.name) == names, "\(C.self)")
      let files = Files(list)
      let loaded = try SequenceNetwork<C, Float>(
        network.recurrent.cell, hasEmbedding: network.embedding != nil, loading: files.contents)
      #expect(loaded.recurrent.layers == network.recurrent.layers)
      #expect(loaded.parameters.map(\.bitPattern) == network.parameters.map(\.bitPattern), "\(C.self)")
    }
  }

  @Test("files give back the bits of every cell's network")
  func roundTrip() throws {
    var visitor = RoundTrip()
    try forEachCell(&visitor)
  }

  static func network(embedding: Int = 3, units: Int = 5, seed: UInt64 = 0) -> SequenceNetwork<LSTM, Float> {
    SequenceNetwork(LSTM(), symbols: 7, embedding: embedding, units: units, outputs: 4, seed: seed)
  }

  /// A file of another network among those of one; which file and sizes the sentence names.
  @Test(arguments: [
    ("embedding.safetensors", 4, 5, ["recurrent.safetensors", "inputs", "4", "3"]),
    ("recurrent.safetensors", 4, 5, ["recurrent.safetensors", "inputs", "3", "4"]),
    ("recurrent.safetensors", 3, 6, ["output.safetensors", "inputs", "6", "5"]),
    ("output.safetensors", 3, 6, ["output.safetensors", "inputs", "5", "6"]),
  ])
  func neighboursThatDoNotFit(_ name: String, _ embedding: Int, _ units: Int, _ words: [String]) throws {
    var files = Files(try Self.network().files())
    files.bytes[name] = Files(try Self.network(embedding: embedding, units: units).files()).bytes[name]
    let error = #expect(throws: FormatError.self) {
      try SequenceNetwork<LSTM, Float>(LSTM(), hasEmbedding: true, loading: files.contents)
    }
    for word in words { #expect(error?.description.contains(word) == true, "\(error as Any)") }
  }

  @Test(arguments: ["embedding.safetensors", "recurrent.safetensors", "output.safetensors"])
  func missingFile(_ name: String) throws {
    var files = Files(try Self.network().files())
    files.bytes[name] = nil
    let error = #expect(throws: FormatError.self) {
      try SequenceNetwork<LSTM, Float>(LSTM(), hasEmbedding: true, loading: files.contents)
    }
    #expect(error?.file == name)
  }

  @Test func anotherCellsGates() throws {
    let files = Files(try Self.network().files())
    let error = #expect(throws: FormatError.self) {
      try SequenceNetwork<GRU, Float>(GRU(), hasEmbedding: true, loading: files.contents)
    }
    #expect(error?.description.contains("3 gates") == true, "\(error as Any)")
  }
}

@Suite("Trainers as files")
struct TrainerFilesTests {
  static let rules: [OptimizerRule] = [
    .sgd, .momentum(), .nesterov(), .adaGrad(), .rmsProp(), .adam(), .adamW(weightDecay: 0.1),
  ]
  private static let (steps, batch) = (6, 4)

  private static func trainer(
    _ rule: OptimizerRule = .adam(), units: Int = 9, batch: Int = batch, threads: Int = 1, seed: UInt64 = 0
  ) -> SequenceTrainer<LSTM, Float> {
    let network = SequenceNetwork<LSTM, Float>(
      LSTM(), symbols: 11, embedding: 5, units: units, layers: 2, outputs: 11, seed: seed)
    return SequenceTrainer(
      network, rule, clipping: GradientClipping(norm: 0.5), steps: steps, batch: batch, threads: threads)
  }

  /// Updates `range` of a run, states carried; returns the losses.
  private static func run(
    _ trainer: inout SequenceTrainer<LSTM, Float>, _ states: inout RecurrentStates<Float>, _ range: Range<Int>
  ) throws -> [Double] {
    try range.map { update in
      var random = SeededRandom(stream: update)
      let symbols = (0..<((steps + 1) * batch)).map { _ in Int32(random.index(below: 11)) }
      return try trainer.update(
        .symbols(Array(symbols.dropLast(batch))), targets: .classes(Array(symbols.dropFirst(batch))), steps: steps,
        batch: batch, states: &states, learningRate: 0.01 / Double(1 + update)
      ).loss
    }
  }

  @Test("a restored trainer goes on with the bits of one that never stopped", arguments: rules)
  func goesOn(_ rule: OptimizerRule) throws {
    var whole = Self.trainer(rule, seed: 1)
    var wholeStates = whole.network.recurrent.makeStates(batch: Self.batch)
    _ = try Self.run(&whole, &wholeStates, 0..<5)
    let files = Files(try whole.files(states: wholeStates))

    // Another network, one update old: all that it had must go.
    var resumed = Self.trainer(rule, threads: 2, seed: 2)
    var states = resumed.network.recurrent.makeStates(batch: Self.batch)
    _ = try Self.run(&resumed, &states, 90..<91)
    try resumed.restore(states: &states, loading: files.contents)
    #expect(states == wholeStates)
    let updates = resumed.optimizer.steps
    #expect(updates == 5)

    let losses = try Self.run(&resumed, &states, 5..<10)
    let wholeLosses = try Self.run(&whole, &wholeStates, 5..<10)
    #expect(losses == wholeLosses)
    #expect(states == wholeStates)
    let slots = (resumed.optimizer.slots, whole.optimizer.slots)
    #expect(slots.0 == slots.1)
    let (one, other) = (resumed.network.parameters, whole.network.parameters)
    #expect(one.map(\.bitPattern) == other.map(\.bitPattern))
  }

  /// Which file is replaced, by what, and what the sentence says.
  enum Damage: String, CaseIterable {
    case embedding, recurrent, output, states, batch, slots, noSteps, negativeSteps, wordySteps, garbage, missing

    var words: [String] {
      switch self {
      case .embedding: ["embedding.safetensors", "no such tensor"]
      case .recurrent: ["recurrent.safetensors", "[36, 5]"]
      case .output: ["output.safetensors", "[11, 9]"]
      case .states: ["states.safetensors", "[2, 4, 9]", "[2, 4, 8]"]
      case .batch: ["states.safetensors", "[2, 4, 9]", "[2, 3, 9]"]
      case .slots: ["optimizer.safetensors", "exp_avg.embedding.weight"]
      case .noSteps: ["optimizer.safetensors", "steps", "none"]
      case .negativeSteps: ["optimizer.safetensors", "steps", "-1"]
      case .wordySteps: ["optimizer.safetensors", "steps", "many"]
      case .garbage: ["states.safetensors"]
      case .missing: ["states.safetensors", "none"]
      }
    }
  }

  @Test("what does not fit is refused, and nothing has changed", arguments: Damage.allCases)
  func refused(_ damage: Damage) throws {
    var trainer = Self.trainer(seed: 1)
    var states = trainer.network.recurrent.makeStates(batch: Self.batch)
    _ = try Self.run(&trainer, &states, 0..<2)
    let before = Files(try trainer.files(states: states))
    let statesBefore = states

    // Those of a run that went on, which would show if they were taken.
    var later = Self.trainer(seed: 3)
    var laterStates = later.network.recurrent.makeStates(batch: Self.batch)
    _ = try Self.run(&later, &laterStates, 0..<3)
    var files = Files(try later.files(states: laterStates))
    func of(_ other: borrowing SequenceTrainer<LSTM, Float>, _ name: String, batch: Int = Self.batch) throws {
      files.bytes[name] = try Files(other.files(states: other.network.recurrent.makeStates(batch: batch))).bytes[name]
    }
    func setSteps(_ text: String?) throws {
      var file = try Safetensors(bytes: files.contents(of: "optimizer.safetensors"))
      file.metadata["steps"] = text
      files.bytes["optimizer.safetensors"] = file.encoded()
    }
    switch damage {
    case .embedding: files.bytes["embedding.safetensors"] = files.bytes["output.safetensors"]
    case .recurrent: try of(Self.trainer(units: 8), "recurrent.safetensors")
    case .output: try of(Self.trainer(units: 8), "output.safetensors")
    case .states: try of(Self.trainer(units: 8), "states.safetensors")
    case .batch: try of(Self.trainer(batch: 3), "states.safetensors", batch: 3)
    case .slots: try of(Self.trainer(.sgd), "optimizer.safetensors")
    case .noSteps: try setSteps(nil)
    case .negativeSteps: try setSteps("-1")
    case .wordySteps: try setSteps("many")
    case .garbage: files.bytes["states.safetensors"] = Array("not tensors".utf8)
    case .missing: files.bytes["states.safetensors"] = nil
    }

    do {
      try trainer.restore(states: &states, loading: files.contents)
      Issue.record("\(damage): expected an error, got none")
    } catch {
      for word in damage.words where !error.description.contains(word) {
        Issue.record("\(damage): \"\(word)\" is missing from \"\(error)\"")
      }
    }
    #expect(states == statesBefore)
    let after = Files(try trainer.files(states: states))
    #expect(after.bytes == before.bytes)
  }
}
