import Foundation
import Recurrence

/// The copy task of Hochreiter and Schmidhuber (1997) in the form of Arjovsky, Shah and Bengio (2016).
///
/// Ten symbols of eight, T − 1 blanks, a marker, ten blanks: T + 20 steps. The target is blank, and in the last ten steps
/// the ten symbols. A network without memory does best to say blank, and then to guess evenly: a mean cross-entropy of
/// 10 ln 8/(T + 20).
struct CopyTask: SequenceTask {
  let lag: Int

  private static let (symbols, length) = (8, 10)
  private static let (blank, marker) = (0, 9)
  let inputs = 10
  let outputs = 9
  let readout = Readout.everyStep
  var longest: Int { lag + 2 * Self.length }

  /// Nats a step, of a network without memory.
  var plateau: Double { 10 * log(8) / Double(longest) }

  func draw(_ batch: Int, using generator: inout SeededGenerator) -> TaskBatch {
    let steps = longest
    var inputs = [Float](repeating: 0, count: steps * batch * self.inputs)
    var classes = [Int32](repeating: Int32(Self.blank), count: steps * batch)
    for row in 0..<batch {
      for t in 0..<steps {
        var symbol = t == lag + Self.length - 1 ? Self.marker : Self.blank
        if t < Self.length {
          symbol = 1 + generator.index(below: Self.symbols)
          classes[(steps - Self.length + t) * batch + row] = Int32(symbol)
        }
        inputs[(t * batch + row) * self.inputs + symbol] = 1
      }
    }
    return TaskBatch(inputs: inputs, targets: .classes(classes), steps: steps, batch: batch)
  }

  /// Each step of each sequence, [T, B].
  func judge(_ outputs: [Float], _ batch: TaskBatch) -> [Judgement] { judgeClasses(outputs, batch) }
}
