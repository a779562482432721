#!/usr/bin/env python3
"""Does the fuzzer find the planted miscompiles? For a build of the preset `planted`; a table of them all, or of those named.

A graph of seed 0, 1, ... is compiled and run as all ways do, with no bug on but a log of those that would fire; then, with the bug on,
the graphs in which it fires go through the ways one after the other until there is a finding. So the first seed found is that of a
campaign from seed 0, without the time for graphs that cannot show the bug."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUGS = re.findall(r'^X\("([^"]+)", "([^"]+)"', (ROOT / "runtime/base/PlantedBugs.def").read_text(), re.M)


def fire(first, last, log):
    """Compiles and runs graphs; the log gets a line with the seed before each."""
    sys.path[:0] = [str(HERE), os.environ["KILN_PYTHON"]]
    from kilnfuzz import engine
    from kilnfuzz.generate import generate
    for seed in range(first, last):
        case = generate(seed)
        with open(log, "a") as file:
            file.write(f"= {seed}\n")
        for options in ({}, {"choice_seed": seed + 1, "guard_pages": True}):
            engine.run_all(engine.compiled(case.model.SerializeToString(), **options), case.feeds)


def seeds_of(log):
    """Bug -> seeds of the graphs in which it fires, in order."""
    seeds, seed = {}, None
    for line in pathlib.Path(log).read_text().splitlines():
        if line.startswith("= "):
            seed = int(line[2:])
        elif seed not in seeds.setdefault(line, []):
            seeds[line].append(seed)
    return seeds


def child(*arguments, **environment):
    return subprocess.run([sys.executable, *map(str, arguments)], env={**os.environ, **environment}, capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bugs", nargs="*", help="names (default: all)")
    parser.add_argument("--graphs", type=int, default=3000)
    parser.add_argument("--matrix", default="rewritten,host,choice,without")
    parser.add_argument("--most", type=int, default=40, help="how many of the graphs in which a bug fires to try")
    parser.add_argument("--fire", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("KILN_PYTHON", str(ROOT / "build-planted" / "python"))
    if args.fire:
        return fire(int(args.fire[0]), int(args.fire[1]), args.fire[2])
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        for first in range(0, args.graphs, 250):  # a crash costs the rest of a piece
            done = child(__file__, "--fire", first, min(first + 250, args.graphs), log, KILN_PLANTED_LOG=str(log))
            if done.returncode > 0:
                print(f"the graphs from {first} on ended early: {done.stderr.splitlines()[-1]}", file=sys.stderr)
        seeds = seeds_of(log)
        if not seeds:
            sys.exit(f"no bug fires at all; the last piece said:\n{done.stderr}")
    print(f"{'bug':22} {'kind':18} fires in   first found at seed")
    missed = 0
    for name, kind in BUGS:
        if args.bugs and name not in args.bugs:
            continue
        found = None
        for seed in seeds.get(name, [])[:args.most]:
            done = child(HERE / "fuzz.py", "one", seed, "--matrix", args.matrix, KILN_PLANTED_BUG=name)
            if done.returncode and "no finding" not in done.stdout:
                found = seed
                break
        missed += found is None
        print(f"{name:22} {kind:18} {len(seeds.get(name, [])):8}   {'none' if found is None else found}", flush=True)
    return missed


sys.exit(main())
