"""Runs the workloads in every mode and gathers what they cost."""

import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import machine

from . import boots, counters, images, initramfs, launcher, results, walks
from .errors import UserError

WORKLOADS = ("mmlat", "script")
# What the guest gets when mmlat's large rows are asked for: 4 GiB touched, and what a mode needs to map them.
LARGE_GUEST_MIB = 5120
PEERS = images.ROOT / "experiments" / "peers.json"

# The script between marks of its own; its status is the whole's.
_MARKED_SCRIPT = ("printf 'begin script' >/dev/nopte-mark; /bin/busybox sh /script.sh; status=$?; "
                  "printf 'end script' >/dev/nopte-mark; exit $status")

_SCRIPT_COMMAND = ["/bin/busybox", "sh", "-c", _MARKED_SCRIPT]


@dataclasses.dataclass
class Comparison:
    modes: list
    peers: list
    about_peers: str
    by_mode: dict = dataclasses.field(default_factory=dict)  # mode → row → Figure
    script: dict = dataclasses.field(default_factory=dict)  # mode → Figure
    runs: list = dataclasses.field(default_factory=list)  # command line, seconds, events of each boot
    problems: list = dataclasses.field(default_factory=list)
    facts: dict = dataclasses.field(default_factory=dict)  # versions and sums
    misses: list = dataclasses.field(default_factory=list)
    walks: list = dataclasses.field(default_factory=list)  # a walks.Walked for each row counted by the plugin
    by_peer: dict = dataclasses.field(default_factory=dict)  # a key of peers.json → peers.Measured
    walk_titles: dict = dataclasses.field(default_factory=dict)  # program → what it is called

    def rows(self):
        """The peers that some mode measured, in the published order."""
        return [peer for peer in self.peers if any(peer["name"] in rows for rows in self.by_mode.values())]

    def averaged(self):
        """The rows of the means: those that others have, too."""
        return [peer["name"] for peer in self.rows() if not peer["control"] and not peer["own"]]

    def mean_ratio(self, mode, value):
        found = results.ratios(self.by_mode, mode, self.averaged(), value)
        return results.geometric_mean(found.values())


def row_names():
    return [peer["name"] for peer in json.loads(PEERS.read_text())["rows"]]


def check_measure_options(options):
    """Of a command that measures rows: --rows, --scale and --timeout are such as can be run."""
    for row in (options.rows or "").split(","):
        if row and row not in row_names():
            raise UserError(f"--rows: there is no row {row}", f"rows are {', '.join(row_names())}")
    large = {peer["name"] for peer in json.loads(PEERS.read_text())["rows"] if peer.get("large")}
    named = sorted(large & set((options.rows or "").split(",")))
    if named and not getattr(options, "large", False):
        raise UserError(f"--rows {','.join(named)}: needs {LARGE_GUEST_MIB >> 10} GiB of memory for the guest",
                        "add --large (of experiments/compare)")
    if not options.timeout > 0:
        raise UserError(f"--timeout {options.timeout:g}: not a time", "give seconds, more than 0")
    if not 1 <= options.scale <= 1000:
        raise UserError(f"--scale {options.scale}: out of range", "give 1 to 1000")


def run(options):
    published = json.loads(PEERS.read_text())
    found = Comparison(options.modes, published["rows"], published["about"])
    found.facts = facts(options.guest_mib)
    workloads = WORKLOADS if options.workload == "all" else () if options.workload == "none" else (options.workload,)
    rounds = 2 if options.check else 1
    walked = walks.programs(found.peers, _SCRIPT_COMMAND, options.large) if options.walks else []
    found.walk_titles = {program.name: program.title for program in walked}
    total = len(workloads) * len(options.modes) * rounds + len(walked) * len(options.modes)
    progress = Progress(total)
    for mode in options.modes:
        for workload in workloads:
            first = None
            for _ in range(rounds):
                try:
                    boot = _boot(mode, workload, options, progress)
                except UserError as error:
                    found.problems.append(f"{mode}, {workload}: {error}")
                    progress.failed()
                    continue
                if first is None:
                    first = boot
                    _take(found, mode, workload, boot)
                else:
                    found.problems += differences(f"{mode}, {workload}", first.events, boot.events)
    for program in walked:
        for mode in options.modes:
            _walk(found, program, mode, options, progress)
    found.misses = results.misses(found.by_mode, found.peers) if options.scale == 100 else []
    return found


def _walk(found, program, mode, options, progress):
    """One boot with the plugin, into `found`."""
    progress.start(mode, f"{program.name}, walks")
    try:
        done, lines, command = walks.run(program, mode, options.guest_mib, options.timeout, progress.console)
        rows, failed = walks.walked(program, mode, done, lines)
    except UserError as error:
        found.problems.append(f"{mode}, {program.name} with walks: {error}")
        progress.failed()
        return
    progress.done(done.seconds)
    found.walks += rows
    found.facts["modelled processor"] = walks.processor(lines)
    found.runs.append({"mode": mode, "workload": f"{program.name}, walks", "command": shlex.join(command),
                       "status": done.status, "seconds": round(done.seconds, 2), "power_off": counters.power_off(done.events)})
    found.problems += [f"{mode}, {program.name} with walks, row {row}: {why}" for row, why in failed.items()]
    if done.status != 0 and not failed:
        found.problems.append(f"{mode}, {program.name} with walks: ended with status {done.status}")


@dataclasses.dataclass
class _Boot:
    command: list
    console: bytes
    events: list
    status: int
    seconds: float


def _boot(mode, workload, options, progress):
    if workload == "mmlat":
        command = ["/bin/mmlat", "--scale", str(options.scale)] + (["--rows", options.rows] if options.rows else [])
        command += ["--large"] if options.large else []
    else:
        command = _SCRIPT_COMMAND
    with tempfile.TemporaryDirectory(prefix="nopte-compare-") as folder:
        progress.start(mode, workload)
        boot = boots.make(pathlib.Path(folder), mode, command, guest_mib=options.guest_mib)
        arguments = machine.command(boot)
        run_ = launcher.run(arguments, boot.counters, options.timeout, output=progress.console,
                            hidden=boot.hidden)
        progress.done(run_.seconds)
    return _Boot(arguments, run_.console, run_.events, run_.status, run_.seconds)


def _take(found, mode, workload, boot):
    last = counters.power_off(boot.events)
    found.runs.append({"mode": mode, "workload": workload, "command": shlex.join(boot.command),
                       "status": boot.status, "seconds": round(boot.seconds, 2), "power_off": last})
    if last.get("unimplemented"):
        found.facts.setdefault("unimplemented", {})[f"{mode}, {workload}"] = last["unimplemented"]
    if workload == "mmlat":
        found.by_mode[mode], failed = results.figures(mode, boot.console, boot.events)
        found.problems += [f"{mode}, row {row}: {why}" for row, why in failed.items()]
        for row in failed:
            found.by_mode[mode].pop(row, None)
        if boot.status != 0 and not failed:
            found.problems.append(f"{mode}, mmlat: ended with status {boot.status}")
        return
    found.script[mode] = results.whole_program("script", mode, boot.events)
    if boot.status != 0:
        found.problems.append(f"{mode}, script: ended with status {boot.status}")
    if difference := script_difference(boot.console):
        found.problems.append(f"{mode}, script: {difference}")


def script_on_host():
    """What the script prints on this host, by busybox's applets alone."""
    with tempfile.TemporaryDirectory(prefix="nopte-applets-") as folder:
        for applet in initramfs.applets():
            os.symlink(images.BUSYBOX, pathlib.Path(folder) / applet)
        # Its files have fixed names there, and other comparisons may run it at the same time.
        fcntl.flock(shared := os.open("/tmp", os.O_RDONLY), fcntl.LOCK_EX)
        try:
            done = subprocess.run([images.BUSYBOX, "sh", images.WORKLOADS / "script.sh"], capture_output=True,
                                  env={"PATH": folder}, stdin=subprocess.DEVNULL, timeout=60, check=False)
        finally:
            os.close(shared)
    if done.returncode != 0:
        raise UserError(f"the script fails on this host: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def script_difference(console):
    """What in `console` differs from the host's output; empty when it is all there, line after line."""
    here = script_on_host().splitlines()
    lines = console.decode(errors="replace").replace("\r", "").split("\n")
    if here[0] not in lines:
        return "it printed nothing of what the host prints"
    lines = lines[lines.index(here[0]):]
    for number, line in enumerate(here):
        if number >= len(lines) or lines[number] != line:
            got = lines[number] if number < len(lines) else "the end"
            return f"line {number + 1} is {got!r}, on the host {line!r}"
    return ""


def differences(label, first, second):
    """Where two runs' counters channels differ: they should be the same, bit by bit."""
    if first == second:
        return []
    for one, other in zip(first, second):
        if one != other:
            return [f"{label}: two runs differ at {one.get('text', one['event'])!r}: {one} and {other}"]
    return [f"{label}: two runs differ: {len(first)} and {len(second)} events"]


def facts(guest_mib=machine.GUEST_MIB):
    """What this comparison was run with."""
    return {
        "guest image": str(images.GUEST.relative_to(images.ROOT)),
        "guest image SHA-256": _sum(images.GUEST),
        "hypervisor image SHA-256": _sum(images.HYPERVISOR),
        "mmlat SHA-256": _sum(images.MMLAT),
        "QEMU": qemu_version(),
        "busybox": _first_line([images.BUSYBOX, "--help"]),
        "compiler": _first_line(["g++", "--version"]),
        "source": source(),
        "guest memory": f"{guest_mib} MiB",
        "hypervisor's own memory": f"{machine.HYPERVISOR_MIB} MiB on top",
    }


def qemu_version():
    return _first_line([machine.QEMU, "--version"])


def source():
    """Which commit this is; without a repository of its own, or without git, what sets these sources apart."""
    if (images.ROOT / ".git").exists() and shutil.which("git"):
        return _first_line(["git", "-C", images.ROOT, "describe", "--always", "--dirty"])
    files = subprocess.run([images.ROOT / "tests" / "support" / "sources", "", "--", "pvops", "native-fallback", "hv-mm",
                            "guest-mm", "experiments"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = hashlib.sha256()
    for name in files:
        if "__pycache__" not in name:
            found.update(f"{name}\0{_sum(images.ROOT / name)}\n".encode())
    return f"no commit; SHA-256 of the sources {found.hexdigest()[:16]}"


def _sum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_line(command):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.split("\n")[0].strip() or "unknown"


class Progress:
    """Says on the standard error which boot runs, and on a terminal which row it has reached."""

    def __init__(self, total):
        self._total = total
        self._number = 0
        self._label = ""
        self._started = 0.0
        self._line = b""

    def start(self, mode, workload):
        self._number += 1
        self._label = f"[{self._number}/{self._total}] {mode}: {workload}"
        self._started = time.monotonic()
        self._line = b""
        self._show("boots", last=False)

    def console(self, data):
        lines = (self._line + data).split(b"\n")
        self._line = lines[-1]
        for line in lines[:-1]:
            words = line.decode(errors="replace").split()
            if words[:1] in (["row"], ["=="]):
                self._show(" ".join(words[1:]) if words[0] == "==" else words[1], last=False)

    def done(self, seconds):
        self._show(f"{seconds:.1f} s", last=True)

    def failed(self):
        self._show("FAILED", last=True)

    def _show(self, text, last):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{self._label}  {text}", end="\n" if last else "", file=sys.stderr, flush=True)
        elif last:
            print(f"{self._label}  {text}", file=sys.stderr, flush=True)
