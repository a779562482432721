"""What finds miscompiles: random configurations, guard pages, parts of the compiler left out, values inside a model."""

import signal
import subprocess
import time

import numpy as np
import pytest

import kiln
from conftest import ROOT, graph
from test_cli import KILN, kiln as command, refused

F = np.float32


@pytest.fixture
def net(tmp_path):
    """conv -> relu -> conv, summed with its first half, pooled: something for every pass."""
    rng = np.random.default_rng(0)
    path = tmp_path / "net.onnx"
    path.write_bytes(graph(
        [("Conv", ["x", "w"], ["c"], {"pads": [1, 1, 1, 1]}), ("Relu", ["c"], ["r"], {}), ("Conv", ["r", "v"], ["d"], {"pads": [1, 1, 1, 1]}),
         ("Add", ["d", "r"], ["s"], {}), ("GlobalAveragePool", ["s"], ["y"], {})],
        {"x": (F, ["N", 3, 20, 17])}, {"y": (F, ["N", 8, 1, 1])},
        {"w": rng.standard_normal((8, 3, 3, 3)).astype(F), "v": rng.standard_normal((8, 8, 3, 3)).astype(F)}))
    return path, rng.standard_normal((2, 3, 20, 17)).astype(F)


def results(path, x, **options):
    return kiln.compile(path, **options).run({"x": x})


def same(got, want):
    assert list(got) == list(want)
    for name in want:
        assert np.allclose(got[name], want[name], rtol=1e-4, atol=1e-4), name


def test_random_configurations_are_right_and_repeatable(net, tmp_path):
    path, x = net
    want = results(path, x, target="interpreter")
    texts = set()
    for seed in range(1, 7):
        same(results(path, x, choice_seed=seed), want)
        text = command("compile", path, "--choice-seed", seed, "--stop-after", "configured").stdout
        assert text.count('source = "random"') == text.count("kiln.kernel ") > 1
        assert text == command("compile", path, "--choice-seed", seed, "--stop-after", "configured", "--threads", 3).stdout
        texts.add(text)
    assert len(texts) > 1


def test_seeds_that_are_none(net):
    path, x = net
    with pytest.raises(ValueError, match="choice_seed must be a number from 1 to 2\\*\\*64 - 1, not 0"):
        kiln.compile(path, choice_seed=0)
    refused("compile", path, "-o", path, "--choice-seed", "0", code=2)


def test_guard_pages_change_no_result(net):
    path, x = net
    want = results(path, x)
    for threads in (1, 3):
        got = results(path, x, guard_pages=True, threads=threads)
        assert all((got[name] == want[name]).all() for name in want)
    plain = command("run", path, "--shape", "x=2x3x20x17").stdout
    assert command("run", path, "--shape", "x=2x3x20x17", "--guard-pages").stdout == plain


def test_a_fault_names_the_step(tmp_path):
    path = tmp_path / "slow.onnx"
    path.write_bytes(graph([("MatMul", ["x", "x"], ["y"], {})], {"x": (np.uint64, [1800, 1800])}, {"y": (np.uint64, [1800, 1800])}))
    process = subprocess.Popen([str(KILN), "run", str(path), "--guard-pages"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(2)
    for _ in range(2):  # as the access that faults would do it: it is tried again
        process.send_signal(signal.SIGSEGV)
        time.sleep(0.2)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGSEGV
    assert 'kiln: node "/matmul0" (step 0, matmul) touched memory outside its buffers [KILN-E0905]\n' in stderr


def switches():
    return ["buffer-reuse", "fusion", "kernel:/conv0", "kernels", "layout", "scheduling"]


@pytest.mark.parametrize("switch", switches())
def test_what_is_left_out_changes_the_program_but_no_result(net, switch):
    path, x = net
    same(results(path, x, without=[switch]), results(path, x))
    shape = "x=2,3,20,17"
    full, part = (command("inspect", path, "--plan", "--shape", shape, *more).stdout for more in ([], ["--without", switch]))
    if switch != "scheduling":  # this model is a chain
        assert full != part
    if switch == "kernels":
        assert "launch" not in part


def test_switches_combine(net):
    path, x = net
    plan = command("inspect", path, "--plan", "--without", "fusion,scheduling", "--without", "buffer-reuse,kernel:/conv0").stdout
    assert "conv" in plan


def test_switches_are_listed(net):
    path, _ = net
    help_text = " ".join(command("compile", "--help").stdout.split())
    page = (ROOT / "docs" / "debugging.md").read_text()
    for switch in ["kernel:NODE", *(s for s in switches() if ":" not in s)]:
        assert switch + ":" in help_text
        assert f"`{switch}`" in page


def test_switches_that_do_not_exist(net):
    path, _ = net
    text = ('without "fushion": that is nothing to leave out; there are buffer-reuse, fusion, kernel:NODE, kernels, layout, scheduling '
            "[KILN-E0701]")
    assert refused("compile", path, "-o", path.with_suffix(".kiln"), "--without", "fushion", code=2) == f"kiln: {text}\n"
    with pytest.raises(kiln.Error) as caught:
        kiln.compile(path, without=["fushion"])
    assert text in str(caught.value)
    with pytest.raises(TypeError, match="without is a list of names, not the text 'fusion'"):
        kiln.compile(path, without="fusion")


def test_switches_that_come_too_late(net, tmp_path):
    path, _ = net
    command("compile", path, "--stop-after", "kernels", "-o", tmp_path / "k.mlir")
    assert refused("compile", tmp_path / "k.mlir", "-o", tmp_path / "k.kiln", "--without", "layout", code=2) == (
        f'kiln: {tmp_path / "k.mlir"}: without "layout": has no effect on IR at stage kernels; it acts up to stage optimized [KILN-E0703]\n')
    command("compile", tmp_path / "k.mlir", "-o", tmp_path / "k.kiln", "--without", "scheduling")


def test_a_node_that_is_not_there(net):
    path, _ = net
    done = command("inspect", path, "--without", "kernel:nothing")
    assert 'warning: without "kernel:nothing": no op of that node is left to keep out of kernels\n' in done.stderr


# ---- values inside a model

@pytest.mark.parametrize("target", ["host", "interpreter"])
def test_values_inside_a_model(net, tmp_path, target):
    path, x = net
    got = results(path, x, dump=["r", "w", "y", "/add3", "r"], target=target)
    assert list(got) == ["y", "r", "w", "/add3"]
    want = results(path, x, target="interpreter")
    same({"y": got["y"]}, want)
    assert (got["r"] >= 0).all() and got["r"].shape == (2, 8, 20, 17) and got["w"].shape == (8, 3, 3, 3)
    assert np.allclose(got["/add3"].mean((2, 3)), got["y"][:, :, 0, 0], atol=1e-4)
    np.save(tmp_path / "x.npy", x)
    done = command("run", path, "--target", target, "--input", f"x=@{tmp_path / 'x.npy'}", "--dump", "r", "s", "--output-dir", tmp_path / "out")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["y", "r", "s"]
    assert np.allclose(np.load(tmp_path / "out" / "r.npy"), got["r"], atol=1e-4)


def test_values_inside_ir_text_go_by_their_nodes(net, tmp_path):
    path, x = net
    for stage in ("imported", "canonical", "optimized"):
        command("compile", path, "--stop-after", stage, "-o", tmp_path / "m.mlir")
        got = kiln.compile(tmp_path / "m.mlir", dump=["/relu1", "x"]).run({"x": x})
        assert list(got) == ["y", "/relu1", "x"] and (got["x"] == x).all() and (got["/relu1"] >= 0).all()
    command("compile", path, "--stop-after", "kernels", "-o", tmp_path / "m.mlir")
    assert refused("run", tmp_path / "m.mlir", "--dump", "/relu1", code=2) == (
        f"kiln: {tmp_path / 'm.mlir'}: values inside the model are asked for, but in IR at stage kernels they lie inside kernels; "
        "give the model, or IR up to stage optimized [KILN-E0703]\n")


def test_values_that_are_not_there(net, tmp_path):
    path, _ = net
    assert refused("run", path, "--dump", "rr", code=1) == 'kiln: net.onnx: the model has no value "rr"; did you mean "r"? [KILN-E0501]\n'
    assert refused("run", path, "--dump", "something", code=1) == 'kiln: net.onnx: the model has no value "something" [KILN-E0501]\n'
    command("compile", path, "--stop-after", "imported", "-o", tmp_path / "m.mlir")
    assert refused("run", tmp_path / "m.mlir", "--dump", "/relu", code=1) == (
        f'kiln: {tmp_path / "m.mlir"}: the model has no value "/relu"; did you mean "/relu1"? [KILN-E0501]\n')


def test_values_inside_an_artifact(net, tmp_path):
    path, _ = net
    command("compile", path, "-o", tmp_path / "m.kiln")
    assert refused("run", tmp_path / "m.kiln", "--dump", "r", code=2) == (
        f"kiln: {tmp_path / 'm.kiln'} is compiled already, and values inside it lie in no memory of their own; give --dump with the model that it "
        "was compiled from [KILN-E0703]\n")
