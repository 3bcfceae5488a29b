public enum LearningRateSchedule: Hashable, Sendable, Codable {
  case constant, step(every: Int, factor: Double), exponential(factor: Double), cosine(warmup: Int, total: Int), reduceOnPlateau(factor: Double)
  public func factor(at step: Int) -> Double { 1 }
  public mutating func observe(_ loss: Double) {}
}
