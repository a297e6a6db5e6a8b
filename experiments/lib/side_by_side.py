"""Boots side by side. Each has one processor of its own and counts what it executes: no count depends on what else runs."""

import concurrent.futures
import contextlib
import dataclasses
import os
import signal
import sys
import threading
import time

from . import launcher
from .errors import UserError


@dataclasses.dataclass
class Job:
    """One boot. `call` is given what takes its console's bytes; `weight`: those that take longest begin first."""

    mode: str
    workload: str
    call: object
    weight: int = 0


@dataclasses.dataclass
class Outcome:
    value: object  # what `call` answered
    error: UserError | None = None


def most():
    """One boot for each processor; each takes some 1.5 GiB of memory."""
    return max(1, min(len(os.sched_getaffinity(0)), 4))


def run(jobs, width):
    """An Outcome for each job, in their order; at most `width` run at a time. Whatever ends this program ends them."""
    progress = Progress(len(jobs))
    order = sorted(range(len(jobs)), key=lambda index: -jobs[index].weight)
    with _ended_by_signals(), concurrent.futures.ThreadPoolExecutor(width) as pool:
        futures = {index: pool.submit(_one, jobs[index], progress) for index in order}
        try:
            return [futures[index].result() for index in range(len(jobs))]
        except BaseException:
            for future in futures.values():
                future.cancel()
            launcher.end_all()
            raise


def _one(job, progress):
    boot = progress.start(job.mode, job.workload)
    try:
        value = job.call(boot.console)
    except UserError as error:
        boot.failed()
        return Outcome(None, error)
    boot.done()
    return Outcome(value)


@contextlib.contextmanager
def _ended_by_signals():
    def stop(number, _frame):
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in launcher.SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """Says on the standard error which boots have ended, and on a terminal which rows the others have reached."""

    def __init__(self, total):
        self._total = total
        self._ended = 0
        self._running = []
        self._lock = threading.RLock()

    def start(self, mode, workload):
        boot = _Line(self, f"{mode}: {workload}")
        with self._lock:
            self._running.append(boot)
            self.show()
        return boot

    def end(self, boot, how):
        with self._lock:
            self._running.remove(boot)
            self._ended += 1
            clear = "\r\x1b[K" if sys.stderr.isatty() else ""
            print(f"{clear}[{self._ended}/{self._total}] {boot.label}  {how}", file=sys.stderr, flush=True)
            self.show()

    def show(self):
        if not sys.stderr.isatty():
            return
        with self._lock:
            line = " | ".join(f"{boot.label}  {boot.reached}" for boot in self._running)
            print(f"\r\x1b[K[{self._ended}/{self._total}] {line}" if line else "\r\x1b[K", end="", file=sys.stderr, flush=True)


class _Line:
    """One boot's place in the progress."""

    def __init__(self, progress, label):
        self.label = label
        self.reached = "boots"
        self._progress = progress
        self._started = time.monotonic()
        self._rest = b""

    def console(self, data):
        lines = (self._rest + data).split(b"\n")
        self._rest = lines[-1]
        for line in lines[:-1]:
            words = line.decode(errors="replace").split()
            if words[:1] in (["row"], ["=="]) and len(words) > 1:
                self.reached = " ".join(words[1:]) if words[0] == "==" else words[1]
                self._progress.show()

    def done(self):
        self._progress.end(self, f"{time.monotonic() - self._started:.1f} s")

    def failed(self):
        self._progress.end(self, "FAILED")
