import Foundation
import Recurrence

extension Suite {
  static let memory = Suite(
    name: "memory",
    summary: "one training step in a process of its own: its peak, and what the library says it takes; MiB",
    shapeLetters: ["T", "B", "I", "H"], keeps: true, cases: memoryCases)
}

private func memoryCases(_ options: Options) -> [BenchmarkCase] {
  let shapes = options.shapes(ofRank: 4)
  let problems = SequenceProblem.chosen(shapes.isEmpty ? [[128, 32, 1024, 1024]] : shapes)
  return SequenceVariant.chosen(
    options, modes: [.train], problems: problems, keeping: options.keeping
  ).map { variant in
    BenchmarkCase(["memory"] + variant.labelParts.dropFirst()) { () throws(BenchmarkFailure) in
      try measureMemory(variant)
    }
  }
}

private func measureMemory(_ variant: SequenceVariant) throws(BenchmarkFailure) -> Record {
  let label = "memory/" + variant.labelParts.dropFirst().joined(separator: "/")
  try requireMemory(bytes: variant.bytes, label: label)
  // An oracle would need more memory than what is measured, so that the child has none. What it runs is verified here
  // at a shape that has full tiles and remainders all the same.
  let problem = variant.problem
  let small = SequenceProblem(
    steps: min(problem.steps, 9), batch: min(problem.batch, 35), inputs: min(problem.inputs, 65),
    units: min(problem.units, 65))
  _ = try variant.with(small).ready()

  let baseline = try MemoryUse.ofChild(nil)
  let use = try MemoryUse.ofChild(variant)
  func mebibytes(_ name: String, _ bytes: Int) -> Record.Field {
    .number(name, Double(bytes) / 0x1p20, digits: 1).inTableOnly
  }
  return Record(
    suite: "memory", isCompared: true,
    fields: variant.columns(withMode: false) + [
      mebibytes("peak", use.peak), mebibytes("baseline", baseline.peak), mebibytes("net", use.peak - baseline.peak),
      mebibytes("tape", use.tape), mebibytes("workspace", use.workspace), mebibytes("weights", use.weights),
      mebibytes("gradient", use.gradient), mebibytes("operands", use.operands),
      .integer("peak_bytes", use.peak).inJSONOnly, .integer("baseline_bytes", baseline.peak).inJSONOnly,
      .integer("net_bytes", use.peak - baseline.peak).inJSONOnly,
      .integer("tape_bytes", use.tape).inJSONOnly, .integer("workspace_bytes", use.workspace).inJSONOnly,
      .integer("weight_bytes", use.weights).inJSONOnly, .integer("gradient_bytes", use.gradient).inJSONOnly,
      .integer("operand_bytes", use.operands).inJSONOnly,
    ])
}
