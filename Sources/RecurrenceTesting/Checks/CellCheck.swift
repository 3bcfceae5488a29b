import Recurrence

/// The checks of the battery. Each is a law that a forward and a backward pass of any cell must obey.
public enum CellCheck: String, CaseIterable, Sendable {
  // Against oracles.
  case values, gradient, adjoint, differences, jacobian, taylor
  // Of the backward by itself.
  case pointwise, derived, linearity
  // Of batches.
  case permutation, rows, padding
  // Of time.
  case split, truncation, streaming, inference, recomputation, chunks
  // Of memory and threads.
  case threads, poison, reuse, aliasing
  // Of what is done with the gradient.
  case clipping

  /// The law, in one line.
  public var law: String {
    switch self {
    case .values: "outputs and final states are the naive driver's, element by element within rounding"
    case .gradient: "every gradient is the oracle's, element by element within rounding"
    case .adjoint: "⟨Jv, u⟩ = ⟨v, Jᵀu⟩, Jv from dual numbers, tensor by tensor"
    case .differences: "⟨∇L, v⟩ is the central difference of L along v, tensor by tensor"
    case .jacobian: "∂(states)/∂(everything) of one step of a small network, complete, by differences"
    case .taylor: "L(p + εv) − L(p) − ε⟨∇L, v⟩ falls as ε²"
    case .pointwise: "a backward written by hand is the derivative of the step, unit by unit, saturated gates included"
    case .derived: "a fused or hand-written backward gives the gradient that is derived from the step"
    case .linearity: "the backward pass is linear: Jᵀ(2u) = 2Jᵀu to the bit, Jᵀ(u + w) = Jᵀu + Jᵀw, Jᵀ0 = 0"
    case .permutation: "a permuted batch gives permuted results and the same gradient of the parameters"
    case .rows: "the gradient of a batch is the sum over its sequences, each run alone"
    case .padding: "padded steps change no bit and are not read"
    case .split: "a sequence in two parts gives the bits of the whole"
    case .truncation: "windows without a carried gradient give the gradient with the states between them held fixed"
    case .streaming: "step by step gives the bits of the sequence"
    case .inference: "a pass without a tape gives the bits of one with it"
    case .recomputation: "a tape that keeps few steps gives the same bits"
    case .chunks: "a pass longer than the drivers' chunks gives the bits of one that is kept in short pieces"
    case .threads: "any number of threads gives the same bits"
    case .poison: "memory full of NaN reaches no result"
    case .reuse: "a tape that held a longer sequence, a larger batch and other parameters gives the same bits, twice"
    case .aliasing: "states in one place or in two, a gradient added to zeros or replaced: the same bits"
    case .clipping: "clipping limits norm and elements, turns no direction, and does nothing twice"
    }
  }

  /// Whether it says anything in Float: differences need Double's digits.
  var isForFloat: Bool {
    switch self {
    case .differences, .jacobian, .taylor, .pointwise, .adjoint: false
    default: true
    }
  }

  /// Runs the check on one problem.
  ///
  /// - Parameters:
  ///   - scalar: the precision in which the passes run.
  ///   - instructionSet: of the kernels, nil for those of this process. Traps where it does not run here.
  ///
  /// Throws what the passes throw: nothing, unless the library is broken.
  public func verdict<C: Cell, Scalar: RecurrenceScalar>(
    of cell: C, _ scalar: Scalar.Type = Double.self, on problem: CellProblem, instructionSet: InstructionSet? = nil
  ) throws -> CheckVerdict {
    guard let instructionSet else { return try verdict(Trial(cell, problem, kernels: Kernels<Scalar>.selected)) }
    guard let kernels = Kernels<Scalar>(instructionSet) else {
      fatalError("instructionSet: expected one that runs on this processor, got \(instructionSet)")
    }
    return try verdict(Trial(cell, problem, kernels: kernels))
  }

  func verdict<C: Cell, Scalar: RecurrenceScalar>(_ trial: Trial<C, Scalar>) throws -> CheckVerdict {
    if !isForFloat && Scalar.self == Float.self { return .skipped("in Double only") }
    return switch self {
    case .values: try trial.values()
    case .gradient: try trial.gradient()
    case .adjoint: try trial.adjoint()
    case .differences: try trial.differences()
    case .jacobian: try trial.jacobian()
    case .taylor: try trial.taylor()
    case .pointwise: trial.pointwise()
    case .derived: trial.derived()
    case .linearity: try trial.linearity()
    case .permutation: try trial.permutation()
    case .rows: try trial.rows()
    case .padding: try trial.padding()
    case .split: try trial.split()
    case .truncation: try trial.truncation()
    case .streaming: try trial.streaming()
    case .inference: try trial.inference()
    case .recomputation: try trial.recomputation()
    case .chunks: try trial.chunks()
    case .threads: try trial.threads()
    case .poison: try trial.poison()
    case .reuse: try trial.reuse()
    case .aliasing: try trial.aliasing()
    case .clipping: try trial.clipping()
    }
  }
}
