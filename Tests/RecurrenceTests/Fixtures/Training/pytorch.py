#!/usr/bin/env python3
"""Writes what PyTorch's optimisers and losses compute, in float64: one text file a case, next to this script.

Usage: python3 pytorch.py        (needs torch 2.13 (CPU build) and numpy; runs for seconds)

The same versions on the same kind of processor write the same bytes. Cases:
  sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw   with torch.optim's defaults
  momentum-other, ..., adamw-other                         with other numbers
  softmax, binary, squares                                 torch.nn.functional's losses, weighted by rows

The format of the files is that of ../pytorch.py. Tensors of an optimiser:
  initial [N], gradients [T, N], rates [T]   the learning rate differs from update to update
  options [n]                                numbers of the rule, in the order of `OptimizerRule`'s cases
  parameters [T, N]                          after each update
  slot.NAME [N]                              what is remembered after the last update, by PyTorch's names
Tensors of a loss:
  outputs [N, K], classes [N] or targets [N, K], weights [N] (some are 0)
  loss [1], gradient [N, K]                  the mean over rows
  weighted.loss [1], weighted.gradient       sum of w_n l_n, divided by the sum of w_n
"""
import pathlib

import numpy
import torch
from torch.nn import functional

T, N = 25, 19
FOLDER = pathlib.Path(__file__).parent

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def draw(generator, *shape):
    return torch.randint(-1024, 1025, shape, generator=generator).to(torch.float64) / 1024


def write(name, comment, tensors):
    """tensors: dictionary from names to tensors or lists."""
    lines = [f"# {comment}", f"# Written by pytorch.py, torch {torch.__version__.split('+')[0]}, float64."]
    for key, tensor in tensors.items():
        array = numpy.asarray(tensor.detach() if torch.is_tensor(tensor) else tensor)
        lines.append(" ".join(["tensor", key] + [str(n) for n in array.shape]))
        for row in array.reshape(-1, array.shape[-1]):
            lines.append(" ".join(format(value, ".17g") for value in row))
    (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")


def write_optimizer(name, seed, make, options):
    """make: from a list of parameters to an optimiser; options: the rule's numbers."""
    generator = torch.Generator().manual_seed(seed)
    parameters = torch.nn.Parameter(draw(generator, N))
    initial = parameters.detach().clone()
    # Magnitudes from 2^-10 to 2^8; one element whose gradient is 0 throughout, one from the tenth update on.
    gradients = draw(generator, T, N) * 2.0 ** torch.arange(-10, N - 10)
    gradients[:, 3] = 0
    gradients[10:, 5] = 0
    rates = [0.01 * (1 + step % 4) for step in range(T)]
    optimizer = make([parameters])
    after = []
    for gradient, rate in zip(gradients, rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        parameters.grad = gradient.clone()
        optimizer.step()
        after.append(parameters.detach().clone())
    state = optimizer.state[parameters]
    slots = {"slot." + key: value for key, value in state.items() if torch.is_tensor(value) and value.shape == (N,)}
    tensors = {"initial": initial, "gradients": gradients, "rates": rates}
    if options:
        tensors["options"] = options
    write(name, f"{type(optimizer).__name__}, {len(options)} numbers", {
        **tensors, "parameters": torch.stack(after), **slots})


def write_loss(name, seed, key, target, rows_loss):
    """rows_loss: from outputs [N, K] and targets to losses [N]; target: the latter, from a generator."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = 9, 21
    outputs = (8 * draw(generator, rows, columns)).requires_grad_()
    targets = target(generator, rows, columns)
    weights = draw(generator, rows).abs()
    weights[2] = 0
    weights[7] = 0
    losses = rows_loss(outputs, targets)
    tensors = {"outputs": outputs, key: targets, "weights": weights}
    for prefix, loss in [("", losses.mean()), ("weighted.", (weights * losses).sum() / weights.sum())]:
        gradient, = torch.autograd.grad(loss, outputs, retain_graph=True)
        tensors.update({prefix + "loss": loss.reshape(1), prefix + "gradient": gradient})
    write(name, f"{name}, {rows} rows of {columns} outputs", tensors)


def main():
    optim = torch.optim
    seed = 20250607
    # The learning rate given here is replaced before the first update.
    rules = {
        "sgd": (lambda p: optim.SGD(p, 1), []),
        "momentum": (lambda p: optim.SGD(p, 1, momentum=0.9), [0.9]),
        "momentum-other": (lambda p: optim.SGD(p, 1, momentum=0.35), [0.35]),
        "nesterov": (lambda p: optim.SGD(p, 1, momentum=0.9, nesterov=True), [0.9]),
        "nesterov-other": (lambda p: optim.SGD(p, 1, momentum=0.35, nesterov=True), [0.35]),
        "adagrad": (lambda p: optim.Adagrad(p), []),
        "adagrad-other": (lambda p: optim.Adagrad(p, eps=1e-2), [1e-2]),
        "rmsprop": (lambda p: optim.RMSprop(p), []),
        "rmsprop-other": (lambda p: optim.RMSprop(p, alpha=0.4, eps=1e-2), [0.4, 1e-2]),
        "adam": (lambda p: optim.Adam(p), []),
        "adam-other": (lambda p: optim.Adam(p, betas=(0.3, 0.7), eps=1e-2), [0.3, 0.7, 1e-2]),
        "adamw": (lambda p: optim.AdamW(p), []),
        "adamw-other": (lambda p: optim.AdamW(p, betas=(0.3, 0.7), eps=1e-2, weight_decay=0.5), [0.3, 0.7, 1e-2, 0.5]),
    }
    for index, (name, (make, options)) in enumerate(rules.items()):
        write_optimizer(name, seed + index, make, options)
    write_loss(
        "softmax", seed + 100, "classes",
        lambda generator, rows, columns: torch.randint(0, columns, (rows,), generator=generator),
        lambda x, k: functional.cross_entropy(x, k, reduction="none"))
    write_loss(
        "binary", seed + 101, "targets", lambda generator, *shape: draw(generator, *shape).abs(),
        lambda x, y: functional.binary_cross_entropy_with_logits(x, y, reduction="none").mean(1))
    write_loss(
        "squares", seed + 102, "targets", lambda generator, *shape: draw(generator, *shape),
        lambda x, y: functional.mse_loss(x, y, reduction="none").mean(1))


if __name__ == "__main__":
    main()
