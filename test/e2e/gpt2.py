"""A GPT-2 of two layers as ONNX: what runs it with and without a cache, from the same random weights; and in numpy.

Every model takes `ids` [1, T] and `start` [1], the position of the first of them, and gives `logits` [1, T, V]. With a
cache it takes `past_...` and gives `present_...`, [1, H, capacity, D] each, with the keys and values of the new tokens
put in from `start` on; or [1, H, P, D] and [1, H, P+T, D], with those of the new tokens behind the others."""
import math

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

LAYERS, WIDTH, HEADS, VOCABULARY, CAPACITY = 2, 64, 4, 97, 72
DEPTH = WIDTH // HEADS
CACHE = [1, HEADS, CAPACITY, DEPTH]
STATES = {f"past_{kind}{i}": f"present_{kind}{i}" for i in range(LAYERS) for kind in "kv"}


def weights(seed=0):
    r = np.random.default_rng(seed)

    def normal(*dims):
        return (r.standard_normal(dims) * 0.2).astype(np.float32)
    w = {"wte": normal(VOCABULARY, WIDTH), "wpe": normal(CAPACITY, WIDTH), "lnf_g": 1 + normal(WIDTH), "lnf_b": normal(WIDTH),
         "head": normal(WIDTH, VOCABULARY)}
    for i in range(LAYERS):
        w |= {f"ln1_g{i}": 1 + normal(WIDTH), f"ln1_b{i}": normal(WIDTH), f"ln2_g{i}": 1 + normal(WIDTH), f"ln2_b{i}": normal(WIDTH)}
        w |= {f"{kind}_w{i}": normal(WIDTH, WIDTH) for kind in "qkvo"}
        w |= {f"fc_w{i}": normal(WIDTH, 4 * WIDTH), f"fc_b{i}": normal(4 * WIDTH), f"pr_w{i}": normal(4 * WIDTH, WIDTH), f"pr_b{i}": normal(WIDTH)}
    return w


class Builder:
    def __init__(self, w, opset):
        self.nodes, self.initializers, self.opset = [], dict(w), opset

    def op(self, kind, *inputs, name=None, **attributes):
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(h.make_node(kind, list(inputs), [name], name=f"/{name}", **attributes))
        return name

    def const(self, value, dtype=np.int64):
        name = f"c{len(self.initializers)}"
        self.initializers[name] = np.asarray(value, dtype)
        return name

    def heads(self, x, name=None):
        return self.op("Transpose", self.op("Reshape", x, self.const([1, -1, HEADS, DEPTH])), name=name, perm=[0, 2, 1, 3])


def put(b, op, cache, new, start, positions, name):
    """`cache` with `new` [1, H, T, D] at positions `start` on; three spellings."""
    if op == "Concat":
        return b.op(op, cache, new, name=name, axis=2)
    if op == "TensorScatter":
        return b.op(op, cache, new, start, name=name, axis=2)
    if op == "ScatterElements":
        index = b.op("Reshape", positions, b.const([1, 1, -1, 1]))
        return b.op(op, cache, b.op("Expand", index, b.op("Shape", new)), new, name=name, axis=2)
    # Index tuples (0, head, position); updates [H, T, D].
    tuples = []
    shape = b.op("Concat", b.const([HEADS]), b.op("Shape", positions), b.const([1]), axis=0)
    tuples.append(b.op("Expand", b.const([[[0]]]), shape))
    tuples.append(b.op("Expand", b.const(np.arange(HEADS).reshape(HEADS, 1, 1)), shape))
    tuples.append(b.op("Expand", b.op("Reshape", positions, b.const([1, -1, 1])), shape))
    return b.op("ScatterND", cache, b.op("Concat", *tuples, axis=2), b.op("Squeeze", new, b.const([0])), name=name)


def model(w, tokens, cached=True, ops=("ScatterND", "ScatterElements"), opset=18, capacity=CAPACITY):
    """Bytes of a model that takes `tokens` ids, a number or the name of a size. Keys go into the cache by the first of
    `ops`, values by the second: "Concat" for a cache that grows, "First" for one that begins here and is not read."""
    b = Builder(w, opset)
    length = b.op("Shape", "ids", start=1, end=2)
    # Positions start, start + 1, ... of the new tokens: from a table, so that their number is no size from data.
    steps = b.op("Slice", b.const(np.arange(CAPACITY)), b.const([0]), length, b.const([0]))
    positions = b.op("Add", steps, "start")
    x = b.op("Add", b.op("Gather", "wte", "ids"), b.op("Gather", "wpe", positions))
    first, grows = cached and ops[0] == "First", cached and ops[0] == "Concat"
    if grows:
        total = b.op("Add", b.op("Shape", "past_k0", start=2, end=3), length)
        keys = b.op("Reshape", b.op("Slice", b.const(np.arange(CAPACITY)), b.const([0]), total, b.const([0])), b.const([1, -1]))
    else:
        keys = b.const(np.arange(CAPACITY).reshape(1, -1)) if cached and not first else b.op("Reshape", steps, b.const([1, -1]))
    own = b.op("Reshape", positions if cached else steps, b.const([-1, 1]))
    mask = b.op("Where", b.op("LessOrEqual", keys, own), b.const(0, np.float32), b.const(-1e9, np.float32))

    def norm(x, name):
        return b.op("LayerNormalization", x, f"{name[0]}_g{name[1]}", f"{name[0]}_b{name[1]}", axis=-1)
    outputs = []
    for i in range(LAYERS):
        n = norm(x, ("ln1", i))
        q, k, v = (b.heads(b.op("MatMul", n, f"{kind}_w{i}"), f"present_{kind}{i}" if first and kind != "q" else None) for kind in "qkv")
        if first:
            outputs += [k, v]
        elif cached:
            k = put(b, ops[0], f"past_k{i}", k, "start", positions, f"present_k{i}")
            v = put(b, ops[1], f"past_v{i}", v, "start", positions, f"present_v{i}")
            outputs += [k, v]
        scores = b.op("Mul", b.op("MatMul", q, b.op("Transpose", k, perm=[0, 1, 3, 2])), b.const(1 / math.sqrt(DEPTH), np.float32))
        p = b.op("Softmax", b.op("Add", scores, mask), axis=-1)
        a = b.op("Reshape", b.op("Transpose", b.op("MatMul", p, v), perm=[0, 2, 1, 3]), b.const([1, -1, WIDTH]))
        x = b.op("Add", x, b.op("MatMul", a, f"o_w{i}"))
        m = b.op("Add", b.op("MatMul", norm(x, ("ln2", i)), f"fc_w{i}"), f"fc_b{i}")
        t = b.op("Tanh", b.op("Mul", b.op("Add", m, b.op("Mul", b.op("Mul", b.op("Mul", m, m), m), b.const(0.044715, np.float32))),
                              b.const(math.sqrt(2 / math.pi), np.float32)))
        g = b.op("Mul", b.op("Mul", m, b.const(0.5, np.float32)), b.op("Add", t, b.const(1, np.float32)))
        x = b.op("Add", x, b.op("Add", b.op("MatMul", g, f"pr_w{i}"), f"pr_b{i}"))
    b.op("MatMul", b.op("LayerNormalization", x, "lnf_g", "lnf_b", axis=-1), "head", name="logits")
    cache, becomes = [1, HEADS, "P" if grows else capacity, DEPTH], [1, HEADS, tokens if first else "P+T" if grows else capacity, DEPTH]
    inputs = [h.make_tensor_value_info("ids", T.INT64, [1, tokens]), h.make_tensor_value_info("start", T.INT64, [1])]
    results = [h.make_tensor_value_info("logits", T.FLOAT, [1, tokens, VOCABULARY])]
    if cached:
        inputs += [h.make_tensor_value_info(name, T.FLOAT, cache) for name in ([] if first else STATES)]
        results += [h.make_tensor_value_info(name, T.FLOAT, becomes) for name in outputs]
    constants = [numpy_helper.from_array(value, name) for name, value in b.initializers.items()]
    graph = h.make_graph(b.nodes, "gpt2", inputs, results, constants)
    return h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=10).SerializeToString()


def reference(w, ids):
    """Logits [T, V] of all tokens at once in numpy, in f64, without a cache."""
    w = {name: value.astype(np.float64) for name, value in w.items()}
    n = len(ids)
    x = w["wte"][ids] + w["wpe"][:n]

    def norm(x, g, b):
        c = x - x.mean(-1, keepdims=True)
        return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * g + b
    for i in range(LAYERS):
        a = norm(x, w[f"ln1_g{i}"], w[f"ln1_b{i}"])
        q, k, v = ((a @ w[f"{kind}_w{i}"]).reshape(n, HEADS, DEPTH).swapaxes(0, 1) for kind in "qkv")
        s = q @ k.swapaxes(1, 2) / math.sqrt(DEPTH) + np.where(np.tri(n, dtype=bool), 0, -1e9)
        p = np.exp(s - s.max(-1, keepdims=True))
        x = x + ((p / p.sum(-1, keepdims=True)) @ v).swapaxes(0, 1).reshape(n, WIDTH) @ w[f"o_w{i}"]
        m = norm(x, w[f"ln2_g{i}"], w[f"ln2_b{i}"]) @ w[f"fc_w{i}"] + w[f"fc_b{i}"]
        g = 0.5 * m * (1 + np.tanh(math.sqrt(2 / math.pi) * (m + 0.044715 * m**3)))
        x = x + g @ w[f"pr_w{i}"] + w[f"pr_b{i}"]
    return norm(x, w["lnf_g"], w["lnf_b"]) @ w["head"]
