"""The command line: compile, run, bench, inspect; error texts and exit codes."""

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from conftest import MODELS, ROOT, graph

KILN = ROOT / "build" / "bin" / "kiln"
DIGITS = MODELS / "mnist_8" / "model.onnx"
STAGES = ["imported", "canonical", "optimized", "kernels", "configured", "planned", "lowered"]
F = np.float32


def kiln(*args, code=0, **options):
    """Run the program; its completed process, whose exit code must be `code` (None: any but 0)."""
    done = subprocess.run([str(KILN), *map(str, args)], capture_output=True, text=True, **options)
    assert done.returncode == code if code is not None else done.returncode, done.stderr
    return done


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "digits.kiln"
    kiln("compile", DIGITS, "-o", path)
    return path


def model(path, op="Neg", dims=("N", 3), **attributes):
    path.write_bytes(graph([(op, ["x"], ["y"], attributes)], {"x": (F, list(dims))}, {"y": (F, list(dims))}))
    return path


# ---- use

def test_run_with_files(artifact, tmp_path):
    inputs, outputs = (np.load(MODELS / "mnist_8" / f"{part}.npz") for part in ("inputs", "outputs"))
    (name, x), = inputs.items()
    (out, want), = outputs.items()
    np.save(tmp_path / "x.npy", x)
    done = kiln("run", artifact, "--input", f"{name}=@{tmp_path / 'x.npy'}", "--output-dir", tmp_path / "out")
    assert done.stdout.startswith(f"{out} f32[1,10]  min ")
    got = np.load(tmp_path / "out" / f"{out}.npy")
    assert got.dtype == want.dtype and np.allclose(got, want, rtol=1e-4, atol=1e-2)


def test_run_a_model_with_made_up_inputs_is_repeatable(tmp_path):
    path = model(tmp_path / "m.onnx")
    first = kiln("run", path, "--shape", "x=5x3").stdout
    assert first == kiln("run", path, "--shape", "x=5x3").stdout
    assert first.startswith("y f32[5,3]  min ")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool"])
def test_npy_files_of_every_type(tmp_path, dtype):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Transpose", ["x"], ["y"], {"perm": [1, 0]})], {"x": (dtype, [3, 2])}, {"y": (dtype, [2, 3])}))
    x = np.arange(6).reshape(3, 2).astype(dtype)
    np.lib.format.write_array(open(tmp_path / "x.npy", "wb"), x, version=(2, 0))
    kiln("run", path, "--target", "interpreter", "--input", f"x=@{tmp_path / 'x.npy'}", "--output-dir", tmp_path)
    got = np.load(tmp_path / "y.npy")
    assert got.dtype == x.dtype and np.array_equal(got, x.T)


def test_scalars_and_empty_tensors(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Neg", ["x"], ["y"], {}), ("Neg", ["e"], ["f"], {})], {"x": (F, []), "e": (F, [0, 2])}, {"y": (F, []), "f": (F, [0, 2])}))
    np.save(tmp_path / "x.npy", np.array(2, F))
    kiln("run", path, "--input", f"x=@{tmp_path / 'x.npy'}", "--output-dir", tmp_path)
    assert np.load(tmp_path / "y.npy") == -2 and np.load(tmp_path / "f.npy").shape == (0, 2)


def test_bench_json(artifact):
    figures = json.loads(kiln("bench", artifact, "--seconds", "0.05", "--threads", "1", "--json").stdout)
    assert figures["threads"] == 1 and figures["runs"] >= 3
    assert 0 < figures["warm_ms"]["min"] <= figures["warm_ms"]["median"] <= figures["warm_ms"]["p99"]
    assert figures["load_and_first_beyond_warm_ms"] < 50
    assert figures["flops"] == figures["generated_flops"] > 1e6
    assert sum(step["share"] for step in figures["steps"]) == pytest.approx(1)
    assert {"node", "operation", "us", "gflops_per_s", "gb_per_s", "problem"} <= set(figures["steps"][0])


def test_bench_text(artifact):
    text = kiln("bench", artifact, "--runs", "5", "--seconds", "0.05", "--top", "2").stdout
    for part in ("load + first beyond warm", "median", "99 %", "GFLOP/s", "Convolution", "more steps"):
        assert part in text


def test_inspect(artifact):
    data = json.loads(kiln("inspect", artifact, "--json").stdout)
    assert data["inputs"] == [{"name": "Input3", "type": "f32[1,1,28,28]"}]
    assert data["generated_share"] == 1 and data["memory"]["arena_bytes"] >= data["memory"]["arena_lower_bound_bytes"] > 0
    assert len(data["kernels"]) > 0 and all(kernel["problem"].startswith("v1 ") for kernel in data["kernels"])
    text = kiln("inspect", artifact).stdout
    assert "input   Input3 f32[1,1,28,28]" in text and "100.00 % in generated code" in text
    assert "Convolution28" in kiln("inspect", artifact, "--plan").stdout


def test_inspect_artifact_of_another_machine(tmp_path):
    path = tmp_path / "m.kiln"
    kiln("compile", DIGITS, "-o", path, "--target", "x86-64-v4+bf16+vnni")
    assert json.loads(kiln("inspect", path, "--json").stdout)["target"] == "x86-64-v4+bf16+vnni"


def test_an_artifact_runs_without_the_compiler(artifact):
    done = kiln("run", artifact, env={**os.environ, "LD_DEBUG": "libs"})
    loaded = done.stdout + done.stderr
    assert "libkiln.so" in loaded
    for library in ("libMLIR", "libLLVM", "libkiln-compiler"):
        assert library not in loaded


# ---- stages

@pytest.mark.parametrize("stage", STAGES)
def test_a_printed_stage_reads_back_and_gives_the_same_artifact(stage, artifact, tmp_path):
    text = tmp_path / "m.mlir"
    kiln("compile", DIGITS, "--stop-after", stage, "-o", text)
    assert f'kiln.stage = "{stage}"' in text.read_text()
    kiln("compile", text, "-o", tmp_path / "again.kiln")
    assert (tmp_path / "again.kiln").read_bytes() == artifact.read_bytes()


def test_stages_print_to_stdout():
    assert kiln("compile", DIGITS, "--stop-after", "kernels").stdout.count("kiln.kernel") >= 3


def test_dump_directory(tmp_path):
    kiln("compile", DIGITS, "-o", tmp_path / "m.kiln", "--dump-dir", tmp_path / "dump")
    names = {path.name for path in (tmp_path / "dump").iterdir()}
    for number, stage in enumerate(STAGES, 1):
        assert f"{number:02d}-{stage}.mlir" in names
    kernel = tmp_path / "dump" / "kernels" / "k0"
    assert {p.name for p in kernel.iterdir()} == {"problem.txt", "config.txt", "kernel.mlir", "kernel.ll", "kernel.s", "bench.sh"}
    assert kernel.joinpath("problem.txt").read_text().startswith("v1 default; ")
    assert "define" in kernel.joinpath("kernel.ll").read_text() and "vfmadd" in kernel.joinpath("kernel.s").read_text()


def test_opt_limit_stops_rewrites(tmp_path):
    path = tmp_path / "m.onnx"
    nodes = [("Transpose", ["x"], ["a"], {"perm": [1, 0]}), ("Transpose", ["a"], ["b"], {"perm": [1, 0]}), ("Neg", ["b"], ["y"], {})]
    path.write_bytes(graph(nodes, {"x": (F, [3, 2])}, {"y": (F, [3, 2])}))
    counts = [kiln("compile", path, "--stop-after", "optimized", *limit).stdout.count("kiln.transpose")
              for limit in ((), ("--opt-limit", "0"))]
    assert counts == [0, 2]


def test_ranges_hold_of_sizes_that_became_one(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("MatMul", ["x", "y"], ["z"], {})], {"x": (F, [2, "A"]), "y": (F, ["N", 3])}, {"z": (F, [2, 3])}))
    kiln("compile", path, "-o", tmp_path / "m.kiln", "--shape", "y=1..8x3")
    for size, code in ((8, 0), (9, 1)):
        np.save(tmp_path / "x.npy", np.ones((2, size), F))
        np.save(tmp_path / "y.npy", np.ones((size, 3), F))
        done = kiln("run", tmp_path / "m.kiln", "--input", f"x=@{tmp_path / 'x.npy'}", "--input", f"y=@{tmp_path / 'y.npy'}", code=code)
    assert "A is 9, allowed is 1..8" in done.stderr and "[KILN-E0507]" in done.stderr


# ---- errors: exact texts

def refused(*args, code):
    return kiln(*args, code=code).stderr


def test_missing_model(tmp_path):
    path = tmp_path / "no.onnx"
    for command in ("run", "bench", "inspect"):
        assert refused(command, path, code=1) == f"kiln: {path}: cannot be opened: No such file or directory [KILN-E0101]\n"


def test_usage():
    assert "[KILN-E0701]\nTry kiln --help.\n" in refused(code=2)
    assert "[KILN-E0701]\nTry kiln --help.\n" in refused("compile", code=2)
    assert "[KILN-E0701]\nTry kiln --help.\n" in refused("run", DIGITS, "--frobnicate", code=2)
    assert refused("compile", DIGITS, code=2) == "kiln: compile: -o OUT is required, but with --stop-after [KILN-E0701]\n"
    assert refused("compile", DIGITS, "--stop-after", "soon", code=2) == (
        'kiln: stage "soon" is unknown; stages are imported, canonical, optimized, kernels, configured, planned, lowered, artifact [KILN-E0701]\n')
    assert refused("compile", DIGITS, "-o", "/dev/null", "--precision", "sloppy", code=2) == (
        'kiln: precision "sloppy" is unknown; use default [KILN-E0701]\n')


@pytest.mark.parametrize("shape, text", [
    ("x", 'shape "x" is not of the form NAME=1x3x224x224'),
    ("x=1x-3", 'shape "x=1x-3": "-3" is no size; use a number, a name, or a range such as 1..64'),
    ("x=1x4..2", 'shape "x=1x4..2": "4..2" is no range of sizes such as 1..64'),
    ("x=1x", 'shape "x=1x" ends in a separator'),
])
def test_bad_shapes(tmp_path, shape, text):
    assert refused("compile", model(tmp_path / "m.onnx"), "-o", tmp_path / "m.kiln", "--shape", shape, code=2) == f"kiln: {text} [KILN-E0701]\n"


def test_unsupported_operator_has_its_own_exit_code(tmp_path):
    text = refused("compile", model(tmp_path / "m.onnx", op="Frobnicate"), "-o", tmp_path / "m.kiln", code=3)
    assert "Frobnicate" in text and "[KILN-E0201]" in text
    assert not (tmp_path / "m.kiln").exists()


def test_inputs(artifact, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 28, 27), F))
    assert refused("run", artifact, "--input", "a=@x.npy", code=2) == (
        'kiln: --input: the model has no input "a"; its inputs are Input3 [KILN-E0501]\n')
    assert refused("run", artifact, "--input", "Input3=x.npy", code=2) == 'kiln: "Input3=x.npy" is not of the form NAME=@FILE.npy [KILN-E0701]\n'
    assert "[KILN-E0505]" in refused("run", artifact, "--input", f"Input3=@{tmp_path / 'x.npy'}", code=1)
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 28, 28), np.int32))
    assert "[KILN-E0503]" in refused("run", artifact, "--input", f"Input3=@{tmp_path / 'x.npy'}", code=1)


@pytest.mark.parametrize("data, text", [
    (b"", "is not a .npy file"),
    (b"\x93NUMPY\x03\x00\x00\x00", "has .npy format version 3; versions 1 and 2 are read"),
    (b"\x93NUMPY\x01\x00\x05\x00{", "ends inside its header"),
    (b"\x93NUMPY\x01\x00\x02\x00{}", "has a header without descr, fortran_order or shape"),
    (b"\x93NUMPY\x01\x00\x3f\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (999, 999), }".ljust(63),
     "holds 0 bytes of data where its shape needs 3992004"),
    (b"\x93NUMPY\x01\x00\x3f\x00" + b"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }".ljust(63),
     "has element type '<c8', which is not supported"),
    (b"\x93NUMPY\x01\x00\x3f\x00" + b"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }".ljust(63),
     "is in Fortran order; save it with numpy.ascontiguousarray"),
])
def test_bad_npy_files(artifact, tmp_path, data, text):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    assert refused("run", artifact, "--input", f"Input3=@{path}", code=1) == f"kiln: {path}: {text} [KILN-E0101]\n"


def test_artifacts_are_not_compiled_again(artifact, tmp_path):
    assert refused("compile", artifact, "-o", tmp_path / "m.kiln", code=1) == f"kiln: {artifact}: is a compiled artifact already [KILN-E0109]\n"


def test_damaged_artifact(artifact, tmp_path):
    path = tmp_path / "m.kiln"
    path.write_bytes(artifact.read_bytes()[:-100])
    assert "[KILN-E0603]" in refused("run", path, code=1)


def test_ir_text_errors(tmp_path):
    path = tmp_path / "m.mlir"
    path.write_text("module attributes {kiln.stage = \"imported\"} {\n  kiln.frobnicate\n}\n")
    assert refused("compile", path, "-o", tmp_path / "m.kiln", code=1).startswith(f"kiln: {path}:2:3: ")
    path.write_text("module {}\n")
    assert "the module has no attribute kiln.stage" in refused("compile", path, "-o", tmp_path / "m.kiln", code=1)
    path.write_text('module attributes {kiln.stage = "planned"} {}\n')
    assert "is past stage kernels already: it is at stage planned" in refused("compile", path, "--stop-after", "kernels", code=1)
    assert "the module holds no plan.program [KILN-E0313]" in refused("compile", path, "-o", tmp_path / "m.kiln", code=1)


@pytest.mark.parametrize("body, text", [
    ("func.func private @f(tensor<2xf32>)", "func.func has not exactly one block"),
    ("func.func @f(%x: i32) {\n return\n}", "func.func has a value that is no ranked tensor of a known element type"),
    ("func.func @f(%x: tensor<2xcomplex<f32>>) {\n return\n}", "func.func has a value that is no ranked tensor of a known element type"),
    ("func.func @f(%x: tensor<?xf32>) {\n return\n}", "func.func has a value of unknown size"),
    ("plan.program @p {\n}", "plan.program does not belong"),
])
def test_ir_that_is_not_what_its_stage_says(tmp_path, body, text):
    path = tmp_path / "m.mlir"
    path.write_text('module attributes {kiln.stage = "canonical"} {\n' + body + "\n}\n")
    assert refused("compile", path, "-o", tmp_path / "m.kiln", code=1) == f"kiln: {path}: {text} at stage canonical [KILN-E0313]\n"


def test_require_compiled_names_what_is_missing(tmp_path):
    path = tmp_path / "m.onnx"
    nodes = [("GatherElements", ["x", "i"], ["y"], {"axis": 0})]
    path.write_bytes(graph(nodes, {"x": (F, [3, 3]), "i": (np.int64, [3, 3])}, {"y": (F, [3, 3])}))
    done = kiln("compile", path, "-o", tmp_path / "m.kiln")
    if "reference kernels" in done.stderr:
        text = refused("compile", path, "-o", tmp_path / "n.kiln", "--require-compiled", code=3)
        assert text == "kiln: m.onnx: no compiled kernel for gather_elements [KILN-E0209]\n"


def test_output_that_cannot_be_written(tmp_path):
    assert refused("compile", DIGITS, "-o", tmp_path, code=1) == f"kiln: {tmp_path}: cannot be written: Is a directory [KILN-E0106]\n"
    path = tmp_path / "no" / "m.kiln"
    assert refused("compile", DIGITS, "-o", path, code=1) == f"kiln: {path}: cannot be written: No such file or directory [KILN-E0106]\n"


def test_the_model_is_not_replaced_by_its_artifact(tmp_path):
    path = model(tmp_path / "m.onnx")
    data = path.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(path)
    for output in (path, link):
        assert refused("compile", path, "-o", output, code=2) == (
            f"kiln: {output}: the model is read from this file; choose another name for the output [KILN-E0703]\n")
    assert path.read_bytes() == data


def test_interrupting_leaves_nothing_behind(tmp_path):
    (tmp_path / "m.kiln").write_text("old")
    for delay in (0.02, 0.05, 0.1, 0.2):
        process = subprocess.Popen([str(KILN), "compile", str(MODELS / "super_resolution_10" / "model.onnx"), "-o", str(tmp_path / "m.kiln")],
                                   stderr=subprocess.PIPE, text=True)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        error = process.communicate()[1]
        assert process.returncode in (0, 130, -signal.SIGINT)
        if process.returncode == 130:
            assert error == "kiln: interrupted\n"
        assert [path.name for path in tmp_path.iterdir()] == ["m.kiln"]
        assert (tmp_path / "m.kiln").read_bytes()[:3] == b"old" or process.returncode == 0
        if process.returncode == 0:
            break
