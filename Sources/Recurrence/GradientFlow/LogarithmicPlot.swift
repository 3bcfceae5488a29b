import Foundation

/// Norms against t, relative to the last, on a logarithmic scale; drawn as SVG or with characters.
///
/// Any numbers may be drawn: zeros and what is below the picture leave it at the bottom, infinities at the top, and where
/// there is no number a curve has a gap.
package struct LogarithmicPlot {
  package struct Series {
    package var name: String
    /// Of t from 0 on.
    package var values: [Double]
    /// Which colour and dashes; series of one style belong together.
    package var style: Int
    /// Drawn thin, and left out of the legend.
    package var isSecondary: Bool
    /// What draws it with characters.
    package var mark: Character

    /// - Parameter unit: what the norms are divided by; nil for `LogarithmicPlot.unit` of them.
    package init(
      _ name: String, norms: [Double], unit: Double? = nil, style: Int, isSecondary: Bool = false,
      mark: Character = "*"
    ) {
      self.name = name
      let unit = unit ?? LogarithmicPlot.unit(norms)
      values = norms.map { $0 / unit }
      self.style = style
      self.isSecondary = isSecondary
      self.mark = mark
    }
  }

  package var title: String
  package var xLabel: String
  package var yLabel = ""
  package var series: [Series]
  /// A value that is marked across the picture.
  package var level: (value: Double, label: String)?
  /// A t that is marked from top to bottom.
  package var moment: (t: Int, label: String)?
  /// Said below the legend.
  package var notes: [String] = []

  package init(title: String, xLabel: String, series: [Series]) {
    self.title = title
    self.xLabel = xLabel
    self.series = series
  }

  /// The last t.
  var steps: Int { max(0, (series.map(\.values.count).max() ?? 1) - 1) }

  /// The last norm; where that is no positive number, the largest that is one, and 1 where none is.
  static func unit(_ norms: [Double]) -> Double {
    if let last = norms.last, last > 0, last.isFinite { return last }
    return norms.filter { $0 > 0 && $0.isFinite }.max() ?? 1
  }

  /// Decades that are drawn, by their exponents: 10⁻⁴ to 10 at the least, not below 10⁻¹².
  var decades: ClosedRange<Int> {
    let exponents = series.flatMap { $0.values.filter { $0 > 0 && $0.isFinite }.map(log10) }
    let lowest = Int((exponents.min() ?? 0).rounded(.down))
    let highest = Int((exponents.max() ?? 0).rounded(.up))
    return min(-4, max(-12, lowest))...max(1, highest)
  }

  /// log₁₀ of a value, up to a decade outside the picture; nil for what is no number.
  func exponent(_ value: Double, _ decades: ClosedRange<Int>) -> Double? {
    if value.isNaN { return nil }
    let (lowest, highest) = (Double(decades.lowerBound) - 1, Double(decades.upperBound) + 1)
    return value > 0 ? min(highest, max(lowest, log10(value))) : lowest
  }
}
