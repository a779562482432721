"""Several models as one artifact with entries, and states that they share: a small GPT-2 with a KV cache, from Python, C and
the command line; what is refused, and with which words."""
import json
import subprocess
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import gpt2
import kiln
from conftest import ROOT, graph
from test_cli import kiln as command
from test_control_flow import model, value

PROMPT = [3, 14, 15, 92, 65, 35]
STEPS = 64
FIXED = ("a state keeps its dims, or grows along one whose size is open; a cache of a fixed capacity is written at positions, by ScatterND, "
         "ScatterElements or TensorScatter")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Prefill and decode of one GPT-2, in files of their own."""
    folder = tmp_path_factory.mktemp("gpt2")
    w = gpt2.weights()
    (folder / "prefill.onnx").write_bytes(gpt2.model(w, "T"))
    (folder / "decode.onnx").write_bytes(gpt2.model(w, 1))
    return {"prefill": str(folder / "prefill.onnx"), "decode": str(folder / "decode.onnx")}


@pytest.fixture(scope="module")
def expected():
    """The greedy continuation and the logits of every position, in numpy without a cache."""
    w, ids = gpt2.weights(), list(PROMPT)
    for _ in range(STEPS):
        ids.append(int(gpt2.reference(w, ids)[-1].argmax()))
    return ids[len(PROMPT):], gpt2.reference(w, ids)


def compile_both(files, **options):
    return kiln.compile(files, states=gpt2.STATES, **options)


def generate(model, state, steps=STEPS, prompt=PROMPT):
    """The tokens, and the logits of all positions."""
    ids = np.array([prompt])
    logits = [model.run({"ids": ids, "start": np.array([0])}, entry="prefill", state=state)["logits"][0]]
    tokens = []
    for position in range(len(prompt), len(prompt) + steps):
        tokens.append(int(logits[-1][-1].argmax()))
        step = {"ids": np.array([[tokens[-1]]]), "start": np.array([position])}
        logits.append(model.run(step, entry="decode", state=state)["logits"][0])
        assert state.bytes_copied == 0, "a decode step copies no byte of the cache"
    return tokens, np.concatenate(logits)


@pytest.mark.parametrize("options", [{"target": "interpreter"}, {}, {"guard_pages": True}, {"without": ["fusion", "scheduling"]}], ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gpt2_decodes_with_its_cache_in_place(files, expected, options):
    model = compile_both(files, **options)
    tokens, logits = generate(model, model.new_state())
    np.testing.assert_allclose(logits, expected[1], atol=1e-4)
    assert tokens == expected[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_without_reuse_of_buffers_it_is_right_and_copies(files, expected):
    model = compile_both(files, without=["buffer-reuse"])
    state = model.new_state()
    model.run({"ids": np.array([PROMPT]), "start": np.array([0])}, entry="prefill", state=state)
    logits = model.run({"ids": np.array([expected[0][:1]]), "start": np.array([len(PROMPT)])}, entry="decode", state=state)["logits"]
    np.testing.assert_allclose(logits[0, 0], expected[1][len(PROMPT)], atol=1e-4)
    cache = 4 * np.prod(gpt2.CACHE)
    assert state.bytes_copied >= 2 * len(gpt2.STATES) * cache # out by the scatter, and in


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_artifact_holds_the_weights_once(files, tmp_path):
    both, one = tmp_path / "both.kiln", tmp_path / "one.kiln"
    compile_both(files).save(both)
    kiln.compile(files["decode"], states=gpt2.STATES).save(one)
    held = {path: json.loads(command("inspect", path, "--json").stdout)["memory"]["weights_bytes"] for path in (both, one)}
    assert sum(w.nbytes for w in gpt2.weights().values()) <= held[one]
    assert held[both] < held[one] * 1.02 # and tables of prefill alone


def test_a_gpt2_decodes_from_c(files, expected, tmp_path):
    program, lib = tmp_path / "gpt2", ROOT / "build" / "lib"
    subprocess.run(["cc", "-Wall", "-Werror", ROOT / "test/e2e/gpt2.c", f"-I{ROOT}/runtime/include", f"-L{lib}", "-lkiln", f"-Wl,-rpath,{lib}",
                    "-o", program], check=True)
    for target in ("interpreter", "host"):
        done = subprocess.run([program, files["prefill"], files["decode"], target, str(STEPS), *map(str, PROMPT)], capture_output=True, text=True)
        assert done.stderr == "" and done.returncode == 0
        assert list(map(int, done.stdout.split())) == expected[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_states_are_objects(files, expected):
    model = compile_both(files)
    assert [e.name for e in model.entries] == ["prefill", "decode"]
    assert [p.name for p in model.entries[1].inputs] == ["ids", "start"] and [p.name for p in model.entries[1].outputs] == ["logits"]
    assert set(model.entries[1].states) == set(gpt2.STATES) == {p.name for p in model.states}
    state = model.new_state()
    generate(model, state, 4)
    # A copy goes its own way; two states of one model do not meet.
    fork, fresh = state.copy(), model.new_state()
    key = state["past_k0"]
    assert key.shape == tuple(gpt2.CACHE) and np.any(key[:, :, len(PROMPT) + 3]) and not np.any(key[:, :, len(PROMPT) + 4:])
    generate(model, fresh, 2, PROMPT[::-1])
    np.testing.assert_array_equal(state["past_k0"], key)
    step = {"ids": np.array([expected[0][4:5]]), "start": np.array([len(PROMPT) + 4])}
    for one in (fork, state):
        np.testing.assert_allclose(model.run(step, entry="decode", state=one)["logits"][0, 0], expected[1][len(PROMPT) + 4], atol=1e-4)
    # Read out and put in elsewhere.
    moved = kiln.compile(files, states=gpt2.STATES, target="interpreter")
    other = moved.new_state()
    for name in state.names:
        other[name] = state[name]
    step = {"ids": np.array([expected[0][5:6]]), "start": np.array([len(PROMPT) + 5])}
    np.testing.assert_allclose(moved.run(step, entry="decode", state=other)["logits"][0, 0], expected[1][len(PROMPT) + 5], atol=1e-4)
    state.reset("past_k0")
    assert not state["past_k0"].any() and state["past_v0"].any()
    state.reset()
    assert not state["past_v0"].any()
    assert repr(state).startswith("<kiln.State past_k0: float32[1, 4, 72, 16]")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_fails_makes_its_states_invalid(files):
    model = compile_both(files)
    state = model.new_state()
    bad = {"ids": np.array([[1]]), "start": np.array([gpt2.CAPACITY])}
    with pytest.raises(kiln.InputError, match="KILN-E0513"): # there is no such position; nothing is written yet
        model.run(bad, entry="decode", state=state)
    assert state.valid("past_k0")
    # An id that is out of range of nothing, at a position that the cache has no room for.
    small = kiln.compile(accumulator(3), states={"past": "present"}, target="interpreter")
    sums = small.new_state()
    with pytest.raises(kiln.InputError, match="KILN-E0513"):
        small.run({"at": np.array([3]), "x": np.ones(1, np.float32)}, state=sums)
    assert not sums.valid("past")
    for use in (lambda: sums["past"], lambda: small.run({"at": np.array([0]), "x": np.ones(1, np.float32)}, state=sums)):
        with pytest.raises(kiln.Error) as error:
            use()
        assert str(error.value) == 'state "past" is not valid: a run that wrote it failed; reset or set it [KILN-E0521]'
        assert not isinstance(error.value, kiln.InputError)
    sums["past"] = np.float32([1, 2, 3])
    assert small.run({"at": np.array([0]), "x": np.ones(1, np.float32)}, state=sums)["sum"] == 2 + 2 + 3


def accumulator(capacity, index=np.int64):
    """past[at] += x, and the sum of what is there then."""
    return graph([("ScatterElements", ["past", "at", "x"], ["present"], {"axis": 0, "reduction": "add"}),
                  ("ReduceSum", ["present"], ["sum"], {"keepdims": 0})],
                 {"past": (np.float32, [capacity]), "at": (index, [1]), "x": (np.float32, [1])},
                 {"sum": (np.float32, []), "present": (np.float32, [capacity])})


def test_a_state_may_have_open_sizes(tmp_path):
    model = kiln.compile(accumulator("N"), states={"past": "present"}, target="interpreter")
    assert model.states == (kiln.Port("past", np.dtype(np.float32), ("N",)),)
    with pytest.raises(kiln.InputError) as error:
        model.new_state()
    assert str(error.value) == 'state "past" is f32[N]: no value is given for N [KILN-E0523]'
    for n in (1, 5):
        state = model.new_state({"N": n})
        for i in range(3):
            assert model.run({"at": np.array([n - 1]), "x": np.float32([2])}, state=state)["sum"] == 2 * (i + 1)
        assert state["past"].tolist() == [0] * (n - 1) + [6]
    model.save(tmp_path / "m.kiln")
    shown = command("run", tmp_path / "m.kiln", "--shape", "past=4")
    assert "present" not in shown.stdout and "past f32[4]" in shown.stdout
    assert command("run", tmp_path / "m.kiln", "--entry", "x", code=2).stderr == (
        'kiln: --entry: the model has no entry "x"; it has main [KILN-E0501]\n')


def test_threads_share_a_state_or_are_refused():
    model = kiln.compile(accumulator(4), states={"past": "present"}, target="interpreter")
    state, counts = model.new_state(), {"done": 0, 522: 0}
    lock = threading.Lock()

    def work():
        for _ in range(200):
            try:
                model.run({"at": np.array([1]), "x": np.float32([1])}, state=state)
                outcome = "done"
            except kiln.Error as error:
                outcome = error.code
            with lock:
                counts[outcome] = counts.get(outcome, 0) + 1
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts.values()) == 8 * 200 == counts["done"] + counts[522]
    assert state["past"].tolist() == [0, counts["done"], 0, 0]


def info(name, dtype, dims):
    return h.make_tensor_value_info(name, dtype, dims)


def body(nodes, inputs, outputs):
    return h.make_graph(nodes, "body", inputs, outputs)


def endless():
    """past[0] += 1, then a loop that ends when c is false, which it never is."""
    loop = body([h.make_node("Identity", ["go"], ["next"]), h.make_node("Add", ["s", "x"], ["t"])],
                [info("i", T.INT64, []), info("go", T.BOOL, []), info("s", T.FLOAT, [1])], [info("next", T.BOOL, []), info("t", T.FLOAT, [1])])
    nodes = [h.make_node("ScatterElements", ["past", "at", "x"], ["present"], reduction="add"),
             h.make_node("Gather", ["present", "at"], ["first"]),
             h.make_node("Loop", ["", "c", "first"], ["y"], body=loop)]
    made = h.make_graph(nodes, "g", [info("past", T.FLOAT, [2]), info("at", T.INT64, [1]), info("x", T.FLOAT, [1]), info("c", T.BOOL, [])],
                        [info("y", T.FLOAT, [1]), info("present", T.FLOAT, [2])])
    return h.make_model(made, opset_imports=[h.make_opsetid("", 17)], ir_version=9).SerializeToString()


def through(kind):
    """present = past with x added at `at`: in a branch, in a loop `n` times, or after a branch that decides sizes."""
    add = h.make_node("ScatterElements", ["past", "at", "x"], ["t"], reduction="add")
    keep = body([h.make_node("Identity", ["past"], ["e"])], [], [info("e", T.FLOAT, [4])])
    ports = [info("past", T.FLOAT, [4]), info("at", T.INT64, [1]), info("x", T.FLOAT, [1]), info("c", T.BOOL, [])]
    if kind == "if":
        nodes = [h.make_node("If", ["c"], ["present"], then_branch=body([add], [], [info("t", T.FLOAT, [4])]), else_branch=keep)]
    elif kind == "loop":
        step = h.make_node("ScatterElements", ["s", "at", "x"], ["t"], reduction="add")
        loop = body([h.make_node("Identity", ["go"], ["next"]), step], [info("i", T.INT64, []), info("go", T.BOOL, []), info("s", T.FLOAT, [4])],
                    [info("next", T.BOOL, []), info("t", T.FLOAT, [4])])
        nodes = [h.make_node("Cast", ["c"], ["n"], to=T.INT64), h.make_node("Loop", ["n", "", "past"], ["present"], body=loop)]
    else: # two elements or one, of which the first is x
        twice = body([h.make_node("Concat", ["x", "x"], ["tt"], axis=0)], [], [info("tt", T.FLOAT, [2])])
        once = body([h.make_node("Sub", ["x", "x"], ["ee"])], [], [info("ee", T.FLOAT, [1])])
        nodes = [h.make_node("If", ["c"], ["z"], then_branch=twice, else_branch=once), h.make_node("Exp", ["z"], ["y"]), h.make_node("Log", ["y"], ["w"]),
                 h.make_node("ReduceMax", ["w"], ["m"]), h.make_node("ScatterElements", ["past", "at", "m"], ["present"], reduction="add")]
    made = h.make_graph(nodes, "g", ports, [info("present", T.FLOAT, [4])])
    return h.make_model(made, opset_imports=[h.make_opsetid("", 17)], ir_version=9).SerializeToString()


@pytest.mark.parametrize("kind", ["if", "loop", "sizes"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_states_go_through_control_flow(kind):
    for options in ({"target": "interpreter"}, {}, {"guard_pages": True}):
        model = kiln.compile(through(kind), states={"past": "present"}, **options)
        state, expected = model.new_state(), np.zeros(4, np.float32)
        for i, c in enumerate([True, False, True, True]):
            model.run({"at": np.array([i]), "x": np.float32([i + 1]), "c": np.array(c)}, state=state)
            expected[i] += (i + 1) * c
            np.testing.assert_allclose(state["past"], expected, rtol=1e-6)


def test_a_run_is_cancelled_from_another_thread():
    model = kiln.compile(endless(), states={"past": "present"}, target="interpreter")
    state = model.new_state()
    inputs = {"at": np.array([0]), "x": np.float32([1])}
    assert model.run({**inputs, "c": np.array(False)}, state=state)["y"] == 1
    stop = threading.Event()

    def cancel():
        while not stop.wait(0.05):
            model.cancel()
    other = threading.Thread(target=cancel)
    other.start()
    with pytest.raises(kiln.Error) as error:
        model.run({**inputs, "c": np.array(True)}, state=state)
    stop.set()
    other.join()
    assert str(error.value).endswith("the run was cancelled [KILN-E0518]") and error.value.code == 518
    assert not isinstance(error.value, ValueError)
    assert not state.valid("past")
    state.reset()
    assert model.run({**inputs, "c": np.array(False)}, state=state)["y"] == 1


def test_a_run_keeps_to_a_memory_limit(tmp_path):
    made = graph([("Exp", ["x"], ["t"], {}), ("MatMul", ["t", "t"], ["y"], {})], {"x": (np.float32, [64, 64])}, {"y": (np.float32, [64, 64])})
    x = np.zeros((64, 64), np.float32)
    assert kiln.compile(made, memory_limit=1 << 24).run({"x": x})["y"][0, 0] == 64
    model = kiln.compile(made, memory_limit=1000)
    with pytest.raises(kiln.Error) as error:
        model.run({"x": x})
    assert str(error.value) == "out of memory: the run needs more than its limit of 1000 bytes [KILN-E0510]"
    model.save(tmp_path / "m.kiln")
    with pytest.raises(kiln.Error, match="its limit of 2000 bytes"):
        kiln.load(tmp_path / "m.kiln", memory_limit=2000).run({"x": x})
    for bad in (-1, 2**63):
        with pytest.raises(ValueError, match="memory_limit must be"):
            kiln.load(tmp_path / "m.kiln", memory_limit=bad)


def test_the_command_line_makes_shows_and_runs_entries(files, tmp_path):
    states = [text for past, present in gpt2.STATES.items() for text in ("--state", f"{past}={present}")]
    artifact = tmp_path / "x.kiln"
    command("compile", *(f"{entry}={path}" for entry, path in files.items()), *states, "-o", artifact, "--target", "interpreter")
    shown = command("inspect", artifact).stdout
    assert "state   past_k0 f32[1,4,72,16], read and written\n" in shown
    assert f"  states     {4 * 4 * np.prod(gpt2.CACHE):12} bytes\n" in shown
    assert "entry   decode: 2 inputs, 1 output, 4 states; --entry decode shows it\n" in shown
    assert command("inspect", artifact, "--entry", "decode").stdout.startswith("decode, by kiln ")
    entries = json.loads(command("inspect", artifact, "--json").stdout)["entries"]
    assert [e["name"] for e in entries] == ["prefill", "decode"]
    assert {"name": "past_v1", "type": "f32[1,4,72,16]", "reads": True, "writes": True} in entries[1]["states"]
    np.save(tmp_path / "ids.npy", np.array([PROMPT]))
    np.save(tmp_path / "start.npy", np.array([0]))
    given = ["--input", f"ids=@{tmp_path}/ids.npy", "--input", f"start=@{tmp_path}/start.npy"]
    ran = command("run", artifact, "--entry", "prefill", *given, "--output-dir", tmp_path / "out")
    assert "past_k0 f32[1,4,72,16]" in ran.stdout
    # The next step, with the cache from files.
    np.save(tmp_path / "ids.npy", np.array([[7]]))
    np.save(tmp_path / "start.npy", np.array([len(PROMPT)]))
    given += [text for past in gpt2.STATES for text in ("--input", f"{past}=@{tmp_path}/out/{past}.npy")]
    command("run", artifact, "--entry", "decode", *given, "--output-dir", tmp_path / "out")
    np.testing.assert_allclose(np.load(tmp_path / "out" / "logits.npy")[0, 0], gpt2.reference(gpt2.weights(), PROMPT + [7])[-1], atol=1e-4)
    command("bench", artifact, "--entry", "decode", "--runs", "2", "--json", "--input", f"start=@{tmp_path}/start.npy")


@pytest.mark.parametrize("stage, target", [("imported", "interpreter"), ("canonical", "host"), ("kernels", "host"), ("planned", "interpreter"), ("planned", "host")])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_entries_go_through_ir_text(files, tmp_path, expected, stage, target):
    text = str(tmp_path / "both.mlir")
    states = [text for past, present in gpt2.STATES.items() for text in ("--state", f"{past}={present}")]
    command("compile", *(f"{entry}={path}" for entry, path in files.items()), *states, "--stop-after", stage, "--target", target, "-o", text)
    model = kiln.compile(text, target=target)
    _, logits = generate(model, model.new_state(), 3)
    np.testing.assert_allclose(logits, expected[1][:len(logits)], atol=1e-4)


def test_texts_become_entries(files, tmp_path, expected):
    texts = {}
    for entry, path in files.items():
        texts[entry] = str(tmp_path / f"{entry}.mlir")
        command("compile", path, "--stop-after", "imported", "-o", texts[entry])
    model = compile_both(texts, target="interpreter")
    _, logits = generate(model, model.new_state(), 3)
    np.testing.assert_allclose(logits, expected[1][:len(logits)], atol=1e-4)


def refused(*arguments):
    done = command("compile", *arguments, "-o", "/dev/null/x", code=None)
    return done.stderr.splitlines()[-1]


def test_what_does_not_fit_together_is_refused(files, tmp_path):
    a = tmp_path / "a.onnx"
    a.write_bytes(accumulator(3))
    b = tmp_path / "b.onnx"
    b.write_bytes(accumulator(4))
    assert refused(a, b) == f"kiln: {a}: of several models each needs a name, as in decode={a} [KILN-E0701]"
    assert refused(f"x={a}", f"x={b}") == 'kiln: entry "x" is given twice [KILN-E0703]'
    assert refused(f"1x={a}", f"y={b}") == 'kiln: entry "1x": a name begins with a letter and has letters, digits, _ and - only [KILN-E0701]'
    assert refused(a, "--state", "past") == 'kiln: state "past" is not of the form INPUT=OUTPUT [KILN-E0701]'
    assert refused(a, "--state", "pas=present") == 'kiln: a.onnx: state pas=present: no model has an input "pas" [KILN-E0501]'
    assert refused(a, "--state", "past=sun") == 'kiln: a.onnx: state past=sun: no model has an output "sun" [KILN-E0501]'
    assert refused(a, "--state", "past=present", "--state", "x=present") == (
        'kiln: a.onnx: output "present" of entry main belongs to two states, "past" and "x" [KILN-E0703]')
    assert refused(a, "--state", "at=present") == (
        'kiln: a.onnx: state "at": input "at" of entry main is i64[1], output "present" of entry main is f32[3]; '
        'a state keeps its element type [KILN-E0305]')
    assert refused(a, "--state", "x=present") == (
        'kiln: a.onnx: state "x": input "x" of entry main is f32[1], output "present" of entry main is f32[3]; '
        f'{FIXED} [KILN-E0304]')
    assert refused(f"x={a}", f"y={b}", "--state", "past=present") == (
        'kiln: a.onnx, b.onnx: state "past": input "past" of entry x is f32[3], input "past" of entry y is f32[4]; '
        f'{FIXED} [KILN-E0304]')
    assert refused(f"x={a}", f"y={b}", "--shape", "z=3") == (
        'kiln: a shape is given for "z", which is no input of any of the models [KILN-E0501]')
    text = tmp_path / "a.mlir"
    command("compile", a, "--stop-after", "canonical", "-o", text)
    assert refused(text, "--state", "past=present") == (
        f"kiln: {text}: states are given, but IR at stage canonical says its own; give them with the model, or with IR at stage imported [KILN-E0703]")
    assert refused(f"x={text}", f"y={b}") == (
        f"kiln: {text}: is at stage canonical; of several models each must be a model, or IR at stage imported [KILN-E0313]")


@pytest.mark.parametrize("prefill", ["First", "Concat"])
@pytest.mark.parametrize("options", [{"target": "interpreter"}, {}, {"guard_pages": True}, {"without": ["fusion", "scheduling"]}], ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gpt2_decodes_with_a_cache_that_grows(expected, prefill, options):
    w = gpt2.weights()
    model = compile_both({"prefill": gpt2.model(w, "T", ops=[prefill] * 2), "decode": gpt2.model(w, 1, ops=["Concat"] * 2)}, **options)
    assert {(s.shape, s.growing) for s in model.states} == {((1, gpt2.HEADS, "P", gpt2.DEPTH), 2)}
    state = model.new_state(capacity=len(PROMPT) + STEPS)
    tokens, logits = generate(model, state)
    np.testing.assert_allclose(logits, expected[1], atol=1e-4)
    assert tokens == expected[0]
    key = state["past_k0"]
    assert key.shape == (1, gpt2.HEADS, len(PROMPT) + STEPS, gpt2.DEPTH)
    # Takes back some tokens, and goes on elsewhere.
    state.resize(len(PROMPT) + 4)
    fork = state.copy()
    np.testing.assert_array_equal(fork["past_k0"], key[:, :, :len(PROMPT) + 4])
    for one in (state, fork):
        step = {"ids": np.array([expected[0][4:5]]), "start": np.array([len(PROMPT) + 4])}
        np.testing.assert_allclose(model.run(step, entry="decode", state=one)["logits"][0, 0], expected[1][len(PROMPT) + 4], atol=1e-4)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_caches_whose_lengths_have_names_of_their_own(expected):
    made = onnx.load_from_string(gpt2.model(gpt2.weights(), "T", ops=["Concat"] * 2))
    for port in [*made.graph.input, *made.graph.output]:
        if port.name.startswith(("past", "present")):
            port.type.tensor_type.shape.dim[2].dim_param = f"length_{port.name}"
    model = kiln.compile(made.SerializeToString(), states=gpt2.STATES)
    assert all(state.growing == 2 for state in model.states)
    state = model.new_state(capacity=16)
    for i, token in enumerate(PROMPT):
        logits = model.run({"ids": np.array([[token]]), "start": np.array([i])}, state=state)["logits"][0, 0]
        np.testing.assert_allclose(logits, expected[1][i], atol=1e-4)
        assert state.bytes_copied == 0
    state.resize(2, "past_v0")
    with pytest.raises(kiln.InputError) as error:
        model.run({"ids": np.array([[1]]), "start": np.array([2])}, state=state)
    assert str(error.value).endswith("is 7 and size T+length_past_v0 is 3; they must be equal [KILN-E0508]")


@pytest.mark.parametrize("stage", ["imported", "canonical", "kernels", "planned"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_cache_that_grows_goes_through_ir_text(stage, expected, tmp_path):
    (tmp_path / "m.onnx").write_bytes(gpt2.model(gpt2.weights(), "T", ops=["Concat"] * 2))
    states = [text for past, present in gpt2.STATES.items() for text in ("--state", f"{past}={present}")]
    command("compile", f"prefill={tmp_path}/m.onnx", f"decode={tmp_path}/m.onnx", *states, "--stop-after", stage, "-o", tmp_path / "m.mlir")
    model = kiln.compile(str(tmp_path / "m.mlir"))
    _, logits = generate(model, model.new_state(capacity=64), 3)
    np.testing.assert_allclose(logits, expected[1][:len(logits)], atol=1e-4)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_attention_operator_adds_to_its_cache():
    heads, depth = 4, 16
    ports = [info(name, T.FLOAT, [1, heads, "S", depth]) for name in "qkv"] + [info(name, T.FLOAT, [1, heads, "P", depth]) for name in ("pk", "pv")]
    results = [info("y", T.FLOAT, [1, heads, "S", depth])] + [info(name, T.FLOAT, [1, heads, "P+S", depth]) for name in ("ck", "cv")]
    node = h.make_node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "ck", "cv"])
    made = h.make_model(h.make_graph([node], "g", ports, results), opset_imports=[h.make_opsetid("", 23)], ir_version=10).SerializeToString()
    keeping, alone = kiln.compile(made, states={"pk": "ck", "pv": "cv"}), kiln.compile(made)
    state, random = keeping.new_state(capacity=16), np.random.default_rng(0)
    past = {name: np.zeros((1, heads, 0, depth), np.float32) for name in ("pk", "pv")}
    for tokens in (4, 1, 1, 2):
        given = {name: random.standard_normal((1, heads, tokens, depth)).astype(np.float32) for name in "qkv"}
        want = alone.run(given | past)
        np.testing.assert_allclose(keeping.run(given, state=state)["y"], want["y"], atol=1e-5)
        assert state.bytes_copied == 0
        past = {"pk": want["ck"], "pv": want["cv"]}
        for name, value in past.items():
            np.testing.assert_array_equal(state[name], value)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_cache_that_outgrows_its_memory_is_moved(expected):
    model = kiln.compile(gpt2.model(gpt2.weights(), "T", ops=["Concat"] * 2), states=gpt2.STATES)
    state, moved = model.new_state(), []
    tokens = PROMPT + expected[0][:20]
    for i, token in enumerate(tokens):
        logits = model.run({"ids": np.array([[token]]), "start": np.array([i])}, state=state)["logits"][0, 0]
        np.testing.assert_allclose(logits, expected[1][i], atol=1e-4)
        moved.append(state.bytes_copied // (4 * len(gpt2.STATES) * gpt2.WIDTH))
    assert moved == [{1: 1, 2: 2, 4: 4, 8: 8, 16: 16}.get(i, 0) for i in range(len(tokens))]
    # Only the lengths of all caches together make sense, and a run that is refused changes none.
    state["past_v1"] = np.zeros((1, gpt2.HEADS, 5, gpt2.DEPTH), np.float32)
    with pytest.raises(kiln.InputError) as error:
        model.run({"ids": np.array([[1]]), "start": np.array([0])}, state=state)
    assert str(error.value) == ('state "past_v1": expected f32[1,4,P,16], got f32[1,4,5,16]: dim 2 is 5, but P is bound to 26 by dim 2 of '
                                'state "past_k0" [KILN-E0506]')
    assert state["past_k0"].shape[2] == 26 and state["past_v1"].shape[2] == 5
    state.reset()
    assert state["past_k0"].shape[2] == state["past_v1"].shape[2] == 0


def growing(kind):
    """present = past [2, P, 3] with more along the middle axis: behind it twice, in front, all but the first, or in a branch."""
    nodes = {"behind": [("Neg", ["x"], ["n"], {}), ("Concat", ["past", "n", "x"], ["present"], {"axis": 1})],
             "front": [("Concat", ["x", "past"], ["present"], {"axis": -2})],
             "window": [("Concat", ["past", "x"], ["all"], {"axis": 1}), ("Slice", ["all", "starts", "ends", "axes"], ["present"], {})],
             "read": [("Concat", ["past", "x"], ["present"], {"axis": 1}), ("Neg", ["past"], ["old"], {})]}[kind]
    nodes.append(("ReduceSum", ["present"], ["sum"], {"keepdims": 0}))
    outputs = {"sum": (np.float32, []), "present": (np.float32, [2, "Q", 3])} | ({"old": (np.float32, [2, "P", 3])} if kind == "read" else {})
    return graph(nodes, {"past": (np.float32, [2, "P", 3]), "x": (np.float32, [2, "S", 3])}, outputs,
                 {"starts": np.array([-3]), "ends": np.array([1 << 40]), "axes": np.array([1])} if kind == "window" else {})


@pytest.mark.parametrize("kind", ["behind", "front", "window", "read"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_state_grows_in_any_way(kind, tmp_path):
    def more(past, x):
        if kind == "behind":
            return np.concatenate([past, -x, x], 1)
        return np.concatenate([x, past] if kind == "front" else [past, x], 1)[:, -3 if kind == "window" else 0:]
    for options in ({"target": "interpreter"}, {}, {"guard_pages": True}, {"without": ["buffer-reuse"]}):
        kiln.compile(growing(kind), states={"past": "present"}, **options).save(tmp_path / "m.kiln")
        model = kiln.load(tmp_path / "m.kiln", guard_pages=options.get("guard_pages", False))
        state, expected = model.new_state(capacity={"past": 40}), np.zeros((2, 0, 3), np.float32)
        for i in range(5):
            x = np.arange(i * 10, i * 10 + 6 * (i % 3 + 1), dtype=np.float32).reshape(2, -1, 3)
            got = model.run({"x": x}, state=state)
            if kind == "read":
                np.testing.assert_array_equal(got["old"], -expected)
            expected = more(expected, x)
            assert got["sum"] == expected.sum()
            np.testing.assert_array_equal(state["past"], expected)
            if kind in ("behind", "read"):
                assert (state.bytes_copied > 0) == (i > 0 and "without" in options)


def test_lengths_are_given_and_refused():
    model = kiln.compile(growing("read"), states={"past": "present"}, target="interpreter")
    assert model.states == (kiln.Port("past", np.dtype(np.float32), (2, "P", 3), growing=1),)
    state = model.new_state()
    state["past"] = np.ones((2, 4, 3), np.float32)
    state.resize(6)
    assert state["past"].sum(axis=(0, 2)).tolist() == [6, 6, 6, 6, 0, 0]
    with pytest.raises(kiln.InputError) as error:
        state["past"] = np.ones((2, 4, 4), np.float32)
    assert str(error.value) == 'state "past" is f32[2,P,3], the given tensor f32[2,4,4] [KILN-E0509]'
    with pytest.raises(ValueError, match="capacity must be from 0"):
        model.new_state(capacity=-1)
    with pytest.raises(kiln.Error) as error:
        model.new_state({"P": 4})
    assert str(error.value) == 'no state has a size "P" [KILN-E0704]'
    fixed = kiln.compile(accumulator(3), states={"past": "present"}, target="interpreter").new_state()
    for use in (fixed.resize, fixed.reserve):
        with pytest.raises(kiln.Error) as error:
            use(4, "past")
        assert str(error.value) == 'state "past" is f32[3], and does not grow [KILN-E0704]'
    # A limit of its size is room for as much.
    limited = kiln.compile(growing("read"), states={"past": "present"}, shapes={"past": [2, (0, 3), 3]}, target="interpreter")
    state, x = limited.new_state(), np.ones((2, 1, 3), np.float32)
    for _ in range(3):
        limited.run({"x": x}, state=state)
        assert state.bytes_copied == 0
    limited.run({"x": x}, state=state)
    with pytest.raises(kiln.InputError, match="allowed is 0..3"):
        limited.run({"x": x}, state=state)
    assert state["past"].shape[1] == 4


def test_the_command_line_shows_states_that_grow(tmp_path):
    (tmp_path / "m.onnx").write_bytes(growing("read"))
    command("compile", tmp_path / "m.onnx", "--state", "past=present", "--target", "interpreter", "-o", tmp_path / "m.kiln")
    assert "state   past f32[2,P,3], read, written as f32[2,d$_0,3]; grows along axis 1\n" in command("inspect", tmp_path / "m.kiln").stdout
    states = json.loads(command("inspect", tmp_path / "m.kiln", "--json").stdout)["entries"][0]["states"]
    assert states == [{"name": "past", "type": "f32[2,P,3]", "reads": True, "writes": True, "grows_along": 1, "capacity": 0, "becomes": "f32[2,d$_0,3]"}]
    command("compile", tmp_path / "m.onnx", "--state", "past=present", "--target", "interpreter", "--shape", "past=2,0..9,3", "-o", tmp_path / "n.kiln")
    assert "; grows along axis 1, at first in room for 9\n" in command("inspect", tmp_path / "n.kiln").stdout
    shown = command("run", tmp_path / "m.kiln", "--shape", "past=2,4,3", "--shape", "x=2,2,3")
    assert "past f32[2,6,3]" in shown.stdout and "old f32[2,4,3]" in shown.stdout
    command("bench", tmp_path / "m.kiln", "--shape", "past=2,4,3", "--shape", "x=2,2,3", "--runs", "3")


def test_a_state_of_a_known_size_does_not_grow():
    made = graph([("Concat", ["past", "x"], ["present"], {"axis": 0})], {"past": (np.float32, [3]), "x": (np.float32, [1])},
                 {"present": (np.float32, [4])})
    with pytest.raises(kiln.Error) as error:
        kiln.compile(made, states={"past": "present"})
    assert str(error.value) == f'model: state "past": input "past" of entry main is f32[3], output "present" of entry main is f32[4]; {FIXED} [KILN-E0304]'


def test_a_state_gets_no_value_of_a_size_from_data():
    made = graph([("Compress", ["past", "keep"], ["present"], {"axis": 0})], {"past": (np.float32, ["P"]), "keep": (bool, ["P"])},
                 {"present": (np.float32, ["Q"])})
    with pytest.raises(kiln.UnsupportedError) as error:
        kiln.compile(made, states={"past": "present"})
    assert str(error.value) == 'model: state "past" gets a value whose sizes only data tells [KILN-E0208]'


def test_values_inside_one_entry_become_outputs():
    made = graph([("Neg", ["x"], ["t"], {}), ("Exp", ["t"], ["y"], {})], {"x": (np.float32, [2])}, {"y": (np.float32, [2])})
    models = {"a": made, "b": made}
    with pytest.raises(kiln.Error) as error:
        kiln.compile(models, dump=["t"])
    assert str(error.value) == 'value "t": say of which entry it is, as in a:t [KILN-E0701]'
    model = kiln.compile(models, dump=["b:t"], target="interpreter")
    assert [[p.name for p in e.outputs] for e in model.entries] == [["y"], ["y", "t"]]
    assert model.run({"x": np.float32([1, 2])}, entry="b")["t"].tolist() == [-1, -2]


def test_shapes_of_one_entry(tmp_path):
    (tmp_path / "a.onnx").write_bytes(accumulator("N"))
    (tmp_path / "b.onnx").write_bytes(accumulator("N"))
    models = {"a": str(tmp_path / "a.onnx"), "b": str(tmp_path / "b.onnx")}
    model = kiln.compile(models, shapes={"past": ["M"], "b:past": [7]}, target="interpreter")
    assert [e.inputs[0].shape for e in model.entries] == [("M",), (7,)]
    model = kiln.compile(models, shapes={"b:past": [7]}, states={"past": "present"}, target="interpreter")
    assert model.states[0].shape == (7,) # who knows the size tells it
    state = model.new_state()
    for entry in models:
        model.run({"at": np.array([6]), "x": np.float32([1])}, entry=entry, state=state)
    assert state["past"][6] == 2


def test_python_refuses_what_it_cannot_mean(files):
    model = kiln.compile(accumulator(2), states={"past": "present"}, target="interpreter")
    inputs = {"at": np.array([0]), "x": np.float32([1])}

    def refusal(call, kind=kiln.InputError):
        with pytest.raises(kind) as error:
            call()
        return str(error.value)
    assert refusal(lambda: model.run(inputs)) == 'entry "main" works on states ("past"), and the run is given none [KILN-E0523]'
    assert refusal(lambda: model.run(inputs, entry="x")) == "the model has no entry 'x'; it has 'main' [KILN-E0501]"
    state = model.new_state()
    assert refusal(lambda: state["x"]) == "the model has no state 'x'; it has 'past' [KILN-E0501]"
    assert refusal(lambda: state.__setitem__("past", np.zeros(3, np.float32))) == 'state "past" is f32[2], the given tensor f32[3] [KILN-E0509]'
    other = kiln.compile(accumulator(2), states={"past": "present"}, target="interpreter")
    assert refusal(lambda: model.run(inputs, state=other.new_state()), kiln.Error) == "the states are those of another model [KILN-E0704]"
    assert refusal(lambda: kiln.compile({}), kiln.Error) == "no model is given [KILN-E0701]"
    assert refusal(lambda: model.new_state({"N": 3}), kiln.Error) == 'no state has a size "N" [KILN-E0704]'


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_goes_through_unchanged_stays_in_place(tmp_path):
    """A state that both branches give back, one that a loop carries and keeps, and one that goes on with a size from data."""
    branch = lambda op: h.make_graph([h.make_node(op, ["x"], [op]), h.make_node("Identity", ["a"], [op + "a"])], op, [], [value(op, T.FLOAT), value(op + "a", T.FLOAT)])
    body = h.make_graph([h.make_node("Add", ["v", "s"], ["w"]), h.make_node("Identity", ["s"], ["t"]), h.make_node("Identity", ["c"], ["d"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), value("v", T.FLOAT), value("s", T.FLOAT)],
                        [value("d", T.BOOL, []), value("w", T.FLOAT), value("t", T.FLOAT)])
    nodes = [h.make_node("If", ["c"], ["y", "a2"], then_branch=branch("Neg"), else_branch=branch("Abs")),
             h.make_node("Loop", ["n", "", "y", "b"], ["z", "b2"], body=body),
             h.make_node("NonZero", ["z"], ["k"]), h.make_node("Cast", ["k"], ["f"], to=T.FLOAT), h.make_node("ReduceSum", ["f"], ["m"], keepdims=0),
             h.make_node("Add", ["m", "e"], ["o"]), h.make_node("Identity", ["e"], ["e2"])]
    states = {"a": "a2", "b": "b2", "e": "e2"}
    path = model(tmp_path / "m.onnx", nodes, [value("c", T.BOOL, []), value("n", T.INT64, []), value("x", T.FLOAT, [4]), *(value(s, T.FLOAT, [4]) for s in states)],
                 [value("z", T.FLOAT, [4]), value("o", T.FLOAT, [4]), *(value(s, T.FLOAT, [4]) for s in states.values())])
    compiled = kiln.compile(path, states=states)
    state = compiled.new_state()
    kept = {"a": np.full(4, 7, np.float32), "b": np.arange(4, dtype=np.float32), "e": np.full(4, 2, np.float32)}
    for name, array in kept.items():
        state[name] = array
    x = np.float32([1, -2, 3, -4])
    for c, n in ((True, 0), (False, 3)):
        outputs = compiled.run({"c": np.array(c), "n": np.int64(n), "x": x}, state=state)
        np.testing.assert_array_equal(outputs["z"], (-x if c else abs(x)) + n * kept["b"])
        assert state.bytes_copied == 0
        for name, array in kept.items():
            np.testing.assert_array_equal(state[name], array)
