"""The command line: compile, run, bench, inspect; error texts and exit codes."""

import json
import os
import resource
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


def test_outputs_whose_names_are_alike_get_files_of_their_own(tmp_path):
    path = tmp_path / "m.onnx"
    names = ["a/b", "a_b", "a%b", ".a"]
    nodes = [("Add", ["x", f"c{k}"], [name], {}) for k, name in enumerate(names)]
    constants = {f"c{k}": np.array(k, F) for k in range(len(names))}
    path.write_bytes(graph(nodes, {"x": (F, [2])}, {name: (F, [2]) for name in names}, constants))
    np.save(tmp_path / "x.npy", np.zeros(2, F))
    kiln("run", path, "--input", f"x=@{tmp_path / 'x.npy'}", "--output-dir", tmp_path / "out")
    files = ["a%2Fb.npy", "a_b.npy", "a%25b.npy", "%2Ea.npy"]
    assert {file.name for file in (tmp_path / "out").iterdir()} == set(files)
    assert [np.load(tmp_path / "out" / file)[0] for file in files] == [0, 1, 2, 3]


def test_files_in_fortran_order(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Identity", ["x"], ["y"], {})], {"x": (F, [2, 3, 4])}, {"y": (F, [2, 3, 4])}))
    x = np.arange(24, dtype=F).reshape(2, 3, 4)
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    kiln("run", path, "--input", f"x=@{tmp_path / 'x.npy'}", "--output-dir", tmp_path)
    assert np.array_equal(np.load(tmp_path / "y.npy"), x)


def test_sizes_that_are_not_given(tmp_path):
    path, compiled = model(tmp_path / "m.onnx", dims=("batch", 3, "width")), tmp_path / "m.kiln"
    kiln("compile", path, "-o", compiled)
    warning = "warning: sizes not given are 1:"
    for file in (path, compiled):
        done = kiln("run", file)
        assert f"{warning} batch=1 width=1; set them with --shape\n" in done.stderr
        assert "note: made-up inputs: x f32[1,3,1]\n" in done.stderr
        figures = json.loads(kiln("bench", file, "--runs", "3", "--shape", "x=2x3x5", "--json").stdout)
        assert figures["inputs"] == [{"name": "x", "type": "f32[2,3,5]"}]
        assert warning not in kiln("bench", file, "--runs", "3", "--shape", "x=2x3x5").stderr
        assert "input  x f32[2,3,5]\n" in kiln("bench", file, "--runs", "3", "--shape", "x=2,3,5").stdout
        assert f"{warning} batch=1 width=1;" in kiln("inspect", file).stderr
    assert "memory, at batch = 2, width = 5\n" in kiln("inspect", compiled, "--shape", "x=2x3x5").stdout
    assert f"{warning} batch=1 n=1;" in kiln("run", path, "--shape", "x=batch,3,n").stderr
    assert "warning: sizes not given are the least allowed: batch=4;" in kiln("run", path, "--shape", "x=4..8x3x2").stderr
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4), F))
    assert kiln("run", compiled, "--input", f"x=@{tmp_path / 'x.npy'}").stderr == ""


def test_a_size_given_for_one_input_holds_for_all(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Add", ["x", "y"], ["z"], {})], {"x": (F, ["N", 3]), "y": (F, ["N", 3])}, {"z": (F, ["N", 3])}))
    kiln("compile", path, "-o", tmp_path / "m.kiln")
    assert kiln("run", tmp_path / "m.kiln", "--shape", "x=5x3").stdout.startswith("z f32[5,3]")


@pytest.mark.parametrize("shape, text", [
    ("x=Nx3", '--shape "x=Nx3": "N" is no number; names and ranges of sizes are given when compiling, and {} is compiled already [KILN-E0703]'),
    ("x=1..4x3", '--shape "x=1..4x3": "1..4" is no number; names and ranges of sizes are given when compiling, and {} is compiled already [KILN-E0703]'),
    ("q=1x3", '--shape: the model has no input "q"; its inputs are x [KILN-E0501]'),
    ("x=1x4", '--shape "x=1x4": dim 1 is 3, fixed when compiling [KILN-E0505]'),
    ("x=1", '--shape "x=1": 1 size for an input of type f32[N,3] [KILN-E0504]'),
])
def test_shapes_of_an_artifact_are_checked(tmp_path, shape, text):
    path = tmp_path / "m.kiln"
    kiln("compile", model(tmp_path / "m.onnx"), "-o", path)
    for command in ("run", "bench", "inspect"):
        assert refused(command, path, "--shape", shape, code=2) == f"kiln: {text.format(path)}\n"


def test_bench_json(artifact):
    figures = json.loads(kiln("bench", artifact, "--seconds", "0.05", "--threads", "1", "--json").stdout)
    assert figures["inputs"] == [{"name": "Input3", "type": "f32[1,1,28,28]"}]
    assert figures["reference_steps"] == 0
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


def test_a_value_may_be_several_operands_of_a_kernel(tmp_path):
    text = tmp_path / "m.mlir"
    text.write_text("""module attributes {kiln.stage = "kernels"} {
  func.func @main(%x: tensor<4xf32> {kiln.name = "x"}) -> (tensor<4xf32> {kiln.name = "y"}) {
    %0 = kiln.kernel %x, %x attributes {family = "elementwise"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
      %n = kiln.neg %b : (tensor<4xf32>) -> tensor<4xf32>
      kiln.yield %n : tensor<4xf32>
    }
    return %0 : tensor<4xf32>
  }
}
""")
    kiln("compile", text, "-o", tmp_path / "m.kiln")
    np.save(tmp_path / "x.npy", np.arange(4, dtype=F))
    kiln("run", tmp_path / "m.kiln", "--input", f"x=@{tmp_path / 'x.npy'}", "--output-dir", tmp_path)
    assert np.load(tmp_path / "y.npy").tolist() == [0, -1, -2, -3]


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
    # What an earlier dump left is gone, what somebody else put there stays.
    stale, foreign = tmp_path / "dump" / "kernels" / "k99", tmp_path / "dump" / "kernels" / "k98" / "notes.txt"
    stale.mkdir()
    foreign.parent.mkdir()
    (stale / "problem.txt").write_text("v1 default; ...")
    foreign.write_text("mine")
    kiln("compile", DIGITS, "--stop-after", "kernels", "--dump-dir", tmp_path / "dump")
    assert foreign.exists() and not stale.exists() and not (tmp_path / "dump" / "05-configured.mlir").exists()
    assert {p.name for p in (tmp_path / "dump" / "kernels").iterdir()} == {"k98"}
    kiln("compile", tmp_path / "dump" / "04-kernels.mlir", "-o", tmp_path / "m.kiln", "--dump-dir", tmp_path / "dump")
    assert (tmp_path / "dump" / "03-optimized.mlir").exists()
    assert "define" in kernel.joinpath("kernel.ll").read_text() and "vfmadd" in kernel.joinpath("kernel.s").read_text()


def test_opt_limit_stops_rewrites(tmp_path):
    path = tmp_path / "m.onnx"
    nodes = [("Transpose", ["x"], ["a"], {"perm": [1, 0]}), ("Transpose", ["a"], ["b"], {"perm": [1, 0]}), ("Neg", ["b"], ["y"], {})]
    path.write_bytes(graph(nodes, {"x": (F, [3, 2])}, {"y": (F, [3, 2])}))
    counts = [kiln("compile", path, "--stop-after", "optimized", *limit).stdout.count("kiln.transpose")
              for limit in ((), ("--opt-limit", "0"))]
    assert counts == [0, 2]
    done = kiln("compile", path, "--stop-after", "optimized", "-v").stderr
    number = int(done.split("note: rewrites: ")[1].split(";")[0])
    assert number >= 1 and '; last: ' in done
    limited = kiln("compile", path, "--stop-after", "optimized", "--opt-limit", "1").stderr
    assert 'note: rewrites: 1; last: ' in limited and 'at node "/transpose' in limited


def test_verbose_says_how_long_each_stage_takes(tmp_path):
    lines = kiln("compile", DIGITS, "-o", tmp_path / "m.kiln", "-v").stderr.splitlines()
    table = [line.split() for line in lines[lines.index("stage         seconds"):]]
    assert [row[0] for row in table[1:]] == ["start", *STAGES, "artifact", "total"]
    seconds = [float(row[1]) for row in table[1:]]
    assert sum(seconds[:-1]) == pytest.approx(seconds[-1], abs=0.05)


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
    assert refused("compile", DIGITS, code=2) == "kiln: compile: -o OUT is required unless --stop-after names a stage before artifact [KILN-E0701]\n"
    assert refused("compile", DIGITS, "--stop-after", "soon", code=2) == (
        'kiln: stage "soon" is unknown; stages are imported, canonical, optimized, kernels, configured, planned, lowered, artifact [KILN-E0701]\n')
    assert refused("compile", DIGITS, "-o", "/dev/null", "--precision", "sloppy", code=2) == (
        'kiln: precision "sloppy" is unknown; use default [KILN-E0701]\n')


@pytest.mark.parametrize("shape, text", [
    ("x", 'shape "x" is not of the form NAME=1x3x224x224'),
    ("x=1x-3", 'shape "x=1x-3": "-3" is no size; use a number, a name, or a range such as 1..64'),
    ("x=1x4..2", 'shape "x=1x4..2": "4..2" is no range of sizes such as 1..64'),
    ("x=1x", 'shape "x=1x": "" is no size; use a number, a name, or a range such as 1..64'),
    ("x=max,", 'm.onnx: shape of input "x": 1 dims are given; the model has 2; in --shape, use commas where a name contains x'),
    ("x=max_nx3", 'm.onnx: shape of input "x": 3 dims are given; the model has 2; in --shape, use commas where a name contains x'),
])
def test_bad_shapes(tmp_path, shape, text):
    assert refused("compile", model(tmp_path / "m.onnx"), "-o", tmp_path / "m.kiln", "--shape", shape, code=2) == f"kiln: {text} [KILN-E0701]\n"


def test_a_comma_ends_a_single_name(tmp_path):
    compiled = tmp_path / "m.kiln"
    kiln("compile", DIGITS, "-o", compiled)
    assert refused("compile", DIGITS, "-o", compiled, "--shape", "Input3=max,", code=2).startswith(
        'kiln: model.onnx: shape of input "Input3": 1 dims are given; the model has 4')
    assert kiln("run", compiled, "--shape", "Input3=1,1,28,28,").stdout


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
    (b"", "is not a .npy file [KILN-E0109]"),
    (b"\x93NUMPY\x03\x00\x00\x00", "has .npy format version 3; versions 1 and 2 are read [KILN-E0109]"),
    (b"\x93NUMPY\x01\x00\x05\x00{", "ends inside its header [KILN-E0102]"),
    (b"\x93NUMPY\x01\x00\x02\x00{}", "has a header without descr, fortran_order or shape [KILN-E0108]"),
    (b"\x93NUMPY\x01\x00\x3f\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (999, 999), }".ljust(63),
     "holds 0 bytes of data where its shape needs 3992004 [KILN-E0102]"),
    (b"\x93NUMPY\x01\x00\x3f\x00" + b"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }".ljust(63),
     "has element type '<c8', which is not supported [KILN-E0203]"),
])
def test_bad_npy_files(artifact, tmp_path, data, text):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    assert refused("run", artifact, "--input", f"Input3=@{path}", code=1) == f"kiln: {path}: {text}\n"


def test_options_that_an_artifact_cannot_heed(artifact, tmp_path):
    for options in (["--target", "x86-64-v3"], ["--precision", "default"], ["--require-compiled"], ["--cache", "nope"],
                    ["--dump-dir", tmp_path / "dd"], ["--opt-limit", "3"], ["-v"]):
        name = {"-v": "--verbose"}.get(options[0], options[0])
        for command in ("run", "bench", "inspect"):
            assert refused(command, artifact, *options, code=2) == (
                f"kiln: {artifact} is compiled already; {name} has no effect on an artifact [KILN-E0703]\n")
    kiln("run", artifact, "--threads", "1")
    kiln("run", DIGITS, "--target", "x86-64-v3")


def test_help():
    for command in ("run", "bench", "inspect"):
        text = kiln(command, "--help").stdout
        before, after = text.split("When MODEL is compiled here:")
        assert "--shape" in before and "--threads" in before
        assert all(option in after for option in ("--target", "--precision", "--cache", "--require-compiled", "--dump-dir", "--opt-limit"))
    text = kiln("--help").stdout
    assert "kiln COMMAND --help" in text and "Exit codes: 0 " in text


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
    ('func.func @f(%x: tensor<?xf32, #kiln.dims<[N]>>) attributes {kiln.sizes = ["N"]} {\n %y = kiln.reshape %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[M]>>\n return\n}',
     "kiln.reshape has a value of size M, which kiln.sizes does not list"),
    ("func.func @f(%x: tensor<?xf32, #kiln.dims<[S]>>) {\n return\n}", "func.func has a value of size S, which kiln.sizes does not list"),
    ('func.func @f() attributes {kiln.sizes = ["N", "d$_0 = S*2"]} {\n return\n}', "func.func has a value of size S, which kiln.sizes does not list"),
    ('func.func @f() attributes {kiln.sizes = ["check S == 3"]} {\n return\n}', "func.func has a value of size S, which kiln.sizes does not list"),
    ("plan.program @p {\n}", "plan.program does not belong"),
])
def test_ir_that_is_not_what_its_stage_says(tmp_path, body, text):
    path = tmp_path / "m.mlir"
    path.write_text('module attributes {kiln.stage = "canonical"} {\n' + body + "\n}\n")
    assert refused("compile", path, "-o", tmp_path / "m.kiln", code=1) == f"kiln: {path}: {text} at stage canonical [KILN-E0313]\n"


def without_kernels(path):
    """A model whose one op, with a result of integers, has no kernel."""
    path.write_bytes(graph([("ReduceMax", ["x"], ["y"], {"axes": [1]})], {"x": (np.uint32, [1, 1000])}, {"y": (np.uint32, [1, 1])}))
    return path


def test_require_compiled_names_what_is_missing(tmp_path):
    path = without_kernels(tmp_path / "m.onnx")
    assert refused("compile", path, "-o", tmp_path / "n.kiln", "--require-compiled", code=3) == (
        'kiln: m.onnx: no compiled kernel for reduce x1 (u32, node "/reducemax0"); docs/kernels.md says which element types have kernels [KILN-E0209]\n')
    path.write_bytes(graph([("ConvTranspose", ["x", "w"], ["y"], {})], {"x": (np.float16, [1, 2, 4, 4]), "w": (np.float16, [2, 2, 1, 1])},
                           {"y": (np.float16, [1, 2, 4, 4])}))
    assert "no compiled kernel for conv_transpose x1 (f16, node " in refused("compile", path, "-o", tmp_path / "n.kiln", "--require-compiled", code=3)


def test_resize_to_sizes_of_another_input_is_compiled(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Shape", ["z"], ["s"], {}), ("Resize", ["x", "", "", "s"], ["y"], {"mode": "linear"})],
                           {"x": (F, [1, 2, "H", "W"]), "z": (F, [1, 2, "P", "Q"])}, {"y": (F, [1, 2, "P", "Q"])}))
    assert kiln("compile", path, "-o", tmp_path / "m.kiln", "--require-compiled").stderr == ""


def test_weights_of_bytes_stay_bytes(tmp_path):
    """A product of integers packs them as they are; what is dequantised for a product of floats is folded."""
    w = np.arange(64 * 48).reshape(64, 48).astype(np.int8)
    nodes = [("MatMulInteger", ["x", "w"], ["y"], {}), ("Cast", ["x"], ["f"], {"to": 1}), ("DequantizeLinear", ["w", "s"], ["v"], {}),
             ("MatMul", ["f", "v"], ["z"], {})]
    path = tmp_path / "m.onnx"
    path.write_bytes(graph(nodes, {"x": (np.uint8, [4, 64])}, {"y": (np.int32, [4, 48]), "z": (F, [4, 48])}, {"w": w, "s": F(0.5)}))
    plan = kiln("inspect", path, "--plan").stdout
    assert "const i8[64,48]" in plan and "const f32[64,48]" in plan and "const i32[" not in plan


def test_arithmetic_on_sizes_is_not_missing_a_kernel(tmp_path):
    nodes = [("Shape", ["x"], ["s"], {}), ("Gather", ["s", "k"], ["n"], {}), ("Unsqueeze", ["n", "zero"], ["m"], {}), ("Cast", ["m"], ["y"], {"to": 6})]
    path = tmp_path / "m.onnx"
    path.write_bytes(graph(nodes, {"x": (F, ["N", 3])}, {"y": (np.int32, [1])}, {"k": np.array(0), "zero": np.array([0])}))
    assert kiln("compile", path, "-o", tmp_path / "m.kiln", "--require-compiled").stderr == ""


def test_work_on_reference_kernels_is_reported(tmp_path):
    path = without_kernels(tmp_path / "m.onnx")
    done = kiln("compile", path, "-o", tmp_path / "m.kiln")
    assert done.stderr == ("warning: 1 op runs on reference kernels: reduce x1 (u32); expect it to be many times slower, see docs/kernels.md\n")
    text = kiln("bench", tmp_path / "m.kiln", "--runs", "3").stdout
    assert "no floating-point work; 1 of 1 steps on reference kernels" in text and "in generated code" not in text
    assert "no floating-point work; 1 of 1 steps on reference kernels" in kiln("inspect", tmp_path / "m.kiln").stdout
    data = json.loads(kiln("inspect", tmp_path / "m.kiln", "--json").stdout)
    assert data["generated_share"] is None and data["reference_steps"] == 1


def test_sweep_arguments(tmp_path):
    sweep = ROOT / "build" / "bin" / "kiln-sweep"
    run = lambda *args: subprocess.run([str(sweep), *args], capture_output=True, text=True)
    for flag in ("--help", "-h"):
        done = run(flag)
        assert done.returncode == 0 and "--repeats" in done.stdout
    problem = "v1 default; %0 = in f32[64]; %1 = neg(%0) f32[64]; out %1"
    for repeats in (["--repeats", "2"], ["--repeats=2"]):
        done = run(*repeats, "--default", problem)
        assert done.returncode == 0 and "0 candidates wrong" in done.stdout
    assert run("--repeats", "0", problem).returncode == 2 and run().returncode == 2
    assert '"v" is no size' in run("--sizes=v", problem).stderr


def test_opt_shows_node_names_and_hides_llvm(tmp_path):
    program = ROOT / "build" / "bin" / "kiln-opt"
    kiln("compile", model(tmp_path / "m.onnx"), "--stop-after", "imported", "-o", tmp_path / "m.mlir")
    shown = subprocess.run([str(program), "--kiln-infer-shapes", str(tmp_path / "m.mlir")], capture_output=True, text=True)
    assert 'loc("/neg0")' in shown.stdout
    text = subprocess.run([str(program), "--help"], capture_output=True, text=True).stdout
    assert "--kiln-layout" in text and "--mlir-print-ir-after-all" in text and "--kiln-target" in text
    assert "--amdgpu" not in text and "--enable-gvn-hoist" not in text


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


def test_files_that_never_end(artifact, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    why = f"{pipe}: cannot be opened: it is no regular file"
    assert refused("run", pipe, code=1) == f"kiln: {why} [KILN-E0101]\n"
    assert why in refused("run", artifact, "--input", f"Input3=@{pipe}", code=1)
    assert why in kiln("compile", DIGITS, "-o", tmp_path / "m.kiln", "--cache", pipe).stderr  # a cache may be missing
    assert refused("compile", DIGITS, "-o", pipe, code=1) == f"kiln: {pipe}: cannot be written: it is no regular file [KILN-E0106]\n"


def test_standard_output_that_is_full(artifact):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(KILN), "inspect", str(artifact)], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "kiln: standard output: cannot be written: No space left on device [KILN-E0106]\n")


def test_damaged_weights_are_found_when_asked(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Mul", ["x", "w"], ["y"], {})], {"x": (F, [64])}, {"y": (F, [64])}, {"w": np.arange(64, dtype=F)}))
    kiln("run", path, "--verify")
    path = tmp_path / "m.kiln"
    kiln("compile", tmp_path / "m.onnx", "-o", path)
    assert kiln("verify", path).stdout.startswith(f"{path} is intact: plan, ")
    assert kiln("verify", path).stdout.endswith(" of code, 256 B of weights in 1 constant\n")
    kiln("run", path, "--verify")
    data = bytearray(path.read_bytes())
    data[data.index(np.arange(64, dtype=F).tobytes()) + 100] ^= 1
    path.write_bytes(data)
    kiln("run", path)  # only reading all of them would tell
    text = f'kiln: {path}: weights are damaged: constant 0 ("w") does not match its checksum; copy or compile the artifact again [KILN-E0608]\n'
    assert refused("verify", path, code=1) == text
    assert refused("run", path, "--verify", code=1) == text
    path.write_bytes(data[:-1])
    assert refused("verify", path, code=1) == f"kiln: {path}: artifact is truncated or damaged: the file's size is wrong [KILN-E0603]\n"
    assert refused("verify", tmp_path / "m.onnx", code=1) == f"kiln: {tmp_path / 'm.onnx'}: not a Kiln artifact [KILN-E0601]\n"


def test_artifacts_of_other_machines_are_verified(tmp_path):
    kiln("compile", DIGITS, "-o", tmp_path / "m.kiln", "--target", "x86-64-v4+bf16+vnni")
    assert " is intact: " in kiln("verify", tmp_path / "m.kiln").stdout


def test_files_beyond_a_limit_are_named_and_leave_nothing(artifact, tmp_path):
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))}
    path = tmp_path / "m.kiln"
    assert kiln("compile", DIGITS, "-o", path, code=1, **limited).stderr == f"kiln: {path}: cannot be written: File too large [KILN-E0106]\n"
    assert list(tmp_path.iterdir()) == []


def test_long_names(tmp_path):
    path = tmp_path / ("n" * 235 + ".kiln")
    kiln("compile", DIGITS, "-o", path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_killing_leaves_nothing_for_long(tmp_path):
    for wait in (0.2, 0.4, 0.6, 0.8, 1.0):
        process = subprocess.Popen([str(KILN), "compile", str(MODELS / "super_resolution_10" / "model.onnx"), "-o", str(tmp_path / "m.kiln")])
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and not list(tmp_path.glob("*.partial-*")):
            time.sleep(0.001)
        process.kill()
        process.wait()
    kiln("compile", DIGITS, "-o", tmp_path / "other.kiln")
    assert {file.name for file in tmp_path.iterdir()} <= {"m.kiln", "other.kiln"}


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
