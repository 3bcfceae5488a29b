import Foundation
import Recurrence

/// The gradient flow of a character language model on the first window of a text, with the loss of every step: a fresh
/// model, or one that was trained.
struct TextFlow {
  private let path: String
  private let text: String
  private let arguments: Arguments

  init(_ arguments: Arguments) throws {
    path = try arguments.required("--text")
    self.arguments = arguments
    text = try TextFile.read(path)
  }

  func report() throws -> (source: String, report: GradientFlowReport) {
    guard let directory = arguments.string("--model") else { return try fresh() }
    return try trained(directory)
  }

  private func fresh() throws -> (source: String, report: GradientFlowReport) {
    let plan = try FreshNetwork(arguments)
    let vocabulary = Vocabulary(text.unicodeScalars)
    let window = try window(vocabulary.encode(text), steps: plan.steps, batch: plan.batch)
    func open<C: Cell>(_ cell: C) throws -> GradientFlowReport {
      try NetworkSize(
        symbols: vocabulary.count, inputs: plan.inputs, units: plan.units, layers: plan.layers,
        outputs: vocabulary.count, steps: plan.steps, batch: plan.batch
      ).check(cell)
      var network = SequenceNetwork<C, Float>(
        cell, symbols: vocabulary.count, embedding: plan.inputs, units: plan.units, layers: plan.layers,
        outputs: vocabulary.count, initialization: plan.initialization, seed: plan.seed)
      plan.amplify(&network.recurrent)
      return try Self.report(network, window, plan.options)
    }
    return try ("a fresh \(plan.kind.rawValue) (\(plan.drawing)) on \(path)", open(plan.kind.cell))
  }

  private func trained(_ directory: String) throws -> (source: String, report: GradientFlowReport) {
    let sizes = 1...1_000_000
    let steps = try arguments.integer("--T", sizes)
    let batch = try arguments.integer("--batch", sizes)
    var options = try FlowCommand.options(arguments)
    let saved = try SavedModel(directory, best: true, purpose: .languageModel)
    let progress = try TrainingProgress.read(saved.generation)
    let symbols: [Int32]
    do {
      symbols = try saved.vocabulary.encode(text)
    } catch let error as ShapeError {
      throw Failure("\(path): expected a text that the model can read: \(error)")
    }
    let window = try window(symbols, steps: steps ?? progress.plan.seq, batch: batch ?? progress.plan.batch)
    options.clipping = GradientFlowReport.Clipping(progress.clippingCounts, progress.norms)
    func open<C: Cell>(_ cell: C) throws -> GradientFlowReport {
      let network = try saved.languageModel(cell)
      try NetworkSize(
        symbols: network.output.outputs, inputs: network.recurrent.inputs, units: network.recurrent.units,
        layers: network.recurrent.layers, outputs: network.output.outputs, steps: window.steps, batch: window.batch
      ).check(cell)
      return try Self.report(network, window, options)
    }
    let source = "\(directory) after \(progress.step) updates, on \(path)"
    return try (source, open(saved.model.cell.cell))
  }

  /// [T, B] each.
  private struct Window {
    var inputs: [Int]
    var targets: [Int]
    var steps: Int
    var batch: Int
  }

  /// The first steps of streams that the text is cut into, as in training.
  private func window(_ symbols: [Int32], steps: Int, batch: Int) throws(Failure) -> Window {
    do {
      let (inputs, targets) = try TextStreams(symbols, streams: batch, window: steps).window(0)
      return Window(inputs: inputs.map(Int.init), targets: targets.map(Int.init), steps: steps, batch: batch)
    } catch {
      throw Failure("\(path): too short: \(error)")
    }
  }

  private static func report<C: Cell>(
    _ network: SequenceNetwork<C, Float>, _ window: Window, _ options: GradientFlowOptions
  ) throws -> GradientFlowReport {
    let (steps, batch) = (window.steps, window.batch)
    let rows = steps * batch
    guard let embedding = network.embedding else { throw Failure("model: expected an embedding, got none") }
    var x = [Float](repeating: 0, count: rows * embedding.width)
    try embedding.forward(window.inputs, into: &x)
    let h = try network.recurrent.forward(x, steps: steps, batch: batch, threads: options.threads).outputs
    let logits = try network.output(h)
    var errors = [Float](repeating: 0, count: logits.count)
    _ = try Loss.softmaxCrossEntropy(logits, classes: window.targets, gradient: &errors)
    return try network.recurrent.gradientFlowReport(
      x, steps: steps, batch: batch, outputGradients: pullBack(errors, network.output, h), options: options)
  }

  /// ∂L/∂h through the output layer, [T·B, H].
  private static func pullBack(_ errors: [Float], _ output: Dense<Float>, _ h: [Float]) -> [Float] {
    let rows = h.count / output.inputs
    var result = h
    var gradient = [Float](repeating: 0, count: output.parameters.count)
    var workspace = output.makeWorkspace()
    unsafe h.withUnsafeBufferPointer { h in
      unsafe errors.withUnsafeBufferPointer { errors in
        unsafe gradient.withUnsafeMutableBufferPointer { gradient in
          unsafe result.withUnsafeMutableBufferPointer { result in
            unsafe output.backward(
              MatrixView(h, rows: rows, columns: output.inputs, name: "h"),
              outputGradient: MatrixView(errors, rows: rows, columns: output.outputs, name: "errors"),
              gradient: gradient,
              inputGradient: MutableMatrixView(result, rows: rows, columns: output.inputs, name: "result"),
              workspace: &workspace)
          }
        }
      }
    }
    return result
  }
}

extension GradientFlowReport.Clipping {
  /// What a checkpoint knows of clipping; nil where no gradient was used.
  init?(_ counts: ClippingCounts, _ norms: NormHistory?) {
    guard let share = counts.shareClippedByNorm else { return nil }
    self.init(
      gradients: counts.gradients, share: share, meanScale: counts.meanScale ?? .nan,
      suggestedThreshold: norms?.suggestedThreshold)
  }
}
