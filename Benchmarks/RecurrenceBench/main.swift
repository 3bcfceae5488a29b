import Foundation
import Recurrence

/// What a reader must know beside the numbers.
func describeMachine(to reporter: Reporter) {
  let processor = Processor.current.name
  let caches = CacheLevels().summary
  reporter.print("processor  \(processor.isEmpty ? "unnamed" : processor)\(caches.isEmpty ? "" : ", \(caches)")")
  reporter.print("kernels    \(KernelSelection.current)")
  #if DEBUG
  reporter.print("note       debug build: kernels are compiled for speed all the same, the code around them is not")
  #endif
  reporter.print("note       for steady numbers pin the process: taskset -c 0 recurrence-bench (one core per thread)")
}

/// Runs, or lists, the cases that are wanted. Returns the exit status.
func runSuites(_ options: Options) throws -> Int32 {
  var reporter = Reporter(json: options.json)
  let chosen = Suite.all.map { suite in (suite, suite.cases(options).filter { options.wants($0.label) }) }
  if chosen.allSatisfy({ $0.1.isEmpty }) {
    throw UsageError("no case matches --filter \(options.filters.joined(separator: ",")); --list prints them all")
  }
  if options.keeping != nil, let (other, _) = chosen.first(where: { !$0.0.keeps && !$0.1.isEmpty }) {
    let known = Suite.all.filter(\.keeps).map(\.name).joined(separator: " and ")
    throw UsageError("--keeping: expected cases of \(known) alone, chosen by --filter, got some of \(other.name)")
  }
  if options.listsCases {
    for (_, cases) in chosen { for wanted in cases { reporter.print(wanted.label) } }
    return 0
  }
  let picture = options.svgFile == nil ? nil : try picture(of: chosen.filter { !$0.1.isEmpty }.map(\.0), options)
  if !options.json { describeMachine(to: reporter) }
  var points: [PicturePoint] = []
  var status: Int32 = 0
  for (suite, cases) in chosen {
    for wanted in cases {
      // One wrong kernel must not hide the numbers, or the errors, of the others.
      do {
        for record in try wanted.run() {
          reporter.add(record, of: suite)
          if let point = record.point { points.append(point) }
        }
      } catch {
        Reporter.complain(error.description)
        status = 1
      }
    }
  }
  if let picture, let file = options.svgFile {
    if points.isEmpty { throw BenchmarkFailure("--svg: nothing was measured that could be drawn") }
    try Data(picture.svg(points, options).utf8).write(to: URL(filePath: file))
  }
  return status
}

/// The one picture that the suites have. Two in one file would be none.
func picture(of suites: [Suite], _ options: Options) throws(UsageError) -> Picture {
  let pictures = Set(suites.compactMap(\.picture))
  guard let picture = pictures.first, pictures.count == 1 else {
    let known = Picture.allCases.map { picture in
      Suite.all.filter { $0.picture == picture }.map(\.name).joined(separator: ", ")
    }
    throw UsageError("--svg: expected cases of one picture, chosen by --filter: \(known.joined(separator: "; or "))")
  }
  if options.instructionSets.count * (options.elementTypes?.count ?? 1) * options.threads.count > 1 {
    throw UsageError("--svg: expected one instruction set, element type and number of threads")
  }
  return picture
}

func run(_ arguments: [String]) -> Int32 {
  do {
    let options = try Options(arguments)
    if options.showsHelp {
      Reporter(json: false).print(Options.help)
      return 0
    }
    try KernelSelection.validate()
    try options.checkInstructionSets()
    if options.exhaustive {
      if try runExhaustive(options) { return 0 }
      throw BenchmarkFailure("an activation function breaks a law; see above")
    }
    if let label = options.memoryLabel {
      try MemoryUse.printAsChild(label)
      return 0
    }
    if options.servesRequests {
      var requests = Requests(seconds: options.seconds)
      requests.serve(Reporter(json: true))
      return 0
    }
    return try runSuites(options)
  } catch let error as UsageError {
    Reporter.complain(error.description)
    return 2
  } catch {
    Reporter.complain("\(error)")
    return 1
  }
}

exit(run(Array(CommandLine.arguments.dropFirst())))
