"""Whether two outputs are the same, within what precision `default` allows (docs/semantics.md, Rounding)."""
import numpy as np

from . import dtypes

# Parts of the element itself and of the largest element, as codegen/harness compares kernels, widened for chains of them.
BOUNDS = {"f32": (1e-4, 3e-5), "f64": (1e-8, 1e-8), "f16": (4e-3, 2e-3), "bf16": (3e-2, 1.6e-2)}
SUBNORMAL = {"f32": 2.0**-126, "bf16": 2.0**-126, "f64": 2.0**-1022, "f16": 0.0}


def wide(array):
    return array.astype(np.float64)


def flushed(array, dtype):
    """Generated code takes subnormal numbers as 0."""
    return np.where(np.abs(array) < SUBNORMAL[dtype], 0, array)


def difference(got, want, slack=0.0):
    """A description of how two arrays differ, or None. slack: what each element may differ by on top of the bounds."""
    if got.dtype != want.dtype:
        return f"type {got.dtype}, expected {want.dtype}"
    if got.shape != want.shape:
        return f"dims {list(got.shape)}, expected {list(want.shape)}"
    name = dtypes.NAMES[want.dtype]
    if name not in dtypes.FLOATS:
        wrong = got != want
        if not wrong.any():
            return None
        at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        return f"{int(wrong.sum())} of {wrong.size} elements, first at {list(map(int, at))}: {got[at]}, expected {want[at]}"
    a, b = flushed(wide(got), name), flushed(wide(want), name)
    finite = np.isfinite(b)
    relative, scaled = BOUNDS[name]
    largest = np.abs(b[finite]).max(initial=0)
    with np.errstate(invalid="ignore"):
        close = np.where(finite, np.abs(a - b) <= relative * np.abs(b) + scaled * largest + slack, (a == b) | (np.isnan(a) & np.isnan(b)))
    if close.all():
        return None
    wrong = ~close
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(a - b), np.abs(a - b), np.inf)
    at = np.unravel_index(int(np.argmax(np.where(wrong, error, -1))), wrong.shape)
    return f"{int(wrong.sum())} of {wrong.size} elements, worst at {list(map(int, at))}: {got[at]}, expected {want[at]} (largest {largest:.3g})"


def identical(got, want):
    """As difference, but bit by bit."""
    if got.dtype == want.dtype and got.shape == want.shape and got.tobytes() == want.tobytes():
        return None
    return difference(got, want) or "other bits"
