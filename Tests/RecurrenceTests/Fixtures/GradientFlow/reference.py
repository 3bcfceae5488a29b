#!/usr/bin/env python3
"""Writes how gradients flow through small recurrent networks, in float64: one text file a case, next to this script.

Usage: python3 reference.py        (needs torch 2.13 (CPU build) and numpy; runs for seconds)

The same versions on the same kind of processor write the same bytes. The format of the files is that of ../pytorch.py;
weights have the names of PyTorch's state_dict: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ..._l1. Whatever is
drawn at random is a whole number times a power of two that Float holds exactly. networks.py has the layers in NumPy,
verdicts.py the networks of the last case.

profile-rnn, profile-rnn-relu, profile-lstm, profile-gru, profile-lstm-2layers: torch.nn's cells, unrolled by hand
  x [T, B, I], h0, c0 [L, B, H]         (c0, and all that is said of c: LSTM)
  d_outputs [T, B, H], d_h_n, d_c_n [L, B, H]
                                        the loss is the sum of d_y * y over these
  delta_h_l0, delta_c_l0 [T + 1], ..._l1
                                        norms of the gradients at h_t and c_t: the root of the sum of squares over rows
                                        and units. Element 0 is the initial state's. Gradients are total, as autograd
                                        gives them: that at c_t has the way through h_t = o * tanh(c_t) in it, that at
                                        h_t all layers above
  last.delta_h_l0, ...                  the same, if the loss is the sum of d_outputs * outputs at the last step alone
  norm_h_l0, norm_c_l0 [T + 1]          norms of the states themselves
  mean_GATE_l0 [T]                      mean over rows and units of a gate's activated values. Gates: LSTM i, f, g, o;
                                        GRU r, z, n; RNN a, whose activated value is h_t
  saturation_GATE_l0 [T]                share of values < 0.01 or > 0.99 (sigmoid), of magnitudes > 0.99 (tanh), of
                                        zeros (ReLU)
transport-rnn, transport-lstm, transport-gru: from the last h to the states before it
  x [T, B, I], h0, c0 [1, B, H]
  jacobian [B, H, H]                    of h_T (rows) by h_0 (columns); c_0 is constant, c_T is not looked at
  sigma_max [B]                         its largest singular values
  transport_h, transport_c [T + 1]      norms of the total gradients at h_t and c_t, where every element of the one at
                                        h_T is 1 / sqrt(B H), and c_T has none but what reaches it from h_T
  grad.h0, grad.c0 [1, B, H]            the gradients at the initial state
lyapunov: Lyapunov exponents, in descending order, natural logarithm per step: means of ln |R_ii| over all steps but the
first `discarded`, where Q R is decomposed anew at every step from the step's Jacobian times the last Q
  weight_ih_l0, ..., x [T, 1, I], h0 [1, 1, H], discarded [1], exponents [4]
                                        a tanh RNN whose inputs hold it on one orbit. The largest exponent is negative:
                                        sums in another order, and in Float, give nearly the same numbers
  chaotic.weight_hh_l0, chaotic.exponents, chaotic.spread [4]
                                        other recurrent weights, all else as above. Rounding decides the orbit: the mean
                                        over 16 runs whose h0 differ by some 1e-12, and the standard deviation of a run
  linear.A [N, N], linear.exponents [N] h_t = A h_(t-1), A normal: logarithms of the eigenvalues' moduli, exact. States
                                        grow as 1.25^t
verdicts: 20 networks, n00. to n19., and whether a gradient survives the way from h_T to the initial state, which is 0
  nXX.kind [1]                          0 RNN (tanh), 1 RNN (ReLU), 2 LSTM, 3 GRU (reset after)
  nXX.label [1]                         0 vanishing, 1 healthy, 2 exploding
  nXX.weight_ih_l0, ..., nXX.x [T, B, I]
  nXX.gain [T + 1]                      root mean square, over rows and the H unit cotangents at h_T, of the norm of
                                        what arrives at state t: h, or h and c side by side, as independent variables.
                                        Element T is 1
The label is vanishing if gain[0] < 1e-3, exploding if any gain > 1e3. Networks are drawn anew until both figures are a
factor of 30 away from these bounds and some other definitions agree (`is_clear`): a judge need not use this one.
"""
import math
import sys

import numpy
import torch

sys.dont_write_bytecode = True
from networks import GATES, Run, draw, grid, write  # noqa: E402
from verdicts import write_verdicts  # noqa: E402

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

PARAMETERS = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]


def draw_weights(generator, kind, I, H, layers=1, recurrent=1, bias=1):
    """Weights of a stack; recurrent and bias scale weight_hh and bias_ih."""
    rows, weights = len(GATES[kind]) * H, {}
    for layer in range(layers):
        shapes = [(rows, H if layer else I), (rows, H), (rows,), (rows,)]
        for name, shape, scale in zip(PARAMETERS, shapes, [1, recurrent, bias, 1]):
            weights[f"{name}_l{layer}"] = draw(generator, *shape, scale=scale)
    return weights


def unroll(kind, weights, x, initial):
    """Unrolls PyTorch's cells. initial: h0 or [h0, c0], each [L, B, H]; returns states [plane][layer][t]."""
    states = [[[initial[plane][layer]] for layer in range(len(initial[0]))] for plane in range(len(initial))]
    cells = []
    for layer in range(len(initial[0])):
        own = {name: torch.tensor(weights[f"{name}_l{layer}"]) for name in PARAMETERS}
        H, I = own["weight_hh"].shape[1], own["weight_ih"].shape[1]
        cells.append({
            "rnn": lambda: torch.nn.RNNCell(I, H), "rnn-relu": lambda: torch.nn.RNNCell(I, H, nonlinearity="relu"),
            "lstm": lambda: torch.nn.LSTMCell(I, H), "gru": lambda: torch.nn.GRUCell(I, H)}[kind]())
        cells[-1].load_state_dict(own)
    for value in torch.tensor(x):
        for layer, cell in enumerate(cells):
            old = [plane[layer][-1] for plane in states]
            new = cell(value, tuple(old)) if kind == "lstm" else [cell(value, old[0])]
            for plane, state in zip(states, new):
                plane[layer].append(state)
            value = new[0]
    return states


def initial_states(generator, kind, layers, B, H):
    return {name: draw(generator, layers, B, H) for name in (["h0", "c0"] if kind == "lstm" else ["h0"])}


def differentiable(initial):
    """[plane][layer], each state a variable of its own."""
    return [[torch.tensor(state, requires_grad=True) for state in plane] for plane in initial.values()]


def gradients(loss, states):
    """Total gradients at all states of one layer and plane, [T + 1, B, H]."""
    found = torch.autograd.grad(loss, states, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.stack(found).numpy()


def norms(values):
    """[T + 1, B, H] becomes [T + 1]."""
    return numpy.sqrt((values ** 2).sum(axis=(1, 2)))


def beyond(kind, gate, run):
    """By how much each value of a gate is saturated; negative if it is not."""
    values = run.gates[gate]
    if kind == "rnn-relu":
        return -run.pre_activations
    return abs(values) - 0.99 if gate in "agn" else abs(values - 0.5) - 0.49


def write_profile(name, seed, kind, layers, **scales):
    T, B, I, H = 12, 3, 4, 6
    generator = numpy.random.default_rng(seed)
    weights = draw_weights(generator, kind, I, H, layers, **scales)
    x, initial = draw(generator, T, B, I), initial_states(generator, kind, layers, B, H)
    d_outputs = draw(generator, T, B, H)
    d_final = {f"d_{key[0]}_n": draw(generator, layers, B, H) for key in initial}

    states = unroll(kind, weights, x, differentiable(initial))
    outputs, d = torch.stack(states[0][-1][1:]), torch.tensor(d_outputs)
    last = (d[-1] * outputs[-1]).sum()
    loss = (d * outputs).sum()
    for plane, cotangents in zip(states, d_final.values()):
        loss = loss + sum((torch.tensor(cotangent) * steps[-1]).sum() for cotangent, steps in zip(cotangents, plane))

    results, below = {}, x
    for layer in range(layers):
        run = Run(kind, weights, below, *(plane[layer] for plane in initial.values()), layer=layer)
        below = run.h[1:]
        for letter, plane, expected in zip("hc", states, [run.h, run.c]):
            values = torch.stack(plane[layer]).detach().numpy()
            assert abs(values - expected).max() < 1e-13
            results[f"delta_{letter}_l{layer}"] = norms(gradients(loss, plane[layer]))
            results[f"last.delta_{letter}_l{layer}"] = norms(gradients(last, plane[layer]))
            results[f"norm_{letter}_l{layer}"] = norms(values)
        for gate, values in run.gates.items():
            excess = beyond(kind, gate, run)
            # A value on the verge would be judged by its last bits, and a gate that never saturates judges nobody.
            assert abs(excess).min() > 1e-5 and excess.max() > 0, (name, gate)
            results[f"mean_{gate}_l{layer}"] = values.mean(axis=(1, 2))
            results[f"saturation_{gate}_l{layer}"] = (excess > 0).mean(axis=(1, 2))
    if layers == 1:
        check_profile(run, last, states, d_outputs)
    write(name, f"{kind}, {layers} layer(s): norms of gradients and states, and gates", {
        **weights, "x": x, **initial, "d_outputs": d_outputs, **d_final, **results})


def check_profile(run, last, states, d_outputs):
    """The same gradients from the Jacobians, and that the total one at c_t is what the docstring says."""
    cotangents = numpy.zeros_like(run.h)
    cotangents[-1] = d_outputs[-1]
    expected = run.pull_back(cotangents)
    h = gradients(last, states[0][0])
    assert abs(h - expected[..., :run.H]).max() < 1e-13
    if run.c is not None:
        c = expected[..., run.H:]
        c[1:] += h[1:] * run.gates["o"] * (1 - numpy.tanh(run.c[1:]) ** 2)
        assert abs(gradients(last, states[1][0]) - c).max() < 1e-13


def write_transport(kind, seed, **scales):
    T, B, I, H = 20, 2, 3, 8
    generator = numpy.random.default_rng(seed)
    weights = draw_weights(generator, kind, I, H, **scales)
    x, initial = draw(generator, T, B, I), initial_states(generator, kind, 1, B, H)
    constants = [torch.tensor(value) for value in initial.values()]

    def final(h0):
        return unroll(kind, weights, x, [[h0], *constants[1:]])[0][0][-1]

    # [B, H, B, H], where one row's output does not see another row's state.
    jacobian = torch.autograd.functional.jacobian(final, constants[0][0]).numpy()
    jacobian = numpy.stack([jacobian[row, :, row] for row in range(B)])
    run = Run(kind, weights, x, *(value[0] for value in initial.values()))
    product = numpy.stack([numpy.eye(run.jacobians.shape[-1])] * B)
    for step in run.jacobians:
        product = step @ product
    assert abs(product[:, :H, :H] - jacobian).max() < 1e-13 * abs(jacobian).max()

    states = unroll(kind, weights, x, differentiable(initial))
    loss = states[0][0][-1].sum() / math.sqrt(B * H)
    deltas = {letter: gradients(loss, plane[0]) for letter, plane in zip("hc", states)}
    write(f"transport-{kind}", f"{kind}: how the gradient at h_T reaches the states before it", {
        **weights, "x": x, **initial, "jacobian": jacobian,
        "sigma_max": numpy.linalg.svd(jacobian, compute_uv=False)[:, 0],
        **{f"transport_{letter}": norms(delta) for letter, delta in deltas.items()},
        **{f"grad.{letter}0": delta[:1] for letter, delta in deltas.items()}})


def exponents(jacobians, generator, count, discarded):
    """The straightforward method, from a random orthonormal matrix."""
    basis = numpy.linalg.qr(generator.standard_normal((jacobians[0].shape[0], count)))[0]
    logarithms = []
    for jacobian in jacobians:
        basis, R = numpy.linalg.qr(jacobian @ basis)
        logarithms.append(numpy.log(abs(numpy.diag(R))))
    return numpy.mean(logarithms[discarded:], axis=0)


def write_lyapunov(seed):
    T, I, H, count, discarded = 4000, 2, 12, 4, 400
    generator = numpy.random.default_rng(seed)
    # Multiples of 1/64, in short digits: a tenth of the file's size.
    x = generator.integers(-64, 65, (T, 1, I)) / 64
    weights = {
        "weight_ih_l0": draw(generator, H, I), "weight_hh_l0": grid(1.6 * generator.standard_normal((H, H)) / H ** 0.5),
        "bias_ih_l0": draw(generator, H, scale=0.25), "bias_hh_l0": numpy.zeros(H)}
    jacobians = Run("rnn", weights, x).jacobians[:, 0]
    first, second = (exponents(jacobians, generator, count, discarded) for _ in range(2))
    assert abs(first - second).max() < 2e-4, "T is too small"
    assert first[0] < 0 and (first[:-1] - first[1:]).min() > 0.02, first
    single = Run("rnn", {key: value.astype("f") for key, value in weights.items()}, x.astype("f")).jacobians[:, 0]
    assert abs(exponents(single, generator, count, discarded) - first).max() < 1e-5

    chaotic = {**weights, "weight_hh_l0": grid(6 * generator.standard_normal((H, H)) / H ** 0.5)}
    runs = []
    for _ in range(16):
        jacobians = Run("rnn", chaotic, x, 1e-12 * draw(generator, 1, H)).jacobians[:, 0]
        runs.append(exponents(jacobians, generator, count, discarded))
    assert numpy.mean(runs, axis=0)[0] > 0.05, numpy.mean(runs, axis=0)

    # v v^T / 16 with |v|^2 = 32 makes a reflection whose elements are exact, so that A is exactly normal.
    v = numpy.array([1, 1, 1, 2, 3, 4])
    reflection = numpy.eye(6) - numpy.outer(v, v) / 16
    blocks = numpy.diag([0, 0, -1, 0.75, 0.5, -0.25])
    blocks[:2, :2] = [[0.75, -1], [1, 0.75]]
    A = reflection @ blocks @ reflection
    assert (A == grid(A)).all() and (A @ A.T == A.T @ A).all()
    moduli = numpy.log([1.25, 1.25, 1, 0.75, 0.5, 0.25])
    assert abs(exponents([A] * 1000, generator, 6, discarded) - moduli).max() < 1e-13

    write("lyapunov", "Lyapunov exponents: a driven tanh RNN, a chaotic one, a linear map", {
        **weights, "x": x, "h0": numpy.zeros((1, 1, H)), "discarded": [discarded], "exponents": first,
        "chaotic.weight_hh_l0": chaotic["weight_hh_l0"], "chaotic.exponents": numpy.mean(runs, axis=0),
        "chaotic.spread": numpy.std(runs, axis=0, ddof=1), "linear.A": A, "linear.exponents": moduli})


def main():
    write_profile("profile-rnn", 1, "rnn", 1, bias=3)
    write_profile("profile-rnn-relu", 12, "rnn-relu", 1, recurrent=0.5)
    write_profile("profile-lstm", 34, "lstm", 1, bias=4)
    write_profile("profile-gru", 43, "gru", 1, bias=4)
    write_profile("profile-lstm-2layers", 12, "lstm", 2, bias=4)
    write_transport("rnn", 6)
    write_transport("lstm", 7)
    write_transport("gru", 8)
    write_lyapunov(9)
    write_verdicts(10)


if __name__ == "__main__":
    main()
