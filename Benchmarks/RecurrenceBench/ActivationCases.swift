import Foundation
import Recurrence

private let inf = Float.infinity

/// Every activation function with the platform's mathematics library as the judge. Seams are the arguments around which
/// a function must be exactly monotone: clamps, case distinctions, the edges of the normal and of the subnormal range.
let activationCases: [ActivationCase] = [
  ActivationCase(
    function: .exponential, reference: { exp($0) },
    laws: FunctionLaws(
      range: 0...inf, seams: [0, -104, 89, inf, -inf, 88.72284, -87.33655, -103.97],
      values: [(0, 1), (-0.0, 1), (inf, inf), (-inf, 0)])),
  ActivationCase(
    function: .tanh, reference: { tanh($0) },
    laws: FunctionLaws(
      isOdd: true, range: -1...1, seams: [0, 9.02, -9.02, inf, -inf],
      values: [(0, 0), (-0.0, -0.0), (inf, 1), (-inf, -1)])),
  ActivationCase(
    function: .sigmoid, reference: { $0 >= 0 ? 1 / (1 + exp(-$0)) : exp($0) / (1 + exp($0)) },
    laws: FunctionLaws(
      range: 0...1, seams: [0, -104, 104, inf, -inf, -87.33655, -103.97],
      values: [(0, 0.5), (-0.0, 0.5), (inf, 1), (-inf, 0)])),
  ActivationCase(
    function: .softplus, reference: { max($0, 0) + log1p(exp(-abs($0))) },
    laws: FunctionLaws(
      range: 0...inf, seams: [0, -104, 104, inf, -inf, -87.33655, -103.97], values: [(inf, inf), (-inf, 0)])),
  ActivationCase(
    function: .relu, reference: { $0 > 0 ? $0 : 0 },
    laws: FunctionLaws(range: 0...inf, values: [(0, 0), (inf, inf), (-inf, 0)])),
  // The slope that counts is the one rounded to the scalar type; both are within 2 ulp of each other's results.
  ActivationCase(
    function: .leakyReLU, reference: { $0 >= 0 ? $0 : 0.01 * $0 },
    laws: FunctionLaws(values: [(0, 0), (-0.0, -0.0), (inf, inf), (-inf, -inf)])),
  ActivationCase(
    function: .elu, reference: { $0 > 0 ? $0 : expm1($0) },
    laws: FunctionLaws(
      range: -1...inf, seams: [0, -18, inf, -inf], values: [(0, 0), (-0.0, -0.0), (inf, inf), (-inf, -1)])),
  ActivationCase(
    function: .softsign, reference: { $0.isInfinite ? ($0 > 0 ? 1 : -1) : $0 / (1 + abs($0)) },
    laws: FunctionLaws(
      isOdd: true, range: -1...1, seams: [0, 1, -1, inf, -inf],
      values: [(0, 0), (-0.0, -0.0), (inf, 1), (-inf, -1)])),
  ActivationCase(
    function: .hardSigmoid, reference: { min(max(($0 + 3) / 6, 0), 1) },
    laws: FunctionLaws(
      range: 0...1, seams: [0, -3, 3, inf, -inf], values: [(0, 0.5), (-0.0, 0.5), (inf, 1), (-inf, 0)])),
  ActivationCase(
    function: .hardTanh, reference: { min(max($0, -1), 1) },
    laws: FunctionLaws(
      isOdd: true, range: -1...1, seams: [0, 1, -1, inf, -inf], values: [(0, 0), (-0.0, -0.0), (inf, 1), (-inf, -1)])),
  ActivationCase(
    function: .identity, reference: { $0 },
    laws: FunctionLaws(isOdd: true, values: [(0, 0), (-0.0, -0.0), (inf, inf), (-inf, -inf)])),
]

/// `--exhaustive`: every function that `--filter` wants, on all 2³² floats, on every instruction set that `--isa` names.
/// Returns whether all laws hold.
func runExhaustive(_ options: Options) throws -> Bool {
  let kernels = try options.instructionSets.map { try requireKernels($0, of: Float.self) }
  var passed = true
  for activation in activationCases where options.wants("exhaustive/\(activation.name)") {
    let variants = kernels.map { kernels in
      unsafe FunctionVariant(name: kernels.instructionSet.rawValue) { input, output, count in
        unsafe kernels.table.activation(activation.function, input, output, count: count)
      }
    }
    for report in exhaustiveCheck(
      name: activation.name, laws: activation.laws, variants: variants, reference: activation.reference)
    {
      print(report)
      passed = passed && report.passes(maximumUlp: ActivationCase.maximumUlp)
    }
    fflush(nil)
  }
  return passed
}
