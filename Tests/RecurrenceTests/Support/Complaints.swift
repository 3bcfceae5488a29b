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
