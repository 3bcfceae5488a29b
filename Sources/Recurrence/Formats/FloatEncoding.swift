/// How files spell floating-point numbers, little-endian as all machines that the package runs on.
enum FloatEncoding: String, Hashable, Sendable {
  case f16 = "F16"
  case bf16 = "BF16"
  case f32 = "F32"
  case f64 = "F64"

  #if _endian(big)
  #error("numbers are copied between files and memory as they are, which needs a little-endian machine")
  #endif

  static func of<Scalar: RecurrenceScalar>(_: Scalar.Type) -> FloatEncoding { Scalar.self == Double.self ? .f64 : .f32 }

  var byteCount: Int {
    switch self {
    case .f16, .bf16: 2
    case .f32: 4
    case .f64: 8
    }
  }

  /// Whether every value of this encoding is one of `Scalar`'s.
  func isExact<Scalar: RecurrenceScalar>(in _: Scalar.Type) -> Bool { self != .f64 || Scalar.self == Double.self }

  /// The numbers that `bytes` spell: the same bits where the encoding is `Scalar`'s own, the same values where it is
  /// narrower, rounded to nearest (ties to even) where it is wider.
  func decode<Scalar: RecurrenceScalar>(_ bytes: ArraySlice<UInt8>, as _: Scalar.Type = Scalar.self) -> [Scalar] {
    switch self {
    case .f16: decode(bytes, UInt16.self) { Scalar(Self.widenF16($0)) }
    case .bf16: decode(bytes, UInt16.self) { Scalar(Float(bitPattern: UInt32($0) << 16)) }
    case .f32: decode(bytes, UInt32.self) { Scalar(Float(bitPattern: $0)) }
    case .f64: decode(bytes, UInt64.self) { Scalar(Double(bitPattern: $0)) }
    }
  }

  static func encode<Scalar: RecurrenceScalar>(_ values: [Scalar]) -> [UInt8] {
    unsafe values.withUnsafeBytes { unsafe Array($0) }
  }

  @inline(__always)
  private func decode<Word: FixedWidthInteger, Scalar>(
    _ bytes: ArraySlice<UInt8>, _: Word.Type, _ number: (Word) -> Scalar
  ) -> [Scalar] {
    let size = MemoryLayout<Word>.size
    let count = bytes.count / size
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe [Scalar](unsafeUninitializedCapacity: count) { values, initialized in
        for i in 0..<count {
          let word = unsafe bytes.loadUnaligned(fromByteOffset: i * size, as: Word.self)
          unsafe values.initializeElement(at: i, to: number(word))
        }
        initialized = count
      }
    }
  }

  /// By its bits: the type `Float16` does not exist on every platform.
  private static func widenF16(_ half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10) & 31
    let fraction = UInt32(half & 0x3ff)
    switch exponent {
    case 0:
      // Subnormal, or zero: a multiple of 2⁻²⁴, which Float holds exactly.
      let magnitude = Float(fraction) * 0x1p-24
      return Float(bitPattern: sign | magnitude.bitPattern)
    case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}
