"""The ways to run a model that must agree: each is a name and a function. All are compared with the interpreter, without rewrites and what
planning does to memory and order, for these are under suspicion too."""
import contextlib
import dataclasses
import pathlib
import random
import tempfile
import time

import numpy as np
import onnx.numpy_helper

from . import caches, control, engine, identities, noise, peer, states, values
from .compare import difference, identical


@dataclasses.dataclass
class Finding:
    way: str
    kind: str    # wrong, internal, refused, mismatch (of errors), crash, hang
    at: int      # set of sizes
    detail: str
    output: str = ""


class Examination:
    """One case under a matrix of ways."""

    def __init__(self, case, note=lambda way: None):
        self.case, self.note = case, note
        self.data = case.model.SerializeToString()
        self.random = random.Random(case.seed)
        self.findings, self.skipped, self.seconds = [], {}, {}
        self._spread, self._host = {}, None
        with self.timed("interpreter"):
            plain = engine.compiled(self.data, target="interpreter", opt_limit=0, without=["buffer-reuse", "layout", "scheduling"])
            if isinstance(plain, engine.Outcome) and plain.unsupported:  # sizes that only folding makes known
                plain = engine.compiled(self.data, target="interpreter")
            self.base = engine.run_all(plain, case.feeds)
        for at, outcome in enumerate(self.base):
            if not outcome.ok and not outcome.unsupported:  # what the generator makes is valid
                self.report("interpreter", "internal" if outcome.internal else "rejected", at, outcome.text)

    @contextlib.contextmanager
    def timed(self, way):
        self.note(way)
        started = time.process_time()
        yield
        self.seconds[way] = time.process_time() - started

    def report(self, way, kind, at, detail, output=""):
        if not any(f.way == way for f in self.findings):
            self.findings.append(Finding(way, kind, at, detail, output))

    def skip(self, reason):
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def host(self):
        if self._host is None:
            self._host = engine.compiled(self.data)
        return self._host

    def slack(self, at, output):
        if at not in self._spread:
            self._spread[at] = noise.spread(self.case, at)
        return self._spread[at].get(output, 0.0)

    def compare(self, way, at, got, want):
        """Two outcomes that must be the same."""
        if got.internal and got.code != want.code:
            self.report(way, "internal", at, got.text)
        elif got.ok != want.ok:
            kind = "refused" if want.ok else "accepted"
            self.report(way, kind, at, got.text if want.ok else f"no error; the interpreter says: {want.text}")
        elif not got.ok:
            if got.code != want.code:
                self.report(way, "other error", at, f"{got.text}; the interpreter says: {want.text}")
        else:
            for name, expected in want.outputs.items():
                if difference(got.outputs[name], expected) is None:
                    continue
                slack = self.slack(at, name)
                if slack is None:
                    self.skip("ill-conditioned")
                elif text := difference(got.outputs[name], expected, slack):
                    self.report(way, "wrong", at, f"output {name}: {text}", name)

    def against_base(self, way, outcomes):
        for at, (got, want) in enumerate(zip(outcomes, self.base)):
            self.compare(way, at, got, want)

    def same_bits(self, way, outcomes, others):
        for at, (got, want) in enumerate(zip(outcomes, others)):
            if got.ok != want.ok or got.code != want.code:
                self.report(way, "refused" if want.ok else "other error", at, got.text or f"no error; alone: {want.text}")
            elif got.ok:
                for name in want.outputs:
                    if text := identical(got.outputs[name], want.outputs[name]):
                        self.report(way, "wrong", at, f"output {name}: {text}", name)


WAYS = {}


def way(name):
    def register(function):
        WAYS[name] = function
        return function
    return register


@way("rewritten")
def rewritten(e):
    """The interpreter after all rewrites and planning."""
    e.against_base("rewritten", engine.run_all(engine.compiled(e.data, target="interpreter"), e.case.feeds))


@way("host")
def host(e):
    e.against_base("host", engine.run_all(e.host(), e.case.feeds))


@way("v3")
def v3(e):
    """Code for AVX2, between guard pages."""
    e.against_base("v3", engine.run_all(engine.compiled(e.data, target="x86-64-v3", guard_pages=True), e.case.feeds))


@way("choice")
def choice(e):
    """Any legal configuration for each kernel, between guard pages."""
    options = {"choice_seed": e.case.seed + 1, "guard_pages": True, "target": e.random.choice(["host", "host", "x86-64-v3"])}
    e.against_base("choice", engine.run_all(engine.compiled(e.data, **options), e.case.feeds))


@way("without")
def without(e):
    """Without some parts of the compiler."""
    parts = [p for p in ("buffer-reuse", "fusion", "layout", "scheduling") if e.random.random() < 0.5]
    e.against_base("without", engine.run_all(engine.compiled(e.data, without=parts), e.case.feeds))


@way("artifact")
def artifact(e):
    """The saved artifact, loaded with one thread, with three, and between guard pages: the same bits as in memory."""
    if isinstance(e.host(), engine.Outcome):
        return
    import kiln
    alone = engine.run_all(e.host(), e.case.feeds)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "m.kiln"
        e.host().save(path)
        for name, options in ARTIFACT_WAYS.items():
            e.note(name)
            e.same_bits(name, engine.run_all(kiln.load(path, **options), e.case.feeds), alone)


ARTIFACT_WAYS = {"artifact": {"threads": 1}, "threads": {"threads": 3}, "guard": {"threads": 1, "guard_pages": True}}


@way("again")
def again(e):
    """The same sizes once more, after others: nothing may be left over from a run."""
    if isinstance(e.host(), engine.Outcome):
        return
    first = engine.run_all(e.host(), e.case.feeds)
    again = [engine.run(e.host(), f) for f in e.case.feeds[::-1]][::-1]
    e.same_bits("again", again, first)


@way("equivalent")
def equivalent(e):
    """The model with identities put in."""
    e.against_base("equivalent", engine.run_all(engine.compiled(identities.equivalent(e.case, e.random).SerializeToString()), e.case.feeds))


@way("functions")
def functions(e):
    """The model with nodes moved into functions."""
    e.against_base("functions", engine.run_all(engine.compiled(identities.with_functions(e.case, e.random).SerializeToString()), e.case.feeds))


@way("control")
def control_flow(e):
    """The model with nodes moved into branches and loops: the interpreter, generated code, and either with guard pages."""
    data = control.with_control_flow(e.case, e.random).SerializeToString()
    for target in ("interpreter", "host"):
        guard = e.random.random() < 0.3
        e.against_base("control", engine.run_all(engine.compiled(data, target=target, guard_pages=guard), e.case.feeds))


@way("entries")
def entries(e):
    """The model and one with identities put in as two entries of one artifact, which share what they have in common."""
    if isinstance(e.host(), engine.Outcome):
        return
    both = engine.compiled({"one": e.data, "other": identities.equivalent(e.case, e.random).SerializeToString()})
    e.same_bits("entries", engine.run_all(both, e.case.feeds, "one"), engine.run_all(e.host(), e.case.feeds))
    e.against_base("entries", engine.run_all(both, e.case.feeds, "other"))


@way("bound")
def bound(e):
    """The model with its weights bound, first others and then its own, between guard pages now and then."""
    model = engine.compiled(e.data, bind="all", target=e.random.choice(["host", "interpreter"]), guard_pages=e.random.random() < 0.3)
    if not isinstance(model, engine.Outcome):
        own = {t.name: onnx.numpy_helper.to_array(t) for t in e.case.model.graph.initializer}
        wanted = {c.name: own[c.name].astype(c.dtype) for c in model.constants}
        if not wanted:
            return e.skip("bound: no weights")
        model.bind({name: np.ones_like(value) for name, value in wanted.items()})
        engine.run_all(model, e.case.feeds)
        model.bind(wanted)
    e.against_base("bound", engine.run_all(model, e.case.feeds))


@way("states")
def with_states(e):
    """A model that changes a part of an input, or adds to one, three times with the input as a state and three times with it passed in
    and out: the same bits, in the interpreter and in generated code, and between guard pages."""
    grows = e.random.random() < 0.5
    made = (caches.grown if grows else states.updated)(e.case, e.random)
    if made is None:
        return e.skip("states: no input to change")
    model, *how = made
    past = caches.PAST if grows else how[0]
    data = model.SerializeToString()
    for target in ("interpreter", "host"):
        alone = engine.compiled(data, target=target)
        if isinstance(alone, engine.Outcome):
            if not alone.unsupported:
                e.report("states", "rejected", 0, alone.text)
            continue
        keeping = engine.compiled(data, target=target, states={past: states.PRESENT}, guard_pages=e.random.random() < 0.3)
        if isinstance(keeping, engine.Outcome):
            e.report("states", "rejected", 0, keeping.text)
            continue
        for at, feeds in enumerate(e.case.feeds):
            given = list(caches.steps(feeds, *how, e.random) if grows else states.steps(e.case, feeds, *how, e.random))
            for got, want in zip(states.kept(keeping, past, given), states.passed(alone, past, given)):
                if got.ok != want.ok or got.code != want.code:
                    e.report("states", "refused" if want.ok else "other error", at, got.text or f"no error; without states: {want.text}")
                elif got.ok:
                    for name in want.outputs:
                        if text := identical(got.outputs[name], want.outputs[name]):
                            e.report("states", "wrong", at, f"output {name} ({target}): {text}", name)


@way("values")
def with_values(e):
    """The model with some of its inputs and outputs in sequences and optionals: the interpreter, generated code, and either with guard
    pages."""
    if e.case.model.opset_import[0].version < 11:
        return e.skip("values: no sequences in this opset")
    made = values.Wrapped(e.case, e.random)
    data = made.model.SerializeToString()
    for target in ("interpreter", "host"):
        model = engine.compiled(data, target=target, shapes=made.shapes, guard_pages=e.random.random() < 0.3)
        for at, (feeds, want) in enumerate(zip(e.case.feeds, e.base)):
            got = made.outcome(engine.run(model, made.feeds(feeds)))
            if got.unsupported or want.unsupported:
                return e.skip("values: " + (got.text or want.text))
            e.compare("values", at, got, want)


@way("exposed")
def exposed(e):
    """The interpreter with every value an output, which no rewrite may then swallow."""
    outcomes = engine.run_all(engine.compiled(identities.exposed(e.case).SerializeToString(), target="interpreter"), e.case.feeds)
    e.against_base("exposed", outcomes)


@way("text")
def text(e):
    """Through IR text at a random stage: mostly one that the interpreter's way writes, now and then a later one of the host's."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = folder / "m.onnx"
        model.write_bytes(e.data)
        late = e.random.random() < 0.15
        if isinstance(engine.compiled(model, target="host" if late else "interpreter", dump_dir=folder / "dump"), engine.Outcome):
            return
        stages = sorted((folder / "dump").glob("*.mlir"))
        stage = e.random.choice([s for s in stages if late or s.stem.split("-")[1] in ("imported", "canonical", "optimized")])
        e.against_base("text", engine.run_all(engine.compiled(stage), e.case.feeds))


@way("ort")
def ort(e):
    """ONNX Runtime, where it is installed and takes the model."""
    if peer.onnxruntime is None:
        e.skip("ONNX Runtime is not installed")
    elif reason := peer.deviates(e.case):
        e.skip(f"ort: {reason}")
    elif (session := peer.session(e.data)) is None:
        e.skip("ort: does not take the model")
    else:
        for at, want in enumerate(e.base):
            got = peer.run(session, e.case.feeds[at])
            if got is None:
                e.skip("ort: does not take the inputs")
            elif want.ok:
                differing = [n for n, w in want.outputs.items() if difference(got.outputs[n], w)]
                judge = peer.standard(e.case, at) if differing else {}
                for name in differing:
                    if difference(got.outputs[name], want.outputs[name], peer.cancelled(want.outputs[name])) is None:
                        reason = "units in the last place of 1"
                    elif name in judge and difference(want.outputs[name], judge[name]) is None:
                        reason = "the standard's evaluator agrees with Kiln"
                    else:
                        continue
                    e.skip(f"ort: {reason}")
                    got.outputs[name] = want.outputs[name]
                e.compare("ort", at, got, want)


def closure(name):
    """The ways that a finding of this name needs to show again."""
    if name in ARTIFACT_WAYS:
        return ["artifact"]
    return [name] if name in WAYS else []


MATRICES = {
    "interpreter": [],
    "host": ["host"],
    "full": list(WAYS),
}


def examine(case, matrix, note=lambda way: None):
    e = Examination(case, note)
    if all(o.unsupported for o in e.base):
        e.skip("unsupported")
        e.skip(e.base[0].text)
    for name in matrix:
        with e.timed(name):
            WAYS[name](e)
    return e
