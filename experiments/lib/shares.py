"""Whose instructions a profiled row's are, and how often its hypervisor was entered: also where no counter says so."""

import csv
import dataclasses
import io

from . import call_tree, profile_formats

# What experiments/compare profiles where it is given no rows.
ROWS = "anon-touch,fork-small"
# What Xen does for a hypercall (xen/arch/x86/pv/hypercall.c).
_XEN_HYPERCALL = "pv_hypercall"
OWNERS = ("program", "guest kernel", "hypervisor")
HEAD = ("operation", "mode", "instructions", "in the program", "in the guest kernel", "in the hypervisor", "exits", "hypercalls to Xen")
NOTE = ("Per operation, with the empty span; counted by a plugin of QEMU that sees every instruction. Exits are those that lead out of a "
        "VMRUN; Xen itself has none, its hypercalls are named where Debian has its symbols. Flame graphs below: callers below, callees above.")


@dataclasses.dataclass
class Share:
    row: str
    title: str
    mode: str
    instructions: float
    by_owner: dict  # of OWNERS
    exits: float
    hypercalls: float | None  # to Xen; None: it has no names, or there is none


def of(profile):
    """A profiler.Profile's Share; per operation."""
    owners = dict.fromkeys(OWNERS, 0)
    for image, own in call_tree.by_image(profile.tree):
        if (owner := profile_formats.owner_of(image)) in owners:
            owners[owner] += own
    functions = call_tree.by_function(profile.tree)
    exits = sum(one.calls for one in functions if one.function.image == "exits")
    hypercalls = [one.calls for one in functions if one.function.image == "xen" and one.function.name == _XEN_HYPERCALL]
    return Share(profile.name, profile.title, profile.mode, profile.instructions / profile.ops,
                 {owner: own / profile.ops for owner, own in owners.items()}, exits / profile.ops,
                 sum(hypercalls) / profile.ops if hypercalls else None)


def rows(profiles):
    found = []
    for share in map(of, profiles):
        found.append((share.title, share.mode, f"{share.instructions:,.0f}", *(f"{share.by_owner[owner]:,.0f}" for owner in OWNERS),
                      f"{share.exits:.2f}", "-" if share.hypercalls is None else f"{share.hypercalls:.2f}"))
    return found


def csv_text(profiles):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("row", "mode", "instructions", *OWNERS, "exits", "hypercalls"))
    for share in map(of, profiles):
        writer.writerow((share.row, share.mode, share.instructions, *share.by_owner.values(), share.exits,
                         "" if share.hypercalls is None else share.hypercalls))
    return out.getvalue()


def as_json(profiles):
    return [dataclasses.asdict(of(profile)) for profile in profiles]


def terminal(profiles):
    lines = [HEAD, *rows(profiles)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = ["  ".join(f"{cell:<{width}}" if column < 2 else f"{cell:>{width}}" for column, (cell, width) in enumerate(zip(line, widths)))
            for line in lines]
    return "\n".join(["", *(line.rstrip() for line in text)])
