"""What hypervisors that are not ours, and Linux on them, add to a comparison: tables for the terminal, the report, the pages and the
paper, each of rows of cells."""

import dataclasses

from . import results
from .results import geometric_mean

# Peers in their order, and their column.
_COLUMNS = (("linux", "Linux"), ("kvm_npt", "KVM nested"), ("kvm_shadow", "KVM shadow"), ("xen_pv", "Xen PV"),
            ("uml", "user-mode"))
# A mode of ours on a hypervisor that is not, the peer that is Linux there, and what that hypervisor is called.
PLACES = (("xenpv", "xen_pv", "Xen"), ("kvm-shadow", "kvm_shadow", "KVM's shadow"), ("kvm-nested", "kvm_npt", "KVM, nested"))

# KVM's own counters, in the words of Linux's arch/x86/kvm: faults it took; of these given on to the guest, and writes to
# write-protected tables; instructions that it emulated, those writes left out (CR3, INVLPG: this processor has no decode
# assists); and what is no memory's.
KVMS = (("page faults", lambda found: found.get("kvm.pf_taken", 0)),
         ("of them the guest's own", lambda found: found.get("kvm.pf_guest", 0)),
         ("table writes", lambda found: found.get("kvm.pf_emulate", 0)),
         ("CR3, INVLPG", lambda found: found.get("kvm.insn_emulation", 0) - found.get("kvm.pf_emulate", 0)))
# The same of our own shadow.
OURS = (("page faults", lambda found: found.get("exits.page_fault", 0)),
         ("of them the guest's own", lambda found: found.get("faults_reflected", 0)),
         ("table writes", lambda found: found.get("write_protect_faults", 0)),
         ("CR3, INVLPG", lambda found: found.get("exits.cr3_write", 0) + found.get("exits.invlpg", 0)))
# The reasons apart: a fault is counted once.
APART = ("page faults, the shadow's", "page faults, the guest's own", "table writes", "CR3, INVLPG")
# What is kept of a figure's counters for these (papers/update_figures.py).
REASONS = ("kvm.pf_taken", "kvm.pf_guest", "kvm.pf_emulate", "kvm.insn_emulation", "exits.page_fault", "faults_reflected",
           "write_protect_faults", "exits.cr3_write", "exits.invlpg")



def apart(figure, counts):
    """Exits per operation for each of APART; `counts`: KVMS or OURS."""
    faults, own, writes, controls = (max(count(figure.counters), 0) / figure.ops for _, count in counts)
    return max(faults - own - writes, 0), own, writes, controls


# What vma is held against, on one image.
_OPPONENTS = ("xenpv", "kvm-shadow", "kvm-nested", "shadow", "xen", "kvmpv", "vmi", "lguest", "nested")
SCRIPT = "script"


@dataclasses.dataclass
class Table:
    name: str
    head: tuple
    rows: list
    note: str = ""


def all_tables(comparison):
    """Those that the data allows."""
    found = [peer_table(comparison), *(there_table(comparison, *place) for place in PLACES), reason_table(comparison), xen_table(comparison),
             vma_table(comparison), summary_table(comparison)]
    return [table for table in found if table.rows]


def peer_table(comparison):
    """Instructions per operation of each peer that was measured now; no rows when none was."""
    return _linux(comparison, [peer for peer, _ in _COLUMNS if peer in comparison.by_peer],
                  lambda peer, row: comparison.by_peer[peer].instructions.get(row["name"]))


def kept_peer_table(comparison):
    """The same of what peers.json holds."""
    return _linux(comparison, [peer for peer, _ in _COLUMNS if any(row.get(peer) for row in comparison.peers)], lambda peer, row: row.get(peer))


def _linux(comparison, named, value):
    head = ("Linux, instructions per operation, the same program", *(title for peer, title in _COLUMNS if peer in named))
    rows, ratios = [], {peer: [] for peer in named}
    for row in [*comparison.peers, {"name": SCRIPT, "title": "busybox script", "control": True} | comparison.peers_script]:
        cells = [value(peer, row) for peer in named]
        if any(cell is not None for cell in cells):
            rows.append((row["title"], *(_number(cell) for cell in cells)))
        if "linux" in named and not row["control"] and not row["own"]:
            for peer, cell in zip(named, cells):
                ratios[peer].append(_over(cell, value("linux", row)))
    if rows and "linux" in named:
        rows.append(("geometric mean, × Linux", *(_mean(ratios[peer]) for peer in named)))
    return Table("peers", head, rows)


@dataclasses.dataclass
class There:
    """One row on a hypervisor that is not ours: instructions per operation, None where there is no figure."""

    row: str
    title: str
    averaged: bool
    native: float
    here: float
    linux: float | None
    linux_here: float | None

    @property
    def ours(self):
        return _over(self.here, self.native)

    @property
    def theirs(self):
        return _over(self.linux_here, self.linux)

    @property
    def beside(self):
        """Ours over Linux there."""
        return _over(self.here, self.linux_here)


def there(comparison, mode, peer):
    """A There for each row that our guest has natively and in `mode`; the script's last."""
    averaged = set(comparison.averaged())
    found = []
    for row in [*comparison.rows(), {"name": SCRIPT, "title": "busybox script"} | comparison.peers_script]:
        figures = [comparison.figure(where, row["name"]) for where in ("native", mode)]
        if None not in figures:
            found.append(There(row["name"], row["title"], row["name"] in averaged, *(figure.instructions for figure in figures),
                               row.get("linux"), row.get(peer)))
    return found


def means_there(comparison, mode, peer):
    """Geometric means over the averaged rows: ours there over ours natively, Linux's likewise, ours over Linux's natively and
    there. None where a row lacks."""
    rows = [row for row in there(comparison, mode, peer) if row.averaged]
    return [geometric_mean(ratios) if None not in ratios else None
            for ratios in ([row.ours for row in rows], [row.theirs for row in rows], [_over(row.native, row.linux) for row in rows],
                           [row.beside for row in rows])]


def there_table(comparison, mode, peer, place):
    """Our guest on a hypervisor and natively, beside Linux there and by itself."""
    head = (f"our guest on {place} (mode {mode}), and Linux there", "ours natively", "there", "÷", "Linux natively", "there", "÷",
            "ours ÷ Linux natively", "there", "added to ours", "to Linux")
    rows = [(row.title, _number(row.native), _number(row.here), _ratio(row.ours), _number(row.linux), _number(row.linux_here),
             _ratio(row.theirs), _ratio(_over(row.native, row.linux)), _ratio(row.beside), _number(row.here - row.native),
             _number(None if row.linux is None or row.linux_here is None else row.linux_here - row.linux))
            for row in there(comparison, mode, peer)]
    if not rows:
        return Table(f"there-{mode}", head, [])
    ours, theirs, natively, beside = means_there(comparison, mode, peer)
    rows.append(("geometric mean", "", "", _ratio(ours), "", "", _ratio(theirs), _ratio(natively), _ratio(beside), "", ""))
    note = "Instructions per operation, hypervisor included; the same programs."
    if ours is not None and theirs is not None:
        note += f" Our mean ratio is {ours / theirs:.2f} of Linux's."
    return Table(f"there-{mode}", head, rows, note)


def reason_table(comparison):
    """Our guest under KVM's shadow paging beside our own: instructions, and exits per operation by reason."""
    head = ("KVM's shadow paging, and ours (mode shadow)", "KVM's", "ours", "÷", "exits, KVM's", "ours",
            *(f"{name}, {whose}" for name, _ in KVMS for whose in ("KVM's", "ours")), "platform, KVM's", "ours")
    rows, ratios = [], []
    for name, title, averaged in titled(comparison):
        theirs, ours = (comparison.figure(mode, name) for mode in ("kvm-shadow", "shadow"))
        if theirs is None:
            continue
        reasons = [_two(figure and max(count(figure.counters), 0) / figure.ops) for (_, kvms), (_, own) in zip(KVMS, OURS)
                   for count, figure in ((kvms, theirs), (own, ours))]
        ratio = _over(ours and ours.instructions, theirs.instructions)
        ratios += [ratio] if averaged else []
        rows.append((title, _number(theirs.instructions), _number(ours and ours.instructions), _ratio(ratio), _two(theirs.memory_exits),
                     _two(ours and ours.memory_exits), *reasons, _two(theirs.platform_exits), _two(ours and ours.platform_exits)))
    if rows:
        rows.append(("geometric mean, ours ÷ KVM's", "", "", _mean(ratios), *[""] * (len(head) - 4)))
    return Table("reasons", head, rows, "The same image; instructions and exits for memory per operation. A table write is a page fault, "
                                        "too; KVM emulates CR3 and INVLPG, as this processor has no decode assists.")


def xen_table(comparison):
    """Mode xen, what is modelled on top of it, and Xen itself."""
    head = ("mode xen, and Xen itself (mode xenpv)", "natively", "mode xen", "entries", "switches", "modelled", "Xen itself",
            "modelled ÷ Xen", "not explained")
    rows, ratios = [], []
    for row in results.xen_modelled(comparison.by_mode, comparison.peers):
        if row.real is None:
            return Table("xen-itself", head, [])
        ratio = row.modelled / row.real
        ratios += [ratio] if row.averaged else []
        rows.append((row.title, _number(row.native), _number(row.here), _two(row.entries), _two(row.switches), _number(row.modelled),
                     _number(row.real), _ratio(ratio), _number(row.real - row.modelled)))
    if rows:
        rows.append(("geometric mean", *[""] * 6, _mean(ratios), ""))
    prices = results.bounces(comparison.by_mode, comparison.peers)
    return Table("xen-itself", head, rows, "Instructions per operation. Modelled: what the container does not charge, "
                                           f"{prices.entry:,.0f} for each entry of the kernel from user mode and {prices.switch:,.0f} for each switch of "
                                           "processes, both measured on Xen with this image (getpid; the least of ring and pipe). Not explained: what Xen "
                                           "takes more for the same calls.")


def vma_table(comparison):
    """vma beside all others, one image."""
    modes = [mode for mode in _OPPONENTS if comparison.by_mode.get(mode)]
    head = ("one image: vma, and the others ÷ vma", "vma", "exits", *modes)
    rows = []
    for name, title, _ in titled(comparison):
        vma = comparison.figure("vma", name)
        if vma is None:
            continue
        others = [comparison.figure(mode, name) for mode in modes]
        rows.append((title, _number(vma.instructions), _two(vma.memory_exits),
                     *("-" if other is None else _ratio(_over(other.instructions, vma.instructions)) for other in others)))
    if not rows or not set(modes) & {place[0] for place in PLACES}:
        return Table("vma", head, [])
    for what, cost in (("geometric mean, instructions", 0), *((f"modelled, +{cost:,} per exit", cost) for cost in results.EXIT_COSTS)):
        rows.append((what, "", "", *(_ratio(_over(1, vma_over(comparison, mode, cost))) for mode in modes)))
    return Table("vma", head, rows, "Per operation. Nobody counts how often Xen itself is entered: at a price on exits its column stays what "
                                    "it takes in instructions.")


def vma_over(comparison, mode, cost=0):
    """vma's cycles over the mode's, geometric mean; `cost`: of each exit."""
    rows = comparison.averaged()
    pairs = [(comparison.figure("vma", row), comparison.figure(mode, row)) for row in rows]
    return geometric_mean(vma.modelled(cost) / other.modelled(cost) for vma, other in pairs if vma and other)


def summary_table(comparison):
    """The means alone: a line for each hypervisor that is not ours."""
    head = ("geometric means", "ours there ÷ natively", "Linux there ÷ natively", "ours ÷ Linux there", "vma ÷ ours there",
            *(f"+{cost:,} per exit" for cost in results.EXIT_COSTS))
    rows = []
    for mode, peer, place in PLACES:
        if comparison.by_mode.get(mode) and comparison.by_mode.get("native"):
            ours, theirs, _, beside = means_there(comparison, mode, peer)
            rows.append((f"{place} (`{mode}`)", _ratio(ours), _ratio(theirs), _ratio(beside),
                         *(_ratio(vma_over(comparison, mode, cost)) for cost in (0, *results.EXIT_COSTS))))
    return Table("means", head, rows)


def terminal(comparison):
    """The tables as lines of text."""
    lines = []
    for table in all_tables(comparison):
        widths = [max(len(line[column]) for line in (table.head, *table.rows)) for column in range(len(table.head))]
        lines.append("")
        for line in (table.head, *table.rows):
            lines.append("  ".join((line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:])))))
        lines += [table.note] if table.note else []
    return lines


def markdown(table):
    """The same for a page."""
    lines = ["| " + " | ".join(table.head) + " |", "|---" * len(table.head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    return [*lines, *(["", table.note] if table.note else [])]


def titled(comparison):
    """Name, title, whether it is in the means: each row, the script last."""
    averaged = set(comparison.averaged())
    return [(row["name"], row["title"], row["name"] in averaged) for row in comparison.rows()] + [(SCRIPT, "busybox script", False)]


def _over(one, other):
    return None if one is None or not other else one / other


def _mean(ratios):
    ratios = [ratio for ratio in ratios if ratio]
    return _ratio(geometric_mean(ratios))


def _number(value):
    return "-" if value is None else f"{value:,.0f}"


def _ratio(value):
    return "-" if value is None else f"{value:.2f}"


def _two(value):
    return "-" if value is None else f"{value + 0.0:,.2f}" if value >= 0.005 else "0"
