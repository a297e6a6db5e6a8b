"""Results of a comparison: rows per mode, the arithmetic on them, and the bars they are held against."""

import dataclasses
import json
import math
import pathlib
import re

from . import counters
from .errors import UserError

# Assumed cost of one exit in cycles, for the modelled figures: what the emulated machine does not charge.
EXIT_COSTS = (1000, 2000)

_ROW = re.compile(r"^row (\S+) ops (\d+) instructions (\d+)\s*$")
_FAILED = re.compile(r"^row (\S+) failed: (.*?)\s*$")


@dataclasses.dataclass
class Figure:
    """One row in one mode. Instructions, exits and idle time are per operation."""

    row: str
    mode: str
    ops: int
    instructions: float
    hypervisor_instructions: float
    memory_exits: float
    platform_exits: float
    idle_ns: float
    counters: dict  # totals of the span, the empty span's subtracted

    @property
    def guest_instructions(self):
        return self.instructions - self.hypervisor_instructions

    @property
    def exits(self):
        return self.memory_exits + self.platform_exits

    @property
    def faults(self):
        """Page faults per operation, where the mode counts them: natively, and on Xen."""
        return self.counters.get("faults", 0) / self.ops

    def modelled(self, cost):
        return modelled(self.instructions, self.exits, cost)


def modelled(instructions, exits, cost):
    """Cycles under the model: one per instruction, `cost` per exit."""
    return instructions + cost * exits


def geometric_mean(ratios):
    ratios = list(ratios)
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def parse_rows(console):
    """mmlat's output: name → (ops, instructions), and name → why for rows that failed."""
    rows, failed = {}, {}
    for line in console.decode(errors="replace").replace("\r", "").split("\n"):
        if match := _ROW.match(line):
            if int(match[2]) == 0:
                failed[match[1]] = "no operation was measured"
            else:
                rows[match[1]] = (int(match[2]), int(match[3]))
        elif match := _FAILED.match(line):
            failed[match[1]] = match[2]
    return rows, failed


def figures(mode, console, events):
    """mmlat's figures in one mode, and the rows that failed: name → why. A row that idled fails."""
    rows, failed = parse_rows(console)
    spans = counters.spans(events)
    if "empty" not in spans or "empty" not in rows:
        raise UserError(f"{mode}: the empty span was not measured")
    found = {}
    for name, (ops, instructions) in rows.items():
        if name == "empty":
            continue
        if name not in spans:
            failed[name] = "no marks of its span in the counters"
            continue
        figure = _figure(name, mode, ops, instructions, spans[name].minus(spans["empty"]))
        if figure.idle_ns > 0:
            failed[name] = f"the machine idled for {figure.idle_ns * ops:.0f} ns inside the span"
        found[name] = figure
    return found, failed


def whole_program(name, mode, events):
    """One figure for a program that ran between marks of its own; time spent idle is not work."""
    spans = counters.spans(events)
    if name not in spans:
        raise UserError(f"{mode}: no marks of {name} in the counters")
    span = spans[name]
    return _figure(name, mode, 1, span.ticks - span.idle_ns, span)


def _figure(name, mode, ops, instructions, span):
    found = span.counters
    return Figure(name, mode, ops, instructions / ops, counters.hypervisor_instructions(found) / ops,
                  counters.memory_exits(found) / ops, counters.platform_exits(found) / ops, span.idle_ns / ops, found)


def ratios(by_mode, mode, rows, value):
    """Row → `mode`'s value over native's, for the rows that both have."""
    found = {}
    for row in rows:
        here, native = by_mode.get(mode, {}).get(row), by_mode.get("native", {}).get(row)
        if here is not None and native is not None and value(native) > 0:
            found[row] = value(here) / value(native)
    return found


# --- the bars ------------------------------------------------------------------------------------------------

# Rows without a change or a fault of memory: shown against the exit bars only.
SWITCH_ROWS = ("pipe-pingpong", "ring-hop")
# What vma's worst row took of native before the fast paths.
VMA_WORST_RATIO = 1.489
SHADOW_TOUCH_ADDS = 2500

# What operations aim at, and what those that miss it take: what is held is not to be lost again (AIMS' "held", "means").
AIMS = json.loads((pathlib.Path(__file__).resolve().parents[2] / "papers" / "figures" / "aims.json").read_text())
# Another image's layout costs a row no more than this.
HELD_SLACK = 0.01
_AIMED = (("native", "native", "instructions"), ("vma", "vma", "instructions"), ("exits", "vma", "exits"))

# mode vma, rows without an aim: an exit per fault (16 pages come with one that goes on from others), per call that takes something
# away, per space switch; what the row's operation holds of these. Rows of fork and exec are left out: how many pages they touch is
# the program's affair.
_AHEAD = 1 / 16
VMA_EXITS = {
    "getpid": 0, "map-touch-unmap-bare": 2,
    "anon-unmap": 1 / 16384, "populate": 1 / 4096, "protect-page": 2, "protect-none": 2,
    "shared-write": _AHEAD, "shared-unmap": 1 / 4096, "private-write": 1,
    "pipe-pingpong": 2, "ring-hop": 1, "sparse-touch": 1, "sparse-unmap": 1 / 256,
    "touch-strided": 1 / 7, "touch-random": 1, "dense-1g": 1 / 512, "churn-128m": _AHEAD, "churn-4g": _AHEAD,
    **{f"map-{count}": _AHEAD for count in ("10", "1k", "60k")},
    **{f"{call}-{count}": 1 for call in ("protect", "unmap", "fault") for count in ("10", "1k", "60k")},
    "dontneed": 1 / 4096, "touch-again": _AHEAD, "mremap-move": 1 / 1024,
}
# A fork takes the right to write from each of its entries, at most: what one exit tells of, by interface. The rest
# of a fork is the child's faults and the switches, which the pages that it uses decide.
FORK_BATCHES = {"kvmpv": 512, "vmi": 511, "lguest": 64, "xen": 512}
FORK_ENTRIES = 16384
FORK_OTHER_EXITS = 64
# Published exits are rounded: to a tenth, larger ones to a whole.
_ROUNDING = 0.05
_ROUNDING_LARGE = 0.5
# The row that a price is taken from is met to the digit, or a fraction of an instruction off.
_MODEL_SLACK = 0.001
# A stray page of stack or library touched for the first time inside a span.
_EXIT_SLACK_PER_SPAN = 4


# System calls that a row's operation makes; its page faults are counted.
SYSTEM_CALLS = {
    "getpid": 1, "map-unmap": 2, "map-touch-unmap-bare": 2, "map-touch-unmap-kept": 2, "anon-unmap": 1 / 16384, "populate": 1 / 4096,
    "protect-page": 2, "protect-mib": 2, "segv-barrier": 3, "fork-small": 4, "fork-64m": 4, "fork-exec": 5, "shared-unmap": 1 / 4096,
    "pipe-pingpong": 4, "ring-hop": 2, "sparse-unmap": 1 / 256, "dontneed": 1 / 4096, "brk": 2 / 256, "mremap-move": 1 / 1024,
}
# Switches of processes.
SWITCHES = {"pipe-pingpong": 2, "ring-hop": 1, "fork-small": 2, "fork-64m": 2, "fork-exec": 2}


@dataclasses.dataclass
class Bounces:
    """What Xen charges a PV kernel at ring 3 and the container does not, in instructions."""

    entry: float  # of the kernel from user mode, and back
    switch: float  # of processes


def bounces(by_mode, peers):
    """As measured with this image on Xen: getpid, and the least that a switch takes, in a hop of the ring or in the pipe's ping-pong.
    Without that, what Xen PV adds to Linux's getpid, and nothing for a switch."""
    def took(mode, row):
        return by_mode.get(mode, {}).get(row)

    on_xen, native = took("xenpv", "getpid"), took("native", "getpid")
    if on_xen is None or native is None:
        linux = [peer["xen_pv"] - peer["linux"] for peer in peers if peer["name"] == "getpid" and peer["linux"] and peer["xen_pv"]]
        return Bounces(linux[0] if linux else 0, 0)
    entry = on_xen.instructions - native.instructions
    switches = [(real.instructions - here.instructions - SYSTEM_CALLS[row] * entry) / SWITCHES[row]
                for row in SWITCH_ROWS if (real := took("xenpv", row)) and (here := took("xen", row))]
    return Bounces(entry, max(min(switches, default=0), 0))


@dataclasses.dataclass
class Modelled:
    """Mode xen with what the container does not charge, beside Xen itself and what Xen PV adds to Linux. Instructions per
    operation."""

    row: str
    title: str
    averaged: bool
    native: float
    here: float  # mode xen
    entries: float
    switches: float
    modelled: float
    real: float | None  # mode xenpv
    published: int  # added to Linux

    @property
    def ours(self):
        return self.here - self.native

    @property
    def added(self):
        return self.modelled - self.native


def xen_modelled(by_mode, peers):
    """A Modelled for each row that Linux has on Xen, too. Mode xen runs the kernel at ring 0: what bounces at ring 3 is modelled."""
    found = []
    prices = bounces(by_mode, peers)
    for peer in peers:
        native, here, real = (by_mode.get(mode, {}).get(peer["name"]) for mode in ("native", "xen", "xenpv"))
        if peer["own"] or peer["xen_pv"] is None or native is None or here is None:
            continue
        entries = SYSTEM_CALLS.get(peer["name"], 0) + (real or native).faults
        switches = SWITCHES.get(peer["name"], 0)
        found.append(Modelled(peer["name"], peer["title"], not peer["control"], native.instructions, here.instructions, entries, switches,
                              here.instructions + entries * prices.entry + switches * prices.switch,
                              None if real is None else real.instructions, peer["xen_pv"] - peer["linux"]))
    return found


@dataclasses.dataclass
class Miss:
    mode: str
    row: str
    what: str
    reason: str


# What our guest's ratio on a hypervisor that is not ours may be of Linux's there, and vma of that hypervisor with this image.
FOREIGN_PEERS = {"xenpv": "xen_pv", "kvm-shadow": "kvm_shadow"}
FOREIGN_RATIO = 0.8
VMA_OF_FOREIGN = 1 / 3
_SHORT = ("a ratio to paths that are shorter than Linux's: what the hypervisor does for the same operation is the larger part. In instructions "
          "ours takes less than Linux there; papers/peers.md has the floor")
# Why a bar is missed, where that is known.
_REASONS = {("xenpv", "geometric mean"): _SHORT, ("kvm-shadow", "geometric mean"): _SHORT,
            ("vma", "geometric mean, xenpv"): "nobody counts how often Xen is entered: its column has no price on exits, ours has",
            ("vma", "protect-page"): "two calls, each an exit and the promise in a tree of its own; both take less than before the fast paths, "
                                     "native by more",
            ("shadow", "shared-read"): "Linux installs 16 pages at a fault, accessed; what our guest installs ahead is not, and a shadow "
                                       "has it only when it is touched. KVM's takes as many exits on this image"}
_FLOORS = "papers/floors.md has the floor"
# Where an operation of mode vma has platform exits at all: it counts them, and the machine is the reason.
_CR2_READS = "QEMU 10 exits where the guest reads CR2, which QEMU 7.2 and silicon do not: papers/caveats.md"


def misses(by_mode, peers):
    """Every figure that misses its bar."""
    found = []

    def hold(mode, row, value, limit, what, reason=""):
        if value > limit:
            found.append(Miss(mode, row, f"{value:,.2f} {what}, at most {limit:,.2f}", reason or _REASONS.get((mode, row), "")))

    titles = [peer["name"] for peer in peers if not peer["control"] and not peer["own"]]
    for peer in peers:
        figure = by_mode.get("native", {}).get(peer["name"])
        if figure is not None and not peer["control"] and not peer["own"] and peer["linux"] is not None:
            hold("native", peer["name"], figure.instructions, peer["linux"], "instructions (Linux)")
        figure = by_mode.get("shadow", {}).get(peer["name"])
        if figure is not None and not peer["own"] and peer["kvm_shadow_exits"] is not None:
            hold("shadow", peer["name"], figure.memory_exits - _EXIT_SLACK_PER_SPAN / figure.ops,
                 peer["kvm_shadow_exits"] + (_ROUNDING if peer["kvm_shadow_exits"] < 20 else _ROUNDING_LARGE),
                 "exits (KVM's shadow, rounded)")
    # Ours is to be no weaker an opponent than the one that people have, on the same image.
    for row, figure in by_mode.get("shadow", {}).items():
        theirs = by_mode.get("kvm-shadow", {}).get(row)
        if theirs is not None:
            hold("shadow", row, figure.instructions, theirs.instructions, "instructions (KVM's shadow, this image)")
            hold("shadow", row, figure.memory_exits - _EXIT_SLACK_PER_SPAN / figure.ops, theirs.memory_exits,
                 "exits (KVM's shadow, this image)")
    for mode, peer in FOREIGN_PEERS.items():
        theirs = {row["name"]: row[peer] / row["linux"] for row in peers if row["name"] in titles and row["linux"] and row[peer]}
        ours = ratios(by_mode, mode, theirs, lambda figure: figure.instructions)
        if ours:
            hold(mode, "geometric mean", geometric_mean(ours.values()) / geometric_mean(theirs[row] for row in ours), FOREIGN_RATIO,
                 "of Linux's ratio there")
        rows = [row for row in titles if row in by_mode.get("vma", {}) and row in by_mode.get(mode, {})]
        for cost in (0, EXIT_COSTS[0]) if rows else ():
            mean = geometric_mean(by_mode["vma"][row].modelled(cost) / by_mode[mode][row].modelled(cost) for row in rows)
            hold("vma", f"geometric mean, {mode}", mean, VMA_OF_FOREIGN, f"of {mode}, +{cost:,} per exit")
    for row in xen_modelled(by_mode, peers):
        hold("xen", row.row, row.ours, row.published, "instructions over native (Xen PV over Linux)")
        if row.real is not None:
            hold("xen", row.row, row.modelled, row.real * (1 + _MODEL_SLACK), "instructions, modelled (Xen itself, this image)")
    touch = {mode: by_mode[mode]["anon-touch"].instructions for mode in by_mode if "anon-touch" in by_mode[mode]}
    if "shadow" in touch and "native" in touch:
        hold("shadow", "anon-touch", touch["shadow"] - touch["native"], SHADOW_TOUCH_ADDS, "instructions over native")

    memory_rows = [row for row in titles if row not in SWITCH_ROWS]
    for row, ratio in ratios(by_mode, "vma", memory_rows, lambda figure: figure.instructions).items():
        hold("vma", row, ratio, VMA_WORST_RATIO, "× native", _CR2_READS if by_mode["vma"][row].platform_exits >= 1 else "")
    found += _aims_missed(by_mode, titles)
    for row, limit in VMA_EXITS.items():
        figure = by_mode.get("vma", {}).get(row)
        if figure is not None:
            hold("vma", row, figure.memory_exits - _EXIT_SLACK_PER_SPAN / figure.ops, limit, "exits")
    for mode, batch in FORK_BATCHES.items():
        figure = by_mode.get(mode, {}).get("fork-64m")
        if figure is not None:
            hold(mode, "fork-64m", figure.memory_exits, -(-FORK_ENTRIES // batch) + FORK_OTHER_EXITS, "exits")
    return found


def _aims_missed(by_mode, titles):
    """Figures above their aim, and those above what is held: only the first have a reason."""
    aims = {row["row"]: dict(zip(("native", "vma", "exits"), row["aim"])) for row in AIMS["rows"]}
    held = {row["row"]: row for row in AIMS["held"]}
    found = []

    def look(mode, row, what, value, aim, most):
        if most is not None and value > most * (1 + HELD_SLACK):
            found.append(Miss(mode, row, f"{value:,.2f} {what}, held at {most:,.2f}", ""))
        elif aim is not None and value > aim:
            found.append(Miss(mode, row, f"{value:,.2f} {what}, aimed at {aim:,.2f}", "" if most is None else _FLOORS))

    for row in dict.fromkeys([*aims, *held]):
        for name, mode, what in _AIMED:
            figure = by_mode.get(mode, {}).get(row)
            if figure is not None:
                value = figure.memory_exits - _EXIT_SLACK_PER_SPAN / figure.ops if name == "exits" else figure.instructions
                look(mode, row, what, value, aims.get(row, {}).get(name), held.get(row, {}).get(name))
    if all(row in by_mode.get(mode, {}) for mode in ("native", "vma") for row in titles):
        for cost, aim, most in zip((0, *EXIT_COSTS), AIMS["means"]["aim"], AIMS["means"]["held"]):
            mean = geometric_mean(ratios(by_mode, "vma", titles, lambda figure: figure.modelled(cost)).values())
            look("vma", "geometric mean", f"× native, +{cost:,} per exit", mean, aim, most)
    return found
