"""Compiling, loading and running models: the public functions over the extension `_kiln`, which wraps the C API."""

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from . import _kiln
from ._errors import input_error

_NUMPY = {name: np.dtype(name if name != "bool" else bool) for name in (
    "float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")}
_KNOWN = {*_NUMPY, "bfloat16"}
_KINDS = ("tensor", "sequence", "optional", "optional sequence")  # by kiln_port_kind


def _numpy_dtype(name):
    """The numpy type of a Kiln element type's numpy name; bfloat16 comes from the ml_dtypes package."""
    if name not in _NUMPY:
        import ml_dtypes
        _NUMPY[name] = np.dtype(getattr(ml_dtypes, name))
    return _NUMPY[name]


@dataclass(frozen=True)
class Port:
    """An input or output. `shape` holds an int for each fixed size and a text ("N", "N*3+1") for each other one.

    `kind`: "tensor"; "sequence": a list of arrays, of which dtype and shape are said (a size in which they differ is "?", the shape
    None where they differ in rank), and `length` of them, None where only a run tells; "optional": an array or None; "optional
    sequence": a list or None. `growing`: the axis along which a state grows, None for others.
    """

    name: str
    dtype: np.dtype
    shape: tuple
    kind: str = field(default="tensor", kw_only=True)
    length: int | None = field(default=None, kw_only=True)
    growing: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Constant(Port):
    """A constant that Model.bind gives. `bound`: whether it was given."""

    bound: bool


@dataclass(frozen=True)
class Entry:
    """One of the functions of a model that may be run. `states` holds the names of those that it reads or writes."""

    name: str
    inputs: tuple
    outputs: tuple
    states: tuple


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
            dump_dir=None, dump=(), without=(), choice_seed=None, guard_pages=False, opt_limit=None, states=None, memory_limit=None,
            bind=(), weights="embedded"):
    """Compile a model to run here and now.

    model: path of an ONNX file or of Kiln IR, or the bytes of one; or {entry's name: such} for several models, which become
        entries of one model and share weights of equal bytes.
    states: {input: output}: these two are one tensor, which outlives runs and is changed in place; it has the input's name.
        Where the output is the input and more along one axis, as with a cache that runs add to, the state grows.
        Entries that have either of them share it. See Model.new_state.
    bind: names of initializers that Model.bind gives, before runs and whenever they change, and that the artifact does not hold;
        of several models "entry:name" is one's own. "all": those of floating-point elements, more than one of them.
    weights: "embedded"; "external": weights stay in the model's files, which must stay where they are and as they are.
    threads: used for compiling and running; None or 0: the cores this process may use. Never changes results or artifact.
    target: "host", an instruction-set level with features such as "x86-64-v4+amx+vnni", or "interpreter" (reference kernels).
    shapes: {input: [size, ...]}, each size an int, a symbol's name, or a (low, high) range of an unknown size. Of several
        models "entry:input" is one's own. Of a sequence, the shape that all of its items have, however many; or under "x[0]",
        "x[1]" and so on the shape of each, which may differ: the sequence then has so many. Of an optional, that of its value.
    cache: path of a tuning cache, read only.
    precision: "default"; "strict" and "fast" are not built yet.
    require_compiled: refuse a model of which anything would run on reference kernels.
    dump_dir: directory to write every stage and kernel to.

    To find mistakes of the compiler (docs/debugging.md):
    dump: names of values inside the model that become outputs as well.
    without: names of what to leave out, such as ["fusion", "kernel:/conv1"]; `kiln compile --help` lists them.
    choice_seed: a number above 0: any legal configuration for each kernel, decided by it.
    guard_pages, memory_limit: as for load.
    opt_limit: how many rewrites the passes may do.

    Raises UnsupportedError for a model that needs what Kiln does not have, Error otherwise. Ctrl-C stops it.
    """
    options = {"threads": _thread_count(threads), "target": _text(str(target), "target"),
               "precision": _text(str(precision), "precision"),
               "shapes": [_text(f"{name}={_shape_text(name, sizes)}", "shape") for name, sizes in (shapes or {}).items()],
               "cache": None if cache is None else _path(cache), "require_compiled": bool(require_compiled),
               "dump_dir": None if dump_dir is None else _path(dump_dir), "dump": _names("dump", dump),
               "without": _names("without", without), "choice_seed": _choice_seed(choice_seed),
               "opt_limit": None if opt_limit is None else int(opt_limit),
               "bind": [_text(n, "constant") for n in _names("bind", ["all"] if bind == "all" else bind)],
               "weights": _text(str(weights), "weights"),
               "states": [_text(f"{past}={present}", "state") for past, present in (states or {}).items()]}
    models = model if isinstance(model, Mapping) else {"": model}
    compiled = _kiln.compile([_source(_text(str(entry), "entry"), one) for entry, one in models.items()], options)
    return Model(compiled, options["threads"], bool(guard_pages), _memory_limit(memory_limit))


def load(path, *, threads=None, verify=False, guard_pages=False, memory_limit=None):
    """Load an artifact. The file is mapped and must stay as it is while the model lives, and so must files that hold its weights.

    threads: as for compile.
    verify: compare the weights with their checksums too, which reads all of them; the rest is always checked.
    guard_pages: give every buffer of a run memory of its own between inaccessible pages, filled with NaN. A step that touches
        other memory then raises Error or crashes the process. Slow.
    memory_limit: the most bytes that a run may hold besides weights, inputs and states; one that needs more raises Error.
    """
    threads = _thread_count(threads)
    return Model(_kiln.load_file(_path(path), bool(verify)), threads, bool(guard_pages), _memory_limit(memory_limit))


class Model:
    """A compiled model, from kiln.compile or kiln.load. Immutable but for the constants that bind gives; may be run from several
    Python threads at once."""

    def __init__(self, handle, threads, guard_pages, memory_limit):
        self._handle = handle
        self._runner = _kiln.Runner(handle, threads, guard_pages, memory_limit)
        self._states = tuple(_port(p) for p in handle.states())
        self._entries = tuple(
            Entry(name, tuple(_port(p) for p in inputs), tuple(_port(p) for p in outputs), tuple(self._states[s].name for s in states))
            for name, inputs, outputs, states in handle.entries())
        # What a run looks up: number, names and kinds of inputs, names and types of outputs.
        self._ways = {e.name: (i, {p.name: p.kind for p in e.inputs}, [(p.name, p.dtype) for p in e.outputs])
                      for i, e in enumerate(self._entries)}
        self._first = self._entries[0].name

    @property
    def inputs(self):
        """The first entry's inputs, a tuple of Port (name, dtype, shape)."""
        return self._entries[0].inputs

    @property
    def outputs(self):
        """The first entry's outputs, a tuple of Port (name, dtype, shape)."""
        return self._entries[0].outputs

    @property
    def entries(self):
        """What may be run, a tuple of Entry (name, inputs, outputs, states)."""
        return self._entries

    @property
    def states(self):
        """The states of all entries, a tuple of Port (name, dtype, shape)."""
        return self._states

    def new_state(self, sizes=None, *, capacity=None):
        """Values for all states of the model, all zero, and empty those that grow (Port.growing): a State, for run's `state`.

        sizes: {name: value} of each size that the states' shapes name, but for those along which they grow.
        capacity: {name: elements} along their axes that states which grow are to have room for, or a number for all of them;
            what outgrows its room is moved, see State.bytes_copied.
        """
        state = State(self._states, _kiln.State(self._handle, {_text(str(k), "size"): operator.index(v) for k, v in (sizes or {}).items()}))
        for name, elements in (capacity.items() if isinstance(capacity, Mapping) else [] if capacity is None else [(None, capacity)]):
            state.reserve(elements, name)
        return state

    @property
    def constants(self):
        """The constants that bind gives, a tuple of Constant (name, dtype, shape, bound)."""
        return tuple(_port(port, Constant, bound) for port, bound in self._handle.constants())

    def bind(self, constants):
        """Bind constants, {name: array}, or bind them anew; all of them change at once. Others stay as they are.

        Arrays have the constant's type and shape, are read in place for as long as they are bound, and kept alive so long (one
        that is not contiguous is copied). What kernels read in another form is made here: bind an array again after it was
        written. Runs under way in other threads go on with what was bound when they began; meanwhile, write no array that is bound.
        """
        arrays = {_text(str(n), "constant"): np.asarray(a, order="C") for n, a in constants.items()}
        self._handle.bind([(n, _array(a, f"constant {n!r}"), a) for n, a in arrays.items()])

    def run(self, inputs, *, entry=None, state=None):
        """Run the model on {input name: array} and return {output name: array} in the graph's output order. What is no tensor
        (Port.kind) is a list of arrays for a sequence, and an array or None for an optional.

        Arrays must have the model's element types (no silent casts) and sizes that agree with its symbols; the items of a
        sequence of any length must have equal shapes. Contiguous arrays are read in place. Raises InputError when an input
        does not fit, UnsupportedError for items of unlike shapes in a sequence of any length.

        entry: the name of the one to run; None: the first.
        state: the State that the run reads and changes; required where the entry has states. One run at a time may use it:
            another one meanwhile raises Error. A run that fails or is cancelled leaves what it may have changed invalid.
        """
        try:
            number, kinds, output_types = self._ways[self._first if entry is None else entry]
        except KeyError:
            raise input_error(501, f"the model has no entry {entry!r}; it has {', '.join(map(repr, self._ways))}") from None
        if not isinstance(inputs, Mapping):
            raise TypeError(f"run takes one mapping of input names to arrays, such as {{{next(iter(kinds), 'name')!r}: array}}, "
                            f"not a {type(inputs).__name__}")
        if len(inputs) != len(kinds) or any(name not in inputs for name in kinds):
            _refuse_names(list(kinds), inputs)
        arrays = [_arrays(inputs[name], name, kind) for name, kind in kinds.items()]  # alive until the run is over
        values = [_value(a, f"input {n!r}") for a, n in zip(arrays, kinds)]
        results = self._runner.run(number, values, None if state is None else state._handle)
        return {name: _result(result, dtype) for (name, dtype), result in zip(output_types, results)}

    def cancel(self):
        """End all runs of this model that are under way, from another thread: each raises Error (code 518)."""
        self._runner.cancel()

    def save(self, path):
        """Write the artifact. The file appears complete or not at all."""
        self._handle.save(_path(path))

    def __repr__(self):
        def entry(e):
            return f"({_ports(e.inputs)}) -> ({_ports(e.outputs)})"
        if len(self._entries) == 1 and not self._states:
            return f"<kiln.Model {entry(self._entries[0])}>"
        entries = "; ".join(f"{e.name} {entry(e)}" for e in self._entries)
        return f"<kiln.Model {entries}; states {_ports(self._states)}>"


class State:
    """Values of a model's states, from Model.new_state: tensors that outlive runs, read and changed in place by runs that are
    given it. One run at a time works on it, from whichever thread; everything else meanwhile raises Error (code 522).

    A run that fails or is cancelled makes what it may have changed invalid: it cannot be read (code 521) until it is set,
    reset, or written as a whole by an entry that does not read it.
    """

    def __init__(self, ports, handle):
        self._ports = {p.name: p for p in ports}
        self._handle = handle

    @property
    def names(self):
        """The names of the states."""
        return tuple(self._ports)

    def __getitem__(self, name):
        """A copy of a state's value."""
        data, shape = self._handle.get(self._known(name))
        return data.view(self._ports[name].dtype).reshape(shape)

    def __setitem__(self, name, value):
        """Make a state the copy of an array of its type and shape, of any length along the axis that it grows along."""
        array = np.asarray(value, order="C")
        self._handle.set(self._known(name), _array(array, f"the value of state {name!r}"))

    def reserve(self, capacity, name=None):
        """Make room for so many elements along the axis that a state grows along; None: of all that grow."""
        self._handle.reserve(None if name is None else self._known(name), _count(capacity, "capacity"))

    def resize(self, length, name=None):
        """Give a state another number of elements along the axis that it grows along: take back the last ones, or add zeros;
        None: all that grow."""
        self._handle.resize(None if name is None else self._known(name), _count(length, "length"))

    def reset(self, name=None):
        """Make a state zero, and one that grows empty; None: all."""
        self._handle.reset(None if name is None else self._known(name))

    def valid(self, name):
        """Whether no run failed since that may have changed the state."""
        return self._handle.valid(self._known(name))

    def copy(self):
        """Another State of equal values, valid or not."""
        return State(self._ports.values(), self._handle.copy())

    @property
    def bytes_copied(self):
        """Bytes that copies moved out of or into states in the last run that ended well; 0 where all changed in place."""
        return self._handle.bytes_copied

    def __repr__(self):
        return f"<kiln.State {_ports(self._ports.values())}>"

    def _known(self, name):
        if name not in self._ports:
            raise input_error(501, f"the model has no state {name!r}; it has {', '.join(map(repr, self._ports)) or 'none'}")
        return name


def _count(value, what):
    if not 0 <= operator.index(value) < 2**63:
        raise ValueError(f"{what} must be from 0 to 2**63 - 1")
    return operator.index(value)


def _ports(some):
    def one(p):
        kind = "" if p.kind == "tensor" else f"{p.kind} of " if p.length is None else f"{p.kind} of {p.length} "
        return f"{p.name}: {kind}{p.dtype}[{'...' if p.shape is None else ', '.join(map(str, p.shape))}]"
    return ", ".join(map(one, some))


def _refuse_names(names, inputs):
    missing = [n for n in names if n not in inputs]
    unknown = [n for n in inputs if n not in names]
    problems = ([f"missing: {', '.join(map(repr, missing))}"] if missing else []) + \
               ([f"unknown: {', '.join(map(repr, unknown))}"] if unknown else [])
    raise input_error(502 if missing else 501, f"inputs do not fit the model: {'; '.join(problems)}; it takes "
                                               f"{', '.join(map(repr, names)) or 'none'}")


def _source(entry, model):
    """A model as the extension takes it: the entry's name, whether the bytes are a path, the bytes."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        return entry, False, bytes(model)
    return entry, True, _path(model)


def _port(port, of=Port, *more):
    name, dtype, shape, number, length, growing = port
    return of(name, _numpy_dtype(dtype), None if shape is None else tuple(shape), *more, kind=_KINDS[number],
              length=None if length < 0 else length, growing=None if growing < 0 else growing)


def _arrays(value, name, kind):
    """What is given for an input, as C-ordered arrays."""
    if value is None and kind.startswith("optional"):
        return None
    if kind.endswith("sequence"):
        if not isinstance(value, (list, tuple)):
            raise input_error(511, f"input {name!r} is a sequence: pass a list of arrays, not a {type(value).__name__}")
        return [np.asarray(item, order="C") for item in value]
    return np.asarray(value, order="C")


def _value(arrays, what):
    """The same as the extension takes it; `what` names it in errors."""
    if isinstance(arrays, list):
        return [_array(a, f"item {i} of {what}") for i, a in enumerate(arrays)]
    return None if arrays is None else _array(arrays, what)


def _result(result, dtype):
    """An output, of which the extension gives bytes and shapes."""
    if isinstance(result, tuple):
        data, shape = result
        return data.view(dtype).reshape(shape)
    return None if result is None else [_result(item, dtype) for item in result]


def _array(array, what):
    """A C-ordered array as the extension takes it; `what` names it in errors."""
    if not array.dtype.isnative:
        raise input_error(503, f"{what} has byte-swapped elements ({array.dtype.str}); convert it to native byte order")
    if array.dtype.name not in _KNOWN:
        raise input_error(503, f"{what} has elements of type {array.dtype}, which no Kiln model takes")
    return array.__array_interface__["data"][0], array.dtype.name, array.shape


def _memory_limit(limit):
    limit = 0 if limit is None else operator.index(limit)
    if not 0 <= limit < 2**63:
        raise ValueError(f"memory_limit must be a number of bytes from 1, or None, not {limit}")
    return limit


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
    """One input's sizes as the compiler reads them: 1,3,224 or N,3 or 1..64,3; a single one has a comma behind it."""
    if isinstance(sizes, str):
        raise TypeError(f"shapes[{name!r}] is a list of sizes such as [1, 3, 224, 224] or ['N', 3], not the text {sizes!r}")

    def one(size):
        if isinstance(size, str):
            return size
        if isinstance(size, (tuple, list)) and len(size) == 2:
            return f"{int(size[0])}..{int(size[1])}"
        return str(int(size))
    try:
        texts = [one(s) for s in sizes]
        return ",".join(texts) + ("," if len(texts) == 1 else "")
    except (TypeError, ValueError):
        raise ValueError(f"shapes[{name!r}]: each size is an int, a symbol's name or a (low, high) pair, not {sizes!r}") from None
