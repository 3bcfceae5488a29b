import Recurrence

/// What is done with a sequence.
enum SequenceMode: String, CaseIterable, Sendable {
  case infer, train, step

  var trains: Bool { self == .train }
  /// How often the products of a forward pass are done: backward, δ·U and δ·W for the operands' derivatives, and as
  /// much for the weights'.
  var passes: Double { trains ? 3 : 1 }
}

/// All that a case of the suites `infer`, `train` and `step` depends on.
struct SequenceVariant: Sendable, Equatable {
  let mode: SequenceMode
  let cell: BenchCell
  let problem: SequenceProblem
  let type: ElementType
  let set: InstructionSet
  let threads: Int

  var labelParts: [String] {
    [mode.rawValue, cell.rawValue, problem.name, type.rawValue, set.rawValue, "threads=\(threads)"]
  }

  var label: String { labelParts.joined(separator: "/") }

  /// The columns that say what was measured.
  ///
  /// - Parameter withMode: false where a suite has one mode only, and no column for it.
  func columns(withMode: Bool = true) -> [Record.Field] {
    let modeColumn: [Record.Field] = withMode ? [.text("mode", mode.rawValue, width: 5)] : []
    return [.text("cell", cell.rawValue, width: 10)] + modeColumn + [
      .text("dtype", type.rawValue, width: 5),
      .integer("T", problem.steps), .integer("B", problem.batch), .integer("I", problem.inputs),
      .integer("H", problem.units),
      .integer("threads", threads),
      .text("isa", set.rawValue),
    ]
  }

  var flops: Double { mode.passes * problem.flops(gates: cell.gates) }

  /// What must be done, and the weights that must be read for it.
  ///
  /// Weights are what a recurrent network cannot keep at hand: a step needs all of U, and the next step needs it again.
  /// Counted are U once a step and thread, for all rows of the thread together, in the loop forward and in the loop
  /// backward; W, which meets all steps at once, once a pass; and in training ∂L/∂U and ∂L/∂W, read and written once.
  /// Inputs, outputs and tape, which stream past once, are left out: the roofline is a bound all the same, and a simple
  /// one. What limits is the level of memory that U comes from, of a single step U and W.
  var work: Work {
    let (inputs, units) = (Double(problem.inputs), Double(problem.units))
    let size = type == .f64 ? 8.0 : 4
    let (w, u) = (size * Double(cell.gates) * units * inputs, size * Double(cell.gates) * units * units)
    let loops = Double(problem.steps * min(threads, problem.batch))
    return Work(
      flops: flops, bytes: mode.trains ? 2 * loops * u + 4 * w + 2 * u : loops * u + w,
      workingSet: Int(problem.steps == 1 ? u + w : u))
  }

  /// Bytes of all operands and results, and of the memory that passes work in: a little more than they take.
  ///
  /// A double, since the sizes of a label may be such that no machine holds them.
  var bytes: Double {
    let (rows, inputs, units) = (
      Double(problem.steps) * Double(problem.batch), Double(problem.inputs), Double(problem.units)
    )
    let planes = Double(cell.gates)
    let weights = planes * units * (inputs + units)
    // Training keeps the states and a plane for each gate and one more, and has gradients of inputs and outputs.
    let elements =
      mode.trains ? rows * (2 * inputs + (6 + planes) * units) + 4 * weights : rows * (inputs + units) + 2 * weights
    return elements * (type == .f64 ? 8 : 4)
  }
}

extension SequenceVariant {
  /// Every combination of what the options and a suite choose, in the order of cases: problems change fastest, then cells,
  /// modes, threads, element types, and instruction sets last.
  ///
  /// - Parameter threads: nil for those of the options.
  static func chosen(
    _ options: Options, threads: [Int]? = nil, modes: [SequenceMode], cells: [BenchCell] = BenchCell.allCases,
    problems: [SequenceProblem]
  ) -> [SequenceVariant] {
    options.instructionSets.flatMap { set in
      (options.elementTypes ?? [.f32]).flatMap { type in
        (threads ?? options.threads).flatMap { threads in
          modes.flatMap { mode in
            cells.flatMap { cell in
              problems.map { problem in
                SequenceVariant(mode: mode, cell: cell, problem: problem, type: type, set: set, threads: threads)
              }
            }
          }
        }
      }
    }
  }

  /// The same with another problem.
  func with(_ problem: SequenceProblem) -> SequenceVariant {
    SequenceVariant(mode: mode, cell: cell, problem: problem, type: type, set: set, threads: threads)
  }
}

extension SequenceVariant {
  /// What `label` says, of any shape: the inverse of `label`.
  init(label: String) throws(BenchmarkFailure) {
    let parts = label.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 6 else {
      throw BenchmarkFailure(
        "expected six parts, such as infer/lstm/100x32x128x128/f32/x86-64-v4/threads=1, got \(parts.count)")
    }
    mode = try Self.part(parts[0], "mode", of: SequenceMode.self)
    cell = try Self.part(parts[1], "cell", of: BenchCell.self)
    guard let problem = SequenceProblem(name: parts[2]) else {
      throw BenchmarkFailure(
        "shape: expected TxBxIxH, each from 1 to \(SequenceProblem.largestSize), got \"\(parts[2])\"")
    }
    self.problem = problem
    type = try Self.part(parts[3], "dtype", of: ElementType.self)
    set = try Self.part(parts[4], "isa", of: InstructionSet.self)
    guard let threads = Int(parts[5].trimmingPrefix("threads=")), parts[5] == "threads=\(threads)",
      Options.threadCounts.contains(threads)
    else {
      throw BenchmarkFailure("threads: expected threads=N, N from 1 to 1024, got \"\(parts[5])\"")
    }
    self.threads = threads
    if mode == .step && (problem.steps, problem.batch, threads) != (1, 1, 1) {
      throw BenchmarkFailure("step: expected T = 1, B = 1 and one thread, got \"\(label)\"")
    }
  }

  private static func part<Value: RawRepresentable<String> & CaseIterable>(
    _ text: String, _ name: String, of _: Value.Type
  ) throws(BenchmarkFailure) -> Value {
    guard let value = Value(rawValue: text) else {
      let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
      throw BenchmarkFailure("\(name): expected one of \(known), got \"\(text)\"")
    }
    return value
  }
}
