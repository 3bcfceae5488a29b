import Foundation

extension LogarithmicPlot {
  /// Drawn with characters, `columns` wide and at most 17 lines high; where curves meet, the first series is seen. A
  /// curve that is below or above the picture is an arrow.
  ///
  /// Labels of the scale take 8 columns more.
  package func lines(columns: Int) -> [String] {
    let decades = decades
    let span = decades.upperBound - decades.lowerBound
    // A line for each half decade, decade, or number of decades.
    let perLine = span <= 7 ? 0.5 : Double((span + 13) / 14)
    let rows = Int((Double(span) / perLine).rounded(.up)) + 1
    func row(_ exponent: Double) -> Int {
      min(max(Int(((Double(decades.upperBound) - exponent) / perLine).rounded()), 0), rows - 1)
    }
    var grid = Array(repeating: Array(repeating: Character(" "), count: columns), count: rows)
    if let level, let exponent = exponent(level.value, decades) {
      grid[row(exponent)] = Array(repeating: "┄", count: columns)
    }
    if let moment, moment.t > 0, moment.t < steps {
      let column = Int((Double(moment.t) / Double(steps) * Double(columns - 1)).rounded())
      for row in 0..<rows { grid[row][column] = "┊" }
    }
    for line in series.reversed() {
      for column in 0..<columns {
        let t = columns < 2 ? 0 : Int((Double(column) / Double(columns - 1) * Double(steps)).rounded())
        guard t < line.values.count, let exponent = exponent(line.values[t], decades) else { continue }
        let isBelow = exponent < Double(decades.lowerBound)
        let isAbove = exponent > Double(decades.upperBound)
        grid[row(exponent)][column] = isBelow ? "↓" : isAbove ? "↑" : line.mark
      }
    }
    let plotted = grid.enumerated().map { index, line in
      let exponent = Double(decades.upperBound) - Double(index) * perLine
      let isWhole = exponent == exponent.rounded()
      let text = isWhole ? "10" + Self.superscript(Int(exponent)) : ""
      return String(repeating: " ", count: max(0, 6 - text.count)) + text + (isWhole ? " ┤" : " │") + String(line)
    }
    let (first, last) = ("step 0", "step \(steps)")
    let gap = String(repeating: " ", count: max(1, columns - first.count - last.count))
    return plotted.map(Self.withoutTrailingSpaces)
      + ["       └" + String(repeating: "─", count: columns), "        " + first + gap + last]
  }

  /// -12 → "⁻¹²".
  static func superscript(_ number: Int) -> String {
    let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
    return (number < 0 ? "⁻" : "") + String(String(number.magnitude).map { digits[$0.wholeNumberValue!] })
  }

  private static func withoutTrailingSpaces(_ line: String) -> String {
    var line = line
    while line.last == " " { line.removeLast() }
    return line
  }
}
