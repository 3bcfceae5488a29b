import RecurrenceKernels

/// How a gradient changes parameters. The formulas stand in `OptimizerKernel`; names, defaults and results are PyTorch's.
public enum OptimizerRule: Hashable, Sendable, Codable {
  /// θ ← θ − η g.
  case sgd
  /// Heavy ball (Polyak 1964), without dampening. 0 ≤ μ < 1.
  case momentum(_ momentum: Double = 0.9)
  /// Nesterov's (1983) in the form of Sutskever et al. (2013). 0 ≤ μ < 1.
  case nesterov(_ momentum: Double = 0.9)
  /// Duchi, Hazan and Singer 2011. ε ≥ 0.
  case adaGrad(epsilon: Double = 1e-10)
  /// Tieleman and Hinton 2012. 0 ≤ α < 1, ε ≥ 0.
  case rmsProp(decay: Double = 0.99, epsilon: Double = 1e-8)
  /// Kingma and Ba 2015. 0 ≤ β₁, β₂ < 1, ε ≥ 0.
  case adam(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8)
  /// Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019). λ ≥ 0.
  case adamW(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01)

  /// What is remembered for each parameter, by PyTorch's names.
  public var slotNames: [String] {
    switch self {
    case .sgd: []
    case .momentum, .nesterov: ["momentum_buffer"]
    case .adaGrad: ["sum"]
    case .rmsProp: ["square_avg"]
    case .adam, .adamW: ["exp_avg", "exp_avg_sq"]
    }
  }

  /// What is wrong with its numbers; nil where nothing is.
  package var complaint: String? {
    func fraction(_ name: String, _ value: Double) -> String? {
      value >= 0 && value < 1 ? nil : "\(name): expected at least 0 and less than 1, got \(value)"
    }
    func size(_ name: String, _ value: Double) -> String? {
      value >= 0 && value.isFinite ? nil : "\(name): expected a finite number of at least 0, got \(value)"
    }
    return switch self {
    case .sgd: nil
    case .momentum(let momentum), .nesterov(let momentum): fraction("momentum", momentum)
    case .adaGrad(let epsilon): size("epsilon", epsilon)
    case .rmsProp(let decay, let epsilon): fraction("decay", decay) ?? size("epsilon", epsilon)
    case .adam(let beta1, let beta2, let epsilon):
      fraction("beta1", beta1) ?? fraction("beta2", beta2) ?? size("epsilon", epsilon)
    case .adamW(let beta1, let beta2, let epsilon, let weightDecay):
      fraction("beta1", beta1) ?? fraction("beta2", beta2) ?? size("epsilon", epsilon)
        ?? size("weightDecay", weightDecay)
    }
  }
}

/// An optimiser of one flat vector of parameters.
///
///     var adam = Optimizer<Float>(.adam(), count: lstm.layout.count)
///     lstm.withParameters { adam.update(&$0, gradient: gradient.values, learningRate: 2e-3) }
///
/// A value: a copy remembers what the original remembered. Updates are element by element; the bits depend neither on
/// threads nor on how a vector is cut up. Subnormal numbers are zero in what is remembered. Updates allocate nothing.
public struct Optimizer<Scalar: RecurrenceScalar>: Sendable {
  public let rule: OptimizerRule
  /// Elements of the flat vector.
  public let count: Int
  /// Updates made so far.
  public internal(set) var steps = 0
  /// What is remembered, one vector for each of the rule's `slotNames`. Setting other sizes traps.
  public var slots: [[Scalar]] {
    get { Array([first, second].prefix(rule.slotNames.count)) }
    set {
      if newValue.count != rule.slotNames.count || newValue.contains(where: { $0.count != count }) {
        fatalError("slots: expected \(rule.slotNames.count) vectors of \(count) elements, got \(newValue.map(\.count))")
      }
      first = newValue.first ?? []
      second = newValue.dropFirst().first ?? []
    }
  }
  private var first: [Scalar]
  private var second: [Scalar]
  let kernels: Kernels<Scalar>

  /// Traps with a sentence where a number of the rule is outside its range, or `count` negative.
  public init(_ rule: OptimizerRule, count: Int) { self.init(rule, count: count, kernels: .selected) }

  package init(_ rule: OptimizerRule, count: Int, kernels: Kernels<Scalar>) {
    if count < 0 { fatalError("count: expected at least 0, got \(count)") }
    if let complaint = rule.complaint { fatalError(complaint) }
    self.rule = rule
    self.count = count
    self.kernels = kernels
    first = [Scalar](repeating: 0, count: rule.slotNames.count > 0 ? count : 0)
    second = [Scalar](repeating: 0, count: rule.slotNames.count > 1 ? count : 0)
  }

  /// Restores what a checkpoint kept.
  public mutating func restore(steps: Int, slots: [[Scalar]]) {
    if steps < 0 { fatalError("steps: expected at least 0, got \(steps)") }
    self.steps = steps
    self.slots = slots
  }

  /// One update of all parameters.
  ///
  /// - Parameters:
  ///   - parameters: in and out, `count` elements.
  ///   - gradient: `count` elements, finite: see `GradientClipping` for those that are not.
  ///   - learningRate: η, finite, at least 0.
  ///
  /// Traps with a sentence where sizes do not fit.
  public mutating func update(_ parameters: inout [Scalar], gradient: [Scalar], learningRate: Double) {
    if parameters.count != count { fatalError("parameters: expected \(count) elements, got \(parameters.count)") }
    if gradient.count != count { fatalError("gradient: expected \(count) elements, got \(gradient.count)") }
    advance()
    unsafe parameters.withUnsafeMutableBufferPointer { parameters in
      unsafe gradient.withUnsafeBufferPointer { gradient in
        unsafe update(parameters, gradient, at: 0, learningRate: learningRate)
      }
    }
  }

  /// Begins a step that is made in parts.
  package mutating func advance() { steps += 1 }

  /// The part of a step that updates elements from `offset` on.
  package mutating func update(
    _ parameters: UnsafeMutableBufferPointer<Scalar>, _ gradient: UnsafeBufferPointer<Scalar>, at offset: Int,
    learningRate: Double, threads: Int = 1
  ) {
    if !(learningRate >= 0 && learningRate.isFinite) {
      fatalError("learning rate: expected a finite number of at least 0, got \(learningRate)")
    }
    if parameters.count != gradient.count || offset < 0 || parameters.count > count - offset {
      fatalError(
        "optimizer: expected one of at least \(offset + parameters.count) parameters, got one of \(count); "
          + "\(gradient.count) elements of gradient for \(parameters.count) parameters")
    }
    guard let θ = parameters.baseAddress, let g = gradient.baseAddress else { return }
    let count = parameters.count
    let update = parameterUpdate(learningRate: learningRate)
    let table = kernels.table
    // Sixteen elements are a cache line of Float or two of Double: no two threads write to one.
    let lines = EvenSplit((count + 15) / 16, parts: count < Self.smallestSplit ? 1 : threads)
    unsafe first.withUnsafeMutableBufferPointer { first in
      unsafe second.withUnsafeMutableBufferPointer { second in
        // A rule that has no such slot does not touch it.
        nonisolated(unsafe) let first = unsafe first.isEmpty ? θ : first.baseAddress! + offset
        nonisolated(unsafe) let second = unsafe second.isEmpty ? θ : second.baseAddress! + offset
        nonisolated(unsafe) let (θ, g) = unsafe (θ, g)
        concurrentParts(lines.parts) { part in
          let range = lines.range(part)
          let start = range.lowerBound * 16
          flushingSubnormals {
            unsafe table.update(
              update,
              UpdateOperands(
                parameters: θ + start, gradient: g + start, first: first + start, second: second + start,
                count: min(count, range.upperBound * 16) - start))
          }
        }
      }
    }
  }

  /// Elements below which an update is not split: some 50 µs of one core.
  private static var smallestSplit: Int { 100_000 }

  private func parameterUpdate(learningRate η: Double) -> ParameterUpdate<Scalar> {
    switch rule {
    case .sgd: .descent(rate: Scalar(η))
    case .momentum(let momentum): .momentum(rate: Scalar(η), momentum: Scalar(momentum), isNesterov: false)
    case .nesterov(let momentum): .momentum(rate: Scalar(η), momentum: Scalar(momentum), isNesterov: true)
    case .adaGrad(let epsilon): .adaGrad(rate: Scalar(η), epsilon: Scalar(epsilon))
    case .rmsProp(let decay, let epsilon): .rmsProp(rate: Scalar(η), decay: Scalar(decay), epsilon: Scalar(epsilon))
    case .adam(let beta1, let beta2, let epsilon): adam(η, beta1, beta2, epsilon, 0)
    case .adamW(let beta1, let beta2, let epsilon, let weightDecay): adam(η, beta1, beta2, epsilon, weightDecay)
    }
  }

  private func adam(
    _ η: Double, _ beta1: Double, _ beta2: Double, _ epsilon: Double, _ weightDecay: Double
  ) -> ParameterUpdate<Scalar> {
    // Corrected for the decays that the averages are made with: 0.999 rounded to Float is off by 10⁻⁵ of 1 − 0.999.
    let (decay1, decay2) = (Scalar(beta1), Scalar(beta2))
    return .adam(
      rate: Scalar(η / (1 - power(decay1.asDouble, steps))), beta1: decay1, beta2: decay2,
      correction: Scalar(1 / (1 - power(decay2.asDouble, steps)).squareRoot()), epsilon: Scalar(epsilon),
      keep: Scalar(1 - η * weightDecay))
  }

  /// baseⁿ by repeated squaring: a function of n alone, so that a resumed run has the bits of one never interrupted.
  private func power(_ base: Double, _ n: Int) -> Double {
    var (result, square, rest) = (1.0, base, n)
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }
}
