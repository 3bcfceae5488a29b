"""What the Python peers share: one request per line in, one answer per line out, the last row kept."""
import json
import sys

from operands import GATES, digests
from sampling import Sampler

ROW = ("mode", "cell", "dtype", "T", "B", "I", "H", "threads")


class Unsupported(Exception):
    """A sentence: why this peer has no such row."""


def serve(name, make_row):
    """`make_row(request)` returns an object with `run()`, what is timed, and `results()`, a dictionary of arrays in the
    canonical layout of operands.py."""
    key = row = sampler = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            wanted = tuple(request[field] for field in ROW)
            if wanted != key:
                key = row = sampler = None
                if request["dtype"] != "f32":
                    raise Unsupported(f"{name} is measured in f32 only")
                row = make_row(request)
                sampler, key = Sampler(row.run), wanted
                sampler.warm_up(request["seconds"])
            median, least, most = sampler.collect(request["seconds"])
            t, b, i, h = (request[letter] for letter in "TBIH")
            products = 2 * t * b * (i + h) * h * GATES[request["cell"]] * (3 if request["mode"] == "train" else 1)
            answer = {"suite": request["mode"], "peer": name} | {field: request[field] for field in ROW}
            answer |= {"ms": round(median, 6), "ms_min": round(least, 6), "ms_max": round(most, 6)}
            answer["gflops"] = round(products / median / 1e6, 2)
            if request.get("digests"):
                answer["digests"] = digests(row.results())
        except Unsupported as reason:
            answer = {"peer": name, "unsupported": str(reason)}
        print(json.dumps(answer), flush=True)
