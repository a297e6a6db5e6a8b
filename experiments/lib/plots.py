"""The report's plots. Each answers one question; colours mean the same mode everywhere."""

import dataclasses
import io
import math

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: E402

import machine  # noqa: E402

from . import curve_plots, peer_plots, tables, walk_plots  # noqa: E402

COLOURS = tables.MODE_COLOURS
_PUBLISHED = {"kvm_shadow": ("Linux under KVM shadow / Linux", "v"), "xen_pv": ("Linux on Xen PV / Linux", "s")}
_DPI = 130

plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
                     "axes.grid.axis": "x", "axes.axisbelow": True, "legend.frameon": False})


def all_plots(comparison):
    """File name → (heading, what to see in it, PNG bytes), for the plots that the data allows."""
    found = {}
    for name, heading, caption, draw in (
            ("ratios.png", "What each operation costs, against native",
             "Executed instructions over native's; left is cheaper. The modes whose tables are told of are in the next "
             "picture. Filled marks were measured here; hollow ones are "
             "Linux on existing systems, over Linux natively.", _ratios),
            ("grid.png", "Every operation in every mode, against native",
             "Executed instructions over native's, hypervisor included, and below it the exits per operation for "
             "memory. Blue is at native's cost or below, red is dear.", _grid),
            ("means.png", "The average cost against native, and with a price on exits",
             "Geometric mean over all rows. The second and third groups add 1,000 and 2,000 cycles for each exit, "
             "which the emulated machine does not charge.", _means),
            ("exits.png", "How often each operation leaves the guest",
             "Exits per operation that memory management causes. The marks are Linux under KVM's shadow paging.", _exits),
            ("peers.png", "On hypervisors that are not ours",
             "Executed instructions there over those natively, of our guest and of Linux, hypervisor included; on the right our guest's "
             "over Linux's on the same hypervisor. Left is cheaper.", peer_plots.places),
            ("peer-vma.png", "vma beside all others, one image",
             "The other modes' instructions over vma's. Squares: hypervisors that are not ours.", peer_plots.vma),
            ("peer-reasons.png", "Exits under KVM's shadow paging and under ours, by reason",
             "The same image. A fault of the guest's own is given on to it.", peer_plots.reasons),
            ("peer-xen.png", "Mode xen, and Xen itself",
             "Hollow: the interface in our container. Filled: with the bounces and switches of ring 3 modelled. The grey line is what "
             "Xen takes more for the same calls.", peer_plots.itself),
            ("split.png", "Where the instructions of an operation are executed",
             "Instructions per operation in the guest (solid) and in the hypervisor (hatched).", _split),
            ("script.png", "A whole program: the busybox script",
             "Instructions in the guest (solid) and in the hypervisor (hatched); beside each bar its "
             "exits for memory.", _script),
            ("programs.png", "Whole programs, over what they take natively",
             "Filled: instructions. Hollow: with 1,000 cycles for each exit, modelled. What the program does itself is the same everywhere.",
             _programs),
            ("curves.png", "What an operation costs among many",
             "Executed instructions among so many processes, threads of a space, mappings of a space, over those among ten. Grey: the bar, "
             "a quarter more for each tenfold.", curve_plots.growth),
            ("walks.png", "References of page walks, modelled",
             "What a TLB miss costs in each mode. Filled: the dimensions and leaf sizes that the mode has; hollow: what the "
             "same accesses would take with others. The guest's leaf comes first.", walk_plots.references),
            ("sensitivity.png", "Modelled: which mode is the cheapest, as exits and walks get dearer",
             "Cycles are modelled, not measured: one for each instruction, and the prices of the axes for each exit and each "
             "reference of a page walk. Lines: vma's cycles over nested's.", walk_plots.sensitivity)):
        figure = draw(comparison)
        if figure is not None:
            _head(figure, heading)
            out = io.BytesIO()
            figure.savefig(out, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
            plt.close(figure)
            found[name] = (heading, caption, out.getvalue())
    return found


def for_page(comparison):
    """Name → PDF, the same bytes from the same data: what the paper shows, in sizes of its page. Nothing where the data does not allow it."""
    averaged = dataclasses.replace(comparison, peers=[peer for peer in comparison.peers if not peer["own"]])
    drawn = {}
    for name, draw, data, size in (("ratios", _ratios, averaged, (7.1, 4.7)),
                                   ("sensitivity", walk_plots.sensitivity, comparison, (8.6, 2.9))):
        with plt.rc_context({"font.size": 8, "pdf.fonttype": 42}):
            figure = draw(data)
            if figure is None:
                continue
            figure.set_size_inches(size)
            if name == "sensitivity":
                figure.tight_layout()
            out = io.BytesIO()
            figure.savefig(out, format="pdf", bbox_inches="tight", metadata={"CreationDate": None, "Creator": None, "Producer": None})
            plt.close(figure)
            drawn[name] = out.getvalue()
    return drawn


def _head(figure, heading):
    """Puts the heading above all that is drawn, so that the picture can stand alone."""
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    figure.text(box.x0 / figure.get_figwidth(), (box.y1 + 0.1) / figure.get_figheight(), heading, ha="left",
                va="bottom", fontsize=12, fontweight="bold")


def _others(comparison):
    return [mode for mode in comparison.modes if mode != "native" and comparison.by_mode.get(mode)]


def _rows(comparison):
    return [peer for peer in comparison.rows() if not peer["control"]]


# Modes that the first picture shows; with more, its marks hide each other.
_HEADLINE = ("nested", "shadow", "vma", "xen")


def _ratios(comparison):
    modes = [mode for mode in _others(comparison) if mode in _HEADLINE]
    native = comparison.by_mode.get("native", {})
    rows = [peer for peer in _rows(comparison) if peer["name"] in native]
    if not modes or not rows:
        return None
    figure, axes = plt.subplots(figsize=(9.5, 1.6 + 0.30 * len(rows)))
    places = range(len(rows), 0, -1)
    for key, (label, marker) in _PUBLISHED.items():
        published = [(peer[key] / peer["linux"], place) for peer, place in zip(rows, places)
                     if peer["linux"] and peer[key]]
        axes.scatter([x for x, _ in published], [y for _, y in published], marker=marker, s=34, facecolors="none",
                     edgecolors="#9ca3af", linewidths=1.1, label=label, zorder=2)
    for mode in modes:
        # A little apart, so that marks of one value are all seen.
        lift = {"nested": 0.2, "vma": -0.2, "xen": 0.1}.get(mode, 0)
        points = [(comparison.by_mode[mode][peer["name"]].instructions / native[peer["name"]].instructions,
                   place + lift)
                  for peer, place in zip(rows, places) if peer["name"] in comparison.by_mode[mode]]
        axes.scatter([x for x, _ in points], [y for _, y in points], s=58, color=COLOURS[mode], label=mode, zorder=3,
                     edgecolors="white", linewidths=0.7)
    axes.axvline(1, color=COLOURS["native"], linewidth=1.4, zorder=1)
    axes.set_xscale("log", base=2)
    _times(axes)
    axes.set_yticks(list(places), [peer["title"] for peer in rows])
    axes.set_ylim(0.3, len(rows) + 0.7)
    axes.set_xlabel("instructions ÷ native (logarithmic)")
    axes.grid(True, axis="both", color="#e5e7eb", linewidth=0.7)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=5, handletextpad=0.2, columnspacing=1.2)
    return figure


def _grid(comparison):
    modes = _others(comparison)
    native = comparison.by_mode.get("native", {})
    rows = [peer for peer in _rows(comparison) if peer["name"] in native]
    if not modes or not rows:
        return None
    figure, axes = plt.subplots(figsize=(3.4 + 1.0 * len(modes), 0.8 + 0.40 * len(rows)))
    cells = [[comparison.by_mode[mode].get(peer["name"]) for mode in modes] for peer in rows]
    ratios = [[cell.instructions / native[peer["name"]].instructions if cell else math.nan for cell in line]
              for peer, line in zip(rows, cells)]
    axes.imshow([[math.log2(ratio) for ratio in line] for line in ratios], cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto")
    for y, line in enumerate(ratios):
        for x, ratio in enumerate(line):
            if cells[y][x] is None:
                axes.text(x, y, "failed", ha="center", va="center", fontsize=8)
                continue
            colour = "white" if abs(math.log2(ratio)) > 2.1 else "#111827"
            axes.text(x, y - 0.02, f"{ratio:.2f}×", ha="center", va="bottom", fontsize=8.5, color=colour)
            axes.text(x, y + 0.06, _few(cells[y][x].memory_exits) if modes[x] != machine.XEN_PV else "", ha="center", va="top", fontsize=6.5, color=colour)
    axes.set_xticks(range(len(modes)), modes)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(rows)), [peer["title"] for peer in rows])
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _few(exits):
    if exits <= 0:
        return "no exit"
    return "< 0.01 exits" if exits < 0.005 else f"{exits:,.2f}".rstrip("0").rstrip(".") + " exits"


def _times(axes):
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _means(comparison):
    modes = [mode for mode in _others(comparison) if comparison.mean_ratio(mode, lambda f: f.instructions)]
    if not modes:
        return None
    figure, axes = plt.subplots(figsize=(max(8, 3 + 1.2 * len(modes)), 3.6))
    groups = ("instructions", "+ 1,000 per exit", "+ 2,000 per exit")
    width = 0.8 / len(modes)
    for index, mode in enumerate(modes):
        means = tables.mean_ratios(comparison, mode)
        if mode == machine.XEN_PV:  # nobody counts how often it is entered
            means = means[:1]
        label = mode + (" (lower bound)" if mode in ("nested", machine.KVM_NESTED) else "")
        bars = axes.bar([group - 0.4 + (index + 0.5) * width for group in range(len(means))], means, width * 0.92,
                        color=COLOURS[mode], label=label)
        axes.bar_label(bars, [f"{mean:.2f}×" for mean in means], padding=2, fontsize=9 if len(modes) < 5 else 7)
    axes.axhline(1, color=COLOURS["native"], linewidth=1.4)
    axes.set_xticks(range(3), groups)
    axes.set_ylabel("× native, geometric mean")
    axes.grid(True, axis="y", color="#e5e7eb", linewidth=0.7)
    axes.margins(y=0.14)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=min(len(modes), 7), columnspacing=1.2)
    return figure


def _exits(comparison):
    modes = [mode for mode in ("shadow", "vma") if comparison.by_mode.get(mode)]
    if not modes:
        return None
    rows = [peer for peer in _rows(comparison) if any(peer["name"] in comparison.by_mode[mode] for mode in modes)]
    figure, axes = plt.subplots(figsize=(9.5, 1.6 + 0.34 * len(rows)))
    places = list(range(len(rows), 0, -1))
    height = 0.8 / len(modes)
    for index, mode in enumerate(modes):
        values = [_shown(comparison.by_mode[mode].get(peer["name"])) for peer in rows]
        at = [place + 0.4 - (index + 0.5) * height for place in places]
        axes.barh(at, [max(value, 0) for value in values], height * 0.92, color=COLOURS[mode], label=mode)
        for y, value in zip(at, values):
            axes.text(max(value, 0.01), y, f" {value:.2f}" if value >= 0.005 else " 0", va="center", fontsize=7.5,
                      color="#374151")
    published = [(peer["kvm_shadow_exits"], place) for peer, place in zip(rows, places) if peer["kvm_shadow_exits"]]
    axes.scatter([x for x, _ in published], [y for _, y in published], marker="|", s=190, color="#111827",
                 linewidths=1.6, label="Linux under KVM's shadow", zorder=4)
    axes.set_xscale("symlog", linthresh=1, linscale=0.8)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_yticks(places, [peer["title"] for peer in rows])
    axes.set_ylim(0.3, len(rows) + 0.7)
    axes.set_xlim(left=0)
    axes.set_xlabel("exits per operation (linear to 1, then logarithmic)")
    axes.grid(True, axis="x", color="#e5e7eb", linewidth=0.7)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3)
    return figure


def _shown(figure):
    return figure.memory_exits if figure is not None else 0.0


_SPLIT_ROWS = ("map-unmap", "anon-touch", "protect-page", "cow-child", "pipe-pingpong", "fork-small")


def _split(comparison):
    modes = [mode for mode in comparison.modes if comparison.by_mode.get(mode)]
    rows = [peer for peer in comparison.rows() if peer["name"] in _SPLIT_ROWS]
    if not modes or not rows:
        return None
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=((3.4 if len(modes) < 6 else 4.2) * columns, 2.9 * lines), squeeze=False)
    for axes in grid.flat[len(rows):]:
        axes.set_visible(False)
    for axes, peer in zip(grid.flat, rows):
        _stack(axes, [(mode, comparison.by_mode[mode].get(peer["name"])) for mode in modes])
        axes.set_title(peer["title"], fontsize=9)
    figure.legend(handles=[Patch(color="#9ca3af", label="in the guest"),
                           Patch(facecolor="white", edgecolor="#6b7280", hatch="////", label="in the hypervisor")],
                  loc="upper right", ncols=2)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    return figure


def _stack(axes, figures, note=None):
    for place, (mode, figure) in enumerate(figures):
        if figure is None:
            continue
        axes.bar(place, figure.guest_instructions, color=COLOURS[mode], width=0.7)
        axes.bar(place, figure.hypervisor_instructions, bottom=figure.guest_instructions, width=0.7, color="white",
                 edgecolor=COLOURS[mode], hatch="////", linewidth=0.8)
        axes.annotate(note(figure) if note else f"{figure.instructions:,.0f}", (place, figure.instructions),
                      xytext=(0, 2), textcoords="offset points", ha="center", va="bottom",
                      fontsize=8 if len(figures) < 6 else 6)
    axes.set_xticks(range(len(figures)), [mode for mode, _ in figures], rotation=45 if len(figures) > 5 else 0)
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.grid(True, axis="y", color="#e5e7eb", linewidth=0.7)
    axes.margins(y=0.16)


def _thousands(value, _):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"


def _script(comparison):
    if not comparison.script:
        return None
    figure, axes = plt.subplots(figsize=(max(7, 1.2 * len(comparison.script)), 3.4))
    _stack(axes, list(comparison.script.items()),
           lambda found: f"{found.instructions / 1e6:,.0f}M\n{found.memory_exits:,.0f} exits")
    axes.set_ylabel("instructions")
    axes.margins(y=0.22)
    return figure


def _programs(comparison):
    found = [(title, by_mode) for name, title, by_mode in tables.whole_programs(comparison) if "native" in by_mode]
    modes = [mode for mode in comparison.modes if mode != "native" and any(mode in by_mode for _, by_mode in found)]
    if len(found) < 2 or not modes:
        return None
    figure, axes = plt.subplots(figsize=(9.5, 1.4 + 0.5 * len(found)))
    places = range(len(found), 0, -1)
    for index, mode in enumerate(modes):
        lift = 0.3 - 0.6 * (index + 0.5) / len(modes)
        native = [(by_mode["native"].instructions, by_mode[mode], place + lift) for (_, by_mode), place in zip(found, places) if mode in by_mode]
        axes.scatter([here.instructions / base for base, here, _ in native], [y for _, _, y in native], s=36, color=COLOURS[mode], label=mode, zorder=3)
        if mode != machine.XEN_PV:
            axes.scatter([here.modelled(1000) / base for base, here, _ in native], [y for _, _, y in native], s=36, facecolors="none",
                         edgecolors=COLOURS[mode], linewidths=1.2, zorder=2)
    axes.axvline(1, color=COLOURS["native"], linewidth=1.4, zorder=1)
    _times(axes)
    axes.set_yticks(list(places), [title for title, _ in found])
    axes.set_ylim(0.4, len(found) + 0.6)
    axes.set_xlabel("÷ native")
    axes.grid(True, axis="both", color="#e5e7eb", linewidth=0.7)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=5, handletextpad=0.2, columnspacing=1.2)
    return figure
