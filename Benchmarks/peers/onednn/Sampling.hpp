// From passes to the few numbers that are reported, as recurrence-bench's Statistics.swift does it: one sample is the
// mean of as many passes as fill 200 µs, so that the clock's own cost does not show.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <vector>

struct Milliseconds {
  double median, minimum, maximum;
};

class Sampler {
 public:
  static constexpr double shortestSample = 200e-6;
  static constexpr std::size_t fewestSamples = 3;
  static constexpr double longPass = 0.25;

  /// `body` does its work as many times as it is told.
  explicit Sampler(std::function<void(int)> body) : body(std::move(body)) {}

  /// Runs until two successive medians of five samples agree to 2 %, but no longer than `limit` seconds and at least
  /// twice. Finds how many passes fill a sample.
  void warmUp(double limit) {
    const auto start = Clock::now();
    std::vector<double> window;
    double previous = INFINITY;
    for (int samples = 0; samples < 2 || since(start) < limit;) {
      const double taken = secondsTaken();
      pass = taken / repetitions;
      if (taken < shortestSample) {
        // A cold sample overstates the time of a pass: approach from below, and look again.
        const double factor = std::min(8.0, std::max(1.1, 1.2 * shortestSample / std::max(taken, 1e-9)));
        repetitions = static_cast<int>(std::ceil(repetitions * factor));
        window.clear();
        continue;
      }
      ++samples;
      window.push_back(taken / repetitions);
      if (window.size() < 5) continue;
      const double median = middle(window);
      if (std::abs(median - previous) <= 0.02 * median) return;
      previous = median;
      window.clear();
    }
  }

  /// Samples for `seconds`, at least three. One pass goes before them untimed: other peers have run since the last. Where a
  /// pass takes a quarter of a second, it alone is the sample: the caches are filled in a thousandth of it.
  Milliseconds collect(double seconds) {
    const bool isLong = pass >= longPass;
    if (!isLong) body(1);
    const auto start = Clock::now();
    std::vector<double> samples;
    while (samples.size() < (isLong ? 1 : fewestSamples) || since(start) < seconds) samples.push_back(secondsTaken() / repetitions);
    const auto [least, most] = std::minmax_element(samples.begin(), samples.end());
    return {middle(samples) * 1e3, *least * 1e3, *most * 1e3};
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::function<void(int)> body;
  int repetitions = 1;
  double pass = 0;

  static double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

  double secondsTaken() {
    const auto start = Clock::now();
    body(repetitions);
    return since(start);
  }

  static double middle(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    const std::size_t half = samples.size() / 2;
    return samples.size() % 2 ? samples[half] : (samples[half - 1] + samples[half]) / 2;
  }
};
