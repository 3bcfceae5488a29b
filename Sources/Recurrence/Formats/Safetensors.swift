/// Named tensors and a few words about them: the content of a `.safetensors` file.
///
///     let file = try Safetensors(path: "model.safetensors")
///     let weights = try file.values("fc.weight", shape: [10, 64], as: Float.self)
///
/// The format is that of the Python package `safetensors`: eight bytes that say how long the header is, a header in
/// JSON, then the tensors' bytes, little-endian and row-major. A value; copies are independent. Tensors that were read
/// share the memory of the file's bytes.
public struct Safetensors: Sendable {
  /// One tensor: its bytes, and how they are to be read.
  public struct Tensor: Hashable, Sendable {
    public let name: String
    public let elementType: ElementType
    /// Empty for a single number.
    public let shape: [Int]
    /// Row-major. As many bytes as the shape has elements, where the element type is known.
    public let bytes: ArraySlice<UInt8>
  }

  /// What a tensor's elements are, by the name that the header gives it.
  public struct ElementType: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let f64 = ElementType(rawValue: "F64")
    public static let f32 = ElementType(rawValue: "F32")
    public static let f16 = ElementType(rawValue: "F16")
    public static let bf16 = ElementType(rawValue: "BF16")

    /// Bits of an element, nil where the type is not one that the format's description lists.
    public var bitWidth: Int? { Self.bitWidths[rawValue] }

    private static let bitWidths = [
      "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
      "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
      "U64": 64,
    ]
  }

  /// In the order in which they were set or, in a file, their bytes lie.
  public private(set) var tensors: [Tensor] = []
  /// What the file says besides its tensors.
  public var metadata: [String: String] = [:]
  /// For messages; nil where the bytes came from no file.
  public internal(set) var file: String?
  private var positions: [String: Int] = [:]

  /// Nothing.
  public init() {}

  /// The tensor of this name, nil where there is none.
  public subscript(name: String) -> Tensor? { positions[name].map { tensors[$0] } }

  /// Sets a tensor, F32 or F64 as `Scalar` is; replaces the one of the same name.
  ///
  /// Traps where the values are not as many as the shape has elements, and where the name is `__metadata__`.
  public mutating func set<Scalar: RecurrenceScalar>(_ name: String, shape: [Int], _ values: [Scalar]) {
    let type = ElementType(rawValue: FloatEncoding.of(Scalar.self).rawValue)
    set(name, type, shape: shape, bytes: FloatEncoding.encode(values)[...])
  }

  /// Sets a tensor of any type; replaces the one of the same name.
  ///
  /// Traps where the bytes are not as many as type and shape ask for, and where the name is `__metadata__`.
  public mutating func set(_ name: String, _ type: ElementType, shape: [Int], bytes: ArraySlice<UInt8>) {
    if name == Self.metadataName { fatalError("name: expected that of a tensor, got \(name)") }
    let tensor = Tensor(name: name, elementType: type, shape: shape, bytes: bytes)
    if let error = tensor.sizeError { fatalError("\(error)") }
    append(tensor)
  }

  /// Removes a tensor. Does nothing where there is none of this name.
  public mutating func remove(_ name: String) {
    guard let position = positions.removeValue(forKey: name) else { return }
    tensors.remove(at: position)
    for index in position..<tensors.count { positions[tensors[index].name] = index }
  }

  /// The elements of a tensor: F32, F64, F16 or BF16, widened exactly.
  ///
  /// - Parameter shape: the shape that the tensor must have, or nil for any.
  ///
  /// Throws `FormatError` where there is no such tensor, its shape differs, its elements are not floating-point numbers,
  /// or they are F64 and `Scalar` would round them.
  public func values<Scalar: RecurrenceScalar>(
    _ name: String, shape: [Int]? = nil, as _: Scalar.Type = Scalar.self
  ) throws(FormatError) -> [Scalar] {
    guard let tensor = self[name] else {
      throw error(name, expected: shape.map { "one of shape \(FormatError.describe($0))" } ?? "one", actual: "none")
    }
    if let shape, shape != tensor.shape {
      throw error(
        name, expected: "shape \(FormatError.describe(shape))", actual: "\(FormatError.describe(tensor.shape))")
    }
    let encoding = try encoding(of: tensor)
    guard encoding.isExact(in: Scalar.self) else {
      throw error(name, expected: "elements that \(Scalar.self) holds without rounding", actual: encoding.rawValue)
    }
    return encoding.decode(tensor.bytes)
  }

  /// Throws where a tensor's elements are not floating-point numbers. Of those that are there are as many as the shape
  /// says; a type of unknown size may claim any shape.
  @discardableResult
  func encoding(of tensor: Tensor) throws(FormatError) -> FloatEncoding {
    let type = tensor.elementType.rawValue
    if let encoding = FloatEncoding(rawValue: type) { return encoding }
    throw error(tensor.name, expected: "elements of type F32, F64, F16 or BF16", actual: FormatError.quote(type))
  }

  func error(_ tensor: String, expected: String, actual: String) -> FormatError {
    FormatError(file: file, FormatError.tensor(tensor), expected: expected, actual: actual)
  }

  /// The name under which a header holds `metadata`.
  static let metadataName = "__metadata__"

  mutating func append(_ tensor: Tensor) {
    if let position = positions[tensor.name] {
      tensors[position] = tensor
    } else {
      positions[tensor.name] = tensors.count
      tensors.append(tensor)
    }
  }
}

extension Safetensors.Tensor {
  /// What is wrong with the shape or the number of bytes; nil where nothing is.
  var sizeError: FormatError? {
    let field = FormatError.tensor(name)
    let shown = FormatError.describe(shape)
    guard let count = elementCount(shape) else {
      return FormatError(field, expected: "a shape that memory can hold", actual: shown)
    }
    // An element of unknown size: its bytes can be carried, not read.
    guard let width = elementType.bitWidth else { return nil }
    let (bits, overflow) = count.multipliedReportingOverflow(by: width)
    guard !overflow, bits % 8 == 0 else {
      return FormatError(field, expected: "a shape of whole bytes", actual: "\(shown) of \(elementType.rawValue)")
    }
    guard bits / 8 == bytes.count else {
      return FormatError(
        field, expected: "\(bits / 8) bytes, \(shown) of \(elementType.rawValue)", actual: "\(bytes.count)")
    }
    return nil
  }
}
