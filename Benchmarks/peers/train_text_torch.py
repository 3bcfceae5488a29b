#!/usr/bin/env python3
"""PyTorch's side of a character language model: embedding, LSTM, dense layer; trained with truncated backpropagation.

The protocol, so that another implementation can be held against this one step by step:
  characters  the distinct bytes of the file, sorted; n of them in the file
  training    the first int(0.95 n), in B streams of length floor((training - 1)/B); stream b starts at b times that, its
              targets are the next characters. floor(length/T) windows an epoch; the remainder is dropped
  states      carried from window to window and detached; zero at the start of an epoch
  validation  the rest, in 8 streams likewise, windows of 256 steps, the shorter last one included, states carried: the mean
              cross-entropy, in nats, of all characters predicted
  biases      bias_hh is added to bias_ih at the start, then zero for good: one bias a gate. Unless initial weights are read,
              the forget gate's is 1
  update      Adam with PyTorch's betas and epsilon, gradients clipped to a norm over all parameters

Usage: python3 train_text_torch.py --text FILE [--json] [...]      (needs torch, CPU build, and safetensors)

--initial reads, --save-initial and --weights write recurrent.safetensors, embedding.safetensors and output.safetensors in a
folder, each the state_dict of its module. With --json one object a line: step (updates made), epoch (from 0), loss (of the
window, before the update), grad_norm (before clipping), chars_per_second (mean since the start, without validation); and
step, epoch, val_loss after each epoch and where --seconds ends the run.
"""
import argparse
import json
import pathlib
import sys
import time

import torch
from safetensors.torch import load_file, save_file

VALIDATION_STREAMS, VALIDATION_STEPS = 8, 256


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--embedding", type=int, default=64)
    parser.add_argument("--seq", type=int, default=50, help="T")
    parser.add_argument("--batch", type=int, default=50, help="B")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="end after so many seconds of training")
    parser.add_argument("--initial", type=pathlib.Path, help="folder to read the first weights from")
    parser.add_argument("--save-initial", type=pathlib.Path, help="folder to write the first weights to")
    parser.add_argument("--weights", type=pathlib.Path, help="folder to write the last weights to")
    parser.add_argument("--every", type=int, default=1, help="steps between lines")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def streams(text, count):
    """[length, count] inputs and targets: stream b is column b."""
    length = (len(text) - 1) // count
    if length < 1:
        sys.exit(f"text: expected more than {count} characters, got {len(text)}")
    starts = torch.arange(count) * length
    index = starts[None, :] + torch.arange(length)[:, None]
    return text[index], text[index + 1]


def make(options, characters):
    modules = {
        "embedding": torch.nn.Embedding(characters, options.embedding),
        "recurrent": torch.nn.LSTM(options.embedding, options.hidden, options.layers),
        "output": torch.nn.Linear(options.hidden, characters),
    }
    if options.initial:
        for name, module in modules.items():
            module.load_state_dict(load_file(options.initial / f"{name}.safetensors"))
    recurrent = modules["recurrent"]
    with torch.no_grad():
        for layer in range(options.layers):
            bias, frozen = getattr(recurrent, f"bias_ih_l{layer}"), getattr(recurrent, f"bias_hh_l{layer}")
            bias += frozen
            frozen.zero_()
            frozen.requires_grad_(False)
            if not options.initial:
                bias[options.hidden:2 * options.hidden] = 1
    return modules


def save(modules, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in modules.items():
        save_file({key: value.contiguous() for key, value in module.state_dict().items()}, folder / f"{name}.safetensors")


def run(modules, inputs, states):
    hidden, states = modules["recurrent"](modules["embedding"](inputs), states)
    return modules["output"](hidden), states


def validate(modules, text):
    inputs, targets = streams(text, VALIDATION_STREAMS)
    total, states = 0.0, None
    with torch.no_grad():
        for start in range(0, len(inputs), VALIDATION_STEPS):
            window = slice(start, start + VALIDATION_STEPS)
            logits, states = run(modules, inputs[window], states)
            total += torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), targets[window].flatten(), reduction="sum").item()
    return total / targets.numel()


def main():
    options = parse()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    data = options.text.read_bytes()
    characters = sorted(set(data))
    place = {byte: index for index, byte in enumerate(characters)}
    text = torch.tensor([place[byte] for byte in data])
    cut = int(0.95 * len(text))
    inputs, targets = streams(text[:cut], options.batch)
    windows = len(inputs) // options.seq
    if windows < 1:
        sys.exit(f"text: expected at least {options.seq} steps in each of {options.batch} streams, got {len(inputs)}")
    modules = make(options, len(characters))
    if options.save_initial:
        save(modules, options.save_initial)
    parameters = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=options.lr)

    def report(line):
        if options.json:
            print(json.dumps(line), flush=True)
        else:
            print("  ".join(f"{key} {value:.6g}" for key, value in line.items()), flush=True)

    step, seconds, is_over = 0, 0.0, False
    for epoch in range(options.epochs):
        states = None
        for window in range(windows):
            begin = time.perf_counter()
            steps = slice(window * options.seq, (window + 1) * options.seq)
            logits, states = run(modules, inputs[steps], states)
            states = tuple(state.detach() for state in states)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[steps].flatten())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, options.clip)
            optimiser.step()
            value = loss.item()
            seconds += time.perf_counter() - begin
            step += 1
            if step % options.every == 0:
                report({
                    "step": step, "epoch": epoch, "loss": value, "grad_norm": norm.item(),
                    "chars_per_second": step * options.seq * options.batch / seconds})
            is_over = options.seconds is not None and seconds >= options.seconds
            if is_over:
                break
        report({"step": step, "epoch": epoch, "val_loss": validate(modules, text[cut:])})
        if is_over:
            break
    if options.weights:
        save(modules, options.weights)


if __name__ == "__main__":
    main()
