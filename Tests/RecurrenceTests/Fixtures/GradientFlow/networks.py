"""Recurrent layers in NumPy, from the equations alone, with the dense Jacobians of their steps; and the files' format.

PyTorch differentiates these networks too, but it shows neither its gates nor its Jacobians. reference.py holds both
against each other. No automatic differentiation here: each Jacobian is written by hand, a matrix for each row and step.

Weights are a dictionary with the names of PyTorch's state_dict. A state is h, or h and c side by side: N = H or 2 H.
"""
import pathlib

import numpy
import torch

FOLDER = pathlib.Path(__file__).parent
KINDS = ["rnn", "rnn-relu", "lstm", "gru"]
GATES = {"rnn": "a", "rnn-relu": "a", "lstm": "ifgo", "gru": "rzn"}


def draw(generator, *shape, scale=1):
    """Multiples of 1/1024 in [-1, 1], times scale: a small whole number or a power of two, so that Float holds them."""
    return generator.integers(-1024, 1025, shape) / 1024 * scale


def grid(values):
    """The nearest multiples of 1/1024."""
    return numpy.round(numpy.asarray(values) * 1024) / 1024


def write(name, comment, tensors):
    """tensors: dictionary from names to arrays."""
    versions = f"torch {torch.__version__.split('+')[0]}, numpy {numpy.__version__}"
    lines = [f"# {comment}", f"# Written by reference.py, {versions}, float64."]
    for key, array in tensors.items():
        array = numpy.asarray(array)
        assert numpy.isfinite(array).all(), (name, key)
        lines.append(" ".join(["tensor", key] + [str(n) for n in array.shape]))
        for row in array.reshape(-1, array.shape[-1]):
            lines.append(" ".join(format(value, ".17g") for value in row))
    (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")


def sigmoid(a):
    return 1 / (1 + numpy.exp(-a))


class Run:
    """One layer over a sequence.

    h, c [T + 1, B, H]: the states, the initial one first (c: LSTM, otherwise None)
    gates: dictionary from a gate's letter to its activated values [T, B, H]; an RNN's only gate is its output
    pre_activations [T, B, G H]
    jacobians [T, B, N, N]: step t's new state by its old one. Old h and old c are independent variables, so the
      derivative by c_t is that of the steps that follow: without the way through h_t, which step t has taken already.
    """

    def __init__(self, kind, weights, x, h0=None, c0=None, layer=0):
        W, U, b, b_h = (weights[f"{name}_l{layer}"] for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
        self.H = U.shape[1]
        zero = numpy.zeros((x.shape[1], self.H), x.dtype)
        h, c = zero if h0 is None else h0, zero if c0 is None else c0
        U = [U[gate * self.H:(gate + 1) * self.H] for gate in range(len(GATES[kind]))]
        step = {"rnn": self.tanh, "rnn-relu": self.relu, "lstm": self.lstm, "gru": self.gru}[kind]
        hs, cs, gates, pre_activations, jacobians = [h], [c], [], [], []
        for x_t in x:
            a = x_t @ W.T + b
            recurrent = h @ numpy.concatenate(U).T + b_h
            h, c, values, jacobian = step(U, self.split(a), self.split(recurrent), h, c)
            hs.append(h)
            cs.append(c)
            gates.append(values)
            pre_activations.append(a + recurrent)
            jacobians.append(jacobian)
        self.h, self.c = numpy.stack(hs), numpy.stack(cs) if kind == "lstm" else None
        self.gates = dict(zip(GATES[kind], numpy.stack(gates, axis=1)))
        self.pre_activations, self.jacobians = numpy.stack(pre_activations), numpy.stack(jacobians)

    def split(self, a):
        return [a[:, start:start + self.H] for start in range(0, a.shape[1], self.H)]

    # A vector [B, H] scales the rows of a matrix: v[..., None] * U is diag(v) U, for each row of the batch.

    def tanh(self, U, a, recurrent, h, c):
        new = numpy.tanh(a[0] + recurrent[0])
        return new, c, [new], (1 - new * new)[..., None] * U[0]

    def relu(self, U, a, recurrent, h, c):
        new = numpy.maximum(a[0] + recurrent[0], 0)
        return new, c, [new], (new > 0)[..., None] * U[0]

    def lstm(self, U, a, recurrent, h, c):
        sums = [left + right for left, right in zip(a, recurrent)]
        i, f, g, o = sigmoid(sums[0]), sigmoid(sums[1]), numpy.tanh(sums[2]), sigmoid(sums[3])
        new_c = f * c + i * g
        squashed = numpy.tanh(new_c)
        c_by_h = ((g * i * (1 - i))[..., None] * U[0] + (c * f * (1 - f))[..., None] * U[1]
                  + (i * (1 - g * g))[..., None] * U[2])
        c_by_c = f[..., None] * numpy.eye(self.H, dtype=f.dtype)
        through = (o * (1 - squashed * squashed))[..., None]
        h_by_h = (squashed * o * (1 - o))[..., None] * U[3] + through * c_by_h
        jacobian = numpy.block([[h_by_h, through * c_by_c], [c_by_h, c_by_c]])
        return o * squashed, new_c, [i, f, g, o], jacobian

    def gru(self, U, a, recurrent, h, c):
        r, z, m = sigmoid(a[0] + recurrent[0]), sigmoid(a[1] + recurrent[1]), recurrent[2]
        n = numpy.tanh(a[2] + r * m)
        n_by_h = (1 - n * n)[..., None] * (r[..., None] * U[2] + (m * r * (1 - r))[..., None] * U[0])
        jacobian = (z[..., None] * numpy.eye(self.H, dtype=z.dtype) + ((h - n) * z * (1 - z))[..., None] * U[1]
                    + (1 - z)[..., None] * n_by_h)
        return (1 - z) * n + z * h, c, [r, z, n], jacobian

    def pull_back(self, cotangents):
        """Cotangents [T + 1, B, ..., H] that arrive at h_t from outside; returns [T + 1, B, ..., N] at the states."""
        missing = self.jacobians.shape[-1] - self.H
        cotangents = numpy.pad(cotangents, [(0, 0)] * (cotangents.ndim - 1) + [(0, missing)])
        results = [cotangents[-1]]
        for jacobian, cotangent in zip(self.jacobians[::-1], cotangents[-2::-1]):
            results.append(numpy.einsum("b...n,bnm->b...m", results[-1], jacobian) + cotangent)
        return numpy.stack(results[::-1])
