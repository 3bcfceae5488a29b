/// Sizes of a problem.
public struct ProblemShape: Hashable, Sendable, CustomStringConvertible {
  /// T, B, I, H, L.
  public var steps, batch, inputs, units, layers: Int
  /// One length for each sequence, from 0 to T, or nil where all have T steps.
  public var lengths: [Int]?

  /// Traps with a sentence where a size is out of its range: T ≥ 0, B, I, H and L ≥ 1.
  public init(steps: Int, batch: Int, inputs: Int, units: Int, layers: Int = 1, lengths: [Int]? = nil) {
    for (name, size, least) in [
      ("steps", steps, 0), ("batch", batch, 1), ("inputs", inputs, 1), ("units", units, 1), ("layers", layers, 1),
    ] where size < least { fatalError("\(name): expected at least \(least), got \(size)") }
    if let lengths, lengths.count != batch || lengths.contains(where: { !(0...steps).contains($0) }) {
      fatalError("lengths: expected \(batch) numbers from 0 to \(steps), got \(lengths)")
    }
    self.steps = steps
    self.batch = batch
    self.inputs = inputs
    self.units = units
    self.layers = layers
    self.lengths = lengths
  }

  /// Steps of sequence b.
  public func length(_ b: Int) -> Int { lengths?[b] ?? steps }

  public var description: String {
    "T=\(steps) B=\(batch) I=\(inputs) H=\(units) L=\(layers)" + (lengths.map { " lengths=\($0)" } ?? "")
  }

  /// Multiplications of a forward pass, about.
  var work: Int { steps * batch * layers * units * (units + inputs) }
}
