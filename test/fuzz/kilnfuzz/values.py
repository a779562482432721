"""Models that take and give some of their tensors in sequences and optionals, and compute the same."""
import copy
import re

import numpy as np
import onnx.helper as oh
from onnx import numpy_helper

from . import dtypes, engine


class Wrapped:
    """A case's model with inputs and outputs wrapped, and how to hand them over."""

    def __init__(self, case, random):
        self.random = random
        self.model = copy.deepcopy(case.model)
        self.graph = self.model.graph
        self.opset = self.model.opset_import[0].version
        self.lists = {}   # sequence: the names of what it holds, None for an item that nobody looks at
        self.single = {}  # optional: the name of its value, None where it is absent
        self.shapes = {}  # as kiln.compile takes them
        self.before, self.after = [], []
        self.wrap_inputs()
        self.wrap_outputs()
        nodes = [*self.before, *self.graph.node, *self.after]
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    # --- inputs

    def wrap_inputs(self):
        initial = {i.name for i in self.graph.initializer}
        wrapped = []
        for given in self.graph.input:
            ways = [self.stacked, self.known] + [self.optional] * (self.opset >= 15)
            wrap = given.name not in initial and self.random.random() < 0.6
            wrapped.append(self.random.choice(ways)(given) if wrap else given)
        if self.opset >= 15 and self.random.random() < 0.3:
            wrapped.append(self.absent())
        del self.graph.input[:]
        self.graph.input.extend(wrapped)

    def optional(self, given):
        name = f"values_maybe_{given.name}"
        self.single[name] = given.name
        self.before.append(oh.make_node("OptionalGetElement", [name], [given.name], name=name))
        return oh.make_value_info(name, oh.make_optional_type_proto(given.type))

    def absent(self):
        name = "values_absent"
        self.single[name] = None
        self.before.append(oh.make_node("OptionalHasElement", [name], ["values_has"], name="values_has"))
        self.graph.output.append(oh.make_tensor_value_info("values_has", dtypes.ONNX["bool"], []))
        return oh.make_value_info(name, oh.make_optional_type_proto(oh.make_tensor_type_proto(dtypes.ONNX["f32"], ["values_size", 3])))

    def item(self, name, given, at):
        """Takes one from a sequence."""
        position = f"{name}_at"
        self.graph.initializer.append(numpy_helper.from_array(np.int64(at), position))
        self.before.append(oh.make_node("SequenceAt", [name, position], [given.name], name=name))

    def stacked(self, given):
        """One of several tensors of its dims, as many as the run says."""
        name, count = f"values_many_{given.name}", self.random.randint(1, 3)
        at = self.random.randrange(count)
        items = [given.name if i == at else None for i in range(count)]
        kind, inside = oh.make_sequence_type_proto(given.type), name
        if self.opset >= 15 and self.random.random() < 0.3:
            kind, name = oh.make_optional_type_proto(kind), f"{name}_maybe"
            self.before.append(oh.make_node("OptionalGetElement", [name], [inside], name=name))
        self.lists[name] = items
        self.item(inside, given, at - (count if self.random.random() < 0.3 else 0))
        return oh.make_value_info(name, kind)

    def known(self, given):
        """A list with the shapes of its items said when compiling, where they have names that can be said."""
        tensor = given.type.tensor_type
        dims = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim]
        if any(isinstance(d, str) and not re.fullmatch(r"[A-Za-wyz_][0-9A-Za-wyz_]*", d) for d in dims):
            return given
        name = f"values_list_{given.name}"
        self.lists[name] = [given.name] + [None] * self.random.randint(0, 2)
        self.shapes |= {f"{name}[{i}]": dims for i in range(len(self.lists[name]))}
        self.item(name, given, 0)
        return oh.make_tensor_sequence_value_info(name, tensor.elem_type, None)

    # --- outputs

    def wrap_outputs(self):
        kept, of_type = [], {}
        for output in self.graph.output:
            how = self.random.random()
            if how < 0.2 and self.opset >= 15:
                name = f"values_some_{output.name}"
                self.single[name] = output.name
                self.after.append(oh.make_node("Optional", [output.name], [name], name=name))
                kept.append(oh.make_value_info(name, oh.make_optional_type_proto(output.type)))
            elif how < 0.35 and "values_absent" in self.single:
                kept.append(self.late(output))
            elif how < 0.7:
                of_type.setdefault(output.type.tensor_type.elem_type, []).append(output.name)
            else:
                kept.append(output)
        for dtype, names in of_type.items():
            name = f"values_all_{dtype}"
            self.lists[name] = names
            self.after.append(oh.make_node("SequenceConstruct", names, [name], name=name))
            kept.append(oh.make_tensor_sequence_value_info(name, dtype, None))
        del self.graph.output[:]
        self.graph.output.extend(kept)

    def late(self, output):
        """Of which only the run knows that it is there."""
        name, branch = f"values_late_{output.name}", "values_branch"
        many = self.random.random() < 0.5
        if many:
            self.lists[name] = [output.name] * self.random.randint(1, 2)
            kind = oh.make_sequence_type_proto(output.type)
            none = oh.make_node("SequenceEmpty", [], [branch], dtype=output.type.tensor_type.elem_type)
            some = oh.make_node("SequenceConstruct", self.lists[name], [branch])
        else:
            self.single[name] = output.name
            kind = oh.make_optional_type_proto(output.type)
            none = oh.make_node("Optional", [], [branch], type=output.type)
            some = oh.make_node("Optional", [output.name], [branch])
        graphs = [oh.make_graph([node], "branch", [], [oh.make_value_info(branch, kind)]) for node in (none, some)]
        self.after.append(oh.make_node("If", ["values_has"], [name], name=name, then_branch=graphs[0], else_branch=graphs[1]))
        return oh.make_value_info(name, kind)

    # --- runs

    def feeds(self, feeds):
        """What the model is given for a case's feeds."""
        packed = dict(feeds)
        for name in (i.name for i in self.graph.input):
            if name in self.single:
                packed[name] = feeds.get(self.single[name])
            elif name in self.lists:
                some = next(feeds[i] for i in self.lists[name] if i)
                packed[name] = [feeds[i] if i else np.zeros_like(some) for i in self.lists[name]]
        return packed

    def outcome(self, outcome):
        """The outputs of the case's own model."""
        if not outcome.ok:
            return outcome
        outputs = {}
        for name, value in outcome.outputs.items():
            outputs |= dict(zip(self.lists[name], value)) if name in self.lists else {self.single.get(name, name): value}
        return engine.Outcome(outputs)
