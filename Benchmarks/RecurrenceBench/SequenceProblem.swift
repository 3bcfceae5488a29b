import Recurrence

/// T, B, I, H.
struct SequenceProblem: Sendable, Equatable {
  let steps, batch, inputs, units: Int

  /// Largest size of each letter.
  static let largestSize = 1 << 20

  /// "100x32x128x128", as in labels.
  var name: String { "\(steps)x\(batch)x\(inputs)x\(units)" }

  /// Multiply-adds of the products of a forward pass, twice.
  func flops(gates: Int) -> Double {
    2 * Double(steps * batch) * Double((inputs + units) * units * gates)
  }

  /// The same with fewer steps, and then fewer rows, so that a forward pass costs at most so many operations, or what two
  /// steps of one row cost.
  func shortened(toFlops most: Double, gates: Int) -> SequenceProblem {
    let rows = Int(most / flops(gates: gates) * Double(steps * batch))
    if rows >= steps * batch { return self }
    let steps = min(steps, max(2, rows / batch))
    return SequenceProblem(steps: steps, batch: min(batch, max(1, rows / steps)), inputs: inputs, units: units)
  }

  /// Steps for a tape to keep, in the proportion in which it keeps `kept` of another problem's: at least one, and fewer
  /// than all of two or more where it kept fewer than all.
  func keeping(_ kept: Int?, of other: SequenceProblem) -> Int? {
    kept.map { max(1, $0 * steps / other.steps) }
  }

  /// Single steps of one sequence, one of each size of input and state. `shapes` have T and B too, which do not count.
  static func chosenSteps(_ shapes: [[Int]]) -> [SequenceProblem] {
    let sizes =
      shapes.isEmpty
      // What runs in an audio callback or on a sensor; then sizes whose weights leave one cache after the other.
      ? [[1, 8], [1, 16], [1, 32], [32, 32], [64, 64], [128, 128], [256, 256], [512, 512], [1024, 1024]]
      : shapes.map { Array($0.suffix(2)) }
    var problems: [SequenceProblem] = []
    for size in sizes {
      let problem = SequenceProblem([1, 1] + size)
      if !problems.contains(problem) { problems.append(problem) }
    }
    return problems
  }

  static func chosen(_ shapes: [[Int]]) -> [SequenceProblem] {
    let standard = [
      [1, 1, 32, 32], [100, 1, 32, 32], [100, 1, 128, 128], [100, 1, 512, 512], [100, 16, 64, 64],
      [100, 32, 128, 128], [100, 64, 256, 256], [50, 64, 512, 512], [128, 32, 1024, 1024],
    ]
    return (shapes.isEmpty ? standard : shapes).map(SequenceProblem.init)
  }
}

extension SequenceProblem {
  /// - Parameter sizes: four, in the order T, B, I, H.
  init(_ sizes: [Int]) { self.init(steps: sizes[0], batch: sizes[1], inputs: sizes[2], units: sizes[3]) }

  /// What `name` says; nil for anything else, and for sizes that are not from 1 to `largestSize`.
  init?(name: some StringProtocol) {
    let sizes = name.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard sizes.count == 4, sizes.allSatisfy({ (1...Self.largestSize).contains($0) }) else { return nil }
    self.init(sizes)
  }
}
