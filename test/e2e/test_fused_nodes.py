"""Chains of operators that ONNX Runtime's optimizer writes as one (domain com.microsoft), beside numpy."""
import math

import kiln
import numpy as np
import onnx
import onnx.helper as oh
import pytest

F = np.float32
rng = np.random.default_rng(3)


def some(*dims):
    return rng.standard_normal(dims).astype(F)


def run(op, operands, attributes={}, results=("y",), domain="com.microsoft"):
    """One node; its operands are the model's inputs. Results by name; "" for one that is left out."""
    arrays = {f"x{i}": np.asarray(v) for i, v in enumerate(operands) if v is not None}
    node = oh.make_node(op, [f"x{i}" if v is not None else "" for i, v in enumerate(operands)], list(results), name="/node", domain=domain, **attributes)
    inputs = [oh.make_tensor_value_info(n, oh.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in arrays.items()]
    outputs = [oh.make_tensor_value_info(n, onnx.TensorProto.INT32 if n == "count" else onnx.TensorProto.FLOAT, None) for n in results if n]
    model = oh.make_model(oh.make_graph([node], "g", inputs, outputs), opset_imports=[oh.make_opsetid("", 17), oh.make_opsetid("com.microsoft", 1)])
    got = kiln.compile(model.SerializeToString()).run(arrays)
    return got if len(outputs) > 1 else next(iter(got.values()))


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, scale, bias, epsilon):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * scale + bias


def rms_norm(x, scale, epsilon):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * scale


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def heads(x, count):
    return x.reshape(*x.shape[:2], count, -1).transpose(0, 2, 1, 3)


def joined(x):
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def attend(q, k, v, bias=0, scale=None):
    scores = q @ k.swapaxes(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    return joined(softmax(scores + bias) @ v)


def test_activations():
    x, b = some(3, 40), some(40)
    tanh = 0.5 * (x + b) * (1 + np.tanh(math.sqrt(2 / math.pi) * ((x + b) + 0.044715 * (x + b)**3)))
    close(run("Gelu", [x]), gelu(x))
    close(run("BiasGelu", [x, b]), gelu(x + b))
    close(run("FastGelu", [x, b]), tanh)
    close(run("QuickGelu", [x], {"alpha": 1.5}), x / (1 + np.exp(-1.5 * x)))


@pytest.mark.parametrize("name, parameters, function", [
    ("Relu", [], lambda x: np.maximum(x, 0)), ("Tanh", [], np.tanh), ("Sigmoid", [], lambda x: 1 / (1 + np.exp(-x))),
    ("LeakyRelu", [0.3], lambda x: np.where(x < 0, 0.3 * x, x)), ("HardSigmoid", [0.3, 0.4], lambda x: np.clip(0.3 * x + 0.4, 0, 1)),
    ("Clip", [-0.5, 0.25], lambda x: np.clip(x, -0.5, 0.25))])
def test_fused_conv(name, parameters, function):
    x, w, b, z = some(2, 5, 6, 7), some(4, 5, 1, 1), some(4), some(2, 4, 6, 7)
    wanted = np.einsum("nchw,oc->nohw", x, w[:, :, 0, 0]) + b[:, None, None] + z
    close(run("FusedConv", [x, w, b, z], {"activation": name, "activation_params": parameters} if parameters else {"activation": name}), function(wanted))


def test_fused_products():
    x, y = some(3, 4, 5), some(3, 6, 5)
    close(run("FusedMatMul", [x, y], {"transB": 1, "alpha": 0.5}), x @ y.swapaxes(1, 2) / 2)
    close(run("FusedMatMul", [some_x := some(4, 3, 5), some_y := some(5, 3, 2)], {"transBatchA": 1, "transBatchB": 1}),
          some_x.transpose(1, 0, 2) @ some_y.transpose(1, 0, 2))
    a, b, c = some(4, 6), some(5, 6), some(5)
    close(run("FusedGemm", [a, b, c], {"transB": 1, "beta": 2.0, "activation": "LeakyRelu", "activation_alpha": 0.25}),
          (lambda v: np.where(v < 0, v / 4, v))(a @ b.T + 2 * c))


def test_norms():
    x, skip, scale, shift, bias = some(2, 5, 8), some(5, 8), some(8), some(8), some(8)
    got = run("SkipLayerNormalization", [x, skip, scale, shift, bias], {"epsilon": 1e-5}, ("y", "", "", "sum"))
    close(got["sum"], x + skip + bias)
    close(got["y"], layer_norm(x + skip + bias, scale, shift, 1e-5))
    close(run("SkipSimplifiedLayerNormalization", [x, skip, scale], {"epsilon": 1e-3}), rms_norm(x + skip, scale, 1e-3))
    close(run("SimplifiedLayerNormalization", [x, scale], {"epsilon": 1e-3}, domain=""), rms_norm(x, scale, 1e-3))


def test_embeddings():
    ids, segments = rng.integers(0, 9, (2, 5)).astype(np.int32), rng.integers(0, 2, (2, 5)).astype(np.int32)
    words, places, kinds, scale, shift = some(9, 8), some(7, 8), some(2, 8), some(8), some(8)
    mask = np.array([[1, 1, 1, 0, 0], [1] * 5], np.int32)
    got = run("EmbedLayerNormalization", [ids, segments, words, places, kinds, scale, shift, mask], {"epsilon": 1e-5}, ("y", "count", "sum"))
    total = words[ids] + places[:5] + kinds[segments]
    close(got["sum"], total)
    close(got["y"], layer_norm(total, scale, shift, 1e-5))
    assert got["count"].tolist() == [3, 5]


MASKS = {
    "none": (None, 0),
    "lengths": (np.array([3, 5], np.int32), np.where(np.arange(5) < np.array([[[[3]]], [[[5]]]]), 0, -1e4)),
    "ends and starts": (np.array([3, 5, 0, 2], np.int32), np.where(np.arange(5) < np.array([[[[3]]], [[[5]]]]), 0, -1e4) + np.where(np.arange(5) >= np.array([[[[0]]], [[[2]]]]), 0, -1e4)),
    "positions": (np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], np.int32), np.array([[[[0, 0, -1e4, 0, -1e4]]], [[[-1e4, 0, 0, 0, 0]]]])),
}


@pytest.mark.parametrize("mask, bias", MASKS.values(), ids=MASKS)
def test_attention(mask, bias):
    x, w, b = some(2, 5, 6), some(6, 24), some(24)
    q, k, v = (heads(p, 2) for p in np.split(x @ w + b, 3, -1))
    close(run("Attention", [x, w, b, mask], {"num_heads": 2}), attend(q, k, v, bias))


def test_attention_with_a_past():
    x, w, past = some(2, 5, 6), some(6, 24), some(2, 2, 2, 3, 4)
    q, k, v = (heads(p, 2) for p in np.split(x @ w, 3, -1))
    k, v = np.concatenate([past[0], k], 2), np.concatenate([past[1], v], 2)
    got = run("Attention", [x, w, None, None, past], {"num_heads": 2, "unidirectional": 1}, ("y", "present"))
    close(got["present"], np.stack([k, v]))
    close(got["y"], attend(q, k, v, np.where(np.arange(8) <= np.arange(5)[:, None] + 3, 0, -np.inf)))


def test_multi_head_attention():
    q, k, v, b, added = some(2, 5, 8), some(2, 7, 8), some(2, 7, 6), some(22), some(1, 2, 5, 7)
    wanted = attend(heads(q + b[:8], 2), heads(k + b[8:16], 2), heads(v + b[16:], 2), added, 0.3)
    close(run("MultiHeadAttention", [q, k, v, b, None, added], {"num_heads": 2, "scale": 0.3}), wanted)
    packed = some(2, 5, 2, 3, 4)
    close(run("MultiHeadAttention", [packed], {"num_heads": 2}), attend(*(packed[:, :, :, i].transpose(0, 2, 1, 3) for i in range(3))))
    packed = some(2, 7, 2, 2, 4)
    close(run("MultiHeadAttention", [q, packed], {"num_heads": 2}), attend(heads(q, 2), *(packed[:, :, :, i].transpose(0, 2, 1, 3) for i in range(2))))
    split = some(2, 2, 7, 4), some(2, 2, 7, 4)
    close(run("MultiHeadAttention", [q, *split, some(24) * 0 + 1], {"num_heads": 2}), attend(heads(q + 1, 2), *split))
    past = some(2, 2, 3, 4), some(2, 2, 3, 3)
    got = run("MultiHeadAttention", [q, q, v[:, :5], None, None, None, *past], {"num_heads": 2, "unidirectional": 1}, ("y", "keys", "values"))
    keys, values = (np.concatenate([p, heads(x, 2)], 2) for p, x in zip(past, (q, v[:, :5])))
    close(got["keys"], keys)
    close(got["values"], values)
    close(got["y"], attend(heads(q, 2), keys, values, np.where(np.arange(8) <= np.arange(5)[:, None] + 3, 0, -np.inf)))


def test_rotary_embedding():
    x, cosine, sine = some(2, 5, 8), some(10, 2), some(10, 2)
    first = np.array([2])
    a, b = np.split(x.reshape(2, 5, 2, 4), 2, -1)
    c, s = cosine[2:7][:, None], sine[2:7][:, None]
    close(run("RotaryEmbedding", [x, first, cosine, sine], {"num_heads": 2}), np.concatenate([a * c - b * s, a * s + b * c], -1).reshape(2, 5, 8))


def test_group_query_attention():
    """Two elements of a batch of which one has filled more of its cache than the other; the last position is new."""
    q, k, v, filled = some(2, 1, 16), some(2, 1, 8), some(2, 1, 8), [2, 4]
    past = some(2, 2, 5, 4), some(2, 2, 5, 4)
    cosine, sine = some(9, 2), some(9, 2)
    got = run("GroupQueryAttention", [q, k, v, *past, np.array(filled, np.int32), np.int32(5), cosine, sine],
              {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1}, ("y", "keys", "values"))

    def rotated(x, at):
        a, b = np.split(x, 2, -1)
        return np.concatenate([a * cosine[at] - b * sine[at], a * sine[at] + b * cosine[at]], -1)
    for b, at in enumerate(filled):
        keys, values = (p[b, :, :at + 1].copy() for p in past)
        keys[:, at], values[:, at] = rotated(heads(k, 2)[b, :, 0], at), heads(v, 2)[b, :, 0]
        close(got["keys"][b, :, :at + 1], keys)
        close(got["values"][b, :, :at + 1], values)
        shared = rotated(heads(q, 4)[b], at)
        close(got["y"][b], attend(shared[None], keys.repeat(2, 0)[None], values.repeat(2, 0)[None])[0])


def test_group_query_attention_of_a_prompt():
    """All in one operand, without a cache; a window of two positions."""
    x, none = some(1, 4, 24), some(1, 1, 0, 8)
    got = run("GroupQueryAttention", [x, None, None, none, none, np.array([3], np.int32), np.int32(4)],
              {"num_heads": 1, "kv_num_heads": 1, "local_window_size": 2}, ("y", "keys", "values"))
    q, k, v = (heads(p, 1) for p in np.split(x, 3, -1))
    row, column = np.arange(4)[:, None], np.arange(4)
    close(got["keys"], k)
    close(got["y"], attend(q, k, v, np.where((column <= row) & (column > row - 2), 0, -np.inf)))


@pytest.mark.parametrize("op, operands, attributes, text", [
    ("FusedConv", [some(1, 2, 3, 3), some(2, 2, 1, 1)], {"activation": "Mish"}, 'activation "Mish" is not supported [KILN-E0203]'),
    ("Attention", [some(1, 3, 6), some(6, 24)], {"num_heads": 2, "do_rotary": 1}, 'attribute "do_rotary" is not supported [KILN-E0203]'),
    ("Attention", [some(1, 3, 6), some(6, 24)], {}, 'attribute "num_heads" is missing [KILN-E0401]'),
    ("Attention", [some(1, 3, 6), some(6, 24), None, np.ones((1, 1, 8, 8), np.int32)], {"num_heads": 2}, "a mask of rank 4 is not supported [KILN-E0203]"),
    ("Attention", [some(2, 3, 6), some(6, 24), None, np.ones(3, np.int32)], {"num_heads": 2}, "lengths of the mask: sizes 3 and 2 differ [KILN-E0304]"),
    ("SkipLayerNormalization", [some(3, 6), some(2, 3, 6), some(6)], {}, "what is added has a higher rank than the input [KILN-E0304]"),
    ("GroupQueryAttention", [some(1, 1, 8), None, None, None, None, np.zeros(1, np.int32), np.int32(1)], {"num_heads": 2, "kv_num_heads": 1, "smooth_softmax": 1},
     'attribute "smooth_softmax" is not supported [KILN-E0203]'),
    ("GroupQueryAttention", [some(1, 1, 8)], {"num_heads": 2, "kv_num_heads": 1}, "input 5 is missing [KILN-E0306]"),
    ("BiasGelu", [some(3, 6), some(3, 6)], {}, "the bias must be a vector [KILN-E0304]")])
def test_refused(op, operands, attributes, text):
    with pytest.raises(kiln.Error) as error:
        run(op, operands, attributes)
    assert text in str(error.value)
