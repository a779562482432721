"""Compiling, loading and running models: the public functions over the extension `_kiln`, which wraps the C API."""

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from . import _kiln
from ._errors import input_error

_NUMPY = {name: np.dtype(name if name != "bool" else bool) for name in (
    "float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")}
_KNOWN = {*_NUMPY, "bfloat16"}


def _numpy_dtype(name):
    """The numpy type of a Kiln element type's numpy name; bfloat16 comes from the ml_dtypes package."""
    if name not in _NUMPY:
        import ml_dtypes
        _NUMPY[name] = np.dtype(getattr(ml_dtypes, name))
    return _NUMPY[name]


@dataclass(frozen=True)
class Port:
    """An input or output. `shape` holds an int for each fixed size and a text ("N", "N*3+1") for each other one."""

    name: str
    dtype: np.dtype
    shape: tuple


def _path(path):
    """A path as the library takes it: bytes, whatever their encoding."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("a path holds a null character")
    return encoded


def _text(text, what):
    """A text as the library takes it: UTF-8 without null characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} {text!r} is not valid Unicode") from None
    if "\0" in text:
        raise ValueError(f"{what} {text!r} holds a null character")
    return text


def compile(model, *, threads=None, target="host", shapes=None, cache=None, precision="default", require_compiled=False,
            dump_dir=None, dump=(), without=(), choice_seed=None, guard_pages=False, opt_limit=None):
    """Compile a model to run here and now.

    model: path of an ONNX file or of Kiln IR, or the bytes of one.
    threads: used for compiling and running; None or 0: the cores this process may use. Never changes results or artifact.
    target: "host", an instruction-set level with features such as "x86-64-v4+bf16+vnni", or "interpreter" (reference kernels).
    shapes: {input: [size, ...]}, each size an int, a symbol's name, or a (low, high) range of an unknown size.
    cache: path of a tuning cache, read only.
    precision: "default"; "strict" and "fast" are not built yet.
    require_compiled: refuse a model of which anything would run on reference kernels.
    dump_dir: directory to write every stage and kernel to.

    To find mistakes of the compiler (docs/debugging.md):
    dump: names of values inside the model that become outputs as well.
    without: names of what to leave out, such as ["fusion", "kernel:/conv1"]; `kiln compile --help` lists them.
    choice_seed: a number above 0: any legal configuration for each kernel, decided by it.
    guard_pages: as for load.
    opt_limit: how many rewrites the passes may do.

    Raises UnsupportedError for a model that needs what Kiln does not have, Error otherwise. Ctrl-C stops it.
    """
    options = {"threads": _thread_count(threads), "target": _text(str(target), "target"),
               "precision": _text(str(precision), "precision"),
               "shapes": [_text(f"{name}={_shape_text(name, sizes)}", "shape") for name, sizes in (shapes or {}).items()],
               "cache": None if cache is None else _path(cache), "require_compiled": bool(require_compiled),
               "dump_dir": None if dump_dir is None else _path(dump_dir), "dump": _names("dump", dump),
               "without": _names("without", without), "choice_seed": _choice_seed(choice_seed),
               "opt_limit": None if opt_limit is None else int(opt_limit)}
    if isinstance(model, (bytes, bytearray, memoryview)):
        compiled = _kiln.compile_bytes(bytes(model), options)
    else:
        compiled = _kiln.compile_file(_path(model), options)
    return Model(compiled, options["threads"], bool(guard_pages))


def load(path, *, threads=None, verify=False, guard_pages=False):
    """Load an artifact. The file is mapped and must stay as it is while the model lives.

    threads: as for compile.
    verify: compare the weights with their checksums too, which reads all of them; the rest is always checked.
    guard_pages: give every buffer of a run memory of its own between inaccessible pages, filled with NaN. A step that touches
        other memory then raises Error or crashes the process. Slow.
    """
    threads = _thread_count(threads)
    return Model(_kiln.load_file(_path(path), bool(verify)), threads, bool(guard_pages))


class Model:
    """A compiled model, from kiln.compile or kiln.load. Immutable; may be run from several Python threads at once."""

    def __init__(self, handle, threads, guard_pages):
        self._handle = handle
        self._runner = _kiln.Runner(handle, threads, guard_pages)
        self._inputs = tuple(_port(p) for p in handle.inputs())
        self._outputs = tuple(_port(p) for p in handle.outputs())
        self._input_names = [p.name for p in self._inputs]
        self._output_types = [(p.name, p.dtype) for p in self._outputs]

    @property
    def inputs(self):
        """The inputs, a tuple of Port (name, dtype, shape)."""
        return self._inputs

    @property
    def outputs(self):
        """The outputs, a tuple of Port (name, dtype, shape)."""
        return self._outputs

    def run(self, inputs):
        """Run the model on {input name: array} and return {output name: array} in the graph's output order.

        Arrays must have the model's element types (no silent casts) and sizes that agree with its symbols. Contiguous arrays
        are read in place. Raises InputError when an input does not fit.
        """
        if not isinstance(inputs, Mapping):
            raise TypeError(f"run takes one mapping of input names to arrays, such as {{{self._input_names[0] if self._input_names else 'name'!r}: array}}, "
                            f"not a {type(inputs).__name__}")
        if len(inputs) != len(self._input_names) or any(name not in inputs for name in self._input_names):
            self._refuse_names(inputs)
        arrays = [np.asarray(inputs[name], order="C") for name in self._input_names]
        values = [(a.__array_interface__["data"][0], _dtype_name(a, n), a.shape) for a, n in zip(arrays, self._input_names)]
        results = self._runner.run(values)
        return {name: data.view(dtype).reshape(shape) for (name, dtype), (data, shape) in zip(self._output_types, results)}

    def save(self, path):
        """Write the artifact. The file appears complete or not at all."""
        self._handle.save(_path(path))

    def __repr__(self):
        def ports(some):
            return ", ".join(f"{p.name}: {p.dtype}[{', '.join(map(str, p.shape))}]" for p in some)
        return f"<kiln.Model ({ports(self.inputs)}) -> ({ports(self.outputs)})>"

    def _refuse_names(self, inputs):
        missing = [n for n in self._input_names if n not in inputs]
        unknown = [n for n in inputs if n not in self._input_names]
        problems = ([f"missing: {', '.join(map(repr, missing))}"] if missing else []) + \
                   ([f"unknown: {', '.join(map(repr, unknown))}"] if unknown else [])
        raise input_error(502 if missing else 501, f"inputs do not fit the model: {'; '.join(problems)}; it takes "
                                                   f"{', '.join(map(repr, self._input_names)) or 'none'}")


def _port(port):
    name, dtype, shape = port
    return Port(name, _numpy_dtype(dtype), tuple(shape))


def _dtype_name(array, name):
    if not array.dtype.isnative:
        raise input_error(503, f"input {name!r} has byte-swapped elements ({array.dtype.str}); convert it to native byte order")
    if array.dtype.name not in _KNOWN:
        raise input_error(503, f"input {name!r} has elements of type {array.dtype}, which no Kiln model takes")
    return array.dtype.name


def _thread_count(threads):
    count = 0 if threads is None else operator.index(threads)
    if not 0 <= count <= 1024:
        raise ValueError(f"threads must be 0 (the cores this process may use) to 1024, not {count}")
    return count


def _names(argument, names):
    if isinstance(names, str):
        raise TypeError(f"{argument} is a list of names, not the text {names!r}")
    return [str(name) for name in names]


def _choice_seed(seed):
    if seed is None:
        return 0
    if not 0 < int(seed) < 2**64:
        raise ValueError(f"choice_seed must be a number from 1 to 2**64 - 1, not {seed}")
    return int(seed)


def _shape_text(name, sizes):
    """One input's sizes as the compiler reads them: 1,3,224 or N,3 or 1..64,3."""
    if isinstance(sizes, str):
        raise TypeError(f"shapes[{name!r}] is a list of sizes such as [1, 3, 224, 224] or ['N', 3], not the text {sizes!r}")

    def one(size):
        if isinstance(size, str):
            return size
        if isinstance(size, (tuple, list)) and len(size) == 2:
            return f"{int(size[0])}..{int(size[1])}"
        return str(int(size))
    try:
        return ",".join(one(s) for s in sizes)
    except (TypeError, ValueError):
        raise ValueError(f"shapes[{name!r}]: each size is an int, a symbol's name or a (low, high) pair, not {sizes!r}") from None
