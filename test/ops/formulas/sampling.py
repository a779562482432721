"""Ops that read between elements."""
import itertools
import math

import numpy as np

from .values import Value, each, ints, op, saturate


def resize_positions(attributes, size, out, scale, start, end):
    """Positions in x of 0..out-1, as floats."""
    kind, y, width = attributes.get("coordinates", "half_pixel"), np.arange(out, dtype=float), scale * size
    if kind == "asymmetric":
        return y / scale
    if kind == "align_corners":
        return y * 0 if width == 1 else y * (size - 1) / (width - 1)
    if kind == "tf_half_pixel_for_nn":
        return (y + 0.5) / scale
    if kind == "tf_crop_and_resize":
        if out == 1:
            return np.array([0.5 * (start + end) * (size - 1)])
        return start * (size - 1) + y * (end - start) * (size - 1) / (width - 1)
    if kind == "pytorch_half_pixel" and out == 1:
        return np.zeros(1)
    shift = size / 2 * (1 - out / width) if kind == "half_pixel_symmetric" else 0.0
    return shift + (y + 0.5) / scale - 0.5


def resize_matrix(attributes, size, out, scale, start, end):
    """[out, size] weights of one axis; and which positions lie beyond x."""
    mode, nearest = attributes.get("mode", "nearest"), attributes.get("nearest", "round_prefer_floor")
    a = attributes.get("cubic_coeff_a", -0.75)
    matrix, positions = np.zeros([out, size]), resize_positions(attributes, size, out, scale, start, end)
    beyond = (positions < 0) | (positions > size - 1) if attributes.get("coordinates") == "tf_crop_and_resize" else np.zeros(out, bool)
    for y, x in enumerate(positions):
        if mode == "nearest":
            down, up = math.floor(x), math.ceil(x)
            at = {"floor": down, "ceil": up, "by_scale": up if scale < 1 else down,
                  "round_prefer_floor": down if x - down <= 0.5 else up, "round_prefer_ceil": up if x - down >= 0.5 else down}[nearest]
            matrix[y, min(max(at, 0), size - 1)] = 1
            continue
        stretch = min(scale, 1.0) if attributes.get("antialias", 0) else 1.0
        terms = {}
        for at in range(math.floor(x - 2 / stretch) - 1, math.ceil(x + 2 / stretch) + 2):
            d = abs(at - x) * stretch
            if mode == "linear":
                terms[at] = max(0.0, 1 - d)
            else:
                terms[at] = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0
        if attributes.get("exclude_outside", 0):
            terms = {at: w for at, w in terms.items() if 0 <= at < size}
        total = sum(terms.values()) if attributes.get("antialias", 0) or attributes.get("exclude_outside", 0) else 1.0
        for at, w in terms.items():
            matrix[y, min(max(at, 0), size - 1)] += w / total
    return matrix, beyond


@op
def op_resize(attributes, x, sizes=None, region=None):
    axes = [a % x.ndim for a in attributes.get("axes") or range(x.ndim)]
    if sizes is None or sizes.is_float:
        scales = [float(np.float32(s)) for s in (sizes.a if sizes else attributes["scales"])]
        outs = [math.floor(x.shape[a] * s) for a, s in zip(axes, scales)]
    else:
        outs = ints(sizes)
        scales = [o / x.shape[a] if x.shape[a] else 1.0 for a, o in zip(axes, outs)]
        policy = attributes.get("policy", "stretch")
        if policy != "stretch":
            scales = [(min if policy == "not_larger" else max)(scales)] * len(axes)
            outs = [math.floor(s * x.shape[a] + 0.5 + 1e-9) for a, s in zip(axes, scales)]
    roi = list(region.a) if region else attributes.get("roi") or [0.0] * len(axes) + [1.0] * len(axes)
    result, outside = x.a, np.zeros([1] * x.ndim, bool)
    for i, axis in enumerate(axes):
        if scales[i] == 1 and outs[i] == x.shape[axis] and (roi[i], roi[i + len(axes)]) == (0.0, 1.0):
            continue
        matrix, beyond = resize_matrix(attributes, x.shape[axis], outs[i], scales[i], roi[i], roi[i + len(axes)])
        if attributes.get("mode", "nearest") == "nearest":
            result = np.take(result, matrix.argmax(axis=1) if matrix.size else np.zeros(outs[i], int), axis=axis)
        else:
            lines = np.moveaxis(np.asarray(result, float), axis, 0)  # what has no weight is not read
            rows = [sum((row[k] * lines[k] for k in np.flatnonzero(row)), np.zeros(lines.shape[1:])) for row in matrix]
            result = np.moveaxis(np.array(rows).reshape((len(rows),) + lines.shape[1:]), 0, axis)
        outside = outside | beyond.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
    if not x.is_float:
        low, high = (saturate(v, x.name) if x.name != "bool" else int(v > 0) for v in (-math.inf, math.inf))
        result = each(lambda v: max(low, min(high, round(v))), result)
    return Value(x.name, np.where(outside, attributes.get("extrapolation_value", 0.0) if x.is_float else 0, result))


@op
def op_grid_sample(attributes, x, grid):
    mode, padding = attributes.get("mode", "linear"), attributes.get("padding", "zeros")
    align, real = attributes.get("align_corners", 0), np.float64 if grid.name == "f64" else np.float32
    rank = x.ndim - 2
    out = np.zeros(x.shape[:2] + grid.shape[1:-1])

    def reflect(p, low, high):
        if high <= low or not math.isfinite(p):
            return low
        period = 2 * (high - low)
        phase = (p - low) % period
        return low + (phase if phase <= high - low else period - phase)

    def reads(coordinate, size):
        """(index or None, weight) pairs along an axis."""
        low, high = (0.0, size - 1.0) if align else (-0.5, size - 0.5)
        c = real(coordinate)
        p = (c + real(1)) / real(2) * real(size - 1) if align else ((c + real(1)) * real(size) - real(1)) / real(2)
        p = float(p) if not math.isnan(p) else -math.inf
        if mode == "nearest" and math.isfinite(p):
            p = float(np.rint(p))
        if not low <= p <= high:
            p = min(max(p, 0.0), size - 1.0) if padding == "border" else reflect(p, low, high) if padding == "reflection" else p
        p = min(max(p, -1e6), 1e6)
        if mode == "nearest":
            terms = [(math.trunc(p), 1.0)]
        else:
            first, t = math.floor(p), p - math.floor(p)
            weights = [1 - t, t]
            if mode == "cubic":
                a = -0.75
                near, far = (lambda d: (a + 2) * d**3 - (a + 3) * d**2 + 1), (lambda d: a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a)
                first, weights = first - 1, [far(1 + t), near(t), near(1 - t), far(2 - t)]
            terms = [(first + i, w) for i, w in enumerate(weights)]
        result = []
        for at, w in terms:
            if not 0 <= at < size:
                at = None if padding == "zeros" else min(max(at, 0), size - 1) if padding == "border" else math.trunc(reflect(at, low, high))
            result.append((at, w))
        return result

    for n in range(x.shape[0]):
        for at in np.ndindex(*grid.shape[1:-1]):
            axes = [reads(grid.a[(n,) + at + (rank - 1 - i,)], x.shape[2 + i]) for i in range(rank)]
            for terms in itertools.product(*axes):
                if all(p is not None for p, _ in terms):
                    out[(n, slice(None)) + at] += math.prod(w for _, w in terms) * x.a[(n, slice(None)) + tuple(p for p, _ in terms)].astype(float)
    return Value(x.name, out if x.is_float else each(int, out))


def interpolated(plane, y, x, beyond):
    """(weight, element) of the four around a place. `beyond`: whether the last elements go on by one, or fall off to 0."""
    h, w = plane.shape
    if beyond:
        if y < -1 or y > h or x < -1 or x > w:
            return [(0.0, 0.0)] * 4
        y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
    y0, x0 = math.floor(y), math.floor(x)
    parts = []
    for i, j in itertools.product((0, 1), (0, 1)):
        weight = (y - y0 if i else 1 - (y - y0)) * (x - x0 if j else 1 - (x - x0))
        inside = 0 <= y0 + i < h and 0 <= x0 + j < w
        parts.append((weight, plane[y0 + i, x0 + j] if inside else 0.0))
    return parts


@op
def op_roi_align(attributes, x, rois, indices):
    height, width = attributes.get("height", 1), attributes.get("width", 1)
    ratio, half = attributes.get("sampling_ratio", 0), attributes.get("half_pixel", 1)
    real = np.float64 if x.name == "f64" else np.float32  # positions are in f32
    out = np.zeros((rois.shape[0], x.shape[1], height, width))
    for n in range(rois.shape[0]):
        x1, y1, x2, y2 = (real(v) * real(attributes.get("spatial_scale", 1.0)) - real(0.5 * half) for v in rois.a[n])
        bin_h, bin_w = ((v if half else max(v, real(1))) / real(d) for v, d in ((y2 - y1, height), (x2 - x1, width)))
        rows, columns = ratio or math.ceil(bin_h), ratio or math.ceil(bin_w)
        for c, i, j in np.ndindex(x.shape[1], height, width):
            parts = []
            for a, b in np.ndindex(max(rows, 0), max(columns, 0)):
                y = y1 + real(i) * bin_h + real(a + 0.5) * bin_h / real(rows)
                z = x1 + real(j) * bin_w + real(b + 0.5) * bin_w / real(columns)
                parts.append([w * v for w, v in interpolated(x.a[int(indices.a[n]), c], float(y), float(z), True)])
            if attributes.get("mode", "avg") == "max":
                out[n, c, i, j] = max(itertools.chain(*parts), default=0)
            else:
                out[n, c, i, j] = sum(map(sum, parts)) / max(len(parts), 1)
    return Value(x.name, out)


@op
def op_deform_conv(attributes, x, w, offset, bias=None, mask=None):
    groups, offsets = attributes.get("groups", 1), attributes.get("offset_groups", 1)
    strides, dilations = attributes.get("strides") or [1, 1], attributes.get("dilations") or [1, 1]
    pads = attributes.get("pads") or [0] * 4
    (n, channels, _, _), (filters, depth, kh, kw) = x.shape, w.shape
    out = np.zeros((n, filters) + offset.shape[2:])
    for b, f, i, j in np.ndindex(*out.shape):
        total = bias.a[f] if bias is not None else 0.0
        for d, p, q in np.ndindex(depth, kh, kw):
            c = f // (filters // groups) * depth + d
            place = c // (channels // offsets) * kh * kw + p * kw + q
            y = i * strides[0] - pads[0] + p * dilations[0] + offset.a[b, 2 * place, i, j]
            z = j * strides[1] - pads[1] + q * dilations[1] + offset.a[b, 2 * place + 1, i, j]
            value = sum(a * v for a, v in interpolated(x.a[b, c], y, z, False))
            total += w.a[f, d, p, q] * value * (mask.a[b, place, i, j] if mask is not None else 1)
        out[b, f, i, j] = total
    return Value(x.name, out)
