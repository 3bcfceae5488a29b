import Foundation
import Recurrence

/// What a run of training says of itself.
struct TrainingLog {
  struct Record {
    var step: Int
    var epoch: Int
    var characters: Int
    /// Of all runs, and of this one.
    var seconds: Double
    var secondsNow: Double
    var fraction: Double
    var validationLoss: Double?
    var last: TrainingStep?

    var rate: Double { seconds > 0 ? Double(characters) / seconds : 0 }
  }

  let terminal: Terminal
  private let bits = 1 / 0.693_147_180_559_945_3

  init(_ terminal: Terminal) { self.terminal = terminal }

  /// A line for an update.
  func step(_ step: TrainingStep, _ record: Record) {
    switch terminal.style {
    case .json: terminal.line(json(record).text)
    case .lines, .bar:
      terminal.line(
        String(
          format: "step %6d  loss %.4f  %.3f bits/char  |g| %.3f%@  %@ char/s", record.step, step.loss,
          step.loss * bits, step.clipping.norm, step.clipping.scale < 1 ? " clipped" : "", count(record.rate)))
    }
  }

  /// A line for an epoch, which ended in a validation.
  func epoch(_ step: TrainingStep?, _ record: Record, isBest: Bool) {
    guard let loss = record.validationLoss else { return }
    if terminal.style == .json { return terminal.line(json(record).text) }
    terminal.line(
      String(
        format: "epoch %d  step %d  validation %.4f  %.3f bits/char  %@ char/s%@", record.epoch, record.step, loss,
        loss * bits, count(record.rate), isBest ? "  best" : ""))
  }

  func bar(_ record: Record) {
    if terminal.style != .bar { return }
    let left = record.fraction > 0 ? record.secondsNow * (1 - record.fraction) / record.fraction : .infinity
    let loss = record.last?.loss ?? .nan
    terminal.bar(
      fraction: record.fraction,
      String(
        format: " %3.0f%%  epoch %d  loss %.3f  %.3f bits/char  |g| %.2f  %@ char/s  %@ left", record.fraction * 100,
        record.epoch + 1, loss, loss * bits, record.last?.clipping.norm ?? .nan, count(record.rate),
        Terminal.duration(left)))
  }

  private func json(_ record: Record) -> JSONLine {
    var line = JSONLine()
    line.add("step", record.step)
    line.add("epoch", record.epoch)
    if let step = record.last {
      line.add("loss", step.loss)
      line.add("bits_per_character", step.loss * bits)
      line.add("chars_per_second", record.rate)
      line.add("grad_norm", step.clipping.norm)
      line.add("clip_scale", step.clipping.scale)
      line.add("learning_rate", step.learningRate)
    }
    if let loss = record.validationLoss { line.add("val_loss", loss) }
    return line
  }

  /// 97012.3 → "97,012".
  private func count(_ value: Double) -> String {
    var digits = Array(String(Int(max(0, min(value, 1e15)).rounded())))
    var index = digits.count - 3
    while index > 0 {
      digits.insert(",", at: index)
      index -= 3
    }
    return String(digits)
  }
}
