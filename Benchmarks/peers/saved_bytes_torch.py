#!/usr/bin/env python3
"""Bytes that PyTorch saves for the backward pass of one layer, per step and sequence: weights and input not counted.

Counts the distinct storages that autograd saves (torch.autograd.graph.saved_tensors_hooks), which hold the outputs too.

Usage: python3 saved_bytes_torch.py      (needs torch, CPU build)
"""
import json

import torch

T, B, I, H = 100, 32, 128, 128
for name, layer in [("rnn", torch.nn.RNN(I, H)), ("lstm", torch.nn.LSTM(I, H)), ("gru", torch.nn.GRU(I, H))]:
    for onednn in [True, False] if name == "lstm" else [False]:
        x = torch.randn(T, B, I, requires_grad=True)
        known = {p.untyped_storage().data_ptr() for p in layer.parameters()} | {x.untyped_storage().data_ptr()}
        saved = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                saved[storage.data_ptr()] = (storage.nbytes(), tensor)  # kept alive: addresses must not be reused
            return tensor

        with torch.backends.mkldnn.flags(enabled=onednn), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            output, _ = layer(x)
        total = sum(size for size, _ in saved.values())
        if output.untyped_storage().data_ptr() not in saved:
            total += output.untyped_storage().nbytes()
        print(json.dumps({
            "suite": "saved", "peer": "torch" + ("+onednn" if onednn else ""), "cell": name, "T": T, "B": B, "I": I, "H": H,
            "bytes_per_step": round(total / (T * B), 1), "planes": round(total / (T * B * H * 4), 2)}), flush=True)
