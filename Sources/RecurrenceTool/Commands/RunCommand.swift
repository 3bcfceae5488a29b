enum RunCommand: Command { static let name = "run"; static let usage = "run"; static let summary = ""; static let options: [Option] = []
 static func run(_ arguments: Arguments) throws {} }
