import Foundation
import Recurrence

/// The gradient flow of weights and sequences from files.
struct FileFlow {
  private let arguments: Arguments
  private let path: String
  private let files: ArrayFiles
  private let options: GradientFlowOptions

  init(_ arguments: Arguments) throws(UsageError) {
    self.arguments = arguments
    files = try ArrayFiles(arguments)
    path = try arguments.required("--model")
    options = try FlowCommand.options(arguments)
  }

  func report() throws -> (source: String, report: GradientFlowReport) {
    let kind = try arguments.choice("--cell", CellKind.self)
    let model = try RecurrentModel(path, prefix: arguments.string("--prefix"), cell: kind)
    let arrays = try RunArrays(files, model)
    let isDouble = model.isDouble || arrays.isDouble
    func open<C: Cell>(_ cell: C) throws -> GradientFlowReport {
      isDouble
        ? try arrays.flow(model, cell, as: Double.self, options)
        : try arrays.flow(model, cell, as: Float.self, options)
    }
    let report = try open(model.cell)
    var source = "\(path) (\(model.description)) on \(files.input), \(isDouble ? "float64" : "float32")"
    if let other = model.alternative?.rawValue {
      source += "\n\(model.kind.rawValue) by the number of gates: if it is \(other), say --cell \(other)"
    }
    return (source, report)
  }
}
