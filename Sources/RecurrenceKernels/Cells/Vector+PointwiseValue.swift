// Registers as values of a cell's mathematics.

extension Vector {
  @inlinable @inline(__always) public init(_ value: Double) { self.init(repeating: Scalar(value)) }

  @inlinable @inline(__always) public static prefix func - (a: Self) -> Self { a.negated }

  @inlinable @inline(__always)
  public static func select(where a: Self, isLessThan b: Self, then x: Self, else y: Self) -> Self {
    select(isLess(a, b), x, y)
  }

  @inlinable @inline(__always)
  public func applying(_ activation: Activation) -> Self {
    switch activation {
    case .exponential: Exponential().value(self)
    case .tanh: Tanh().value(self)
    case .sigmoid: Sigmoid().value(self)
    case .softplus: Softplus().value(self)
    case .relu: ReLU().value(self)
    case .leakyReLU(let slope): LeakyReLU(slope: slope).value(self)
    case .elu(let alpha): ELU(alpha: alpha).value(self)
    case .softsign: Softsign().value(self)
    case .hardSigmoid(let slope, let offset): HardSigmoid(slope: slope, offset: offset).value(self)
    case .hardTanh(let minimum, let maximum): HardTanh(minimum: minimum, maximum: maximum).value(self)
    case .identity: self
    }
  }

  @inlinable @inline(__always)
  public func derivative(of activation: Activation, value y: Self) -> Self {
    switch activation {
    case .exponential: Exponential().derivative(at: self, value: y)
    case .tanh: Tanh().derivative(at: self, value: y)
    case .sigmoid: Sigmoid().derivative(at: self, value: y)
    case .softplus: Softplus().derivative(at: self, value: y)
    case .relu: ReLU().derivative(at: self, value: y)
    case .leakyReLU(let slope): LeakyReLU(slope: slope).derivative(at: self, value: y)
    case .elu(let alpha): ELU(alpha: alpha).derivative(at: self, value: y)
    case .softsign: Softsign().derivative(at: self, value: y)
    case .hardSigmoid(let slope, let offset):
      HardSigmoid(slope: slope, offset: offset).derivative(at: self, value: y)
    case .hardTanh(let minimum, let maximum):
      HardTanh(minimum: minimum, maximum: maximum).derivative(at: self, value: y)
    case .identity: 1
    }
  }
}
