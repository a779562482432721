#!/usr/bin/env python3
"""Writes the tables of the docs that code defines: the passes and the errors.

usage: doc_tables.py --source ROOT --out DIR --passes PASSES_TD=DUMP ...     (DUMP: llvm-tblgen --dump-json PASSES_TD)
"""
import argparse
import json
import os
import pathlib
import re


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def passes(files):
    lines = ["# Passes", "", "Generated from the `Passes.td` files. The order in which they run is `compiler/pipeline/Pipeline.cpp`; what the IR looks like",
             "before and after stands at the top of each pass's file. `kiln-opt --NAME` runs one.", ""]
    for definitions, dump in files:
        records = json.loads(dump.read_text())
        lines += [f"## {definitions.parent}", "", "| pass | what it does | options |", "|---|---|---|"]
        for name in re.findall(r"^def (\w+)", definitions.read_text(), re.MULTILINE):
            record = records[name]
            if "PassBase" not in record["!superclasses"]:
                continue
            options = [records[option["def"]] for option in record["options"]]
            text = "; ".join(f"`{option['argument']}`: {option['description']}" for option in options)
            lines.append(f"| `{record['argument']}` | {cell(record['summary'])} | {cell(text)} |")
        lines.append("")
    return "\n".join(lines)


def errors(table):
    lines = ["# Errors", "", "Generated from `runtime/base/Errors.def`. A message says what, where and why, and ends with its code."]
    for line in table.read_text().splitlines():
        if section := re.match(r"// --- \d+ (.*)", line):
            title = section[1].strip()
            lines += ["", f"## {title[0].upper()}{title[1:]}", "", "| code | meaning | what to do |", "|---|---|---|"]
        elif entry := re.match(r'X\((E\d+), "(.*?)", "(.*)"\)', line):
            lines.append(f"| KILN-{entry[1]} | {cell(entry[2])} | {cell(entry[3])} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--passes", nargs="+", default=[])
    arguments = parser.parse_args()
    files = []
    for pair in arguments.passes:
        definitions, dump = pair.split("=")
        files.append((pathlib.Path(definitions), pathlib.Path(dump)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.source)
    (arguments.out / "passes.md").write_text(passes(files))
    (arguments.out / "errors.md").write_text(errors(pathlib.Path("runtime/base/Errors.def")))


if __name__ == "__main__":
    main()
