"""Row by row, round by round, peer by peer: every answer goes to the raw file at once."""
import json
import math
import sys
import time

from processes import PeerFailure
from verification import fault

# Only for the estimate: operations a second of a peer that is neither the best nor the worst.
_ASSUMED_RATE = 100e9
# Seconds, as where samples are taken.
_LONG_PASS = 0.25


class Raw:
    """The raw file: one JSON object per line, the campaign's description first.

    A campaign has thousands of answers, and each repeats what it was asked. What the first line and the name of the row
    say is left out of the others, which almost halves the file. What differs from them stays.
    """

    def __init__(self, path, description):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.file, self.isa = path, path.open("x"), description["isa"]
        self.failures = 0
        self._write({"campaign": description})

    def add(self, row, key, answer, **turn):
        said = row.fields | {"suite": row.mode, "isa": self.isa}
        new = {name: value for name, value in answer.items() if name not in said or value != said[name]}
        self._write({"row": row.name, "key": key} | turn | new)

    def _write(self, fields):
        self.file.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")
        self.file.flush()

    def fail(self, row, key, failure):
        self.add(row, key, {"failed": str(failure)})
        self.failures += 1
        print(f"compare: {failure}", file=sys.stderr)


def estimate(row, peers, rounds, seconds):
    """Seconds that a row takes: each round a pass to warm up and then samples, at least three passes, or one that is long;
    before the rounds operands, one warm-up, one verification."""
    one = row.flops / _ASSUMED_RATE
    round_takes = one if one >= _LONG_PASS else one + max(seconds, 3 * one)
    return peers * ((rounds + 2) * round_takes + one) + 8 * one + 0.1 * peers


def prepared(row, peers, reference, options, raw):
    """The peers that have this row, built, warm and verified. Ours verifies itself and gives no digests."""
    ready, exact = [], None
    for peer in peers:
        try:
            answer = peer.ask(row, options.seconds, digests=True)
            if "unsupported" not in answer and peer.key != "ours":
                exact = exact or reference.digests(row)
                if wrong := fault(answer, exact):
                    raise PeerFailure(f"{peer.key} is not timed at {row.name}: {wrong}")
        except PeerFailure as failure:
            raw.fail(row, peer.key, failure)
            continue
        raw.add(row, peer.key, answer, round=0)
        if "unsupported" not in answer:
            ready.append(peer)
    return ready


def in_turn(peers, number):
    """The order of a round: it rotates, and every other round runs backwards, so that no peer is always first and none
    always runs in the wake of the same other."""
    if not peers:
        return []
    turn = number // 2 % len(peers)
    order = peers[turn:] + peers[:turn]
    return order[::-1] if number % 2 else order


def measured(row, peers, options, raw):
    """Best milliseconds by peer. A peer that fails is left out of the row: minima of fewer rounds are no minima."""
    best, out = {}, set()
    for number in range(options.rounds):
        for order, peer in enumerate(in_turn(peers, number)):
            if peer.key in out:
                continue
            try:
                answer = peer.ask(row, options.seconds)
            except PeerFailure as failure:
                raw.fail(row, peer.key, failure)
                out.add(peer.key)
                continue
            raw.add(row, peer.key, answer, round=number + 1, order=order)
            best[peer.key] = min(best.get(peer.key, math.inf), answer["ms_min"])
    return {key: ms for key, ms in best.items() if key not in out}


def run(rows, peers, reference, options, raw):
    """Measures every row. Prints a line for each, with the geometric means so far."""
    estimates = [estimate(row, len(peers), options.rounds, options.seconds) for row in rows]
    print(f"{len(rows)} rows, {len(peers)} peers, {options.rounds} rounds of {options.seconds} s: "
          f"about {_minutes(sum(estimates))}", flush=True)
    start, logarithms = time.monotonic(), {}
    for number, row in enumerate(rows):
        best = measured(row, prepared(row, peers, reference, options, raw), options, raw)
        print(f"[{number + 1:3}/{len(rows)}] {_summary(row, best, logarithms)}, "
              f"{_left(start, estimates, number + 1)} left", flush=True)


def _summary(row, best, logarithms):
    others = {key: ms for key, ms in best.items() if key != "ours"}
    if "ours" not in best or not others:
        return f"{row.name}: nothing to compare"
    first = min(others, key=others.get)
    ratio = others[first] / best["ours"]
    logarithms.setdefault(row.mode, []).append(math.log(ratio))
    means = " · ".join(f"{mode} {math.exp(sum(values) / len(values)):.3f}" for mode, values in logarithms.items())
    return (f"{row.name:34} ours {best['ours']:9.4f} ms {row.flops / best['ours'] / 1e6:6.1f} GFLOP/s, {first} "
            f"{others[first]:9.4f} ms, ratio {ratio:.3f}   means so far: {means}")


def _left(start, estimates, done):
    """What is left of the estimate, at the pace so far."""
    pace = (time.monotonic() - start) / sum(estimates[:done])
    return _minutes(pace * sum(estimates[done:]))


def _minutes(seconds):
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
