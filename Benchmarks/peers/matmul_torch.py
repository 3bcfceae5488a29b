#!/usr/bin/env python3
"""PyTorch's side of `recurrence-bench --filter matmul/nt --include-packing`: C[M,N] = A[M,K] times B[K,N], one thread.

Prints the JSON lines of recurrence-bench with "peer": "torch". Minimum and median of as many products as fit a second.

Usage: python3 matmul_torch.py [M,N,K ...]      (needs torch, CPU build)
"""
import json
import statistics
import sys
import time

import torch

torch.set_num_threads(1)
shapes = [tuple(int(n) for n in shape.split(",")) for shape in sys.argv[1:]] or [(512, 512, 512), (1024, 1024, 1024)]
for m, n, k in shapes:
    a, b, c = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
    torch.mm(a, b, out=c)
    samples = []
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b, out=c)
        samples.append(time.perf_counter() - start)
    median, best = statistics.median(samples), min(samples)
    print(json.dumps({
        "suite": "matmul", "peer": "torch", "op": "nt", "M": m, "N": n, "K": k, "dtype": "f32", "threads": 1,
        "ms": round(median * 1e3, 4), "ms_min": round(best * 1e3, 4), "gflops": round(2 * m * n * k / median / 1e9, 2),
        "gflops_best": round(2 * m * n * k / best / 1e9, 2)}), flush=True)
