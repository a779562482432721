"""Reductions and norms."""
import math

import numpy as np

from .values import OPS, Value, each, ints, op, present, saturate, trunc_div, wrap


def softmax(a, axis):
    if a.size == 0:
        return a
    shifted = np.exp(a - np.max(a, axis=axis, keepdims=True))
    return shifted / np.sum(shifted, axis=axis, keepdims=True)


@op
def op_reduce_along(attributes, x, axes):
    return op_reduce({**attributes, "axes": [a % x.ndim for a in ints(axes)]}, x)


@op
def op_reduce(attributes, x):
    kind, axes, keep = attributes["kind"], tuple(attributes.get("axes", [])), bool(attributes.get("keepdims", 1))
    a, exact = x.a, not x.is_float
    count = math.prod(x.shape[i] for i in axes)
    if kind in ("max", "min"):
        if exact:
            bits = 1 if x.name == "bool" else int(x.name[1:])
            low, high = (-2**(bits - 1), 2**(bits - 1) - 1) if x.name[0] == "i" else (0, 2**bits - 1)
        else:
            low, high = -math.inf, math.inf
        function = np.maximum if kind == "max" else np.minimum
        result = function.reduce(a, axis=axes, keepdims=keep, initial=low if kind == "max" else high)
    elif kind == "prod":
        result = np.multiply.reduce(a, axis=axes, keepdims=keep)
    else:
        terms = {"l1": lambda: abs(a), "l2": lambda: a * a, "sum_square": lambda: a * a,
                 "log_sum_exp": lambda: np.exp(np.asarray(a, np.longdouble))}.get(kind, lambda: a)()
        result = np.add.reduce(terms, axis=axes, keepdims=keep)
        if kind == "mean":
            result = each(lambda v: trunc_div(v, count) if count else 0, result) if exact else result / np.float64(count)
        elif kind == "l2":
            result = np.sqrt(np.asarray(result, float))
        elif kind in ("log_sum", "log_sum_exp"):
            result = np.log(np.asarray(result, np.longdouble)).astype(float)
    result = np.asarray(result)
    if exact:
        finish = (lambda v: int(v)) if x.name == "bool" else (lambda v: saturate(v, x.name)) if kind in (
            "l2", "log_sum", "log_sum_exp") else (lambda v: wrap(v, x.name))
        return Value(x.name, each(finish, result))
    return Value(x.name, result.astype(float))


def arg(attributes, x, sign):
    axis, keep = attributes.get("axis", 0), attributes.get("keepdims", 1)
    def best(line):
        line = [-v if sign < 0 else v for v in line]
        nans = [i for i, v in enumerate(line) if v != v]
        hits = nans or [i for i, v in enumerate(line) if v == max(line)]
        return hits[-1 if attributes.get("select_last", 0) else 0]
    if x.size:
        result = np.apply_along_axis(lambda l: best(list(l)), axis, x.a)
    else:
        result = np.zeros(np.delete(x.shape, axis), int)
    return Value("i64", np.expand_dims(result, axis) if keep else result)


OPS["argmax"] = lambda attributes, x: arg(attributes, x, 1)
OPS["argmin"] = lambda attributes, x: arg(attributes, x, -1)


@op
def op_softmax(attributes, x):
    return Value(x.name, softmax(x.a, attributes.get("axis", -1)))


@op
def op_log_softmax(attributes, x):
    axis = attributes.get("axis", -1)
    shifted = x.a - np.max(x.a, axis=axis, keepdims=True)
    return Value(x.name, shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))


@op
def op_layer_norm(attributes, x, scale, bias=None):
    axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    y = (x.a - x.a.mean(axis=axes, keepdims=True)) / np.sqrt(x.a.var(axis=axes, keepdims=True) + attributes.get("epsilon", 1e-5))
    return Value(x.name, y * scale.a + present(bias, 0.0))


@op
def op_rms_norm(attributes, x, scale):
    axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    return Value(x.name, x.a / np.sqrt((x.a**2).mean(axis=axes, keepdims=True) + attributes.get("epsilon", 1e-5)) * scale.a)


@op
def op_batch_norm(attributes, x, scale, bias, mean, variance):
    axis = attributes.get("channel_axis", 1)
    def channel(v):
        return v.a.reshape([-1 if i == axis else 1 for i in range(x.ndim)]) if x.ndim > 1 else v.a
    return Value(x.name, (x.a - channel(mean)) / np.sqrt(channel(variance) + attributes.get("epsilon", 1e-5)) * channel(scale) + channel(bias))


@op
def op_group_norm(attributes, x, scale, bias):
    g = x.a.reshape(x.shape[0], attributes["groups"], -1) if x.size else x.a
    if x.size:
        g = (g - g.mean(axis=2, keepdims=True)) / np.sqrt(g.var(axis=2, keepdims=True) + attributes.get("epsilon", 1e-5))
    shape = [1, -1] + [1] * (x.ndim - 2)
    return Value(x.name, g.reshape(x.shape) * scale.a.reshape(shape) + bias.a.reshape(shape))
