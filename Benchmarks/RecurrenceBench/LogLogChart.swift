import Foundation

/// A frame with two logarithmic axes within an SVG picture, and what is drawn into it.
struct LogLogChart {
  let title: String
  let xName, yName: String
  /// Ends of the axes, greater than 0.
  let x, y: ClosedRange<Double>
  /// Corners of the frame in the picture.
  var left = 78.0, top = 44.0, right = 578.0, bottom = 394.0

  /// Okabe and Ito's colours, which the colour-blind tell apart; and dashes for those who see none.
  static let colours = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
  static let dashes = ["", "8 4", "2 3", "10 3 2 3", "4 2"]

  /// What stands for a point.
  enum Mark: Int {
    case circle, square, triangle, diamond
  }

  /// The least range of 1, 2 or 5 times a power of ten at both ends that holds `values` and is not a point.
  static func range(of values: [Double]) -> ClosedRange<Double> {
    let (least, most) = (values.min() ?? 1, values.max() ?? 1)
    let below = ticks(least / 10...least).last ?? least
    let above = ticks(most...most * 10).first ?? most
    return below < above ? below...above : below / 2...above * 2
  }

  /// 1, 2 and 5 times powers of ten in a range; with more than three decades, powers of ten alone.
  private static func ticks(_ range: ClosedRange<Double>) -> [Double] {
    let exponents = Int(log10(range.lowerBound).rounded(.down))...Int(log10(range.upperBound).rounded(.up))
    let factors: [Double] = exponents.count > 4 ? [1] : [1, 2, 5]
    return exponents.flatMap { exponent in factors.map { $0 * pow(10, Double(exponent)) } }
      .filter { $0 >= range.lowerBound * 0.9999 && $0 <= range.upperBound * 1.0001 }
  }

  /// Where a point lies; outside the frame where its numbers are outside the axes.
  func place(_ pointX: Double, _ pointY: Double) -> (x: Double, y: Double) {
    func share(_ value: Double, _ range: ClosedRange<Double>) -> Double {
      log(value / range.lowerBound) / log(range.upperBound / range.lowerBound)
    }
    return (left + share(pointX, x) * (right - left), bottom - share(pointY, y) * (bottom - top))
  }

  /// The frame with its title, grid, numbers and the names of the axes.
  var axes: [String] {
    var parts = [Self.text(title, left, top - 16, "font-size=\"16\"")]
    for tick in Self.ticks(x) {
      let at = place(tick, y.lowerBound).x
      parts.append(Self.line((at, top), (at, bottom), "stroke=\"#ececec\""))
      parts.append(Self.text(Self.number(tick), at, bottom + 20, "text-anchor=\"middle\""))
    }
    for tick in Self.ticks(y) {
      let at = place(x.lowerBound, tick).y
      parts.append(Self.line((left, at), (right, at), "stroke=\"#e4e4e4\""))
      parts.append(Self.text(Self.number(tick), left - 8, at + 5, "text-anchor=\"end\""))
    }
    let (middleX, middleY) = ((left + right) / 2, (top + bottom) / 2)
    let turned = "text-anchor=\"middle\" transform=\"rotate(-90 \(left - 56) \(middleY))\""
    return parts + [
      "<rect x=\"\(left)\" y=\"\(top)\" width=\"\(right - left)\" height=\"\(bottom - top)\" fill=\"none\" "
        + "stroke=\"#888888\"/>",
      Self.text(xName, middleX, bottom + 42, "text-anchor=\"middle\""),
      Self.text(yName, left - 56, middleY, turned),
    ]
  }

  /// A line through points, in one of the styles.
  func line(through points: [(x: Double, y: Double)], style: Int) -> String {
    let list = points.map { point in
      let at = place(point.x, point.y)
      return "\(Self.short(at.x)),\(Self.short(at.y))"
    }
    return "<polyline fill=\"none\" \(Self.stroke(style)) points=\"\(list.joined(separator: " "))\"/>"
  }

  /// A point, with a note that a browser shows under the pointer.
  func mark(_ mark: Mark, at point: (x: Double, y: Double), style: Int, note: String = "") -> String {
    let at = place(point.x, point.y)
    return Self.mark(mark, at.x, at.y, style, note)
  }

  // MARK: Parts of a picture

  static func document(width: Double, height: Double, title: String, _ parts: [String]) -> String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(width)) \(Int(height))" role="img" \
    font-family="Helvetica, Arial, sans-serif" font-size="14" fill="#222222">
    <title>\(escaped(title))</title>
    <rect width="100%" height="100%" fill="#ffffff"/>
    \(parts.joined(separator: "\n"))
    </svg>

    """
  }

  static func mark(_ mark: Mark, _ x: Double, _ y: Double, _ style: Int, _ note: String = "") -> String {
    let (x, y) = (short(x), short(y))
    let shape =
      switch mark {
      case .circle: "M\(x - 4.5),\(y) a4.5,4.5 0 1,0 9,0 a4.5,4.5 0 1,0 -9,0 Z"
      case .square: "M\(x - 4),\(y - 4) h8 v8 h-8 Z"
      case .triangle: "M\(x),\(y - 5.5) l5,9 h-10 Z"
      case .diamond: "M\(x),\(y - 5.5) l5.5,5.5 l-5.5,5.5 l-5.5,-5.5 Z"
      }
    let title = note.isEmpty ? "" : "<title>\(escaped(note))</title>"
    return "<path d=\"\(shape)\" fill=\"\(colour(style))\" fill-opacity=\"0.8\" stroke=\"#ffffff\">\(title)</path>"
  }

  static func stroke(_ style: Int) -> String {
    "stroke=\"\(colour(style))\" stroke-width=\"2\" stroke-dasharray=\"\(dashes[style % dashes.count])\""
  }

  static func line(_ from: (Double, Double), _ to: (Double, Double), _ style: String) -> String {
    "<line x1=\"\(short(from.0))\" y1=\"\(short(from.1))\" x2=\"\(short(to.0))\" y2=\"\(short(to.1))\" \(style)/>"
  }

  static func text(_ text: String, _ x: Double, _ y: Double, _ style: String = "") -> String {
    "<text x=\"\(short(x))\" y=\"\(short(y))\" \(style)>\(escaped(text))</text>"
  }

  private static func colour(_ style: Int) -> String { colours[style % colours.count] }

  private static func short(_ value: Double) -> Double { (value * 10).rounded() / 10 }

  /// 0.05, 20, 10⁴.
  private static func number(_ value: Double) -> String {
    if value < 1e4 { return String(format: "%g", value) }
    let exponent = Int(log10(value * 1.0001).rounded(.down))
    let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
    let power = "10" + String(String(exponent).map { digits[$0.wholeNumberValue!] })
    let factor = (value / pow(10, Double(exponent))).rounded()
    return factor == 1 ? power : "\(Int(factor))·" + power
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }
}
