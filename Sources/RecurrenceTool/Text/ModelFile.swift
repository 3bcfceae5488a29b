import Foundation
import Recurrence

/// `model.json` of a checkpoint: what the tensors beside it are.
struct ModelFile: Codable {
  enum Purpose: String, Codable {
    case languageModel = "language-model"
    case classifier
  }

  var purpose: Purpose
  var cell: CellKind
  /// Of a language model.
  var vocabulary: Vocabulary?
  /// Of a classifier: the name of each class, and the most bytes of a text that it reads.
  var labels: [String]?
  var longest: Int?

  static let name = "model.json"

  func encoded() -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return try! [UInt8](encoder.encode(self))
  }
}

/// A checkpoint on disk, found by the directory that holds it or by its own.
struct SavedModel {
  let generation: CheckpointDirectory.Generation
  let model: ModelFile

  /// - Parameter best: whether the one with the least validation loss is wanted, or the latest.
  init(_ path: String, best: Bool, purpose: ModelFile.Purpose) throws {
    let generation = try Self.find(path, best: best)
    let bytes = try generation.contents(of: ModelFile.name)
    do {
      model = try JSONDecoder().decode(ModelFile.self, from: Data(bytes))
    } catch {
      throw Failure("\(generation.path(of: ModelFile.name)): expected a description of a model, got something else")
    }
    if model.purpose != purpose {
      throw Failure("\(path): expected a \(purpose.rawValue), got a \(model.purpose.rawValue)")
    }
    self.generation = generation
  }

  static func find(_ path: String, best: Bool) throws -> CheckpointDirectory.Generation {
    if let generation = CheckpointDirectory.Generation(at: path) { return generation }
    let generations = try CheckpointDirectory(path).generations()
    guard let latest = generations.last else { throw Failure("\(path): expected a checkpoint, got none") }
    return best ? TrainingProgress.best(of: generations) ?? latest : latest
  }

  /// Of a language model. Throws where there is none.
  var vocabulary: Vocabulary {
    get throws(Failure) {
      guard let vocabulary = model.vocabulary else {
        throw Failure("\(generation.path): expected a vocabulary, got none")
      }
      return vocabulary
    }
  }

  /// A network that reads and says the characters of the vocabulary.
  func languageModel<C: Cell>(_ cell: C) throws -> SequenceNetwork<C, Float> {
    let (network, vocabulary) = try (network(cell), vocabulary)
    if network.output.outputs != vocabulary.count || network.embedding?.symbols != vocabulary.count {
      throw Failure("model: expected \(vocabulary.count) characters in and out, as in its vocabulary, got others")
    }
    return network
  }

  func network<C: Cell>(_ cell: C) throws -> SequenceNetwork<C, Float> {
    let generation = generation
    return try SequenceNetwork(cell, hasEmbedding: true) { name throws(FormatError) in
      try generation.contents(of: name)
    }
  }
}
