/// A buffer, a state or a length list that does not fit: which, what was expected, and what came.
public struct ShapeError: Error, Hashable, CustomStringConvertible, Sendable {
  /// The parameter's name.
  public let parameter: String
  public let expected: String
  public let actual: String

  public init(_ parameter: String, expected: String, actual: String) {
    self.parameter = parameter
    self.expected = expected
    self.actual = actual
  }

  public var description: String { "\(parameter): expected \(expected), got \(actual)" }
}

extension ShapeError {
  /// Throws where a buffer's element count is not that of its shape.
  static func check(_ parameter: String, _ count: Int, is shape: KeyValuePairs<String, Int>) throws(ShapeError) {
    var expected = 1
    for dimension in shape {
      let (product, overflow) = expected.multipliedReportingOverflow(by: dimension.value)
      if overflow {
        throw ShapeError(parameter, expected: "no more than memory holds (\(list(shape)))", actual: "\(count)")
      }
      expected = product
    }
    guard count != expected else { return }
    throw ShapeError(parameter, expected: "\(expected) elements (\(list(shape)))", actual: "\(count)")
  }

  private static func list(_ shape: KeyValuePairs<String, Int>) -> String {
    shape.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")
  }
}
