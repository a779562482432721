"""Random models in all ways that must agree: from a fixed seed, and from one that changes with every commit."""
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "fuzz"), str(ROOT / "build" / "python")]

from kilnfuzz import campaign, generate, grammar, ways, windows  # noqa: E402

# ONNX operators that the grammar leaves out, with the reason.
LEFT_OUT = {
    **{f"com.microsoft.{name}": "what is rounded to bytes is not exact, so its last digit decides" for name in (
        "QLinearSigmoid", "QLinearSoftmax", "QLinearReduceMean", "QLinearGlobalAveragePool", "DynamicQuantizeMatMul")},
    "com.microsoft.DynamicQuantizeLSTM": "an LSTM (which is in it) of dequantized weights",
}


def commit_seed():
    """A seed made of the commit's hash; a fixed one where there is no git."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 424242
    return int(commit[:10], 16)


def examined(make, seeds, matrix):
    """The text of all findings, with the command that shows each again."""
    lines = []
    for seed, found, *_ in campaign.campaign(make, seeds, matrix, campaign.cores()):
        for f in found:
            mode = " --mode windows" if make is windows.chain else ""
            lines.append(f"seed {seed}: {f.way}: {f.kind}: {f.detail}\n  again: test/fuzz/fuzz.py one {seed}{mode} --matrix {f.way if f.way in ways.WAYS else 'full'}")
    return "\n".join(lines)


@pytest.mark.parametrize("seed, count", [(7_000_000, 300), (commit_seed(), 100)], ids=["fixed", "commit"])
def test_random_graphs(seed, count):
    found = examined(generate.generate, range(seed, seed + count), ways.MATRICES["full"])
    assert not found, found


def test_chains_of_windows():
    found = examined(windows.chain, range(8_000_000, 8_000_040), ["host"])
    assert not found, found


def test_every_operator_is_in_the_grammar():
    table = (ROOT / "docs" / "onnx.md").read_text().split("| operator | since |")[1]
    imported = set(re.findall(r"^\| (\w+|com\.microsoft\.\w+) \| \d+ \|$", table, re.MULTILINE))
    assert len(imported) > 100
    assert imported - grammar.operators() == set(LEFT_OUT)


def test_a_seed_makes_one_case():
    for seed in range(20):
        a, b = generate.generate(seed), generate.generate(seed)
        assert a.model.SerializeToString() == b.model.SerializeToString()
        assert all((x[n] == y[n]).all() for x, y in zip(a.feeds, b.feeds) for n in x)
