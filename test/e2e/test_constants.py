"""Constants that do not lie in the artifact: bound by the host, or in the model's own files; from Python and the command line."""
import gc
import json
import subprocess
import threading
import weakref

import numpy as np
import onnx
import pytest

import kiln
from conftest import graph
from test_cli import kiln as command
from test_cli import refused

RNG = np.random.default_rng(8)


def weights(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


MLP = {"w1": [40, 70], "b1": [70], "w2": [70, 10], "b2": [10]}
CONV = {"k1": [16, 3, 3, 3], "c1": [16], "k2": [24, 16, 3, 3], "c2": [24], "k3": [24, 1, 3, 3], "dense": [24, 5]}


def mlp(w):
    return graph([("MatMul", ["x", "w1"], ["h"], {}), ("Add", ["h", "b1"], ["h1"], {}), ("Relu", ["h1"], ["r"], {}),
                  ("Gemm", ["r", "w2", "b2"], ["y"], {})],
                 {"x": (np.float32, ["N", 40])}, {"y": (np.float32, ["N", 10])}, w)


def conv(w):
    pads = {"pads": [1, 1, 1, 1]}
    return graph([("Conv", ["x", "k1", "c1"], ["a"], pads), ("Relu", ["a"], ["b"], {}),
                  ("Conv", ["b", "k2", "c2"], ["c"], {"strides": [2, 2], **pads}), ("Clip", ["c", "low", "high"], ["d"], {}),
                  ("Conv", ["d", "k3"], ["e"], {"group": 24, **pads}), ("GlobalAveragePool", ["e"], ["f"], {}),
                  ("Flatten", ["f"], ["g"], {}), ("MatMul", ["g", "dense"], ["y"], {})],
                 {"x": (np.float32, [1, 3, 20, 20])}, {"y": (np.float32, [1, 5])},
                 {**w, "low": np.float32(0), "high": np.float32(6)})


def names(model):
    return sorted(c.name for c in model.constants)


CASES = {"mlp": (mlp, MLP, [7, 40]), "conv": (conv, CONV, [1, 3, 20, 20])}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("options", [{}, {"target": "interpreter"}, {"target": "x86-64-v3", "guard_pages": True}, {"choice_seed": 3},
                                     {"without": ["layout", "fusion"]}], ids=str)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bound_weights_give_the_bits_of_embedded_ones(case, options):
    make, shapes, dims = CASES[case]
    w, x = weights(shapes), {"x": RNG.standard_normal(dims).astype(np.float32)}
    model = kiln.compile(make(w), bind="all", **options)
    assert {c.name: (c.shape, c.dtype, c.bound) for c in model.constants} == {n: (tuple(s), np.float32, False) for n, s in shapes.items()}
    model.bind(w)
    assert all(c.bound for c in model.constants)
    assert same(model.run(x), kiln.compile(make(w), **options).run(x))

    # Other weights: as a fresh compilation of them. First one alone, then all.
    other = weights(shapes, 1)
    first = next(iter(shapes))
    model.bind({first: other[first]})
    assert same(model.run(x), kiln.compile(make({**w, first: other[first]}), **options).run(x))
    model.bind(other)
    assert same(model.run(x), kiln.compile(make(other), **options).run(x))


def test_weights_in_half_precision_are_cast_when_they_are_bound():
    w = {"w": weights({"w": [40, 70]})["w"].astype(np.float16)}
    model = graph([("Cast", ["w"], ["f"], {"to": onnx.TensorProto.FLOAT}), ("MatMul", ["x", "f"], ["y"], {})],
                  {"x": (np.float32, [3, 40])}, {"y": (np.float32, [3, 70])}, w)
    x = {"x": RNG.standard_normal([3, 40]).astype(np.float32)}
    bound = kiln.compile(model, bind="all")
    bound.bind(w)
    assert same(bound.run(x), kiln.compile(model).run(x))


def test_the_artifact_holds_none_of_it_and_does_not_depend_on_it(tmp_path):
    a, b, embedded = tmp_path / "a.kiln", tmp_path / "b.kiln", tmp_path / "e.kiln"
    kiln.compile(mlp(weights(MLP)), bind="all").save(a)
    kiln.compile(mlp({n: np.zeros_like(w) for n, w in weights(MLP, 1).items()}), bind="all").save(b)
    kiln.compile(mlp(weights(MLP))).save(embedded)
    assert a.read_bytes() == b.read_bytes()
    held = 4 * sum(np.prod(s) for s in MLP.values())
    assert embedded.stat().st_size - a.stat().st_size > held * 0.9
    model = kiln.load(a)
    with pytest.raises(kiln.Error) as e:
        model.run({"x": np.zeros([1, 40], np.float32)})
    assert str(e.value) == 'constants are not bound: "b1", "w1", "b2", "w2" [KILN-E0524]'


def test_memory_is_borrowed_and_kept_alive():
    w = weights(MLP)
    model = kiln.compile(mlp(w), bind="all")
    x = {"x": np.ones([2, 40], np.float32)}
    model.bind(w)
    before = model.run(x)["y"]
    w["b2"] += 1  # read in place
    np.testing.assert_allclose(model.run(x)["y"], before + 1, atol=1e-5)
    w["w1"] *= 0  # perhaps packed: bound again
    model.bind({"w1": w["w1"]})
    assert same(model.run(x), kiln.compile(mlp(w)).run(x))

    class Array(np.ndarray):
        pass
    array = Array([10], np.float32)
    array[:] = w["b2"]
    alive = weakref.ref(array)
    model.bind({"b2": array})
    del array
    gc.collect()
    assert alive() is not None
    model.bind({"b2": w["b2"]})
    gc.collect()
    assert alive() is None


def test_runs_see_one_set_while_another_thread_binds():
    w = [{n: np.full(s, c, np.float32) for n, s in MLP.items()} for c in (1, 2, 3)]
    x = {"x": np.ones([1, 40], np.float32)}
    model = kiln.compile(mlp(w[0]), bind="all", threads=1)
    model.bind(w[0])
    expected = [kiln.compile(mlp(one), threads=1).run(x)["y"] for one in w]
    stop, wrong, runs = threading.Event(), [], [0] * 8

    def run(i):
        while not stop.is_set():
            y = model.run(x)["y"]
            runs[i] += 1
            if not any(np.array_equal(y, e) for e in expected):
                wrong.append(y)
    threads = [threading.Thread(target=run, args=[i]) for i in range(8)]
    for t in threads:
        t.start()
    i = 0
    while i < 300 or (not all(runs) and all(t.is_alive() for t in threads)):
        model.bind({n: a.copy() for n, a in w[i % 3].items()})
        i += 1
    stop.set()
    for t in threads:
        t.join()
    assert not wrong and all(runs)
    model.bind(w[1])
    np.testing.assert_array_equal(model.run(x)["y"], expected[1])


def test_what_cannot_be_bound_is_refused():
    w = weights(MLP)
    model = kiln.compile(mlp(w), bind=["w1", "b1"])
    assert names(model) == ["b1", "w1"]
    for constants, why in [
            ({"w2": w["w2"]}, 'the model has no constant "w2" to bind; it has "b1", "w1" [KILN-E0501]'),
            ({"w1": w["w1"].T}, 'constant "w1": expected f32[40,70], got f32[70,40] [KILN-E0525]'),
            ({"w1": w["w1"].astype(np.float64)}, 'constant "w1": expected f32[40,70], got f64[40,70] [KILN-E0525]')]:
        with pytest.raises(kiln.Error) as e:
            model.bind(constants)
        assert str(e.value) == why

    reshaped = graph([("Reshape", ["x", "shape"], ["y"], {})], {"x": (np.float32, [4])}, {"y": (np.float32, [2, 2])},
                     {"shape": np.array([2, 2])})
    for model, bind, why in [
            (mlp(w), ["w3"], 'model: constant "w3" is to be bound, and no model uses an initializer of that name [KILN-E0501]'),
            (reshaped, ["shape"], 'model: constant "shape" cannot be bound later: sizes or attributes of the model are read from it [KILN-E0701]')]:
        with pytest.raises(kiln.Error) as e:
            kiln.compile(model, bind=bind)
        assert str(e.value) == why
    with pytest.raises(TypeError, match="bind is a list of names, not the text 'w1'"):
        kiln.compile(mlp(w), bind="w1")
    with pytest.raises(kiln.Error) as e:
        kiln.compile(mlp(w), weights="elsewhere")
    assert str(e.value) == 'weights "elsewhere" is unknown; use embedded or external [KILN-E0701]'
    with pytest.raises(kiln.Error) as e:
        kiln.compile(mlp(w), weights="external")
    assert str(e.value) == "model: is given as bytes, so its weights lie in no file that an artifact could name [KILN-E0703]"


def test_all_leaves_out_what_steers_the_model():
    model = graph([("Resize", ["x", "", "scales"], ["r"], {}), ("Add", ["r", "w"], ["s"], {}), ("Mul", ["s", "half"], ["y"], {})],
                  {"x": (np.float32, [1, 1, 2, 2])}, {"y": (np.float32, [1, 1, 4, 4])},
                  {"scales": np.array([1, 1, 2, 2], np.float32), "w": np.zeros([4], np.float32), "half": np.float32(0.5)})
    assert names(kiln.compile(model, bind="all")) == ["w"]


def test_an_initializer_that_is_listed_twice_is_bound_once():
    w = weights(MLP)
    model = onnx.load_model_from_string(mlp(w))
    model.graph.initializer.append(onnx.numpy_helper.from_array(w["w1"], "w1"))
    twice = model.SerializeToString()
    assert names(kiln.compile(twice, bind="all")) == ["b1", "b2", "w1", "w2"]
    bound = kiln.compile(twice, bind=["w1"])
    assert names(bound) == ["w1"]
    new = weights(MLP, 3)["w1"]
    bound.bind({"w1": new})
    x = {"x": RNG.standard_normal([3, 40]).astype(np.float32)}
    assert same(bound.run(x), kiln.compile(mlp({**w, "w1": new})).run(x))
    model.graph.initializer.append(onnx.numpy_helper.from_array(new, "w1"))
    with pytest.raises(kiln.Error) as e:
        kiln.compile(model.SerializeToString(), bind="all")
    assert str(e.value) == 'model: initializer "w1" is defined twice [KILN-E0303]'


def test_entries_share_what_they_bind():
    w = weights(MLP)
    second = graph([("MatMul", ["x", "w1"], ["y"], {})], {"x": (np.float32, [3, 40])}, {"y": (np.float32, [3, 70])}, {"w1": w["w1"]})
    other = graph([("MatMul", ["x", "w1"], ["y"], {})], {"x": (np.float32, [3, 40])}, {"y": (np.float32, [3, 70])}, {"w1": w["w1"] + 1})
    x = {"x": RNG.standard_normal([3, 40]).astype(np.float32)}
    model = kiln.compile({"one": mlp(w), "two": second}, bind="all")
    assert names(model) == ["b1", "b2", "w1", "w2"]
    new = weights(MLP, 5)
    model.bind(new)
    assert same(model.run(x, entry="one"), kiln.compile(mlp(new)).run(x))
    np.testing.assert_allclose(model.run(x, entry="two")["y"], x["x"] @ new["w1"], rtol=1e-4, atol=1e-4)

    # Of different contents: an error, each under a name of its own, or numbered.
    with pytest.raises(kiln.Error) as e:
        kiln.compile({"one": mlp(w), "two": other}, bind=["w1"])
    assert str(e.value) == ('two: node "/matmul0" (MatMul, opset 18): constant "w1" is to be bound, and two constants of that name differ; name that of one entry, '
                            'as in two:w1 [KILN-E0703]')
    assert names(kiln.compile({"one": mlp(w), "two": other}, bind=["w1", "two:w1"])) == ["two:w1", "w1"]
    assert names(kiln.compile({"one": mlp(w), "two": other}, bind="all")) == ["b1", "b2", "w1", "w1#2", "w2"]


# --- files

@pytest.fixture
def outside(tmp_path):
    """A model whose weights lie in a file of their own, and what it gives."""
    w = weights(MLP)
    model = onnx.load_model_from_string(mlp(w))
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    x = {"x": RNG.standard_normal([7, 40]).astype(np.float32)}
    return tmp_path, x, kiln.compile(mlp(w)).run(x)


def test_weights_stay_in_the_models_files(outside):
    folder, x, expected = outside
    assert same(kiln.compile(folder / "m.onnx", weights="external").run(x), expected)
    command("compile", folder / "m.onnx", "--weights", "external", "-o", folder / "m.kiln")
    command("compile", folder / "m.onnx", "-o", folder / "embedded.kiln")
    assert (folder / "embedded.kiln").stat().st_size - (folder / "m.kiln").stat().st_size > 4 * 70 * 40
    report = json.loads(command("inspect", folder / "m.kiln", "--json").stdout)
    sources = {(c["name"], c["source"], c.get("file"), c.get("recipe")) for c in report["constants"]}
    assert ("w1", "file", "m.data", None) in sources and any(s[1] == "derived" for s in sources)
    assert f"file    m.data {(folder / 'm.data').stat().st_size} bytes\n" in command("inspect", folder / "m.kiln").stdout
    assert same(kiln.load(folder / "m.kiln", verify=True).run(x), expected)
    assert "and 2 constants in 1 file" in command("verify", folder / "m.kiln").stdout

    # Both may move together.
    moved = folder / "moved"
    moved.mkdir()
    for name in ("m.kiln", "m.data"):
        (folder / name).rename(moved / name)
    assert same(kiln.load(moved / "m.kiln").run(x), expected)

    # Changed, truncated, missing.
    data = moved / "m.data"
    good = data.read_bytes()
    fix = "that the model was compiled from, or compile it again"
    data.write_bytes(good[:-1])
    failed = command("verify", moved / "m.kiln", code=1)
    assert failed.stderr == f"kiln: {moved}/m.kiln: weights file {data}: has {len(good) - 1} bytes; put the file of {len(good)} bytes there {fix} [KILN-E0609]\n"
    data.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    failed = command("verify", moved / "m.kiln", code=1)
    assert failed.stderr.startswith(f"kiln: {moved}/m.kiln: weights are damaged: constant ") and f" of {data}; put the file there {fix} [KILN-E0608]" in failed.stderr
    data.unlink()
    with pytest.raises(kiln.Error) as e:
        kiln.load(moved / "m.kiln")
    assert str(e.value) == f"{moved}/m.kiln: weights file {data}: cannot be opened: No such file or directory; put the file of {len(good)} bytes there {fix} [KILN-E0609]"


def test_the_command_line_binds_by_name(tmp_path):
    (tmp_path / "m.onnx").write_bytes(mlp(weights(MLP)))
    command("compile", tmp_path / "m.onnx", "--bind", "w1", "--bind", "b2", "-o", tmp_path / "m.kiln")
    text = command("inspect", tmp_path / "m.kiln").stdout
    assert "bind    w1 f32[40,70]\n" in text
    assert "bytes in 2 constants, by the host\n" in text
    w = weights(MLP)
    for name, array in w.items():
        np.save(tmp_path / f"{name}.npy", array)
    x = np.ones([7, 40], np.float32)
    np.save(tmp_path / "x.npy", x)
    run = ["run", tmp_path / "m.kiln", "--input", f"x=@{tmp_path}/x.npy", "--output-dir", tmp_path]
    files = lambda *names: [a for n in names for a in ("--bind", f"{n}=@{tmp_path}/{n}.npy")]
    expected = kiln.compile(mlp(w)).run({"x": x})["y"]
    command(*run, *files("b2", "w1"))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
    assert "note: made-up constants: b2 f32[10]\n" in command(*run, *files("w1")).stderr
    assert command("bench", tmp_path / "m.kiln", "--runs", "3", *files("w1")).stdout
    # Of a model that is compiled here, any initializer.
    wrong = mlp({**w, "b1": w["b1"] + 1})
    (tmp_path / "wrong.onnx").write_bytes(wrong)
    command("run", tmp_path / "wrong.onnx", *run[2:], *files("b1"))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
    assert "KILN-E0525" in refused(*run, "--bind", f"b2=@{tmp_path}/b1.npy", code=1)
    assert '"b1"' in refused(*run, *files("b1"), code=1)
    assert refused(*run, *files("b2", "b2"), code=2) == 'kiln: --bind: "b2" is given twice [KILN-E0703]\n'
    assert refused(*run, "--bind", "b2", code=2) == 'kiln: "b2" is not of the form NAME=@FILE.npy [KILN-E0701]\n'
    # Through IR text, which says itself what is bound.
    command("compile", tmp_path / "m.onnx", "--bind", "w1", "--stop-after", "canonical", "-o", tmp_path / "c.mlir")
    assert '#kiln.bound<"w1", tensor<40x70xf32>, "">' in (tmp_path / "c.mlir").read_text()
    command("compile", tmp_path / "c.mlir", "-o", tmp_path / "c.kiln")
    assert names(kiln.load(tmp_path / "c.kiln")) == ["w1"]
    failed = command("compile", tmp_path / "c.mlir", "--bind", "w2", "-o", tmp_path / "d.kiln", code=2)
    assert failed.stderr == (f"kiln: {tmp_path}/c.mlir: constants are to be bound, but IR text says itself which ones are; give them "
                             "with the model [KILN-E0703]\n")
