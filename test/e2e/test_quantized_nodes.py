"""Operators of quantized numbers that ONNX Runtime's quantizer writes (domain com.microsoft), beside numpy."""
import kiln
import numpy as np
import onnx
import onnx.helper as oh
import pytest

F = np.float32
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
rng = np.random.default_rng(7)


def run(op, operands, attributes={}, result=np.uint8):
    """One node; the first operand that is an array of more than one element is the model's input, the others are constants."""
    names = [f"c{i}" if v is not None else "" for i, v in enumerate(operands)]
    fed = next(i for i, v in enumerate(operands) if v is not None and np.size(v) > 1)
    arrays = [None if v is None else np.asarray(v) for v in operands]
    node = oh.make_node(op, names, ["y"], name="/node", domain="com.microsoft", **attributes)
    inputs = [oh.make_tensor_value_info(names[fed], oh.np_dtype_to_tensor_dtype(arrays[fed].dtype), arrays[fed].shape)]
    outputs = [oh.make_tensor_value_info("y", oh.np_dtype_to_tensor_dtype(np.dtype(result)), None)]
    constants = [onnx.numpy_helper.from_array(v, n) for n, v in zip(names, arrays) if v is not None and n != names[fed]]
    model = oh.make_model(oh.make_graph([node], "g", inputs, outputs, constants),
                          opset_imports=[oh.make_opsetid("", 18), oh.make_opsetid("com.microsoft", 1)])
    return kiln.compile(model.SerializeToString()).run({names[fed]: arrays[fed]})["y"]


def some(*dims, dtype=np.uint8):
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, dims, dtype)


def number(x, scale, zero):
    return (x.astype(F) - F(zero)) * F(scale)


def quantize(y, scale, zero, dtype=np.uint8):
    limits = np.iinfo(dtype)
    return np.clip(np.rint(y / F(scale)) + zero, limits.min, limits.max).astype(dtype)


def close(got, wanted):
    """To a rounding of what lies between two bytes."""
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 1 and (got != wanted).mean() < 0.02


A, B, Y = (F(0.0513), np.uint8(120)), (F(0.0207), np.uint8(7)), (F(0.0391), np.uint8(100))


def test_binary():
    a, b = some(3, 40), some(40)
    close(run("QLinearAdd", [a, *A, b, *B, *Y]), quantize(number(a, *A) + number(b, *B), *Y))
    close(run("QLinearMul", [a, *A, b, *B, *Y]), quantize(number(a, *A) * number(b, *B), *Y))


def test_no_zero_points():
    a = some(3, 40, dtype=np.int8)
    close(run("QLinearSigmoid", [a, F(0.05), None, F(1 / 120)], result=np.int8),
          quantize(1 / (1 + np.exp(-number(a, 0.05, 0))), 1 / 120, 0, np.int8))


def test_unary():
    x = some(2, 5, 8)
    n = number(x, *A)
    exp = np.exp(n - n.max(-1, keepdims=True))
    close(run("QLinearLeakyRelu", [x, *A, *Y], {"alpha": 0.1}), quantize(np.where(n > 0, n, n * F(0.1)), *Y))
    close(run("QLinearSoftmax", [x, *A, F(1 / 256), np.uint8(0)], {"axis": -1, "opset": 12}), quantize(exp / exp.sum(-1, keepdims=True), 1 / 256, 0))
    close(run("QLinearReduceMean", [x, *A, *Y], {"axes": [1], "keepdims": 0}), quantize(n.mean(1), *Y))


def test_pools():
    x = some(2, 3, 6, 6)
    n = number(x, *A)
    close(run("QLinearGlobalAveragePool", [x, *A, *Y]), quantize(n.mean((2, 3), keepdims=True), *Y))
    close(run("QLinearAveragePool", [x, *A, *Y], {"kernel_shape": [2, 2], "strides": [2, 2]}),
          quantize(n.reshape(2, 3, 3, 2, 3, 2).mean((3, 5)), *Y))


def test_concat_and_where():
    a, b = some(2, 3), some(2, 5)
    close(run("QLinearConcat", [*Y, a, *A, b, *B], {"axis": 1}), quantize(np.concatenate([number(a, *A), number(b, *B)], 1), *Y))
    condition, b = rng.random((2, 3)) > 0.5, some(2, 3)
    close(run("QLinearWhere", [condition, a, *A, b, *B, *Y]), quantize(np.where(condition, number(a, *A), number(b, *B)), *Y))


def test_products():
    a, b, zero = some(4, 6), some(6, 5, dtype=np.int8), some(5, dtype=np.int8)
    scale, bias = rng.random(5).astype(F), rng.integers(-99, 99, 5).astype(np.int32)
    product = (a.astype(int) - A[1]) @ (b.astype(int) - zero)
    want = (product + bias) * (A[0] * scale)
    close(run("QGemm", [a, *A, b, scale, zero, bias, F(9), np.uint8(128)]), quantize(want, 9, 128))
    np.testing.assert_allclose(run("QGemm", [a, *A, b.T.copy(), scale, zero, bias], {"transB": 1}, F), want, rtol=1e-5)
    got = run("MatMulIntegerToFloat", [a, b, A[0], scale, A[1], zero, scale], result=F)
    np.testing.assert_allclose(got, product * (A[0] * scale) + scale, rtol=1e-5)
    x = rng.standard_normal((4, 6)).astype(F)
    wide = (b.astype(F) - zero) * scale
    got = run("DynamicQuantizeMatMul", [x, b, scale, zero], result=F)
    assert np.abs(got - x @ wide).max() < 0.03 * np.abs(x @ wide).max()


PACKED = {"K": 32, "N": 3, "block_size": 16}


def test_zero_points_of_columns():
    a, b, zero = some(2, 4, 6), some(6, 5), some(5)
    product = (a.astype(int) - A[1]) @ (b.astype(int) - zero)
    got = run("MatMulIntegerToFloat", [a, b, F(1), F(1), A[1], zero], result=F)
    np.testing.assert_array_equal(got, product)


def pack(numbers, bits):
    """Numbers along the last axis, several to a byte, lowest bits first."""
    each = 8 // bits
    padded = np.concatenate([numbers, np.zeros((*numbers.shape[:-1], -numbers.shape[-1] % each), np.uint8)], -1)
    parts = padded.reshape(*padded.shape[:-1], -1, each).astype(int) << (bits * np.arange(each))
    return parts.sum(-1).astype(np.uint8)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("depth", [64, 40])  # whole blocks, and a part of one
@pytest.mark.parametrize("zeros", ["none", "packed", "float"])
def test_weights_of_few_bits(bits, depth, zeros):
    n, block = 5, 16
    blocks = -(-depth // block)
    q = rng.integers(0, 1 << bits, (n, blocks, block)).astype(np.uint8)
    z = np.full((n, blocks), 1 << bits - 1) if zeros == "none" else rng.integers(0, 1 << bits, (n, blocks))
    scale, bias = rng.random((n, blocks)).astype(F), rng.random(n).astype(F)
    w = ((q.astype(F) - z[..., None].astype(F)) * scale[..., None]).reshape(n, -1)[:, :depth]
    points = {"none": None, "packed": pack(z.astype(np.uint8), bits).reshape(-1), "float": z.astype(F)}[zeros]
    for dims, own in [((3, depth), bias), ((2, 3, depth), None), ((depth,), bias)]:
        x = rng.standard_normal(dims).astype(F)
        got = run("MatMulNBits", [x, pack(q, bits), scale.reshape(-1), points, None, own],
                  {"K": depth, "N": n, "bits": bits, "block_size": block}, F)
        np.testing.assert_allclose(got, x @ w.T + (0 if own is None else own), rtol=1e-4, atol=1e-3)


def test_lstm_of_bytes_is_that_of_their_numbers():
    x, w, r = rng.standard_normal((5, 2, 3)).astype(F), some(1, 3, 16, dtype=np.int8), some(1, 4, 16, dtype=np.int8)
    scale, zero = np.array([0.01], F), np.array([3], np.int8)
    columns = rng.random((1, 16)).astype(F) * F(0.01)
    got = run("DynamicQuantizeLSTM", [x, w, r, None, None, None, None, None, scale, zero, columns, np.zeros((1, 16), np.int8)], {"hidden_size": 4}, F)
    weights = [((w.astype(F) - 3) * F(0.01)).transpose(0, 2, 1).copy(), (r.astype(F) * columns[:, None]).transpose(0, 2, 1).copy()]
    node = oh.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)
    model = oh.make_model(oh.make_graph([node], "g", [oh.make_tensor_value_info("x", 1, [5, 2, 3])], [oh.make_tensor_value_info("y", 1, None)],
                                        [onnx.numpy_helper.from_array(v, n) for v, n in zip(weights, "wr")]), opset_imports=[oh.make_opsetid("", 14)])
    np.testing.assert_allclose(got, kiln.compile(model.SerializeToString()).run({"x": x})["y"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op, operands, attributes, text", [
    ("QLinearAdd", [some(3), np.ones(2, F), np.uint8(0), some(3), *B, *Y], {}, "scale and zero point: sizes 2 and 1 differ [KILN-E0304]"),
    ("QLinearSoftmax", [some(2, 3, 4), *A, *Y], {"axis": 1, "opset": 11}, "a softmax over several dims is not supported [KILN-E0203]"),
    ("QLinearGlobalAveragePool", [some(1, 3, 3, 2), *A, *Y], {"channels_last": 1}, "channels_last is not supported [KILN-E0203]"),
    ("QLinearConcat", [*Y, some(2), A[0]], {"axis": 0}, "has 4 inputs; expected 2 and three for each part [KILN-E0306]"),
    ("QGemm", [some(4, 6), *A, some(6, 5), *B, some(5)], {}, "C is u8, expected i32 [KILN-E0305]"),
    ("MatMulNBits", [np.ones((2, 32), F), some(3, 2, 8), np.ones(6, F)], {"K": 32, "N": 3}, 'attribute "block_size" is missing [KILN-E0401]'),
    ("MatMulNBits", [np.ones((2, 32), F), some(3, 2, 8), np.ones(6, F)], {**PACKED, "bits": 3}, "weights of 3 bits are not supported [KILN-E0203]"),
    ("MatMulNBits", [np.ones((2, 32), F), some(3, 2, 7), np.ones(6, F)], PACKED, "elements of B: sizes 42 and 48 differ [KILN-E0304]"),
    ("MatMulNBits", [np.ones((2, 32), F), some(3, 2, 8), np.ones(6, F), None, np.zeros(32, np.int32)], PACKED,
     "g_idx, another order of the weights, is not supported [KILN-E0203]"),
])
def test_errors(op, operands, attributes, text):
    with pytest.raises(kiln.Error) as caught:
        run(op, operands, attributes)
    assert text in str(caught.value)
