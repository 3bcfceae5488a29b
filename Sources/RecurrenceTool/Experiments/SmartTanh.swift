import Foundation
import Recurrence

/// The start that Pascanu, Mikolov and Bengio (2013) call "smart tanh".
///
/// W and the output layer's weights ~ N(0, 0.01²). Each unit hears 15 others: those elements of U are N(0, 1), all others
/// 0, and U is scaled to a spectral radius of 0.95. Biases are 0.
enum SmartTanh {
  static let (deviation, connections, radius) = (0.01, 15, 0.95)
  /// Units that it makes sense for: enough to hear, and not so many that their matrix cannot be squared in seconds.
  static let units = connections...2048

  static func network<C: Cell>(
    _ cell: C, inputs: Int, units: Int, outputs: Int, using generator: inout SeededGenerator
  ) -> SequenceNetwork<C, Float> {
    var recurrent = RecurrentStack<C, Float>(cell, inputs: inputs, units: units)
    recurrent.initialize(
      Initialization(
        inputWeights: .normal(deviation: deviation), recurrentWeights: .zero, biases: .zero, unitParameters: .zero,
        forgetGateBias: .asDrawn), using: &generator)
    let matrix = sparse(units, using: &generator)
    let scale = radius / SpectralRadius.estimate(matrix, size: units)
    recurrent.parameters["U"] = matrix.map { Float($0 * scale) }
    var output = Dense<Float>(inputs: units, outputs: outputs)
    output.initialize(weights: .normal(deviation: deviation), bias: .zero, using: &generator)
    return SequenceNetwork(embedding: nil, recurrent: recurrent, output: output)
  }

  /// [H, H], a row for each unit.
  private static func sparse(_ units: Int, using generator: inout SeededGenerator) -> [Double] {
    var matrix = [Double](repeating: 0, count: units * units)
    for row in 0..<units {
      var columns = Array(0..<units)
      generator.shuffle(&columns)
      for column in columns.prefix(connections) { matrix[row * units + column] = generator.normal() }
    }
    return matrix
  }
}

/// The largest magnitude of a matrix' eigenvalues.
enum SpectralRadius {
  /// Gelfand's formula, ρ = lim ‖Aⁿ‖^(1/n), by squaring A again and again; each power is brought to norm 1, and the
  /// logarithms of the norms are added up.
  ///
  /// Power iteration does not converge where the largest eigenvalues are a complex pair, as they usually are; this does.
  /// With n = 2²⁴, the norm of what is not normal in A is worth less than 10⁻⁵ of the result.
  static func estimate(_ matrix: [Double], size: Int) -> Double {
    var power = matrix
    var logarithm = 0.0
    for squaring in 0...24 {
      if squaring > 0 { power = square(power, size) }
      let norm = power.reduce(0) { $0 + $1 * $1 }.squareRoot()
      if norm == 0 { return 0 }
      for index in power.indices { power[index] /= norm }
      logarithm += log(norm) / Double(1 << squaring)
    }
    return exp(logarithm)
  }

  private static func square(_ matrix: [Double], _ size: Int) -> [Double] {
    var result = [Double](repeating: 0, count: size * size)
    for row in 0..<size {
      for inner in 0..<size {
        let factor = matrix[row * size + inner]
        if factor == 0 { continue }
        for column in 0..<size { result[row * size + column] += factor * matrix[inner * size + column] }
      }
    }
    return result
  }
}
