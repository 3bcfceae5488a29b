import Recurrence

/// What a wrong tensor looks like beside the right one.
struct Pattern {
  let place: TensorPlace
  let found, expected: [Double]
  /// Differences up to this, relative to the right tensor's largest element, are rounding.
  let precision: Double

  /// ‖a − b‖ as a fraction of ‖b‖, infinite where b is zero and a is not.
  static func distance(_ a: [Double], _ b: [Double]) -> Double {
    var (difference, size) = (0.0, 0.0)
    for (x, y) in zip(a, b) {
      difference += (x - y) * (x - y)
      size += y * y
    }
    return difference == 0 ? 0 : (difference / size).squareRoot()
  }

  /// Each gate's part, of tensors that have gates; otherwise the whole.
  var blocks: [(gate: String?, range: Range<Int>)] {
    guard case .names("gate", let gates)? = place.axes.first, !gates.isEmpty else {
      return [(nil, found.indices)]
    }
    let size = found.count / gates.count
    return gates.enumerated().map { ($0.element, ($0.offset * size)..<(($0.offset + 1) * size)) }
  }

  func isWrong(_ range: Range<Int>) -> Bool {
    !(Self.distance(Array(found[range]), Array(expected[range])) <= precision)
  }

  /// A sentence, if one block is a multiple of what it should be, a transpose, or another gate's.
  var sentence: String? {
    let wrong = blocks.filter { isWrong($0.range) }
    guard let first = wrong.first else { return nil }
    if let swapped = swapped(wrong) { return swapped }
    if let transposed = transposed(first) { return transposed }
    let factors = wrong.map { factor($0.range) }
    guard let factor = factors[0], factors.allSatisfy({ $0.map { abs($0 - factor) <= 1e-3 * abs(factor) } ?? false })
    else { return nil }
    let gates = wrong.compactMap(\.gate)
    let owner =
      gates.isEmpty || gates.count == blocks.count
      ? place.title : "\(place.title) of gate\(gates.count > 1 ? "s" : "") \(gates.joined(separator: ", "))"
    return Self.sentence(owner, factor)
  }

  static func sentence(_ owner: String, _ factor: Double) -> String {
    if abs(factor) < 1e-9 { return "a term is missing: \(owner) is zero" }
    if abs(factor + 1) < 1e-6 { return "a sign: \(owner) is the negative of what it should be" }
    // Close to 1, three digits would hide what is wrong.
    let number = abs(factor - 1) < 0.05 ? "\((factor * 1e6).rounded() / 1e6)" : shortened(factor)
    return "a factor: \(owner) is \(number) times what it should be"
      + (abs(factor - 1) < 0.05 ? " (\(shortened((factor - 1) * 100)) % off)" : "")
  }

  /// k, if the block is k times the right one; more than one element must agree.
  private func factor(_ range: Range<Int>) -> Double? {
    Self.factor(Array(found[range]), Array(expected[range]), precision)
  }

  static func factor(_ f: [Double], _ e: [Double], _ precision: Double) -> Double? {
    let size = e.reduce(0) { $0 + $1 * $1 }
    guard size > 0, e.count(where: { $0 != 0 }) > 1 else { return nil }
    let k = zip(f, e).reduce(0) { $0 + $1.0 * $1.1 } / size
    let rest = zip(f, e).reduce(0) { $0 + ($1.0 - k * $1.1) * ($1.0 - k * $1.1) }
    return rest <= precision * precision * size ? k : nil
  }

  private func swapped(_ wrong: [(gate: String?, range: Range<Int>)]) -> String? {
    guard wrong.count >= 2, found.count > blocks.count else { return nil }
    for (index, a) in wrong.enumerated() {
      for b in wrong[(index + 1)...] {
        guard let first = a.gate, let second = b.gate,
          Self.distance(Array(found[a.range]), Array(expected[b.range])) <= precision,
          Self.distance(Array(found[b.range]), Array(expected[a.range])) <= precision
        else { continue }
        return "swapped: in \(place.title) gates \(first) and \(second) have each other's values"
      }
    }
    return nil
  }

  private func transposed(_ block: (gate: String?, range: Range<Int>)) -> String? {
    guard let axis = place.axis("unit"), place.axis("column") == axis + 1 else { return nil }
    let (units, columns) = (place.axes[axis].count, place.axes[axis + 1].count)
    guard units == columns, units > 1 else { return nil }
    let transpose = (0..<(units * units)).map { expected[block.range.lowerBound + $0 % units * units + $0 / units] }
    guard Self.distance(Array(found[block.range]), transpose) <= precision else { return nil }
    return "transposed: \(place.title)\(block.gate.map { " of gate \($0)" } ?? "") has rows for columns"
  }

  /// Which coordinates are wrong, where some are and others are not: `only sequences 7–13`.
  static func whereabouts(_ place: TensorPlace, wrong: [Int]) -> String? {
    guard !wrong.isEmpty, wrong.count < place.count else { return nil }
    let coordinates = wrong.map(place.coordinates)
    let parts = place.axes.indices.compactMap { axis -> String? in
      let seen = Set(coordinates.map { $0[axis] }).sorted()
      guard seen.count < place.axes[axis].count else { return nil }
      switch place.axes[axis] {
      case .numbers(let name, let count):
        return "\(name)\(seen.count > 1 ? "s" : "") \(ranges(seen)) of 0–\(count - 1)"
      case .names(let name, let names):
        return "\(name)\(seen.count > 1 ? "s" : "") \(seen.map { names[$0] }.joined(separator: ", "))"
      }
    }
    return parts.isEmpty ? nil : "only " + parts.joined(separator: "; ")
  }

  /// Numbers in ascending order, such as `0–3, 5, 7, 8`; of many ranges the first four.
  private static func ranges(_ numbers: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    let texts = runs.prefix(4).map { run in
      run.count > 2 ? "\(run.lowerBound)–\(run.upperBound)" : run.map(String.init).joined(separator: ", ")
    }
    return texts.joined(separator: ", ") + (runs.count > 4 ? ", …" : "")
  }
}
