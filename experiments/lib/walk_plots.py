"""The pictures of page walks: references by dimensions and leaves, and where modes cross as prices change."""

import matplotlib.pyplot as plt
import numpy
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from . import tables, walk_tables, walks

COLOURS = tables.MODE_COLOURS
_MODEL_MARKS = dict(zip(walks.MODELS, ("o", "s", "D", "v", "^", "P")))
_SIDE = 61  # points of a map's side


def _titled(comparison):
    """(row, title, mode → Walked) of what has a panel of its own."""
    return [(row, comparison.walk_titles.get(row, row), modes) for (program, row), modes in
            walks.by_row(comparison.walks).items() if program != "mmlat"]


def references(comparison):
    """For each program and mode the references of each model; filled: the one that the mode has."""
    panels = _titled(comparison)
    if not panels:
        return None
    figure, grid = plt.subplots(1, len(panels), figsize=(4.3 * len(panels) + 1, 4.2), squeeze=False)
    for axes, (_, title, modes) in zip(grid.flat, panels):
        for place, (mode, one) in enumerate(modes.items()):
            for index, (model, counts) in enumerate(one.models.items()):
                used = model == one.used
                axes.scatter(place + (index - 2.5) * 0.12, counts["references"], marker=_MODEL_MARKS[model], s=62 if used else 30,
                             facecolors=COLOURS[mode] if used else "none", edgecolors=COLOURS[mode] if used else "#9ca3af",
                             linewidths=1, zorder=3 if used else 2)
        axes.set_xticks(range(len(modes)), list(modes), rotation=45)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel("references to page tables, per operation")
        axes.set_ylim(bottom=0)
        axes.grid(True, axis="y", color="#e5e7eb", linewidth=0.7)
    handles = [plt.Line2D([], [], linestyle="", marker=marker, markerfacecolor="none", markeredgecolor="#4b5563",
                          label=walk_tables.model_name(model)) for model, marker in _MODEL_MARKS.items()]
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=6, handletextpad=0.2)
    figure.tight_layout()
    return figure


def sensitivity(comparison):
    """Maps over both prices: which mode of a hypervisor is the cheapest, and vma over nested as lines."""
    # Prices may be arrays of them.
    titles = comparison.walk_titles | {"mmlat": "mmlat, geometric mean of its rows"}
    costs = [(titles.get(program, program), by_mode) for program, by_mode in walks.costs(comparison.walks).items()]
    costs = [(title, by_mode) for title, by_mode in costs if len([mode for mode in by_mode if mode != "native"]) >= 2]
    if not costs:
        return None
    prices = numpy.meshgrid(exit_prices := numpy.linspace(*walks.EXIT_RANGE, _SIDE),
                            reference_prices := numpy.linspace(*walks.REFERENCE_RANGE, _SIDE))
    columns = 2 if len(costs) == 4 else min(3, len(costs))
    lines = -(-len(costs) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(4.6 * columns + 0.8, 3.7 * lines), squeeze=False)
    for axes in grid.flat[len(costs):]:
        axes.set_visible(False)
    seen = []
    for axes, (title, by_mode) in zip(grid.flat, costs):
        modes = [mode for mode in by_mode if mode != "native"]
        maps = {mode: by_mode[mode](*prices) for mode in modes}
        stacked = numpy.stack([maps[mode] for mode in modes])
        # What is equal but for a hundredth is alike: a hair's breadth is no win.
        alike = stacked <= stacked.min(axis=0) * 1.01
        sets = numpy.tensordot(1 << numpy.arange(len(modes)), alike, 1)
        kinds = numpy.unique(sets)
        winners = [tuple(mode for index, mode in enumerate(modes) if kind >> index & 1) for kind in kinds]
        axes.pcolormesh(exit_prices, reference_prices, numpy.searchsorted(kinds, sets),
                        cmap=ListedColormap([_colour(winner) for winner in winners]), vmin=-0.5, vmax=len(kinds) - 0.5,
                        alpha=0.35, shading="nearest", rasterized=True)
        seen += [winner for winner in winners if winner not in seen]
        if "vma" in maps and "nested" in maps:
            _lines(axes, exit_prices, reference_prices, maps["vma"] / maps["nested"])
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("cycles of an exit, assumed")
        axes.set_ylabel("cycles of a walk's reference, assumed")
        axes.grid(False)
    handles = [Patch(color=_colour(winner), alpha=0.35,
                     label=f"cheapest: {', '.join(winner)}" + (" (within 1%)" if len(winner) > 1 else "")) for winner in seen]
    handles += [plt.Line2D([], [], color="#111827", linewidth=1, label="vma's cycles ÷ nested's (1.00: they cross)")]
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=min(3, len(handles)), fontsize=9)
    figure.text(0.5, 0.0, f"Modelled, not measured: 1 cycle for each instruction; TLBs of {walks.PROCESSOR}", ha="center",
                fontsize=8, color="#4b5563")
    figure.tight_layout()
    return figure


def _colour(winners):
    return COLOURS["vma" if "vma" in winners else winners[0]]


def _lines(axes, xs, ys, ratio):
    low, high = ratio.min(), ratio.max()
    levels = [level for level in numpy.unique(numpy.append(numpy.linspace(low, high, 6)[1:-1].round(2), 1.0)) if low < level < high]
    if high / low < 1.02 or not levels:
        axes.text(0.5, 0.5, f"vma ÷ nested: {low:.2f}" + (f" to {high:.2f}" if high - low >= 0.01 else ""), transform=axes.transAxes,
                  ha="center", fontsize=9)
        return
    drawn = axes.contour(xs, ys, ratio, levels=levels, colors="#111827",
                         linewidths=[2.2 if level == 1 else 0.9 for level in levels])
    axes.clabel(drawn, fmt="%.2f", fontsize=8)
