"""Twenty networks, ten healthy and ten sick, for verdicts.txt. reference.py says what the tensors are.

The labels come from dense products of Jacobians in NumPy. Sickness has many definitions, and they differ by factors; so
a network is drawn anew until it is far from every bound.
"""
import numpy

from networks import GATES, KINDS, Run, draw, grid, write

LABELS = ["vanishing", "healthy", "exploding"]
LEAST, LARGEST = 1e-3, 1e3
MARGIN, OTHER_MARGIN = 30, 5


def label(profile):
    if profile[0] < LEAST:
        return "vanishing"
    return "exploding" if profile.max() > LARGEST else "healthy"


def root_mean_square(gradients):
    """Gradients [T + 1, B, H, N] from the H unit cotangents at h_T."""
    return numpy.sqrt((gradients ** 2).sum(axis=3).mean(axis=(1, 2)))


def profiles(kind, weights, x):
    """Definitions of what survives, [T + 1] each. The first is the one that is written."""
    run = Run(kind, weights, x)
    T, B, H = len(x), x.shape[1], run.H
    cotangents = numpy.zeros((T + 1, B, H, H), x.dtype)
    cotangents[-1] = numpy.eye(H)
    full = run.pull_back(cotangents)
    rows = [root_mean_square(full[:, row:row + 1]) for row in range(B)]
    alone = root_mean_square(full[..., :H])
    # One cotangent for all, as if the loss were the sum of the last output.
    together = numpy.sqrt((full.sum(axis=2) ** 2).sum(axis=(1, 2)) / (B * H))
    return [root_mean_square(full), *rows, alone, together]


def is_far(profile, margin):
    """Whether both figures are so many times away from the bounds."""
    first, largest = profile[0], profile.max()
    return {"vanishing": first <= LEAST / margin and largest <= LARGEST / margin,
            "healthy": first >= LEAST * margin and largest <= LARGEST / margin,
            "exploding": first >= LARGEST * margin}[label(profile)]


def is_clear(kind, weights, x):
    """Far from the bounds; and less far, but on the same side, if judged by each row, by the gradient at h alone, by a
    single cotangent, or in single precision."""
    single = {key: value.astype("f") for key, value in weights.items()}
    assert all((single[key] == weights[key]).all() for key in weights) and (x.astype("f") == x).all()
    gain, *others = profiles(kind, weights, x)
    # Rounding errors grow as gradients do: up to 1e9, sums in another order give the same gain to some six digits.
    if not is_far(gain, MARGIN) or gain.max() > 1e9:
        return False
    others += profiles(kind, single, x.astype("f"))
    return all(label(other) == label(gain) and is_far(other, OTHER_MARGIN) for other in others)


def gaussian(generator, H, g):
    return grid(g * generator.standard_normal((H, H)) / H ** 0.5)


def orthogonal(generator, H, g):
    """To the nearest multiples of 1/1024: the decomposition's last bits do not show."""
    return grid(g * numpy.linalg.qr(generator.standard_normal((H, H)))[0])


def uniform(generator, kind, I, H, g=1):
    """PyTorch's default, U(-1, 1) / sqrt(H), and no bias. g scales the recurrent weights."""
    rows = len(GATES[kind]) * H
    return {
        "weight_ih_l0": grid(generator.uniform(-1, 1, (rows, I)) / H ** 0.5),
        "weight_hh_l0": grid(g * generator.uniform(-1, 1, (rows, H)) / H ** 0.5),
        "bias_ih_l0": numpy.zeros(rows), "bias_hh_l0": numpy.zeros(rows)}


def rnn(matrix, g, bias=0, kind="rnn"):
    """matrix: from a generator, H and g to weight_hh; bias: one number for all units."""
    def make(generator, I, H, T):
        weights = uniform(generator, kind, I, H)
        return {**weights, "weight_hh_l0": matrix(generator, H, g), "bias_ih_l0": numpy.full(H, bias)}
    return kind, make


def gated(kind, g=1, keep=0.0, chrono=False, candidate=False):
    """keep: the bias of the gate that keeps, f or z; chrono: units forget in 1 to T - 1 steps, and an LSTM's input gate
    has the opposite bias (Tallec and Ollivier 2018); candidate: whether a GRU's n has a recurrent bias."""
    def make(generator, I, H, T):
        weights = uniform(generator, kind, I, H, g)
        bias, memory = weights["bias_ih_l0"], grid(numpy.log(generator.uniform(1, T - 1, H)))
        bias[H:2 * H] = memory if chrono else keep
        if chrono and kind == "lstm":
            bias[:H] = -memory
        if candidate:
            weights["bias_hh_l0"][2 * H:] = draw(generator, H, scale=0.5)
        return weights
    return kind, make


def identity(generator, H, g):
    return g * numpy.eye(H)


def shift(generator, H, g):
    """Each unit takes its neighbour's value."""
    return numpy.roll(identity(generator, H, g), 1, axis=0)


# What is meant, how weights are drawn, T, H, I, the size of inputs. A tanh that is not to saturate needs tiny ones.
TINY = 2.0 ** -20
NETWORKS = [
    ("healthy", rnn(orthogonal, 1), 50, 12, 2, 2.0 ** -6),
    ("healthy", rnn(orthogonal, 1), 200, 8, 1, TINY),
    ("healthy", rnn(orthogonal, 1.0625), 60, 16, 2, 0.125),
    ("healthy", rnn(gaussian, 1.5), 30, 16, 2, 0.5),
    ("healthy", rnn(identity, 1, 0.0625, "rnn-relu"), 150, 10, 1, 0.25),
    ("healthy", rnn(shift, 1, 0.25, "rnn-relu"), 40, 12, 2, 1),
    ("healthy", gated("lstm", g=4, chrono=True), 100, 8, 2, 1),
    ("healthy", gated("lstm", keep=6.0), 200, 8, 1, 1),
    ("healthy", gated("gru", keep=5.0), 120, 10, 2, 1),
    ("healthy", gated("gru", chrono=True, candidate=True), 60, 12, 1, 1),
    ("vanishing", rnn(orthogonal, 0.75), 60, 12, 2, 2.0 ** -6),
    ("vanishing", rnn(orthogonal, 1.0625), 60, 16, 2, 4),
    ("vanishing", gated("lstm"), 50, 10, 2, 1),
    ("vanishing", gated("lstm", keep=1.0), 100, 8, 1, 1),
    ("vanishing", gated("gru", candidate=True), 60, 12, 2, 1),
    ("exploding", rnn(orthogonal, 1.3125), 60, 8, 1, TINY),
    ("exploding", rnn(gaussian, 4), 100, 16, 2, 0.5),
    ("exploding", rnn(gaussian, 2, kind="rnn-relu"), 60, 16, 2, 0.5),
    ("exploding", gated("lstm", g=12), 150, 16, 2, 0.25),
    ("exploding", gated("gru", g=12, candidate=True), 100, 16, 2, 1),
]


def write_verdicts(seed, attempts=100):
    B, tensors = 2, {}
    for number, (meant, (kind, make), T, H, I, size) in enumerate(NETWORKS):
        generator = numpy.random.default_rng([seed, number])
        for _ in range(attempts):
            weights, x = make(generator, I, H, T), draw(generator, T, B, I, scale=size)
            gain = profiles(kind, weights, x)[0]
            if label(gain) == meant and is_clear(kind, weights, x):
                break
        else:
            raise RuntimeError(f"network {number}: nothing clear in {attempts} attempts; the last gain is {gain[0]}")
        network = {"kind": [KINDS.index(kind)], "label": [LABELS.index(meant)], **weights, "x": x, "gain": gain}
        tensors.update((f"n{number:02}.{key}", value) for key, value in network.items())
    write("verdicts", "Kinds 0 rnn, 1 rnn-relu, 2 lstm, 3 gru; labels 0 vanishing, 1 healthy, 2 exploding", tensors)
