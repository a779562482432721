"""How far rounding can move a model's outputs: the interpreter runs the model with every operand and result of its inexact nodes changed
by about one unit in the last place, several times, and the outputs' spread is what an exact comparison must forgive. Asked only when
outputs differ by more than the plain bounds."""
import numpy as np
import onnx
import onnx.helper as oh

from . import engine, dtypes

RUNS = 6
# How much more than its measured spread an output may differ by: sums in another order, Winograd and polynomials err by a few units.
FACTOR = {"f32": 30, "f64": 30, "f16": 6, "bf16": 6}
# Operators whose floating-point results are elements of their operands, or exact: rounding only passes through.
EXACT = set("""
    Abs Neg Relu Max Min Clip Where Identity Dropout Sign Floor Ceil Round ThresholdedRelu CastLike Not And Or Xor
    Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice DynamicSlice Gather GatherElements GatherND Pad Tile Expand
    DepthToSpace SpaceToDepth MaxPool MaxUnpool TopK Unique CenterCropPad TensorScatter BitCast BitShift GlobalMaxPool ReduceMax ReduceMin ArgMax ArgMin Hardmax OneHot Trilu EyeLike ReverseSequence Scatter
    Constant ConstantOfShape Range Shape Size Equal Less LessOrEqual Greater GreaterOrEqual IsNaN IsInf""".split())


def noisy_model(case, at):
    """The model at fixed sizes with a factor at each operand and result of inexact nodes; and the factors' names with dtype and dims."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, factors, nodes = model.graph, {}, []
    for port in graph.input:
        if port.name in case.values:
            fix_sizes(port, case.values[port.name].dims, at)

    def times_noise(name, result):
        dtype, dims, _ = case.values[name]
        factor = f"noise{len(factors)}"
        factors[factor] = dtype, tuple(d.sizes[at] for d in dims)
        graph.input.append(oh.make_tensor_value_info(factor, dtypes.ONNX[dtype], factors[factor][1]))
        nodes.append(oh.make_node("Mul", [name if result != name else name + " raw", factor], [result]))

    def is_float(name):
        return name in case.values and case.values[name].dtype in dtypes.FLOATS
    for node in graph.node:
        if node.op_type in EXACT or node.domain == "local" or not any(map(is_float, node.output)):
            nodes.append(node)
            continue
        for i, name in enumerate(node.input):
            if is_float(name):
                node.input[i] = f"{name} at {len(factors)}"
                times_noise(name, node.input[i])
        nodes.append(node)
        for i, name in enumerate(node.output):
            if is_float(name):
                node.output[i] = name + " raw"
                times_noise(name, name)
    del graph.node[:]
    graph.node.extend(nodes)
    return model, factors


def fix_sizes(port, dims, at):
    shape = port.type.tensor_type.shape
    for proto, dim in zip(shape.dim, dims):
        proto.dim_value = dim.sizes[at]


def spread(case, at):
    """For each output the largest difference between noisy runs and a quiet one, or None where that cannot be told (results jump)."""
    model, factors = noisy_model(case, at)
    program = engine.compiled(model.SerializeToString(), target="interpreter")
    rng = np.random.default_rng(case.seed)

    def feeds(quiet):
        noise = {}
        for name, (dtype, dims) in factors.items():
            unit = dtypes.EPSILON[dtype] * (2 if dtype in ("f32", "f64") else 1)
            steps = 0 if quiet else rng.integers(-1, 1, dims, endpoint=True)
            noise[name] = np.full(dims, 1 + steps * unit, dtypes.NUMPY[dtype])
        return {**case.feeds[at], **noise}
    runs = [engine.run(program, feeds(quiet=i == 0)) for i in range(1 + RUNS)]
    if not all(r.ok for r in runs):
        return {}
    result = {}
    for name, quiet in runs[0].outputs.items():
        dtype = dtypes.NAMES[quiet.dtype]
        if dtype not in dtypes.FLOATS:
            result[name] = None if any((r.outputs[name] != quiet).any() for r in runs[1:]) else 0.0
            continue
        with np.errstate(all="ignore"):
            moved = np.array([np.abs(r.outputs[name].astype(np.float64) - quiet.astype(np.float64)) for r in runs[1:]])
        if not np.isfinite(quiet.astype(np.float64)).all() or not np.isfinite(moved).all():
            result[name] = None
            continue
        largest = np.abs(quiet.astype(np.float64)).max(initial=0)
        most = FACTOR[dtype] * moved.max(initial=0)
        result[name] = None if most > 0.05 * largest else most
    return result
