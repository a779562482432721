"""The command: campaigns, one seed again, a saved case again, shrinking."""
import argparse
import collections
import pathlib
import sys
import time

from . import campaign, findings, ways
from .generate import generate
from .windows import chain

MODES = {"graphs": generate, "windows": chain}


def matrix_of(text):
    names = []
    for part in text.split(","):
        names += ways.MATRICES.get(part, [part])
    for name in names:
        if name not in ways.WAYS:
            sys.exit(f"no way is called {name!r}; there are {', '.join(ways.WAYS)}, and the sets {', '.join(ways.MATRICES)}")
    return names


class Progress:
    """Counts of a campaign and its line on the terminal."""

    def __init__(self, total):
        self.total, self.started, self.shown = total, time.monotonic(), 0.0
        self.cases = self.findings = 0
        self.examples = {}  # reason: seed of the first case
        self.codes, self.skipped, self.seconds = collections.Counter(), collections.Counter(), collections.Counter()

    def take(self, seed, found, skipped, codes, seconds):
        self.cases += 1
        self.findings += bool(found)
        self.codes.update(codes)
        self.skipped.update(skipped)
        for reason in skipped:
            self.examples.setdefault(reason, seed)
        self.seconds.update(seconds)
        if time.monotonic() - self.shown > (1 if sys.stderr.isatty() else 60):
            self.shown = time.monotonic()
            print(f"{self.cases} of {self.total} cases, {self.cases / (self.shown - self.started):.1f} a second, {self.findings} with findings",
                  end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    def summary(self):
        seconds = time.monotonic() - self.started
        refused = sum(n for code, n in self.codes.items() if code)
        lines = [f"{self.cases} cases in {seconds:.0f} s, {self.cases / max(seconds, 1e-9):.1f} a second; {self.findings} with findings; "
                 f"unsupported: {100 * self.skipped['unsupported'] / max(self.cases, 1):.1f} %"]
        spent = (f"{name} {1000 * t / max(self.cases, 1):.0f}" for name, t in self.seconds.most_common())
        lines.append("milliseconds of a core for a case: " + ", ".join(spent))
        if refused:
            lines.append("runs that every way refuses: " + ", ".join(f"E{code:04d} {n}" for code, n in sorted(self.codes.items()) if code))
        for reason in sorted(k for k in self.skipped if k != "unsupported" and self.skipped[k]):
            lines.append(f"  {self.skipped[reason]} x {reason[:200]} (seed {self.examples[reason]})")
        return lines


def run(args):
    make, matrix = MODES[args.mode], matrix_of(args.matrix)
    record, progress = findings.Record(args.out), Progress(args.graphs)
    deadline = time.monotonic() + 60 * args.minutes if args.minutes else None
    for seed, found, skipped, codes, seconds in campaign.campaign(make, range(args.seed, args.seed + args.graphs), matrix, args.jobs, deadline):
        progress.take(seed, found, skipped, codes, seconds)
        for finding in found:
            if finding.kind == "exception":  # a mistake of the fuzzer's own
                print(f"seed {seed}: {finding.detail}", flush=True)
                continue
            command = f"test/fuzz/fuzz.py one {seed}{' --mode ' + args.mode if args.mode != 'graphs' else ''} --matrix {args.matrix}"
            if folder := record.add(make(seed), finding, command):
                print(f"seed {seed}: {finding.way}: {finding.kind} at set {finding.at}: {finding.detail[:400]}\n"
                      f"  again: {command}\n  shrunk: {folder}", flush=True)
        if args.first and any(f.kind in ("wrong", "crash", "hang") for f in found):
            break
    print("\n".join(progress.summary()))
    for name, count in record.count.most_common():
        print(f"  {count} x {name}: {' '.join(findings.operators(findings.load(record.folder / name).model))}")
    return bool(progress.findings)


def show(case, found):
    for finding in found:
        print(f"{finding.way}: {finding.kind} at set {finding.at}: {finding.detail}")
    print("\n".join(findings.describe(case.model)))
    if not found:
        print("no finding")
    return bool(found)


def examine_apart(case, args):
    """The findings of one case, examined in a process of its own."""
    examiner = campaign.Examiner(matrix_of(args.matrix))
    found = examiner.findings(case)
    examiner.end()
    return found


def one(args):
    case = MODES[args.mode](args.seed)
    if args.save:
        findings.save(case, args.save)
    return show(case, examine_apart(case, args))


def check(args):
    case = findings.load(args.folder)
    return show(case, examine_apart(case, args))


def shrink_folder(args):
    case = findings.load(args.folder)
    found = examine_apart(case, args)
    if found:
        case = findings.shrunk(case, found[0], 300, loud=True)
        findings.save(case, args.folder / "shrunk")
    return show(case, found)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name, function, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        sub.add_argument("--matrix", default="host",
                         help=f"ways, separated by commas: {', '.join(ways.WAYS)}; or {', '.join(ways.MATRICES)}")
        return sub
    sub = command("run", run, "examine many random cases")
    sub.add_argument("--graphs", type=int, default=1000)
    sub.add_argument("--seed", type=int, default=0, help="of the first case; the others follow")
    sub.add_argument("--mode", choices=MODES, default="graphs")
    sub.add_argument("--jobs", type=int, default=campaign.cores())
    sub.add_argument("--minutes", type=float, help="start no case after these")
    sub.add_argument("--first", action="store_true", help="end at the first wrong result, crash or hang")
    sub.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/fuzz"), help="folder for findings (default: build/fuzz)")
    sub = command("one", one, "examine one seed's case again")
    sub.add_argument("seed", type=int)
    sub.add_argument("--mode", choices=MODES, default="graphs")
    sub.add_argument("--save", type=pathlib.Path, help="folder to write the case to")
    sub = command("check", check, "examine a saved case again")
    sub.add_argument("folder", type=pathlib.Path)
    sub = command("shrink", shrink_folder, "make a saved case smaller")
    sub.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args(arguments)
    return int(args.function(args))
