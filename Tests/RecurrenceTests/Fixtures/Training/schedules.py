#!/usr/bin/env python3
"""Writes the learning rates of PyTorch's schedulers: schedules.txt, next to this script.

Usage: python3 schedules.py        (needs torch 2.13 (CPU build); runs for seconds)

The format is that of the files in the folder above, see pytorch.py. Tensors, the base rate being RATE:
  step [T]           StepLR(step_size=EVERY, gamma=FACTOR), the rate of steps 0 to T - 1
  exponential [T]    ExponentialLR(gamma=0.97)
  cosine [T]         CosineAnnealingLR(T_max=TOTAL, eta_min=0.1 * RATE) up to TOTAL, after which PyTorch's would rise again
  warmup [T]         LinearLR from 1/(WARMUP + 1), then CosineAnnealingLR(T_max=TOTAL - WARMUP, eta_min=0.1 * RATE)
  plateau<N> [5]     factor, patience, threshold, cooldown, minimum of ReduceLROnPlateau(mode="min", threshold_mode="rel")
  losses<N> [M]      what it is told
  rates<N> [M]       the rate after each
"""
import math
import pathlib

import torch

RATE, T, EVERY, FACTOR, TOTAL, WARMUP = 0.02, 60, 7, 0.3, 50, 10


def optimiser():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)


def rates(make, steps):
    sgd = optimiser()
    scheduler = make(sgd)
    values = []
    for _ in range(steps):
        values.append(sgd.param_groups[0]["lr"])
        sgd.step()
        scheduler.step()
    return values


def warmup(sgd):
    rise = torch.optim.lr_scheduler.LinearLR(sgd, start_factor=1 / (WARMUP + 1), total_iters=WARMUP)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=TOTAL - WARMUP, eta_min=0.1 * RATE)
    return torch.optim.lr_scheduler.SequentialLR(sgd, [rise, fall], milestones=[WARMUP])


def plateau(losses, factor, patience, threshold, cooldown, minimum):
    sgd = optimiser()
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        sgd, mode="min", factor=factor, patience=patience, threshold=threshold, threshold_mode="rel", cooldown=cooldown,
        min_lr=minimum)
    values = []
    for loss in losses:
        scheduler.step(loss)
        values.append(sgd.param_groups[0]["lr"])
    return values


def main():
    schedulers = torch.optim.lr_scheduler
    tensors = {
        "step": rates(lambda sgd: schedulers.StepLR(sgd, step_size=EVERY, gamma=FACTOR), T),
        "exponential": rates(lambda sgd: schedulers.ExponentialLR(sgd, gamma=0.97), T),
        "cosine": rates(lambda sgd: schedulers.CosineAnnealingLR(sgd, T_max=TOTAL, eta_min=0.1 * RATE), TOTAL + 1),
        "warmup": rates(warmup, TOTAL + 1),
    }
    generator = torch.Generator().manual_seed(20240607)
    noisy = [2 / (1 + 0.1 * t) + 0.2 * torch.rand(1, generator=generator).item() for t in range(80)]
    runs = [
        ([1.0] * 30, (0.1, 3, 1e-4, 0, 0.0)),
        (noisy, (0.5, 2, 1e-2, 0, 0.0)),
        (noisy, (0.5, 0, 0.0, 4, 0.0)),
        (noisy, (0.3, 1, 0.1, 2, 1e-3)),
        # Just better and just not; numbers that are none; reductions that are too small to take place.
        ([1.0, 0.9, 0.81, 0.729 - 1e-12, 0.7, math.nan, math.inf, 0.6, math.nan, math.nan], (0.5, 0, 0.1, 0, 0.0)),
        ([1.0] * 40, (0.1, 0, 0.0, 0, 0.0)),
    ]
    for index, (losses, parameters) in enumerate(runs):
        tensors[f"plateau{index}"] = list(parameters)
        tensors[f"losses{index}"] = losses
        tensors[f"rates{index}"] = plateau(losses, *parameters)
    lines = [f"# Written by schedules.py, torch {torch.__version__.split('+')[0]}."]
    for name, values in tensors.items():
        lines.append(f"tensor {name} {len(values)}")
        lines.append(" ".join(format(value, ".17g") for value in values))
    (pathlib.Path(__file__).parent / "schedules.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
