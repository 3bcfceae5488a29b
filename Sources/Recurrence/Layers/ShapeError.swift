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
  /// Throws where a buffer's element count is not that of its shape, given as up to four names and sizes.
  ///
  /// Plain parameters, not a list of them: a list allocates, and so do the run-time library's first steps towards one. A
  /// check that holds must cost a step of a stream nothing.
  static func check(
    _ parameter: String, _ count: Int, is a: (String, Int), _ b: (String, Int) = ("", 1),
    _ c: (String, Int) = ("", 1), _ d: (String, Int) = ("", 1)
  ) throws(ShapeError) {
    let (ab, overflow) = a.1.multipliedReportingOverflow(by: b.1)
    let (abc, overflow2) = ab.multipliedReportingOverflow(by: c.1)
    let (expected, overflow3) = abc.multipliedReportingOverflow(by: d.1)
    let isTooLarge = overflow || overflow2 || overflow3
    if !isTooLarge && count == expected { return }
    throw mismatch(parameter, count, isTooLarge ? nil : expected, [a, b, c, d])
  }

  @inline(never)
  private static func mismatch(
    _ parameter: String, _ count: Int, _ expected: Int?, _ shape: [(String, Int)]
  ) -> ShapeError {
    let sizes = shape.filter { !$0.0.isEmpty }.map { "\($0.0) = \($0.1)" }.joined(separator: ", ")
    let wanted = expected.map { "\($0) elements" } ?? "no more than memory holds"
    return ShapeError(parameter, expected: "\(wanted) (\(sizes))", actual: "\(count)")
  }
}
