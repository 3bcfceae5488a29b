extension GradientFlowReport {
  /// The gradient through time as a picture, SVG: of each layer the transport, and thin beside it ‖∂L/∂h_t‖ of the loss,
  /// relative to the last step, of this layer and of the top one; with the needed lag, the bound below which a gradient
  /// has vanished, and verdicts.
  public var svg: String { plot(layers).svg }

  /// Curves of some of the layers.
  func plot(_ layers: [Layer]) -> LogarithmicPlot {
    var plot = LogarithmicPlot(
      title: "What is left of the gradient at step t on its way back: \(cell), \(units) units",
      xLabel: "step t (the gradient starts at step \(steps), 0 is the initial state)", series: [])
    plot.yLabel = "relative to the last step"
    for layer in layers {
      let name = self.layers.count == 1 ? layer.verdict.rawValue : "layer \(layer.index): \(layer.verdict.rawValue)"
      plot.series.append(.init(name, norms: layer.transport, style: layer.index))
    }
    // One unit for the loss in all layers: what reaches h_T of a lower one may be next to nothing.
    let unit = LogarithmicPlot.unit(self.layers.last?.record.states.first?.gradientNorms ?? [])
    for layer in layers {
      guard let norms = layer.record.states.first?.gradientNorms else { continue }
      plot.series.append(.init("", norms: norms, unit: unit, style: layer.index, isSecondary: true, mark: "·"))
    }
    plot.notes = ["thick: of the last step alone", "thin: of the whole loss"]
    plot.level = (TransportDecay.vanished, "10⁻³: below, the gradient has vanished")
    plot.moment = (steps - neededLag, "the task needs it here, \(neededLag) steps back")
    return plot
  }
}
