#!/usr/bin/env python3
"""PyTorch's side of `recurrence-bench --filter infer,train`: one layer, one thread, the JSON lines of recurrence-bench.

`infer` is a forward pass without gradients from zero states; `train` is forward and backward to weights, input and
initial state, a gradient given at every output. Minimum and median of as many passes as fill a second.

Usage: python3 sequences_torch.py [--mode infer|train] [T,B,I,H ...]      (needs torch, CPU build)
"""
import argparse
import json
import statistics
import time

import torch

LAYERS = {
    "rnn": lambda i, h: torch.nn.RNN(i, h),
    "rnn-relu": lambda i, h: torch.nn.RNN(i, h, nonlinearity="relu"),
    "lstm": lambda i, h: torch.nn.LSTM(i, h),
    "gru": lambda i, h: torch.nn.GRU(i, h),
}
GATES = {"rnn": 1, "rnn-relu": 1, "lstm": 4, "gru": 3}


def measure(run, seconds):
    run()
    samples, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < 5:
        start = time.perf_counter()
        run()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples), min(samples), max(samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["infer", "train"], action="append")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("shapes", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    shapes = [tuple(map(int, s.split(","))) for s in options.shapes] or [(100, 32, 128, 128)]
    for mode in options.mode or ["infer", "train"]:
        for cell, make in LAYERS.items():
            for t, b, i, h in shapes:
                layer = make(i, h)
                states = [torch.zeros(1, b, h) for _ in range(2 if cell == "lstm" else 1)]
                x, dy = torch.randn(t, b, i), torch.randn(t, b, h)

                def infer():
                    with torch.no_grad():
                        layer(x, tuple(states) if cell == "lstm" else states[0])

                def train():
                    layer.zero_grad(set_to_none=True)
                    inputs = x.detach().requires_grad_()
                    initial = [s.detach().requires_grad_() for s in states]
                    y, _ = layer(inputs, tuple(initial) if cell == "lstm" else initial[0])
                    y.backward(dy)

                median, best, worst = measure(infer if mode == "infer" else train, options.seconds)
                flops = 2 * t * b * (i + h) * h * GATES[cell] * (3 if mode == "train" else 1)
                print(json.dumps({
                    "suite": mode, "peer": "torch", "cell": cell, "mode": mode, "dtype": "f32", "T": t, "B": b, "I": i,
                    "H": h, "threads": 1, "ms": round(median * 1e3, 5), "ms_min": round(best * 1e3, 5),
                    "ms_max": round(worst * 1e3, 5), "gflops": round(flops / median / 1e9, 2)}), flush=True)


if __name__ == "__main__":
    main()
