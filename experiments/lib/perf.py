"""What the host's processor counts where it can: perf around QEMU under KVM, instead of the plugin.

perf stat counts guest and host apart (its JSON: perf-stat(1), "JSON FORMAT"); perf kvm stat says why the guest was left
(perf-kvm(1)). Both are of a whole boot: perf sees no marks.
"""

import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import machine

from . import boots, images, launcher
from .errors import UserError

# G: in the guest, H: in the host.
EVENTS = ("instructions:G", "instructions:H", "cycles:G", "cycles:H", "dTLB-load-misses:G", "dTLB-load-misses:H")
_EXITS = re.compile(r"^\s*(\S.*?)\s+(\d+)\s+([\d.]+)%\s+([\d.]+)%\s+([\d.]+)us\s+([\d.]+)us\s+([\d.]+)us", re.MULTILINE)


@dataclasses.dataclass
class Exits:
    reason: str
    count: int
    percent_of_time: float
    mean_us: float


def parse_stat(text):
    """Event → what perf stat -j counted; None: this processor, or who asked, could not count it."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("{"):
            continue  # an empty line, or when it began
        try:
            event = json.loads(line)
            name, value = event["event"], event["counter-value"]
            found[name] = None if value.startswith("<") else float(value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"perf stat's line {number} is not as its manual says: {line}") from error
    return found


def parse_exits(text):
    """What perf kvm stat report prints: a line for each reason."""
    return [Exits(match[1], int(match[2]), float(match[4]), float(match[7])) for match in _EXITS.finditer(text)]


def require():
    if shutil.which("perf") is None:
        raise UserError("perf is missing", "install it: apt-get install linux-perf; --accel tcg does without")


def run(options):
    """Boots twice, once for each of perf's commands, prints what they counted and keeps it; the guest's status."""
    require()
    with tempfile.TemporaryDirectory(prefix="nopte-profile-") as folder:
        folder = pathlib.Path(folder)
        stat, record = folder / "stat", folder / "record"
        images.say(f"{options.mode}, KVM: perf stat")
        done = _boot(folder, options, ["perf", "stat", "-j", "-o", stat, "-e", ",".join(EVENTS), "--"])
        counts = parse_stat(stat.read_text()) if stat.exists() else {}
        images.say(f"{options.mode}, KVM: perf kvm stat")
        _boot(folder, options, ["perf", "kvm", "--host", "stat", "record", "-o", record, "--"])
        report = subprocess.run(["perf", "kvm", "--host", "-i", record, "stat", "report"], capture_output=True, text=True,
                                check=False)
    exits = parse_exits(report.stdout)
    print(terminal(options.mode, counts, exits))
    _keep(options, counts, exits)
    return done.status


def _boot(folder, options, before):
    boot = boots.make(folder, options.mode, options.command, extra=options.extra, guest_mib=options.memory, accel="kvm")
    # QEMU is perf's child: it ends with it.
    command = [*map(str, before), "setpriv", "--pdeathsig", "KILL", *machine.command(boot)]
    return launcher.run(command, boot.counters, options.timeout, silence=launcher.KVM_SILENCE_SECONDS)


def terminal(mode, counts, exits):
    lines = [f"== mode {mode} under KVM, the whole boot, by perf", ""]
    lines += [f"{'not counted here' if value is None else format(value, ',.0f'):>20}  {event}" for event, value in counts.items()]
    if not any(value is not None for value in counts.values()):
        lines.append("this processor gives its counters to nobody here (a virtual machine's?): --accel tcg counts instructions")
    lines += ["", f"{'exits':>12} {'of the time':>12} {'each':>10}  reason"]
    lines += [f"{one.count:>12,} {one.percent_of_time:>11.1f}% {one.mean_us:>7.2f} us  {one.reason}" for one in exits]
    if not exits:
        lines.append("perf kvm stat saw no exit: it needs the right to trace (root, or kernel.perf_event_paranoid = -1)")
    return "\n".join(lines) + "\n"


def _keep(options, counts, exits):
    path = options.out / f"{'rows' if options.row_names else 'program'}-{options.mode}.perf.json"
    found = {"mode": options.mode, "command": options.command, "counts": counts,
             "exits": [dataclasses.asdict(one) for one in exits]}
    try:
        path.write_text(json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"--out {options.out}: {error.strerror}") from error
    print(f"file: {path}")
