"""The formulas of the four cells, forward and backward through time, in double precision and without a trick.

A process that takes the requests of a peer and answers with the digests of exact results. It is not timed.
Written from the cells' equations (Docs/Cells.md): a_t = W x_t + b, then

    rnn         h' = tanh(a + U h)
    lstm        i, f, o = σ(a + U h), g = tanh(a + U h);  c' = f c + i g;  h' = o tanh(c')
    gru         r, z = σ(a + U h);  n = tanh(a + r (U h + b_n));  h' = (1 − z) n + z h
    gru-before  r, z = σ(a + U h);  n = tanh(a + U (r h));        h' = (1 − z) n + z h

A cell's `back` turns ∂L/∂h' (and ∂L/∂c') into ∂L/∂a, ∂L/∂h, ∂L/∂c, and adds to ∂L/∂U.
"""
import json
import sys

import numpy

from operands import Operands, digests


def sigmoid(a):
    return 1 / (1 + numpy.exp(-a))


class RNN:
    def __init__(self, u, bn):
        self.u, self.du = u, numpy.zeros_like(u)

    def step(self, a, h, c):
        after = numpy.tanh(a + h @ self.u.T)
        return after, c, (h, after)

    def back(self, kept, dh, dc):
        h, after = kept
        da = dh * (1 - after**2)
        self.du += da.T @ h
        return da, da @ self.u, dc


class LSTM(RNN):
    def step(self, a, h, c):
        i, f, g, o = numpy.split(a + h @ self.u.T, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), numpy.tanh(g), sigmoid(o)
        squashed = numpy.tanh(f * c + i * g)
        return o * squashed, f * c + i * g, (h, c, i, f, g, o, squashed)

    def back(self, kept, dh, dc):
        h, c, i, f, g, o, squashed = kept
        dc = dc + dh * o * (1 - squashed**2)
        da = numpy.concatenate(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * squashed * o * (1 - o)], axis=1)
        self.du += da.T @ h
        return da, da @ self.u, dc * f


class GRU:
    def __init__(self, u, bn):
        self.u, self.bn, self.du, self.dbn = u, bn, numpy.zeros_like(u), numpy.zeros_like(bn)

    def step(self, a, h, c):
        ar, az, an = numpy.split(a, 3, axis=1)
        ur, uz, un = numpy.split(h @ self.u.T, 3, axis=1)
        r, z = sigmoid(ar + ur), sigmoid(az + uz)
        n = numpy.tanh(an + r * (un + self.bn))
        return (1 - z) * n + z * h, c, (h, r, z, n, un + self.bn)

    def back(self, kept, dh, dc):
        h, r, z, n, inner = kept
        dan = dh * (1 - z) * (1 - n**2)
        dar, daz = dan * inner * r * (1 - r), dh * (h - n) * z * (1 - z)
        recurrent = numpy.concatenate([dar, daz, dan * r], axis=1)
        self.du += recurrent.T @ h
        self.dbn += (dan * r).sum(axis=0)
        return numpy.concatenate([dar, daz, dan], axis=1), dh * z + recurrent @ self.u, dc


class GRUResetBefore:
    def __init__(self, u, bn):
        self.ur, self.uz, self.un = numpy.split(u, 3)
        self.du = numpy.zeros_like(u)

    def step(self, a, h, c):
        ar, az, an = numpy.split(a, 3, axis=1)
        r, z = sigmoid(ar + h @ self.ur.T), sigmoid(az + h @ self.uz.T)
        n = numpy.tanh(an + (r * h) @ self.un.T)
        return (1 - z) * n + z * h, c, (h, r, z, n)

    def back(self, kept, dh, dc):
        h, r, z, n = kept
        dan = dh * (1 - z) * (1 - n**2)
        daz = dh * (h - n) * z * (1 - z)
        inner = dan @ self.un  # ∂L/∂(r h)
        dar = inner * h * r * (1 - r)
        self.du += numpy.concatenate([dar.T @ h, daz.T @ h, dan.T @ (r * h)])
        return numpy.concatenate([dar, daz, dan], axis=1), dh * z + inner * r + dar @ self.ur + daz @ self.uz, dc


CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU, "gru-before": GRUResetBefore}


def results(request):
    o = Operands(request)
    x, dy, h, c, w, u, b, bh = (
        values.astype(numpy.float64) for values in (o.x, o.dy, o.h0, o.c0, o.w, o.u, o.b, o.bh))
    cell, units = CELLS[request["cell"]](u, bh[-request["H"]:]), request["H"]
    has_c = request["cell"] == "lstm"
    y, kept, a = numpy.empty(x.shape[:2] + (units,)), [], x @ w.T + b
    for t in range(len(x)):
        h, c, memory = cell.step(a[t], h, c)
        y[t] = h
        kept.append(memory)
    found = {"y": y, "hT": h} | ({"cT": c} if has_c else {})
    if request["mode"] == "infer":
        return found
    da, dh, dc = numpy.empty_like(a), numpy.zeros_like(h), numpy.zeros_like(h)
    for t in reversed(range(len(x))):
        da[t], dh, dc = cell.back(kept[t], dh + dy[t], dc)
    rows = da.reshape(-1, da.shape[2])
    found |= {"dx": da @ w, "dW": rows.T @ x.reshape(len(rows), -1), "db": rows.sum(axis=0), "dU": cell.du, "dh0": dh}
    return found | ({"dc0": dc} if has_c else {}) | ({"dbn": cell.dbn} if request["cell"] == "gru" else {})


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps({"digests": digests(results(json.loads(line)))}), flush=True)
