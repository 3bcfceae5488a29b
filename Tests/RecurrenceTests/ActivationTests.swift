import Recurrence
import Testing

/// Values of the activation functions: accuracy, order, symmetry and exact results, on every instruction set.
///
/// The whole of `Float` is the business of `recurrence-bench --exhaustive`, which takes minutes; here every 1021st
/// pattern is looked at, and everything near a case distinction.
@Suite struct ActivationTests {
  @Test(arguments: Activation.tested) func floatsOnADenseSample(_ activation: Activation) {
    checkDenseSample(activation, Kernels<Float>.supported)
  }

  @Test(
    .enabled(if: Double.hasJudge, "NO FORMAT WIDER THAN DOUBLE HERE: accuracy of Double is NOT tested"),
    arguments: Activation.tested)
  func doublesOnADenseSample(_ activation: Activation) {
    checkDenseSample(activation, Kernels<Double>.supported)
  }

  @Test(arguments: Activation.tested) func specialValues(_ activation: Activation) {
    checkSpecialValues(activation, Kernels<Float>.supported)
    checkSpecialValues(activation, Kernels<Double>.supported)
  }

  @Test(arguments: Activation.tested) func seamsAreInOrder(_ activation: Activation) {
    checkSeams(activation, Kernels<Float>.supported)
    checkSeams(activation, Kernels<Double>.supported)
  }

  /// As x → −∞ these are e^x to first order, and must not lose its digits to a neighbouring 1. Subnormal results have
  /// fewer digits: an error of 2 spacings is what all the others are allowed, too.
  @Test(arguments: [Activation.exponential, .sigmoid, .softplus]) func tailsKeepRelativePrecision(_ f: Activation) {
    func check<Scalar: JudgedScalar>(_ x: [Scalar], _ all: [Kernels<Scalar>]) {
      for kernels in all {
        for (x, y) in zip(x, kernels.values(f, x)) {
          let truth = f.reference(x)
          let allowed = max(2 * Scalar.ulpOfOne.widened * truth, 2 * Scalar.leastNonzeroMagnitude.widened)
          let isClose = y > 0 && (y.widened - truth).magnitude <= allowed
          #expect(isClose, "\(f) [\(kernels.label)] of \(x.spelled): expected \(truth), got \(y.spelled)")
        }
      }
    }
    // 4 steps apart, so that every point has a few neighbours.
    func around<Scalar: JudgedScalar>(_ points: [Scalar]) -> [Scalar] {
      points.flatMap { point in
        (-8...8).map { (k: Int) -> Scalar in point + Scalar(4 * k) * point.ulp }
      }
    }
    check(around([-20, -50, -87, -95, -103] as [Float]), Kernels<Float>.supported)
    if Double.hasJudge {
      check(around([-20, -50, -87, -95, -103, -300, -700, -720, -744] as [Double]), Kernels<Double>.supported)
    }
  }

  /// A tanh that exceeds 1 flips the sign of 1 − y². Every float where rounding could push it there.
  @Test func saturatingFunctionsStayInRange() {
    func check<Scalar: JudgedScalar>(_ all: [Kernels<Scalar>], from first: Scalar, to last: Scalar, steps: Int) {
      for kernels in all {
        var complaints = Complaints()
        let step = (last.wideBits - first.wideBits) / UInt64(steps)
        for start in stride(from: 0, to: steps, by: 4096) {
          let positive = (0..<4096).map { Scalar(wideBits: first.wideBits + UInt64(start + $0) * step) }
          let x = positive + positive.map { -$0 }
          for f in [Activation.tanh, .sigmoid, .softsign] {
            let y = kernels.values(f, x)
            let slopes = kernels.derivatives(f, at: x, value: y)
            for i in x.indices where !(y[i].magnitude <= 1 && slopes[i] >= 0) {
              complaints.note("\(y[i].spelled), derivative \(slopes[i])", "\(f) [\(kernels.label)] of \(x[i].spelled)")
              if complaints.areEnough { return }
            }
          }
        }
      }
    }
    // 8,388,608 floats from 4 to 8 and from 8 to 16 each.
    check(Kernels<Float>.supported, from: 4, to: 16, steps: SuiteSettings.isThin ? 1 << 14 : 1 << 24)
    check(Kernels<Double>.supported, from: 12, to: 48, steps: SuiteSettings.isThin ? 1 << 14 : 1 << 20)
  }

  // MARK: Checks

  private func checkDenseSample<Scalar: JudgedScalar>(_ activation: Activation, _ all: [Kernels<Scalar>]) {
    var judgements = all.map { SampleJudgement($0, activation) }
    for block in 0..<Scalar.denseSampleBlocks {
      let x = Scalar.denseSample(block: block, for: activation)
      let next = x.map(\.nextUp)
      let mirrored = x.map { -$0 }
      let expected = x.map { activation.reference($0) }
      for i in judgements.indices { judgements[i].judge(x, next, mirrored, expected) }
    }
    for judgement in judgements { judgement.report() }
  }

  private func checkSpecialValues<Scalar: JudgedScalar>(_ activation: Activation, _ all: [Kernels<Scalar>]) {
    let x = Scalar.landmarks + activation.exactValues(of: Scalar.self).map(\.x)
    let first = all[0].values(activation, x)
    for kernels in all {
      var complaints = Complaints()
      let y = kernels.values(activation, x)
      // Between instruction sets results may differ in the last place, but special ones have no digits to differ in.
      // softplus(0) = ln 2 has.
      for i in x.indices where !y[i].isSame(as: first[i]) {
        let ordinary = activation == .softplus ? 0...2 : Scalar.ulpOfOne...2
        if ordinary.contains(x[i].magnitude) { continue }
        complaints.note(
          "expected \(first[i].spelled), as \(all[0].instructionSet) has it, got \(y[i].spelled)",
          "\(activation) [\(kernels.label)] of \(x[i].spelled)")
      }
      for (x, y) in zip(x, y) where x.isNaN != y.isNaN {
        complaints.note("got \(y.spelled)", "\(activation) [\(kernels.label)] of \(x.spelled)")
      }
      let exact = activation.exactValues(of: Scalar.self)
      for ((x, expected), y) in zip(exact, kernels.values(activation, exact.map(\.x)))
      where y.wideBits != expected.wideBits {
        complaints.note(
          "expected \(expected.spelled), got \(y.spelled)", "\(activation) [\(kernels.label)] of \(x.spelled)")
      }
      checkErrors(activation, x, y, kernels, &complaints)
    }
  }

  private func checkSeams<Scalar: JudgedScalar>(_ activation: Activation, _ all: [Kernels<Scalar>]) {
    for kernels in all {
      var complaints = Complaints()
      for seam in activation.seams(of: Scalar.self) {
        let x = Scalar.neighbourhood(of: seam)
        let y = kernels.values(activation, x)
        for i in 1..<x.count where !(y[i - 1] <= y[i]) {
          complaints.note(
            "falls from \(y[i - 1].spelled) to \(y[i].spelled)",
            "\(activation) [\(kernels.label)] at \(x[i - 1].spelled), near the seam at \(seam)")
        }
        checkErrors(activation, x, y, kernels, &complaints)
      }
    }
  }

  /// Error, for arguments other than NaN.
  private func checkErrors<Scalar: JudgedScalar>(
    _ activation: Activation, _ x: [Scalar], _ y: [Scalar], _ kernels: Kernels<Scalar>, _ complaints: inout Complaints
  ) {
    guard Scalar.hasJudge else { return }
    let limit = activation.laws(kernels).largestError
    for i in x.indices where !x[i].isNaN {
      let truth = activation.reference(x[i])
      let error = y[i].error(from: truth)
      if error > limit {
        complaints.note(
          "expected \(truth), got \(y[i].spelled): \(error) ulp, more than \(limit)",
          "\(activation) [\(kernels.label)] of \(x[i].spelled)")
      }
    }
  }
}

/// What a sample shows about one function and one instruction set. Plain comparisons: millions of expectations would
/// take hours.
private struct SampleJudgement<Scalar: JudgedScalar> {
  private let kernels: Kernels<Scalar>
  private let activation: Activation
  private let laws: ActivationLaws
  private let range: ClosedRange<Scalar>
  private var largestError = 0.0
  private var worst: Scalar = 0
  private var largestDrop = 0
  private var dropsAfter: Scalar = 0
  private var wrongNaN: Scalar?
  private var outOfRange: Scalar?
  private var notOdd: Scalar?

  init(_ kernels: Kernels<Scalar>, _ activation: Activation) {
    self.kernels = kernels
    self.activation = activation
    laws = activation.laws(kernels)
    range = Scalar(laws.range.lowerBound)...Scalar(laws.range.upperBound)
  }

  /// - Parameters:
  ///   - next: the arguments after `x`.
  ///   - mirrored: −x.
  ///   - expected: f(x) in the wide format.
  mutating func judge(_ x: [Scalar], _ next: [Scalar], _ mirrored: [Scalar], _ expected: [Scalar.Wide]) {
    let y = kernels.values(activation, x)
    let yNext = kernels.values(activation, next)
    for i in x.indices {
      if x[i].isNaN || y[i].isNaN {
        if x[i].isNaN != y[i].isNaN { wrongNaN = x[i] }
        continue
      }
      if !range.contains(y[i]) { outOfRange = x[i] }
      let error = y[i].error(from: expected[i])
      if error > largestError { (largestError, worst) = (error, x[i]) }
      let drop = y[i].drop(to: yNext[i])
      if drop > largestDrop { (largestDrop, dropsAfter) = (drop, x[i]) }
    }
    if laws.isOdd {
      let yMirrored = kernels.values(activation, mirrored)
      for i in x.indices where (-yMirrored[i]).wideBits != y[i].wideBits && !x[i].isNaN { notOdd = x[i] }
    }
  }

  func report() {
    let name = "\(activation) [\(kernels.label)]"
    #expect(
      largestError <= laws.largestError && largestError <= 2,
      "\(name): \(largestError) ulp at \(worst.spelled), \(laws.largestError) documented")
    #expect(
      largestDrop <= laws.largestDrop,
      "\(name): falls by \(largestDrop) ulp after \(dropsAfter.spelled), \(laws.largestDrop) documented")
    for (finding, x) in [
      ("NaN where none is due, or none where one is", wrongNaN), ("outside \(laws.range)", outOfRange),
      ("f(−x) is not −f(x)", notOdd),
    ] {
      if let x { Issue.record("\(name): \(finding), at \(x.spelled)") }
    }
  }
}
