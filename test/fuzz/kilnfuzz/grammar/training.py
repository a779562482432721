"""Steps of optimizers."""
from ..graph import result
from . import op
from .elementwise import attribute

DOMAIN = "ai.onnx.preview.training"


def optimizer(name, memories, attributes):
    def make(g):
        xs = [g.pick(("f32",) * 6 + ("f64",)) for _ in range(g.pick_one([1, 1, 2]))]
        gradients = [g.same(x, low=-1, high=1) for x in xs]
        remembered = [g.source(x.dtype, x.dims, 0.25, 1) for _ in range(memories) for x in xs]
        operands = [g.source("f32", [], 0.01, 0.1), g.source("i64", [], 0, 9, 1)] + xs + gradients + remembered
        outcomes = [result(x.dtype, x.dims, x.low - 4, x.high + 4) for x in xs] + [result(r.dtype, r.dims, -4, 4 + 4 * r.most) for r in remembered]
        return g.node(name, operands, outcomes, domain=DOMAIN, **attributes(g))
    op(name, 0.4, since=12)(make)


optimizer("Adagrad", 1, lambda g: {"decay_factor": attribute(g, 0.0, 0.1), "norm_coefficient": attribute(g, 0.0, 0.001), "epsilon": g.pick_one([None, 1e-5])})
optimizer("Adam", 2, lambda g: {"alpha": attribute(g, 0.9, 0.95), "beta": attribute(g, 0.999, 0.9), "norm_coefficient": attribute(g, 0.0, 0.001),
                                "norm_coefficient_post": attribute(g, 0.0, 0.001)})
optimizer("Momentum", 1, lambda g: {"alpha": 0.9, "beta": g.pick_one([0.1, 1.0]), "norm_coefficient": g.pick_one([0.0, 0.001]),
                                    "mode": g.pick_one(["standard", "nesterov"])})
