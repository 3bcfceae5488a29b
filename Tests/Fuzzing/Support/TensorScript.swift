@testable import Recurrence

/// Ways to spell a safetensors file, so that a change of one byte is not always one of its length.
///
///     {"w":{"dtype":"F32",…}}␀data    a header up to the first zero byte, then data: the length is put in front
///     #w F32 2 3                      a line for each tensor: the bytes are made up, as many as its shape asks for
///     #@cell lstm                     metadata
///
/// Anything else is the file itself.
public enum TensorScript {
  /// The file that is spelled so.
  public static func file(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    switch bytes.first {
    case UInt8(ascii: "{"):
      let header = bytes.prefix { $0 != 0 }
      return file(header: header, data: bytes.dropFirst(header.count + 1))
    case UInt8(ascii: "#"): return scripted(bytes)
    default: return Array(bytes)
    }
  }

  public static func file(header: some Collection<UInt8>, data: some Collection<UInt8>) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + Array(header) + Array(data)
  }

  /// Bytes that a script makes up at most.
  private static let most = 1 << 16

  private static func scripted(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var metadata: [String] = []
    var tensors: [String] = []
    var data: [UInt8] = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) where line.first == UInt8(ascii: "#") {
      let words = String(decoding: line.dropFirst(), as: UTF8.self).split(separator: " ").map(String.init)
      guard words.count > 1 else { continue }
      if words[0].hasPrefix("@") {
        metadata.append("\(quoted(String(words[0].dropFirst()))):\(quoted(words[1]))")
        continue
      }
      let start = data.count
      data += content(words[1], words.dropFirst(2).compactMap { Int($0) }, room: most - start)
      let shape = words.dropFirst(2).filter { Int($0) != nil }.joined(separator: ",")
      tensors.append(
        "\(quoted(words[0])):{\"dtype\":\(quoted(words[1])),\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(start),\(data.count)]}")
    }
    if !metadata.isEmpty { tensors.insert("\"__metadata__\":{\(metadata.joined(separator: ","))}", at: 0) }
    return file(header: "{\(tensors.joined(separator: ","))}".utf8, data: data)
  }

  /// Small numbers, none where the type is unknown or they would not find room.
  private static func content(_ type: String, _ shape: [Int], room: Int) -> [UInt8] {
    guard let count = elementCount(shape), let width = Safetensors.ElementType(rawValue: type).bitWidth,
      count <= room * 8 / width, count * width % 8 == 0
    else { return [] }
    switch type {
    case "F32": return FloatEncoding.encode((0..<count).map { Float(($0 * 37) % 17 - 8) / 16 })
    case "F64": return FloatEncoding.encode((0..<count).map { Double(($0 * 37) % 17 - 8) / 16 })
    default: return (0..<(count * width / 8)).map { UInt8(truncatingIfNeeded: $0 * 41) & 0x3b }
    }
  }

  private static func quoted(_ text: String) -> String {
    var line = JSONLine()
    line.add("", text)
    return String(line.text.dropFirst(4).dropLast())
  }
}

/// Parts of an input that stands for several files.
public enum Sections {
  /// What lies between two of them.
  public static let separator: [UInt8] = [0x1e, 0x1e]

  /// At least `count`, where there are fewer those missing are empty.
  public static func split(_ bytes: [UInt8], atLeast count: Int = 0) -> [ArraySlice<UInt8>] {
    var parts: [ArraySlice<UInt8>] = []
    var (start, position) = (0, 0)
    while position + 1 < bytes.count {
      if bytes[position] == separator[0] && bytes[position + 1] == separator[1] {
        parts.append(bytes[start..<position])
        start = position + 2
        position += 2
      } else {
        position += 1
      }
    }
    parts.append(bytes[start...])
    while parts.count < count { parts.append([]) }
    return parts
  }
}
