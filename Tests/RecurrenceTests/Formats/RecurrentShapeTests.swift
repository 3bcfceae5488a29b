import Recurrence
import Testing

@Suite("Shapes in files")
struct RecurrentShapeTests {
  @Test func everyStackIsRecognised() throws {
    struct Visitor: CellVisitor {
      mutating func visit<C: Cell>(_ cell: C) throws {
        let stack = RecurrentStack<C, Float>(cell, inputs: 4, units: 3, layers: 3)
        var file = Safetensors()
        file.metadata["cell"] = "\(C.self)"
        try stack.store(into: &file, prefix: "x.rnn.")
        file.set("other", shape: [1], [1] as [Float])
        let shape = try RecurrentShape(file, prefix: "x.rnn.")
        #expect((shape.layers, shape.inputs, shape.units, shape.gates) == (3, 4, 3, C.gates.count))
        #expect(shape.hasBiases)
        #expect(shape.unitParameters == C.unitParameters.sorted())
        #expect(shape.cell == "\(C.self)")
        #expect(RecurrentShape.prefixes(in: file) == ["x.rnn."])
      }
    }
    var visitor = Visitor()
    try forEachCell(&visitor)
  }

  @Test func prefixesAreFound() {
    var file = Safetensors()
    #expect(RecurrentShape.prefixes(in: file) == [])
    for name in ["b.weight_ih_l0", "weight_ih_l0", "a.weight_ih_l1", "a.weight_ih_l0"] {
      file.set(name, shape: [1, 1], [1] as [Float])
    }
    #expect(RecurrentShape.prefixes(in: file) == ["", "a.", "b."])
  }

  @Test func anotherCellsGatesAreRefused() throws {
    var file = Safetensors()
    try RecurrentLayer<LSTM, Float>(LSTM(), inputs: 2, units: 3).store(into: &file)
    let error = try #require(throws: FormatError.self) { try RecurrentLayer<GRU, Float>(GRU(), loading: file) }
    #expect(error.description == #"tensor "weight_ih_l0": expected 3 gates of 3 units for GRU, got 4"#)
  }

  /// Each row: what is set in the file of a GRU of I = 2, H = 3, L = 2 (an empty shape removes), and the sentence.
  @Test(
    arguments: [
      (
        "weight_ih_l0_reverse", [9, 2],
        "expected layers of one direction, got a reversed one"
      ),
      ("weight_hr_l0", [2, 3], "expected layers without projection, got one that has it"),
      ("weight_ih_l0", [], "expected a matrix, got none"),
      ("weight_hh_l0", [], "expected a matrix, got none"),
      ("weight_ih_l1", [], "expected one, as other layers have, got none"),
      ("bias_hh_l0", [], "expected one, as other layers have, got none"),
      ("weight_ih_l0", [9, 0], "expected a matrix that is not empty, got shape [9, 0]"),
      ("weight_ih_l0", [9], "expected a matrix that is not empty, got shape [9]"),
      ("weight_ih_l0", [10, 2], "expected rows in whole gates of 3 units, got 10 rows"),
      ("weight_hh_l0", [6, 3], "expected shape [9, 3], got [6, 3]"),
      ("weight_ih_l1", [9, 2], "expected shape [9, 3], got [9, 2]"),
      ("bias_ih_l1", [3], "expected shape [9], got [3]"),
      ("leak_l0", [4], "expected shape [3], got [4]"),
      ("leak_l0", [3], "expected one, as other layers have, got none"),
      ("weight_ih_l3", [9, 3], "expected one, as other layers have, got none"),
      ("weight_ih_l9223372036854775807", [9, 3], "expected one, as other layers have, got none"),
      ("weight_ih_l9223372036854775808", [9, 3], "expected tensors of recurrent layers, got another"),
      ("weight_ih_l00", [9, 2], "expected tensors of recurrent layers, got another"),
      ("weight_ih_l-1", [9, 3], "expected tensors of recurrent layers, got another"),
      ("fc.weight", [1, 3], "expected tensors of recurrent layers, got another"),
    ] as [(String, [Int], String)])
  func whatIsNoStackIsNamed(_ name: String, _ shape: [Int], _ sentence: String) throws {
    var file = Safetensors()
    try RecurrentStack<GRU, Float>(GRU(), inputs: 2, units: 3, layers: 2).store(into: &file)
    if shape.isEmpty {
      file.remove(name)
    } else {
      file.set(name, shape: shape, [Float](repeating: 1, count: shape.reduce(1, *)))
    }
    let error = try #require(throws: FormatError.self) { try RecurrentShape(file) }
    #expect(error.description.hasSuffix(": " + sentence), "\(error)")
    // The tensor that is missing may be another of the same layer.
    if !sentence.hasPrefix("expected one") { #expect(error.description.hasPrefix("tensor \"\(name)\": "), "\(error)") }
  }
}
