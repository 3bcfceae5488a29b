import Foundation
import Recurrence

let usage = """
  usage: recurrence [--help]

  With no argument: says what kernels this machine runs and why, checks them against plain Double arithmetic, and
  measures them.

  environment: RECURRENCE_ISA = baseline | x86-64-v3 | x86-64-v4 overrides the choice of kernels.
  exit status: 0 done, 1 failed with a sentence on standard error, 2 usage.
  """

func fail(_ sentence: String, status: Int32) -> Never {
  FileHandle.standardError.write(Data("recurrence: \(sentence)\n".utf8))
  exit(status)
}

switch CommandLine.arguments.dropFirst().first {
case nil:
  do {
    try KernelSelection.validate()
  } catch {
    fail("\(error)", status: 1)
  }
  if !Demonstration.run() { fail("a kernel's result is outside its error bound", status: 1) }
case "--help", "-h":
  print(usage)
case let argument?:
  fail("unknown argument \"\(argument)\"\n\(usage)", status: 2)
}
