"""Makes a case that shows a finding smaller: fewer outputs, nodes, unknown sizes and attributes."""
import copy
import dataclasses
import time

import onnx.helper as oh

from . import engine, identities, dtypes


def recorded(case):
    """The interpreter's values inside the model, for each set of sizes: {name: array}; none where it refuses."""
    model = engine.compiled(identities.exposed(case).SerializeToString(), target="interpreter")
    return [outcome.outputs or {} for outcome in engine.run_all(model, case.feeds)]


def pruned(model):
    """The model without what its outputs do not need."""
    graph = model.graph
    needed, nodes = {o.name for o in graph.output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.append(node)
    result = copy.deepcopy(model)
    del result.graph.node[:], result.graph.input[:], result.graph.initializer[:]
    result.graph.node.extend(nodes[::-1])
    result.graph.input.extend(i for i in graph.input if i.name in needed)
    result.graph.initializer.extend(i for i in graph.initializer if i.name in needed)
    return result


class Shrinker:
    def __init__(self, case, fails, report, seconds):
        """fails: whether a case still shows the finding."""
        self.case, self.fails, self.report = case, fails, report
        self.values = recorded(case)
        self.tries, self.deadline = 0, time.monotonic() + seconds

    def attempt(self, model, feeds=None):
        """Takes the smaller model if it still fails."""
        smaller = dataclasses.replace(self.case, model=pruned(model), feeds=feeds or self.case.feeds)
        if not smaller.model.graph.node or not smaller.model.graph.output:
            return False
        self.tries += 1
        if not self.fails(smaller):
            return False
        self.case = smaller
        self.report(f"{len(smaller.model.graph.node)} nodes")
        return True

    def port(self, name):
        known = self.case.values[name]
        names = {}
        for port in self.case.model.graph.input:  # sizes keep the names that inputs give them
            if port.name in self.case.values:
                names.update({d: p.dim_param for d, p in zip(self.case.values[port.name].dims, port.type.tensor_type.shape.dim) if p.dim_param})
        dims = [d.sizes[0] if d.static else names.get(d, f"{name}_{i}") for i, d in enumerate(known.dims)]
        return oh.make_tensor_value_info(name, dtypes.ONNX[known.dtype], dims)

    def one_output(self):
        graph = self.case.model.graph
        for keep in [[o] for o in graph.output] if len(graph.output) > 1 else []:
            model = copy.deepcopy(self.case.model)
            del model.graph.output[:]
            model.graph.output.extend(keep)
            if self.attempt(model):
                return True
        return False

    def earlier_output(self):
        """A value inside becomes the only output."""
        for node in self.case.model.graph.node:
            for name in node.output:
                known = self.case.values.get(name)
                if known is None or any(name == o.name for o in self.case.model.graph.output):
                    continue
                model = copy.deepcopy(self.case.model)
                del model.graph.output[:]
                model.graph.output.append(oh.make_tensor_value_info(name, dtypes.ONNX[known.dtype], None))
                if self.attempt(model):
                    return True
        return False

    def later_input(self):
        """A node's results become inputs with the values that they had."""
        for node in reversed(self.case.model.graph.node):
            names = [n for n in node.output if n]
            if node.op_type == "Constant" or not all(n in self.case.values and all(n in v for v in self.values) for n in names):
                continue
            model = copy.deepcopy(self.case.model)
            left = [n for n in model.graph.node if list(n.output) != list(node.output)]
            del model.graph.node[:]
            model.graph.node.extend(left)
            model.graph.input.extend(self.port(n) for n in names)
            feeds = [{**f, **{n: v[n] for n in names}} for f, v in zip(self.case.feeds, self.values)]
            if self.attempt(model, feeds):
                return True
        return False

    def bypass(self):
        """A node's result is replaced by an operand of the same type and dims."""
        for at, node in enumerate(self.case.model.graph.node):
            for operand in node.input:
                a, b = self.case.values.get(operand), self.case.values.get(node.output[0])
                if not a or not b or a[:2] != b[:2] or any(o.name == node.output[0] for o in self.case.model.graph.output):
                    continue
                model = copy.deepcopy(self.case.model)
                del model.graph.node[at]
                for other in model.graph.node:
                    other.input[:] = [operand if n == node.output[0] else n for n in other.input]
                if self.attempt(model):
                    return True
        return False

    def fewer_attributes(self):
        for at, node in enumerate(self.case.model.graph.node):
            for i in range(len(node.attribute)):
                model = copy.deepcopy(self.case.model)
                del model.graph.node[at].attribute[i]
                if self.attempt(model):
                    return True
        return False

    def fixed_sizes(self):
        """Unknown dims, one after the other, get the number that they have in every set of sizes; or all that of one set."""
        for port in range(len(self.case.model.graph.input)):
            for i, dim in enumerate(self.case.model.graph.input[port].type.tensor_type.shape.dim):
                sizes = {f[self.case.model.graph.input[port].name].shape[i] for f in self.case.feeds if self.case.model.graph.input[port].name in f}
                if dim.HasField("dim_value") or len(sizes) != 1:
                    continue
                model = copy.deepcopy(self.case.model)
                model.graph.input[port].type.tensor_type.shape.dim[i].dim_value = sizes.pop()
                if self.attempt(model):
                    return True
        return False

    def one_set(self):
        feeds = self.case.feeds
        if all(f is feeds[0] for f in feeds):
            return False
        return any(self.attempt(self.case.model, [f] * len(feeds)) and self.keep_set(i) for i, f in enumerate(feeds))

    def keep_set(self, i):
        self.values = [self.values[i]] * len(self.values)
        for name, known in self.case.values.items():
            dims = tuple(type(d)((d.sizes[i],) * len(d.sizes), d.static) for d in known.dims)
            self.case.values[name] = known._replace(dims=dims)
        return True

    def run(self):
        self.case = dataclasses.replace(self.case, values=dict(self.case.values))
        self.one_set()
        steps = [self.one_output, self.earlier_output, self.later_input, self.bypass, self.fixed_sizes, self.fewer_attributes]
        while time.monotonic() < self.deadline and any(step() for step in steps):
            pass
        return self.case


def shrink(case, fails, report=lambda text: None, seconds=60):
    return Shrinker(case, fails, report, seconds).run()
