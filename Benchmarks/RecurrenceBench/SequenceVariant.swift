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
  /// Steps that the tape of `train` keeps at a time; nil where it keeps all, and where there is no tape.
  let keeping: Int?

  var labelParts: [String] {
    [mode.rawValue, cell.rawValue, problem.name, type.rawValue, set.rawValue, "threads=\(threads)"]
      + (keeping.map { ["keeping=\($0)"] } ?? [])
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
    ] + (keeping.map { [.integer("keeping", $0)] } ?? [])
  }

  /// Of each result once: what is run again because the tape did not keep it is a price and no work.
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
    let (planes, size) = (Double(cell.gates), type == .f64 ? 8.0 : 4)
    let weights = planes * units * (inputs + units)
    guard mode.trains else { return (rows * (inputs + units) + 2 * weights) * size }
    // Training keeps the states and a plane for each gate and one more, and has gradients of inputs and outputs. A tape
    // that keeps fewer steps has so many of all planes, and the states before each of its windows.
    let kept = Double(min(problem.steps, keeping ?? problem.steps))
    let windows = (Double(problem.steps) / kept).rounded(.up)
    let tape = Double(problem.batch) * (kept * (4 + planes) + windows * 2) * units
    return (rows * 2 * (inputs + units) + tape + 4 * weights) * size
  }
}

extension SequenceVariant {
  /// Every combination of what the options and a suite choose, in the order of cases: problems change fastest, then cells,
  /// modes, threads, element types, and instruction sets last.
  ///
  /// - Parameters:
  ///   - threads: nil for those of the options.
  ///   - keeping: as `SequenceVariant.keeping`.
  static func chosen(
    _ options: Options, threads: [Int]? = nil, modes: [SequenceMode], cells: [BenchCell] = BenchCell.allCases,
    problems: [SequenceProblem], keeping: Int? = nil
  ) -> [SequenceVariant] {
    options.instructionSets.flatMap { set in
      (options.elementTypes ?? [.f32]).flatMap { type in
        (threads ?? options.threads).flatMap { threads in
          modes.flatMap { mode in
            cells.flatMap { cell in
              problems.map { problem in
                SequenceVariant(
                  mode: mode, cell: cell, problem: problem, type: type, set: set, threads: threads, keeping: keeping)
              }
            }
          }
        }
      }
    }
  }

  /// The same with another problem, of which the tape keeps the same part.
  func with(_ problem: SequenceProblem) -> SequenceVariant {
    SequenceVariant(
      mode: mode, cell: cell, problem: problem, type: type, set: set, threads: threads,
      keeping: problem.keeping(keeping, of: self.problem))
  }
}

extension SequenceVariant {
  /// What `label` says, of any shape: the inverse of `label`.
  init(label: String) throws(BenchmarkFailure) {
    let parts = label.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard (6...7).contains(parts.count) else {
      throw BenchmarkFailure(
        "expected six parts, such as infer/lstm/100x32x128x128/f32/x86-64-v4/threads=1, and of train perhaps keeping=N; "
          + "got \(parts.count)")
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
    threads = try Self.number(parts[5], "threads", in: Options.threadCounts)
    keeping = parts.count == 7 ? try Self.number(parts[6], "keeping", in: Options.keptSteps) : nil
    if keeping != nil && !mode.trains {
      throw BenchmarkFailure("keeping: expected train, since \(mode.rawValue) has no tape, got \"\(label)\"")
    }
    if mode == .step && (problem.steps, problem.batch, threads) != (1, 1, 1) {
      throw BenchmarkFailure("step: expected T = 1, B = 1 and one thread, got \"\(label)\"")
    }
  }

  /// "threads=2", for example.
  private static func number(
    _ text: String, _ name: String, in range: ClosedRange<Int>
  ) throws(BenchmarkFailure) -> Int {
    guard let number = Int(text.trimmingPrefix("\(name)=")), text == "\(name)=\(number)", range.contains(number) else {
      throw BenchmarkFailure(
        "\(name): expected \(name)=N, N from \(range.lowerBound) to \(range.upperBound), got \"\(text)\"")
    }
    return number
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
