import Foundation

/// Axes of a picture, in SVG: where numbers lie, ticks, and text.
struct Chart {
  /// How a number becomes a place.
  enum Scale {
    case linear(ClosedRange<Double>)
    /// Both ends greater than 0.
    case logarithmic(ClosedRange<Double>)

    var isLogarithmic: Bool {
      if case .logarithmic = self { return true }
      return false
    }

    /// 0 at the lower end, 1 at the upper.
    func share(_ value: Double) -> Double {
      switch self {
      case .linear(let range): (value - range.lowerBound) / (range.upperBound - range.lowerBound)
      case .logarithmic(let range):
        log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
      }
    }

    /// Round numbers within the range.
    var ticks: [Double] {
      switch self {
      case .linear(let range):
        let rough = (range.upperBound - range.lowerBound) / 5
        let power = pow(10, log10(rough).rounded(.down))
        let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 }!
        let first = (range.lowerBound / step).rounded(.up)
        let last = (range.upperBound / step + 1e-9).rounded(.down)
        return first <= last ? stride(from: first, through: last, by: 1).map { $0 * step } : []
      case .logarithmic(let range):
        let exponents = Int(log10(range.lowerBound).rounded(.down))...Int(log10(range.upperBound).rounded(.up))
        let factors: [Double] = exponents.count > 4 ? [1] : [1, 2, 5]
        return exponents.flatMap { exponent in factors.map { $0 * pow(10, Double(exponent)) } }
          .filter { $0 >= range.lowerBound * 0.999 && $0 <= range.upperBound * 1.001 }
      }
    }
  }

  /// Corners of the plot within the picture.
  var left = 84.0, right = 560.0, top = 48.0, bottom = 364.0
  var x: Scale
  var y: Scale

  /// Okabe and Ito's colours, which the colour-blind tell apart; and dashes for those who see none.
  static let colours = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00"]
  static let dashes = ["", "8 4", "2 3", "10 3 2 3", "4 2"]
  static let ink = "#222222"

  func place(_ pointX: Double, _ pointY: Double) -> (x: Double, y: Double) {
    (left + x.share(pointX) * (right - left), bottom - y.share(pointY) * (bottom - top))
  }

  /// The frame, ticks, their numbers and the names of the axes.
  func axes(_ nameOfX: String, _ nameOfY: String, grid: Bool) -> [String] {
    var parts: [String] = []
    for tick in x.ticks {
      let at = Self.short(left + x.share(tick) * (right - left))
      parts.append(Self.line((at, bottom), (at, bottom + 5), colour: "#888888"))
      parts.append(Self.text(Self.number(tick), at, bottom + 20, anchor: "middle"))
    }
    for tick in y.ticks {
      let at = Self.short(bottom - y.share(tick) * (bottom - top))
      parts.append(
        Self.line((grid ? left : left - 5, at), (grid ? right : left, at), colour: grid ? "#e4e4e4" : "#888888"))
      parts.append(Self.text(Self.number(tick), left - 9, at + 5, anchor: "end"))
    }
    parts.append(
      "<rect x=\"\(left)\" y=\"\(top)\" width=\"\(right - left)\" height=\"\(bottom - top)\" fill=\"none\" "
        + "stroke=\"#888888\"/>")
    parts.append(Self.text(nameOfX, (left + right) / 2, bottom + 42, anchor: "middle"))
    let (atX, atY) = (left - 62, (top + bottom) / 2)
    parts.append(
      "<text x=\"\(atX)\" y=\"\(atY)\" text-anchor=\"middle\" fill=\"\(ink)\" "
        + "transform=\"rotate(-90 \(atX) \(atY))\">\(Self.escaped(nameOfY))</text>")
    return parts
  }

  private var ink: String { Self.ink }

  // MARK: Parts of a picture

  static func document(width: Double, height: Double, title: String, _ parts: [String]) -> String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(width)) \(Int(height))" \
    font-family="Helvetica, Arial, sans-serif" font-size="14">
    <title>\(escaped(title))</title>
    <rect width="100%" height="100%" fill="#ffffff"/>
    \(parts.joined(separator: "\n"))
    </svg>

    """
  }

  static func text(
    _ text: String, _ x: Double, _ y: Double, anchor: String = "start", size: Int? = nil
  ) -> String {
    let size = size.map { " font-size=\"\($0)\"" } ?? ""
    return
      "<text x=\"\(short(x))\" y=\"\(short(y))\" text-anchor=\"\(anchor)\"\(size) fill=\"\(ink)\">\(escaped(text))</text>"
  }

  static func line(
    _ from: (Double, Double), _ to: (Double, Double), colour: String, width: Double = 1, dash: String = ""
  ) -> String {
    let dash = dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\""
    return "<line x1=\"\(short(from.0))\" y1=\"\(short(from.1))\" x2=\"\(short(to.0))\" y2=\"\(short(to.1))\" "
      + "stroke=\"\(colour)\" stroke-width=\"\(width)\"\(dash)/>"
  }

  static func short(_ value: Double) -> Double { (value * 10).rounded() / 10 }

  /// 20000 → "20,000", −0.5 → "−0.5", 1e-7 → "1e-07".
  static func number(_ value: Double) -> String {
    if value < 0 { return "−" + number(-value) }
    if value == 0 { return "0" }
    if value < 1000 { return String(format: value < 1e-4 ? "%.0e" : "%g", value) }
    if value >= 1e7 { return String(format: "%.0e", value) }
    var digits = Array(String(Int(value.rounded())))
    for index in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: index) }
    return String(digits)
  }

  static func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
  }
}
