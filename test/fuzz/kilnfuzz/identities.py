"""Other models that compute the same: identities put in at random places (the idea is PolyJuice's), values shown as outputs, nodes moved into
functions."""
import copy

import numpy as np
import onnx.helper as oh
from onnx import numpy_helper

from . import dtypes

COMMUTATIVE = {"Add", "Mul", "Max", "Min", "And", "Or", "Xor", "Equal", "Sum", "Mean", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}


class Rewriter:
    """Puts nodes between a value and one of its readers."""

    def __init__(self, case, random):
        self.case, self.random = case, random
        self.model = copy.deepcopy(case.model)
        self.graph = self.model.graph
        self.opset = self.model.opset_import[0].version
        self.count = 0

    def name(self):
        self.count += 1
        return f"same{self.count}"

    def constant(self, array):
        name = self.name()
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *numbers):
        return self.constant(np.array(numbers, np.int64))

    def node(self, op, inputs, **attributes):
        """Name of the node's result; nodes gather in self.added."""
        result = self.name()
        self.added.append(oh.make_node(op, inputs, [result], **attributes))
        return result

    def edges(self):
        """(node, operand) of which the operand may be replaced by an equal value."""
        result = []
        for at, node in enumerate(self.graph.node):
            for i, name in enumerate(node.input):
                known = self.case.values.get(name)
                if known and not known.steers and (i == 0 or known.dtype in dtypes.FLOATS) and self.opset >= 7:
                    result.append((at, i, known))
        return result

    def rewrite(self):
        """One identity at one place; False where none fits."""
        edges = self.edges()
        if not edges:
            return False
        at, i, known = self.random.choice(edges)
        node = self.graph.node[at]
        options = [f for f in IDENTITIES if f.since <= self.opset and f.fits(known)]
        self.added = []
        node.input[i] = self.random.choice(options).make(self, node.input[i], known)
        nodes = list(self.graph.node)
        nodes[at:at] = self.added
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        return True

    def rewrite_node(self):
        """One node replaced by several that compute the same; False where none fits."""
        places = [i for i, n in enumerate(self.graph.node) if n.op_type in SPELLINGS and all(x in self.case.values for x in n.input)]
        if not places or self.opset < 13:
            return False
        at = self.random.choice(places)
        node = self.graph.node[at]
        self.added = []
        result = SPELLINGS[node.op_type](self, node, [self.case.values[x] for x in node.input])
        if result is None:
            return False
        self.added[-1].output[0] = node.output[0]
        nodes = list(self.graph.node)
        nodes[at:at + 1] = self.added
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        return True

    def swap_operands(self):
        for node in self.graph.node:
            if node.op_type in COMMUTATIVE and self.opset >= 7 and self.random.random() < 0.5:
                names = list(node.input)
                self.random.shuffle(names)
                node.input[:] = names


class Identity:
    def __init__(self, make, fits, since):
        self.make, self.fits, self.since = make, fits, since


IDENTITIES = []


def identity(fits=lambda known: True, since=7):
    def register(make):
        IDENTITIES.append(Identity(make, fits, since))
        return make
    return register


def is_number(known):
    return known.dtype != "bool"


def is_signed(known):
    return known.dtype in dtypes.FLOATS + dtypes.SIGNED


def is_float(known):
    return known.dtype in dtypes.FLOATS


def filled(known):
    return all(d.least > 0 for d in known.dims)


def neutral(r, known, number):
    dims = [1] * r.random.choice([0, 0, 1, len(known.dims)])
    return r.constant(np.full(dims[:len(known.dims)], number, dtypes.NUMPY[known.dtype]))


@identity(is_number)
def plus_zero(r, x, known):
    zero = neutral(r, known, r.random.choice([0.0, -0.0]))
    return r.node("Sub" if r.random.random() < 0.3 else "Add", [x, zero])


@identity(is_number)
def times_one(r, x, known):
    return r.node("Div" if r.random.random() < 0.3 else "Mul", [x, neutral(r, known, 1)])


@identity(is_signed)
def twice_negated(r, x, known):
    return r.node("Neg", [r.node("Neg", [x])])


@identity(lambda known: known.dtype == "bool")
def twice_not(r, x, known):
    return r.node("Not", [r.node("Not", [x])])


@identity(lambda known: len(known.dims) > 0)
def transposed_back(r, x, known):
    perm = list(range(len(known.dims)))
    r.random.shuffle(perm)
    back = [perm.index(i) for i in range(len(perm))]
    return r.node("Transpose", [r.node("Transpose", [x], perm=perm)], perm=back)


@identity(lambda known: any(d.least >= 1 for d in known.dims), since=13)
def split_and_joined(r, x, known):
    axis = r.random.choice([i for i, d in enumerate(known.dims) if d.least >= 1])
    cut = r.random.randint(1, known.dims[axis].least)
    first = r.node("Slice", [x, r.ints(0), r.ints(cut), r.ints(axis)])
    rest = r.node("Slice", [x, r.ints(cut), r.ints(2**31), r.ints(axis)])
    return r.node("Concat", [first, rest], axis=axis)


@identity(lambda known: any(d.static and 1 <= d.least <= 20 for d in known.dims), since=11)
def split_and_joined_as_sequence(r, x, known):
    axis = r.random.choice([i for i, d in enumerate(known.dims) if d.static and 1 <= d.least <= 20])
    size = known.dims[axis].least
    cut = r.random.randint(1, size)
    sizes = r.ints(cut, size - cut)
    if all(d.static for d in known.dims) and r.random.random() < 0.5:
        x = r.node("Reshape", [x, r.ints(*(d.least for d in known.dims))])  # how many parts there are must be known when compiling
        sizes = r.constant(np.array(cut, np.int64))
    return r.node("ConcatFromSequence", [r.node("SplitToSequence", [x, sizes], axis=axis)], axis=axis)


@identity(lambda known: any(1 <= d.least for d in known.dims) and known.dtype != "bf16", since=11)
def split_to_rows_and_joined(r, x, known):
    axis = r.random.choice([i for i, d in enumerate(known.dims) if 1 <= d.least])
    keep = r.random.randint(0, 1)
    parts = r.node("SplitToSequence", [x], axis=axis, keepdims=keep)
    return r.node("ConcatFromSequence", [parts], axis=axis, new_axis=1 - keep)


@identity(lambda known: known.dtype != "bf16", since=11)
def picked_from_sequence(r, x, known):
    other = r.node("Identity", [x])
    items = r.node("SequenceConstruct", [other, x])
    longer = r.node("SequenceInsert", [items, other, r.constant(np.array(r.random.choice([0, 2, -1]), np.int64))])
    shorter = r.node("SequenceErase", [longer, r.constant(np.array(r.random.choice([0, 1, 2, -3]), np.int64))])
    return r.node("SequenceAt", [shorter, r.constant(np.array(r.random.choice([0, 1, -1, -2]), np.int64))])


@identity(filled, since=13)
def flattened_and_back(r, x, known):
    return r.node("Reshape", [r.node("Reshape", [x, r.ints(-1)]), r.node("Shape", [x])])


@identity(since=13)
def unsqueezed_and_back(r, x, known):
    axis = r.random.randint(0, len(known.dims))
    return r.node("Squeeze", [r.node("Unsqueeze", [x, r.ints(axis)]), r.ints(axis)])


@identity(since=9)
def chosen(r, x, known):
    if r.random.random() < 0.5:
        return r.node("Where", [r.constant(np.array(True)), x, r.constant(np.zeros([], dtypes.NUMPY[known.dtype]))])
    always = r.node("Equal", [r.constant(np.array(1, np.int64)), r.constant(np.array(1, np.int64))])
    return r.node("Where", [always, x, x])


@identity(lambda known: known.dtype in ("f32", "f16", "bf16", "i32", "i8", "u8", "i16", "bool"), since=13)
def cast_and_back(r, x, known):
    wider = {"f32": "f64", "f16": "f32", "bf16": "f32", "i32": "i64", "i8": "i32", "u8": "i32", "i16": "f32", "bool": "i32"}[known.dtype]
    to = [dtypes.ONNX[t] for t in (wider, known.dtype)]
    return r.node("Cast", [r.node("Cast", [x], to=to[0])], to=to[1])


@identity(is_float, since=8)
def most_of_itself(r, x, known):
    return r.node(r.random.choice(["Max", "Min", "Mean"]), [x, x])


@identity(since=13)
def moved_nowhere(r, x, known):
    kind = r.random.choice(["Identity", "Expand", "Tile", "Concat", "Pad"])
    rank = len(known.dims)
    if kind == "Expand":
        return r.node("Expand", [x, r.node("Shape", [x]) if r.random.random() < 0.5 else r.ints(*[1] * rank)])
    if kind == "Tile":
        return r.node("Tile", [x, r.ints(*[1] * rank)])
    if kind == "Concat" and rank:
        return r.node("Concat", [x], axis=r.random.randrange(rank))
    if kind == "Pad" and rank and known.dtype != "bool":
        return r.node("Pad", [x, r.ints(*[0] * 2 * rank)])
    return r.node("Identity", [x])


@identity(is_float)
def half_twice(r, x, known):
    half = r.node("Mul", [x, neutral(r, known, 0.5)])
    return r.node("Add", [half, half])


def swapped(r, x, known):
    rank = len(known.dims)
    return r.node("Transpose", [x], perm=[*range(rank - 2), rank - 1, rank - 2])


def other_product(r, node, operands):
    """b' a' transposed; or the sum of the products of two parts."""
    a, b = operands
    if len(a.dims) < 2 or len(b.dims) < 2 or a.dtype not in dtypes.FLOATS:
        return None
    inner = a.dims[-1].least
    if r.random.random() < 0.5 or inner < 2 or b.dims[-2] != a.dims[-1]:
        rank = max(len(a.dims), len(b.dims))
        product = r.node("MatMul", [swapped(r, node.input[1], b), swapped(r, node.input[0], a)])
        return r.node("Transpose", [product], perm=[*range(rank - 2), rank - 1, rank - 2])
    cut = r.random.randint(1, inner - 1)
    parts = []
    for start, end in ((0, cut), (cut, 2**31)):
        left = r.node("Slice", [node.input[0], r.ints(start), r.ints(end), r.ints(-1)])
        parts.append(r.node("MatMul", [left, r.node("Slice", [node.input[1], r.ints(start), r.ints(end), r.ints(-2)])]))
    return r.node("Add", parts)


def bias_apart(r, node, operands):
    """The bias of a convolution added behind it."""
    if len(operands) < 3:
        return None
    conv = r.node("Conv", node.input[:2])
    r.added[-1].attribute.extend(node.attribute)
    dims = [1, -1] + [1] * (len(operands[0].dims) - 2)
    return r.node("Add", [conv, r.node("Reshape", [node.input[2], r.ints(*dims)])])


def negated_sum(r, node, operands):
    return r.node("Add", [node.input[0], r.node("Neg", [node.input[1]])]) if is_signed(operands[0]) else None


def moved_factor(r, node, operands):
    """(2 a) (b / 2)"""
    if operands[0].dtype != "f32":
        return None
    return r.node("Mul", [r.node("Mul", [node.input[0], neutral(r, operands[0], 2)]), r.node("Mul", [node.input[1], neutral(r, operands[1], 0.5)])])


def greatest(r, node, operands):
    return r.node("Max", [node.input[0], neutral(r, operands[0], 0)]) if is_number(operands[0]) else None


def shifted_softmax(r, node, operands):
    shifted = r.node("Add", [node.input[0], neutral(r, operands[0], 1)])
    result = r.node("Softmax", [shifted])
    r.added[-1].attribute.extend(node.attribute)
    return result


SPELLINGS = {"MatMul": other_product, "Conv": bias_apart, "Sub": negated_sum, "Mul": moved_factor, "Relu": greatest, "Softmax": shifted_softmax}


def equivalent(case, random):
    """A model with one to four identities put in, and operands swapped."""
    r = Rewriter(case, random)
    for _ in range(random.randint(1, 4)):
        if random.random() < 0.35:
            r.rewrite_node()
        else:
            r.rewrite()
    r.swap_operands()
    return r.model


def exposed(case):
    """The model with every value of a node as an output: no rewrite may swallow it."""
    model = copy.deepcopy(case.model)
    shown = {o.name for o in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in shown and name in case.values and node.op_type != "Constant":
                known = case.values[name]
                model.graph.output.append(oh.make_tensor_value_info(name, dtypes.ONNX[known.dtype], None))
    return model


def with_functions(case, random):
    """The model with one to three neighbouring nodes, a few times, moved into functions of it."""
    model = copy.deepcopy(case.model)
    graph = model.graph
    for index in range(random.randint(1, 2)):
        places = [i for i, n in enumerate(graph.node) if n.op_type != "Constant" and not n.domain]
        if not places:
            break
        first = random.choice(places)
        body = []
        for node in graph.node[first:first + random.randint(1, 3)]:
            if node.domain or node.op_type == "Constant":
                break
            body.append(node)
        inside = {name for n in body for name in n.output if name}
        inputs = list(dict.fromkeys(name for n in body for name in n.input if name and name not in inside))
        read = {name for n in graph.node if n not in body for name in n.input} | {o.name for o in graph.output}
        outputs = [name for n in body for name in n.output if name in read]
        if not outputs:
            continue
        function = f"Part{index}"
        model.functions.append(oh.make_function("local", function, inputs, outputs, body, [oh.make_opsetid("", model.opset_import[0].version)]))
        nodes = list(graph.node)
        nodes[first:first + len(body)] = [oh.make_node(function, inputs, outputs, domain="local", name=f"call {index}")]
        del graph.node[:]
        graph.node.extend(nodes)
    if model.functions:
        model.opset_import.append(oh.make_opsetid("local", 1))
        model.ir_version = max(model.ir_version, 8)
    return model
