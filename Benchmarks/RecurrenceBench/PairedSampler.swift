/// Two bodies that are compared, sampled in turn.
///
/// Neighbours in time see the same machine: the median of their ratios is robust where single times are not.
struct PairedSampler {
  private static let fewestPairs = 20

  /// Of one repetition of each.
  let first, second: Statistics
  /// The median over pairs of neighbours, second to first.
  let ratio: Double
  let pairs: Int

  var ratioOfMinima: Double { second.minimum / first.minimum }

  init(seconds: Double, _ first: (Int) -> Void, _ second: (Int) -> Void) {
    var samplers = (first: Sampler(), second: Sampler())
    samplers.first.warmUp(limit: max(0.05, seconds / 2), first)
    samplers.second.warmUp(limit: max(0.05, seconds / 2), second)
    let clock = ContinuousClock()
    let start = clock.now
    while samplers.first.samples.count < Self.fewestPairs || clock.now - start < .seconds(seconds) {
      samplers.first.collect(seconds: 0, atLeast: 1, first)
      samplers.second.collect(seconds: 0, atLeast: 1, second)
    }
    self.first = samplers.first.statistics
    self.second = samplers.second.statistics
    let ratios = zip(samplers.second.samples, samplers.first.samples).map { $0 / $1 }
    ratio = Statistics.median(ratios)
    pairs = ratios.count
  }
}
