/// The two element types of the package: `Float` for work, `Double` for proof.
///
/// Everything that the kernels must know about the bits of a scalar is stated here, once.
public protocol KernelScalar: ActivationScalar, SIMDScalar, Codable, Sendable {
  /// Number of stored significand bits: 23 or 52.
  static var fractionBits: Int { get }
  /// Bias of the exponent: 127 or 1023.
  static var exponentOffset: Int { get }
  /// The same number. A requirement, because the standard library's generic conversion tests for every kind of scalar.
  var asDouble: Double { get }
}

extension Float: KernelScalar {
  @inlinable @inline(__always) public static var fractionBits: Int { 23 }
  @inlinable @inline(__always) public static var exponentOffset: Int { 127 }
  @inlinable @inline(__always) public var asDouble: Double { Double(self) }
}

extension Double: KernelScalar {
  @inlinable @inline(__always) public static var fractionBits: Int { 52 }
  @inlinable @inline(__always) public static var exponentOffset: Int { 1023 }
  @inlinable @inline(__always) public var asDouble: Double { self }
}
