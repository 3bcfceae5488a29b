"""Rows of the comparison: what one line of its tables measures."""
from dataclasses import dataclass

GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru-before": 3}
CELLS = tuple(GATES)
MODES = ("infer", "train")
DTYPE = "f32"
SHAPES = (
    (1, 1, 32, 32), (100, 1, 32, 32), (100, 1, 128, 128), (100, 1, 512, 512), (100, 16, 64, 64), (100, 32, 128, 128),
    (100, 64, 256, 256), (50, 64, 512, 512), (128, 32, 1024, 1024),
)


@dataclass(frozen=True)
class Row:
    mode: str
    cell: str
    shape: tuple
    threads: int = 1

    @property
    def name(self):
        """Suite, cell and shape, as in recurrence-bench's labels: infer/lstm/100x32x128x128."""
        return f"{self.mode}/{self.cell}/{'x'.join(map(str, self.shape))}"

    @property
    def flops(self):
        """Operations in matrix products, as recurrence-bench counts them."""
        t, b, i, h = self.shape
        return 2 * t * b * (i + h) * h * GATES[self.cell] * (3 if self.mode == "train" else 1)

    @property
    def fields(self):
        """What requests say of a row, and answers repeat."""
        return {"mode": self.mode, "cell": self.cell, "dtype": DTYPE, **dict(zip("TBIH", self.shape)),
                "threads": self.threads}

    def request(self, seconds, digests=False):
        return self.fields | {"seconds": seconds, "digests": digests}

    def label(self, isa):
        """What recurrence-bench calls this row."""
        return f"{self.name}/{DTYPE}/{isa}/threads={self.threads}"


def rows(modes=MODES, cells=CELLS, shapes=SHAPES, threads=1):
    return [Row(mode, cell, shape, threads) for mode in modes for cell in cells for shape in shapes]


def parsed_shape(text):
    """T,B,I,H, or T,B,H where I = H."""
    try:
        sizes = tuple(int(size) for size in text.split(","))
    except ValueError:
        sizes = ()
    if len(sizes) == 3:
        sizes += sizes[-1:]
    if len(sizes) != 4 or not all(1 <= size <= 1 << 20 for size in sizes):
        raise ValueError(f"a shape is T,B,I,H or T,B,H, each from 1 to {1 << 20}, got \"{text}\"")
    return sizes
