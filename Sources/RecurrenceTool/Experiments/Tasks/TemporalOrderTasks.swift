import Recurrence

/// Temporal order as Pascanu, Mikolov and Bengio (2013) trained it.
///
/// Of six symbols, four are noise. One of A and B stands at p₀ in [0.1 L, 0.2 L), one at p₁ in [0.5 L, 0.6 L): which was
/// first and which second, of four possibilities? All sequences of a batch have one length, drawn anew for each batch. At
/// most 0.9 L steps lie between a symbol and the answer, at least 0.4 L.
struct TemporalOrder: SequenceTask {
  let lengths: ClosedRange<Int>

  private static let noise = 4
  let inputs = 6
  let outputs = 4
  let readout = Readout.lastStep
  var longest: Int { lengths.upperBound }

  func draw(_ batch: Int, using generator: inout SeededGenerator) -> TaskBatch {
    let steps = lengths.lowerBound + generator.index(below: lengths.count)
    var inputs = [Float](repeating: 0, count: steps * batch * self.inputs)
    var classes: [Int32] = []
    for row in 0..<batch {
      let places = [
        Self.place(0.1, 0.2, of: steps, using: &generator), Self.place(0.5, 0.6, of: steps, using: &generator),
      ]
      let kinds = [generator.index(below: 2), generator.index(below: 2)]
      for t in 0..<steps {
        let symbol = places.firstIndex(of: t).map { Self.noise + kinds[$0] } ?? generator.index(below: Self.noise)
        inputs[(t * batch + row) * self.inputs + symbol] = 1
      }
      classes.append(Int32(kinds[0] * 2 + kinds[1]))
    }
    return TaskBatch(inputs: inputs, targets: .classes(classes), steps: steps, batch: batch)
  }

  /// A step from ⌊`first` L⌋ to ⌊`end` L⌋ − 1, and the first where that is none.
  private static func place(
    _ first: Double, _ end: Double, of steps: Int, using generator: inout SeededGenerator
  ) -> Int {
    let (low, high) = (Int(first * Double(steps)), Int(end * Double(steps)))
    return low + generator.index(below: max(1, high - low))
  }

  func judge(_ outputs: [Float], _ batch: TaskBatch) -> [Judgement] { judgeClasses(outputs, batch) }
}

/// Experiment 6a of Hochreiter and Schmidhuber (1997), temporal order with two symbols.
///
/// A sequence begins with E, ends with B, and is noise of a, b, c, d but for X or Y at t₁ in 10…20 and X or Y at t₂ in
/// 50…60: four classes. Its length is drawn from T…T + 10, T = 100. Outputs are softmax probabilities where the original
/// had logistic units; a sequence is right where every one of the four is within 0.3 of its target, 0 or 1.
struct HochreiterOrder: SequenceTask {
  let steps: Int

  private static let (noise, start, end, marks) = (4, 4, 5, 6)
  let inputs = 8
  let outputs = 4
  let readout = Readout.lastStep
  var isRagged: Bool { true }
  var longest: Int { steps + steps / 10 }

  func draw(_ batch: Int, using generator: inout SeededGenerator) -> TaskBatch {
    let lengths = (0..<batch).map { _ in self.steps + generator.index(below: self.longest - self.steps + 1) }
    let steps = lengths.max()!
    var inputs = [Float](repeating: 0, count: steps * batch * self.inputs)
    var classes: [Int32] = []
    for (row, length) in lengths.enumerated() {
      let places = [10 + generator.index(below: 11), 50 + generator.index(below: 11)]
      let kinds = [generator.index(below: 2), generator.index(below: 2)]
      for t in 0..<length {
        let symbol =
          if t == 0 {
            Self.start
          } else if t == length - 1 {
            Self.end
          } else if let mark = places.firstIndex(of: t) {
            Self.marks + kinds[mark]
          } else {
            generator.index(below: Self.noise)
          }
        inputs[(t * batch + row) * self.inputs + symbol] = 1
      }
      classes.append(Int32(kinds[0] * 2 + kinds[1]))
    }
    return TaskBatch(inputs: inputs, targets: .classes(classes), steps: steps, batch: batch, lengths: lengths)
  }

  func judge(_ outputs: [Float], _ batch: TaskBatch) -> [Judgement] {
    guard case .classes(let classes) = batch.targets else { return [] }
    return classes.indices.map { row in
      let shares = Softmax.shares(outputs[(row * self.outputs)..<((row + 1) * self.outputs)])
      let errors = shares.indices.map { abs(shares[$0] - ($0 == Int(classes[row]) ? 1 : 0)) }
      return Judgement(
        error: errors.reduce(0, +) / Double(errors.count), isRight: errors.allSatisfy { $0 < 0.3 })
    }
  }
}
