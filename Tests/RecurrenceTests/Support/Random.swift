import Recurrence

/// SplitMix64 (Steele, Lea and Flood, 2014): a counter through a mixing function. Any seed is a good seed, which is why
/// a case can be given its own generator from the suite's seed and the case's number.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  /// - Parameters:
  ///   - seed: the suite's seed.
  ///   - stream: which of its independent sequences.
  init(seed: UInt64 = SuiteSettings.seed, stream: Int = 0) {
    state = seed
    // Two seeds that differ by a multiple of the counter's step give one sequence, shifted: mix the stream in.
    let base = next()
    state = base ^ (UInt64(truncatingIfNeeded: stream) &* 0xd134_2543_de82_ef95)
    state = next()
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func index(below bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }

  mutating func pick<Element>(_ choices: [Element]) -> Element { choices[index(below: choices.count)] }

  /// A range within 0..<bound, often empty at its ends.
  mutating func range(within bound: Int) -> Range<Int> {
    let ends = (index(below: bound + 1), index(below: bound + 1))
    return min(ends.0, ends.1)..<max(ends.0, ends.1)
  }
}

/// How an array of operands is drawn.
enum Filling: String, CaseIterable, Sendable {
  /// Uniform in [−1, 1).
  case uniform
  /// Either sign, exponents from −24 to 24: sums lose low bits at almost every step, so their order shows.
  case wide
  /// One in 64 is ±0, ±∞, NaN, subnormal or the largest value; the rest uniform.
  case special
}

extension SeededRandom {
  /// Uniform in [−1, 1), 24 random bits (so that it is exact in either scalar).
  mutating func uniform<Scalar: TestScalar>(_: Scalar.Type) -> Scalar {
    Scalar(Int32(truncatingIfNeeded: next() >> 39) - (1 << 24)) * Scalar(0x1p-24 as Float)
  }

  /// Random sign and significand, exponent from `exponents`.
  mutating func wide<Scalar: TestScalar>(_: Scalar.Type, exponents: ClosedRange<Int> = -24...24) -> Scalar {
    let bits = next()
    let fraction = bits >> (64 - UInt64(Scalar.fractionBits))
    let exponent = exponents.lowerBound + index(below: exponents.count) + Scalar.exponentOffset
    let sign = (next() & 1) << UInt64(MemoryLayout<Scalar>.size * 8 - 1)
    return Scalar(wideBits: sign | UInt64(exponent) << UInt64(Scalar.fractionBits) | fraction)
  }

  mutating func array<Scalar: TestScalar>(
    _ count: Int, _ filling: Filling, of _: Scalar.Type = Scalar.self
  ) -> [Scalar] {
    let specials = Scalar.specialValues
    var result: [Scalar] = []
    result.reserveCapacity(count)
    for _ in 0..<count {
      switch filling {
      case .uniform: result.append(uniform(Scalar.self))
      case .wide: result.append(wide(Scalar.self))
      case .special:
        result.append(index(below: 64) == 0 ? specials[index(below: specials.count)] : uniform(Scalar.self))
      }
    }
    return result
  }
}
