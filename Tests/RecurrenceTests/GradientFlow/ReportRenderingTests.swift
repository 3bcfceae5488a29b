import Foundation
import Recurrence
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

/// A report as text, as JSON lines and as a picture: those who read it can, whatever was measured.
@Suite("Gradient flow: rendering")
struct ReportRenderingTests {
  /// A report of two layers on random inputs; `poison` is one of the inputs.
  private static func report<C: Cell>(
    _ cell: C, steps: Int = 12, batch: Int = 3, lag: Int? = nil, poison: Float? = nil
  ) throws -> GradientFlowReport {
    let stack = RecurrentStack<C, Float>(cell, inputs: 3, units: 5, layers: 2, seed: 3)
    var random = SeededRandom()
    var x = random.array(steps * batch * 3, .uniform, of: Float.self)
    if let poison { x[x.count / 2] = poison }
    return try stack.gradientFlowReport(x, steps: steps, batch: batch, options: GradientFlowOptions(neededLag: lag))
  }

  /// Reports of all cells and of no step, one step, a lag beyond the last, no sequence, and inputs that are no numbers.
  private static func reports() throws -> [GradientFlowReport] {
    struct All: CellVisitor {
      var reports: [GradientFlowReport] = []
      mutating func visit<C: Cell>(_ cell: C) throws { try reports.append(ReportRenderingTests.report(cell)) }
    }
    var all = All()
    try forEachCell(&all)
    all.reports += try [
      report(GRU(), steps: 0), report(LSTM(), steps: 1), report(RNN(), lag: 50), report(RNN(), lag: 4),
      report(LSTM(), batch: 0), report(LSTM(), poison: .nan), report(RNN.relu, poison: .infinity),
    ]
    return all.reports
  }

  /// T + 1 numbers for each sort of trouble.
  static let profiles: [[Double]] = [
    [1], [0], [.nan], [.infinity], [0, 1], [1, 0], [.nan, 1], [1, .nan], [0, 0, 0], [.infinity, .infinity, 1],
    [.nan, .infinity, 0, 1], [1, .nan, .nan, 1], [1e-300, 1e300, 1],
    [.leastNonzeroMagnitude, .leastNonzeroMagnitude, .leastNonzeroMagnitude], [0, 1e-13, 1e-4, 1],
    [Double](repeating: .nan, count: 9), [.greatestFiniteMagnitude, .leastNonzeroMagnitude],
    (0...5000).map { $0.isMultiple(of: 7) ? .nan : exp(Double($0) - 5000) }, [-1, 1],
  ]

  /// The report of a measurement with another profile in it.
  private static func report(transport: [Double]) throws -> GradientFlowReport {
    var report = try Self.report(LSTM(), steps: transport.count - 1)
    for layer in report.layers.indices { report.layers[layer].transport = transport }
    return report
  }

  // MARK: JSON

  private static func object(_ line: String) throws -> [String: Any] {
    #expect(!line.contains("\n"))
    return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
  }

  /// The first number of an array, read by the standard library: JSONSerialization may round in the last place.
  private static func first(_ key: String, _ line: String) throws -> Double? {
    let start = try #require(line.range(of: "\"\(key)\":[")).upperBound
    return Double(line[start...].prefix { $0 != "," && $0 != "]" })
  }

  @Test("one JSON object for each layer, with every key, and arrays of T + 1")
  func json() throws {
    for report in try Self.reports() {
      #expect(report.jsonLines.count == report.layers.count)
      for (layer, line) in zip(report.layers, report.jsonLines) {
        let object = try Self.object(line)
        let keys: Set = [
          "layer", "cell", "steps", "batch", "units", "delta_h", "transport", "sigma_max", "lyapunov", "saturation",
          "gate_mean", "half_life", "horizon", "needed_lag", "verdict", "remedy", "first_nonfinite", "norm_h",
          "tiny_share", "zero_share", "clip_share", "clip_mean_scale", "suggested_threshold",
        ]
        #expect(keys.subtracting(object.keys).isEmpty, "\(report.cell)")
        for name in ["transport"] + layer.record.states.flatMap({ ["delta_\($0.name)", "norm_\($0.name)"] }) {
          let values = try #require(object[name] as? [Any], "\(name) of \(report.cell)")
          #expect(values.count == report.steps + 1, "\(name) of \(report.cell), T = \(report.steps)")
        }
        let gates = layer.record.gates.map(\.name).sorted()
        #expect((object["saturation"] as? [String: Any])?.keys.sorted() == gates)
        #expect((object["gate_mean"] as? [String: Any])?.keys.sorted() == gates)
        #expect(object["layer"] as? Int == layer.index)
        #expect(object["verdict"] as? String == layer.verdict.rawValue)
        #expect(object["remedy"] as? String == layer.remedy.description)
        if let transport = layer.transport.first, transport.isFinite {
          #expect(try Self.first("transport", line) == transport)
        }
      }
    }
  }

  @Test("what is not finite, or not known, is null")
  func nulls() throws {
    var report = try Self.report(transport: [.infinity, .nan, 1])
    report.layers[0].halfLife = nil
    report.firstNonFinite = NonFinitePlace(pass: .forward, quantity: .gate("f"), layer: 0, step: 1, row: 2)
    var object = try Self.object(report.jsonLines[0])
    let transport = try #require(object["transport"] as? [Any])
    #expect(transport[0] is NSNull && transport[1] is NSNull && transport[2] as? Double == 1)
    for key in ["half_life", "clip_share", "clip_mean_scale", "suggested_threshold"] { #expect(object[key] is NSNull) }
    let place = try #require(object["first_nonfinite"] as? [String: Any])
    #expect(place["pass"] as? String == "forward" && place["quantity"] as? String == "gate")
    #expect(place["gate"] as? String == "f" && place["layer"] as? Int == 0)
    #expect(place["t"] as? Int == 1 && place["row"] as? Int == 2)

    report.firstNonFinite = nil
    report.clipping = .init(gradients: 8, share: 0.25, meanScale: 0.5, suggestedThreshold: 1.5)
    object = try Self.object(report.jsonLines[0])
    #expect(object["first_nonfinite"] is NSNull)
    #expect(object["clip_share"] as? Double == 0.25 && object["clip_mean_scale"] as? Double == 0.5)
    #expect(object["suggested_threshold"] as? Double == 1.5)
  }

  // MARK: Text

  static let remedies: [(GradientRemedy, word: String, said: String)] = [
    (.none, "none", ""), (.chrono(longestLag: 100), "chrono(100)", ".chrono(longestLag: 100)"),
    (.orthogonal, "orthogonal", "--init orthogonal"), (.identity, "identity", "--init identity"),
    (.gating(longestLag: 9), "gating(9)", "--cell lstm"), (.clip(norm: 1.5), "clip(1.5)", "--clip-norm 1.5"),
    (.normPreservation(clippingNorm: 1.5), "omega+clip(1.5)", "Ω"), (.repair, "repair", "not finite"),
  ]

  @Test("text has at most 100 columns, and says the verdict and what to do")
  func text() throws {
    for report in try Self.reports() { Self.checkColumns(report) }
    for profile in Self.profiles { Self.checkColumns(try Self.report(transport: profile)) }
    var report = try Self.report(LSTM())
    report.clipping = .init(gradients: 123_456, share: 0.123, meanScale: 0.456, suggestedThreshold: 1.5)
    report.firstNonFinite = NonFinitePlace(pass: .backward, quantity: .initialState("c"), layer: 0, step: 1, row: 2)
    for verdict in GradientVerdict.allCases {
      for remedy in Self.remedies {
        report.layers[1].verdict = verdict
        report.layers[1].remedy = remedy.0
        Self.checkColumns(report)
        #expect(report.description.contains("Layer 1: \(verdict.rawValue.uppercased())"))
        #expect(report.description.contains(remedy.said) || remedy.said.isEmpty)
        #expect(remedy.0.description == remedy.word)
      }
    }
    for word in ["half-life", "horizon", "σ_max", "Lyapunov", "saturated", "‖h‖", "‖c‖", "the initial c", "1.5"] {
      #expect(report.description.contains(word), "\(word)")
    }
  }

  private static func checkColumns(_ report: GradientFlowReport) {
    for line in report.description.split(separator: "\n") where line.count > 100 {
      Issue.record("\(line.count) columns: \(line)")
    }
  }

  // MARK: Picture

  @Test("pictures are XML, and every number in them is one, whatever is drawn")
  func picture() throws {
    for report in try Self.reports() { try Self.check(report.svg, "\(report.cell), T = \(report.steps)") }
    for profile in Self.profiles {
      try Self.check(Self.report(transport: profile).svg, "\(profile.prefix(4))")
      var plot = LogarithmicPlot(
        title: "a < b & \"c\"", xLabel: "t",
        series: [.init("<x>", norms: profile, style: 40, mark: "x"), .init("", norms: [], style: 0)])
      try Self.check(plot.svg, "\(profile.prefix(4))")
      plot.level = (0, "nothing")
      plot.moment = (-3, "before")
      try Self.check(plot.svg, "\(profile.prefix(4))")
      for columns in [0, 1, 2, 60] {
        #expect(plot.lines(columns: columns).allSatisfy { $0.count <= max(columns, 16) + 8 })
      }
    }
    try Self.check(LogarithmicPlot(title: "", xLabel: "", series: []).svg, "nothing")
  }

  @Test("a picture has a legend, the lag that is needed and the bound")
  func legend() throws {
    var report = try Self.report(LSTM(), lag: 8)
    report.layers[0].verdict = .vanishing
    report.layers[1].verdict = .exploding
    for text in ["layer 0: vanishing", "layer 1: exploding", "8 steps back", "10⁻³", "step t", "lstm"] {
      #expect(report.svg.contains(text), "\(text)")
    }
  }

  /// Parses it; every coordinate is a finite number.
  private final class Reader: NSObject, XMLParserDelegate {
    var elements = 0
    var complaint: String?

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String]
    ) {
      elements += 1
      for key in ["x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "points"] {
        guard let text = attributes[key] else { continue }
        for number in text.split(whereSeparator: { $0 == " " || $0 == "," }) {
          if Double(number)?.isFinite != true { complaint = "\(name) \(key)=\(text)" }
        }
      }
    }
  }

  private static func check(_ svg: String, _ what: String) throws {
    let parser = XMLParser(data: Data(svg.utf8))
    let reader = Reader()
    parser.delegate = reader
    #expect(parser.parse(), "\(what): \(parser.parserError.map { "\($0)" } ?? "")")
    #expect(reader.elements > 10 && reader.complaint == nil, "\(what): \(reader.complaint ?? "")")
  }
}
