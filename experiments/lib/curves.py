"""What an operation costs among many others: the workload "curves", whose rows are "NAME-COUNT" (workloads/curves)."""

import collections
import csv
import io
import math

from . import images, results

WORKLOAD = "curves"
TITLE = "what operations cost among many"
PROGRAM = images.PROGRAMS / "curves"
GUEST_PROGRAM = "/bin/curves"
# At most as the logarithm: from ten of something on, a tenfold adds at most this much of what it costs among ten. Below ten it
# is often another operation: a ring of one gives to itself.
FROM = 10
TENFOLD_ADDS = 0.25

TITLES = {
    "processes-fork": "fork+exit+wait", "processes-waitany": "the same, waiting for any child", "processes-pipe": "pipe round trip",
    "processes-hop": "a hop around all of them", "processes-yield": "a switch when all can run", "processes-kill": "kill(pid, 0)",
    "processes-alarm": "alarm, all have one", "processes-crowd": "pipe round trip, all read it", "processes-group": "fork, setpgid, kill(-pgid), exit, wait",
    "threads-futex": "futex round trip", "threads-hop": "a hop around all of them", "threads-create": "create+join",
    "threads-wake": "futex wake of nobody", "threads-map": "mmap+touch+munmap", "threads-crowd": "futex round trip, all wait there",
    "threads-signal": "a signal to the process, handled",
    "mappings-map-unmap": "mmap+munmap", "mappings-protect": "mprotect and back", "mappings-again": "munmap+mmap amidst",
    "mappings-fault": "touch+MADV_DONTNEED", "mappings-search": "mmap+munmap, holes too small", "mappings-of-a-file": "mmap+touch over another, all of one page",
}


def of(figures):
    """Row's name without its count → [(count, value)], by count; `figures`: row → anything."""
    found = collections.defaultdict(list)
    for row, figure in figures.items():
        name, _, count = row.rpartition("-")
        found[name].append((int(count), figure))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}


def most(cost, count):
    """What an operation may cost among `count` that costs `cost` among FROM."""
    return cost * (1 + TENFOLD_ADDS * math.log10(count / FROM))


def misses(by_mode):
    """Points above their bar, as results.misses(). By instructions, and with a price for exits."""
    found = []
    for mode, figures in by_mode.items():
        for name, points in of(figures).items():
            base = next((figure for count, figure in points if count == FROM), None)
            for count, figure in points if base else ():
                for cost in (0, results.EXIT_COSTS[0]):
                    value, limit = figure.modelled(cost), most(base.modelled(cost), count)
                    if count > FROM and value > limit:
                        found.append(results.Miss(mode, figure.row, f"{value:,.0f} instructions{f' +{cost:,} per exit' * bool(cost)}, "
                                                                    f"at most {limit:,.0f}", f"{base.modelled(cost):,.0f} among {FROM}"))
    return found


def csv_text(by_mode):
    """A line for each operation, count and mode."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("operation", "what", "among", "mode", "ops", "instructions", "hypervisor", "exits", "+1000/exit"))
    for mode, figures in by_mode.items():
        for name, points in of(figures).items():
            for count, figure in points:
                writer.writerow((name, TITLES.get(name, ""), count, mode, figure.ops, f"{figure.instructions:.2f}",
                                 f"{figure.hypervisor_instructions:.2f}", f"{figure.exits:.4f}", f"{figure.modelled(1000):.2f}"))
    return out.getvalue()


def terminal(by_mode):
    """Lines: an operation in a mode each, with what it costs among so many."""
    if not by_mode:
        return []
    lines = ["", "instructions per operation among 1, 10, ... (experiments/workloads/curves)"]
    for name in dict.fromkeys(name for figures in by_mode.values() for name in of(figures)):
        for mode, figures in by_mode.items():
            points = of(figures).get(name, [])
            lines.append(f"{name:<22}{mode:<8}" + "".join(f"{f'{count:,}: {figure.instructions:,.0f}':>18}" for count, figure in points))
    return lines
