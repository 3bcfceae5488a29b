import Foundation

/// What the operands of a sequence are made of.
enum SequenceValues: Sendable, Equatable {
  /// Inputs and derivatives in [−1, 1), weights as a layer is made with.
  case ordinary
  /// What a network sees whose memory fades and whose gradient vanishes: inputs shrink from step to step, and derivatives
  /// from step to step on the way back, from well within the normal numbers of a type to below its least subnormal one;
  /// half of the steps are on either side of the least normal number. Biases are zero, or states would not follow.
  case vanishing(ElementType)

  /// What the inputs of step t are multiplied by, and the derivatives of step T − 1 − t: a power of two, or zero.
  func scale(_ t: Int, of steps: Int) -> Double {
    guard case .vanishing(let type) = self else { return 1 }
    let bits = type == .f32 ? Float.significandBitCount : Double.significandBitCount
    let least = type == .f32 ? Double(Float.leastNormalMagnitude) : Double.leastNormalMagnitude
    let exponent = Double(bits + 1) * (1 - 2 * Double(t) / Double(max(1, steps - 1)))
    return scalbn(least, Int(exponent.rounded()))
  }
}
