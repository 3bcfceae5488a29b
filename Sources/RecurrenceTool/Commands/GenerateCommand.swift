import Foundation
import Recurrence

enum GenerateCommand: Command {
  static let name = "generate"
  static let usage = "generate --model DIR [options]"
  static let summary = """
    Writes text, character by character, with a language model that `recurrence train --save DIR` made. The same seed
    gives the same text.
    """
  static let options = [
    Option("--model", "DIR", "directory of checkpoints (the one that validates best is taken), or one checkpoint"),
    Option("--prompt", "TEXT", "how the text begins (a new line)"),
    Option("--temperature", "t", "0 always takes the likeliest character, 1 the model's own chances (0.8)"),
    Option("--top-k", "k", "only the k likeliest characters, 0 for all (0)"),
    Option("--length", "n", "characters after the prompt (1000)"),
    Option("--seed", "s", "of the draws (0)"),
    Option("--help", nil, "this text"),
  ]

  static func run(_ arguments: Arguments) throws {
    let path = try arguments.required("--model")
    let sampler = Sampler(
      temperature: try arguments.number("--temperature", least: 0) ?? 0.8,
      limit: try arguments.integer("--top-k", 0...Int.max) ?? 0)
    let length = try arguments.integer("--length", 0...Int.max) ?? 1000
    let seed = try arguments.seed() ?? 0
    let saved = try SavedModel(path, best: true, purpose: .languageModel)
    let vocabulary = try saved.vocabulary
    let prompt = arguments.string("--prompt") ?? "\n"
    let symbols: [Int32]
    do {
      symbols = try vocabulary.encode(prompt)
    } catch {
      throw UsageError("--prompt: \(error)")
    }
    func open<C: Cell>(_ cell: C) throws {
      try write(
        saved.languageModel(cell), vocabulary, prompt: symbols, sampler, length: length,
        SeededGenerator(seed: seed))
    }
    try open(saved.model.cell.cell)
  }

  private static func write<C: Cell>(
    _ network: SequenceNetwork<C, Float>, _ vocabulary: Vocabulary, prompt: [Int32], _ sampler: Sampler, length: Int,
    _ generator: SeededGenerator
  ) throws {
    Interruption.listen()
    var generator = generator
    var stream = network.makeStream()
    var logits = [Float](repeating: 0, count: vocabulary.count)
    for symbol in prompt { try network.step([symbol], into: &logits, stream: &stream) }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: prompt.map { vocabulary.scalars[Int($0)] })
    Terminal.write(String(text), to: 1)
    for _ in 0..<length where !Interruption.isAsked {
      let symbol = sampler.draw(logits, &generator)
      Terminal.write(String(vocabulary.scalars[symbol]), to: 1)
      try network.step([Int32(symbol)], into: &logits, stream: &stream)
    }
    Terminal.write("\n", to: 1)
  }
}

/// Draws from softmax(logits / temperature), of the likeliest few.
struct Sampler {
  var temperature: Double
  /// k; 0 for all.
  var limit: Int

  func draw(_ logits: [Float], _ generator: inout SeededGenerator) -> Int {
    // Of equals the first, so that the order is one of its own.
    var order = Array(logits.indices)
    if temperature == 0 || limit > 0 {
      order.sort { logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1) }
    }
    if temperature == 0 { return order[0] }
    if limit > 0 { order = Array(order.prefix(limit)) }
    let largest = order.reduce(-Double.infinity) { max($0, Double(logits[$1])) }
    let weights = order.map { exp((Double(logits[$0]) - largest) / temperature) }
    var rest = generator.uniform(in: 0...1) * weights.reduce(0, +)
    for (index, weight) in zip(order, weights) {
      rest -= weight
      if rest < 0 { return index }
    }
    return order.last!
  }
}
