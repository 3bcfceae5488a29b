import Foundation
import Recurrence
import RecurrenceTesting
import Testing

/// Docs/AddingACell.md: its code is the code that is compiled here, and does what the page says.
@Suite("Docs/AddingACell.md")
struct AddingACellTests {
  @Test("the page's code is the code compiled here, line by line")
  func pageIsCompiled() throws { try DocumentedCode("AddingACell").compare() }

  @Test("a cell is at most 30 lines, and nothing on the page is unsafe")
  func pageIsShortAndSafe() throws {
    let blocks = try DocumentedCode("AddingACell").compiledBlocks()
    for name in ["the cell", "stages", "units", "backward"] {
      let block = try #require(blocks.first { $0.name == name })
      #expect((1...30).contains(block.lines.count), "\(name): \(block.lines.count) lines")
    }
    for block in blocks {
      #expect(!block.lines.contains { $0.lowercased().contains("unsafe") }, "\(block.name)")
    }
  }

  @Test("the last output of a stream is that of the whole sequence")
  func streamAgrees() throws {
    var random = SeededRandom(stream: 41)
    let (steps, batch) = (12, 32)
    let x = random.array(steps * batch * 2, .uniform, of: Float.self)
    let whole = try forwardExample(x, steps: steps, batch: batch)
    let stream = try streamExample(x, steps: steps, batch: batch)
    #expect(Array(whole.h.suffix(batch * 16)) == stream.h)
    #expect(whole.c == stream.c)
  }

  @Test("the cell computes its equations")
  func equations() throws {
    var random = SeededRandom(stream: 42)
    let (steps, batch, inputs, units) = (6, 3, 2, 9)
    let x = random.array(steps * batch * inputs, .uniform, of: Double.self)
    let layer = RecurrentLayer<CoupledLSTM, Double>(CoupledLSTM(), inputs: inputs, units: units, seed: 4)
    let (outputs, _) = try layer.forward(x, steps: steps, batch: batch)
    let (w, u, b) = (layer.parameters["W"], layer.parameters["U"], layer.parameters["b"])
    var h = [Double](repeating: 0, count: batch * units)
    var c = h
    for t in 0..<steps {
      let before = h
      for row in 0..<batch {
        for unit in 0..<units {
          func gate(_ gate: Int) -> Double {
            let output = gate * units + unit
            var sum = b[output]
            for k in 0..<inputs { sum += w[output * inputs + k] * x[(t * batch + row) * inputs + k] }
            for k in 0..<units { sum += u[output * units + k] * before[row * units + k] }
            return sum
          }
          let f = 1 / (1 + Foundation.exp(-gate(0)))
          let o = 1 / (1 + Foundation.exp(-gate(2)))
          let place = row * units + unit
          c[place] = f * c[place] + (1 - f) * Foundation.tanh(gate(1))
          h[place] = o * Foundation.tanh(c[place])
        }
      }
      let mine = Array(outputs[(t * batch * units)..<((t + 1) * batch * units)])
      #expect(relativeError(mine, h) <= 1e-12, "step \(t), seed \(SuiteSettings.seed)")
    }
  }

  /// The page says: to less than a tenth after 300 updates.
  @Test("training reduces the loss to less than a tenth")
  func training() throws {
    var random = SeededRandom(stream: 43)
    let losses = try recall(CoupledLSTM(), updates: 300, using: &random)
    #expect(losses.last < 0.1 * losses.first, "\(losses), seed \(SuiteSettings.seed)")
    let unit = try recall(MinimalGatedUnit(), updates: 300, using: &random)
    #expect(unit.last < 0.1 * unit.first, "\(unit), seed \(SuiteSettings.seed)")
  }

  /// The truncation error is ε²/6 times a third derivative, the rounding error 2⁻⁵²/ε times the loss: ε = 2⁻¹⁷ gives about
  /// 10⁻¹⁰ each, and third derivatives and cancellation some tens of it.
  @Test("gradients agree with central differences")
  func gradients() throws {
    var random = SeededRandom(stream: 44)
    func check(_ cell: some Cell) throws {
      for _ in 0..<8 {
        let error = try gradientError(of: cell, using: &random)
        #expect(error <= 1e-8, "\(type(of: cell)), seed \(SuiteSettings.seed)")
      }
    }
    try check(CoupledLSTM())
    try check(CoupledLSTMByHand())
    try check(MinimalGatedUnit())
    try check(LSTM())
  }

  @Test("the cells pass every check")
  func battery() throws {
    let options = CellCheckOptions(problems: SuiteSettings.isThin ? 2 : 12, seed: SuiteSettings.seed)
    try checkCell(CoupledLSTM(), options, prints: false)
    try checkCell(CoupledLSTMByHand(), options, prints: false)
    try checkCell(MinimalGatedUnit(), options, prints: false)
    try checkCell(LeakyUnit(), options, prints: false)
  }

  @Test("a backward by hand is the derived one")
  func byHand() throws {
    var random = SeededRandom(stream: 46)
    let x = random.array(20 * 5 * 2, .uniform, of: Double.self)
    let difference = try disagreement(x, steps: 20, batch: 5)
    #expect(difference <= 1e-12, "seed \(SuiteSettings.seed)")
  }
}
