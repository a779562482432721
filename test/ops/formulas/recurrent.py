"""Recurrent layers: matrices times vectors, one sequence after the other."""
import itertools
import math

import numpy as np

from .values import Value, op

ACTIVATIONS = {
    "affine": lambda x, a, b: a * x + b, "relu": lambda x, a, b: np.maximum(x, 0), "leaky_relu": lambda x, a, b: np.where(x < 0, a * x, x),
    "thresholded_relu": lambda x, a, b: np.where(x > a, x, 0), "tanh": lambda x, a, b: np.tanh(x),
    "scaled_tanh": lambda x, a, b: a * np.tanh(b * x), "sigmoid": lambda x, a, b: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1), "elu": lambda x, a, b: np.where(x < 0, a * np.expm1(x), x),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)), "softplus": lambda x, a, b: np.logaddexp(0, x),
}


def recurrent(attributes, defaults, states, step, x, w, r, bias, lengths, initial, peephole=None):
    """step(wx, rh, wb, rb, state, f, p) -> state, where wx and rh are functions of a gate's number."""
    steps, batch, _ = x.shape
    hidden, direction = r.shape[2], attributes.get("direction", "forward")
    directions, gates = (2 if direction == "bidirectional" else 1), w.shape[1] // max(hidden, 1)
    names = attributes.get("activations", defaults).split(",")
    alpha, beta = attributes.get("alpha") or [0.0] * len(names), attributes.get("beta") or [0.0] * len(names)
    clip = attributes.get("clip", 0) or math.inf
    own = len(defaults.split(","))
    if len(names) < own * directions:
        names, alpha, beta = names * 2, alpha * 2, beta * 2
    y, last = np.zeros([steps, directions, batch, hidden]), [np.zeros([directions, batch, hidden]) for _ in range(states)]
    for d, b in itertools.product(range(directions), range(batch)):
        f = [lambda v, i=i: ACTIVATIONS[names[i]](np.clip(v, -clip, clip), alpha[i], beta[i]) for i in range(d * own, (d + 1) * own)]
        plain = [lambda v, i=i: ACTIVATIONS[names[i]](v, alpha[i], beta[i]) for i in range(d * own, (d + 1) * own)]
        wx, rh = w.a[d].reshape(gates, hidden, -1), r.a[d].reshape(gates, hidden, hidden)
        wb, rb = (bias.a[d] if bias is not None else np.zeros(2 * gates * hidden)).reshape(2, gates, hidden)
        p = (peephole.a[d] if peephole is not None else np.zeros((gates - 1) * hidden)).reshape(-1, hidden)
        length = int(lengths.a[b]) if lengths is not None else steps
        order = list(range(length))
        if direction == "reverse" or d == 1:
            order.reverse()
        state = [s.a[d, b] if s is not None else np.zeros(hidden) for s in initial]
        for t in order:
            state = step(lambda g: wx[g] @ x.a[t, b], lambda g, v: rh[g] @ v, wb, rb, state, f, plain, p)
            y[t, d, b] = state[0]
        for i in range(states):
            last[i][d, b] = state[i] if length else 0
    return tuple(Value(x.name, a) for a in [y] + last)


@op
def op_rnn(attributes, x, w, r, bias=None, lengths=None, initial_h=None):
    def step(wx, rh, wb, rb, state, f, plain, p):
        return [f[0](wx(0) + rh(0, state[0]) + wb[0] + rb[0])]
    return recurrent(attributes, "tanh", 1, step, x, w, r, bias, lengths, [initial_h])


@op
def op_gru(attributes, x, w, r, bias=None, lengths=None, initial_h=None):
    def step(wx, rh, wb, rb, state, f, plain, p):
        h = state[0]
        update, reset = (f[0](wx(g) + rh(g, h) + wb[g] + rb[g]) for g in (0, 1))
        if attributes.get("linear_before_reset", 0):
            new = f[1](wx(2) + reset * (rh(2, h) + rb[2]) + wb[2])
        else:
            new = f[1](wx(2) + rh(2, reset * h) + rb[2] + wb[2])
        return [(1 - update) * new + update * h]
    return recurrent(attributes, "sigmoid,tanh", 1, step, x, w, r, bias, lengths, [initial_h])


@op
def op_lstm(attributes, x, w, r, bias=None, lengths=None, initial_h=None, initial_c=None, peephole=None):
    def step(wx, rh, wb, rb, state, f, plain, p):
        h, c = state
        peep = lambda k, c: p[k] * c if peephole is not None else 0  # not 0 * c, which an infinite c would make NaN
        i, o, forget, new = (wx(g) + rh(g, h) + wb[g] + rb[g] for g in range(4))
        i = f[0](i + peep(0, c))
        forget = 1 - i if attributes.get("input_forget", 0) else f[0](forget + peep(2, c))
        c = forget * c + i * f[1](new)
        return [f[0](o + peep(1, c)) * plain[2](c), c]
    return recurrent(attributes, "sigmoid,tanh,tanh", 2, step, x, w, r, bias, lengths, [initial_h, initial_c], peephole)


@op
def op_linear_attention(attributes, q, k, v, state=None, decay=None, beta=None):
    """One product of matrices after the other, for all heads at once."""
    group = q.shape[1] // k.shape[1]
    s = state.a if state is not None else np.zeros(k.shape[:2] + (q.shape[3], v.shape[3]))
    y = np.zeros(q.shape[:3] + v.shape[3:])
    for t in range(q.shape[2]):
        key, value = k.a[:, :, t, :, None], v.a[:, :, t, None, :]
        if decay is not None:
            s = s * np.exp(decay.a[:, :, t, :, None])
        if beta is not None:
            value = beta.a[:, :, t, :, None] * (value - np.swapaxes(key, 2, 3) @ s)
        s = s + key @ value
        y[:, :, t] = attributes.get("scale", 1.0) * (q.a[:, :, t, None, :] @ np.repeat(s, group, axis=1))[:, :, 0]
    return Value(q.name, y), Value(state.name if state is not None else q.name, s)
