import RecurrenceKernels

/// A whole network: symbols or vectors in, a recurrent stack, a dense layer on top.
///
///     let model = SequenceNetwork<LSTM, Float>(
///       LSTM(), symbols: 65, embedding: 64, units: 128, layers: 2, outputs: 65, seed: 1)
///
/// A value: copies are independent. `SequenceTrainer` trains it, `SequenceEvaluator` measures it, a `NetworkStream` runs it
/// step by step. Replacing a part by one that does not fit its neighbours traps with a sentence.
public struct SequenceNetwork<C: Cell, Scalar: RecurrenceScalar>: Sendable {
  /// What turns symbols into vectors; nil where inputs are vectors.
  public var embedding: Embedding<Scalar>? { didSet { checkNeighbours() } }
  public var recurrent: RecurrentStack<C, Scalar> { didSet { checkNeighbours() } }
  /// What turns h of the top layer into outputs.
  public var output: Dense<Scalar> { didSet { checkNeighbours() } }

  /// A network that reads symbols.
  ///
  /// - Parameters:
  ///   - symbols: V, at least 1.
  ///   - embedding: D, features of a symbol's vector.
  ///   - units: H.
  ///   - layers: L.
  ///   - outputs: K.
  ///   - initialization: of the recurrent stack.
  ///   - seed: the same seed gives the same parameters on every platform.
  public init(
    _ cell: C, symbols: Int, embedding width: Int, units: Int, layers: Int = 1, outputs: Int,
    initialization: Initialization = .standard, seed: UInt64 = 0
  ) {
    self.init(
      embedding: Embedding(symbols: symbols, width: width, seed: Self.seed(seed, 0)),
      recurrent: RecurrentStack(
        cell, inputs: width, units: units, layers: layers, initialization: initialization, seed: Self.seed(seed, 1)),
      output: Dense(inputs: units, outputs: outputs, seed: Self.seed(seed, 2)))
  }

  /// A network that reads vectors of `inputs` features.
  public init(
    _ cell: C, inputs: Int, units: Int, layers: Int = 1, outputs: Int, initialization: Initialization = .standard,
    seed: UInt64 = 0
  ) {
    self.init(
      embedding: nil,
      recurrent: RecurrentStack(
        cell, inputs: inputs, units: units, layers: layers, initialization: initialization, seed: Self.seed(seed, 1)),
      output: Dense(inputs: units, outputs: outputs, seed: Self.seed(seed, 2)))
  }

  /// A network of layers made elsewhere. Traps with a sentence where the sizes of neighbours differ.
  public init(embedding: Embedding<Scalar>?, recurrent: RecurrentStack<C, Scalar>, output: Dense<Scalar>) {
    self.embedding = embedding
    self.recurrent = recurrent
    self.output = output
    checkNeighbours()
  }

  private func checkNeighbours() {
    if let embedding, embedding.width != recurrent.inputs {
      fatalError("recurrent: expected \(embedding.width) inputs, the embedding's width, got \(recurrent.inputs)")
    }
    if output.inputs != recurrent.units {
      fatalError("output: expected \(recurrent.units) inputs, the recurrent layer's units, got \(output.inputs)")
    }
  }

  /// Seeds of the parts, so that no two draw the same numbers.
  private static func seed(_ seed: UInt64, _ part: UInt64) -> UInt64 { (seed &* 3 &+ part) &* 0xd134_2543_de82_ef95 }

  /// Where the parts lie in the one flat vector of all parameters: embedding, recurrent stack, output.
  public var parameterRanges: (embedding: Range<Int>, recurrent: Range<Int>, output: Range<Int>) {
    let first = embedding?.parameters.count ?? 0
    let second = first + recurrent.layout.count
    return (0..<first, first..<second, second..<(second + output.parameters.count))
  }

  /// Parameters in all.
  public var parameterCount: Int { parameterRanges.output.upperBound }

  /// Every parameter, in one vector. Traps where another number of elements is set.
  public var parameters: [Scalar] {
    get { (embedding?.parameters ?? []) + recurrent.parameters.values + output.parameters }
    set {
      let ranges = parameterRanges
      if newValue.count != ranges.output.upperBound {
        fatalError("parameters: expected \(ranges.output.upperBound) elements, got \(newValue.count)")
      }
      embedding?.parameters = Array(newValue[ranges.embedding])
      recurrent.parameters.values = Array(newValue[ranges.recurrent])
      output.parameters = Array(newValue[ranges.output])
    }
  }
}

/// What a network reads, time-major.
public enum SequenceInput<Scalar: RecurrenceScalar>: Sendable {
  /// [T, B], each from 0 to V − 1.
  case symbols([Int32])
  /// [T, B, I].
  case vectors([Scalar])
}

/// What a loss compares a network's outputs with: T·B rows where every step is read, B rows where only the last is.
public enum SequenceTargets<Scalar: RecurrenceScalar>: Sendable {
  /// [rows], each from 0 to K − 1: softmax cross-entropy.
  case classes([Int32])
  /// [rows, K], each from 0 to 1: binary cross-entropy.
  case probabilities([Scalar])
  /// [rows, K]: mean squared error.
  case values([Scalar])
}

/// Which outputs of the recurrent stack the output layer reads.
public enum Readout: String, Hashable, Sendable, Codable {
  /// Every step: many to many.
  case everyStep
  /// Each sequence's own last step: many to one.
  case lastStep
}

/// A network's states and memory for sequences that arrive step by step. Made by `SequenceNetwork.makeStream`.
public struct NetworkStream<Scalar: RecurrenceScalar>: ~Copyable, Sendable {
  public internal(set) var recurrent: RecurrentStream<Scalar>
  var output: DenseWorkspace<Scalar>
  var input: [Scalar]
  var hidden: [Scalar]

  /// Sets all states to zero.
  public mutating func reset() { recurrent.reset() }
}

extension SequenceNetwork {
  public func makeStream(batch: Int = 1) -> NetworkStream<Scalar> {
    NetworkStream(
      recurrent: recurrent.makeStream(batch: batch), output: output.makeWorkspace(),
      input: [Scalar](repeating: 0, count: batch * recurrent.inputs),
      hidden: [Scalar](repeating: 0, count: batch * recurrent.units))
  }

  /// One step of every sequence: a symbol each, [B], to outputs [B, K]. Allocates nothing.
  ///
  /// Throws `ShapeError` where a symbol or a size does not fit; nothing is written then.
  public func step(
    _ symbols: [Int32], into outputs: inout [Scalar], stream: inout NetworkStream<Scalar>
  ) throws(ShapeError) {
    try recurrent.shape.checkOwner(stream.recurrent.memory, "stream")
    let batch = stream.recurrent.batch
    guard let embedding else { throw ShapeError("input", expected: "vectors", actual: "symbols") }
    try ShapeError.check("symbols", symbols.count, is: ("B", batch))
    try ShapeError.check("outputs", outputs.count, is: ("B", batch), ("K", output.outputs))
    try embedding.check(symbols)
    unsafe symbols.withUnsafeBufferPointer { symbols in
      unsafe stream.input.withUnsafeMutableBufferPointer { unsafe embedding.gather(symbols, into: $0) }
    }
    try step(batch: batch, into: &outputs, &stream)
  }

  /// One step of every sequence: vectors [B, I] to outputs [B, K].
  public func step(
    _ input: [Scalar], into outputs: inout [Scalar], stream: inout NetworkStream<Scalar>
  ) throws(ShapeError) {
    try recurrent.shape.checkOwner(stream.recurrent.memory, "stream")
    let batch = stream.recurrent.batch
    if embedding != nil { throw ShapeError("input", expected: "symbols", actual: "vectors") }
    try ShapeError.check("input", input.count, is: ("B", batch), ("I", recurrent.inputs))
    try ShapeError.check("outputs", outputs.count, is: ("B", batch), ("K", output.outputs))
    unsafe input.withUnsafeBufferPointer { input in
      unsafe stream.input.withUnsafeMutableBufferPointer { target in
        if let source = input.baseAddress { unsafe target.baseAddress!.update(from: source, count: input.count) }
      }
    }
    try step(batch: batch, into: &outputs, &stream)
  }

  private func step(
    batch: Int, into outputs: inout [Scalar], _ stream: inout NetworkStream<Scalar>
  ) throws(ShapeError) {
    try recurrent.step(stream.input, into: &stream.hidden, stream: &stream.recurrent)
    unsafe stream.hidden.withUnsafeBufferPointer { hidden in
      unsafe outputs.withUnsafeMutableBufferPointer { outputs in
        unsafe output.forward(
          MatrixView(hidden, rows: batch, columns: recurrent.units),
          into: MutableMatrixView(outputs, rows: batch, columns: output.outputs), workspace: &stream.output)
      }
    }
  }
}

extension Embedding {
  func check(_ symbols: [Int32]) throws(ShapeError) {
    guard let row = firstOutside(symbols, below: self.symbols) else { return }
    throw ShapeError("symbols[\(row)]", expected: "0 to \(self.symbols - 1)", actual: "\(symbols[row])")
  }

  /// Vectors of checked symbols, [N, D].
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func gather(_ symbols: UnsafeBufferPointer<Int32>, into output: UnsafeMutableBufferPointer<Scalar>) {
    unsafe parameters.withUnsafeBufferPointer { table in
      guard let source = table.baseAddress, let target = output.baseAddress else { return }
      for row in 0..<symbols.count {
        unsafe (target + row * width).update(from: source + Int(symbols[row]) * width, count: width)
      }
    }
  }
}

/// The first place where a number is not from 0 to `bound` − 1; nil where there is none.
///
/// Not generic: every update of a network looks at every symbol and target, and code that is generic over the scalar is not
/// specialised in a client's module.
func firstOutside(_ numbers: [Int32], below bound: Int) -> Int? {
  unsafe numbers.withUnsafeBufferPointer { numbers in
    var index = 0
    while index < numbers.count {
      if unsafe numbers[index] < 0 || Int(numbers[index]) >= bound { return index }
      index += 1
    }
    return nil
  }
}
