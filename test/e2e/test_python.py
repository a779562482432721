"""The Python package: arguments, values, errors."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import onnx
import pytest

import kiln
from conftest import ROOT, graph

F = np.float32


def add(dims=("N", 3)):
    return graph([("Add", ["x", "y"], ["z"], {})], {"x": (F, dims), "y": (F, dims)}, {"z": (F, dims)})


def test_signature():
    model = kiln.compile(add())
    assert [(p.name, p.dtype, p.shape) for p in model.inputs] == [("x", F, ("N", 3)), ("y", F, ("N", 3))]
    assert [(p.name, p.dtype, p.shape) for p in model.outputs] == [("z", F, ("N", 3))]
    assert repr(model) == "<kiln.Model (x: float32[N, 3], y: float32[N, 3]) -> (z: float32[N, 3])>"


def test_outputs_keep_the_order_of_the_graph():
    x = np.array([1, -2], F)
    nodes = [("Neg", ["x"], ["b"], {}), ("Abs", ["x"], ["a"], {}), ("Relu", ["x"], ["c"], {})]
    got = kiln.compile(graph(nodes, {"x": (F, [2])}, {"c": (F, [2]), "a": (F, [2]), "b": (F, [2])})).run({"x": x})
    assert list(got) == ["c", "a", "b"]
    assert [v.tolist() for v in got.values()] == [[1, 0], [1, 2], [-1, 2]]


def test_arrays_of_any_layout():
    model = kiln.compile(add())
    wide = np.arange(24, dtype=F).reshape(4, 6)
    for x in (wide[:, ::2], wide[:, :3], np.asfortranarray(wide[:, :3])):
        readonly = x.copy()
        readonly.flags.writeable = False
        assert np.array_equal(model.run({"x": x, "y": readonly})["z"], x + x)


def test_empty_and_scalar_arrays():
    assert kiln.compile(add()).run({"x": np.zeros((0, 3), F), "y": np.zeros((0, 3), F)})["z"].shape == (0, 3)
    assert kiln.compile(add(())).run({"x": np.array(1, F), "y": np.array(2, F)})["z"] == 3


def test_results_live_on_after_the_model():
    z = kiln.compile(add()).run({"x": np.ones((2, 3), F), "y": np.ones((2, 3), F)})["z"]
    assert (z == 2).all()
    z += 1  # writable, and its own
    assert (z == 3).all()


def test_a_size_may_have_any_name():
    one = graph([("Neg", ["x"], ["y"], {})], {"x": (F, ["N"])}, {"y": (F, ["M"])})
    for name in ("x_1", "axis", "x"):
        assert kiln.compile(one, shapes={"x": [name]}).inputs[0].shape == (name,)
    assert kiln.compile(add(("N", "M")), shapes={"x": ["x", "x_1"]}).inputs[0].shape == ("x", "x_1")


def test_shapes_bind_sizes():
    model = kiln.compile(add(), shapes={"x": [4, 3], "y": [4, 3]})
    assert model.outputs[0].shape == (4, 3)
    ranged = kiln.compile(add(), shapes={"x": [(1, 8), 3]})
    assert ranged.run({"x": np.ones((8, 3), F), "y": np.ones((8, 3), F)})["z"].shape == (8, 3)
    with pytest.raises(kiln.InputError):
        ranged.run({"x": np.ones((9, 3), F), "y": np.ones((9, 3), F)})


@pytest.mark.parametrize("inputs", [
    {}, {"x": np.ones((1, 3), F)}, {"x": np.ones((1, 3), F), "y": np.ones((1, 3), F), "w": np.ones(1, F)},
    {"x": np.ones((1, 3)), "y": np.ones((1, 3), F)}, {"x": np.ones((1, 4), F), "y": np.ones((1, 4), F)},
    {"x": np.ones((1, 3), F), "y": np.ones((2, 3), F)}, {"x": np.ones(3, F), "y": np.ones((1, 3), F)},
    {"x": np.ones((1, 3), ">f4"), "y": np.ones((1, 3), F)}, {"x": np.array([["a"] * 3]), "y": np.ones((1, 3), F)}])
def test_inputs_that_do_not_fit(inputs):
    with pytest.raises(kiln.InputError):
        kiln.compile(add()).run(inputs)


def test_unsupported_lists_everything():
    nodes = [("Relu", ["x"], ["a"], {}), ("StringNormalizer", ["a"], ["b"], {}), ("TfIdfVectorizer", ["b"], ["z"], {})]
    with pytest.raises(kiln.UnsupportedError) as caught:
        kiln.compile(graph(nodes, {"x": (F, [2])}, {"z": (F, [2])}))
    for part in ("/stringnormalizer1", "StringNormalizer", "/tfidfvectorizer2", "TfIdfVectorizer", "opset 18", "KILN-E02"):
        assert part in str(caught.value)


@pytest.mark.parametrize("model", [b"", b"not a model", b"\x08\x07" * 40])
def test_bytes_that_are_no_model(model):
    with pytest.raises(kiln.Error):
        kiln.compile(model)


def test_files_that_are_no_model(tmp_path):
    with pytest.raises(kiln.Error):
        kiln.compile(tmp_path / "missing.onnx")
    with pytest.raises(kiln.Error):
        kiln.load(tmp_path / "missing.kiln")
    (tmp_path / "bad.kiln").write_bytes(b"KILN" * 100)
    with pytest.raises(kiln.Error):
        kiln.load(tmp_path / "bad.kiln")


@pytest.mark.parametrize("options", [{"target": "z80"}, {"precision": "sloppy"}, {"shapes": {"q": [1]}}, {"shapes": {"x": [1]}},
                                     {"shapes": {"x": [1, 4]}}])
def test_options_that_are_wrong(options):
    with pytest.raises(kiln.Error):
        kiln.compile(add(), **options)


def test_thread_counts():
    ones = np.ones((2, 3), F)
    assert (kiln.compile(add(), threads=0).run({"x": ones, "y": ones})["z"] == 2).all()  # as None: the cores there are
    for count in (-1, 1025, 2**31, 2**64):
        for use in (lambda: kiln.compile(add(), threads=count), lambda: kiln.load("m.kiln", threads=count)):
            with pytest.raises(ValueError) as caught:
                use()
            assert str(caught.value) == f"threads must be 0 (the cores this process may use) to 1024, not {count}"
    with pytest.raises(TypeError):
        kiln.compile(add(), threads=1.5)


def test_inputs_as_a_list_are_a_type_error():
    model = kiln.compile(add())
    with pytest.raises(TypeError, match=r"run takes one mapping of input names to arrays, such as \{'x': array\}, not a list"):
        model.run([np.ones((2, 3), F)])


def test_input_errors_of_the_package_carry_codes():
    model = kiln.compile(add())
    for inputs, code in (({}, 502), ({"x": 1, "y": 2, "w": 3}, 501), ({"x": np.array(["a"]), "y": np.ones((1, 3), F)}, 503)):
        with pytest.raises(kiln.InputError, match=rf"\[KILN-E0{code}\]$") as caught:
            model.run(inputs)
        assert caught.value.code == code


def test_a_shape_given_as_text_is_refused():
    with pytest.raises(TypeError, match=r"shapes\['x'\] is a list of sizes such as \[1, 3, 224, 224\]"):
        kiln.compile(add(), shapes={"x": "1x3"})


def test_help_shows_inputs_and_outputs():
    assert "inputs" in vars(kiln.Model) and kiln.Model.inputs.__doc__ and kiln.Model.outputs.__doc__


def test_require_compiled_and_dumps(tmp_path):
    x = np.ones((2, 3), F)
    model = kiln.compile(add(), require_compiled=True, dump_dir=tmp_path / "dump")
    assert (model.run({"x": x, "y": x})["z"] == 2).all()
    assert (tmp_path / "dump" / "07-lowered.mlir").exists()


def test_concurrent_runs(digits):
    path, inputs = digits
    model = kiln.compile(path)
    want = model.run(inputs)
    wrong = []

    def work():
        for _ in range(50):
            got = model.run(inputs)
            wrong.extend(n for n in want if not np.array_equal(got[n], want[n]))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_running_an_artifact_loads_no_compiler(digits, tmp_path):
    path, _ = digits
    kiln.compile(path).save(tmp_path / "m.kiln")
    script = f"""
import sys; sys.path.insert(0, {str(ROOT / 'build' / 'python')!r})
import kiln, numpy as np
kiln.load({str(tmp_path / 'm.kiln')!r}).run({{"Input3": np.zeros((1, 1, 28, 28), np.float32)}})
maps = open("/proc/self/maps").read()
assert "libkiln.so" in maps
assert "LLVM" not in maps and "MLIR" not in maps and "libkiln-compiler" not in maps
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_paths_with_null_characters(tmp_path):
    for use in (kiln.compile, kiln.load, kiln.compile(add()).save):
        with pytest.raises(ValueError, match="null character"):
            use(str(tmp_path / "m") + "\0.kiln")


def test_texts_that_are_no_names():
    for shapes, text in (({"x\0": [4, 3]}, r"shape 'x\x00=4,3' holds a null character"),
                         ({"x": ["N\0", 3]}, r"shape 'x=N\x00,3' holds a null character"),
                         ({"\udcff": [4, 3]}, r"shape '\udcff=4,3' is not valid Unicode")):
        with pytest.raises(ValueError) as caught:
            kiln.compile(add(), shapes=shapes)
        assert str(caught.value) == text
    for option in ("target", "precision"):
        with pytest.raises(ValueError, match=rf"{option} 'default\\x00' holds a null character"):
            kiln.compile(add(), **{option: "default\0"})
    model, ones = kiln.compile(add()), np.ones((1, 3), F)
    with pytest.raises(kiln.InputError) as caught:
        model.run({"x": ones, "y\0": ones})
    assert str(caught.value) == r"inputs do not fit the model: missing: 'y'; unknown: 'y\x00'; it takes 'x', 'y' [KILN-E0502]"


def test_paths_of_any_bytes(tmp_path):
    path = os.fsencode(tmp_path) + b"/m\xff.kiln"
    kiln.compile(add()).save(path)
    assert kiln.load(path).outputs[0].name == kiln.load(os.fsdecode(path)).outputs[0].name == "z"
    with pytest.raises(kiln.Error, match=r"/no\\xff\.onnx: cannot be opened: No such file or directory \[KILN-E0101\]$"):
        kiln.compile(os.fsdecode(os.fsencode(tmp_path) + b"/no\xff.onnx"))


def test_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for use in (kiln.load, kiln.compile):
        with pytest.raises(kiln.Error) as caught:
            use(tmp_path / "pipe")
        assert str(caught.value) == f"{tmp_path / 'pipe'}: cannot be opened: it is no regular file [KILN-E0101]"


def damaged(path):
    """Turn a bit of the weights of an artifact: of a constant of 64 numbers."""
    data = bytearray(path.read_bytes())
    data[data.index(np.arange(64, dtype=F).tobytes()) + 100] ^= 1
    path.write_bytes(data)
    return path


def test_damaged_weights_are_found_when_asked(tmp_path):
    path = tmp_path / "m.kiln"
    kiln.compile(graph([("Mul", ["x", "w"], ["y"], {})], {"x": (F, [64])}, {"y": (F, [64])}, {"w": np.arange(64, dtype=F)})).save(path)
    assert kiln.load(path, verify=True).outputs[0].name == "y"
    kiln.load(damaged(path))
    with pytest.raises(kiln.Error) as caught:
        kiln.load(path, verify=True)
    assert str(caught.value) == (f'{path}: weights are damaged: constant 0 ("w") does not match its checksum; copy or compile the '
                                 "artifact again [KILN-E0608]")


def many_kernels(count):
    """A model with `count` products of different sizes, which take some 30 ms each to compile."""
    sizes = [16 + 3 * k for k in range(count + 1)]
    nodes = [("MatMul", [f"x{k}", f"w{k}"], [f"x{k + 1}"], {}) for k in range(count)]
    weights = {f"w{k}": np.ones((sizes[k], sizes[k + 1]), F) for k in range(count)}
    return graph(nodes, {"x0": (F, [4, sizes[0]])}, {f"x{count}": (F, [4, sizes[-1]])}, weights)


@pytest.fixture
def ctrl_c_interrupts():
    """As in a shell, also where the tests were started with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_a_compilation(ctrl_c_interrupts):
    model = many_kernels(200)
    for delay in (0.05, 0.4, 0.8):
        sent = []

        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        timer = threading.Timer(delay, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            while True:  # however fast one of them is
                kiln.compile(model, threads=2)
        assert time.monotonic() - sent[0] < 2
        timer.join()
    assert kiln.compile(add()).inputs[0].name == "x"  # and the next one is as ever


def test_threads_that_save_one_file(tmp_path):
    model, path = kiln.compile(add()), tmp_path / "m.kiln"

    def work():
        for _ in range(10):
            model.save(path)
            kiln.load(path)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()


def test_a_model_and_its_data_in_a_store_of_blobs(tmp_path):
    """The layout of the Hugging Face cache: snapshots/REV holds links into blobs."""
    w = np.arange(1000, dtype=F)
    model = onnx.load_from_string(graph([("Add", ["x", "w"], ["y"], {})], {"x": (F, [1000])}, {"y": (F, None)}, {"w": w}))
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "rev"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    onnx.save_model(model, blobs / "model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    for name, blob in (("model.onnx", "a1"), ("model.onnx_data", "b2")):
        (blobs / name).rename(blobs / blob)
        (snapshot / name).symlink_to(f"../../blobs/{blob}")
    assert (kiln.compile(snapshot / "model.onnx").run({"x": w})["y"] == 2 * w).all()
    (snapshot / "model.onnx_data").unlink()
    (snapshot / "model.onnx_data").symlink_to(tmp_path / "b2")
    (blobs / "b2").rename(tmp_path / "b2")
    with pytest.raises(kiln.Error, match='external data "model.onnx_data" is a symbolic link that leads outside the model\'s directory .KILN-E0104'):
        kiln.compile(snapshot / "model.onnx")


def test_what_is_wrong_but_clear_is_taken_with_a_warning():
    model = graph([("Squeeze", ["x"], ["y"], {"axes": 0})], {"x": (F, [1, 2])}, {"y": (F, None)}, opset=11)
    with pytest.warns(RuntimeWarning, match='attribute "axes" holds an integer, which is taken as a list of one: "/squeeze0"'):
        assert kiln.compile(model).run({"x": np.ones((1, 2), F)})["y"].shape == (2,)
