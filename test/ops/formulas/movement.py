"""Ops that move and select elements."""
import math

import numpy as np

from .values import FLOATS, Value, finish_ints, ints, op, wrap


@op
def op_reshape(attributes, x, shape):
    dims = ints(shape)
    if not attributes.get("allow_zero", 0):
        dims = [x.shape[i] if d == 0 else d for i, d in enumerate(dims)]
    return Value(x.name, x.a.reshape(dims))


@op
def op_transpose(attributes, x):
    return Value(x.name, np.transpose(x.a, attributes["perm"]))


@op
def op_concat(attributes, *xs):
    return Value(xs[0].name, np.concatenate([x.a for x in xs], axis=attributes["axis"]))


@op
def op_slice(attributes, x, starts=None, ends=None, axes=None, steps=None):
    starts = ints(starts) if starts else attributes["starts"]
    ends = ints(ends) if ends else attributes["ends"]
    axes = ints(axes) if axes else attributes.get("axes") or list(range(len(starts)))
    steps = ints(steps) if steps else attributes.get("steps") or [1] * len(starts)
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        # Below the first element, an end of a falling slice means "to the beginning", which Python writes None.
        index[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return Value(x.name, x.a[tuple(index)])


@op
def op_gather(attributes, x, indices):
    return Value(x.name, np.take(x.a, indices.a.astype(np.int64), axis=attributes.get("axis", 0)))


@op
def op_gather_elements(attributes, x, indices):
    axis = attributes.get("axis", 0)
    out = np.empty(indices.shape, x.a.dtype)
    for at in np.ndindex(*indices.shape):
        out[at] = x.a[at[:axis % x.ndim] + (indices.a[at],) + at[axis % x.ndim + 1:]]
    return Value(x.name, out)


@op
def op_gather_nd(attributes, x, indices):
    b = attributes.get("batch_dims", 0)
    k = indices.shape[-1]
    out = np.empty(indices.shape[:-1] + x.shape[b + k:], x.a.dtype)
    for at in np.ndindex(*indices.shape[:-1]):
        out[at] = x.a[at[:b] + tuple(indices.a[at])]
    return Value(x.name, out)


def joined(reduction, name, old, new):
    if reduction == "none":
        return new
    if name in FLOATS and reduction in ("min", "max"):
        return (np.minimum if reduction == "min" else np.maximum)(old, new)
    value = {"add": lambda: old + new, "mul": lambda: old * new, "min": lambda: min(old, new), "max": lambda: max(old, new)}[reduction]()
    return value if name in FLOATS else int(bool(value)) if name == "bool" else wrap(value, name)


@op
def op_scatter_elements(attributes, x, indices, updates):
    axis, out = attributes.get("axis", 0) % x.ndim, x.a.copy()
    for at in np.ndindex(*indices.shape):
        to = at[:axis] + (indices.a[at],) + at[axis + 1:]
        out[to] = joined(attributes.get("reduction", "none"), x.name, out[to], updates.a[at])
    return Value(x.name, out)


@op
def op_nonzero(attributes, x):
    return Value("i64", np.array(np.nonzero(np.atleast_1d(x.a != 0)) if x.ndim else np.zeros([0, int(x.a != 0)]), object))


@op
def op_compress(attributes, x, condition):
    return Value(x.name, np.compress(condition.a.astype(bool), x.a, axis=attributes.get("axis", 0)))


@op
def op_unique(attributes, x):
    axis = attributes.get("axis", 0) % x.ndim
    slices = np.moveaxis(x.a, axis, 0)
    slices = slices.reshape(x.shape[axis], math.prod(slices.shape[1:]))
    keys = [tuple((v != v, 0 if v != v else v) for v in line) for line in slices]
    found = list(dict.fromkeys(keys))
    if attributes.get("sorted", 1):
        found.sort()
    first = [keys.index(k) for k in found]
    results = [first, [found.index(k) for k in keys], [keys.count(k) for k in found]]
    return (Value(x.name, np.take(x.a, np.array(first, np.int64), axis)), *(Value("i64", np.array(r, object)) for r in results))


def box_overlap(a, b):
    """Intersection over union, of corners."""
    height, width = (max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    union = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - height * width
    return height * width / union if union > 0 else 0.0


@op
def op_non_max_suppression(attributes, boxes, scores, most, overlap, least=None):
    kept = []
    for batch, cls in np.ndindex(*scores.shape[:2]):
        corners = []
        for p in boxes.a[batch]:
            x, y, w, h = p
            corners.append([y - h / 2, x - w / 2, y + h / 2, x + w / 2] if attributes.get("center", 0) else
                           [min(p[0], p[2]), min(p[1], p[3]), max(p[0], p[2]), max(p[1], p[3])])
        own, chosen = scores.a[batch, cls], []
        for i in sorted(range(len(own)), key=lambda i: -own[i]):
            if (not least or own[i] > least.a.ravel()[0]) and len(chosen) < most.a.ravel()[0] and \
                    all(box_overlap(corners[i], corners[j]) <= overlap.a.ravel()[0] for j in chosen):
                chosen.append(i)
        kept += [[batch, cls, i] for i in chosen]
    return Value("i64", np.array(kept, object).reshape(-1, 3))


@op
def op_scatter_nd(attributes, x, indices, updates):
    out = x.a.copy()
    for at in np.ndindex(*indices.shape[:-1]):
        for inner in np.ndindex(*x.shape[indices.shape[-1]:]):
            to = tuple(indices.a[at]) + inner
            out[to] = joined(attributes.get("reduction", "none"), x.name, out[to], updates.a[at + inner])
    return Value(x.name, out)


@op
def op_reverse_sequence(attributes, x, lengths):
    batch, time = attributes.get("batch_axis", 1) % x.ndim, attributes.get("time_axis", 0) % x.ndim
    out = x.a.copy()
    for b, length in enumerate(ints(lengths)):
        line = np.take(x.a, [b], axis=batch)
        order = list(range(length))[::-1] + list(range(length, x.shape[time]))
        out[tuple(slice(b, b + 1) if d == batch else slice(None) for d in range(x.ndim))] = np.take(line, order, axis=time)
    return Value(x.name, out)


@op
def op_cumsum(attributes, x, along=None):
    axis, out = (ints(along)[0] if along else attributes["axis"]) % x.ndim, x.a.copy()
    for i in range(x.shape[axis]):
        before = slice(i + 1, None) if attributes.get("reverse", 0) else slice(None, i)
        if not attributes.get("exclusive", 0):
            before = slice(i, None) if attributes.get("reverse", 0) else slice(None, i + 1)
        index = [slice(None)] * x.ndim
        index[axis] = i
        part = x.a[tuple(before if d == axis else slice(None) for d in range(x.ndim))]
        out[tuple(index)] = part.sum(axis=axis)
    return Value(x.name, finish_ints(out, x.name))


@op
def op_cumprod(attributes, x, along=None):
    axis, exclusive = (ints(along)[0] if along else attributes["axis"]) % x.ndim, attributes.get("exclusive", 0)
    lines = np.moveaxis(x.a, axis, -1)
    lines = lines[..., ::-1] if attributes.get("reverse", 0) else lines
    out = np.empty(lines.shape, x.a.dtype)
    for i in range(lines.shape[-1]):
        out[..., i] = np.prod(lines[..., :i if exclusive else i + 1], axis=-1)
    out = out[..., ::-1] if attributes.get("reverse", 0) else out
    return Value(x.name, finish_ints(np.moveaxis(out, -1, axis), x.name))


@op
def op_expand(attributes, x, shape):
    return Value(x.name, np.broadcast_to(x.a, np.broadcast_shapes(x.shape, tuple(abs(n) for n in ints(shape)))))


@op
def op_pad(attributes, x, pads=None, value=None):
    pads = ints(pads) if pads else attributes["pads"]
    mode = attributes.get("mode", "constant")
    fill = value.a.ravel()[0] if value else attributes.get("value", 0.0)
    a = x.a
    for axis in range(x.ndim):
        before, after, size = pads[axis], pads[axis + x.ndim], x.shape[axis]
        at = np.arange(-before, size + after)
        if mode == "constant":
            outside = ((at < 0) | (at >= size)).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            if size == 0:
                a = np.full(a.shape[:axis] + (len(at),) + a.shape[axis + 1:], 0 if not x.is_float else 0.0, a.dtype)
            else:
                a = np.take(a, np.clip(at, 0, size - 1), axis=axis)
            a = np.where(outside, fill if x.is_float else int(fill), a)
        else:
            numpy_mode = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}[mode]
            line = np.pad(np.arange(size), (max(before, 0), max(after, 0)), mode=numpy_mode)
            line = line[max(-before, 0):len(line) - max(-after, 0)]
            a = np.take(a, line, axis=axis)
    return Value(x.name, a)


@op
def op_tile(attributes, x, repeats):
    return Value(x.name, np.tile(x.a, ints(repeats)))


@op
def op_shape(attributes, x):
    return Value("i64", np.array(x.shape[attributes.get("start", 0):attributes.get("end", None)], np.int64))


@op
def op_range(attributes, start, limit, delta):
    first, last, step = (v.a.ravel()[0] for v in (start, limit, delta))
    count = max(0, math.ceil((last - first) / step)) if start.is_float else len(range(first, last, step))
    return Value(start.name, np.array([first + i * step for i in range(count)], float if start.is_float else object))
