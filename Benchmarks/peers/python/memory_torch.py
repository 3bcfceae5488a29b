"""Peak resident memory of a process that imports PyTorch, and, where a row is named, runs one training step: forward,
and backward to weights, input and initial state.

Usage: python3 memory_torch.py [CELL T B I H THREADS]      (Linux: VmHWM is from /proc)

Operands are PyTorch's own random numbers: those of operands.py would leave their temporaries in the peak.
"""
import json
import sys

import torch

LAYERS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def train_once(cell, t, b, i, h, threads):
    torch.set_num_threads(threads)
    layer = LAYERS[cell](i, h)
    x, dy = torch.rand(t, b, i, requires_grad=True), torch.rand(t, b, h)
    states = [torch.zeros(1, b, h, requires_grad=True) for _ in range(2 if cell == "lstm" else 1)]
    y, _ = layer(x, tuple(states) if cell == "lstm" else states[0])
    y.backward(dy)
    if not all(float(leaf.grad.abs().sum()) > 0 for leaf in [x, *states, *layer.parameters()]):
        raise SystemExit("memory_torch.py: a gradient is missing")


if len(sys.argv) > 1:
    train_once(sys.argv[1], *map(int, sys.argv[2:]))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(json.dumps({"peak_bytes": int(peak.split()[1]) * 1024}))
