"""Recurrent layers."""
from ..graph import require, result
from ..sizes import Dim, elements
from . import op
from .elementwise import attribute
from .products import weights

# Functions and ranges of their parameters; those without a bound need a clip.
BOUNDED = {"Tanh": (), "Sigmoid": (), "HardSigmoid": ((0.1, 0.3), (0.3, 0.6)), "Softsign": (), "ScaledTanh": ((0.5, 1.5), (0.5, 1))}
UNBOUNDED = {"Relu": (), "LeakyRelu": ((0.01, 0.3),), "Elu": ((0.5, 1),), "Softplus": (), "Affine": ((0.3, 1), (-0.5, 0.5))}


def activations(g, count, clipped):
    """The three attributes; values for the functions that take them, in their order."""
    known = {**BOUNDED, **(UNBOUNDED if clipped else {})}
    names = [g.pick_one(known) for _ in range(count)]
    parameters = [[round(g.random.uniform(*known[n][i]), 2) for n in names if len(known[n]) > i] for i in (0, 1)]
    return {"activations": [n.lower() if g.chance(0.1) else n for n in names], "activation_alpha": parameters[0], "activation_beta": parameters[1]}


def recurrent(name, gates, functions):
    def make(g):
        x = g.pick(("f32",) * 24 + ("f64", "f16"), rank=3)
        batch_first = g.opset >= 14 and g.chance(0.2)
        steps, batch = x.dims[1::-1] if batch_first else x.dims[:2]
        hidden = Dim.of(g.pick_one([1, 2, 3, 4, 5, 8]))
        direction = g.pick_one([None, "forward", "reverse", "bidirectional", "bidirectional"])
        count = Dim.of(2 if direction == "bidirectional" else 1)
        rows = gates * hidden.fixed
        require(steps.most <= 24 and elements([steps, batch]) * count.fixed * rows * (x.dims[2].most + hidden.fixed) <= g.work)
        w = weights(g, x.dtype, [count, Dim.of(rows), x.dims[2]], low=-0.5, high=0.5, grid=None)
        r = weights(g, x.dtype, [count, Dim.of(rows), hidden], low=-0.5, high=0.5, grid=None)
        bias = weights(g, x.dtype, [count, Dim.of(2 * rows)]) if g.chance(0.6) else None
        lengths = g.source("i32", [batch], 1, steps.least, 1) if steps.least and g.chance(0.3) else None

        def state():
            if g.chance(0.6):
                return None
            return weights(g, x.dtype, [batch, count, hidden] if batch_first else [count, batch, hidden], low=-1, high=1, grid=None)
        more = {"direction": direction, "hidden_size": hidden.fixed if g.chance(0.8) else None, "layout": 1 if batch_first else None}
        more["clip"] = g.pick_one([0.5, 1.0, 3.0]) if g.chance(0.3) else None
        if g.chance(0.4):
            more.update(activations(g, functions * count.fixed, more["clip"]))
        operands = [x, w, r, bias, lengths, state()]
        if name == "LSTM":
            peephole = weights(g, x.dtype, [count, Dim.of(3 * hidden.fixed)]) if g.chance(0.3) else None
            operands += [state(), peephole]
            more["input_forget"] = attribute(g, 0, 1) if g.chance(0.3) else None
        if name == "GRU":
            more["linear_before_reset"] = attribute(g, 0, 1)
        most = 4 * max(steps.most, 1) if name == "LSTM" else 4
        last = [batch, count, hidden] if batch_first else [count, batch, hidden]
        outcomes = [result(x.dtype, [batch, steps, count, hidden] if batch_first else [steps, count, batch, hidden], -most, most)]
        outcomes += [result(x.dtype, last, -most, most) for _ in range(2 if name == "LSTM" else 1)]
        wanted = g.random.randrange(1, 2**len(outcomes))
        outcomes = [o if wanted >> i & 1 else None for i, o in enumerate(outcomes)]
        while outcomes[-1] is None:
            outcomes.pop()
        return g.node(name, operands, outcomes, **more)
    op(name, 1, since=7)(make)


recurrent("RNN", 1, 1)
recurrent("GRU", 3, 2)
recurrent("LSTM", 4, 3)
