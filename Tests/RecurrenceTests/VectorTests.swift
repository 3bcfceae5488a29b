import Recurrence
import Testing

/// Every primitive of the vector layer, on every instruction set, against its meaning in plain Swift.
///
/// Arithmetic is IEEE 754's: one right answer, so the comparison is of bits. NaNs that arithmetic makes are the
/// processor's choice and compare equal; NaNs that are moved, selected or taken apart keep their bits.
@Suite struct VectorTests {
  @Test(arguments: KernelCase.all) func everyCount(_ kernels: KernelCase) {
    kernels.run(checkCounts, checkCounts)
  }

  @Test(arguments: KernelCase.all) func everyPairOfSpecialValues(_ kernels: KernelCase) {
    kernels.run(checkSpecialValues, checkSpecialValues)
  }

  @Test(arguments: KernelCase.all) func randomOperands(_ kernels: KernelCase) {
    kernels.run(checkRandomOperands, checkRandomOperands)
  }

  /// The fused and the unfused result differ here, so one of the two is a lie.
  @Test(arguments: KernelCase.all) func multiplyAddRoundsAsItSays(_ kernels: KernelCase) {
    func check<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
      // (1 + e)² − (1 + 2e) = e², all of which falls to the first of two roundings: e² is half an ulp of 1 or less.
      let e = Scalar.ulpOfOne
      let (x, y) = (1 + e, -(1 + 2 * e))
      let result = run(.multiplyAdd, [x], [x], [y], kernels)
      #expect(result == [kernels.geometry.isFused ? e * e : 0], "\(kernels.label)")
    }
    kernels.run(check, check)
  }

  /// Where partial vectors touch memory past the operands, this process ends: an inaccessible page lies there.
  @Test(arguments: KernelCase.all) func partialVectorsStayInTheirPages(_ kernels: KernelCase) {
    func check<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
      let values: [Scalar] = (0...2 * kernels.geometry.lanes).map { Scalar($0) }
      for placement in [GuardedMatrix<Scalar>.Placement.endOfPage, .startOfPage] {
        for count in 1..<values.count {
          let operand = Array(values[..<count])
          let result = run(.copy, operand, operand, operand, kernels, placement: placement)
          #expect(result == operand, "\(kernels.label), \(count) scalars at \(placement)")
        }
      }
    }
    kernels.run(check, check)
  }

  // MARK: Checks

  /// From nothing to a little more than three vectors: no store may reach a neighbour, whatever its base's alignment.
  private func checkCounts<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for operation in VectorOperation.allCases {
      for count in 0...(3 * kernels.geometry.lanes + 1) {
        var random = SeededRandom(stream: 40_000 + count)
        let placement = GuardedMatrix<Scalar>.Placement.offset(random.pick([0, 1, 3]))
        compare(
          operation, random.array(count, .special), random.array(count, .wide), random.array(count, .uniform), kernels,
          placement: placement, "\(count) scalars at \(placement)", &complaints)
      }
      if complaints.areEnough { return }
    }
  }

  private func checkSpecialValues<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    let specials = Scalar.specialValues
    var a: [Scalar] = []
    var b: [Scalar] = []
    var c: [Scalar] = []
    for x in specials {
      for y in specials {
        for z in specials {
          a.append(x)
          b.append(y)
          c.append(z)
        }
      }
    }
    var complaints = Complaints()
    for operation in VectorOperation.allCases { compare(operation, a, b, c, kernels, "special values", &complaints) }
  }

  private func checkRandomOperands<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var random = SeededRandom(stream: 50_000)
    let count = SuiteSettings.isThin ? 200 : 50_000
    // Any bits at all: every exponent, NaNs of every payload.
    let bits = (0..<3).map { _ in (0..<count).map { _ in Scalar(wideBits: random.next() & Scalar.bitMask) } }
    // Operands near each other, so that sums cancel and comparisons go both ways.
    let near = (0..<3).map { _ in (0..<count).map { _ in random.wide(Scalar.self, exponents: -1...1) } }
    var complaints = Complaints()
    for operation in VectorOperation.allCases {
      compare(operation, near[0], near[1], near[2], kernels, "near operands", &complaints)
      // Signalling NaNs become quiet wherever they are computed with: compared as NaN.
      compare(operation, bits[0], bits[1], bits[2], kernels, "random bits", &complaints)
    }
  }

  private func compare<Scalar: TestScalar>(
    _ operation: VectorOperation, _ a: [Scalar], _ b: [Scalar], _ c: [Scalar], _ kernels: Kernels<Scalar>,
    placement: GuardedMatrix<Scalar>.Placement = .offset(0), _ context: String, _ complaints: inout Complaints
  ) {
    let actual = run(operation, a, b, c, kernels, placement: placement)
    let expected = VectorModel(kernels).apply(operation, a, b, c)
    let exactNaNs = VectorModel<Scalar>.keepsNaNs(operation)
    for i in expected.indices {
      let same = exactNaNs ? actual[i].wideBits == expected[i].wideBits : actual[i].isSame(as: expected[i])
      if same { continue }
      complaints.note(
        "element \(i), a = \(a[i].spelled), b = \(b[i].spelled), c = \(c[i].spelled): expected \(expected[i].spelled), "
          + "got \(actual[i].spelled)", "\(kernels.label), \(operation), \(context)")
      return
    }
  }

  /// Runs the primitive over guarded arrays; records where it wrote to a neighbour.
  private func run<Scalar: TestScalar>(
    _ operation: VectorOperation, _ a: [Scalar], _ b: [Scalar], _ c: [Scalar], _ kernels: Kernels<Scalar>,
    placement: GuardedMatrix<Scalar>.Placement = .offset(0)
  ) -> [Scalar] {
    let (a, b, c) = (
      GuardedMatrix(row: a, placement: placement), GuardedMatrix(row: b, placement: placement),
      GuardedMatrix(row: c, placement: placement)
    )
    let out = GuardedMatrix(row: [Scalar](repeating: 0, count: a.columns), placement: placement)
    unsafe kernels.table.probe(
      operation, ProbeOperands(a: a.pointer, b: b.pointer, c: c.pointer, out: out.pointer, count: a.columns))
    for matrix in [out, a, b, c] {
      if let damage = matrix.damage { Issue.record("\(kernels.label), \(operation), \(a.columns) scalars: \(damage)") }
    }
    return out.values
  }
}

/// What the operations mean, one scalar at a time.
private struct VectorModel<Scalar: TestScalar> {
  private let isFused: Bool
  private let lanes: Int

  init(_ kernels: Kernels<Scalar>) {
    isFused = kernels.geometry.isFused
    lanes = kernels.geometry.lanes
  }

  /// Whether results are operands, or their bits, rather than new numbers.
  static func keepsNaNs(_ operation: VectorOperation) -> Bool {
    switch operation {
    case .add, .subtract, .multiply, .divide, .multiplyAdd, .sum: false
    case .minimum, .maximum, .selectLess, .selectLessOrEqual, .selectEqual, .bitAnd, .bitOr, .bitXor, .addBits,
      .subtractBits, .shiftLeft, .shiftRight, .negate, .magnitude, .withSign, .copy:
      true
    }
  }

  func apply(_ operation: VectorOperation, _ a: [Scalar], _ b: [Scalar], _ c: [Scalar]) -> [Scalar] {
    if operation == .sum { return sums(a) }
    return a.indices.map { apply(operation, a[$0], b[$0], c[$0]) }
  }

  private func apply(_ operation: VectorOperation, _ a: Scalar, _ b: Scalar, _ c: Scalar) -> Scalar {
    let sign = UInt64(1) << UInt64(Scalar.bitWidth - 1)
    let (x, y) = (a.wideBits, b.wideBits)
    switch operation {
    case .add: return a + b
    case .subtract: return a - b
    case .multiply: return a * b
    case .divide: return a / b
    case .multiplyAdd: return isFused ? c.addingProduct(a, b) : a * b + c
    case .minimum: return b < a ? b : a
    case .maximum: return a < b ? b : a
    case .selectLess: return a < b ? b : c
    case .selectLessOrEqual: return a <= b ? b : c
    case .selectEqual: return a == b ? b : c
    case .bitAnd: return Scalar(wideBits: x & y)
    case .bitOr: return Scalar(wideBits: x | y)
    case .bitXor: return Scalar(wideBits: x ^ y)
    case .addBits: return Scalar(wideBits: (x &+ y) & Scalar.bitMask)
    case .subtractBits: return Scalar(wideBits: (x &- y) & Scalar.bitMask)
    case .shiftLeft: return Scalar(wideBits: (x << 5) & Scalar.bitMask)
    case .shiftRight: return Scalar(wideBits: x >> 5)
    case .negate: return Scalar(wideBits: x ^ sign)
    case .magnitude: return Scalar(wideBits: x & ~sign)
    case .withSign: return Scalar(wideBits: (x & ~sign) | (y & sign))
    case .copy: return a
    case .sum: fatalError("a sum is not of one lane")
    }
  }

  /// The documented tree: the upper half of the lanes is added to the lower half until one is left. Lanes beyond the
  /// count are +0.
  private func sums(_ a: [Scalar]) -> [Scalar] {
    var result: [Scalar] = []
    for first in stride(from: 0, to: a.count, by: lanes) {
      let part = a[first..<min(first + lanes, a.count)]
      var tree = Array(part) + [Scalar](repeating: 0, count: lanes - part.count)
      while tree.count > 1 {
        let half = tree.count / 2
        tree = (0..<half).map { tree[$0] + tree[$0 + half] }
      }
      result += [Scalar](repeating: tree[0], count: part.count)
    }
    return result
  }
}
