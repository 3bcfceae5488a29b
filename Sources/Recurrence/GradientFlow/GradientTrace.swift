import RecurrenceKernels

/// Squares of ∂L/∂h_t, summed for each layer, state and sequence while the driver goes back through time.
///
/// A row for each sequence, so that threads share nothing, and sums over sequences have one order.
final class GradientTrace<Scalar: RecurrenceScalar>: @unchecked Sendable {
  private let layers, steps, batch: Int
  /// [L, T + 1, B].
  private let squares: AlignedBuffer<Double>

  init(layers: Int, steps: Int, batch: Int) {
    (self.layers, self.steps, self.batch) = (layers, steps, batch)
    squares = AlignedBuffer(count: layers * (steps + 1) * batch)
  }

  func reset() { unsafe squares.unsafePointer.update(repeating: 0, count: squares.count) }

  /// Measures ∂L/∂h_t of some sequences: what is carried from later steps, and what comes from the output of step t.
  func record(_ step: CellStep<Scalar>, layer: Int, state: Int, first: Int, count: Int) {
    let target = unsafe squares.unsafePointer + (layer * (steps + 1) + state) * batch + first
    let units = unsafe step.units
    for row in 0..<count {
      let carried = unsafe step.hiddenGradient! + row * step.hiddenGradientStride
      var sum = 0.0
      if let output = unsafe step.outputGradient {
        let own = unsafe output + row * step.outputGradientStride
        for unit in 0..<units {
          let value = unsafe (carried[unit] + own[unit]).asDouble
          sum += value * value
        }
      } else {
        for unit in 0..<units {
          let value = unsafe carried[unit].asDouble
          sum += value * value
        }
      }
      unsafe target[row] = sum
    }
  }

  func norms(layer: Int, steps: Int) -> [Double] {
    (0...steps).map { state in
      var sum = 0.0
      for row in 0..<batch { sum += unsafe squares.unsafePointer[(layer * (self.steps + 1) + state) * batch + row] }
      return sum.squareRoot()
    }
  }
}
