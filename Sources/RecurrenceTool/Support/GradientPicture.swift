import Foundation

/// ‖∂L/∂h_t‖ of several networks against t, on a logarithmic scale, as SVG.
struct GradientPicture {
  /// A name, and T + 1 norms, that of the initial state first.
  var series: [(name: String, norms: [Double])]

  private static let (width, height) = (760.0, 420.0)
  private static let (left, right, top, bottom) = (84.0, 110.0, 48.0, 56.0)
  private static let (highest, lowest) = (1, -12)
  /// Okabe and Ito's colours, which the colour-blind tell apart; and dashes for those who see none.
  private static let colours = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00"]
  private static let dashes = ["", "8 4", "2 3", "10 3 2 3", "4 2"]

  var svg: String {
    let steps = (series.first?.norms.count ?? 2) - 1
    var parts = [
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" \
      font-family="Helvetica, Arial, sans-serif" font-size="14">
      <title>How much gradient is left on the way back through time</title>
      <rect width="100%" height="100%" fill="#ffffff"/>
      <text x="\(Self.left)" y="28" font-size="16" fill="#222222">Gradient of the loss with respect to the state of \
      step t, relative to the last step</text>
      """
    ]
    for exponent in stride(from: Self.highest, through: Self.lowest, by: -1) {
      let y = Self.y(Double(exponent))
      parts.append(
        "<line x1=\"\(Self.left)\" y1=\"\(y)\" x2=\"\(Self.width - Self.right)\" y2=\"\(y)\" stroke=\"#e4e4e4\"/>")
      if exponent % 2 == 0 {
        parts.append(
          "<text x=\"\(Self.left - 10)\" y=\"\(y + 5)\" text-anchor=\"end\" fill=\"#222222\">10"
            + "<tspan dy=\"-6\" font-size=\"10\">\(exponent < 0 ? "−\(-exponent)" : "\(exponent)")</tspan></text>")
      }
    }
    let spacing = max(1, steps / 5)
    for t in stride(from: 0, through: steps, by: spacing) {
      let x = Self.x(Double(t), steps)
      parts.append(
        "<text x=\"\(x)\" y=\"\(Self.height - Self.bottom + 22)\" text-anchor=\"middle\" fill=\"#222222\">\(t)</text>")
    }
    parts.append(
      "<text x=\"\((Self.left + Self.width - Self.right) / 2)\" y=\"\(Self.height - 12)\" text-anchor=\"middle\" "
        + "fill=\"#222222\">step t (the loss is at step \(steps))</text>")
    for (index, line) in series.enumerated() { parts += draw(line, index, steps) }
    return parts.joined(separator: "\n") + "\n</svg>\n"
  }

  private func draw(_ line: (name: String, norms: [Double]), _ index: Int, _ steps: Int) -> [String] {
    let colour = Self.colours[index % Self.colours.count]
    let dash = Self.dashes[index % Self.dashes.count]
    var points: [String] = []
    var end = (x: 0.0, y: 0.0)
    for t in stride(from: steps, through: 0, by: -1) {
      let ratio = line.norms[t] / line.norms[steps]
      // Below the picture the curve ends.
      if !(ratio >= pow(10, Double(Self.lowest))) { break }
      end = (Self.x(Double(t), steps), Self.y(min(log10(ratio), Double(Self.highest))))
      points.append(String(format: "%.1f,%.1f", end.x, end.y))
    }
    let key = Self.top + 20 + Double(index) * 24
    let start = Self.width - Self.right + 14
    return [
      "<polyline fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2.5\" stroke-dasharray=\"\(dash)\" "
        + "points=\"\(points.joined(separator: " "))\"/>",
      "<line x1=\"\(start)\" y1=\"\(key)\" x2=\"\(start + 30)\" y2=\"\(key)\" stroke=\"\(colour)\" "
        + "stroke-width=\"2.5\" stroke-dasharray=\"\(dash)\"/>",
      "<text x=\"\(start + 38)\" y=\"\(key + 5)\" fill=\"#222222\">\(line.name)</text>",
    ]
  }

  private static func x(_ t: Double, _ steps: Int) -> Double {
    (10 * (left + t / Double(max(1, steps)) * (width - left - right))).rounded() / 10
  }

  private static func y(_ exponent: Double) -> Double {
    let share = (Double(highest) - exponent) / Double(highest - lowest)
    return (10 * (top + share * (height - top - bottom))).rounded() / 10
  }
}
