"""Models that compute the same with neighbouring nodes moved into branches and loops, so that what follows may have to wait for sizes
that only a run tells."""
import copy

import numpy as np
import onnx.helper as oh
from onnx import numpy_helper

from . import dtypes


def captured(graph):
    """Names that a graph's nodes use from outside."""
    inside = {i.name for i in graph.input} | {i.name for i in graph.initializer} | {o for n in graph.node for o in n.output}
    return reads(graph.node) - inside


def reads(nodes):
    """Names that nodes use, those in graphs inside them among these."""
    names = {name for n in nodes for name in n.input if name}
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                names |= captured(attribute.g)
    return names


class ControlFlow:
    def __init__(self, case, random):
        self.case, self.random = case, random
        self.model = copy.deepcopy(case.model)
        self.graph = self.model.graph
        self.count = 0

    def name(self):
        self.count += 1
        return f"control{self.count}"

    def constant(self, array):
        name = self.name()
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, inputs, **attributes):
        result = self.name()
        self.added.append(oh.make_node(op, inputs, [result], **attributes))
        return result

    def body(self, nodes, results, name, before=(), outputs=(), inputs=(), replaced=None, appended=()):
        """The nodes as a graph of their own, whose values have other names, and so have those that are `replaced`. `appended`: (value, sequence, the
        sequence with it)."""
        renamed = {o: self.name() for n in nodes for o in n.output if o} | (replaced or {})
        inner = list(before)
        for original in nodes:
            node = copy.deepcopy(original)
            for names in (node.input, node.output):
                names[:] = [renamed.get(n, n) for n in names]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self.rename_captured(attribute.g, renamed)
            inner.append(node)
        inner += [oh.make_node("SequenceInsert", [sequence, renamed[value]], [longer]) for value, sequence, longer in appended]
        ports = [*outputs, *(oh.make_tensor_value_info(renamed[r], dtypes.ONNX[self.case.values[r].dtype], None) for r in results)]
        return oh.make_graph(inner, name, list(inputs), ports)

    def rename_captured(self, graph, renamed):
        outside = captured(graph)
        for node in graph.node:
            node.input[:] = [renamed[n] if n in outside and n in renamed else n for n in node.input]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self.rename_captured(attribute.g, renamed)

    def condition(self, first):
        """A bool that only data tells, or nothing."""
        made = {o for n in self.graph.node[first:] for o in n.output}
        floats = [name for name, known in self.case.values.items() if known.dtype == "f32" and not known.steers and name not in made
                  and name in reads(self.graph.node)]
        if not floats:
            return None
        total = self.node("ReduceSum", [self.random.choice(floats)], keepdims=0)
        return self.node("Less", [total, self.constant(np.float32(self.random.choice([-1e9, 0.1, 1e9])))])

    def branch(self, nodes, results, condition):
        thens, others = self.body(nodes, results, "then"), self.body(nodes, results, "else")
        self.added.append(oh.make_node("If", [condition], results, name=self.name(), then_branch=thens, else_branch=others))

    def loop(self, nodes, results, condition):
        """One to three iterations that compute the same each time; the last one is taken. Something that they read may be carried, which only its
        name tells from what changes."""
        times = self.random.randint(1, 3)
        count, last = self.constant(np.int64(times)), self.constant(np.int64(times - 1))
        if condition:  # the same number, which only data tells
            one = self.node("Cast", [condition], to=dtypes.ONNX["i64"])
            count = self.node("Add", [self.node("Sub", [one, one]), count])
        i, c, d = self.name(), self.name(), self.name()
        ports = [oh.make_tensor_value_info(i, dtypes.ONNX["i64"], []), oh.make_tensor_value_info(c, dtypes.ONNX["bool"], [])]
        before, after, initial, replaced = [oh.make_node("Identity", [c], [d])], [oh.make_tensor_value_info(d, dtypes.ONNX["bool"], [])], [], {}
        fits = self.readable(nodes)
        if fits and self.random.random() < 0.6:
            x, inside, same = self.random.choice(fits), self.name(), self.name()
            dtype = dtypes.ONNX[self.case.values[x].dtype]
            before.append(oh.make_node("Identity", [inside], [same]))
            ports.append(oh.make_tensor_value_info(inside, dtype, None))
            after.append(oh.make_tensor_value_info(same, dtype, None))
            initial, replaced = [x], {x: inside}
        listed, appended = [r for r in results if self.random.random() < 0.3], []  # in a sequence that the loop appends to
        for result in listed:
            appended.append((result, self.name(), self.name()))
            initial.append(self.node("SequenceEmpty", [], dtype=dtypes.ONNX[self.case.values[result].dtype]))
            for name, place in zip(appended[-1][1:], (ports, after)):
                place.append(oh.make_tensor_sequence_value_info(name, dtypes.ONNX[self.case.values[result].dtype], None))
        scanned = [r for r in results if r not in listed]
        graph = self.body(nodes, scanned, "body", before, after, ports, replaced, appended)
        carried, stacked = [self.name() for _ in initial], [self.name() for _ in scanned]
        self.added.append(oh.make_node("Loop", [count, "", *initial], carried + stacked, name=self.name(), body=graph))
        for name, result in zip(stacked, scanned):
            self.added.append(oh.make_node("Gather", [name, last], [result], axis=0))
        for name, result in zip(carried[len(carried) - len(listed):], listed):
            self.added.append(oh.make_node("SequenceAt", [name, last], [result]))

    def readable(self, nodes):
        """What the nodes read that is no size."""
        return [n for n in sorted(reads(nodes) - {o for n in nodes for o in n.output}) if (k := self.case.values.get(n)) and not k.steers and k.dtype != "bf16"]

    def scan(self, nodes, results):
        """Goes through equal copies of something that the nodes read, and takes one of the results."""
        fits = self.readable(nodes)
        if not fits:
            return False
        x, times = self.random.choice(fits), self.random.randint(1, 3)
        def place(name):
            rank = len(self.case.values[name].dims)
            return self.random.randint(-rank - 1, rank), self.random.randint(0, 1)
        axis, backwards = place(x)
        wide = self.node("Unsqueeze", [x, self.constant(np.array([axis], np.int64))])
        whole = self.node("Concat", [wide] * times, axis=axis)
        count, more, piece = self.name(), self.name(), self.name()
        tensor = lambda name, dtype, dims: oh.make_tensor_value_info(name, dtypes.ONNX[dtype], dims)
        graph = self.body(nodes, results, "body", [oh.make_node("Add", [count, self.constant(np.int64(1))], [more])], [tensor(more, "i64", [])],
                          [tensor(count, "i64", []), tensor(piece, self.case.values[x].dtype, None)], {x: piece})
        stacked, places = [self.name() for _ in results], [place(r) for r in results]
        self.added.append(oh.make_node("Scan", [self.constant(np.int64(0)), whole], [self.name(), *stacked], name=self.name(), body=graph, num_scan_inputs=1,
                                       scan_input_axes=[axis], scan_input_directions=[backwards], scan_output_axes=[p[0] for p in places],
                                       scan_output_directions=[p[1] for p in places]))
        at = self.constant(np.int64(self.random.randrange(times)))
        for name, result, (axis, _) in zip(stacked, results, places):
            self.added.append(oh.make_node("Gather", [name, at], [result], axis=axis))
        return True

    def move(self):
        """Some neighbouring nodes into a branch or a loop; False where they do not lend themselves to it."""
        nodes = list(self.graph.node)
        places = [i for i, n in enumerate(nodes) if n.op_type != "Constant"]
        if not places or self.model.opset_import[0].version < 13:
            return False
        first = self.random.choice(places)
        part = nodes[first:first + self.random.randint(1, 4)]
        outside = reads(nodes[:first] + nodes[first + len(part):]) | {o.name for o in self.graph.output}
        results = [o for n in part for o in n.output if o in outside]
        known = [self.case.values.get(r) for r in results]
        if not results or any(k is None or k.steers or k.dtype == "bf16" for k in known):
            return False
        self.added = []
        if self.random.random() < 0.25 and self.scan(part, results):
            pass
        elif (condition := self.condition(first)) and self.random.random() < 0.5:
            self.branch(part, results, condition)
        else:
            self.loop(part, results, condition if self.random.random() < 0.6 else None)
        nodes[first:first + len(part)] = self.added
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        return True


def with_control_flow(case, random):
    """The model with nodes moved into branches and loops, perhaps several deep."""
    flow = ControlFlow(case, random)
    for _ in range(random.randint(1, 4)):
        flow.move()
    return flow.model
