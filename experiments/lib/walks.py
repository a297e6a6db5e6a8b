"""What page walks would cost: boots with the QEMU plugin of experiments/walks, and what is made of its counts.

The plugin's models see the same accesses in every mode, and say what walks they take in one dimension and in two, with
leaves of 4 KiB and of 2 MiB in either. Which of these a mode really has is seen: two dimensions by the control block,
the guest's leaves by where the pages of programs lie; the nested tables map the guest's memory by 2 MiB
(hv-mm/nested).
"""

import dataclasses
import functools
import json
import pathlib
import re
import subprocess
import tempfile

import machine

from . import boots, counters, images, launcher, results
from .errors import UserError

PLUGIN = images.BUILD / "experiments" / "walks.so"
CHASE = images.PROGRAMS / "chase"
TARGETS = ("walks", "chase")
# The guest kernel's function that takes a mark.
_MARK = re.compile(r"^([0-9a-f]+) t .*MarkFile::write\(", re.MULTILINE)

PROCESSOR = "AMD EPYC 7001 (AMD publication 55723, section 2.7)"  # experiments/walks/processor.h
# (dimensions, leaves of the guest's tables, leaves of the nested ones), as the plugin names them.
MODELS = (("one", "4 KiB", ""), ("one", "2 MiB", ""), ("two", "4 KiB", "4 KiB"), ("two", "4 KiB", "2 MiB"),
          ("two", "2 MiB", "4 KiB"), ("two", "2 MiB", "2 MiB"))
NESTED_LEAF = "2 MiB"

# Assumed, in cycles: what one reference of a walk costs in the tables (it hits a cache nearby), and what the sensitivity
# plot goes over. An exit's are results.EXIT_COSTS.
REFERENCE_COST = 10
EXIT_RANGE = (500, 4000)
REFERENCE_RANGE = (1, 30)


@dataclasses.dataclass
class Program:
    name: str
    title: str
    command: list
    large: bool = False  # needs the memory that --large gives


# mmlat runs at a tenth of its repetitions and without the rows of 60,000 regions: a boot with the plugin takes ten times
# as long as one without.
_MMLAT_SCALE = 10


def _mmlat_rows(peers):
    return [peer["name"] for peer in peers if not peer.get("large") and not peer["name"].endswith("-60k")]


def programs(peers, script, large):
    """What is run with the plugin, in this order. `script`: the command of the comparison's script."""
    found = [Program("chase-64m", "chase, 64 MiB, per step", ["/bin/chase", "--mib", "64", "--steps", "1000000"]),
             Program("chase-1g", "chase, 1 GiB, per step",
                     ["/bin/chase", "--mib", "1024", "--spacing", "4096", "--steps", "1000000"], large=True),
             Program("script", "busybox script", script),
             Program("mmlat", "mmlat", ["/bin/mmlat", "--scale", str(_MMLAT_SCALE), "--rows", ",".join(_mmlat_rows(peers))])]
    return [program for program in found if large or not program.large]


@dataclasses.dataclass
class Walked:
    """One row of a program in one mode, counted by the plugin's models. All but `small_pages` is per operation."""

    program: str
    figure: results.Figure  # instructions and exits of the same boot
    two_dimensional: bool  # as the control block says
    small_pages: float  # share of the program's pages that cannot lie in a leaf of 2 MiB
    events: dict
    accesses: float
    models: dict  # one of MODELS → {"first_level_misses", "walks", "references", "nested_references"}

    @property
    def row(self):
        return self.figure.row

    @property
    def mode(self):
        return self.figure.mode

    @property
    def used(self):
        """Which of MODELS the mode really is."""
        guest = "4 KiB" if self.small_pages > 0.5 else "2 MiB"
        return ("two", guest, NESTED_LEAF) if self.two_dimensional else ("one", guest, "")

    def modelled(self, exit_cost, reference_cost, model=None):
        """Cycles: one per instruction, and the assumed ones of exits and of references of walks."""
        return self.figure.modelled(exit_cost) + reference_cost * self.models[model or self.used]["references"]


def require(what="--walks"):
    """Raises UserError where this QEMU takes no plugins. `what` needs them."""
    try:
        done = subprocess.run([machine.QEMU, "-help"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"{machine.QEMU} cannot be started: {error.strerror}",
                        "install it: apt-get install qemu-system-x86 seabios") from error
    if not re.search(r"^-plugin\b", done.stdout, re.MULTILINE):
        raise UserError(f"{what}: this {machine.QEMU} was built without plugins",
                        "use Debian's qemu-system-x86, or one configured with --enable-plugins")


@functools.cache
def mark_address(image=images.GUEST):
    """Where the guest kernel takes a mark, which the plugin is told."""
    symbols = subprocess.run(["nm", "--demangle", image], capture_output=True, text=True, check=False).stdout
    found = _MARK.findall(symbols)
    if len(found) != 1:
        raise UserError(f"--walks: {image} has {len(found)} functions that take a mark; it must be one",
                        "build it again: ninja -C build nopte-guest")
    return int(found[0], 16)


def run(program, mode, guest_mib, timeout, output=None):
    """Boots `program` with the plugin: a launcher.Run, the plugin's lines, and QEMU's command."""
    with tempfile.TemporaryDirectory(prefix="nopte-walks-") as folder:
        folder = pathlib.Path(folder)
        boot = boots.make(folder, mode, program.command, extra=[(CHASE, "/bin/chase")], guest_mib=guest_mib)
        lines = folder / "walks.jsonl"
        arguments = f"out={lines},mark={mark_address():#x}" + (",hypervisor=on" if mode != "native" else "")
        command = machine.command(boot) + ["-plugin", f"{PLUGIN},{arguments}"]
        done = launcher.run(command, boot.counters, timeout, output=output)
        return done, counters.read(lines), command


def walked(program, mode, done, lines):
    """The Walked of each span of a boot, and the rows that failed: name → why."""
    marks = [line for line in lines if line["event"] == "mark"]
    texts = [event["text"].strip() for event in done.events if event["event"] == "mark"]
    if len(marks) != len(texts):
        raise UserError(f"{mode}, {program.name}: the plugin saw {len(marks)} marks, the machine {len(texts)}")
    if program.name == "script":
        figures, failed = {"script": results.whole_program("script", mode, done.events)}, {}
    else:
        figures, failed = results.figures(mode, done.console, done.events)
    # As the counters channel has its spans: the plugin's counts stand for the counters there.
    spans = counters.spans([{"event": "mark", "text": text, "tsc": 0, "counters": _flat(line)}
                            for text, line in zip(texts, marks)])
    run_span = counters.flatten(lines[-1]["events"]), counters.flatten(marks[0]["events"])
    pages, small = (run_span[0][name] - run_span[1][name] for name in ("pages", "small_pages"))
    found = []
    for row, figure in figures.items():
        if row in failed:
            continue
        span = spans[row].minus(spans["empty"]) if "empty" in spans else spans[row]
        per = {name: value / figure.ops for name, value in span.counters.items()}
        models = {model: {name: per[f"models.{index}.{name}"] for name in _COUNTS} for index, model in enumerate(MODELS)}
        figure.row = program.name if program.name.startswith("chase") else row
        found.append(Walked(program.name, figure, marks[-1]["nested"], small / pages if pages else 1.0,
                            {name[7:]: value for name, value in per.items() if name.startswith("events.")},
                            per["accesses"], models))
    return found, failed


_COUNTS = ("first_level_misses", "walks", "references", "nested_references")
_OWNERS = ("hypervisor", "kernel", "program")


def _flat(line):
    """A line of the plugin as counters: sums over whose accesses they are, by model."""
    if tuple((model["dimensions"], model["guest"], model["nested"]) for model in line["models"]) != MODELS:
        raise UserError("--walks: the plugin is of another version than this script", "build it: ninja -C build walks")
    found = {"accesses": sum(line["accesses"][owner][stream] for owner in _OWNERS for stream in ("data", "code")),
             "events": line["events"], "models": {}}
    for index, model in enumerate(line["models"]):
        found["models"][str(index)] = {name: sum(model[owner][stream][name] for owner in _OWNERS for stream in ("data", "code"))
                                       for name in _COUNTS}
    return found


def by_row(found):
    """(program, row) → mode → Walked, in the order of `found`."""
    rows = {}
    for one in found:
        rows.setdefault((one.program, one.row), {})[one.mode] = one
    return rows


def mean_cycles(found, program, mode, exit_cost, reference_cost):
    """Geometric mean of the modelled cycles of a program's rows that every mode of it has. None: the mode has none."""
    rows = [modes for (name, _), modes in by_row(found).items() if name == program]
    modes = {mode for row in rows for mode in row}
    whole = [row for row in rows if set(row) == modes]
    if mode not in modes or not whole:
        return None
    cycles = [row[mode].modelled(exit_cost, reference_cost) for row in whole]
    # Not by logarithms of the library: the prices may be arrays of them.
    mean = 1.0
    for one in cycles:
        mean = mean * one ** (1 / len(cycles))
    return mean


@dataclasses.dataclass
class Crossing:
    """Two modes of which neither is the cheaper one over the whole range of prices."""

    program: str
    modes: tuple  # the first is the cheaper one where exits are cheap
    exit_cost: float | None  # at which they are equal when a reference costs REFERENCE_COST; None: outside the range


def costs(found):
    """Program → mode → a function of the prices of an exit and of a reference: modelled cycles. Of mmlat, the mean."""
    programs_ = {}
    for one in found:
        by_mode = programs_.setdefault(one.program, {})
        by_mode[one.mode] = functools.partial(_mean_of, found, one.mode) if one.program == "mmlat" else one.modelled
    return programs_


def _mean_of(found, mode, exit_cost, reference_cost):
    return mean_cycles(found, "mmlat", mode, exit_cost, reference_cost)


def crossings(found):
    """Every pair of modes under a hypervisor that cross somewhere in EXIT_RANGE and REFERENCE_RANGE."""
    crossed = []
    for program, by_mode in costs(found).items():
        modes = [mode for mode in by_mode if mode != "native"]
        for index, one in enumerate(modes):
            for other in modes[index + 1:]:
                def apart(exit_cost, reference_cost, one=by_mode[one], other=by_mode[other]):
                    return one(exit_cost, reference_cost) - other(exit_cost, reference_cost)

                corners = [apart(x, y) for x in EXIT_RANGE for y in REFERENCE_RANGE]
                if min(corners) < 0 < max(corners):
                    first = (one, other) if sum(corners[:2]) < 0 else (other, one)
                    crossed.append(Crossing(program, first, _zero(lambda x: apart(x, REFERENCE_COST))))
    return crossed


def _zero(function):
    """Where in EXIT_RANGE a function that grows or falls is zero, to a cycle; None: nowhere."""
    low, high = EXIT_RANGE
    if function(low) * function(high) > 0:
        return None
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (middle, high) if function(low) * function(middle) > 0 else (low, middle)
    return round(high)


def as_json(found):
    return [{"program": one.program, "row": one.row, "mode": one.mode, "ops": one.figure.ops,
             "instructions": one.figure.instructions, "exits": one.figure.exits, "used": " ".join(filter(None, one.used)),
             "small_pages": one.small_pages, "accesses": one.accesses, "events": one.events,
             "models": [{"dimensions": model[0], "guest": model[1], "nested": model[2], **counts}
                        for model, counts in one.models.items()]} for one in found]


def processor(lines):
    return lines[-1]["processor"]
