"""Many cases in worker processes: a crash or a hang costs one case, and is a finding."""
import multiprocessing
import multiprocessing.connection
import os
import time
import traceback

from .ways import Finding

HANG = 120.0  # seconds of computing for one case
WAIT = 1200.0  # seconds for one case, on a machine that does other things besides
RECYCLE = 1500  # cases for one worker

# Workers come from a server that has compiled nothing: what calls this may have, and a fork would take over half of its threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["kilnfuzz.ways"])


def work(pipe, make, matrix):
    """In a worker: examines what comes, seeds or cases."""
    from . import ways
    while (seed := pipe.recv()) is not None:
        started = time.process_time()
        try:
            case = make(seed)
            made = time.process_time() - started
            e = ways.examine(case, matrix, lambda name: pipe.send(("at", name)))
            answer = e.findings, e.skipped, [o.code for o in e.base], {"generator": made, **e.seconds}
        except Exception:
            answer = [Finding("fuzzer", "exception", 0, traceback.format_exc())], {}, [], {}
        pipe.send(("done", *answer))


def computed(pid):
    """Seconds of computing of a process so far (proc(5): utime and stime of its stat)."""
    with open(f"/proc/{pid}/stat") as f:
        times = f.read().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that examines one case at a time."""

    def __init__(self, make, matrix):
        self.pipe, other = multiprocessing.Pipe()
        self.process = PROCESSES.Process(target=work, args=(other, make, matrix), daemon=True)
        self.process.start()
        other.close()
        self.seed, self.way, self.since, self.computed, self.count = None, "", 0.0, 0.0, 0

    def give(self, seed):
        self.seed, self.way, self.since, self.computed = seed, "generator", time.monotonic(), computed(self.process.pid)
        self.count += 1
        self.pipe.send(seed)

    def answer(self):
        """(findings, skipped, codes of the interpreter, seconds of each way), or None as long as there is none."""
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if message[0] == "done":
                    self.seed = None
                    return message[1:]
                self.way = message[1]
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            return self.lost("crash", f"the process ended with {f'signal {-code}' if code < 0 else f'status {code}'}")
        if computed(self.process.pid) - self.computed > HANG:
            return self.lost("hang", f"no answer after {HANG:g} s of computing")
        if time.monotonic() - self.since > WAIT:
            return self.lost("hang", f"no answer in {WAIT:g} s")
        return None

    def lost(self, kind, detail):
        self.end()
        self.seed = None
        return [Finding(self.way, kind, 0, detail)], {}, [], {}

    @property
    def spent(self):
        return self.pipe.closed or self.count >= RECYCLE

    def end(self):
        self.process.kill()
        self.process.join()
        self.pipe.close()


def campaign(make, seeds, matrix, jobs, deadline=None):
    """Yields (seed, findings, skipped, codes of the interpreter, seconds of each way) of each case, as they come."""
    seeds = iter(seeds)
    workers = [Worker(make, matrix) for _ in range(jobs)]
    try:
        for w in workers:
            give_next(w, seeds, deadline)
        while busy := [w for w in workers if w.seed is not None]:
            multiprocessing.connection.wait([w.pipe for w in busy], timeout=1.0)
            for w in busy:
                seed, answer = w.seed, w.answer()
                if answer is None:
                    continue
                yield seed, *answer
                if w.spent:
                    if not w.pipe.closed:
                        w.end()
                    workers[workers.index(w)] = w = Worker(make, matrix)
                give_next(w, seeds, deadline)
    finally:
        for w in workers:
            if not w.pipe.closed:
                w.end()


def given(case):
    return case


class Examiner:
    """Examines given cases in a worker, which is started again when a case ends it."""

    def __init__(self, matrix):
        self.matrix = matrix
        self.worker = Worker(given, matrix)

    def findings(self, case):
        if self.worker.spent:
            self.worker = Worker(given, self.matrix)
        self.worker.give(case)
        while True:
            multiprocessing.connection.wait([self.worker.pipe], timeout=1.0)
            if answer := self.worker.answer():
                return answer[0]

    def end(self):
        if not self.worker.pipe.closed:
            self.worker.end()


def send_result(pipe, function, arguments):
    pipe.send(function(*arguments))


def apart(seconds, function, *arguments):
    """What a function returns in a process of its own; None if that ends, or takes too long."""
    pipe, other = multiprocessing.Pipe()
    process = PROCESSES.Process(target=send_result, args=(other, function, arguments))
    process.start()
    other.close()
    try:
        return pipe.recv() if pipe.poll(seconds) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()


def give_next(worker, seeds, deadline):
    if deadline is None or time.monotonic() < deadline:
        seed = next(seeds, None)
        if seed is not None:
            worker.give(seed)


def cores():
    return len(os.sched_getaffinity(0))
