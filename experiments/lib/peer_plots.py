"""Pictures of what hypervisors that are not ours take, beside ours (peer_tables.py has the figures)."""

import matplotlib.pyplot as plt

from . import peer_tables, results, tables

_LINUX = "#9ca3af"
_REASON_COLOURS = ("#d1495b", "#f4a261", "#8d6cab", "#2a9d8f")
_OPPONENTS = ("xenpv", "kvm-shadow", "kvm-nested", "shadow", "xen")


def places(comparison):
    """Each hypervisor: our guest there over natively, Linux likewise; and ours over Linux."""
    found = [(mode, place, peer_tables.there(comparison, mode, peer)) for mode, peer, place in peer_tables.PLACES[:2]]
    found = [(mode, place, [row for row in rows if row.averaged]) for mode, place, rows in found]
    found = [(mode, place, rows) for mode, place, rows in found if rows and all(row.theirs and row.beside for row in rows)]
    if not found:
        return None
    rows = found[0][2]
    at = list(range(len(rows), 0, -1))
    figure, panels = plt.subplots(1, len(found) + 1, figsize=(4.2 + 3.0 * (len(found) + 1), 1.4 + 0.27 * len(rows)), sharey=True)
    for axes, (mode, place, theirs) in zip(panels, found):
        axes.scatter([row.theirs for row in theirs], at, s=34, facecolors="none", edgecolors=_LINUX, linewidths=1.3, label=f"Linux on {place}")
        axes.scatter([row.ours for row in theirs], at, s=40, color=tables.MODE_COLOURS[mode], label=f"our guest on {place}")
        vma = [(comparison.figure("vma", row.row), row.native) for row in theirs]
        axes.scatter([here.instructions / native for here, native in vma if here], [y for y, (here, _) in zip(at, vma) if here], s=22,
                     marker="D", color=tables.MODE_COLOURS["vma"], label="our guest in mode vma")
        _ratio_axis(axes, "÷ itself natively")
    for mode, place, theirs in found:
        panels[-1].scatter([row.beside for row in theirs], at, s=40, color=tables.MODE_COLOURS[mode], label=f"ours ÷ Linux, on {place}")
    _ratio_axis(panels[-1], "ours ÷ Linux there")
    panels[0].set_yticks(at, [row.title for row in rows])
    panels[0].set_ylim(0.3, len(rows) + 0.7)
    figure.tight_layout()
    return figure


def reasons(comparison):
    """Exits by reason, KVM's shadow above and ours below."""
    rows = []
    for name, title, averaged in peer_tables.titled(comparison):
        pair = [comparison.figure(mode, name) for mode in ("kvm-shadow", "shadow")]
        if averaged and None not in pair and max(figure.memory_exits for figure in pair) >= 0.005:
            rows.append((title, pair))
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(9.5, 1.4 + 0.36 * len(rows)))
    for y, (_, pair) in zip(range(len(rows), 0, -1), rows):
        for lift, shown, counts in ((0.2, pair[0], peer_tables.KVMS), (-0.2, pair[1], peer_tables.OURS)):
            left = 0.0
            for colour, value in zip(_REASON_COLOURS, peer_tables.apart(shown, counts)):
                axes.barh(y + lift, value, 0.36, left=left, color=colour, alpha=1 if lift > 0 else 0.55)
                left += value
            axes.text(left, y + lift, f" {shown.memory_exits:,.2f}", va="center", fontsize=7, color="#374151")
    for colour, label in zip(_REASON_COLOURS, peer_tables.APART):
        axes.barh(0, 0, color=colour, label=label)
    axes.set_xscale("symlog", linthresh=1, linscale=0.8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks(range(len(rows), 0, -1), [title for title, _ in rows])
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.set_xlabel("exits per operation (linear to 1, then logarithmic); above KVM's, below, pale, ours")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4)
    return figure


def itself(comparison):
    """Mode xen, modelled, and Xen itself, over native."""
    rows = [row for row in results.xen_modelled(comparison.by_mode, comparison.peers) if row.real is not None]
    if not rows:
        return None
    at = list(range(len(rows), 0, -1))
    figure, axes = plt.subplots(figsize=(9.5, 1.4 + 0.27 * len(rows)))
    axes.hlines(at, [row.modelled / row.native for row in rows], [row.real / row.native for row in rows], color="#d1d5db", linewidth=2, zorder=1)
    axes.scatter([row.here / row.native for row in rows], at, s=34, facecolors="none", edgecolors=tables.MODE_COLOURS["xen"], label="mode xen, as counted")
    axes.scatter([row.modelled / row.native for row in rows], at, s=40, color=tables.MODE_COLOURS["xen"], label="with what is modelled")
    axes.scatter([row.real / row.native for row in rows], at, s=44, marker="s", color="#d97706", label="Xen itself (mode xenpv)")
    _ratio_axis(axes, "÷ native")
    axes.set_yticks(at, [row.title for row in rows])
    axes.set_ylim(0.3, len(rows) + 0.7)
    return figure


def vma(comparison):
    """The other modes' instructions over vma's, one image."""
    modes = [mode for mode in _OPPONENTS if comparison.by_mode.get(mode)]
    rows = [(name, title) for name, title, averaged in peer_tables.titled(comparison) if averaged and comparison.figure("vma", name)]
    if not rows or not set(modes) & {"xenpv", "kvm-shadow"}:
        return None
    at = list(range(len(rows), 0, -1))
    figure, axes = plt.subplots(figsize=(9.5, 1.4 + 0.27 * len(rows)))
    for mode in modes:
        points = [(comparison.figure(mode, name).instructions / comparison.figure("vma", name).instructions, y)
                  for (name, _), y in zip(rows, at) if comparison.figure(mode, name)]
        foreign = mode in ("xenpv", "kvm-shadow", "kvm-nested")
        axes.scatter([x for x, _ in points], [y for _, y in points], s=42 if foreign else 26, color=tables.MODE_COLOURS[mode], label=mode,
                     marker="s" if foreign else "o", zorder=3, edgecolors="white", linewidths=0.6)
    _ratio_axis(axes, "÷ vma (right of the line vma takes less)")
    axes.set_yticks(at, [title for _, title in rows])
    axes.set_ylim(0.3, len(rows) + 0.7)
    return figure


def _ratio_axis(axes, label):
    axes.axvline(1, color=tables.MODE_COLOURS["native"], linewidth=1.3, zorder=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.2g}×")
    axes.set_xlabel(f"instructions {label} (logarithmic)")
    axes.grid(True, axis="both", color="#e5e7eb", linewidth=0.7)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=1 if "itself" in label or "there" in label else 5, handletextpad=0.2,
                columnspacing=1.2, fontsize=8)
