"""Findings on disk: a folder with the model, its inputs, the shrunk model and the command that shows it again."""
import collections
import json
import pathlib
import re

import numpy as np
import onnx

from . import shrink, ways
from .campaign import Examiner, apart
from .generate import Case, Known
from .sizes import Dim


def save(case, folder):
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(case.model, folder / "model.onnx")
    for i, feeds in enumerate(case.feeds):
        np.savez(folder / f"inputs{i}.npz", **{f"arr{k}": a for k, a in enumerate(feeds.values())})
    values = {n: [k.dtype, [[d.sizes, d.static] for d in k.dims], k.steers] for n, k in case.values.items()}
    (folder / "case.json").write_text(json.dumps({"seed": case.seed, "tags": sorted(case.tags), "inputs": list(case.feeds[0]), "values": values}))


def load(folder):
    about = json.loads((folder / "case.json").read_text())
    values = {n: Known(t, tuple(Dim(s, static) for s, static in dims), steers) for n, (t, dims, steers) in about["values"].items()}
    feeds = []
    for path in sorted(folder.glob("inputs*.npz")):
        arrays = np.load(path, allow_pickle=False)
        typed = (arrays[f"arr{k}"] for k in range(len(about["inputs"])))
        feeds.append({n: restore(a, values[n].dtype) for n, a in zip(about["inputs"], typed)})
    return Case(about["seed"], onnx.load(folder / "model.onnx"), feeds, frozenset(about["tags"]), values)


def restore(array, dtype):
    """npz knows no bfloat16: it comes back as bytes."""
    from . import dtypes
    return array.view(dtypes.NUMPY[dtype]) if array.dtype.kind == "V" else array


def describe(model):
    """The model in a line per node."""
    def attribute(a):
        value = onnx.helper.get_attribute_value(a)
        return f"{a.name}={'tensor' if isinstance(value, onnx.TensorProto) else value.decode() if isinstance(value, bytes) else value}"
    lines = []
    for port in model.graph.input:
        t = port.type.tensor_type
        dims = ", ".join(d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in t.shape.dim)
        lines.append(f"{port.name}: {onnx.TensorProto.DataType.Name(t.elem_type)}[{dims}]")
    for node in model.graph.node:
        attributes = ", ".join(attribute(a) for a in node.attribute)
        lines.append(f"{', '.join(node.output)} = {node.op_type}({', '.join(node.input)}){' {' + attributes + '}' if attributes else ''}")
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        lines.append(f"{tensor.name} = {array.dtype}{list(array.shape)}{' ' + str(array.tolist()) if array.size <= 8 else ''}")
    return lines + [f"opset {model.opset_import[0].version}; outputs: {', '.join(o.name for o in model.graph.output)}"]


def operators(model):
    return tuple(sorted(n.op_type for n in model.graph.node if n.op_type != "Constant"))


def plain(text):
    """An error's text without names and numbers: what makes it a kind."""
    text = re.sub(r"['\"][^'\"]*['\"]", "_", text)
    return re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "0", text)[:160]


def alike(f, finding):
    """Whether a finding is the same one. Texts of errors count, those of differences do not."""
    same_text = f.kind in ("wrong", "crash", "hang") or plain(f.detail) == plain(finding.detail)
    return f.way == finding.way and f.kind == finding.kind and same_text


def shrink_here(case, finding, seconds, loud):
    examiner = Examiner(ways.closure(finding.way))
    report = (lambda text: print(text, flush=True)) if loud else (lambda text: None)
    try:
        return shrink.shrink(case, lambda smaller: any(alike(f, finding) for f in examiner.findings(smaller)), report, seconds)
    finally:
        examiner.end()


def shrunk(case, finding, seconds=90, loud=False):
    """The smaller case that still shows the finding; the case itself where that takes too long. Nothing of it runs in this process."""
    return apart(seconds, shrink_here, case, finding, seconds - 15, loud) or case


class Record:
    """Findings of a campaign, each kind once."""

    def __init__(self, folder, shrink_most=20):
        self.folder, self.kinds, self.count, self.shrink_most = pathlib.Path(folder), {}, collections.Counter(), shrink_most

    def add(self, case, finding, command):
        """The folder of a finding of a new kind, or None."""
        rough = finding.way, finding.kind, plain(finding.detail) if finding.kind not in ("wrong", "crash", "hang") else ""
        if rough[2] and rough in self.kinds:
            self.count[self.kinds[rough]] += 1
            return None
        small = case
        if len(self.kinds) < self.shrink_most and finding.kind != "exception":
            small = shrunk(case, finding)
        exact = finding.way, finding.kind, rough[2] or operators(small.model)
        if exact in self.kinds:
            self.count[self.kinds[exact]] += 1
            return None
        folder = self.folder / f"{case.seed}-{finding.way}-{finding.kind.replace(' ', '-')}"
        self.kinds[exact] = self.kinds[rough] = folder.name
        self.count[folder.name] = 1
        save(case, folder / "whole")
        save(small, folder)
        text = [f"seed {case.seed}, {finding.way}: {finding.kind} at set {finding.at}", finding.detail, "", f"again: {command}",
                f"shrunk: test/fuzz/fuzz.py check {folder}", "", *describe(small.model)]
        (folder / "finding.txt").write_text("\n".join(text) + "\n")
        return folder
