"""Builds Kiln and runs every suite: C++ tests (ctest), pass tests (lit), Python and whole-model tests (pytest), and the
runtime's tests under the thread sanitizer. Suites go on after a failure; the last line counts the cases of all of them."""
import argparse
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIT = "/usr/lib/llvm-19/build/utils/lit/lit.py"


def say(text):
    print(f"\033[1m== {text}\033[0m", flush=True)


def run(command, **options):
    """Run a command in the repository; its exit status."""
    return subprocess.run([str(c) for c in command], cwd=ROOT, **options).returncode


def build(preset, *targets):
    say(f"building preset {preset}")
    ok = run(["cmake", "--preset", preset], stdout=subprocess.DEVNULL) == 0
    return ok and run(["cmake", "--build", "--preset", preset, *(["--target", *targets] if targets else [])]) == 0


def counts(report, status):
    """(passed, failed, skipped) of a JUnit file; a suite that broke off before writing one has failed."""
    if not report.exists():
        return 0, 1, 0
    cases = list(xml.parse(report).getroot().iter("testcase"))
    failed = sum(any(c.find(tag) is not None for tag in ("failure", "error")) for c in cases)
    skipped = sum(c.find("skipped") is not None or c.get("status") in ("notrun", "disabled") for c in cases)
    if status and not failed:
        failed = 1
    return len(cases) - failed - skipped, failed, skipped


def suites(reports, verbose, threads):
    """Name, command and report file of each suite."""
    def ctest(folder, report, *more):
        return ["ctest", "--test-dir", ROOT / folder, "--output-on-failure", "-j2", "--output-junit", report, *more]

    yield "C++", ctest("build", reports / "cpp.xml"), reports / "cpp.xml"
    lit = [sys.executable, LIT, "-v" if verbose else "-s", ROOT / "build/test", "--xunit-xml-output", reports / "lit.xml"]
    yield "pass", lit, reports / "lit.xml"
    build("planted", "kiln-cli", "kiln-compiler", "kiln-reduce")  # test_planted.py runs them
    pytest = [sys.executable, "-m", "pytest", "-v" if verbose else "-q", "test/e2e", "test/fuzz", f"--junitxml={reports / 'pytest.xml'}"]
    yield "Python and whole-model", pytest, reports / "pytest.xml"
    if threads:
        build("sanitize-thread", "runtime_tests")
        yield "thread sanitizer", ctest("build-sanitize-thread", reports / "threads.xml", "-L", "runtime"), reports / "threads.xml"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-thread-sanitizer", action="store_true", help="leave out the runtime's tests under the thread sanitizer")
    parser.add_argument("-v", "--verbose", action="store_true", help="name every test")
    args = parser.parse_args()
    started, total, broken = time.monotonic(), [0, 0, 0], []
    if not build("release"):
        print("0 passed, 1 failed")
        sys.exit(1)
    reports = ROOT / "build/test-reports"
    reports.mkdir(exist_ok=True)
    for old in reports.glob("*.xml"):
        old.unlink()
    for name, command, report in suites(reports, args.verbose, not args.no_thread_sanitizer):
        say(f"{name} tests")
        result = counts(report, run(command))
        total = [a + b for a, b in zip(total, result)]
        if result[1]:
            broken.append(name)
    say(f"{time.monotonic() - started:.0f} s; " + (f"failed: {', '.join(broken)}" if broken else "all suites passed") +
        (f"; {total[2]} skipped" if total[2] else ""))
    print(f"{total[0]} passed, {total[1]} failed")
    sys.exit(bool(total[1]))


if __name__ == "__main__":
    main()
