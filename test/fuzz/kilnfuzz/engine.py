"""Kiln as the ways see it: a model runs to outputs at each set of sizes, or says why not."""
import dataclasses
import re

import warnings

import kiln

warnings.filterwarnings("ignore", message=".*reference kernels", category=RuntimeWarning)


@dataclasses.dataclass
class Outcome:
    """Outputs of a run, or the error of a compilation or a run."""
    outputs: dict | None = None
    code: int = 0
    text: str = ""

    @property
    def ok(self):
        return self.outputs is not None

    @property
    def internal(self):
        return 900 <= self.code < 1000

    @property
    def unsupported(self):
        return 200 <= self.code < 300


def error_of(problem):
    """An Outcome of what Kiln raises."""
    text = str(problem)
    code = getattr(problem, "code", 0) or int((re.findall(r"KILN-E(\d{4})", text) or ["0"])[-1])
    return Outcome(code=code, text=text)


def compiled(model, **options):
    """A kiln.Model, or the Outcome that stands for all of its runs."""
    try:
        return kiln.compile(model, **{"threads": 1, **options})
    except kiln.Error as problem:
        return error_of(problem)


def run(model, feeds, entry=None, state=None):
    """The Outcome for one set of inputs; feeds that the model does not take are left out."""
    if isinstance(model, Outcome):
        return model
    try:
        ports = next(e.inputs for e in model.entries if entry in (None, e.name))
        return Outcome(model.run({p.name: feeds[p.name] for p in ports}, entry=entry, state=state))
    except kiln.Error as problem:
        return error_of(problem)


def run_all(model, feeds, entry=None):
    return [run(model, f, entry) for f in feeds]
