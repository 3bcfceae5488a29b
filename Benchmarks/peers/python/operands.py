"""The operands that every peer computes with, and the digests by which their results are compared.

A number is a hash of (stream, index), uniform in [-1, 1): onednn/Operands.hpp makes the same ones. Weights are in
PyTorch's order, one row an output, gates i, f, g, o or r, z, n.
"""
import numpy

X, OUTPUT_GRADIENT, H0, C0, W, U, BIAS, RECURRENT_BIAS = range(1, 9)
PATTERN = 100
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "gru-before": 3}


def stream(which, count):
    """`count` float32 numbers in [-1, 1)."""
    with numpy.errstate(over="ignore"):
        x = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(2654435761)
        x += numpy.uint32(which * 0x9E3779B9 & 0xFFFFFFFF)
        x ^= x >> numpy.uint32(16)
        x *= numpy.uint32(0x85EBCA6B)
        x ^= x >> numpy.uint32(13)
        x *= numpy.uint32(0xC2B2AE35)
        x ^= x >> numpy.uint32(16)
    return ((x >> numpy.uint32(8)).astype(numpy.int32) - (1 << 23)).astype(numpy.float32) / numpy.float32(1 << 23)


class Operands:
    """Everything that enters a row: x [T, B, I], dy [T, B, H], h0 and c0 [B, H], weights, biases."""

    def __init__(self, request):
        t, b, i, h = (request[letter] for letter in "TBIH")
        gates = GATES[request["cell"]]
        small = numpy.float32(1) / numpy.sqrt(numpy.float32(h))
        half = numpy.float32(0.5)
        self.x = stream(X, t * b * i).reshape(t, b, i)
        self.dy = stream(OUTPUT_GRADIENT, t * b * h).reshape(t, b, h)
        self.h0 = half * stream(H0, b * h).reshape(b, h)
        self.c0 = half * stream(C0, b * h).reshape(b, h)
        self.w = small * stream(W, gates * h * i).reshape(gates * h, i)
        self.u = small * stream(U, gates * h * h).reshape(gates * h, h)
        self.b = small * stream(BIAS, gates * h)
        # Only the candidate of a reset-after GRU needs a recurrent bias of its own; all others would be summed with b.
        self.bh = numpy.zeros(gates * h, numpy.float32)
        if request["cell"] == "gru":
            self.bh[2 * h:] = small * stream(RECURRENT_BIAS, h)


def digest(values):
    """A result's scalar product with a fixed pattern, and its length: a result that is wrong in any place, by more than
    rounding, has another product."""
    values = numpy.asarray(values, numpy.float64).ravel()
    return [float(values @ stream(PATTERN, values.size)), float(numpy.sqrt(values @ values))]


def digests(results):
    return {name: digest(values) for name, values in results.items()}
