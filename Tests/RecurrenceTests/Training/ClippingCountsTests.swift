import Foundation
import Recurrence
import Testing

/// What a report of a run reads.
@Suite("Counts of clipping")
struct ClippingCountsTests {
  @Test("the share that was clipped by norm, and the mean scale; skipped gradients are in neither") func report() throws
  {
    var counts = ClippingCounts()
    #expect(counts.shareClippedByNorm == nil && counts.meanScale == nil)
    func add(_ norm: Double, _ gradient: [Float]) throws {
      var gradient = gradient
      counts.add(try GradientClipping(norm: norm, nonFinite: .skip).clip(&gradient))
    }
    try add(1, [.nan, 2])
    #expect(counts.gradients == 1 && counts.shareClippedByNorm == nil && counts.meanScale == nil)
    try add(1, [0.5, 0])
    try add(1, [0, 2])
    try add(1, [-4, 0])
    try add(1, [.infinity, 0])
    try add(1, [0, 0])
    #expect(counts.skipped == 2 && counts.byNorm == 2)
    #expect(counts.shareClippedByNorm == 0.5 && counts.meanScale == (1 + 0.5 + 0.25 + 1) / 4)
  }

  @Test("counts survive a file") func codable() throws {
    var counts = ClippingCounts()
    (counts.gradients, counts.byNorm, counts.byValue, counts.skipped, counts.zeroed) = (9, 4, 3, 2, 1)
    (counts.byUnit, counts.scales, counts.scaleSum) = (5, 7, 6.25)
    #expect(try JSONDecoder().decode(ClippingCounts.self, from: JSONEncoder().encode(counts)) == counts)
  }

  /// Their scales are not known: the mean is that of the gradients since.
  @Test("counts from a file without units and scales") func oldFile() throws {
    let json = #"{"byNorm": 4, "byValue": 3, "gradients": 9, "skipped": 2, "zeroed": 1}"#
    var counts = try JSONDecoder().decode(ClippingCounts.self, from: Data(json.utf8))
    #expect(counts.gradients == 9 && counts.byNorm == 4 && counts.byValue == 3 && counts.skipped == 2)
    #expect(counts.zeroed == 1 && counts.byUnit == 0 && counts.scales == 0 && counts.meanScale == nil)
    #expect(counts.shareClippedByNorm == 4.0 / 7)
    var gradient: [Float] = [0, 2]
    counts.add(try GradientClipping(norm: 0.5).clip(&gradient))
    #expect(counts.meanScale == 0.25 && counts.shareClippedByNorm == 5.0 / 8)
    let incomplete = #"{"byNorm": 4, "gradients": 9}"#
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(ClippingCounts.self, from: Data(incomplete.utf8))
    }
  }
}
