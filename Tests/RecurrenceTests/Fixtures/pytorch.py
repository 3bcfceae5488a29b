#!/usr/bin/env python3
"""Writes what PyTorch computes, in float64, for small recurrent networks: one text file a case, next to this script.

Usage: python3 pytorch.py        (needs torch 2.13 (CPU build) and numpy; runs for seconds)

The same versions on the same kind of processor write the same bytes. Cases:
  <cell>-<L>layer[s]-<bias|nobias>.txt torch.nn.RNN (tanh, relu), LSTM, GRU
  <cell>-lengths.txt                   the same, two layers, rows of different lengths as a packed sequence
  lstm-peephole.txt                    written-out formulae, forward in NumPy, gradients by torch.autograd over
  gru-reset-before.txt                 the same formulae (the two forward passes are compared)

A file is lines of text. "#" begins a comment; "tensor NAME DIMENSIONS" begins a tensor, whose values follow, row-major,
17 significant digits, one line for each stretch of the last dimension. Tensors of a file:
  weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ..._l1     PyTorch's state_dict; or W, U, b, p_i, p_f, p_o
  x [T, B, I], h0, c0 [L, B, H], lengths [B]                     (c0: LSTM; lengths: where rows end early)
  outputs [T, B, H], h_n, c_n [L, B, H]                          what the network returned
  d_outputs, d_h_n, d_c_n                                        the loss is the sum of d_y * y over these
  grad.NAME                                                      gradient for every parameter, x, h0, c0

Whatever is drawn at random is a multiple of 1/1024 in [-1, 1]: float32 holds it exactly, so that single precision can
be judged by the same files.
"""
import pathlib

import numpy
import torch

T, B, I, H = 5, 3, 4, 6
LENGTHS = [2, 5, 3]
FOLDER = pathlib.Path(__file__).parent

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def draw(generator, *shape):
    return torch.randint(-1024, 1025, shape, generator=generator).to(torch.float64) / 1024


def write(name, comment, tensors):
    """tensors: dictionary from names to tensors."""
    lines = [f"# {comment}", f"# Written by pytorch.py, torch {torch.__version__.split('+')[0]}, float64."]
    for key, tensor in tensors.items():
        array = numpy.asarray(tensor.detach() if torch.is_tensor(tensor) else tensor)
        lines.append(" ".join(["tensor", key] + [str(n) for n in array.shape]))
        for row in array.reshape(-1, array.shape[-1]):
            lines.append(" ".join(format(value, ".17g") for value in row))
    (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")


def differentiate(variables, results):
    """Gradients of the sum of d_y * y over results; variables and results are dictionaries, d_y named "d_" + name of y."""
    names = [name for name in results if not name.startswith("d_")]
    gradients = torch.autograd.grad(
        [results[name] for name in names], list(variables.values()), [results["d_" + name] for name in names])
    return {"grad." + name: gradient for name, gradient in zip(variables, gradients)}


def write_pytorch(name, seed, make, layers, bias, lengths=None):
    generator = torch.Generator().manual_seed(seed)
    network = make(I, H, num_layers=layers, bias=bias)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(draw(generator, *parameter.shape))
    has_c = isinstance(network, torch.nn.LSTM)
    states = {"h0": draw(generator, layers, B, H)}
    if has_c:
        states["c0"] = draw(generator, layers, B, H)
    x = draw(generator, T, B, I)
    for tensor in [x, *states.values()]:
        tensor.requires_grad_()

    sequence = x
    if lengths:
        sequence = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    outputs, final = network(sequence, tuple(states.values()) if has_c else states["h0"])
    if lengths:
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, total_length=T)
    results = {"outputs": outputs}
    results.update(zip(["h_n", "c_n"], final if has_c else [final]))
    for key in list(results):
        results["d_" + key] = draw(generator, *results[key].shape)

    parameters = dict(network.named_parameters())
    gradients = differentiate({**parameters, "x": x, **states}, results)
    tensors = {**parameters, "x": x, **states}
    if lengths:
        tensors["lengths"] = numpy.array(lengths)
    comment = f"{type(network).__name__}, {layers} layer(s), {'biases' if bias else 'no biases'}"
    write(name, comment, {**tensors, **results, **gradients})


# Written-out formulae. m is numpy or torch; both spell what is used here alike. Weights come one row an output.

def sigmoid(m, a):
    return 1 / (1 + m.exp(-a))


def lstm_peephole(m, v):
    """Gates i, f, g, o. p_i and p_f see the old c, p_o the new one (Gers, Schraudolph and Schmidhuber 2002)."""
    h, c, outputs = v["h0"][0], v["c0"][0], []
    for t in range(T):
        a = v["x"][t] @ v["W"].T + h @ v["U"].T + v["b"]
        a_i, a_f, a_g, a_o = (a[:, gate * H:(gate + 1) * H] for gate in range(4))
        i = sigmoid(m, a_i + v["p_i"] * c)
        f = sigmoid(m, a_f + v["p_f"] * c)
        c = f * c + i * m.tanh(a_g)
        h = sigmoid(m, a_o + v["p_o"] * c) * m.tanh(c)
        outputs.append(h)
    return {"outputs": m.stack(outputs), "h_n": h[None], "c_n": c[None]}


def gru_reset_before(m, v):
    """Gates r, z, n. The original GRU (Cho et al. 2014), whose update gate "takes": h' = (1 - z) h + z n.

    Keras' GRU with reset_after=False is the same network under another convention: there the update gate "keeps",
    h' = z h + (1 - z) n. As 1 - sigmoid(a) = sigmoid(-a), Keras' weights become ours so:
      - kernel [I, 3H], recurrent_kernel [H, 3H] and bias [3H] hold the gates in the order z, r, n: reorder to r, z, n;
      - transpose both kernels: ours hold one row an output;
      - negate the z rows of W and U and the z part of b.
    (Keras before 2.3 also took a hard sigmoid for r and z by default.)
    """
    h, outputs = v["h0"][0], []
    W_r, W_z, W_n = (v["W"][gate * H:(gate + 1) * H] for gate in range(3))
    U_r, U_z, U_n = (v["U"][gate * H:(gate + 1) * H] for gate in range(3))
    b_r, b_z, b_n = (v["b"][gate * H:(gate + 1) * H] for gate in range(3))
    for t in range(T):
        x = v["x"][t]
        r = sigmoid(m, x @ W_r.T + h @ U_r.T + b_r)
        z = sigmoid(m, x @ W_z.T + h @ U_z.T + b_z)
        n = m.tanh(x @ W_n.T + (r * h) @ U_n.T + b_n)
        h = (1 - z) * h + z * n
        outputs.append(h)
    return {"outputs": m.stack(outputs), "h_n": h[None]}


def write_formula(name, seed, formula, shapes):
    generator = torch.Generator().manual_seed(seed)
    variables = {key: draw(generator, *shape).requires_grad_() for key, shape in shapes.items()}
    results = formula(torch, variables)
    in_numpy = formula(numpy, {key: value.detach().numpy() for key, value in variables.items()})
    for key, value in in_numpy.items():
        assert numpy.abs(value - results[key].detach().numpy()).max() < 1e-14, key
    for key in list(results):
        results["d_" + key] = draw(generator, *results[key].shape)
    gradients = differentiate(variables, results)
    write(name, formula.__doc__.splitlines()[0], {**variables, **results, **in_numpy, **gradients})


def main():
    makers = {
        "rnn-tanh": lambda *sizes, **options: torch.nn.RNN(*sizes, nonlinearity="tanh", **options),
        "rnn-relu": lambda *sizes, **options: torch.nn.RNN(*sizes, nonlinearity="relu", **options),
        "lstm": torch.nn.LSTM,
        "gru": torch.nn.GRU,
    }
    seed = 20240607
    for cell, make in makers.items():
        for layers in [1, 2]:
            for bias in [True, False]:
                seed += 1
                name = f"{cell}-{layers}layer{'s' if layers > 1 else ''}-{'bias' if bias else 'nobias'}"
                write_pytorch(name, seed, make, layers, bias)
        seed += 1
        write_pytorch(f"{cell}-lengths", seed, make, 2, True, LENGTHS)
    sequence = {"x": (T, B, I), "h0": (1, B, H)}
    write_formula("lstm-peephole", seed + 1, lstm_peephole, {
        "W": (4 * H, I), "U": (4 * H, H), "b": (4 * H,), "p_i": (H,), "p_f": (H,), "p_o": (H,),
        **sequence, "c0": (1, B, H)})
    write_formula("gru-reset-before", seed + 2, gru_reset_before, {
        "W": (3 * H, I), "U": (3 * H, H), "b": (3 * H,), **sequence})


if __name__ == "__main__":
    main()
