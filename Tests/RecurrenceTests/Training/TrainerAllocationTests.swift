import AllocationCounter
import Foundation
import Recurrence
import Testing

/// In steady state an update, an evaluation and a step of a stream allocate nothing. See `AllocationTests`.
@Suite(
  "Allocations of training", .serialized,
  .enabled(if: AllocationCounting.isPossible, "allocations cannot be counted here, see standard error"))
struct TrainerAllocationTests {
  @Test("one thread: none at all", arguments: CountedCell.allCases) func oneThread(_ cell: CountedCell) throws {
    var floats = TrainingVisitor<Float, _>(
      kernels: Kernels.supported, shapes: NetworkShape.all, threads: 1, meter: ThreadAllocationMeter())
    try cell.accept(&floats)
    var doubles = TrainingVisitor<Double, _>(
      kernels: Kernels.supported, shapes: NetworkShape.all, threads: 1, meter: ThreadAllocationMeter())
    try cell.accept(&doubles)
    #expect(floats.meter.passes > 0 && doubles.meter.passes > 0)
  }

  @Test("every rule, with every kind of clipping: none") func rules() throws {
    var meter = ThreadAllocationMeter()
    for rule in OptimizerCases.rules {
      for clipping in [
        GradientClipping(), GradientClipping(norm: 1e-3), GradientClipping(norm: 1e-3, value: 1e-3, nonFinite: .zero),
        GradientClipping(norm: 1e3, nonFinite: .skip),
      ] {
        var passes = TrainingPasses(
          kernels: Kernels<Float>.selected, shape: NetworkShape(symbols: 7), threads: 1, rule: rule, clipping: clipping)
        try passes.run(GRU(), &meter)
        (passes.percentileClipping, passes.unitwiseClipping) = (nil, nil)
        try passes.run(GRU(), &meter)
      }
    }
    #expect(meter.passes > 0)
  }

  /// In a process of its own, where nothing else allocates: all its threads are counted. Sizes at which work is split.
  @Test(
    "two threads: none outside Dispatch",
    .enabled(if: !SuiteSettings.isEmulated, "emulated: a child process would run on the host's processor"))
  func twoThreads() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      var visitor = TrainingVisitor<Float, _>(
        kernels: [.selected], shapes: [.split, .splitLastStep], threads: 2, meter: ProcessAllocationMeter())
      try visitor.visit(LSTM())
      SuiteSettings.announce(
        "training, two threads, \(visitor.meter.passes) passes: \(visitor.meter.findings.count) kinds of pass allocate"
          + " in our modules; \(visitor.meter.dispatch) allocations inside Dispatch")
      for finding in visitor.meter.findings.prefix(5) { SuiteSettings.announce(finding) }
      if !visitor.meter.findings.isEmpty || visitor.meter.passes == 0 { exit(EXIT_FAILURE) }
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("allocations inside Dispatch"), "\(text)")
  }
}

extension NetworkShape {
  /// Products, losses and updates are large enough to be split between threads.
  static let split = NetworkShape(
    steps: 16, batch: 32, symbols: 70, inputs: 64, units: 128, layers: 2, outputs: 100, isWeighted: true)
  static let splitLastStep = NetworkShape(
    steps: 16, batch: 32, inputs: 64, units: 128, layers: 2, outputs: 100, readout: .lastStep, loss: .values)
}

/// Every kind of pass over one network, each run again and again with the same memory.
private struct TrainingPasses<Scalar: TestScalar> {
  let kernels: Kernels<Scalar>
  let shape: NetworkShape
  let threads: Int
  var rule = OptimizerRule.adamW()
  var clipping = GradientClipping(norm: 0.01, value: 0.05)
  /// Its ring is filled, and begun anew, while allocations are counted.
  var percentileClipping: PercentileClipping? = PercentileClipping(percentile: 50, window: 2)
  var unitwiseClipping: UnitwiseClipping? = UnitwiseClipping(includesOutput: true)

  func run<C: Cell>(_ cell: C, _ meter: inout some AllocationMeter) throws {
    func label(_ pass: String) -> String {
      "\(C.self) \(Scalar.self) \(kernels.instructionSet) \(shape) \(rule): \(pass)"
    }
    var random = SeededRandom()
    let problem = NetworkProblem<Scalar>(shape, states: C.states.count, &random)
    let (lengths, weights) = (shape.lengths, problem.weights)
    var trainer = SequenceTrainer(
      shape.network(cell, kernels), rule, clipping: clipping, steps: shape.steps, batch: shape.batch,
      readout: shape.readout, ragged: lengths != nil, threads: threads)
    (trainer.percentileClipping, trainer.unitwiseClipping) = (percentileClipping, unitwiseClipping)
    var states = trainer.network.recurrent.makeStates(batch: shape.batch)
    try meter.measure({ label("update") }) {
      _ = try trainer.update(
        problem.input, targets: problem.targets, steps: shape.steps, batch: shape.batch, lengths: lengths,
        weights: weights, states: &states, learningRate: 1e-3)
    }
    try meter.measure({ label("gradient") }) {
      _ = try trainer.computeGradient(
        problem.input, targets: problem.targets, steps: shape.steps, batch: shape.batch, lengths: lengths,
        weights: weights, states: &states)
    }
    let network = trainer.network
    var evaluator = SequenceEvaluator(
      network, steps: shape.steps, batch: shape.batch, readout: shape.readout, ragged: lengths != nil, threads: threads)
    try meter.measure({ label("evaluation") }) {
      _ = try evaluator.loss(
        of: network, problem.input, targets: problem.targets, steps: shape.steps, batch: shape.batch, lengths: lengths,
        weights: weights, states: &states)
    }
    var stream = network.makeStream(batch: shape.batch)
    var outputs = [Scalar](repeating: 0, count: shape.batch * shape.outputs)
    switch problem.input {
    case .symbols(let symbols):
      let step = Array(symbols.prefix(shape.batch))
      try meter.measure({ label("step") }) { try network.step(step, into: &outputs, stream: &stream) }
    case .vectors(let vectors):
      let step = Array(vectors.prefix(shape.batch * shape.inputs))
      try meter.measure({ label("step") }) { try network.step(step, into: &outputs, stream: &stream) }
    }
  }
}

/// All shapes, for one cell and scalar type.
private struct TrainingVisitor<Scalar: TestScalar, Meter: AllocationMeter>: CellVisitor {
  let kernels: [Kernels<Scalar>]
  let shapes: [NetworkShape]
  let threads: Int
  var meter: Meter

  mutating func visit<C: Cell>(_ cell: C) throws {
    for kernels in kernels {
      for shape in shapes { try TrainingPasses(kernels: kernels, shape: shape, threads: threads).run(cell, &meter) }
    }
  }
}
