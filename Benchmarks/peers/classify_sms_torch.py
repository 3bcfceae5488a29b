#!/usr/bin/env python3
"""PyTorch's side of a byte-level text classifier: embedding, GRU, dense layer over the state after the last byte.

The protocol:
  messages    lines "label TAB text" after a header; of equal lines the first is kept
  test        every fifth message, index % 5 == 4; the others are trained on
  symbols     the bytes of the text, the first 200 of them
  training    Adam with PyTorch's betas and epsilon, batches of 32, the last one smaller, in an order that is drawn anew for
              each epoch; gradients clipped to a norm over all parameters

Usage: python3 classify_sms_torch.py --data FILE.tsv [--json] [...]      (needs torch, CPU build)

Reports accuracy, and precision, recall and F1 of "spam", on the test messages after each epoch. With --json one object a
line: epoch (from 0), loss (mean over the epoch's messages), accuracy, precision, recall, f1, seconds (of training so far).
"""
import argparse
import json
import pathlib
import sys
import time

import torch

LABELS = [b"ham", b"spam"]
TEST_BATCH = 256


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--embedding", type=int, default=32)
    parser.add_argument("--longest", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def read(path, longest):
    """Messages as (label, bytes)."""
    lines = path.read_bytes().split(b"\n")[1:]
    messages = []
    for line in dict.fromkeys(line for line in lines if line):
        label, tab, text = line.partition(b"\t")
        if label not in LABELS or not tab or not text:
            sys.exit(f"{path}: expected label TAB text, got {line[:60]!r}")
        messages.append((LABELS.index(label), text[:longest]))
    return messages


class Classifier(torch.nn.Module):
    def __init__(self, options):
        super().__init__()
        self.embedding = torch.nn.Embedding(256, options.embedding)
        self.recurrent = torch.nn.GRU(options.embedding, options.hidden)
        self.output = torch.nn.Linear(options.hidden, len(LABELS))

    def forward(self, messages):
        texts = [torch.frombuffer(bytearray(text), dtype=torch.uint8).long() for _, text in messages]
        lengths = torch.tensor([len(text) for text in texts])
        padded = self.embedding(torch.nn.utils.rnn.pad_sequence(texts))
        packed = torch.nn.utils.rnn.pack_padded_sequence(padded, lengths, enforce_sorted=False)
        return self.output(self.recurrent(packed)[1][0])


def labels(messages):
    return torch.tensor([label for label, _ in messages])


def judge(model, messages):
    with torch.no_grad():
        parts = [messages[i:i + TEST_BATCH] for i in range(0, len(messages), TEST_BATCH)]
        said = torch.cat([model(part).argmax(1) for part in parts])
    true = labels(messages)
    hits = ((said == 1) & (true == 1)).sum().item()
    precision, recall = hits / max(1, (said == 1).sum().item()), hits / max(1, (true == 1).sum().item())
    return {
        "accuracy": (said == true).double().mean().item(), "precision": precision, "recall": recall,
        "f1": 2 * precision * recall / max(1e-300, precision + recall)}


def main():
    options = parse()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    messages = read(options.data, options.longest)
    test = messages[4::5]
    train = [message for index, message in enumerate(messages) if index % 5 != 4]
    model = Classifier(options)
    optimiser = torch.optim.Adam(model.parameters(), lr=options.lr)
    seconds = 0.0
    for epoch in range(options.epochs):
        begin, total = time.perf_counter(), 0.0
        for chosen in torch.randperm(len(train)).split(options.batch):
            part = [train[index] for index in chosen.tolist()]
            loss = torch.nn.functional.cross_entropy(model(part), labels(part))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            optimiser.step()
            total += loss.item() * len(part)
        seconds += time.perf_counter() - begin
        line = {"epoch": epoch, "loss": total / len(train), **judge(model, test), "seconds": round(seconds, 3)}
        print(json.dumps(line) if options.json else "  ".join(f"{k} {v:.6g}" for k, v in line.items()), flush=True)


if __name__ == "__main__":
    main()
