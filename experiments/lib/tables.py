"""The comparison as text: the terminal's table, and CSV."""

import csv
import io

import machine

from . import curves, peer_tables, programs, shares, walk_tables
from .losses import losses
from .results import EXIT_COSTS, bounces, xen_modelled

# A mode has one colour in every picture and table.
MODE_COLOURS = {"native": "#6b7280", "nested": "#2a9d8f", "shadow": "#d1495b", "vma": "#1d4ed8", "kvmpv": "#b7791f",
                "vmi": "#7c3aed", "lguest": "#65a30d", "xen": "#111827",
                "kvm-shadow": "#9f1239", "kvm-nested": "#115e59", "xenpv": "#475569"}
# Of these nobody counts the hypervisor's instructions apart.
_UNSPLIT = ("native", *machine.FOREIGN_MODES)
# Of these nobody counts how often the hypervisor is entered.
_UNCOUNTED = (machine.XEN_PV,)
_MODE = max(map(len, MODE_COLOURS)) + 1

_COLUMNS = ("instructions", "hypervisor", "exits", "platform exits",
            *(f"modelled {cost}" for cost in EXIT_COSTS), "ratio", *(f"ratio {cost}" for cost in EXIT_COSTS))


def csv_text(comparison):
    """One line per row and mode."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("row", "title", "mode", "ops", "guest", *_COLUMNS, "idle ns", "linux", "kvm shadow exits",
                     *(f"exits: {reason}" for reason, _ in peer_tables.KVMS)))
    for peer in comparison.rows():
        for mode in comparison.modes:
            figure = comparison.by_mode.get(mode, {}).get(peer["name"])
            if figure is not None:
                native = comparison.by_mode.get("native", {}).get(peer["name"])
                writer.writerow((peer["name"], peer["title"], mode, figure.ops,
                                 _exact(figure.guest_instructions), *map(_exact, _values(figure, native)),
                                 _exact(figure.idle_ns), _exact(peer["linux"]), _exact(peer["kvm_shadow_exits"]), *_reasons(figure)))
    for name, title, by_mode in whole_programs(comparison):
        for mode, figure in by_mode.items():
            writer.writerow((name, title, mode, 1, _exact(figure.guest_instructions), *map(_exact, _values(figure, by_mode.get("native"))),
                             _exact(figure.idle_ns), "", "", *_reasons(figure)))
    return out.getvalue()


def _reasons(figure):
    """Exits per operation by reason, of KVM's shadow and ours."""
    counts = peer_tables.OURS if figure.mode == "shadow" else peer_tables.KVMS
    known = figure.mode == "shadow" or figure.mode in machine.KVM_MODES
    return [_exact(max(count(figure.counters), 0) / figure.ops) if known else "" for _, count in counts]


def _values(figure, native):
    costs = [figure.modelled(cost) for cost in EXIT_COSTS]
    values = [figure.instructions, figure.hypervisor_instructions, figure.memory_exits, figure.platform_exits, *costs]
    for mine, theirs in zip((figure.instructions, *costs), (native.instructions,) * 3 if native else (0,) * 3):
        values.append(mine / theirs if theirs else None)
    return values


def _exact(value):
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def terminal(comparison):
    """The table for a terminal: a block of lines per row, a line per mode, then means, the script and the bars."""
    lines = []
    if comparison.by_mode:
        lines += _row_table(comparison)
        lines += _means(comparison)
        lines += _losses(comparison)
        lines += _xen(comparison)
    lines += _programs(comparison)
    lines += curves.terminal(comparison.curves)
    lines += _ahead(comparison)
    lines += peer_tables.terminal(comparison)
    if comparison.walks:
        lines.append(walk_tables.terminal(comparison.walks, comparison.walk_titles))
    if comparison.profiles:
        lines.append(shares.terminal(comparison.profiles))
    if comparison.misses:
        lines += ["", "Bars missed:"]
        lines += [f"  {miss.mode:<{_MODE}} {miss.row:<22} {miss.what}{': ' if miss.reason else ''}{miss.reason}"
                  for miss in comparison.misses]
    return "\n".join(lines)


_WIDTH = 40


def _row_table(comparison):
    head = (f"{'executed instructions per operation':<{_WIDTH}} {'mode':<{_MODE}}{'total':>12}{'hypervisor':>12}{'exits':>9}"
            f"{'platform':>9}{'+1000/exit':>12}{'+2000/exit':>12}{'× native':>9}")
    lines = ["", head, "-" * len(head)]
    for peer in comparison.rows():
        title = peer["title"] + (" *" if peer["control"] else "")
        for mode in comparison.modes:
            figure = comparison.by_mode.get(mode, {}).get(peer["name"])
            if figure is None:
                lines.append(f"{title:<{_WIDTH}} {mode:<{_MODE}}{'failed':>12}")
            else:
                native = comparison.by_mode.get("native", {}).get(peer["name"])
                lines.append(f"{title:<{_WIDTH}} {_line(figure, native)}")
            title = ""
    lines += ["* shown, not averaged", ""]
    return lines


def _line(figure, native):
    ratio = figure.instructions / native.instructions if native and native.instructions else None
    split = f"{round(figure.hypervisor_instructions):>12,}" if figure.mode not in _UNSPLIT else f"{'-':>12}"
    exits = (f"{_two(figure.memory_exits):>9}{_two(figure.platform_exits):>9}{figure.modelled(1000):>12,.0f}{figure.modelled(2000):>12,.0f}"
             if figure.mode not in _UNCOUNTED else f"{'-':>9}{'-':>9}{'-':>12}{'-':>12}")
    return (f"{figure.mode:<{_MODE}}{figure.instructions:>12,.0f}{split}{exits}"
            + (f"{ratio:>9.2f}" if ratio is not None else f"{'-':>9}"))


def _two(value):
    """Two decimals, and no minus before a zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def _means(comparison):
    lines = [f"{'geometric mean of ratios to native':<{_WIDTH}} {'mode':<{_MODE}}{'instructions':>14}{'+1000/exit':>12}"
             f"{'+2000/exit':>12}"]
    for mode in comparison.modes:
        means = mean_ratios(comparison, mode)
        if all(mean is not None for mean in means):
            note = "  (a lower bound: two-dimensional walks cost nothing here)" if mode == "nested" else ""
            lines.append(f"{'':<{_WIDTH}} {mode:<{_MODE}}{means[0]:>14.3f}{means[1]:>12.3f}{means[2]:>12.3f}{note}")
    return lines if len(lines) > 1 else []


def mean_ratios(comparison, mode):
    """Geometric means of instructions, and of modelled cycles at each exit cost, over native's instructions."""
    found = [comparison.mean_ratio(mode, lambda figure: figure.instructions)]
    for cost in EXIT_COSTS:
        found.append(comparison.mean_ratio(mode, lambda figure, cost=cost: figure.modelled(cost)))
    return found


LOSS_HEAD = ("more instructions than mode shadow", "mode", "total", "shadow", "ratio", "exits", "shadow's", "reason")


def loss_rows(comparison):
    """LOSS_HEAD's cells for each row that takes more than shadow; nothing without shadow."""
    return [(loss.title, loss.mode, f"{loss.instructions:,.0f}", f"{loss.shadow:,.0f}", f"{loss.ratio:.2f}", _two(loss.exits),
             _two(loss.shadow_exits), loss.reason) for loss in losses(comparison.by_mode, comparison.peers)]


def _losses(comparison):
    rows = loss_rows(comparison)
    if not rows:
        return []
    return ["", *(f"{cells[0]:<{_WIDTH}} {cells[1]:<{_MODE}}{cells[2]:>12}{cells[3]:>12}{cells[4]:>7}{cells[5]:>9}{cells[6]:>9}  {cells[7]}"
                  for cells in (LOSS_HEAD, *rows))]


AHEAD_NOTE = ("What faults installed behind the page that was asked for, where the mode counts it, and what of that went "
              "without having been touched: entries for pages that a file has anyway, and memory of its own, which is wasted, with "
              "its share of all pages that were zeroed or copied.")
AHEAD_HEAD = ("pages installed ahead of their fault", "mode", "ahead", "never touched", "of memory", "share of pages made")


def ahead_rows(comparison):
    """AHEAD_HEAD's cells for all of mmlat's rows together and for each whole program, by mode."""
    rows = []
    for title, by_mode in (("mmlat, all rows", {mode: figures.values() for mode, figures in comparison.by_mode.items()}),
                           *((title, {mode: [figure] for mode, figure in by_mode.items()})
                             for _, title, by_mode in whole_programs(comparison))):
        for mode, figures in by_mode.items():
            counted = [figure.counters for figure in figures if "pages_ahead" in figure.counters]
            if counted:
                ahead = sum(counters["pages_ahead"] for counters in counted)
                unused, wasted = (sum(counters[name] for counters in counted) for name in ("ahead_unused", "ahead_wasted"))
                made = sum(counters["frames_zeroed"] + counters["frames_copied"] for counters in counted)
                rows.append((title, mode, f"{ahead:,}", f"{unused:,}", f"{wasted:,}", f"{wasted / made:.1%}" if made else "-"))
    return rows


def _ahead(comparison):
    rows = ahead_rows(comparison)
    if not rows:
        return []
    return ["", *(f"{cells[0]:<{_WIDTH}} {cells[1]:<{_MODE}}{cells[2]:>12}{cells[3]:>15}{cells[4]:>12}{cells[5]:>21}"
                 for cells in (AHEAD_HEAD, *rows))]


XEN_HEAD = ("instructions added by Xen's interface", "mode xen", "modelled", "Xen PV")


def xen_rows(comparison):
    """XEN_HEAD's cells for each row; nothing without the modes."""
    return [(row.title, f"{row.ours:,.0f}", f"{row.added:,.0f}", f"{row.published:,}")
            for row in xen_modelled(comparison.by_mode, comparison.peers)]


def xen_note(comparison):
    prices = bounces(comparison.by_mode, comparison.peers)
    source = ("measured with this image on Xen: getpid, and the least of ring and pipe" if comparison.by_mode.get("xenpv")
              else "which is what Xen PV adds to Linux's getpid")
    return (f"Mode xen over native, and Linux on Xen PV over Linux. Modelled: what the container does not charge, {prices.entry:,.0f} "
            f"instructions for each entry of the kernel from user mode and {prices.switch:,.0f} for each switch of processes, {source}. "
            "Page faults are as counted there, natively where it was not run.")


def _xen(comparison):
    rows = xen_rows(comparison)
    if not rows:
        return []
    lines = [f"{cells[0]:<{_WIDTH}}" + "".join(f"{cell:>12}" for cell in cells[1:]) for cells in (XEN_HEAD, *rows)]
    return ["", *lines, xen_note(comparison)]


def whole_programs(comparison):
    """(name, title, mode → Figure) of each whole program that was run."""
    titles = programs.titles()
    return [(name, titles.get(name, name), by_mode) for name, by_mode in comparison.programs.items() if by_mode]


PROGRAM_HEAD = ("whole program", "mode", "instructions", "in the hypervisor", "exits", "platform exits", "+1,000 per exit",
                "+2,000 per exit", "× native", "+1,000, × native", "× Linux")


def program_rows(comparison):
    """PROGRAM_HEAD's cells of each program and mode. × Linux: the whole time, idling included as it is
    there, of what it takes on Debian's Linux by itself, where that was run."""
    rows = []
    for name, title, by_mode in whole_programs(comparison):
        native, linux = by_mode.get("native"), comparison.on_linux(name)
        for mode, figure in by_mode.items():
            ratios = [_over(value, native and native.instructions) for value in (figure.instructions, figure.modelled(EXIT_COSTS[0]))]
            split = f"{figure.hypervisor_instructions:,.0f}" if mode not in _UNSPLIT else "-"
            exits = ([f"{value:,.0f}" for value in (figure.memory_exits, figure.platform_exits, *map(figure.modelled, EXIT_COSTS))]
                     if mode not in _UNCOUNTED else ["-"] * 4)
            rows.append((title, mode, f"{figure.instructions:,.0f}", split, *exits, ratios[0], ratios[1] if mode not in _UNCOUNTED else "-",
                         _over(figure.instructions + figure.idle_ns, linux)))
            title = ""
    return rows


def _over(value, base):
    return f"{value / base:.3f}" if base else "-"


def _programs(comparison):
    rows = program_rows(comparison)
    if not rows:
        return []
    return ["", *(f"{cells[0]:<{_WIDTH}} {cells[1]:<{_MODE}}{cells[2]:>16}{cells[3]:>18}{cells[4]:>11}{cells[5]:>15}"
                  f"{cells[6]:>16}{cells[7]:>16}{cells[8]:>10}{cells[9]:>18}{cells[10]:>9}" for cells in (PROGRAM_HEAD, *rows))]
