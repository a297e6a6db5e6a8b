"""What peers add to a comparison's tables: Linux on the same machine, our guest under KVM beside Linux there, and KVM's exits
by reason. Each table is a head and rows of cells, for the terminal and for the report."""

from .results import geometric_mean

# Peers in their order, and their column.
_COLUMNS = (("linux", "Linux"), ("kvm_npt", "KVM nested"), ("kvm_shadow", "KVM shadow"), ("xen_pv", "Xen PV"),
            ("uml", "user-mode"))
# A mode of ours on a hypervisor that is not, and the peer that is Linux there.
_BESIDE = (("kvm-nested", "kvm_npt"), ("kvm-shadow", "kvm_shadow"), ("xenpv", "xen_pv"))

# KVM's own counters, in the words of Linux's arch/x86/kvm: faults it took; of these given on to the guest, and writes to
# write-protected tables; instructions that it emulated, those writes left out (CR3, INVLPG: this processor has no decode
# assists); and what is no memory's.
_REASONS = (("page faults", lambda found: found.get("pf_taken", 0)),
            ("of them the guest's own", lambda found: found.get("pf_guest", 0)),
            ("table writes", lambda found: found.get("pf_emulate", 0)),
            ("CR3, INVLPG", lambda found: found.get("insn_emulation", 0) - found.get("pf_emulate", 0)),
            ("platform", lambda found: found.get("platform", 0)))


def peer_table(comparison):
    """Instructions per operation of each peer that was measured now; no rows when none was."""
    named = [(peer, title) for peer, title in _COLUMNS if peer in comparison.by_peer]
    head = ("instructions per operation, the same program", *(title for _, title in named))
    if not named:
        return head, []
    titles = {row["name"]: row["title"] for row in comparison.peers} | {"script": "busybox script"}
    rows = []
    for name, title in titles.items():
        cells = [comparison.by_peer[peer].instructions.get(name) for peer, _ in named]
        if any(cell is not None for cell in cells):
            rows.append((title, *("failed" if cell is None else f"{cell:,.0f}" for cell in cells)))
    linux = comparison.by_peer.get("linux")
    if linux is not None:
        rows.append(("geometric mean, × Linux", *(_mean(comparison, linux.instructions, comparison.by_peer[peer].instructions)
                                                  for peer, _ in named)))
    return head, rows


def beside_table(comparison):
    """Ours over our native, beside Linux over native Linux, on one hypervisor: a row for each pair, the means last."""
    found = []
    head = ["over native"]
    pairs = []
    for mode, peer in _BESIDE:
        if comparison.by_mode.get(mode) and comparison.by_mode.get("native"):
            pairs.append((mode, peer))
            head += [mode, "Linux there"]
    if not pairs:
        return tuple(head), []
    for row in comparison.rows():
        cells = []
        for mode, peer in pairs:
            cells += [_ratio(comparison.by_mode["native"].get(row["name"]), comparison.by_mode[mode].get(row["name"])),
                      _over(row["linux"], row[peer])]
        found.append((row["title"], *cells))
    means = []
    for mode, peer in pairs:
        ours = comparison.mean_ratio(mode, lambda figure: figure.instructions)
        theirs = geometric_mean(row[peer] / row["linux"] for row in comparison.rows()
                                if row["name"] in comparison.averaged() and row["linux"] and row[peer])
        means += ["-" if mean is None else f"{mean:.2f}" for mean in (ours, theirs)]
    found.append(("geometric mean", *means))
    return tuple(head), found


def reason_table(comparison):
    """Exits per operation by reason, of our guest under KVM's shadow paging, beside those of our own shadow."""
    figures = comparison.by_mode.get("kvm-shadow", {})
    ours = comparison.by_mode.get("shadow", {})
    head = ("exits per operation under KVM's shadow paging", "all", *(name for name, _ in _REASONS), "our shadow's")
    rows = []
    for row in comparison.rows():
        figure = figures.get(row["name"])
        if figure is None:
            continue
        counted = {name.removeprefix("kvm."): value / figure.ops for name, value in figure.counters.items()}
        counted["platform"] = figure.platform_exits
        own = ours.get(row["name"])
        rows.append((row["title"], f"{figure.exits:.2f}", *(f"{max(count(counted), 0):.2f}" for _, count in _REASONS),
                     "-" if own is None else f"{own.exits:.2f}"))
    return head, rows


def all_tables(comparison):
    return [table for table in (peer_table(comparison), beside_table(comparison), reason_table(comparison)) if table[1]]


def terminal(comparison):
    """The tables as lines of text."""
    lines = []
    for head, rows in all_tables(comparison):
        widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
        lines.append("")
        for line in (head, *rows):
            lines.append("  ".join((line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:])))))
    return lines


def _mean(comparison, linux, here):
    ratios = [here[row] / linux[row] for row in _averaged(comparison) if linux.get(row) and here.get(row)]
    mean = geometric_mean(ratios)
    return "-" if mean is None else f"{mean:.2f}"


def _averaged(comparison):
    return [row["name"] for row in comparison.peers if not row["control"] and not row["own"]]


def _ratio(native, here):
    return "-" if native is None or here is None or not native.instructions else f"{here.instructions / native.instructions:.2f}"


def _over(native, here):
    return "-" if not native or here is None else f"{here / native:.2f}"
