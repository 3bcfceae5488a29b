import Recurrence

/// A reference of the gradient flow: a network with PyTorch's names, its inputs, and what was computed with it elsewhere.
struct FlowFixture {
  let fixture: Fixture
  /// What the names begin with.
  var prefix = ""

  init(_ name: String, prefix: String = "") throws {
    fixture = try Fixture("GradientFlow/" + name)
    self.prefix = prefix
  }

  init(_ fixture: Fixture, prefix: String) {
    self.fixture = fixture
    self.prefix = prefix
  }

  func callAsFunction(_ name: String) throws -> [Double] { try fixture(prefix + name) }
  func shape(_ name: String) throws -> [Int] { try fixture.shape(prefix + name) }
  func has(_ name: String) -> Bool { fixture.tensors[prefix + name] != nil }

  /// T and B.
  func size() throws -> (steps: Int, batch: Int) { try (shape("x")[0], shape("x")[1]) }

  func stack<C: Cell, S: TestScalar>(
    _ cell: C, _: S.Type, kernels: Kernels<S> = .selected
  ) throws -> RecurrentStack<C, S> {
    var layers = 1
    while has("weight_ih_l\(layers)") { layers += 1 }
    var stack = RecurrentStack<C, S>(
      cell, inputs: try shape("weight_ih_l0")[1], units: try shape("weight_hh_l0")[1], layers: layers,
      kernels: kernels)
    var parameters = Parameters<S>(stack.layout)
    for layer in 0..<layers {
      parameters["W", layer: layer] = try self("weight_ih_l\(layer)").map { S($0) }
      parameters["U", layer: layer] = try self("weight_hh_l\(layer)").map { S($0) }
      let count = stack.layout.tensor("b", layer: layer)!.rows
      let zeros = [Double](repeating: 0, count: count)
      let input = try has("bias_ih_l\(layer)") ? self("bias_ih_l\(layer)") : zeros
      let recurrent = try has("bias_hh_l\(layer)") ? self("bias_hh_l\(layer)") : zeros
      // Of a GRU's candidate the two stay apart.
      let apart = stack.layout.tensor("b_h", layer: layer)?.rows ?? 0
      parameters["b", layer: layer] = (0..<count).map {
        S($0 < count - apart ? input[$0] + recurrent[$0] : input[$0])
      }
      if apart > 0 { parameters["b_h", layer: layer] = recurrent.suffix(apart).map { S($0) } }
    }
    stack.parameters = parameters
    return stack
  }

  /// Initial states by the names h0 and c0, zero where there are none; or others.
  func states<C: Cell, S: TestScalar>(
    of stack: RecurrentStack<C, S>, _ names: [String] = ["h0", "c0"]
  ) throws -> RecurrentStates<S> {
    var states = try stack.makeStates(batch: size().batch)
    for (state, name) in zip(C.states, names) where has(name) { states[state] = try self(name).map { S($0) } }
    return states
  }
}

/// Complaint where values are not those expected, relative to the largest of these.
func difference(_ what: String, _ values: [Double], _ expected: [Double], within tolerance: Double) -> String? {
  let error = relativeError(values, expected)
  return error <= tolerance ? nil : "\(what): off by \(error), expected \(expected), got \(values)"
}
