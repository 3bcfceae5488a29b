/// A value that remembers how it was made: a cell's equations, run on recorded values, give a `PointwiseProgram`.
///
/// Values are nodes of a graph. Nothing is computed; a program is what the outputs lead back to.
public struct RecordedValue: PointwiseValue {
  final class Node {
    let operation: PointwiseOperation
    let operands: [Node]

    init(_ operation: PointwiseOperation, _ operands: [Node]) {
      self.operation = operation
      self.operands = operands
    }
  }

  let node: Node

  init(_ operation: PointwiseOperation, _ operands: RecordedValue...) {
    node = Node(operation, operands.map(\.node))
  }

  public init(_ value: Double) { self.init(.constant(value)) }
  /// One plane of what a program is run on.
  public static func input(_ plane: PointwisePlane) -> Self { Self(.input(plane)) }

  public static func + (a: Self, b: Self) -> Self { Self(.add, a, b) }
  public static func - (a: Self, b: Self) -> Self { Self(.subtract, a, b) }
  public static func * (a: Self, b: Self) -> Self { Self(.multiply, a, b) }
  public static func / (a: Self, b: Self) -> Self { Self(.divide, a, b) }
  public static prefix func - (a: Self) -> Self { Self(.negate, a) }
  public static func multiplyAdd(_ a: Self, _ b: Self, _ c: Self) -> Self { Self(.multiplyAdd, a, b, c) }
  public func applying(_ activation: Activation) -> Self { Self(.activation(activation), self) }
  public func derivative(of activation: Activation, value: Self) -> Self {
    Self(.activationDerivative(activation), self, value)
  }
  public static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self {
    Self(.select, a, b, x, y)
  }
}

/// A plane that a program reads or writes.
@frozen public enum PointwisePlane: Hashable, Sendable {
  case gate(Int)
  case previous(Int)
  case unit(Int)
  case state(Int)
  case saved(Int)
  case gradient(Int)
  case operand
}

@frozen public enum PointwiseOperation: Sendable {
  case input(PointwisePlane)
  case constant(Double)
  case add, subtract, multiply, divide, negate, multiplyAdd, select
  case activation(Activation)
  case activationDerivative(Activation)
}
