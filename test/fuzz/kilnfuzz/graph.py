"""The graph under construction: values with what is known of them, and the ways to get an operand."""
import dataclasses
import random

import numpy as np
import onnx.helper as oh
from onnx import numpy_helper

from . import dtypes, sizes
from .sizes import Dim, SETS


@dataclasses.dataclass(eq=False)
class Value:
    """A tensor of the graph. Its elements lie in low..high, as far as an estimate can tell, and are multiples of `grid` where that is
    not None; `known` holds its elements at each set of sizes where sizes alone decide them."""
    name: str
    dtype: str
    dims: tuple
    low: float
    high: float
    grid: float | None = None
    known: tuple | None = None
    constant: bool = False
    source: bool = False  # an input or a constant
    told: bool = False    # an input whose elements are `known`: sizes that only its data tells

    @property
    def rank(self):
        return len(self.dims)

    @property
    def most(self):
        return max(abs(self.low), abs(self.high))


@dataclasses.dataclass(eq=False)
class Node:
    op: str
    inputs: list
    outputs: list
    attributes: dict
    domain: str = ""
    name: str = ""


class Reject(Exception):
    """The operator does not fit what is at hand; another one is tried."""


def require(condition):
    if not condition:
        raise Reject


@dataclasses.dataclass
class Input:
    value: Value
    declared: list  # an int or a symbol's name for each dim
    arrays: tuple | None = None  # its elements at each set of sizes, where they are no random ones


class Graph:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.opset = 21
        self.values, self.nodes, self.inputs = [], [], []
        self.initializers = {}  # name: array
        self.symbols = {}       # name: Dim
        self.usual = [sizes.random_size(self.random) for _ in range(4)]  # sizes recur within a model
        self.symbolic = self.random.choice([0, 0, 0.3, 0.6, 1])  # share of unknown sizes
        self.constants = self.random.choice([0.1, 0.3, 0.6])     # share of constants among new values
        self.data = self.random.choice([0, 0, 0, 0.2, 0.6])      # share of what steers an op that only data tells
        self.elements, self.work = (40000, 3000000) if self.random.random() < 0.05 else (3000, 300000)  # most of a tensor, of a product
        self.types = None       # types that this graph keeps to
        self.tags = set()       # reasons why a way may not be asked
        self.count = 0

    # --- names and sizes

    def name(self, stem="v"):
        self.count += 1
        return f"{stem}{self.count}"

    def chance(self, p):
        return self.random.random() < p

    def pick_one(self, options):
        return self.random.choice(list(options))

    def symbol(self, dim=None):
        """A new unknown size, or a name for the given sizes."""
        name = self.random.choice(sizes.NAMES)
        if name in self.symbols or self.chance(0.2):
            name = self.name(self.random.choice(["d", "u", "s", "N", "x_", "size "]))
        if name in self.symbols:
            name = self.name("symbol")
        self.symbols[name] = Dim(dim.sizes if dim else sizes.random_symbol_sizes(self.random))
        return self.symbols[name]

    def new_dim(self):
        if self.chance(self.symbolic):
            if self.symbols and self.chance(0.5):
                return self.pick_one(self.symbols.values())
            return self.symbol()
        if self.elements > 3000 and self.chance(0.4):
            return Dim.of(self.pick_one(sizes.LARGE))
        return Dim.of(0 if self.chance(0.01) else self.pick_one(self.usual) if self.chance(0.6) else sizes.random_size(self.random))

    def new_dims(self, rank):
        dims = [self.new_dim() for _ in range(rank)]
        while sizes.elements(dims) > self.elements:
            largest = max(range(rank), key=lambda i: dims[i].most)
            dims[largest] = Dim.of(self.random.choice([1, 2, 3, 4, 5]))
        return tuple(dims)

    def declare(self, dim):
        """How an input says this dim: a number, a symbol that has these sizes, or a new symbol."""
        if dim.static:
            return dim.sizes[0]
        if self.chance(0.12):
            return ""
        names = [n for n, d in self.symbols.items() if d == dim]
        if not names or self.chance(0.1):
            self.symbol(dim)
            names = [list(self.symbols)[-1]]
        return self.pick_one(names)

    # --- sources

    def new_dtype(self, allowed=dtypes.ANY):
        allowed = [t for t in allowed if self.types is None or t in self.types] or list(allowed)
        return self.random.choices(allowed, [dtypes.WEIGHTS[t] for t in allowed])[0]

    def source(self, dtype, dims, low=None, high=None, grid=None, constant=None):
        """A new input or constant. Without bounds: whatever the type's ops stand."""
        if low is None:
            low, high, grid = self.default_range(dtype, grid)
        if dtype == "bool":
            low, high, grid = 0, 1, 1
        elif dtype in dtypes.INTS:
            least, most = dtypes.integer_range(dtype)
            low, high, grid = max(int(low), least), min(int(high), most), 1
        static = all(d.fixed is not None for d in dims)
        if constant is None:
            constant = static and self.chance(self.constants)
        value = Value(self.name("c" if constant else "x"), dtype, tuple(dims), low, high, grid, source=True)
        if constant:
            require(static)
            value.dims = tuple(Dim.of(d.sizes[0]) for d in dims)
            self.add_constant(value, make_array(np.random.default_rng(self.random.getrandbits(32)), value, 0))
        else:
            self.inputs.append(Input(value, [self.declare(d) for d in dims]))
        self.values.append(value)
        return value

    def default_range(self, dtype, grid):
        if dtype == "bool":
            return 0, 1, 1
        if dtype in dtypes.INTS:
            low = 0 if dtype in dtypes.UNSIGNED else -9
            if self.chance(0.1):
                low, high = dtypes.integer_range(dtype)
                return low, high, 1
            return low, 12, 1
        if grid is None and self.chance(0.15):
            grid = 0.5
        return self.random.choice([(-3, 3), (-3, 3), (-1, 1), (0.25, 4), (-3, -0.125)]) + (grid,)

    def add_constant(self, value, array):
        """Gives a value fixed elements, as an initializer or as a Constant node."""
        value.constant = True
        if array.size <= 16 and array.dtype.kind in "iu":
            value.known = (array,) * SETS
        if self.chance(0.75) or (array.size > 64):
            self.initializers[value.name] = array
            return
        attributes = {"value": numpy_helper.from_array(array)}
        short = {"float32": "float", "int64": "int"}.get(array.dtype.name)
        if self.opset >= 12 and short and array.ndim < 2 and array.size and self.chance(0.5):
            attributes = {f"value_{short}{'s' if array.ndim else ''}": array.tolist()}
        self.nodes.append(Node("Constant", [], [value.name], attributes))

    def literal(self, number, dtype, rank=0):
        """A constant of one element."""
        array = np.full((1,) * rank, number, dtypes.NUMPY[dtype])
        number = float(array.reshape(-1)[0].astype(np.float64)) if dtype != "bool" else float(number)
        value = Value(self.name("k"), dtype, (Dim.of(1),) * rank, number, number, abs(number) or 1)
        if abs(number) not in (0, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 7, 8):
            value.grid = None
        self.add_constant(value, array)
        return value

    def ints(self, numbers, dtype="i64"):
        """A constant vector that steers an op."""
        numbers = list(numbers)
        value = Value(self.name("i"), dtype, (Dim.of(len(numbers)),), min(numbers, default=0), max(numbers, default=0), 1)
        self.add_constant(value, np.array(numbers, dtypes.NUMPY[dtype]))
        return value

    def constant(self, array):
        """These elements."""
        value = Value(self.name("k"), dtypes.NAMES[array.dtype], tuple(Dim.of(s) for s in array.shape), float(array.min()), float(array.max()))
        self.add_constant(value, array)
        return value

    def told(self, arrays, dims=None):
        """An input with these elements at each set of sizes. Without dims they have one shape."""
        arrays = tuple(np.asarray(a) for a in arrays)
        if dims is None:
            require(len({a.shape for a in arrays}) == 1)
            dims = [Dim.of(s) for s in arrays[0].shape]
        some = [a for a in arrays if a.size]
        low, high = min((a.min() for a in some), default=0), max((a.max() for a in some), default=0)
        value = Value(self.name("t"), dtypes.NAMES[arrays[0].dtype], tuple(dims), float(low), float(high), None, source=True, told=True)
        self.inputs.append(Input(value, [self.declare(d) for d in dims], arrays))
        return value

    def steer(self, numbers, dtype="i64"):
        """A vector that steers an op: constant, or known when the model runs."""
        if self.chance(self.data):
            return self.told_vector([np.array(list(numbers), dtypes.NUMPY[dtype])] * SETS)
        return self.ints(numbers, dtype)

    def told_vector(self, arrays):
        """The same of a vector that steers an op: as a whole, or joined of what is told and what is constant."""
        length = len(arrays[0])
        if length < 2 or self.chance(0.6):
            return self.told(arrays)
        cut, dtype = self.random.randint(1, length - 1), dtypes.NAMES[arrays[0].dtype]
        parts = [[a[:cut] for a in arrays], [a[cut:] for a in arrays]]
        kept = self.random.randrange(2)  # constant, where it is the same at all sets of sizes
        values = [self.ints(p[0], dtype) if i == kept and all((a == p[0]).all() for a in p) else self.told(p) for i, p in enumerate(parts)]
        bounds = Value("", dtype, (Dim.of(length),), min(v.low for v in values), max(v.high for v in values), 1, told=True)
        return self.node("Concat", values, [bounds], axis=0)

    def pick(self, dtypes=dtypes.FLOATS, rank=None, where=None, fresh=0.12):
        """A value of one of the types: recent ones first, or a new one. rank: a number or a (least, most)."""
        least, most = (0, 5) if rank is None else rank if isinstance(rank, tuple) else (rank, rank)
        fits = [v for v in self.values if v.dtype in dtypes and least <= v.rank <= most and (where is None or where(v))]
        if made := [v for v in fits if not v.source]:  # results rather than new beginnings: graphs shall be deep
            fits = made if self.chance(0.85) else fits
            fresh /= 2
        if fits and not self.chance(fresh):
            return self.random.choice(fits[-3:] if self.chance(0.6) else fits)
        for _ in range(8):
            dims = self.new_dims(self.random.choices(range(least, most + 1), [1 + 3 * (2 <= r <= 4) for r in range(least, most + 1)])[0])
            value = self.source(self.new_dtype(dtypes), dims)
            if where is None or where(value):
                return value
        raise Reject

    def same(self, x, dtype=None, **bounds):
        """Another value of the dims of x."""
        dtype = dtype or x.dtype
        fits = [v for v in self.values if v is not x and v.dtype == dtype and v.dims == x.dims] if not bounds else []
        if fits and self.chance(0.7):
            return self.random.choice(fits)
        return self.source(dtype, x.dims, **bounds)

    def partner(self, x, dtype=None, **bounds):
        """A value that broadcasts with x."""
        dtype = dtype or x.dtype
        fits = [v for v in self.values if v is not x and v.dtype == dtype and self.fits(x, v)] if not bounds else []
        if fits and self.chance(0.65):
            return self.random.choice(fits[-4:])
        if not bounds and self.chance(0.05):
            return x
        dims = list(x.dims)
        kind = self.random.random()
        if kind < 0.35 and dims:      # some dims of 1
            dims = [Dim.of(1) if self.chance(0.4) else d for d in dims]
        elif kind < 0.55 and dims:    # fewer dims
            dims = dims[self.random.randrange(1, len(dims) + 1):]
        elif kind < 0.62 and len(dims) < 5 and sizes.elements(dims) < 300:  # more dims
            dims = list(self.new_dims(1))[:1] + dims
        elif kind < 0.68 and dims:    # x itself broadcasts
            at = self.random.randrange(len(dims))
            if dims[at].is_(1):
                dims[at] = self.new_dim()
        require(sizes.elements(sizes.broadcast(x.dims, dims)) <= self.elements)
        return self.source(dtype, dims, **bounds)

    def fits(self, x, y):
        dims = sizes.broadcast(x.dims, y.dims)
        return dims is not None and sizes.elements(dims) <= self.elements

    # --- nodes

    def node(self, op, inputs, results, domain="", **attributes):
        """Adds a node. results: a Value without a name for each output (None: an output that is left out)."""
        for result in results:
            if result is None:
                continue
            require(sizes.elements(result.dims) <= 4 * self.elements)
            if result.dtype in dtypes.FLOATS:
                require(result.most <= dtypes.LARGEST[result.dtype])
        outputs = []
        for result in results:
            if result is not None:
                result.name = self.name()
            outputs.append(result.name if result is not None else "")
        inputs = [i.name if i is not None else "" for i in inputs]
        while inputs and inputs[-1] == "":
            inputs.pop()
        attributes = {k: v for k, v in attributes.items() if v is not None and v != []}
        self.nodes.append(Node(op, inputs, outputs, attributes, domain, self.name(f"{op}_") if self.chance(0.8) else ""))
        self.values += [r for r in results if r is not None]
        return results[0] if len(results) == 1 else results

    def emit(self, op, inputs, like, **attributes):
        """A node whose result is as `like`: dtype, dims and bounds of a Value that is at hand."""
        return self.node(op, inputs, [dataclasses.replace(like, name="", known=None, constant=False, source=False)], **attributes)


def freed(operands, dims):
    """Dims of a result that are no numbers when compiling if an operand tells them."""
    return [Dim(d.sizes) for d in dims] if any(v is not None and v.told for v in operands) else dims


def result(dtype, dims, low, high, grid=None, known=None):
    return Value("", dtype, tuple(dims), low, high, grid, known)


def make_array(rng, value, at):
    """Elements for a source, at one set of sizes."""
    return np.asarray(random_elements(rng, value, at))


def random_elements(rng, value, at):
    shape = tuple(d.sizes[at] for d in value.dims)
    dtype = dtypes.NUMPY[value.dtype]
    if value.dtype == "bool":
        return rng.random(shape) < 0.5
    if value.dtype in dtypes.INTS:
        return rng.integers(int(value.low), int(value.high), shape, dtype, endpoint=True)
    if value.grid:
        steps = rng.integers(int(np.ceil(value.low / value.grid)), int(np.floor(value.high / value.grid)), shape, endpoint=True)
        return (steps * value.grid).astype(dtype)
    if value.low < 0 < value.high:
        normal = rng.standard_normal(shape) * (min(-value.low, value.high) / 3)
        return np.clip(normal, value.low, value.high).astype(dtype)
    return rng.uniform(value.low, value.high, shape).astype(dtype)


def model_of(graph, outputs):
    """The ONNX model with these values as outputs."""
    def info(value, declared):
        return oh.make_tensor_value_info(value.name, dtypes.ONNX[value.dtype], declared)
    inputs = [info(i.value, i.declared) for i in graph.inputs]
    ports = []
    for v in outputs:
        kind = graph.random.random()
        declared = None if kind < 0.4 else [d.sizes[0] if d.static and kind < 0.8 else None for d in v.dims]
        ports.append(info(v, declared))
    nodes = [oh.make_node(n.op, n.inputs, n.outputs, name=n.name, domain=n.domain, **n.attributes) for n in graph.nodes]
    tensors = [numpy_helper.from_array(a, n) for n, a in graph.initializers.items()]
    proto = oh.make_graph(nodes, "fuzz", inputs, ports, tensors)
    old = graph.chance(0.05)
    if old:  # old models list initializers among the inputs
        for tensor in tensors:
            proto.input.append(oh.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    imports = [oh.make_opsetid("", graph.opset)]
    return oh.make_model(proto, opset_imports=imports, ir_version=3 if old else 8 if graph.opset < 21 else 10)
