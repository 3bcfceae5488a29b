import Foundation
import Recurrence
import Testing

/// What holds of every rule, to the last bit.
@Suite("Laws of optimisers")
struct OptimizerLawTests {
  @Test(
    "a vector cut in parts gives the bits of the whole, and nothing beside it is touched", arguments: KernelCase.all)
  func parts(_ test: KernelCase) { test.run(checkParts, checkParts) }

  private func checkParts<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    let count = 130
    for rule in OptimizerCases.rules {
      let whole = run(Optimizer<Scalar>(rule, count: count, kernels: kernels), steps: 0..<4)
      for cuts in [[0, 1, 3, 17, 130], [0, 0, 64, 65, 129, 130], Array(0...130)] {
        var random = SeededRandom()
        var optimizer = Optimizer<Scalar>(rule, count: count, kernels: kernels)
        var parameters = [Scalar](repeating: .canary, count: 3) + random.array(count, .uniform) + [.canary, .canary]
        for step in 0..<4 {
          let gradient: [Scalar] = OptimizerCases.gradient(count, step: step, &random)
          optimizer.advance()
          for (start, end) in zip(cuts, cuts.dropFirst()) {
            unsafe parameters.withUnsafeMutableBufferPointer { parameters in
              unsafe gradient.withUnsafeBufferPointer { gradient in
                unsafe optimizer.update(
                  UnsafeMutableBufferPointer(rebasing: parameters[(3 + start)..<(3 + end)]),
                  UnsafeBufferPointer(rebasing: gradient[start..<end]), at: start,
                  learningRate: OptimizerCases.rate(step))
              }
            }
          }
        }
        let around = parameters[..<3] + parameters[(3 + count)...]
        complaints.note(
          around.allSatisfy { $0.isSame(as: .canary) } ? nil : "wrote beside the vector", "\(rule) \(kernels.label)")
        let result = Outcome(parameters: Array(parameters[3..<(3 + count)]), optimizer: optimizer)
        complaints.note(result.difference(from: whole), "\(rule), cut at \(cuts), \(kernels.label)")
      }
    }
  }

  /// More elements than the fewest that are split, and no multiple of a cache line.
  @Test("threads 1, 2, 3, 8 give the same bits", arguments: KernelCase.all)
  func threads(_ test: KernelCase) { test.run(checkThreads, checkThreads) }

  private func checkThreads<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for rule in OptimizerCases.rules {
      func result(_ threads: Int) -> Outcome<Scalar> {
        run(Optimizer<Scalar>(rule, count: 100_007, kernels: kernels), steps: 0..<2, threads: threads)
      }
      let one = result(1)
      for threads in [2, 3, 8] {
        complaints.note(result(threads).difference(from: one), "\(rule), \(threads) threads, \(kernels.label)")
      }
    }
  }

  @Test("an optimiser restored from a checkpoint goes on with the same bits", arguments: KernelCase.all)
  func restored(_ test: KernelCase) { test.run(checkRestored, checkRestored) }

  private func checkRestored<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for rule in OptimizerCases.rules {
      let straight = run(Optimizer<Scalar>(rule, count: 37, kernels: kernels), steps: 0..<30)
      let before = run(Optimizer<Scalar>(rule, count: 37, kernels: kernels), steps: 0..<13)
      // Through text, as a file would keep it.
      let coded = try! JSONDecoder().decode(OptimizerRule.self, from: JSONEncoder().encode(rule))
      var optimizer = Optimizer<Scalar>(coded, count: 37, kernels: kernels)
      optimizer.restore(steps: before.optimizer.steps, slots: before.optimizer.slots)
      let resumed = run(optimizer, from: before.parameters, steps: 13..<30)
      complaints.note(resumed.difference(from: straight), "\(rule), \(kernels.label)")
      complaints.note(resumed.optimizer.steps == 30 ? nil : "\(resumed.optimizer.steps) steps", "\(rule)")
    }
  }

  /// Of AdamW too: its decay is multiplied by the learning rate.
  @Test("a learning rate of 0 leaves parameters as they are", arguments: KernelCase.all)
  func zeroRate(_ test: KernelCase) { test.run(checkZeroRate, checkZeroRate) }

  private func checkZeroRate<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for rule in OptimizerCases.rules {
      var random = SeededRandom()
      let initial: [Scalar] = random.array(37, .wide)
      var (parameters, optimizer) = (initial, Optimizer<Scalar>(rule, count: 37, kernels: kernels))
      for step in 0..<5 {
        optimizer.update(
          &parameters, gradient: OptimizerCases.gradient(37, step: step, &random), learningRate: 0)
      }
      complaints.note(firstDifference(parameters, from: initial, columns: 37), "\(rule), \(kernels.label)")
      complaints.note(
        optimizer.slots.allSatisfy { $0.contains { $0 != 0 } } ? nil : "nothing is remembered", "\(rule)")
    }
  }

  /// What is remembered decays through the subnormal numbers, or comes to lie there by squaring; each would cost
  /// a hundred cycles from then on.
  @Test("subnormal numbers are zero in what is remembered", arguments: KernelCase.all)
  func subnormals(_ test: KernelCase) { test.run(checkSubnormals, checkSubnormals) }

  private func checkSubnormals<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    let least = Scalar.leastNormalMagnitude
    // At the edge itself, at its root, and subnormal.
    let tiny: [Scalar] = [
      4 * least, -least, least / 4, least.squareRoot(), least.squareRoot() / 8, 16 * least.squareRoot(),
    ]
    let rules: [OptimizerRule] = [
      .momentum(), .nesterov(), .adaGrad(), .rmsProp(decay: 0.9), .adam(beta2: 0.9), .adamW(beta2: 0.9),
    ]
    for rule in rules {
      // Enough of them for whole vectors and a rest.
      let gradient = [[Scalar]](repeating: tiny, count: 7).flatMap(\.self)
      var optimizer = Optimizer<Scalar>(rule, count: gradient.count, kernels: kernels)
      var parameters = [Scalar](repeating: 1, count: gradient.count)
      var slots: [[Scalar]] = []
      for step in 0..<4000 {
        let g = step == 0 ? gradient : [Scalar](repeating: 0, count: gradient.count)
        optimizer.update(&parameters, gradient: g, learningRate: 0.01)
        slots = optimizer.slots
        for (name, values) in zip(rule.slotNames, slots) {
          let found = values.first { $0.isSubnormal }
          complaints.note(found.map { "\($0)" }, "\(rule), \(name) after \(step + 1) updates, \(kernels.label)")
        }
      }
      let isDecayed = slots.allSatisfy { $0.allSatisfy { $0 == 0 } }
      let isSum = if case .adaGrad = rule { true } else { false }
      complaints.note(isDecayed || isSum ? nil : "something is left after 4000 updates", "\(rule), \(kernels.label)")
      complaints.note(parameters.allSatisfy(\.isFinite) ? nil : "\(parameters)", "\(rule), \(kernels.label)")
    }
  }

  /// Parameters and what is remembered after some updates.
  private struct Outcome<Scalar: TestScalar> {
    var parameters: [Scalar]
    var optimizer: Optimizer<Scalar>

    func difference(from other: Self) -> String? {
      let mine = [("parameters", parameters)] + Array(zip(optimizer.rule.slotNames, optimizer.slots))
      let theirs = [other.parameters] + other.optimizer.slots
      return zip(mine, theirs).lazy.compactMap { mine, theirs in
        firstDifference(mine.1, from: theirs, columns: mine.1.count).map { "\(mine.0): \($0)" }
      }.first
    }
  }

  /// Step t has the same gradient and rate wherever a run begins.
  private func run<Scalar: TestScalar>(
    _ optimizer: Optimizer<Scalar>, from parameters: [Scalar]? = nil, steps: Range<Int>, threads: Int = 1
  ) -> Outcome<Scalar> {
    var random = SeededRandom()
    let count = optimizer.count
    let initial: [Scalar] = random.array(count, .uniform)
    var result = Outcome(parameters: parameters ?? initial, optimizer: optimizer)
    for step in 0..<steps.upperBound {
      let gradient: [Scalar] = OptimizerCases.gradient(count, step: step, &random)
      if step < steps.lowerBound { continue }
      result.optimizer.advance()
      unsafe result.parameters.withUnsafeMutableBufferPointer { parameters in
        unsafe gradient.withUnsafeBufferPointer { gradient in
          unsafe result.optimizer.update(
            parameters, gradient, at: 0, learningRate: OptimizerCases.rate(step), threads: threads)
        }
      }
    }
    return result
  }
}
