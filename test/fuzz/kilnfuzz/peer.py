"""ONNX Runtime as a second opinion on what a model means, where it is installed; never a requirement."""
import numpy as np

from . import dtypes
from .engine import Outcome

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

# Where ONNX Runtime is not asked, by what the generator says of a case.
TAGS = {
    "integer division": "division by 0 and of the least integer end the process there; docs/semantics.md defines them here",
    "saturating cast": "floating point out of an integer's range is undefined there",
    "experimental operator": "operators that no standard ever held",
}


def has(node, name, start=None):
    """Whether a node spells an attribute (one that starts so)."""
    return any(a.name == name and (start is None or a.s.startswith(start)) for a in node.attribute)


# Operators whose results differ there, with the reason.
DEVIATIONS = {
    "MaxPool": ("dilations are left out of the pads of auto_pad SAME", lambda node, case: pads_itself(node)),
    "AveragePool": ("dilations are left out of the pads of auto_pad SAME", lambda node, case: pads_itself(node)),
    "LpPool": ("dilations are left out of the pads of auto_pad SAME", lambda node, case: pads_itself(node)),
    "BatchNormalization": ("training overwrites inputs and constants", lambda node, case: has(node, "training_mode")),
    **{f"Reduce{kind}": ("integers are reduced in floating point", lambda node, case: integers(node, case))
       for kind in ("Sum", "Mean", "Prod", "L1", "L2", "SumSquare")},
    "Pow": ("powers of integers are computed in floating point", lambda node, case: integers(node, case)),
    "Gelu": ("f64 has constants of f32", lambda node, case: case.values[node.input[0]].dtype == "f64"),
    "Attention": ("f64 is scaled by a factor of f32", lambda node, case: case.values[node.input[0]].dtype == "f64"),
    "GroupNormalization": ("the variance is a difference of two means, which loses what channels near each other need; f64 is computed in f32",
                           lambda node, case: True),
    "HardSwish": ("f64 has constants of another precision", lambda node, case: case.values[node.input[0]].dtype == "f64"),
    "Shrink": ("f64 is computed in f32", lambda node, case: case.values[node.input[0]].dtype == "f64"),
    **{f"{kind}Window": ("f64 is computed in f32", lambda node, case: case.values[node.output[0]].dtype == "f64") for kind in ("Hann", "Hamming", "Blackman")},
    "Dropout": ("masks of old versions hold anything", lambda node, case: len(node.output) > 1 and case.model.opset_import[0].version < 12),
    "MaxUnpool": ("positions count in the result that is asked for, not in what was pooled", lambda node, case: len(node.input) > 2),
    "GridSample": ("cubic samples beside the border are others than the standard's",
                   lambda node, case: (has(node, "mode", b"bicubic") or has(node, "mode", b"cubic")) and has(node, "padding_mode", b"border")),
    "Resize": ("of a region: axes of scale 1 are not cropped, and of f16 it is another than the standard's",
               lambda node, case: has(node, "coordinate_transformation_mode", b"tf_crop_and_resize")),
    "QLinearWhere": ("zero points that are no constants end the process", lambda node, case: True),
    **{op: ("what lies between two bytes is rounded after the zero point is added", lambda node, case: True)
       for op in ("QLinearAdd", "QLinearMul", "QLinearLeakyRelu")},
    "QGemm": ("a sum of nothing gives 0, without its zero point", lambda node, case: any(d.least == 0 for d in case.values[node.input[0]].dims)),
    "QLinearAveragePool": ("a mean between two bytes is rounded elsewhere", lambda node, case: True),
    "AffineGrid": ("a single row or column lies at the other end where corners are aligned", lambda node, case: has(node, "align_corners")),
    "InstanceNormalization": ("mean and scale become one shift, in which what is near the mean cancels", lambda node, case: near_mean(node, case)),
    "Squeeze": ("axes out of order behind a Reshape are mistaken", lambda node, case: any(list(a.ints) != sorted(a.ints) for a in node.attribute)),
    **{op: ("a size of 0 ends the process", lambda node, case: any(d.least == 0 for name in node.input if name for d in case.values[name].dims))
       for op in ("RNN", "GRU", "LSTM")},
    "NonZero": ("a scalar is taken for a vector", lambda node, case: not case.values[node.input[0]].dims),
    "Einsum": ("a size of 0 ends the process", lambda node, case: any(d.least == 0 for name in node.input for d in case.values[name].dims)),
}


def pads_itself(node):
    return has(node, "dilations") and has(node, "auto_pad", b"SAME")


# Two units in the last place of 1: activations and windows that are computed as 1 and a little more or less lose that little there.
CANCELLED = {"f32": 2.0**-22, "f64": 2.0**-51}


def cancelled(array):
    """What elements may differ by there because of that."""
    return CANCELLED.get(dtypes.NAMES[array.dtype], 0.0)


def near_mean(node, case):
    """Whether a channel may have one element, which is its mean."""
    return all(d.least <= 1 for d in case.values[node.input[0]].dims[2:])


def integers(node, case):
    return case.values[node.input[0]].dtype in dtypes.INTS


def deviates(case):
    """The reason why ONNX Runtime's answer does not count, or None."""
    for tag in case.tags:
        if tag in TAGS:
            return TAGS[tag]
    for node in case.model.graph.node:
        if node.op_type in DEVIATIONS:
            reason, applies = DEVIATIONS[node.op_type]
            if applies(node, case):
                return f"{node.op_type}: {reason}"
    return None


def session(model):
    """A session, or None where ONNX Runtime does not take the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # As the model says: its optimizer rounds biases of quantized products.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception:
        return None


def run(session, feeds):
    """The outcome for one set of inputs; an error is None: what is refused there is no verdict."""
    names = [o.name for o in session.get_outputs()]
    inputs = {}
    for port in session.get_inputs():
        array = feeds[port.name]
        if dtypes.NAMES[array.dtype] == "bf16":
            return None
        inputs[port.name] = np.array(array, order="C")
    try:
        return Outcome(dict(zip(names, session.run(None, inputs))))
    except Exception:
        return None


def standard(case, at):
    """Outputs of the onnx package's reference evaluator: it decides between Kiln and ONNX Runtime. None where it fails."""
    from onnx.reference import ReferenceEvaluator
    names = [o.name for o in case.model.graph.output]
    try:
        taken = {i.name for i in case.model.graph.input}
        outputs = ReferenceEvaluator(case.model).run(names, {n: a for n, a in case.feeds[at].items() if n in taken})
    except Exception:
        return {}
    return {name: np.asarray(value) for name, value in zip(names, outputs)}
