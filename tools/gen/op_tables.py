#!/usr/bin/env python3
"""Writes what is derived from the op definitions: tables for C++, scalar bodies for code generation, the table of the docs.

usage: op_tables.py --json DUMP --out BUILD_DIR     (DUMP: llvm-tblgen --dump-json KilnOps.td)
"""
import argparse
import ast
import json
import pathlib

# The functions that a scalar body may call and an emitter provides, Python name -> (C++ method, number of arguments).
FUNCTIONS = {
    "abs": ("abs", 1), "sign": ("sign", 1), "ceil": ("ceil", 1), "floor": ("floor", 1), "round": ("round", 1),
    "exp": ("exp", 1), "expm1": ("expm1", 1), "log": ("log", 1), "log1p": ("log1p", 1), "sqrt": ("sqrt", 1),
    "sin": ("sin", 1), "cos": ("cos", 1), "tan": ("tan", 1), "tanh": ("tanh", 1), "atan": ("atan", 1),
    "erf": ("erf", 1), "sigmoid": ("sigmoid", 1), "normal_cdf": ("normalCdf", 1), "isnan": ("isNan", 1),
    "logical_not": ("logicalNot", 1), "logical_and": ("logicalAnd", 2), "logical_or": ("logicalOr", 2),
    "logical_xor": ("logicalXor", 2), "bitwise_and": ("bitwiseAnd", 2), "bitwise_or": ("bitwiseOr", 2),
    "bitwise_xor": ("bitwiseXor", 2), "shift_left": ("shiftLeft", 2), "shift_right": ("shiftRight", 2), "pow": ("pow", 2), "mod": ("mod", 2), "fmod": ("fmod", 2),
    "maximum": ("maximum", 2), "minimum": ("minimum", 2), "where": ("where", 3), "cast": ("cast", 2),
}
OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
COMPARISONS = {ast.Eq: "equal", ast.Lt: "less", ast.LtE: "lessEqual", ast.Gt: "greater", ast.GtE: "greaterEqual"}

KINDS = {"I64Attr": "Int", "F64Attr": "Float", "StrAttr": "String", "DenseI64ArrayAttr": "Ints", "DenseF64ArrayAttr": "Floats"}
GETTERS = {"Int": "getInt", "Float": "getFloat", "String": "getString"}


class Op:
    def __init__(self, records, record):
        self.records = records
        self.name = record["opName"]
        self.summary = record["summary"]
        self.role = records[record["role"]["def"]]["cppName"]
        self.onnx, self.aten, self.body = record["onnxName"], record["atenName"], record["body"]
        self.types, self.cost, self.flops = record["bodyTypes"], record["bodyCost"], record["flops"]
        self.rowwise, self.strided_view = bool(record["rowwise"]), bool(record["stridedView"])
        self.structural, self.updates_in_place = bool(record["structural"]), bool(record["updatesInPlace"])
        if self.body and self.cost <= 0:
            raise SystemExit(f"kiln.{self.name}: the scalar body needs a cost")
        if self.role in ("Movement", "View", "Source", "Structure"):
            self.flops = 0
        elif self.flops < 0 and self.role not in ("Contraction", "Window"):
            raise SystemExit(f"kiln.{self.name}: state its floating-point operations per element (flops)")
        self.operands, self.attributes = [], []
        for (argument, name) in record["arguments"]["args"]:
            argument = records[argument["def"]]
            if "Attr" in argument["!superclasses"]:
                self.attributes.append(self.attribute(name, argument))
            else:
                self.operands.append((name, self.operand_kind(argument)))
        self.attributes.sort()
        self.results = [name for _, name in record["results"]["args"]]
        optional = sum(kind == "Optional" for _, kind in self.operands)
        if not self.structural and optional > 1 and "AttrSizedOperandSegments" not in [t["def"] for t in record["traits"]]:
            raise SystemExit(f"kiln.{self.name}: several optional operands need AttrSizedOperandSegments")

    @staticmethod
    def operand_kind(record):
        for kind in ("Optional", "Variadic"):
            if kind in record["!superclasses"]:
                return kind
        return "Single"

    def attribute(self, name, record):
        default, optional = record.get("defaultValue"), False
        while record.get("baseAttr"):
            optional |= bool(record.get("isOptional"))
            record = self.records[record["baseAttr"]["def"]]
        kind = KINDS.get(record["!name"])
        if kind is None and not self.structural:
            raise SystemExit(f"kiln.{self.name}: attribute {name} has a type that runtime attributes cannot hold")
        return (name, kind, default, optional)

    def operand_count(self):
        single = sum(kind == "Single" for _, kind in self.operands)
        if any(kind == "Variadic" for _, kind in self.operands):
            return single, -1
        return single, len(self.operands)


class Body:
    """Translates one scalar body to C++ calls on an emitter `e`."""

    def __init__(self, op):
        self.op = op
        self.operands = [name for name, _ in op.operands]
        self.attributes = {name: kind for name, kind, _, _ in op.attributes}
        self.defaults = {name: default for name, _, default, _ in op.attributes if default is not None}

    def fail(self, why):
        raise SystemExit(f"kiln.{self.op.name}: scalar body '{self.op.body}': {why}")

    def branches(self):
        """The attribute that decides between two expressions, the one for when it is set, and the other; or "", None and the only one."""
        tree = ast.parse(self.op.body, mode="eval").body
        if isinstance(tree, ast.IfExp) and isinstance(tree.test, ast.Name) and tree.test.id in self.attributes:
            return tree.test.id, tree.body, tree.orelse
        return "", None, tree

    def translate(self):
        """The statements of the function's body: one call each, so that the order of emission is fixed."""
        flag, chosen, tree = self.branches()
        if flag:
            return [f"  if ({self.attribute(flag)}) {{", *self.block(chosen, "    "), "  }", *self.block(tree, "  ")]
        return self.block(tree, "  ")

    @staticmethod
    def functions(tree):
        """The scalar functions that an expression calls."""
        return sorted({node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call)}) if tree else []

    def block(self, tree, indent):
        self.lines = []
        result = self.value(tree)
        if self.lines and self.lines[-1][0] == result:
            result = self.lines.pop()[1]
        return [f"{indent}auto {name} = {call};" for name, call in self.lines] + [f"{indent}return {result};"]

    def call(self, method, *arguments):
        name = f"v{len(self.lines)}"
        self.lines.append((name, f"e.{method}({', '.join(arguments)})"))
        return name

    def attribute(self, name):
        kind = self.attributes[name]
        if kind not in GETTERS:
            self.fail(f"attribute {name} is no scalar")
        default = f", {self.defaults[name]}" if name in self.defaults else ""
        return f'attributes.{GETTERS[kind]}("{name}"{default})'

    def value(self, node):
        match node:
            case ast.Constant(value=int() | float()):
                return self.call("constant", repr(node.value))
            case ast.Name(id=name) if name in self.operands:
                return f"x[{self.operands.index(name)}]"
            case ast.Name(id=name) if self.attributes.get(name) in ("Int", "Float"):
                return self.call("constant", self.attribute(name))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.call("neg", self.value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return self.call(OPERATORS[type(op)], *[self.value(a) for a in (left, right)])
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
                return self.call(COMPARISONS[type(op)], *[self.value(a) for a in (left, right)])
            case ast.Call(func=ast.Name(id="cast"), args=[operand, ast.Name(id=name)]):
                return self.call("cast", self.value(operand), self.attribute(name))
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in FUNCTIONS:
                method, count = FUNCTIONS[name]
                if len(arguments) != count:
                    self.fail(f"{name} takes {count} arguments")
                return self.call(method, *[self.value(a) for a in arguments])
        self.fail(f"'{ast.unparse(node)}' is not in the grammar of scalar bodies")


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def banner(what):
    return f"// {what} Generated by tools/gen/op_tables.py from the op definitions.\n"


def op_table(ops):
    lines = [banner("The op table.")]
    for op in ops:
        if not op.attributes:
            continue
        lines.append(f"constexpr AttributeInfo {op.name}Attributes[] = {{")
        for name, kind, default, optional in op.attributes:
            required = default is None and not optional
            value = {"Int": f", {default}", "Float": f", 0, {default}", "String": f", 0, 0, {default}"}.get(kind, "")
            if default is None:
                value = ""
            lines.append(f'    {{"{name}", Kind::{kind or "String"}, {str(required).lower()}{value}}},')
        lines.append("};")
    rows = []
    for op in ops:
        low, high = op.operand_count()
        attributes = f"{op.name}Attributes" if op.attributes else "{}"
        formula = f"flops_{op.name}" if op.flops < 0 else "nullptr"
        body = "{}"
        if op.body:
            flag, chosen, other = Body(op).branches()
            lists = []
            for suffix, tree in (("", other), ("If", chosen)):
                names = Body.functions(tree)
                lists.append(f"{op.name}Functions{suffix}" if names else "{}")
                if names:
                    lines.append(f"constexpr std::string_view {lists[-1]}[] = {{" + ", ".join(f'"{name}"' for name in names) + "};")
            body = f'{{ScalarBody::Types::{op.types}, {op.cost}, "{flag}", {", ".join(lists)}}}'
        flags = ", ".join(str(flag).lower() for flag in (op.structural, bool(op.body), op.rowwise, op.strided_view))
        rows.append(f'    {{"{op.name}", FusionRole::{op.role}, "{op.onnx}", "{op.aten}", {low}, {high}, {flags}, {op.flops}, {formula}, {attributes}, {body}}},')
    lines += ["constexpr OpInfo opTable[] = {", *rows, "};"]
    return "\n".join(lines) + "\n"


def scalar_bodies(ops):
    lines = [banner("Scalar bodies of elementwise ops as calls on an emitter."),
             "// For each op: template <class E> typename E::Value emit<Op>(E &e, std::span<const typename E::Value> x, const Attributes &attributes).",
             "// e.constant(v) takes the type of the op's first operand that is not boolean.",
             "// KILN_SCALAR_BODIES(X) lists X(mnemonic, function).", ""]
    bodies = [op for op in ops if op.body]
    for op in bodies:
        lines += ["template <class E>",
                  f"typename E::Value emit{camel(op.name)}([[maybe_unused]] E &e, std::span<const typename E::Value> x, "
                  "[[maybe_unused]] const Attributes &attributes) {",
                  *Body(op).translate(), "}"]
    lines.append("#define KILN_SCALAR_BODIES(X) \\")
    lines.append(" \\\n".join(f'  X("{op.name}", emit{camel(op.name)})' for op in bodies))
    return "\n".join(lines) + "\n"


def reference_ops(ops):
    return banner("The ops that need a reference kernel.") + "".join(
        f"KILN_REFERENCE_OP({op.name}, {str(op.updates_in_place).lower()})\n" for op in ops if not op.structural)


def flop_formulas(ops):
    return banner("The ops whose floating-point operations a formula of their sizes tells.") + "".join(
        f"KILN_FLOP_FORMULA({op.name})\n" for op in ops if op.flops < 0)


def onnx_names(ops):
    return banner("ONNX operators that map one to one.") + "".join(
        f'KILN_ONNX_OP("{op.onnx}", "{op.name}")\n' for op in ops if op.onnx)


def docs(ops):
    lines = ["# Ops of the kiln dialect", "", "Generated from the op definitions in `dialects/kiln`.", "",
             "| op | meaning | operands | results, if several | attributes | fusion role | ONNX | ATen |", "|---|---|---|---|---|---|---|---|"]
    suffix = {"Single": "", "Optional": "?", "Variadic": "..."}
    for op in ops:
        operands = ", ".join(name + suffix[kind] for name, kind in op.operands)
        attributes = ", ".join(name if default in (None, "{}", "") else f"{name}={default}" for name, _, default, _ in op.attributes)
        results = ", ".join(op.results) if len(op.results) > 1 else ""
        lines.append(f"| {op.name} | {op.summary} | {operands} | {results} | {attributes} | {op.role.lower()} | {op.onnx} | {op.aten} |"
                     .replace("|x|", "abs(x)"))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    records = json.loads(pathlib.Path(arguments.json).read_text())
    ops = [Op(records, records[name]) for name in records["!instanceof"]["Kiln_Op"]]
    ops.sort(key=lambda op: op.name)
    for path, text in {"dialects/kiln/OpTable.inc": op_table(ops), "dialects/kiln/FlopFormulas.inc": flop_formulas(ops),
                       "codegen/ScalarBodies.inc": scalar_bodies(ops),
                       "runtime/reference/ReferenceOps.inc": reference_ops(ops),
                       "compiler/import/onnx/OnnxNames.inc": onnx_names(ops), "docs/ops.md": docs(ops)}.items():
        file = arguments.out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


if __name__ == "__main__":
    main()
