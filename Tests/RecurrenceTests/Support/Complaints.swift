import Recurrence
import Testing

/// Records what a sweep finds, and knows when to stop: one broken edge fails hundreds of shapes.
///
/// Sweeps compare in plain code and come here with the outcome; an expectation per element would take longer than the
/// product.
struct Complaints {
  private static let limit = 5
  private var count = 0

  var areEnough: Bool { count >= Self.limit }

  /// - Parameters:
  ///   - finding: what is wrong; nil where nothing is.
  ///   - context: seed, shape and whatever else it takes to see it again.
  mutating func note(
    _ finding: String?, _ context: @autoclosure () -> String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    guard let finding, !areEnough else { return }
    count += 1
    Issue.record("\(context()): \(finding)", sourceLocation: sourceLocation)
  }
}

/// Where two arrays first differ, as a sentence; nil where they nowhere do.
func firstDifference<Scalar: TestScalar>(_ actual: [Scalar], from expected: [Scalar], columns: Int) -> String? {
  if actual.count != expected.count { return "expected \(expected.count) elements, got \(actual.count)" }
  for i in 0..<actual.count where !actual[i].isSame(as: expected[i]) {
    let count = (i..<actual.count).count { !actual[$0].isSame(as: expected[$0]) }
    return "element (\(i / columns), \(i % columns)): expected \(expected[i].spelled), got \(actual[i].spelled);"
      + " \(count) of \(actual.count) elements differ"
  }
  return nil
}
