/// Ways to spell a .npy file.
///
///     {'descr': '<f4', …}␀data        a dictionary up to the first zero byte, then data: magic and length are put in front
///     #<f4 3 2 4                      type and shape: the numbers are made up, as many as the shape asks for
///
/// Anything else is the file itself.
public enum ArrayScript {
  /// The file that is spelled so.
  public static func file(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    switch bytes.first {
    case UInt8(ascii: "{"):
      let dictionary = bytes.prefix { $0 != 0 }
      return file(dictionary: dictionary, data: bytes.dropFirst(dictionary.count + 1))
    case UInt8(ascii: "#"): return scripted(bytes.dropFirst())
    default: return Array(bytes)
    }
  }

  private static func file(dictionary: some Collection<UInt8>, data: some Collection<UInt8>) -> [UInt8] {
    let header = Array(dictionary) + [UInt8(ascii: "\n")]
    let version: UInt8 = header.count > Int(UInt16.max) ? 2 : 1
    let length = (0..<(version == 1 ? 2 : 4)).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + header + Array(data)
  }

  private static func scripted(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    let words = String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" }
    let shape = words.dropFirst().compactMap { Int($0) }
    let type = words.first ?? ""
    let product = shape.reduce(1.0) { $0 * Double($1) }
    let count = product >= 0 && product <= 4096 ? Int(product) : 0
    let data: [UInt8]
    switch type {
    case "<f8": data = (0..<count).flatMap { bytesOf((Double($0 % 13) / 8 - 0.5).bitPattern) }
    default: data = (0..<count).flatMap { bytesOf((Float($0 % 13) / 8 - 0.5).bitPattern) }
    }
    let sizes = shape.map { "\($0)," }.joined()
    return file(dictionary: "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }".utf8, data: data)
  }

  private static func bytesOf<Word: FixedWidthInteger>(_ word: Word) -> [UInt8] {
    (0..<(Word.bitWidth / 8)).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
  }
}
