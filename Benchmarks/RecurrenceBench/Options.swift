import Recurrence

/// A command line that cannot be understood: exit status 2.
struct UsageError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// What the command line asks for.
struct Options: Sendable {
  var showsHelp = false
  var listsCases = false
  var json = false
  var exhaustive = false
  var includesPacking = false
  var servesRequests = false
  /// Substrings of labels; a case runs that contains one of them. Empty: every case.
  var filters: [String] = []
  /// Shapes as written, each a list of sizes from 1 to 2²⁰.
  var shapes: [[Int]] = []
  /// Thread counts, each in `threadCounts`.
  var threads = [1]
  static let threadCounts = 1...1024
  /// Steps that the tape keeps at a time in `memory` and `train`, in `keptSteps`; nil where it keeps all.
  var keeping: Int?
  static let keptSteps = 1...SequenceProblem.largestSize
  /// The process's own selection where `--isa` says nothing; then not known before `KernelSelection.validate()`.
  var namedInstructionSets: [InstructionSet]?
  /// nil: each suite's own.
  var elementTypes: [ElementType]?
  /// Seconds of timed samples per case, positive.
  var seconds = 0.5
  /// Where a picture is written.
  var svgFile: String?
  /// Of the processes that the suite `memory` starts: the label of the case whose memory they are to take.
  var memoryLabel: String?

  var instructionSets: [InstructionSet] { namedInstructionSets ?? [KernelSelection.current.instructionSet] }

  /// Shapes of so many sizes, for the suites that take those; where none was written, a suite has its own.
  func shapes(ofRank rank: Int) -> [[Int]] { shapes.filter { $0.count == rank } }

  /// Whether `--filter` wants a case.
  ///
  /// A text that begins with a suite's name is looked for at the beginning of labels: "train/lstm" wants nothing of
  /// "scaling/train/lstm".
  func wants(_ label: String) -> Bool {
    filters.isEmpty
      || filters.contains { text in
        let isAnchored = Suite.all.contains { text == $0.name || text.hasPrefix($0.name + "/") }
        return isAnchored ? label.hasPrefix(text) : label.contains(text)
      }
  }

  init() {}

  /// - Parameter arguments: without the program's name. `--name value` and `--name=value` mean the same.
  init(_ arguments: [String]) throws(UsageError) {
    var rest = arguments[...]
    var names: Set<String> = []
    while let argument = rest.popFirst() {
      let pieces = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let name = argument.hasPrefix("--") ? pieces[0] : argument
      names.insert(name)
      if let flag = Self.flags[name] {
        if name != argument { throw UsageError("\(name) takes no value") }
        self[keyPath: flag] = true
        continue
      }
      guard Self.valued.contains(name) else { throw UsageError("\(argument) is not an option; see --help") }
      guard let value = name != argument ? pieces[1] : rest.popFirst(), !value.isEmpty else {
        throw UsageError("\(name) needs a value; see --help")
      }
      try set(name, value)
    }
    // A request says all but the time.
    if servesRequests, let other = names.subtracting(["--requests", "--seconds", "--json"]).sorted().first {
      throw UsageError("--requests: cases come from the standard input, \(other) has no say in them")
    }
  }

  private static var flags: [String: WritableKeyPath<Options, Bool>] {
    [
      "--help": \.showsHelp, "-h": \.showsHelp, "--list": \.listsCases, "--json": \.json,
      "--exhaustive": \.exhaustive, "--include-packing": \.includesPacking, "--requests": \.servesRequests,
    ]
  }

  /// Not in the help text: what `memory` gives to its own processes.
  static let memoryChild = "--memory-child"

  private static let valued = [
    memoryChild, "--svg", "--filter", "--shapes", "--threads", "--keeping", "--isa", "--dtype", "--seconds",
  ]

  private mutating func set(_ name: String, _ value: String) throws(UsageError) {
    switch name {
    case Self.memoryChild: memoryLabel = value
    case "--filter": filters += Self.pieces(value).filter { !$0.isEmpty }
    case "--svg": svgFile = value
    case "--shapes": shapes.append(try Self.shape(value))
    case "--threads": threads = try Self.pieces(value).map { piece throws(UsageError) in try Self.threadCount(piece) }
    case "--keeping": keeping = try Self.kept(value)
    case "--isa": namedInstructionSets = try Self.instructionSets(value)
    case "--dtype":
      elementTypes = try Self.pieces(value).map { piece throws(UsageError) in try Self.elementType(piece) }
    default:
      guard let seconds = Double(value), seconds > 0, seconds <= 3600 else {
        throw UsageError("--seconds: expected a number above 0 and at most 3600, got \"\(value)\"")
      }
      self.seconds = seconds
    }
  }

  private static func pieces(_ value: String) -> [String] {
    value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  private static func shape(_ value: String) throws(UsageError) -> [Int] {
    let sizes = pieces(value).map { Int($0) ?? 0 }
    let known = Suite.all.filter { !$0.shapeLetters.isEmpty }
    let fits = known.contains { $0.shapeLetters.count == sizes.count }
    if fits && sizes.allSatisfy({ (1...1 << 20).contains($0) }) {
      return sizes
    }
    let forms = known.map { "\($0.shapeLetters.joined(separator: ",")) (\($0.name))" }.joined(separator: " or ")
    throw UsageError("--shapes: expected \(forms), each from 1 to \(1 << 20), got \"\(value)\"")
  }

  private static func threadCount(_ value: String) throws(UsageError) -> Int {
    guard let count = Int(value), threadCounts.contains(count) else {
      throw UsageError("--threads: expected counts from 1 to 1024, got \"\(value)\"")
    }
    return count
  }

  private static func kept(_ value: String) throws(UsageError) -> Int {
    guard let steps = Int(value), keptSteps.contains(steps) else {
      throw UsageError("--keeping: expected a number of steps from 1 to \(keptSteps.upperBound), got \"\(value)\"")
    }
    return steps
  }

  private static func elementType(_ value: String) throws(UsageError) -> ElementType {
    guard let type = ElementType(rawValue: value) else {
      throw UsageError("--dtype: expected f32 or f64, got \"\(value)\"")
    }
    return type
  }

  private static func instructionSets(_ value: String) throws(UsageError) -> [InstructionSet] {
    if value == "all" { return Processor.current.supportedInstructionSets }
    return try pieces(value).map { piece throws(UsageError) in
      guard let set = InstructionSet(rawValue: piece) else {
        let known = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
        throw UsageError("--isa: expected all, or some of \(known), got \"\(piece)\"")
      }
      return set
    }
  }

  /// Throws where an instruction set was named that cannot run here.
  func checkInstructionSets() throws(BenchmarkFailure) {
    for set in namedInstructionSets ?? [] where !Processor.current.supportedInstructionSets.contains(set) {
      if !Processor.compiledInstructionSets.contains(set) {
        throw BenchmarkFailure("--isa asks for \(set), which this build does not contain")
      }
      let missing = Processor.current.missing(for: set).joined(separator: ", ")
      throw BenchmarkFailure("--isa asks for \(set), but this processor lacks \(missing)")
    }
  }
}
