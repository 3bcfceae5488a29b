import Foundation
import Recurrence

/// Recurrent layers in a file of weights: where they are, and of which cell.
struct RecurrentModel {
  let file: Safetensors
  /// What the names of their tensors begin with.
  let prefix: String
  let shape: RecurrentShape
  let kind: CellKind
  /// What else it may be, where only the number of gates has told the cell.
  let alternative: CellKind?
  /// That of `kind`, or the peephole LSTM.
  let cell: any Cell

  /// - Parameters:
  ///   - prefix: nil to find it, where there is one.
  ///   - asked: nil to take the cell that the metadata or else the number of gates suggests.
  init(_ path: String, prefix given: String?, cell asked: CellKind?) throws {
    file = try Safetensors(path: path)
    prefix = try Self.prefix(in: file, path, given)
    shape = try RecurrentShape(file, prefix: prefix)
    kind = try asked ?? Self.kind(shape, path)
    let isTold = asked != nil || shape.cell != nil
    alternative = isTold ? nil : kind == .rnn ? .rnnReLU : kind == .gru ? .gruBefore : nil
    let gates = type(of: kind.cell).gates.count
    if shape.gates != gates {
      throw FormatError(
        file: path, "tensor \(FormatError.quote(prefix + "weight_ih_l0"))",
        expected: "\(gates) gate\(gates == 1 ? "" : "s") of \(shape.units) units, as \(kind.rawValue) has",
        actual: "\(shape.gates)")
    }
    if shape.unitParameters.isEmpty {
      cell = kind.cell
    } else if kind == .lstm && shape.unitParameters == PeepholeLSTM.unitParameters.sorted() {
      cell = PeepholeLSTM()
    } else {
      let own = kind == .lstm ? " or a peephole LSTM (\(PeepholeLSTM.unitParameters.joined(separator: ", ")))" : ""
      throw FormatError(
        file: path, nil, expected: "the weights and biases of \(kind.rawValue)\(own)",
        actual: "besides them \(Self.list(shape.unitParameters))")
    }
  }

  /// Whether a weight has 64 bits.
  var isDouble: Bool { file.tensors.contains { $0.name.utf8.starts(with: prefix.utf8) && $0.elementType == .f64 } }

  /// The names of the states, h first.
  var states: [String] { type(of: cell).states }

  /// `lstm, 2 × 64 units, 8 inputs`
  var description: String {
    let name = shape.unitParameters.isEmpty ? kind.rawValue : "\(kind.rawValue) with peepholes"
    return "\(name), \(shape.layers) × \(shape.units) units, \(shape.inputs) input\(shape.inputs == 1 ? "" : "s")"
  }

  private static func prefix(in file: Safetensors, _ path: String, _ given: String?) throws -> String {
    let found = RecurrentShape.prefixes(in: file)
    if let given {
      if found.contains(given) { return given }
      throw FormatError(
        file: path, nil, expected: "recurrent layers under the prefix \(FormatError.quote(given))",
        actual: found.isEmpty ? "none at all" : "some under \(list(found))")
    }
    switch found.count {
    case 1: return found[0]
    case 0: throw FormatError(file: path, nil, expected: "recurrent layers (a tensor weight_ih_l0)", actual: "none")
    default:
      throw FormatError(
        file: path, nil, expected: "recurrent layers under one prefix, or --prefix to choose", actual: list(found))
    }
  }

  private static func kind(_ shape: RecurrentShape, _ path: String) throws -> CellKind {
    if let name = shape.cell {
      if let kind = CellKind(rawValue: name) { return kind }
      throw FormatError(
        file: path, "metadata \"cell\"",
        expected: "one of \(CellKind.allCases.map(\.rawValue).joined(separator: ", ")), or --cell to say which",
        actual: FormatError.quote(name))
    }
    switch shape.gates {
    case 1: return .rnn
    case 3: return .gru
    case 4: return .lstm
    default:
      throw FormatError(
        file: path, nil, expected: "1 gate (rnn), 3 (gru) or 4 (lstm) of \(shape.units) units", actual: "\(shape.gates)"
      )
    }
  }

  /// Names from a file that may hold any number of them: a message stays one line.
  private static func list(_ names: [String]) -> String {
    names.prefix(8).map(FormatError.quote).joined(separator: ", ") + (names.count > 8 ? ", …" : "")
  }
}
