// θ parameters, g their gradient, η the learning rate; m and v are what a rule remembers, zero at first.
//
//   descent     θ ← θ − η g
//   momentum    v ← μ v + g                          θ ← θ − η v,  or by Nesterov  θ ← θ − η (g + μ v)
//   AdaGrad     v ← v + g²                           θ ← θ − η g / (√v + ε)
//   RMSProp     v ← α v + (1 − α) g²                 θ ← θ − η g / (√v + ε)
//   Adam        m ← β₁ m + (1 − β₁) g
//               v ← β₂ v + (1 − β₂) g²               θ ← (1 − η λ) θ − η̂ m / (√v / c + ε)
//
// where η̂ = η / (1 − β₁ᵗ), c = √(1 − β₂ᵗ), and λ = 0 but for AdamW.

/// One update of parameters, everything that depends on the step alone worked out.
@frozen public enum ParameterUpdate<Scalar: KernelScalar>: Sendable {
  case descent(rate: Scalar)
  case momentum(rate: Scalar, momentum: Scalar, isNesterov: Bool)
  case adaGrad(rate: Scalar, epsilon: Scalar)
  case rmsProp(rate: Scalar, decay: Scalar, epsilon: Scalar)
  /// `rate` is η̂, `correction` 1/c, `keep` 1 − η λ.
  case adam(rate: Scalar, beta1: Scalar, beta2: Scalar, correction: Scalar, epsilon: Scalar, keep: Scalar)
}

/// The arrays of an update, each of `count` elements; they do not overlap.
@frozen @unsafe public struct UpdateOperands<Scalar: KernelScalar> {
  /// In and out, θ.
  public var parameters: UnsafeMutablePointer<Scalar>
  /// In, g.
  public var gradient: UnsafePointer<Scalar>
  /// In and out: v of momentum, AdaGrad and RMSProp, m of Adam. Not read by descent.
  public var first: UnsafeMutablePointer<Scalar>
  /// In and out: v of Adam. Not read by the others.
  public var second: UnsafeMutablePointer<Scalar>
  public var count: Int

  @inlinable
  public init(
    parameters: UnsafeMutablePointer<Scalar>, gradient: UnsafePointer<Scalar>, first: UnsafeMutablePointer<Scalar>,
    second: UnsafeMutablePointer<Scalar>, count: Int
  ) {
    unsafe self.parameters = parameters
    unsafe self.gradient = gradient
    unsafe self.first = first
    unsafe self.second = second
    unsafe self.count = count
  }
}

/// Updates of parameters: element by element, so that the bits depend on no other element and on no splitting.
public enum OptimizerKernel<V: Vector> {
  @inlinable @inline(__always)
  public static func run(_ update: ParameterUpdate<V.Scalar>, _ operands: UpdateOperands<V.Scalar>) {
    switch update {
    case .descent(let rate): unsafe apply(Descent(rate: V(repeating: rate)), operands)
    case .momentum(let rate, let momentum, false):
      unsafe apply(Momentum(rate: V(repeating: rate), momentum: V(repeating: momentum)), operands)
    case .momentum(let rate, let momentum, true):
      unsafe apply(Nesterov(rate: V(repeating: rate), momentum: V(repeating: momentum)), operands)
    case .adaGrad(let rate, let epsilon):
      unsafe apply(AdaGrad(rate: V(repeating: rate), epsilon: V(repeating: epsilon)), operands)
    case .rmsProp(let rate, let decay, let epsilon):
      unsafe apply(
        RMSProp(
          rate: V(repeating: rate), decay: V(repeating: decay), rest: V(repeating: 1 - decay),
          epsilon: V(repeating: epsilon)), operands)
    case .adam(let rate, let beta1, let beta2, let correction, let epsilon, let keep):
      unsafe apply(
        Adam(
          rate: V(repeating: rate), beta1: V(repeating: beta1), rest1: V(repeating: 1 - beta1),
          beta2: V(repeating: beta2), rest2: V(repeating: 1 - beta2), correction: V(repeating: correction),
          epsilon: V(repeating: epsilon), keep: V(repeating: keep)), operands)
    }
  }

  @inlinable @inline(__always)
  static func apply<R: UpdateRule>(_ rule: R, _ operands: UpdateOperands<V.Scalar>) where R.V == V {
    var i = 0
    while unsafe i &+ V.lanes <= operands.count {
      let old = unsafe UpdateValues(
        parameter: V.load(operands.parameters + i),
        first: R.slots > 0 ? V.load(operands.first + i) : .zero,
        second: R.slots > 1 ? V.load(operands.second + i) : .zero)
      let new = unsafe rule.update(old, gradient: V.load(operands.gradient + i))
      unsafe new.parameter.store(operands.parameters + i)
      if R.slots > 0 { unsafe new.first.store(operands.first + i) }
      if R.slots > 1 { unsafe new.second.store(operands.second + i) }
      i &+= V.lanes
    }
    let rest = unsafe operands.count &- i
    if rest == 0 { return }
    let old = unsafe UpdateValues(
      parameter: V.load(operands.parameters + i, count: rest),
      first: R.slots > 0 ? V.load(operands.first + i, count: rest) : .zero,
      second: R.slots > 1 ? V.load(operands.second + i, count: rest) : .zero)
    let new = unsafe rule.update(old, gradient: V.load(operands.gradient + i, count: rest))
    unsafe new.parameter.store(operands.parameters + i, count: rest)
    if R.slots > 0 { unsafe new.first.store(operands.first + i, count: rest) }
    if R.slots > 1 { unsafe new.second.store(operands.second + i, count: rest) }
  }
}

@frozen @usableFromInline struct UpdateValues<V: Vector> {
  @usableFromInline var parameter, first, second: V
  @inlinable @inline(__always) init(parameter: V, first: V, second: V) {
    self.parameter = parameter
    self.first = first
    self.second = second
  }
}

@usableFromInline protocol UpdateRule {
  associatedtype V: Vector
  /// Vectors that it remembers for each of parameters.
  static var slots: Int { get }
  func update(_ old: UpdateValues<V>, gradient g: V) -> UpdateValues<V>
}

@frozen @usableFromInline struct Descent<V: Vector>: UpdateRule {
  @usableFromInline let rate: V
  @inlinable @inline(__always) init(rate: V) { self.rate = rate }
  @inlinable @inline(__always) static var slots: Int { 0 }
  @inlinable @inline(__always) func update(_ old: UpdateValues<V>, gradient g: V) -> UpdateValues<V> {
    var new = old
    new.parameter = V.negatedMultiplyAdd(rate, g, old.parameter)
    return new
  }
}

@frozen @usableFromInline struct Momentum<V: Vector>: UpdateRule {
  @usableFromInline let rate, momentum: V
  @inlinable @inline(__always) init(rate: V, momentum: V) {
    self.rate = rate
    self.momentum = momentum
  }
  @inlinable @inline(__always) static var slots: Int { 1 }
  @inlinable @inline(__always) func update(_ old: UpdateValues<V>, gradient g: V) -> UpdateValues<V> {
    var new = old
    new.first = V.multiplyAdd(momentum, old.first, g)
    new.parameter = V.negatedMultiplyAdd(rate, new.first, old.parameter)
    return new
  }
}

@frozen @usableFromInline struct Nesterov<V: Vector>: UpdateRule {
  @usableFromInline let rate, momentum: V
  @inlinable @inline(__always) init(rate: V, momentum: V) {
    self.rate = rate
    self.momentum = momentum
  }
  @inlinable @inline(__always) static var slots: Int { 1 }
  @inlinable @inline(__always) func update(_ old: UpdateValues<V>, gradient g: V) -> UpdateValues<V> {
    var new = old
    new.first = V.multiplyAdd(momentum, old.first, g)
    new.parameter = V.negatedMultiplyAdd(rate, V.multiplyAdd(momentum, new.first, g), old.parameter)
    return new
  }
}

@frozen @usableFromInline struct AdaGrad<V: Vector>: UpdateRule {
  @usableFromInline let rate, epsilon: V
  @inlinable @inline(__always) init(rate: V, epsilon: V) {
    self.rate = rate
    self.epsilon = epsilon
  }
  @inlinable @inline(__always) static var slots: Int { 1 }
  @inlinable @inline(__always) func update(_ old: UpdateValues<V>, gradient g: V) -> UpdateValues<V> {
    var new = old
    new.first = V.multiplyAdd(g, g, old.first)
    new.parameter = old.parameter - rate * g / (V.squareRoot(new.first) + epsilon)
    return new
  }
}

@frozen @usableFromInline struct RMSProp<V: Vector>: UpdateRule {
  @usableFromInline let rate, decay, rest, epsilon: V
  @inlinable @inline(__always) init(rate: V, decay: V, rest: V, epsilon: V) {
    self.rate = rate
    self.decay = decay
    self.rest = rest
    self.epsilon = epsilon
  }
  @inlinable @inline(__always) static var slots: Int { 1 }
  @inlinable @inline(__always) func update(_ old: UpdateValues<V>, gradient g: V) -> UpdateValues<V> {
    var new = old
    new.first = V.multiplyAdd(rest * g, g, decay * old.first)
    new.parameter = old.parameter - rate * g / (V.squareRoot(new.first) + epsilon)
    return new
  }
}

@frozen @usableFromInline struct Adam<V: Vector>: UpdateRule {
  @usableFromInline let rate, beta1, rest1, beta2, rest2, correction, epsilon, keep: V
  @inlinable @inline(__always)
  init(rate: V, beta1: V, rest1: V, beta2: V, rest2: V, correction: V, epsilon: V, keep: V) {
    self.rate = rate
    self.beta1 = beta1
    self.rest1 = rest1
    self.beta2 = beta2
    self.rest2 = rest2
    self.correction = correction
    self.epsilon = epsilon
    self.keep = keep
  }
  @inlinable @inline(__always) static var slots: Int { 2 }
  @inlinable @inline(__always) func update(_ old: UpdateValues<V>, gradient g: V) -> UpdateValues<V> {
    var new = old
    new.first = V.multiplyAdd(rest1, g, beta1 * old.first)
    new.second = V.multiplyAdd(rest2 * g, g, beta2 * old.second)
    let scale = V.multiplyAdd(V.squareRoot(new.second), correction, epsilon)
    new.parameter = keep * old.parameter - rate * new.first / scale
    return new
  }
}
