"""Matrix products, convolutions and pools; what linear algebra is made of them."""
import itertools
import math

import numpy as np

from .reduce import softmax
from .values import Value, finish_ints, ints, op


@op
def op_matmul(attributes, a, b):
    left = np.swapaxes(a.a, -1, -2) if attributes.get("transpose_a", 0) else a.a
    right = np.swapaxes(b.a, -1, -2) if attributes.get("transpose_b", 0) else b.a
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    out = np.zeros(batch + (left.shape[-2], right.shape[-1]), left.dtype)
    for p in range(left.shape[-1]):
        out = out + left[..., :, p:p + 1] * right[..., p:p + 1, :]
    return Value(a.name, finish_ints(out, a.name))


@op
def op_attention(attributes, q, k, v, mask=None):
    scores = np.matmul(q.a * attributes.get("scale", 1.0), np.swapaxes(k.a, -1, -2))
    if mask is not None:
        scores = np.where(mask.a.astype(bool), scores, -math.inf) if mask.name == "bool" else scores + mask.a
    return Value(q.name, np.matmul(softmax(scores, -1), v.a))


def windows(attributes, x, kernel):
    """The operand channels-first and, for each tap, (tap index, values under it, inside operand?, inside pads?) over all result positions."""
    spatial = len(kernel)
    a = np.moveaxis(x.a, -1, 1) if attributes.get("layout", "nchw") == "nhwc" else x.a
    sizes = a.shape[2:]
    strides = attributes.get("strides") or [1] * spatial
    dilations = attributes.get("dilations") or [1] * spatial
    pads = attributes.get("pads") or [0] * (2 * spatial)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    auto = attributes.get("auto_pad", "")
    if auto.startswith("same"):
        outs = [-(-n // s) for n, s in zip(sizes, strides)]
        total = [max(0, (o - 1) * s + e - n) for o, s, e, n in zip(outs, strides, extents, sizes)]
        begin = [t // 2 if auto == "same_upper" else t - t // 2 for t in total]
        pads = begin + [t - b for t, b in zip(total, begin)]
    elif auto == "valid":
        pads = [0] * (2 * spatial)
    if not auto.startswith("same"):
        outs = []
        for i in range(spatial):
            room = sizes[i] + pads[i] + pads[i + spatial] - extents[i]
            o = room // strides[i] + 1
            if attributes.get("ceil_mode", 0):
                o = -(-room // strides[i]) + 1
                if (o - 1) * strides[i] >= sizes[i] + pads[i]:
                    o -= 1
            outs.append(max(o, 0))
    taps = []
    for tap in itertools.product(*(range(k) for k in kernel)):
        index = [np.arange(o) * s - p + t * d for o, s, p, t, d in zip(outs, strides, pads, tap, dilations)]
        inside = np.ones(outs, bool)
        padded = np.ones(outs, bool)
        values = a
        for i in range(spatial):
            shape = [-1 if j == i else 1 for j in range(spatial)]
            inside = inside & ((index[i] >= 0) & (index[i] < sizes[i])).reshape(shape)
            padded = padded & (index[i] < sizes[i] + pads[i + spatial]).reshape(shape)
            values = np.take(values, np.clip(index[i], 0, max(sizes[i] - 1, 0)), axis=2 + i) if sizes[i] else np.zeros(
                values.shape[:2 + i] + (outs[i],) + values.shape[3 + i:])
        taps.append((tap, values, inside, padded))
    return a, outs, taps


def channels_back(attributes, out):
    return np.moveaxis(out, 1, -1) if attributes.get("layout", "nchw") == "nhwc" else out


@op
def op_conv(attributes, x, w, bias=None):
    groups = attributes.get("groups", 1)
    a, outs, taps = windows(attributes, x, w.shape[2:])
    filters, depth = w.shape[:2]
    out = np.zeros([a.shape[0], filters] + outs, a.dtype)
    for tap, values, inside, _ in taps:
        values = np.where(inside, values, 0 if not x.is_float else 0.0)
        for f in range(filters):
            g = f // (filters // groups)
            for c in range(depth):
                out[:, f] = out[:, f] + values[:, g * depth + c] * w.a[(f, c) + tap]
    if bias is not None:
        out = out + bias.a.reshape([1, -1] + [1] * len(outs))
    return Value(x.name, finish_ints(channels_back(attributes, out), x.name))


@op
def op_max_pool(attributes, x):
    a, outs, taps = windows(attributes, x, attributes["kernel"])
    lowest = -math.inf if x.is_float else (-2**(int(x.name[1:]) - 1) if x.name[0] == "i" else 0)
    out = np.full(list(a.shape[:2]) + outs, lowest, a.dtype)
    for _, values, inside, _ in taps:
        out = np.maximum(out, np.where(inside, values, lowest))
    return Value(x.name, channels_back(attributes, out))


@op
def op_max_pool_indices(attributes, x):
    """Each position of the result looks for the place of its maximum in a tensor of places."""
    places = np.arange(x.size, dtype=object).reshape(x.shape)
    if attributes.get("column_major", 0):
        channels = np.arange(x.size, dtype=object).reshape(x.shape[:2] + x.shape[:1:-1])
        places = channels.transpose(0, 1, *range(x.ndim - 1, 1, -1))
    _, outs, taps = windows(attributes, x, attributes["kernel"])
    where = windows(attributes, Value("i64", places), attributes["kernel"])[2]
    lowest = -math.inf if x.is_float else (-2**(int(x.name[1:]) - 1) if x.name[0] == "i" else 0)
    out = np.full(list(x.shape[:2]) + outs, lowest, x.a.dtype)
    indices = np.full(out.shape, -1, object)
    for at in np.ndindex(*out.shape):
        for (_, values, inside, _), (_, place, _, _) in zip(taps, where):
            if inside[at[2:]] and out[at] == out[at] and (indices[at] < 0 or not values[at] <= out[at]):
                out[at], indices[at] = values[at], place[at]
    return Value(x.name, out), Value("i64", indices)


@op
def op_topk(attributes, x, count=None):
    axis = attributes.get("axis", -1)
    k = int(count.a.ravel()[0]) if count is not None else attributes.get("k", 0)
    lines = np.moveaxis(x.a, axis, -1)
    indices = np.empty(lines.shape[:-1] + (k,), object)
    for at in np.ndindex(*lines.shape[:-1]):
        line = [(v != v, 0 if v != v else v) for v in lines[at]]
        order = sorted(range(len(line)), key=lambda i: line[i], reverse=bool(attributes.get("largest", 1)))  # which is stable
        indices[at] = order[:k]
    values = np.take_along_axis(lines, indices.astype(np.int64), -1)
    return Value(x.name, np.moveaxis(values, -1, axis)), Value("i64", np.moveaxis(indices, -1, axis))


@op
def op_avg_pool(attributes, x):
    a, outs, taps = windows(attributes, x, attributes["kernel"])
    total, count = np.zeros(list(a.shape[:2]) + outs), np.zeros(outs)
    for _, values, inside, padded in taps:
        total += np.where(inside, values, 0.0)
        count += padded if attributes.get("count_include_pad", 0) else inside
    return Value(x.name, channels_back(attributes, np.where(count > 0, total / np.maximum(count, 1), 0.0)))


@op
def op_conv_transpose(attributes, x, w, bias=None):
    """Spelled backwards: every element of the result looks for the elements and taps that reach it."""
    rank, groups = x.ndim - 2, attributes.get("groups", 1)
    strides, dilations = attributes.get("strides") or [1] * rank, attributes.get("dilations") or [1] * rank
    pads, added = attributes.get("pads") or [0] * (2 * rank), attributes.get("output_padding") or [0] * rank
    auto = attributes.get("auto_pad", "")
    sizes, kernel = x.shape[2:], w.shape[2:]
    whole = [(n - 1) * s + (k - 1) * d + 1 + a for n, s, k, d, a in zip(sizes, strides, kernel, dilations, added)]
    outs = attributes.get("output_shape") or ([n * s for n, s in zip(sizes, strides)] if auto else None)
    if outs:
        totals = [n - o for n, o in zip(whole, outs)]
        begin = [math.floor(t / 2) if auto == "same_upper" else t - math.floor(t / 2) for t in totals]
    else:
        begin = pads[:rank]
        outs = [n - a - b for n, a, b in zip(whole, pads, pads[rank:])]
    depth, per_group = x.shape[1] // groups, w.shape[1]
    out = np.zeros([x.shape[0], per_group * groups] + list(outs), x.a.dtype)
    for at in np.ndindex(*outs):
        for tap in np.ndindex(*kernel):
            offsets = [o + b - t * d for o, b, t, d in zip(at, begin, tap, dilations)]
            source = [o // s for o, s in zip(offsets, strides)]
            if any(o % s for o, s in zip(offsets, strides)) or any(not 0 <= p < n for p, n in zip(source, sizes)):
                continue
            for f in range(out.shape[1]):
                for c in range(f // per_group * depth, (f // per_group + 1) * depth):
                    index = (slice(None), f) + at
                    out[index] = out[index] + x.a[(slice(None), c) + tuple(source)] * w.a[(c, f % per_group) + tap]
    if bias is not None:
        out = out + bias.a.reshape([1, -1] + [1] * rank)
    return Value(x.name, finish_ints(out, x.name))


@op
def op_lp_pool(attributes, x):
    a, outs, taps = windows(attributes, x, attributes["kernel"])
    p, total = attributes.get("p", 2.0), np.zeros(list(a.shape[:2]) + outs)
    for _, values, inside, _ in taps:
        total += np.where(inside, np.abs(values) ** p, 0.0)
    return Value(x.name, channels_back(attributes, total ** (1 / p)))


@op
def op_det(attributes, x):
    """The sum over all permutations."""
    n, out = x.shape[-1], np.zeros(x.shape[:-2])
    for order in itertools.permutations(range(n)):
        sign = (-1)**sum(a > b for a, b in itertools.combinations(order, 2))
        out = out + sign * math.prod((x.a[..., i, j] for i, j in enumerate(order)), start=np.ones(x.shape[:-2]))
    return Value(x.name, out)


@op
def op_dft(attributes, x, count=None, along=None):
    """A product with the matrix of roots of unity; halves are completed to wholes before, or cut from them behind."""
    axis = (ints(along)[0] if along else attributes.get("axis", -2)) % x.ndim
    inverse, onesided = attributes.get("inverse", 0), attributes.get("onesided", 0)
    signal = np.moveaxis(x.a[..., 0] + (1j * x.a[..., 1] if x.shape[-1] == 2 else 0), axis, -1)
    n = ints(count)[0] if count else attributes.get("length", 0) or (2 * (x.shape[axis] - 1) if inverse and onesided else x.shape[axis])
    have = signal.shape[-1]
    whole = np.zeros(signal.shape[:-1] + (n,), complex)
    used = min(have, n // 2 + 1 if inverse and onesided else n)
    whole[..., :used] = signal[..., :used]
    if inverse and onesided:
        for k in range(1, (n + 1) // 2):
            whole[..., n - k] = np.conj(whole[..., k])
        whole[..., [0, n // 2] if n % 2 == 0 else [0]] = whole[..., [0, n // 2] if n % 2 == 0 else [0]].real
    roots = np.exp((2j if inverse else -2j) * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n)
    out = np.moveaxis(whole @ roots / (n if inverse else 1), -1, axis)
    if onesided and not inverse:
        out = np.take(out, np.arange(n // 2 + 1), axis)
    parts = [out.real] if inverse and onesided else [out.real, out.imag]
    return Value(x.name, np.stack(parts, -1))
