"""What raw files say: minima by row and peer."""
import json
import math

from rows import MODES, Row


class Campaign:
    """One raw file. A peer that failed in a row has no time in it; rows of an interrupted campaign count as far as they
    came."""

    def __init__(self, path):
        self.path, self.description = path, None
        self.best = {}  # Row: {key: ms}
        self.memory = {}  # Row: {key: answer}
        self.rounds = {}  # Row: {key: rounds}
        self.names = {}  # key: what the peer calls itself
        self.failures = []
        failed = set()
        # A campaign that was killed may have ended within a line: what follows the last line break does not count.
        for number, line in enumerate(path.read_text().split("\n")[:-1], 1):
            try:
                self._read(json.loads(line), failed)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not an answer of a peer ({error!r})") from None
        if self.description is None:
            raise ValueError(f"{path}: not a campaign's raw data, its first line describes none")
        for row, key in failed:
            self.best.get(row, {}).pop(key, None)

    def _read(self, answer, failed):
        if "campaign" in answer:
            self.description = answer["campaign"]
            return
        key, row = answer["key"], parsed_row(answer["row"], self.description["threads"])
        if "failed" in answer:
            self.failures.append(answer["failed"])
            failed.add((row, key))
        elif "peak_bytes" in answer:
            self.memory.setdefault(row, {})[key] = answer
        elif "ms_min" in answer:
            self.names[key] = answer.get("peer", key)
            if answer["round"] > 0:
                times, rounds = self.best.setdefault(row, {}), self.rounds.setdefault(row, {})
                times[key] = min(times.get(key, math.inf), answer["ms_min"])
                rounds[key] = rounds.get(key, 0) + 1

    @property
    def unfinished(self):
        """A sentence for each row that was cut short."""
        for row, rounds in self.rounds.items():
            done, wanted = [rounds[key] for key in self.best[row]], self.description["rounds"]
            if done and min(done) < wanted:
                yield f"{row.name} was cut short after {min(done)} of {wanted} rounds"

    @property
    def setting(self):
        """What campaigns must share to stand in one table."""
        return tuple(self.description[name] for name in ("processor", "isa", "threads"))


def parsed_row(name, threads):
    mode, cell, shape = name.split("/")
    return Row(mode, cell, tuple(map(int, shape.split("x"))), threads)


def merged(campaigns):
    """Minima over campaigns, rows in the order in which they were measured."""
    best = {}
    for campaign in campaigns:
        for row, times in campaign.best.items():
            known = best.setdefault(row, {})
            for key, ms in times.items():
                known[key] = min(known.get(key, math.inf), ms)
    return best


def ratio(times, key=None):
    """How many times as long a peer takes as ours, the fastest peer where none is named; None where one is missing."""
    theirs = [ms for name, ms in times.items() if name != "ours" and key in (None, name)]
    return min(theirs) / times["ours"] if theirs and "ours" in times else None


def mean(best, mode, key=None):
    """Geometric mean of ratios over a mode's rows, how many rows that is, and in how many ours is ahead; None without
    rows."""
    ratios = [found for row, times in best.items() if row.mode == mode and (found := ratio(times, key))]
    if not ratios:
        return None
    return math.exp(sum(map(math.log, ratios)) / len(ratios)), len(ratios), sum(found > 1 for found in ratios)


def modes(best):
    return [mode for mode in MODES if any(row.mode == mode for row in best)]
