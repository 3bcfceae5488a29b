import Recurrence
import Testing

/// Every rule against its formula and against PyTorch.
@Suite("Optimisers")
struct OptimizerTests {
  /// Kernels round up to four times where the formula does once: in 1/c, η̂ and 1 − η λ, and because √v is corrected, not v.
  private static let slack = 4.0

  @Test("25 updates equal the formulas", arguments: KernelCase.all) func oracle(_ test: KernelCase) {
    test.run(checkOracle, checkOracle)
  }

  private func checkOracle<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    for (stream, rule) in OptimizerCases.rules.enumerated() {
      for count in [0, 1, 3, 17, 1000] {
        var random = SeededRandom(stream: stream)
        var parameters: [Scalar] = random.array(count, .uniform)
        // From zero a relative error of the step shows; elsewhere the rounding of θ hides it.
        for i in stride(from: 0, to: count, by: 5) { parameters[i] = 0 }
        var exact = parameters.map { BoundedNumber($0) }
        var optimizer = Optimizer(rule, count: count, kernels: kernels)
        var naive = NaiveOptimizer<Scalar>(rule, count: count)
        for step in 0..<25 {
          let gradient: [Scalar] = OptimizerCases.gradient(count, step: step, &random)
          optimizer.update(&parameters, gradient: gradient, learningRate: OptimizerCases.rate(step))
          naive.update(&exact, gradient: gradient, learningRate: OptimizerCases.rate(step))
          func judge(_ name: String, _ actual: [Scalar], _ expected: [BoundedNumber<Scalar>]) {
            for i in 0..<count where !complaints.areEnough {
              complaints.note(
                expected[i].complaint(actual[i], slack: Self.slack),
                "\(rule), \(name)[\(i)] of \(count) after update \(step + 1), \(kernels.label)")
            }
          }
          judge("parameters", parameters, exact)
          for (index, name) in rule.slotNames.enumerated() {
            judge(name, optimizer.slots[index], naive.slots[index])
          }
        }
        #expect(optimizer.steps == 25)
      }
    }
  }

  /// With g constant, m̂ = g and v̂ = g² whatever the decays, so that each update moves a parameter by η |g| / (|g| + ε).
  /// That holds where the corrections are of the very decays that the averages are made with.
  @Test("Adam moves by the learning rate where the gradient is constant", arguments: KernelCase.all)
  func constantGradient(_ test: KernelCase) { test.run(checkConstantGradient, checkConstantGradient) }

  private func checkConstantGradient<Scalar: TestScalar>(_ kernels: Kernels<Scalar>) {
    var complaints = Complaints()
    let η = 0x1p-6
    for (β1, β2) in [(0.9, 0.999), (0.95, 0.9999)] {
      let rule = OptimizerRule.adam(beta1: β1, beta2: β2, epsilon: 0)
      var optimizer = Optimizer(rule, count: 3, kernels: kernels)
      let gradient: [Scalar] = [1, -2, 3]
      var parameters: [Scalar] = [0, 0, 0]
      for step in 1...64 {
        optimizer.update(&parameters, gradient: gradient, learningRate: η)
        for i in 0..<3 {
          let moved = parameters[i].asDouble * (i == 1 ? 1 : -1)
          // Averages are rounded twice or thrice a step, of which v's enter by half, and θ once; 1 − βᵗ has some t·2⁻⁵³ of
          // βᵗ in it. Then a handful of roundings of the step itself.
          let unit = BoundedNumber<Scalar>.unit
          let tolerance = Double(step) * (5 * unit + 0x1p-52 / (1 - β2)) + 8 * unit
          let error = (moved / (η * Double(step)) - 1).magnitude
          complaints.note(
            error <= tolerance ? nil : "\(error) of η beyond η, tolerance \(tolerance)",
            "\(rule), parameter \(i), update \(step), \(kernels.label)")
        }
      }
    }
  }

  /// Files of Fixtures/Training, and the rules they are of.
  static let files = [
    "sgd", "momentum", "momentum-other", "nesterov", "nesterov-other", "adagrad", "adagrad-other", "rmsprop",
    "rmsprop-other", "adam", "adam-other", "adamw", "adamw-other",
  ]

  /// In Double both round a few times an update: 25 updates are off by some 10⁻¹⁵ of the largest parameter, and what is
  /// remembered by ten times that of itself, where it has cancelled.
  @Test("25 updates equal PyTorch's", arguments: files) func pytorch(_ name: String) throws {
    let fixture = try Fixture("Training/" + name)
    let rule = try Self.rule(name, options: fixture.tensors["options"]?.values ?? [])
    let gradients = try fixture.planes("gradients")
    let after = try fixture.planes("parameters")
    let rates = try fixture("rates", shape: [gradients.count])
    #expect(gradients.count == 25)
    for kernels in Kernels<Double>.supported {
      var parameters = try fixture("initial")
      var optimizer = Optimizer(rule, count: parameters.count, kernels: kernels)
      for step in gradients.indices {
        optimizer.update(&parameters, gradient: gradients[step], learningRate: rates[step])
        let error = largestError(parameters, after[step])
        #expect(error <= 1e-13, "\(name), update \(step + 1), \(kernels.label): off by \(error) of the largest")
      }
      for (slot, values) in zip(rule.slotNames, optimizer.slots) {
        let error = try zip(values, fixture("slot." + slot)).map { ($0 - $1).magnitude / max($1.magnitude, 1e-30) }
          .max()
        #expect(error! <= 1e-12, "\(name), \(slot), \(kernels.label): off by \(error!)")
      }
      let expected = fixture.tensors.keys.filter { $0.hasPrefix("slot.") }.map { String($0.dropFirst(5)) }
      #expect(Set(rule.slotNames) == Set(expected), "\(name): PyTorch remembers \(expected)")
    }
  }

  /// Without options the rule's own defaults, which must be PyTorch's.
  private static func rule(_ name: String, options: [Double]) throws -> OptimizerRule {
    switch (name.split(separator: "-")[0], options.count) {
    case ("sgd", 0): .sgd
    case ("momentum", 1): .momentum(options[0])
    case ("nesterov", 1): .nesterov(options[0])
    case ("adagrad", 0): .adaGrad()
    case ("adagrad", 1): .adaGrad(epsilon: options[0])
    case ("rmsprop", 0): .rmsProp()
    case ("rmsprop", 2): .rmsProp(decay: options[0], epsilon: options[1])
    case ("adam", 0): .adam()
    case ("adam", 3): .adam(beta1: options[0], beta2: options[1], epsilon: options[2])
    case ("adamw", 0): .adamW()
    case ("adamw", 4):
      .adamW(beta1: options[0], beta2: options[1], epsilon: options[2], weightDecay: options[3])
    default: throw Fixture.Failure(description: "\(name): no rule with \(options.count) options")
    }
  }
}
