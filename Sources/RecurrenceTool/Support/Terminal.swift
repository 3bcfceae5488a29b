import Foundation

/// Where progress goes: a line that is drawn again on a terminal, plain lines otherwise, JSON for machines.
struct Terminal {
  enum Style { case bar, lines, json }

  let style: Style

  init(json: Bool) {
    style = json ? .json : isatty(1) == 1 ? .bar : .lines
  }

  /// Columns of the terminal, 80 where it does not say.
  static var width: Int {
    var size = winsize()
    if unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 { return Int(size.ws_col) }
    return 80
  }

  /// Writes a whole line.
  func line(_ text: String) {
    if style == .bar { write("\r\u{1B}[K") }
    write(text + "\n")
  }

  /// Draws the line of progress anew; only on a terminal.
  func bar(fraction: Double, _ text: String) {
    if style != .bar { return }
    let cells = 20
    let full = Int((min(max(fraction, 0), 1) * Double(cells * 8)).rounded(.down))
    let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][full % 8]
    let drawn = String(repeating: "█", count: full / 8) + (full / 8 < cells ? partial : "")
    let padded = drawn + String(repeating: " ", count: cells - drawn.count)
    write("\r\u{1B}[K" + "▕\(padded)▏\(text)".prefix(Terminal.width - 1))
  }

  /// Ends the line of progress.
  func endBar() { if style == .bar { write("\r\u{1B}[K") } }

  /// Writes text as it is, at once.
  func write(_ text: String) { Terminal.write(text, to: 1) }

  /// Writes all bytes to a descriptor, or ends the program where nobody reads any more.
  static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Foundation.write(descriptor, $0.baseAddress!, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        exit(1)
      }
    }
  }

  /// 65 → "1 min 5 s".
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e8 else { return "…" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}

/// Whether the user has asked to stop (SIGINT, SIGTERM). A second time ends the program at once.
enum Interruption {
  nonisolated(unsafe) private static var wasAsked: sig_atomic_t = 0

  static var isAsked: Bool { unsafe wasAsked != 0 }

  static func listen() {
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        // Only what a signal handler may do.
        if unsafe Interruption.wasAsked != 0 { _exit(128 + number) }
        unsafe Interruption.wasAsked = 1
      }
    }
  }
}
