"""Results of a comparison: rows per mode, the arithmetic on them, and the bars they are held against."""

import dataclasses
import math
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
        """Page faults per operation, where the mode counts them: natively."""
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
VMA_WORST_RATIO = 1.5
VMA_MEAN_RATIO = 1.15
NATIVE_LIMITS = {"anon-touch": 1200, "map-unmap": 2500, "fork-small": 40000}
SHADOW_TOUCH_ADDS = 2500

# mode vma: one exit per first touch, per map, unmap or protect call, per space switch; what the row's operation
# holds of these. Rows of fork and exec are left out: how many pages they touch is the program's affair.
VMA_EXITS = {
    "getpid": 0, "map-unmap": 2, "map-touch-unmap-bare": 3, "map-touch-unmap-kept": 3,
    "anon-touch": 1, "anon-unmap": 1 / 16384, "populate": 1 / 4096,
    "protect-page": 2, "protect-mib": 2, "protect-none": 2, "segv-barrier": 3,
    "cow-child": 1, "cow-parent": 1,
    "shared-read": 1, "shared-write": 1, "shared-unmap": 1 / 4096, "private-write": 1,
    "pipe-pingpong": 2, "ring-hop": 1, "sparse-touch": 1, "sparse-unmap": 1 / 256,
    "touch-strided": 1, "touch-random": 1, "dense-64m": 1, "dense-1g": 1, "churn-128m": 1 + 2 / 256, "churn-4g": 1 + 2 / 256,
    **{f"{call}-{count}": 1 for call in ("map", "protect", "unmap", "fault") for count in ("10", "1k", "60k")},
    "dontneed": 1 / 4096, "touch-again": 1, "brk": 1 + 2 / 256, "mremap-move": 1 / 1024,
}
# A fork takes the right to write from each of its entries, at most: what one exit tells of, by interface. The rest
# of a fork is the child's faults and the switches, which the pages that it uses decide.
FORK_BATCHES = {"kvmpv": 512, "vmi": 511, "lguest": 64, "xen": 512}
FORK_ENTRIES = 16384
FORK_OTHER_EXITS = 64
# Published exits are rounded: to a tenth, larger ones to a whole.
_ROUNDING = 0.05
_ROUNDING_LARGE = 0.5
# A stray page of stack or library touched for the first time inside a span.
_EXIT_SLACK_PER_SPAN = 4


# Entries of the kernel from user mode (system calls and faults) that a row's operation holds.
KERNEL_ENTRIES = VMA_EXITS | {"getpid": 1, "segv-barrier": 4, "pipe-pingpong": 4, "ring-hop": 2}
# Where it forks: system calls alone (clone, set_robust_list, exit_group, wait4; execve). The faults are counted, natively.
FORK_SYSTEM_CALLS = {"fork-small": 4, "fork-64m": 4, "fork-exec": 5}


@dataclasses.dataclass
class Added:
    """What Xen's interface adds to our native, beside what Xen PV adds to Linux. Instructions per operation."""

    row: str
    title: str
    ours: float
    modelled: float
    published: int


def xen_bounce(peers):
    """Instructions that Xen PV adds to each entry of the kernel from user mode: what it adds to getpid."""
    return next(peer["xen_pv"] - peer["linux"] for peer in peers if peer["name"] == "getpid")


def xen_added(by_mode, peers):
    """Mode xen runs the kernel at ring 0 and is not charged for the bounces of system calls and faults at ring 3: the
    modelled figure adds one xen_bounce() for each."""
    found = []
    for peer in peers:
        if peer["own"] or peer["xen_pv"] is None:
            continue
        here, native = (by_mode.get(mode, {}).get(peer["name"]) for mode in ("xen", "native"))
        if here is not None and native is not None:
            ours = here.instructions - native.instructions
            found.append(Added(peer["name"], peer["title"], ours,
                               ours + kernel_entries(peer["name"], native) * xen_bounce(peers), peer["xen_pv"] - peer["linux"]))
    return found


def kernel_entries(row, native):
    """Entries of the kernel from user mode that an operation of the row makes."""
    if row in FORK_SYSTEM_CALLS:
        return FORK_SYSTEM_CALLS[row] + native.faults
    return KERNEL_ENTRIES[row]


@dataclasses.dataclass
class Miss:
    mode: str
    row: str
    what: str
    reason: str


# Why a bar is missed, where that is known.
_REASONS = {("shadow", "shared-read"): "Linux installs 16 pages at a fault, accessed; what our guest installs ahead is not, and a shadow "
                                       "has it only when it is touched. KVM's takes as many exits on this image"}


def misses(by_mode, peers):
    """Every figure that misses its bar."""
    found = []

    def hold(mode, row, value, limit, what):
        if value > limit:
            found.append(Miss(mode, row, f"{value:,.2f} {what}, at most {limit:,.2f}", _REASONS.get((mode, row), "")))

    titles = [peer["name"] for peer in peers if not peer["control"] and not peer["own"]]
    for peer in peers:
        figure = by_mode.get("native", {}).get(peer["name"])
        if figure is not None and not peer["control"] and not peer["own"] and peer["linux"] is not None:
            hold("native", peer["name"], figure.instructions, peer["linux"], "instructions (Linux)")
            if peer["name"] in NATIVE_LIMITS:
                hold("native", peer["name"], figure.instructions, NATIVE_LIMITS[peer["name"]], "instructions")
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
    for added in xen_added(by_mode, peers):
        hold("xen", added.row, added.ours, added.published, "instructions over native (Xen PV over Linux)")
    touch = {mode: by_mode[mode]["anon-touch"].instructions for mode in by_mode if "anon-touch" in by_mode[mode]}
    if "shadow" in touch and "native" in touch:
        hold("shadow", "anon-touch", touch["shadow"] - touch["native"], SHADOW_TOUCH_ADDS, "instructions over native")

    memory_rows = [row for row in titles if row not in SWITCH_ROWS]
    found_ratios = ratios(by_mode, "vma", memory_rows, lambda figure: figure.instructions)
    for row, ratio in found_ratios.items():
        hold("vma", row, ratio, VMA_WORST_RATIO, "× native")
    if found_ratios:
        hold("vma", "geometric mean", geometric_mean(found_ratios.values()), VMA_MEAN_RATIO, "× native")
    for row, limit in VMA_EXITS.items():
        figure = by_mode.get("vma", {}).get(row)
        if figure is not None:
            hold("vma", row, figure.memory_exits - _EXIT_SLACK_PER_SPAN / figure.ops, limit, "exits")
    for mode, batch in FORK_BATCHES.items():
        figure = by_mode.get(mode, {}).get("fork-64m")
        if figure is not None:
            hold(mode, "fork-64m", figure.memory_exits, -(-FORK_ENTRIES // batch) + FORK_OTHER_EXITS, "exits")
    return found
