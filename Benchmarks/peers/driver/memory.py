"""Peak resident memory of one training step, each in a process of its own: the whole process, less one that only starts
(recurrence-bench) or only imports the library (PyTorch). Ours twice: with a tape that keeps all steps, and with one that
keeps some of them and runs the others again."""
import json
import os
import statistics
import subprocess

from processes import PeerFailure
from rows import Row
from setup import HERE, environment

CELLS = ("rnn", "lstm", "gru")
SHAPE = (128, 32, 1024, 1024)
KEEPING = 32
TIMES = 3


def run(options, raw):
    measures = {"ours": _ours, "ours-keeping": _ours_keeping, "torch": _torch}
    chosen = ["ours", "ours-keeping"] + [key for key in options.peers if key in measures]
    for cell in (cell for cell in options.cells if cell in CELLS):
        row = Row("memory", cell, SHAPE, options.threads)
        for key in chosen:
            try:
                found = [measures[key](row, options) for _ in range(TIMES)]
            except PeerFailure as failure:
                raw.fail(row, key, failure)
                continue
            net = statistics.median(one["peak_bytes"] - one["baseline_bytes"] for one in found)
            middle = next(one for one in found if one["peak_bytes"] - one["baseline_bytes"] == net)
            raw.add(row, key, middle)
            print(f"{row.name:34} {key:12} {net / 2**20:8.1f} MiB above {middle['baseline_bytes'] / 2**20:.1f}",
                  flush=True)


def _answer(command, what, options, variables):
    ended = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=os.environ | variables,
        preexec_fn=lambda: os.sched_setaffinity(0, options.cores))
    if ended.returncode != 0 or not ended.stdout.strip():
        raise PeerFailure(f"{what} could not be measured: {ended.stderr.strip() or ended.returncode}")
    return json.loads(ended.stdout)


def _ours(row, options, *more):
    return _answer(
        [options.bench, "--filter", f"{row.mode}/{row.cell}/", "--shapes", ",".join(map(str, row.shape)),
         "--isa", options.isa, "--threads", row.threads, "--json", *more], row.name, options, {})


def _ours_keeping(row, options):
    return _ours(row, options, "--keeping", KEEPING)


def _torch(row, options):
    command = [environment("python") / "bin" / "python", HERE / "python" / "memory_torch.py"]
    variables = {"OMP_NUM_THREADS": str(row.threads)} | options.limits
    baseline = _answer(command, row.name, options, variables)
    peak = _answer(command + [row.cell, *row.shape, row.threads], row.name, options, variables)
    return peak | {"baseline_bytes": baseline["peak_bytes"]}
