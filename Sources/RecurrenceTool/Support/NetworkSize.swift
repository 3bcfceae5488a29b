import Foundation
import Recurrence

/// The sizes of a network and of the passes that train it, as a user gave them.
struct NetworkSize {
  var symbols = 0
  var inputs: Int
  var units: Int
  var layers = 1
  var outputs: Int
  var steps: Int
  var batch: Int

  /// Refuses sizes that this machine's memory cannot hold: the allocation would end the program, without a sentence.
  ///
  /// Counts what is needed at the least: parameters, their gradient and the kernels' copy; and for each step of each
  /// sequence the gates and states of every layer. The products overflow integers, so they are numbers of another kind.
  func check<C: Cell>(_: C) throws(Failure) {
    let (gates, states) = (Double(C.gates.count), Double(C.states.count))
    let (units, outputs) = (Double(units), Double(outputs))
    let widths = Double(inputs) + Double(layers - 1) * units + Double(layers) * (units + 1)
    let parameters = Double(symbols) * Double(inputs) + gates * units * widths + outputs * (units + 1)
    let activities = Double(steps) * Double(batch) * (Double(layers) * units * (gates + states) + outputs)
    let bytes = Double(MemoryLayout<Float>.size) * (3 * parameters + activities)
    let memory = Double(ProcessInfo.processInfo.physicalMemory)
    if bytes > memory {
      throw Failure(
        String(
          format: "network: expected sizes that fit in %.0f GB of memory, got %.3g parameters and %.3g GB at least",
          memory / 1e9, parameters, bytes / 1e9))
    }
  }
}
