"""From passes to the few numbers that are reported, as recurrence-bench's Statistics.swift does it.

The loop over passes is Python's. It costs some 50 ns a pass, and what a library's Python interface costs is part of
what its user pays.
"""
import statistics
import time

SHORTEST_SAMPLE = 200e-6
FEWEST_SAMPLES = 3
LONG_PASS = 0.25


class Sampler:
    def __init__(self, body):
        self.body = body
        self.repetitions = 1
        self.pass_seconds = 0

    def _seconds_taken(self):
        body = self.body
        start = time.perf_counter()
        for _ in range(self.repetitions):
            body()
        return time.perf_counter() - start

    def warm_up(self, limit):
        """Until two successive medians of five samples agree to 2 %, but no longer than `limit` seconds and at least
        twice. Finds how many passes fill a sample."""
        start, window, previous, taken = time.perf_counter(), [], float("inf"), 0
        while taken < 2 or time.perf_counter() - start < limit:
            seconds = self._seconds_taken()
            self.pass_seconds = seconds / self.repetitions
            if seconds < SHORTEST_SAMPLE:
                factor = min(8, max(1.1, 1.2 * SHORTEST_SAMPLE / max(seconds, 1e-9)))
                self.repetitions = int(self.repetitions * factor) + 1
                window.clear()
                continue
            taken += 1
            window.append(seconds / self.repetitions)
            if len(window) == 5:
                median = statistics.median(window)
                if abs(median - previous) <= 0.02 * median:
                    return
                previous = median
                window.clear()

    def collect(self, seconds):
        """Milliseconds (median, least, most) of samples taken for `seconds`, at least three. One pass goes before them
        untimed: other peers have run since the last. Where a pass takes a quarter of a second, it alone is the sample: the
        caches are filled in a thousandth of it."""
        is_long = self.pass_seconds >= LONG_PASS
        if not is_long:
            self.body()
        samples, end = [], time.perf_counter() + seconds
        while len(samples) < (1 if is_long else FEWEST_SAMPLES) or time.perf_counter() < end:
            samples.append(self._seconds_taken() / self.repetitions * 1e3)
        return statistics.median(samples), min(samples), max(samples)
