import Foundation
import Recurrence
import Testing

/// Rates against PyTorch's schedulers: Fixtures/Training/schedules.py.
///
/// PyTorch goes from one rate to the next by a product; here each is computed from its step. 60 products round by at most
/// 60 · 2⁻⁵³ of the largest rate; 10⁻¹³ leaves room for the cosine form.
@Suite("Learning rate schedules")
struct LearningRateScheduleTests {
  private let rate = 0.02

  private func expect(_ schedule: LearningRateSchedule, _ name: String) throws {
    let expected = try Fixture("Training/schedules")(name)
    #expect(expected.count > 50)
    for (step, value) in expected.enumerated() {
      #expect(abs(schedule.rate(at: step) - value) <= 1e-13 * rate, "\(name), step \(step)")
    }
  }

  @Test("step, exponential, cosine with and without warm-up equal PyTorch's")
  func schedulers() throws {
    try expect(.step(rate, every: 7, factor: 0.3), "step")
    try expect(.exponential(rate, factor: 0.97), "exponential")
    try expect(.cosine(rate, total: 50, finalFraction: 0.1), "cosine")
    try expect(.cosine(rate, warmup: 10, total: 50, finalFraction: 0.1), "warmup")
  }

  @Test("reduce on plateau equals PyTorch's, observation by observation, to the bit")
  func plateau() throws {
    let fixture = try Fixture("Training/schedules")
    for index in 0..<6 {
      let numbers = try fixture("plateau\(index)", shape: [5])
      var schedule = LearningRateSchedule.reduceOnPlateau(
        rate, factor: numbers[0], patience: Int(numbers[1]), threshold: numbers[2], cooldown: Int(numbers[3]),
        minimum: numbers[4])
      #expect(schedule.rate(at: 0) == rate)
      let (losses, rates) = try (fixture("losses\(index)"), fixture("rates\(index)"))
      #expect(rates.last! < rate)
      for (step, (loss, expected)) in zip(losses, rates).enumerated() {
        // As a checkpoint would.
        schedule = try JSONDecoder().decode(LearningRateSchedule.self, from: JSONEncoder().encode(schedule))
        schedule.observe(loss)
        #expect(schedule.rate(at: 1000 + step) == expected, "plateau \(index), observation \(step)")
      }
    }
  }

  @Test("ends: the first step, the last, and ever after")
  func ends() {
    #expect(LearningRateSchedule.constant(0.5).rate(at: .max) == 0.5)
    #expect(LearningRateSchedule.constant(0).rate(at: 0) == 0)
    let cosine = LearningRateSchedule.cosine(0.5, warmup: 3, total: 7, finalFraction: 0.25)
    #expect((0..<4).map { cosine.rate(at: $0) } == [0.125, 0.25, 0.375, 0.5])
    #expect([5, 7, 8, .max].map { cosine.rate(at: $0) } == [0.3125, 0.125, 0.125, 0.125])
    #expect(LearningRateSchedule.cosine(0.5, total: 2).rate(at: 2) == 0)
    #expect(LearningRateSchedule.exponential(1, factor: 0.5).rate(at: 2000) == 0)
    var constant = LearningRateSchedule.constant(1)
    constant.observe(3)
    #expect(constant == .constant(1) && constant.plateau == nil)
  }

  /// Every platform is held to these bits. Written down from another implementation of the same formulae.
  @Test("the same bits everywhere")
  func fixed() {
    let cosine = LearningRateSchedule.cosine(2e-3, warmup: 10, total: 1000, finalFraction: 0.1)
    #expect(
      [4, 100, 555].map { cosine.rate(at: $0) } == [
        0.0009090909090909091, 0.001963543676253048, 0.0009577987436239852,
      ])
    #expect(LearningRateSchedule.exponential(2e-3, factor: 0.9999).rate(at: 54_321) == 8.745426136425353e-06)
  }

  @Test("encoded and decoded, a schedule is the same; numbers out of range do not decode")
  func codable() throws {
    let all: [LearningRateSchedule] = [
      .constant(1e-3), .step(1e-3, every: 10, factor: 0.1), .exponential(1e-3, factor: 0.99),
      .cosine(1e-3, warmup: 2, total: 10), .reduceOnPlateau(1e-3),
    ]
    for schedule in all {
      let data = try JSONEncoder().encode(schedule)
      #expect(try JSONDecoder().decode(LearningRateSchedule.self, from: data) == schedule)
      for (right, wrong) in [
        ("\"baseRate\":0.001", "\"baseRate\":-1"), ("\"every\":10", "\"every\":0"), ("\"total\":10", "\"total\":2"),
        ("\"factor\":0.9", "\"factor\":-0.9"), ("\"patience\":10", "\"patience\":-1"),
        ("\"waited\":0", "\"waited\":-1"),
        ("\"rate\":0.001", "\"rate\":0.002"),
      ] {
        let text = String(decoding: data, as: UTF8.self)
        guard text.contains(right) else { continue }
        let broken = Data(text.replacing(right, with: wrong).utf8)
        #expect(throws: DecodingError.self, "\(wrong)") {
          try JSONDecoder().decode(LearningRateSchedule.self, from: broken)
        }
      }
    }
    #expect(Set(all).count == all.count)
  }
}
